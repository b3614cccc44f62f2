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
#[cfg(any(test, feature = "_test-util"))]
mod dangerous;
mod delivery;
mod event;
mod groups;
pub(crate) mod handle;
mod handshakes;
mod node;
mod sessions;
#[cfg(feature = "alloc")]
mod shard;
mod storage;
#[cfg(all(test, feature = "alloc", feature = "rustcrypto"))]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;
mod timers;
mod trace;
mod turn;
mod unstarted;

use core::fmt;
use core::time::Duration;

use rand_core::CryptoRng;

pub use self::api::{Fabrics, Groups, Records};
pub use self::config::Config;
pub use self::event::{
    CloseReason, ConnectError, Dropped, Event, FabricTableError, Message, OpenError, Received,
    RestoreError, SendError, Statistics, Transmit, WindowCloseReason, WindowError,
};
pub use self::groups::{GroupError, GroupMessage, GroupSendError, GroupSettings};
pub use self::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
pub use self::handshakes::CommissioningWindow;
pub use self::sessions::{Datagram, Outgoing, SessionRef, TRANSMIT_BUFFER_LEN};
#[cfg(feature = "alloc")]
pub use self::shard::{Shard, Shards};
#[cfg(feature = "alloc")]
pub use self::storage::Heap;
pub use self::storage::{Fixed, Storage, WithGroups};
pub use self::unstarted::Unstarted;

use self::delivery::Delivery;
use self::handle::Source;
use self::handshakes::Handshakes;
use self::node::Node;
use self::sessions::Sessions;
use self::storage::{Map, Optional, Place};
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
        let (ids, last) = (config.session_ids(), u16::from_le_bytes([a, b]));
        self.sessions.table.start(config.sessions(), ids, last, rng);
        self.delivery.start(u16::from_le_bytes([c, d]), rng);
        self.node.jitter = Jitter::new(rng.next_u32());
        self.sessions.exchanges.limit(config.max_exchanges);
        self.handshakes.slots.limit(config.max_handshakes);
        self.node.fabrics.limit(config.max_fabrics);
        if let Some(groups) = self.groups.get_mut() {
            groups.limit(&config, self.node.fabrics.capacity());
        }
        self.node.records.limit(config.max_records);
        let reserve = (self.event_reserve(), self.handshake_event_reserve());
        let (exchanges, handshakes) =
            (self.sessions.exchanges.capacity(), self.handshakes.slots.capacity());
        self.delivery.limit(&config, exchanges.saturating_add(handshakes), reserve);
        self.node.config = config;
    }

    /// Room for events such that none is lost: what everything that lives can still tell while
    /// nothing new is begun.
    fn event_reserve(&self) -> usize {
        // A session: Closed. An exchange: Acknowledged or Undelivered. A handshake:
        // HandshakeFailed. A record: RecordChanged. The window: WindowClosed.
        self.sessions
            .table
            .capacity()
            .saturating_add(self.sessions.exchanges.capacity())
            .saturating_add(self.handshakes.slots.capacity())
            .saturating_add(self.node.records.capacity())
            .saturating_add(STEP)
    }

    /// Of that, what handshakes can still tell.
    fn handshake_event_reserve(&self) -> usize {
        // A handshake can ask for a signature and tell its end.
        self.handshakes.slots.capacity().saturating_mul(2).saturating_add(HANDSHAKE_STEP)
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

    /// Turns every new handshake away as busy, naming this wait; `None` ends that. For times in
    /// which the application cannot take sessions.
    pub const fn set_busy(&mut self, wait: Option<Duration>) {
        self.handshakes.turning_away = match wait {
            Some(wait) => Place::Taken(wait),
            None => Place::Vacant,
        };
    }

    /// The next thing that happened, oldest first.
    #[must_use = "an event is told once"]
    #[inline(never)]
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        if let Some(id) = self.handshakes.lending.take() {
            self.end_lending(id);
        }
        let event = self.delivery.events.pop().or_else(|| self.groups.get_mut()?.next_event());
        if let Some(Event::Established { session, .. }) = &event {
            self.handshakes.lending = self.lender_of(*session);
        }
        event
    }

    /// Re-arms the timer of an exchange or handshake and notes whether it has output; drops it
    /// when it has nothing left to do. To be called after every change to one.
    fn update(&mut self, source: Source) {
        match source {
            Source::Exchange(key) => self.update_exchange(key),
            Source::Handshake(id) => self.update_handshake(id),
        }
    }
}

impl<C: Crypto, S: Storage, T> fmt::Debug for SessionManager<C, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("sessions", &self.sessions.table.len())
            .field("exchanges", &self.sessions.exchanges.len())
            .field("handshakes", &self.handshakes.slots.len())
            .field("fabrics", &self.node.fabrics.len())
            .field("records", &self.node.records.len())
            .field("events", &self.delivery.events.len())
            .field("scheduled", &self.delivery.schedule)
            .field("groups", &self.groups.get())
            .field("statistics", &self.delivery.statistics)
            .finish_non_exhaustive()
    }
}
