//! Attacks that were shown to work once, each by the public API, and what must hold instead. Each
//! file is a theme.

mod connections;
mod exchanges;
mod forged;
mod groups;
mod handshakes;
mod memory;
mod misuse;
#[expect(dead_code, reason = "scenarios use the rest")]
#[path = "../scenarios/raw.rs"]
mod raw;
mod records;
mod synchronization;

use matter_session_testing::{net, twin};
