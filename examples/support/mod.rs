//! What the examples share: a node behind a UDP socket, its fabric file, its command line.
#![allow(dead_code, reason = "each example uses its part")]

pub(crate) mod args;
pub(crate) mod capture;
pub(crate) mod counters;
pub(crate) mod drain;
pub(crate) mod groups;
pub(crate) mod keylog;
pub(crate) mod report;
pub(crate) mod udp;

pub(crate) use matter_session_testing::program::Result;
