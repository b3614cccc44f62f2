//! The top of the crate: every session, exchange and handshake of a node behind a socket.
//!
//! ```text
//!  socket ──datagram──▶ handle_datagram ──▶ Received::Message      ─▶ application
//!                        │ handshakes, acknowledgements, duplicates: handled here
//!  clock  ──now───────▶ handle_timeout  (due at poll_timeout)
//!  application ───────▶ connect_pase, connect_case, open_exchange, send, close_session, ...
//!                        │
//!  socket ◀──Transmit── poll_transmit        application ◀──Event── poll_event
//! ```
//! After any call: send what [`poll_transmit`](SessionManager::poll_transmit) yields, look at what
//! [`poll_event`](SessionManager::poll_event) tells, and come back at
//! [`poll_timeout`](SessionManager::poll_timeout). No order is required; what is polled late
//! happens late, nothing more.

mod check_in;
mod config;
mod connections;
#[cfg(any(test, feature = "_test-util"))]
mod dangerous;
mod datagrams;
#[cfg(feature = "initiator")]
mod dial;
mod event;
mod events;
mod exchanges;
mod fabrics;
mod groups;
pub(crate) mod handle;
mod handshakes;
mod kept;
mod machine;
mod missing;
mod order;
mod outbox;
mod outgoing;
mod receive;
mod records;
mod schedule;
mod send;
mod session_table;
mod sessions;
#[cfg(feature = "alloc")]
mod shard;
mod slot;
mod storage;
#[cfg(all(test, feature = "alloc", feature = "rustcrypto"))]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;
mod timers;
mod trace;
mod unsecured;
mod unstarted;
mod window;

use core::fmt;
use core::time::Duration;

use rand_core::CryptoRng;

pub use self::config::Config;
pub use self::datagrams::Datagram;
pub use self::event::{
    CloseReason, ConnectError, Dropped, Event, FabricTableError, Message, OpenError, Received,
    RestoreError, SendError, Statistics, Transmit, WindowCloseReason, WindowError,
};
pub use self::groups::{GroupError, GroupMessage, GroupSendError, GroupSettings};
pub use self::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
pub use self::missing::{HandshakeEnded, NoPaseSession, NoSession};
pub use self::outgoing::BatchMessage;
pub use self::sessions::SessionRef;
#[cfg(feature = "alloc")]
pub use self::shard::{Shard, Shards};
#[cfg(feature = "alloc")]
pub use self::storage::Heap;
pub use self::storage::{Fixed, Storage, WithGroups, sizes};
pub use self::unstarted::Unstarted;
pub use self::window::CommissioningWindow;

use self::events::Events;
use self::exchanges::ExchangeEntry;
use self::fabrics::Fabrics;
use self::groups::Groups;
use self::handle::{HandshakeId, Source};
use self::outbox::{Outbox, SHORT_LEN};
use self::records::Records;
use self::schedule::{Filed, Schedule};
use self::session_table::SessionTable;
use self::slot::Slot;
use self::storage::{Map, Octets, Optional, Owner, Place};
use self::window::OpenWindow;
use crate::cert::{NoCache, RecentlyVerified, VerifiedCache};
use crate::context::Context;
use crate::crypto::Crypto;
#[cfg(all(feature = "alloc", feature = "rustcrypto"))]
use crate::crypto::RustCrypto;
use crate::exchange::{Jitter, backoff};
use crate::handshake::CaseEnv;
use crate::handshake::case::KeepCertificates;
use crate::ids::ExchangeId;
use crate::session::UnsecuredCounter;

/// A manager on the heap with the default crypto backend.
#[cfg(all(feature = "alloc", feature = "rustcrypto"))]
pub type HeapSessionManager<T = ()> = SessionManager<RustCrypto, Heap, T>;

