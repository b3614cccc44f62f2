//! Attacks that were shown to work once, each by the public API, and what must hold instead. Each
//! file is a theme.

mod connections;
mod exchanges;
mod groups;
mod handshakes;
mod memory;
mod misuse;
mod records;
mod several_addresses;
mod synchronization;

use matter_session_testing::{forged, net, raw, twin};
