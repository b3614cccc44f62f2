//! Matter session layer.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod cert;
pub mod crypto;
pub mod exchange;
pub mod fabric;
pub mod handshake;
pub mod ids;
pub mod manager;
pub mod resumption;
pub mod session;
pub mod time;
pub mod tlv;
pub mod wire;

pub use rand_core;
