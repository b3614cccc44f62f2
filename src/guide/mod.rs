//! Guides: how the parts are put together for a kind of machine or of traffic.

pub mod firmware;
pub mod pipelining;
pub mod reaching;