/// All sessions of a node behind one socket. See the [module](self) for how it is driven.
///
/// `T` is the application's data of each secure session: made by [`Default`], reached through
/// [`data_mut`](Self::data_mut), handed back when the session closes.
pub struct SessionManager<C: Crypto, S: Storage, T = ()> {
    crypto: C,
    node: Node<S>,
    sessions: SessionTable<C, S, T>,
    exchanges: S::Exchanges<ExchangeEntry<S>>,
    handshakes: S::Handshakes<Slot<C, S>>,
    octets: S::Octets,
    schedule: Schedule<S>,
    outbox: Outbox<S>,
    /// Whether the outbox comes first when a datagram is polled.
    outbox_turn: bool,
    /// Where short messages stand while they are lent to be sent.
    scratch: [u8; SHORT_LEN],
    events: Events<S, T>,
    groups: S::Groups<Groups<C, S>>,
    window: Place<OpenWindow>,
    /// The session that came of serving PASE last: while it lives none is served.
    commissioned: Option<SessionHandle>,
    unsecured_counter: UnsecuredCounter,
    next_exchange: u16,
    next_serial: u64,
    /// The handshake whose certificates the event polled last lends.
    lending: Option<HandshakeId>,
    /// Set while every new handshake is turned away: the wait that is named.
    turning_away: Place<Duration>,
    statistics: Statistics,
}

// Whatever leads to cryptography or lies beside such a path is not inlined: a function that is
// called once would be, and its locals would stay on the stack below a signature check.

/// How many events a single call can add before the backlog is noticed.
const STEP: usize = 8;

/// How many of them can tell of handshakes: one is superseded, another established or failed.
const HANDSHAKE_STEP: usize = 4;

/// What is of this node and of no session: settings, fabrics, records, remembered certificates.
struct Node<S: Storage> {
    config: Config,
    fabrics: Fabrics<S>,
    records: Records<S>,
    verified: RecentlyVerified,
    jitter: Jitter,
}

impl<S: Storage> Node<S> {
    /// The wait for an acknowledgement, from the peer's interval and the number of repetitions so
    /// far. Draws the jitter.
    const fn retry_wait(&mut self) -> impl Fn(Duration, u8) -> Duration + use<S> {
        let jitter = self.jitter.octet();
        let Config { retransmission_boost: boost, longest_interval: longest, .. } = self.config;
        move |interval, repetitions| {
            boosted_backoff(interval.min(longest), repetitions, jitter, boost)
        }
    }

    /// Runs a step of a CASE handshake.
    fn with_env<R>(
        &mut self,
        cx: &mut Context<'_>,
        certificates: &mut dyn KeepCertificates,
        step: impl FnOnce(&mut CaseEnv<'_>, &mut Context<'_>) -> R,
    ) -> R {
        let mut own = self.records.at(cx.now, self.config.record_lifetime);
        let mut others = cx.resumption.take();
        let verified: &mut dyn VerifiedCache =
            if self.config.remember_certificates { &mut self.verified } else { &mut NoCache };
        let mut env = CaseEnv {
            fabrics: &self.fabrics,
            resumption: match &mut others {
                Some(store) => *store,
                None => &mut own,
            },
            verified,
            certificates,
            profile: self.config.certificate_profile,
            parameters: &self.config.parameters,
        };
        let result = step(&mut env, cx);
        cx.resumption = others;
        result
    }
}

