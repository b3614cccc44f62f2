//! The top of the crate: every session, exchange and handshake of a node behind a socket.
//!
//! ```text
//!  socket ──datagram──▶ handle_datagram ──▶ Received::Message      ─▶ application
//!                        │ handshakes, acknowledgements, duplicates: handled here
//!  clock  ──now───────▶ handle_timeout  (due at poll_timeout)
//!  application ───────▶ connect_pase, connect_case, open_exchange, send, close, sign, ...
//!                        │
//!  socket ◀──Transmit── poll_transmit        application ◀──Event── poll_event
//! ```
//! After any call: send what [`poll_transmit`](SessionManager::poll_transmit) yields, look at what
//! [`poll_event`](SessionManager::poll_event) tells, and come back at
//! [`poll_timeout`](SessionManager::poll_timeout). No order is required; what is polled late
//! happens late, nothing more.

mod api;
mod config;
mod delivery;
mod error;
mod event;
mod groups;
pub(crate) mod handle;
mod handshakes;
mod node;
mod received;
mod sessions;
#[cfg(feature = "alloc")]
mod shard;
mod statistics;
mod storage;
mod trace;
mod turn;
mod unstarted;

use core::fmt;

use rand_core::CryptoRng;

pub use self::api::{Fabrics, Groups, Records};
pub use self::config::Config;
pub use self::delivery::TRANSMIT_BUFFER_LEN;
pub use self::error::{
    ConnectError, FabricTableError, OpenError, RestoreError, SendError, WindowError,
};
pub use self::event::{CloseReason, Event, WindowCloseReason};
pub use self::groups::{GroupError, GroupSendError, GroupSettings};
pub use self::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
pub use self::handshakes::CommissioningWindow;
pub use self::received::{Dropped, GroupMessage, Message, Received, Transmit};
pub use self::sessions::{Datagram, Outgoing, SessionRef};
#[cfg(feature = "alloc")]
pub use self::shard::{Shard, Shards};
pub use self::statistics::Statistics;
#[cfg(feature = "alloc")]
pub use self::storage::Heap;
pub use self::storage::{Fixed, Storage, WithGroups};
pub use self::unstarted::Unstarted;

use self::delivery::Delivery;
use self::handshakes::Handshakes;
use self::node::Node;
use self::sessions::Sessions;
use self::storage::Optional;
use crate::crypto::Crypto;
#[cfg(all(feature = "alloc", feature = "rustcrypto"))]
use crate::crypto::RustCrypto;
use crate::exchange::Jitter;

/// A manager on the heap with the default crypto backend.
#[cfg(all(feature = "alloc", feature = "rustcrypto"))]
pub type HeapSessionManager<T = ()> = SessionManager<RustCrypto, Heap, T>;

/// All sessions of a node behind one socket. See the [module](self) for how it is driven.
///
/// `T` is the application's data of each secure session: made by [`Default`], reached through
/// [`context_mut`](Self::context_mut), handed back when the session closes.
pub struct SessionManager<C: Crypto, S: Storage, T = ()> {
    crypto: C,
    node: Node<S>,
    delivery: Delivery<S, T>,
    sessions: Sessions<C, S, T>,
    handshakes: Handshakes<C, S>,
    groups: S::Groups<groups::Groups<C, S>>,
}

// Whatever leads to cryptography or lies beside such a path is not inlined: a function that is
// called once would be, and its locals would stay on the stack below a signature check.

/// How many events a single call can add before the backlog is noticed.
const STEP: usize = 8;

/// How many of them can tell of handshakes: one is superseded, another established or failed.
const HANDSHAKE_STEP: usize = 4;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// A manager without fabrics, sessions or an open commissioning window.
    ///
    /// `rng` draws where counters and identifiers start and what spreads retransmissions.
    pub fn new(config: Config, crypto: C, rng: &mut dyn CryptoRng) -> Self {
        let mut manager = Self::unstarted(crypto);
        manager.start(config, rng);
        manager
    }

    const fn unstarted(crypto: C) -> Self {
        Self {
            crypto,
            node: Node::EMPTY,
            delivery: Delivery::EMPTY,
            sessions: Sessions::EMPTY,
            handshakes: Handshakes::EMPTY,
            groups: Optional::EMPTY,
        }
    }

    #[inline(never)]
    fn start(&mut self, config: Config, rng: &mut dyn CryptoRng) {
        let [a, b, c, d] = rng.next_u32().to_le_bytes();
        self.sessions.start(&config, u16::from_le_bytes([a, b]), rng);
        self.delivery.start(u16::from_le_bytes([c, d]), rng);
        self.node.jitter = Jitter::new(rng.next_u32());
        self.handshakes.limit(config.max_handshakes);
        self.node.fabrics.limit(config.max_fabrics);
        if let Some(groups) = self.groups.get_mut() {
            groups.limit(&config, self.node.fabrics.capacity());
        }
        self.node.records.limit(config.max_records);
        let reserve = (self.event_reserve(), self.handshake_event_reserve());
        let (exchanges, handshakes) =
            (self.sessions.exchange_capacity(), self.handshakes.capacity());
        self.delivery.limit(&config, exchanges.saturating_add(handshakes), reserve);
        self.node.config = config;
    }

    /// Room for events such that none is lost: what everything that lives can still tell while
    /// nothing new is begun.
    fn event_reserve(&self) -> usize {
        // A session: Closed. An exchange: Acknowledged or Undelivered. A handshake:
        // HandshakeFailed. A record: RecordChanged. The window: WindowClosed.
        self.sessions
            .capacity()
            .saturating_add(self.sessions.exchange_capacity())
            .saturating_add(self.handshakes.capacity())
            .saturating_add(self.node.records.capacity())
            .saturating_add(STEP)
    }

    /// Of that, what handshakes can still tell.
    fn handshake_event_reserve(&self) -> usize {
        // A handshake can ask for a signature and tell its end.
        self.handshakes.capacity().saturating_mul(2).saturating_add(HANDSHAKE_STEP)
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.node.config
    }

    /// The crypto backend.
    #[must_use]
    pub const fn crypto(&self) -> &C {
        &self.crypto
    }

    /// What has been counted so far.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.delivery.statistics
    }
}

impl<C: Crypto, S: Storage, T> fmt::Debug for SessionManager<C, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("sessions", &self.sessions.len())
            .field("exchanges", &self.sessions.exchange_count())
            .field("handshakes", &self.handshakes.len())
            .field("fabrics", &self.node.fabrics.len())
            .field("records", &self.node.records.len())
            .field("events", &self.delivery.event_count())
            .field("scheduled", &self.delivery.schedule)
            .field("groups", &self.groups.get())
            .field("statistics", &self.delivery.statistics)
            .finish_non_exhaustive()
    }
}
