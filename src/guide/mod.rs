//! Guides: how the parts are put together for a kind of machine or of traffic.

#[cfg(all(feature = "describe", feature = "keylog"))]
pub mod faults;
pub mod firmware;
pub mod pipelining;
pub mod reaching;
