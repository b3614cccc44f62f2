//! AWS-LC beside the default backend: what the default one is tested for once more on AWS-LC, both
//! in one handshake, and their verdicts on what peers make up.
#![cfg(feature = "aws-lc-rs")]

// What files of other targets take from the testing package they find here first, so they run on
// AWS-LC.
extern crate matter_session_testing as testing;
extern crate self as matter_session_testing;

pub use testing::*;

pub type Backend = matter_session::crypto::AwsLcCrypto;
pub const BACKEND: Backend = matter_session::crypto::AwsLcCrypto;

pub mod net {
    pub use testing::net::*;

    pub type Net<S = matter_session::manager::Heap> = Network<S, super::Backend>;
}

pub mod node {
    pub use testing::node::*;

    pub type Party<'a, C = super::Backend> = testing::node::Party<'a, C>;
}

#[path = "case/main.rs"]
mod case;
#[path = "certificates/main.rs"]
mod certificates;
#[path = "crypto/main.rs"]
mod crypto;
#[path = "pase/main.rs"]
mod pase;

mod backends {
    mod mixed;
    mod verdicts;
}

mod manager {
    mod case;
    mod pase;
}

#[test]
fn the_harness_runs_on_this_backend() {
    assert!(core::any::type_name::<Backend>().ends_with("::AwsLcCrypto"));
    let _: fn() -> net::Net = net::Net::pair;
}
