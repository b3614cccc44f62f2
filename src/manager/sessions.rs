//! The secure sessions of a node.

use core::fmt;

use super::handle::{ExchangeKey, PeerAddress, SessionHandle, Source};
use super::outbox::SHORT_LEN;
use super::session_table::Entry;
use super::storage::{Map, Storage};
use super::{CloseReason, Event, NoPaseSession, SessionManager};
use crate::bytes::Buffer;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{ExchangeId, FabricIndex, LocalSessionId, Peer, ProtocolId};
use crate::session::SecureSession;
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageBuf, ProtocolHeader, StatusReport};

/// A secure session as the manager holds it.
pub struct SessionRef<'a, C: Crypto, T> {
    pub(super) entry: &'a Entry<C, T>,
    pub(super) defunct: bool,
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
    pub const fn data(&self) -> &'a T {
        &self.entry.data
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
        self.sessions.get_ref(session)
    }

    /// The secure session that has this local id now.
    #[must_use]
    pub fn session_by_id(&self, local: LocalSessionId) -> Option<SessionHandle> {
        self.sessions.handle(local)
    }

    /// All secure sessions, by ascending local id.
    pub fn sessions(&self) -> impl Iterator<Item = SessionRef<'_, C, T>> {
        self.sessions.refs()
    }

    /// How many secure sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The session that messages to a peer should use: the one that heard from it last, defunct
    /// ones only if there is no other.
    #[must_use]
    pub fn session_with(&self, peer: Peer) -> Option<SessionHandle> {
        self.sessions.best_of_peer(peer)
    }

    /// All CASE sessions with a peer, in no particular order.
    pub fn sessions_with(&self, peer: Peer) -> impl Iterator<Item = SessionHandle> {
        self.sessions.of_peer(peer).map(|(_, entry)| entry.handle())
    }

    /// The PASE session, if there is one; the newest, if this node commissions several devices.
    #[must_use]
    pub fn pase_session(&self) -> Option<SessionHandle> {
        self.sessions.pase().max_by_key(|entry| entry.serial).map(Entry::handle)
    }

    /// The application's data of a session.
    #[must_use]
    pub fn data_mut(&mut self, session: SessionHandle) -> Option<&mut T> {
        self.sessions.get_mut(session).map(|entry| &mut entry.data)
    }

    /// Ties a PASE session to the fabric that was added over it: removing the fabric ends it.
    ///
    /// # Errors
    /// [`NoPaseSession`].
    pub fn associate_fabric(
        &mut self,
        session: SessionHandle,
        fabric: FabricIndex,
    ) -> Result<(), NoPaseSession> {
        let entry = self.sessions.get_mut(session).ok_or(NoPaseSession)?;
        entry.session.associate_fabric(fabric).then_some(()).ok_or(NoPaseSession)
    }

    /// Closes a session: acknowledgements that are owed leave, the peer is told once, and
    /// [`Event::Closed`] hands the application's data back. Nothing happens if it is closed.
    pub fn close_session(&mut self, cx: &mut Context<'_>, session: SessionHandle) {
        self.end_session(session, CloseReason::Local, cx.now);
    }

    /// Closes all CASE sessions with a peer.
    pub fn close_sessions_with(&mut self, cx: &mut Context<'_>, peer: Peer) {
        while let Some(session) = self.session_with(peer) {
            self.close_session(cx, session);
        }
    }

    /// Closes all secure sessions: before a shutdown, say. Send what
    /// [`poll_transmit`](Self::poll_transmit) yields after it. Peers beyond
    /// [`max_replies`](super::Config::max_replies) (with [`Fixed`](super::Fixed) storage eight) are
    /// told nothing: where there are more, [`close_session`](Self::close_session) a few at a time
    /// and send.
    pub fn close_sessions(&mut self, cx: &mut Context<'_>) {
        while let Some(session) = self.sessions.first() {
            self.close_session(cx, session);
        }
    }

    /// Ends a session, with a goodbye unless the peer said its own or is out of reach.
    #[inline(never)]
    pub(super) fn end_session(
        &mut self,
        session: SessionHandle,
        reason: CloseReason,
        now: Instant,
    ) {
        if self.sessions.get(session).is_none() {
            return;
        }
        self.end_exchanges(session, reason, now);
        if reason.is_heard() {
            self.push_status(session, &StatusReport::close_session(), now);
        }
        if let Some(data) = self.sessions.remove(session) {
            self.tell(Event::Closed { session, data, reason });
        }
    }

    /// Ends the exchanges of a session; acknowledgements that they owe leave now.
    fn end_exchanges(&mut self, session: SessionHandle, reason: CloseReason, now: Instant) {
        let first = ExchangeKey::first_of(session.local);
        while let Some(key) =
            self.exchanges.first_from(first).filter(|key| key.session == session.local)
        {
            let Some(mut entry) = self.exchanges.remove(&key) else { break };
            self.forget(Source::Exchange(key), entry.filed);
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
    pub(super) fn push_status(
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
            exchange: self.exchange_id(),
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
    pub(super) fn push_secure(
        &mut self,
        session: SessionHandle,
        header: &ProtocolHeader,
        payload: &[u8],
        now: Instant,
    ) {
        let Some(entry) = self.sessions.in_use(session.local) else { return };
        if entry.serial != session.serial {
            return;
        }
        let mut buf = [0; SHORT_LEN];
        let Ok(message) = MessageBuf::with_payload(&mut buf, payload) else { return };
        if let Ok(sealed) = entry.session.encode(header, message, now) {
            let to = entry.address;
            self.push_short(to, sealed.as_bytes());
            self.watch_counter(session.local);
        }
    }

    /// Queues a short datagram, for which older ones give way.
    pub(super) fn push_short(&mut self, to: PeerAddress, datagram: &[u8]) {
        let dropped = self.outbox.push(to, datagram);
        let count = &mut self.statistics.replies_dropped;
        *count = count.saturating_add(dropped);
    }

    /// Takes a new session in; an old one makes room if it must.
    #[inline(never)]
    pub(super) fn add_session(
        &mut self,
        session: SecureSession<C>,
        address: PeerAddress,
        now: Instant,
    ) -> Option<SessionHandle> {
        let most = self.node.config.max_sessions_per_peer;
        if let Some(victim) = self.sessions.makes_room_for(session.identity(), most) {
            self.end_session(victim, CloseReason::Evicted, now);
        }
        let serial = self.serial();
        self.sessions.insert(Entry::new(session, address, serial))
    }

    /// Warns once when a session has few counters left; later if too many events wait.
    pub(super) fn watch_counter(&mut self, session: LocalSessionId) {
        /// A month at one message a second.
        const FEW: u32 = 1 << 21;
        let Some(entry) = self.sessions.by_local_mut(session) else { return };
        if entry.session.remaining_messages() >= FEW || entry.warned {
            return;
        }
        let session = entry.handle();
        if !self.is_backlogged()
            && let Some(entry) = self.sessions.get_mut(session)
        {
            entry.warned = true;
            self.tell(Event::CounterLow { session });
        }
    }

    /// The key of a new exchange that this node begins on a session; `None` when every exchange
    /// id is in use there.
    pub(super) fn new_exchange_key(&mut self, session: LocalSessionId) -> Option<ExchangeKey> {
        (0..=u16::MAX).find_map(|_| {
            let id: ExchangeId = self.exchange_id();
            let key = ExchangeKey { session, id, initiator: true };
            self.exchanges.get(&key).is_none().then_some(key)
        })
    }
}
