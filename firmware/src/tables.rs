//! How large the node is.

use core::time::Duration;

use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Fixed, SessionManager, Unstarted};
use matter_session::session::SessionParameters;

pub const FABRICS: usize = 5;
pub const HANDSHAKES: usize = 2;
pub const RECORDS: usize = 15;
type WithoutGroups = Fixed<
    Sessions<16>,
    Exchanges<8>,
    Handshakes<HANDSHAKES>,
    Fabrics<FABRICS>,
    Records<RECORDS>,
    MessageBytes<3840>,
>;
#[cfg(not(feature = "groups"))]
pub type Tables = WithoutGroups;
/// The defaults: what the specification demands of a light on five fabrics.
#[cfg(feature = "groups")]
pub type Tables = matter_session::manager::WithGroups<WithoutGroups>;

/// The crypto backend: sessions keep their keys, and expand them for each message.
#[cfg(not(feature = "p256-cm4"))]
pub use matter_session::crypto::CompactRustCrypto as Suite;
/// The same with P-256 in assembler.
#[cfg(feature = "p256-cm4")]
pub use matter_session::crypto::CortexM4Crypto as Suite;
pub type Idle = Unstarted<Suite, Tables>;
pub type Node = SessionManager<Suite, Tables>;

pub fn config() -> Config {
    Config::default()
        .with_parameters(SessionParameters::matter_1_6())
        .with_exchanges_per_session(5)
        .with_handshakes(HANDSHAKES, Duration::from_millis(500))
        .with_records(RECORDS, Duration::from_secs(7 * 24 * 3600))
        .with_claim_wait(Duration::from_millis(500))
}
