//! What the tests, fuzz targets, benches and examples of `matter-session` share.
//!
//! | module | holds |
//! |---|---|
//! | [`net`] | nodes with a manager each, on a virtual network in virtual time; issuing of test fabrics |
//! | [`node`] | the state machines of handshakes, driven one by one |
//! | [`drive`] | whole handshakes between two state machines, each side timed |
//! | [`vectors`] | the recorded vectors of `tests/vectors` |
//! | [`tlv`] | messages taken apart, to be put together wrongly |
//! | [`toy`] | an insecure crypto backend that makes handshakes cheap |
//! | [`counting`] | a crypto backend that counts what is asked of it |
//! | [`fabric_file`], [`loss`], [`protocols`] | what the two test peers of `interop` share |
//!
//! Without the feature `std` only [`protocols`] is left, for the firmware.
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "std")]
pub mod counting;
#[cfg(feature = "std")]
pub mod drive;
#[cfg(feature = "std")]
pub mod fabric_file;
#[cfg(feature = "std")]
pub mod loss;
#[cfg(feature = "std")]
pub mod net;
#[cfg(feature = "std")]
pub mod node;
pub mod protocols;
#[cfg(feature = "std")]
pub mod rng;
#[cfg(feature = "std")]
pub mod script;
#[cfg(feature = "std")]
pub mod tlv;
#[cfg(feature = "std")]
pub mod toy;
#[cfg(feature = "std")]
pub mod vectors;

/// The backend of all tests that name no other.
#[cfg(feature = "std")]
pub type Backend = matter_session::crypto::RustCrypto;
#[cfg(feature = "std")]
pub const BACKEND: Backend = matter_session::crypto::RustCrypto;

#[cfg(feature = "std")]
pub use self::{
    script::Script,
    vectors::{array, chip, hex, id, list, matterjs, number, root_key},
};
