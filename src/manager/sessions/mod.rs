//! The secure sessions of a node.

mod connections;
mod datagrams;
mod exchanges;
pub(super) mod order;
mod outgoing;
pub(super) mod receive;
mod send;
mod table;

use core::fmt;

use crate::bytes::Buffer;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{ExchangeId, FabricIndex, LocalSessionId, NodeId, ProtocolId};
use crate::manager::delivery::SHORT_LEN;
use crate::manager::handle::{ExchangeKey, Peer, PeerAddress, SessionHandle, Source};
use crate::manager::sessions::exchanges::ExchangeEntry;
use crate::manager::sessions::table::{Entry, SessionTable};
use crate::manager::storage::{Map, Storage};
use crate::manager::{CloseReason, Event, SessionManager};
use crate::session::SecureSession;
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageBuf, ProtocolHeader, StatusReport};

pub use self::datagrams::Datagram;
pub use self::outgoing::Outgoing;
pub use self::send::TRANSMIT_BUFFER_LEN;

/// The secure sessions of a node and their exchanges.
pub(super) struct Sessions<C: Crypto, S: Storage, T> {
    pub(super) table: SessionTable<C, S, T>,
    pub(super) exchanges: S::Exchanges<ExchangeEntry<S>>,
    /// The session that came of serving PASE last: while it lives none is served.
    pub(super) commissioned: Option<SessionHandle>,
}

impl<C: Crypto, S: Storage, T> Sessions<C, S, T> {
    pub(super) const EMPTY: Self =
        Self { table: SessionTable::EMPTY, exchanges: Map::EMPTY, commissioned: None };
}

/// A secure session as the manager holds it.
pub struct SessionRef<'a, C: Crypto, T> {
    pub(in crate::manager) entry: &'a Entry<C, T>,
    pub(in crate::manager) defunct: bool,
}

impl<'a, C: Crypto, T> SessionRef<'a, C, T> {
    /// Its handle.
    #[must_use]
    pub const fn handle(&self) -> SessionHandle {
        self.entry.handle()
    }

    /// Its facts: kind, identities, peer parameters, attestation challenge, times.
    #[must_use]
    pub const fn session(&self) -> &'a SecureSession<C> {
        &self.entry.session
    }

    /// Where the peer was heard last.
    #[must_use]
    pub const fn peer_address(&self) -> PeerAddress {
        self.entry.address
    }

    /// Whether the peer left a message unacknowledged and has not been heard since.
    #[must_use]
    pub const fn is_defunct(&self) -> bool {
        self.defunct
    }

    /// The application's data.
    #[must_use]
    pub const fn context(&self) -> &'a T {
        &self.entry.context
    }
}

