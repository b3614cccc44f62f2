//! What the examples share: a node behind a UDP socket, its fabric file, its command line.
#![allow(dead_code, reason = "each example uses its part")]

pub(crate) mod args;
pub(crate) mod counters;
pub(crate) mod drain;
pub(crate) mod groups;
pub(crate) mod report;
pub(crate) mod udp;

/// Any error: the examples only print them.
pub(crate) type Result<T, E = Box<dyn core::error::Error>> = core::result::Result<T, E>;
