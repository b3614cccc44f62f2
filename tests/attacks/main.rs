//! Attacks that were shown to work once, each by the public API, and what must hold instead. Each
//! file is a theme.

mod connections;
mod exchanges;
mod forged;
mod groups;
mod handshakes;
mod memory;
mod misuse;
mod records;
mod synchronization;

use matter_session_testing::{net, raw, twin};