impl<C: Crypto, T> fmt::Debug for SessionRef<'_, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// A secure session.
    #[must_use]
    pub fn session(&self, session: SessionHandle) -> Option<SessionRef<'_, C, T>> {
        self.sessions.table.get_ref(session)
    }

    /// The secure session that has this local id now.
    #[must_use]
    pub fn session_by_id(&self, local: LocalSessionId) -> Option<SessionHandle> {
        self.sessions.table.handle(local)
    }

    /// All secure sessions, by ascending local id.
    pub fn sessions(&self) -> impl Iterator<Item = SessionRef<'_, C, T>> {
        self.sessions.table.refs()
    }

    /// How many secure sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.table.len()
    }

    /// The session that messages to a peer should use: the one that heard from it last, defunct
    /// ones only if there is no other.
    #[must_use]
    pub fn session_with(&self, fabric: FabricIndex, node: NodeId) -> Option<SessionHandle> {
        self.sessions.table.best_of_peer(Peer { fabric, node })
    }

    /// All CASE sessions with a peer, in no particular order.
    pub fn by_peer(
        &self,
        fabric: FabricIndex,
        node: NodeId,
    ) -> impl Iterator<Item = SessionHandle> {
        self.sessions.table.of_peer(Peer { fabric, node }).map(|(_, entry)| entry.handle())
    }

    /// The PASE session, if there is one; the newest, if this node commissions several devices.
    #[must_use]
    pub fn pase_session(&self) -> Option<SessionHandle> {
        self.sessions.table.pase().max_by_key(|entry| entry.serial).map(Entry::handle)
    }

    /// The application's data of a session.
    #[must_use]
    pub fn context_mut(&mut self, session: SessionHandle) -> Option<&mut T> {
        self.sessions.table.get_mut(session).map(|entry| &mut entry.context)
    }

    /// Ties a PASE session to the fabric that was added over it: removing the fabric ends it.
    /// Returns false for other sessions.
    pub fn associate_fabric(&mut self, session: SessionHandle, fabric: FabricIndex) -> bool {
        self.sessions
            .table
            .get_mut(session)
            .is_some_and(|entry| entry.session.associate_fabric(fabric))
    }

    /// Closes a session: acknowledgements that are owed leave, the peer is told once, and
    /// [`Event::Closed`] hands the application's data back. Nothing happens if it is closed.
    pub fn close(&mut self, cx: &mut Context<'_>, session: SessionHandle) {
        self.end_session(session, CloseReason::Local, cx.now);
    }

    /// Closes all CASE sessions with a peer.
    pub fn close_peer(&mut self, cx: &mut Context<'_>, fabric: FabricIndex, node: NodeId) {
        while let Some(session) = self.session_with(fabric, node) {
            self.close(cx, session);
        }
    }

    /// Closes all secure sessions: before a shutdown, say. Send what
    /// [`poll_transmit`](Self::poll_transmit) yields after it. Peers beyond
    /// [`max_replies`](crate::manager::Config::max_replies) (with [`Fixed`](crate::manager::Fixed) storage eight) are
    /// told nothing: where there are more, [`close`](Self::close) a few at a time and send.
    pub fn close_all(&mut self, cx: &mut Context<'_>) {
        while let Some(session) = self.sessions.table.first() {
            self.close(cx, session);
        }
    }

    /// Ends a session, with a goodbye unless the peer said its own or is out of reach.
    #[inline(never)]
    pub(in crate::manager) fn end_session(
        &mut self,
        session: SessionHandle,
        reason: CloseReason,
        now: Instant,
    ) {
        if self.sessions.table.get(session).is_none() {
            return;
        }
        self.end_exchanges(session, reason, now);
        if reason.is_heard() {
            self.push_status(session, &StatusReport::close_session(), now);
        }
        if let Some(context) = self.sessions.table.remove(session) {
            self.delivery.tell(Event::Closed { session, context, reason });
        }
    }

    /// Ends the exchanges of a session; acknowledgements that they owe leave now.
    fn end_exchanges(&mut self, session: SessionHandle, reason: CloseReason, now: Instant) {
        let first = ExchangeKey::first_of(session.local);
        while let Some(key) =
            self.sessions.exchanges.first_from(first).filter(|key| key.session == session.local)
        {
            let Some(mut entry) = self.sessions.exchanges.remove(&key) else { break };
            self.delivery.forget(Source::Exchange(key), entry.filed);
            if !reason.is_heard() {
                continue;
            }
            entry.exchange.flush_ack();
            while let Some(header) = entry.exchange.next_ack() {
                self.push_secure(session, &header, &[], now);
                entry.exchange.sent(&header, now);
            }
        }
    }

    /// Queues a report that belongs to no conversation.
    #[inline(never)]
    pub(in crate::manager) fn push_status(
        &mut self,
        session: SessionHandle,
        report: &StatusReport<'_>,
        now: Instant,
    ) {
        let mut payload = [0; 10];
        let mut buffer = Buffer::new(&mut payload);
        if report.write(&mut buffer).is_err() {
            return;
        }
        let header = ProtocolHeader {
            exchange: self.delivery.exchange_id(),
            protocol: ProtocolId::SECURE_CHANNEL,
            opcode: Opcode::STATUS_REPORT.0,
            initiator: true,
            needs_ack: false,
            ack: None,
        };
        self.push_secure(session, &header, buffer.into_written(), now);
    }

    /// Seals a short message into the outbox.
    #[inline(never)]
    pub(in crate::manager) fn push_secure(
        &mut self,
        session: SessionHandle,
        header: &ProtocolHeader,
        payload: &[u8],
        now: Instant,
    ) {
        let Some(entry) = self.sessions.table.in_use(session.local) else { return };
        if entry.serial != session.serial {
            return;
        }
        let mut buf = [0; SHORT_LEN];
        let Ok(message) = MessageBuf::with_payload(&mut buf, payload) else { return };
        if let Ok(sealed) = entry.session.encode(header, message, now) {
            let to = entry.address;
            self.delivery.push_short(to, sealed.as_bytes());
            self.watch_counter(session.local);
        }
    }

    /// Takes a new session in; an old one makes room if it must.
    #[inline(never)]
    pub(in crate::manager) fn add_session(
        &mut self,
        session: SecureSession<C>,
        address: PeerAddress,
        now: Instant,
    ) -> Option<SessionHandle> {
        let most = self.node.config.max_sessions_per_peer;
        if let Some(victim) = self.sessions.table.makes_room_for(session.identity(), most) {
            self.end_session(victim, CloseReason::Evicted, now);
        }
        let serial = self.delivery.serial();
        self.sessions.table.insert(Entry::new(session, address, serial))
    }

    /// Warns once when a session has few counters left; later if too many events wait.
    pub(in crate::manager) fn watch_counter(&mut self, session: LocalSessionId) {
        /// A month at one message a second.
        const FEW: u32 = 1 << 21;
        let Some(entry) = self.sessions.table.by_local_mut(session) else { return };
        if entry.session.remaining_messages() >= FEW || entry.warned {
            return;
        }
        let session = entry.handle();
        if !self.delivery.is_backlogged()
            && let Some(entry) = self.sessions.table.get_mut(session)
        {
            entry.warned = true;
            self.delivery.tell(Event::CounterLow { session });
        }
    }

    /// The key of a new exchange that this node begins on a session; `None` when every exchange
    /// id is in use there.
    pub(in crate::manager) fn new_exchange_key(
        &mut self,
        session: LocalSessionId,
    ) -> Option<ExchangeKey> {
        (0..=u16::MAX).find_map(|_| {
            let id: ExchangeId = self.delivery.exchange_id();
            let key = ExchangeKey { session, id, initiator: true };
            self.sessions.exchanges.get(&key).is_none().then_some(key)
        })
    }
}
