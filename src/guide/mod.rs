//! Guides: how the parts are put together for a kind of machine or of traffic.

pub mod bluetooth;
#[cfg(all(feature = "describe", feature = "keylog"))]
pub mod faults;
pub mod firmware;
pub mod pipelining;
pub mod production;
pub mod reaching;
pub mod sleepy;
pub mod thread;
