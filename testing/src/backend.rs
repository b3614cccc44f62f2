//! The backend that tests run on: `RustCrypto`, and AWS-LC once more in the target `aws_lc`, which
//! takes in the files of other targets.
#![allow(dead_code, unreachable_pub, reason = "each test target uses a part of it")]

#[cfg(feature = "aws-lc-rs")]
use matter_session::crypto::AwsLcCrypto;
use matter_session::crypto::{Crypto, RustCrypto};

pub type Backend = <Tested<{ is_in_aws_lc(module_path!()) }> as On>::Backend;
pub const BACKEND: Backend = <Tested<{ is_in_aws_lc(module_path!()) }> as On>::BACKEND;

/// The backend of one target or of the other.
pub trait On {
    type Backend: Crypto;
    const BACKEND: Self::Backend;
}

pub struct Tested<const AWS_LC: bool>;

impl On for Tested<false> {
    type Backend = RustCrypto;
    const BACKEND: RustCrypto = RustCrypto;
}

#[cfg(feature = "aws-lc-rs")]
impl On for Tested<true> {
    type Backend = AwsLcCrypto;
    const BACKEND: AwsLcCrypto = AwsLcCrypto;
}

/// Paths begin with the name of the target.
const fn is_in_aws_lc(path: &str) -> bool {
    matches!(path.as_bytes(), [b'a', b'w', b's', b'_', b'l', b'c', b':', ..])
}

#[test]
fn each_target_runs_on_its_backend() {
    let is_aws_lc = core::any::type_name::<Backend>().ends_with("::AwsLcCrypto");
    assert_eq!(is_aws_lc, env!("CARGO_CRATE_NAME") == "aws_lc");
}
