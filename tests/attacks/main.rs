//! Attacks that were shown to work once, each by the public API, and what must hold instead.

mod handshakes;
#[path = "../scenarios/raw.rs"]
mod raw;

use matter_session_testing::net;
