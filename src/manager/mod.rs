//! All sessions, exchanges and handshakes of a node behind a socket: [`SessionManager`].
//!
//! ```text
//!  socket ──datagram──▶ handle_datagram ──▶ Received::Message      ─▶ application
//!                        │ handshakes, acknowledgements, duplicates: handled here
//!  clock  ──now───────▶ handle_timeout  (due at poll_timeout)
//!  application ───────▶ connect_pase, connect_case, open_exchange, send, close_session, ...
//!                        │
//!  socket ◀──Transmit── poll_transmit        application ◀──Event── poll_event
//! ```
//!
//! # In the order of use
//!
//! 1. **Make it.** [`SessionManager::new`] takes the settings ([`Config`]), a crypto backend and
//!    randomness. A device without an allocator uses [`Unstarted`] in a `static`.
//! 2. **Run the loop.** Pass each datagram to [`handle_datagram`](SessionManager::handle_datagram),
//!    and call [`handle_timeout`](SessionManager::handle_timeout) at
//!    [`poll_timeout`](SessionManager::poll_timeout). After any call, send what
//!    [`poll_transmit`](SessionManager::poll_transmit) returns and handle what
//!    [`poll_event`](SessionManager::poll_event) returns. The [front page](crate#the-loop) has the
//!    loop as code. The calls may come in any order: polling late delays retransmissions, events
//!    and reports. Stop polling, and handshakes time out.
//! 3. **Connect.** `connect_pase` establishes a session by passcode, `connect_case` by
//!    certificates. The result is [`Event::Established`] or [`Event::HandshakeFailed`]. CASE also
//!    needs the operational key: answer [`Event::SignRequest`] with
//!    [`complete_signature`](SessionManager::complete_signature). A responder needs no call: it
//!    answers PASE while its [window](SessionManager::window) is open, and CASE if it is a
//!    member of a [fabric](SessionManager::fabrics_mut).
//! 4. **Send.** [`open_exchange`](SessionManager::open_exchange) on a session, then
//!    [`send`](SessionManager::send) on the exchange. Answers arrive as [`Received::Message`] on
//!    the same exchange. [`close_exchange`](SessionManager::close_exchange) at the end.
//! 5. **Sessions.** [`session_with`](SessionManager::session_with) finds the session to use with a
//!    peer, [`session`](SessionManager::session) returns its facts, and
//!    [`close_session`](SessionManager::close_session) closes it.
//!
//! # The views
//!
//! Methods that a program calls less often are on views, each with a page of its own. A view
//! borrows the manager. A view that lists things has two forms, as an application reads while it
//! goes through such a list: `fabrics` reads through a shared borrow, `fabrics_mut` changes.
//!
//! | view | from | what it is for |
//! |---|---|---|
//! | [`Handshakes`] | [`handshakes`](SessionManager::handshakes) | cancels and counts handshakes, sets a peer's timing, lends certificates, refuses new ones for a time |
//! | [`Sessions`] | [`sessions`](SessionManager::sessions), [`sessions_mut`](SessionManager::sessions_mut) | lists, counts and finds sessions, and closes several at once |
//! | [`Window`] | [`window`](SessionManager::window) | opens and closes the commissioning window |
//! | [`Fabrics`] | [`fabrics`](SessionManager::fabrics), [`fabrics_mut`](SessionManager::fabrics_mut) | adds, restores, updates and removes fabrics |
//! | [`Records`] | [`records`](SessionManager::records), [`records_mut`](SessionManager::records_mut) | reads, exports, restores and forgets resumption records, completes claims |
//! | [`Groups`] | [`groups`](SessionManager::groups), [`groups_mut`](SessionManager::groups_mut) | sets keys and groups, sends to groups, returns queued messages |
//! | [`Connections`] | [`connections`](SessionManager::connections) | ends what ran over a lost TCP connection or other link, and reports on one |

mod api;
mod config;
mod delivery;
mod error;
mod event;
mod groups;
pub(crate) mod handle;
mod handshakes;
mod node;
#[cfg(feature = "alloc")]
mod pair;
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

pub use self::api::{Connections, Fabrics, Groups, Handshakes, Records, Sessions, Window};
pub use self::config::Config;
pub use self::error::{
    ConnectError, FabricTableError, HandshakeEnded, MoveError, NoPaseSession, NoSession, OpenError,
    RestoreError, SendError, WindowError,
};
pub use self::event::{CloseReason, Event, WindowCloseReason};
pub use self::groups::{GroupError, GroupSendError, GroupSettings};
pub use self::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
pub use self::handshakes::CommissioningWindow;
pub use self::node::records::RecordInfo;
#[cfg(feature = "alloc")]
pub use self::pair::{Delivered, drive};
pub use self::received::{Dropped, GroupMessage, Message, Received, Transmit};
pub use self::sessions::{
    BatchMessage, Datagram, Latency, PeerVerification, SessionRef, SessionStatistics,
};
#[cfg(feature = "alloc")]
pub use self::shard::{Shard, Shards};
pub use self::statistics::{Evictions, HandshakeStatistics, Histogram, Statistics};
#[cfg(feature = "alloc")]
pub use self::storage::Heap;
pub use self::storage::{Fixed, Storage, WithGroups, sizes};
pub use self::unstarted::Unstarted;

use self::delivery::Delivery;
use self::node::Node;
use self::storage::Optional;
use crate::crypto::Crypto;
#[cfg(all(feature = "alloc", feature = "rustcrypto"))]
use crate::crypto::RustCrypto;
use crate::exchange::Jitter;

