//! Attacks that were shown to work once, each by the public API, and what must hold instead.

mod handshakes;
#[expect(dead_code, reason = "scenarios use the rest")]
#[path = "../scenarios/raw.rs"]
mod raw;

use matter_session_testing::net;
