//! How large the node is.

use core::time::Duration;

use matter_session::crypto::CompactRustCrypto;
use matter_session::manager::{Config, Heap, SessionManager};
use matter_session::session::SessionParameters;

pub const SESSIONS: usize = 16;
pub const EXCHANGES: usize = 8;
pub const HANDSHAKES: usize = 2;
pub const FABRICS: usize = 5;
pub const RECORDS: usize = 15;

/// The crypto backend: sessions keep their keys, and expand them for each message.
pub type Suite = CompactRustCrypto;
pub type Node = SessionManager<Suite, Heap, ()>;

pub fn config() -> Config {
    Config::default()
        .with_parameters(SessionParameters::matter_1_6())
        .with_sessions(SESSIONS)
        .with_exchanges(EXCHANGES)
        .with_handshakes(HANDSHAKES, Duration::from_millis(500))
        .with_records(RECORDS, Duration::from_secs(7 * 24 * 3600))
        .with_fabrics(FABRICS)
        .with_events(16)
}
