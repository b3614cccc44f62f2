//! What the tests, fuzz targets, benches and examples of `matter-session` share.
//!
//! | module | holds |
//! |---|---|
//! | [`net`] | nodes with a manager each, on a virtual network in virtual time; issuing of test fabrics |
//! | [`node`] | the state machines of handshakes, driven one by one |
//! | [`draft`] | certificates of any shape, signed with keys of our own |
//! | [`drive`] | whole handshakes between two state machines, each side timed |
//! | [`vectors`] | the recorded vectors of `tests/vectors` |
//! | [`tlv`] | messages taken apart, to be put together wrongly |
//! | [`raw`] | unsecured datagrams, byte by byte |
//! | [`forged`] | group messages of an attacker who has some keys |
//! | [`btp`] | a plain count of what a BTP session must do |
//! | [`toy`] | an insecure crypto backend that makes handshakes cheap |
//! | [`worlds`] | small worlds with an adversary, to be explored by every schedule |
//! | [`observed`] | an AEAD that tells an observer what its keys seal and open |
//! | [`counting`] | a crypto backend that counts what is asked of it |
//! | [`twin`] | sessions that no handshake has made, and the peers at their other ends |
//! | [`watch`] | an allocator that looks for secrets in freed memory |
//! | [`fabric_file`], [`new_fabric`], [`loss`], [`program`], [`protocols`] | what the two test peers of `interop` share |
//!
//! Without the feature `std` only [`protocols`] is left, for the firmware.
#![cfg_attr(not(feature = "std"), no_std)]

pub mod protocols;

macro_rules! with_std {
    ($($item:item)*) => { $(#[cfg(feature = "std")] $item)* };
}

with_std! {
    pub mod btp;
    pub mod counting;
    pub mod draft;
    pub mod drive;
    pub mod fabric_file;
    pub mod forged;
    pub mod loss;
    pub mod net;
    pub mod new_fabric;
    pub mod node;
    pub mod observed;
    pub mod program;
    pub mod rng;
    pub mod raw;
    pub mod script;
    pub mod tlv;
    pub mod toy;
    pub mod twin;
    pub mod vectors;
    pub mod watch;
    pub mod worlds;

    pub use self::script::Script;
    pub use self::vectors::{array, chip, hex, id, list, matterjs, number, root_key};

    /// The backend of all tests that name no other.
    pub type Backend = matter_session::crypto::RustCrypto;
    pub const BACKEND: Backend = matter_session::crypto::RustCrypto;
}
