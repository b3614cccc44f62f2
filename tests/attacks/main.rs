//! Attacks that were shown to work once, each by the public API, and what must hold instead. Each
//! file is a theme.

mod connections;
mod exchanges;
mod groups;
mod handshakes;
mod late;
mod memory;
mod misuse;
mod records;
mod room;
mod several_addresses;
mod shared_ids;
mod synchronization;
mod work;

use matter_session_testing::{counting, forged, net, raw, twin};
