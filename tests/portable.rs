//! The portable backend beside the default one: what the default one is tested for once more on the
//! other, both in one handshake, and their verdicts on what peers make up. The default one computes
//! P-256 in assembler if the processor can, and as the portable one if not.

// What files of other targets take from the testing package they find here first, so they run on
// the portable backend.
extern crate matter_session_testing as testing;
extern crate self as matter_session_testing;

pub use testing::*;

pub type Backend = matter_session::crypto::CompactRustCrypto;
pub const BACKEND: Backend = matter_session::crypto::CompactRustCrypto;

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
    assert!(core::any::type_name::<Backend>().ends_with("::CompactRustCrypto"));
    let _: fn() -> net::Net = net::Net::pair;
}
