//! Guides: how the parts are put together for a kind of machine.

pub mod firmware;