/// A manager on the heap with the default crypto backend, which keeps no data of the application.
/// With data of type `T` for each session it is `SessionManager<RustCrypto, Heap, T>`.
#[cfg(all(feature = "alloc", feature = "rustcrypto"))]
pub type HeapSessionManager = SessionManager<RustCrypto, Heap>;

/// All sessions, exchanges, handshakes and timers of a node behind one socket. The
/// [module's page](self) describes the order of use.
///
/// `T` is the application's data of each secure session. [`Default`] makes it,
/// [`data_mut`](Self::data_mut) lends it, and [`Event::Closed`] returns it.
///
#[cfg_attr(all(feature = "std", feature = "rustcrypto", feature = "initiator"), doc = "```")]
#[cfg_attr(
    not(all(feature = "std", feature = "rustcrypto", feature = "initiator")),
    doc = "```ignore"
)]
/// use matter_session::{
///     Config, Event, Heap, Instant, Passcode, PeerAddress, RustCrypto, Services, SessionManager,
/// };
///
/// // The application keeps a name with each session.
/// type Node = SessionManager<RustCrypto, Heap, String>;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
/// // Make two nodes.
/// let mut phone = Node::new(Config::default(), RustCrypto, &mut rng);
/// let mut lamp = Node::new(Config::default(), RustCrypto, &mut rng);
/// let mut services = Services::new(&mut rng);
/// let mut cx = services.at(Instant::ZERO);
///
/// // Connect.
/// let address = PeerAddress::Udp(([127, 0, 0, 1], 5540).into());
/// lamp.window().open_for(&mut cx, &Passcode::new(20202021)?, None)?;
/// let handshake = phone.connect_pase(&mut cx, address, Passcode::new(20202021)?)?;
///
/// // The loop: each computes what is due and sends, until both have the session.
/// let (mut from, mut to) = (&mut phone, &mut lamp);
/// while from.sessions().len() + to.sessions().len() < 2 {
///     from.handle_timeout(&mut cx);
///     while let Some(sent) = from.poll_transmit(cx.now()) {
///         to.handle_datagram(&mut cx, address, &mut sent.datagram.to_vec());
///     }
///     (from, to) = (to, from);
/// }
///
/// // The session is established.
/// let Some(Event::Established { session, handshake: Some(by), .. }) = phone.poll_event() else {
///     return Err("no session".into());
/// };
/// assert_eq!(by, handshake);
/// assert_eq!(lamp.sessions().len(), 1);
/// if let Some(data) = phone.data_mut(session) {
///     *data = "lamp".into();
/// }
///
/// // Closing it returns the data.
/// phone.close_session(&mut cx, session);
/// assert!(matches!(phone.poll_event(), Some(Event::Closed { data, .. }) if data == "lamp"));
/// # Ok(())
/// # }
/// ```
pub struct SessionManager<C: Crypto, S: Storage, T = ()> {
    crypto: C,
    node: Node<S>,
    delivery: Delivery<S, T>,
    sessions: sessions::Sessions<C, S, T>,
    handshakes: handshakes::Handshakes<C, S>,
    groups: S::Groups<groups::Groups<C, S>>,
}

/// Maximum number of events that one call adds before it checks the backlog.
const STEP: usize = 8;

/// Maximum number of these that are about handshakes: one superseded, another established or
/// failed.
const HANDSHAKE_STEP: usize = 4;

// Functions around the cryptography are not inlined: the compiler inlines a function with one
// caller, and its locals would occupy the stack during the verification of a signature.

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    const fn unstarted(crypto: C) -> Self {
        Self {
            crypto,
            node: Node::EMPTY,
            delivery: Delivery::EMPTY,
            sessions: sessions::Sessions::EMPTY,
            handshakes: handshakes::Handshakes::EMPTY,
            groups: Optional::EMPTY,
        }
    }

    #[inline(never)]
    fn start(&mut self, config: Config, rng: &mut dyn CryptoRng) {
        let config = config.usable();
        let [a, b, c, d] = rng.next_u32().to_le_bytes();
        self.sessions.start(&config, u16::from_le_bytes([a, b]), rng);
        self.delivery.start(u16::from_le_bytes([c, d]), rng);
        self.node.jitter = Jitter::new(rng.next_u32());
        self.handshakes.limit(config.max_handshakes);
        // One place is for PASE.
        let case_sessions = self.sessions.capacity().saturating_sub(1);
        self.node.fabrics.limit(config.fabrics(case_sessions));
        if let Some(groups) = self.groups.get_mut() {
            let fabrics = groups.limit(&config, self.node.fabrics.capacity());
            self.node.fabrics.limit(fabrics);
        }
        self.node.records.limit(config.max_records);
        let reserve = (self.event_reserve(), self.handshake_event_reserve());
        self.delivery.limit(&config, reserve);
        self.node.config = config;
    }

    /// Returns the number of event places that are needed so that no event is lost: everything that
    /// exists can still report its end, while nothing new begins.
    fn event_reserve(&self) -> usize {
        // A session: Closed. An exchange: Acknowledged or Undelivered. A handshake: SignRequest if
        // its claim is refused, and HandshakeFailed. A record: RecordChanged. The window:
        // WindowClosed.
        self.sessions
            .capacity()
            .saturating_add(self.sessions.exchange_capacity())
            .saturating_add(self.handshakes.capacity().saturating_mul(2))
            .saturating_add(self.node.records.capacity())
            .saturating_add(STEP)
    }

    /// Returns how many of these are for handshakes.
    fn handshake_event_reserve(&self) -> usize {
        // A handshake can ask for a signature and report its end.
        self.handshakes.capacity().saturating_mul(2).saturating_add(HANDSHAKE_STEP)
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