// Not inlined: a sum of durations is long, and there are many waits.
#[inline(never)]
fn boosted_backoff(interval: Duration, repetitions: u8, jitter: u8, boost: Duration) -> Duration {
    backoff(interval, repetitions, jitter).saturating_add(boost)
}

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
        const { S::CHECK };
        Self {
            crypto,
            sessions: SessionTable::EMPTY,
            exchanges: Map::EMPTY,
            handshakes: Map::EMPTY,
            octets: Octets::EMPTY,
            schedule: Schedule::EMPTY,
            outbox: Outbox::EMPTY,
            outbox_turn: false,
            scratch: [0; SHORT_LEN],
            events: Events::EMPTY,
            groups: Optional::EMPTY,
            window: Place::Vacant,
            commissioned: None,
            unsecured_counter: UnsecuredCounter::unseeded(),
            next_exchange: 0,
            next_serial: 0,
            lending: None,
            turning_away: Place::Vacant,
            statistics: Statistics::new(),
            node: Node {
                fabrics: Fabrics::EMPTY,
                records: Records::EMPTY,
                verified: RecentlyVerified::EMPTY,
                jitter: Jitter::unseeded(),
                config: Config::UNSET,
            },
        }
    }

    #[inline(never)]
    fn start(&mut self, config: Config, rng: &mut dyn CryptoRng) {
        let [a, b, c, d] = rng.next_u32().to_le_bytes();
        let (ids, last) = (config.session_ids(), u16::from_le_bytes([a, b]));
        self.sessions.start(config.sessions(), ids, last, rng);
        self.next_exchange = u16::from_le_bytes([c, d]);
        self.unsecured_counter = UnsecuredCounter::random(rng);
        self.node.jitter = Jitter::new(rng.next_u32());
        self.exchanges.limit(config.max_exchanges);
        self.handshakes.limit(config.max_handshakes);
        self.schedule.limit(self.exchanges.capacity().saturating_add(self.handshakes.capacity()));
        self.outbox.limit(&config);
        self.node.fabrics.limit(config.max_fabrics);
        if let Some(groups) = self.groups.get_mut() {
            groups.limit(&config, self.node.fabrics.capacity());
        }
        self.node.records.limit(config.max_records);
        let waiting = config.max_events.max(self.events.len());
        self.events.limit(
            waiting.saturating_add(self.event_reserve()),
            waiting.saturating_add(self.handshake_event_reserve()),
        );
        self.node.config = config;
    }

    /// Room for events such that none is lost: what everything that lives can still tell while
    /// nothing new is begun.
    fn event_reserve(&self) -> usize {
        // A session: Closed. An exchange: Acknowledged or Undelivered. A handshake:
        // HandshakeFailed. A record: RecordChanged. The window: WindowClosed.
        self.sessions
            .capacity()
            .saturating_add(self.exchanges.capacity())
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
        &self.statistics
    }

    /// Turns every new handshake away as busy, naming this wait; `None` ends that. For times in
    /// which the application cannot take sessions.
    pub const fn set_busy(&mut self, wait: Option<Duration>) {
        self.turning_away = match wait {
            Some(wait) => Place::Taken(wait),
            None => Place::Vacant,
        };
    }

    /// The next thing that happened, oldest first.
    #[must_use = "an event is told once"]
    #[inline(never)]
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        if let Some(id) = self.lending.take() {
            self.end_lending(id);
        }
        let event = self.events.pop().or_else(|| self.group_event());
        if let Some(Event::Established { session, .. }) = &event {
            self.lending = self.lender_of(*session);
        }
        event
    }

    /// Appends an event. There is room for whatever can still happen to all that lives, and
    /// nothing new is begun while the application [lags behind](Self::is_backlogged).
    fn tell(&mut self, event: Event<T>) {
        trace::event(&event);
        let told = self.events.push(event);
        debug_assert!(told, "room for events is kept free");
    }

    /// Whether the application has left so many events unpolled that nothing new is begun.
    #[inline(never)]
    fn is_backlogged(&self) -> bool {
        self.events.is_backlogged(self.event_reserve(), self.handshake_event_reserve())
    }

    fn serial(&mut self) -> u64 {
        self.next_serial = self.next_serial.wrapping_add(1);
        self.next_serial
    }

    fn exchange_id(&mut self) -> ExchangeId {
        self.next_exchange = self.next_exchange.wrapping_add(1);
        ExchangeId::new(self.next_exchange)
    }

    /// Forgets the timer and the octets of an exchange or handshake that is gone.
    fn forget(&mut self, source: Source, filed: Filed) {
        self.schedule.forget(source, filed);
        self.octets.release(Owner::Message(source));
        if let Source::Handshake(id) = source {
            self.octets.release(Owner::Certificates(id));
        }
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
            .field("sessions", &self.sessions.len())
            .field("exchanges", &self.exchanges.len())
            .field("handshakes", &self.handshakes.len())
            .field("fabrics", &self.node.fabrics.len())
            .field("records", &self.node.records.len())
            .field("events", &self.events.len())
            .field("scheduled", &self.schedule)
            .field("groups", &self.groups.get())
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}
