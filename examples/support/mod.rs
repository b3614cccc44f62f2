//! What the examples share: a node behind its sockets, its fabric file, its command line.
#![allow(dead_code, reason = "each example uses its part")]

#[macro_use]
#[path = "../say/mod.rs"]
mod say;

pub(crate) mod args;
pub(crate) mod capture;
pub(crate) mod counters;
pub(crate) mod drain;
pub(crate) mod groups;
pub(crate) mod keylog;
pub(crate) mod link;
pub(crate) mod node;
pub(crate) mod report;
pub(crate) mod tcp;

pub(crate) use matter_session_testing::program::Result;
