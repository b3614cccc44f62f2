//! The secure sessions of a node.

use core::fmt;

use super::handle::{ExchangeKey, PeerAddress, PeerKey, SessionHandle, Source};
use super::outbox::SHORT_LEN;
use super::storage::{Map, Storage};
use super::{CloseReason, Event, SessionManager};
use crate::crypto::Crypto;
use crate::handshake::Context;
use crate::ids::{ExchangeId, FabricIndex, LocalSessionId, NodeId, ProtocolId};
use crate::session::{SecureSession, SessionKind};
use crate::time::Instant;
use crate::tlv::Buffer;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageBuf, ProtocolHeader, StatusReport};

/// Secure sessions by local id and by peer.
pub(super) struct SessionTable<C: Crypto, S: Storage, T> {
    entries: S::Sessions<Entry<C, T>>,
    peers: S::Peers,
    last_id: u16,
}

pub(super) struct Entry<C: Crypto, T> {
    pub(super) session: SecureSession<C>,
    pub(super) address: PeerAddress,
    pub(super) serial: u64,
    /// The peer has not answered lately; the session is offered only if there is no other.
    pub(super) defunct: bool,
    pub(super) warned: bool,
    pub(super) context: T,
}

impl<C: Crypto, T> Entry<C, T> {
    pub(super) const fn handle(&self) -> SessionHandle {
        SessionHandle { local: self.session.local_session_id(), serial: self.serial }
    }

    fn peer_key(&self) -> Option<PeerKey> {
        let identity = self.session.identity();
        let session = Some(self.session.local_session_id());
        let fabric = identity.fabric().filter(|_| identity.kind() == SessionKind::Case)?;
        Some(PeerKey { fabric, node: identity.peer_node(), session })
    }
}

impl<C: Crypto, T> fmt::Debug for Entry<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("session", &self.session).finish_non_exhaustive()
    }
}

impl<C: Crypto, S: Storage, T> SessionTable<C, S, T> {
    pub(super) const EMPTY: Self = Self { entries: Map::EMPTY, peers: Map::EMPTY, last_id: 0 };

    /// Has room for so many CASE sessions or fewer, and one more place that is kept for PASE.
    /// The first id to be given out follows `last_id`.
    pub(super) fn start(&mut self, case_sessions: usize, last_id: u16) {
        self.entries.limit(case_sessions.saturating_add(1));
        self.peers.limit(self.entries.capacity().saturating_sub(1));
        self.last_id = last_id;
    }

    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no place left for a session of this kind.
    pub(super) fn is_full(&self, kind: SessionKind) -> bool {
        let no_place = self.entries.len() >= self.entries.capacity();
        match kind {
            SessionKind::Pase => no_place,
            SessionKind::Case => no_place || self.peers.len() >= self.peers.capacity(),
        }
    }

    pub(super) fn by_local(&self, local: LocalSessionId) -> Option<&Entry<C, T>> {
        self.entries.get(&local)
    }

    pub(super) fn by_local_mut(&mut self, local: LocalSessionId) -> Option<&mut Entry<C, T>> {
        self.entries.get_mut(&local)
    }

    pub(super) fn get(&self, handle: SessionHandle) -> Option<&Entry<C, T>> {
        self.entries.get(&handle.local).filter(|entry| entry.serial == handle.serial)
    }

    pub(super) fn get_mut(&mut self, handle: SessionHandle) -> Option<&mut Entry<C, T>> {
        self.entries.get_mut(&handle.local).filter(|entry| entry.serial == handle.serial)
    }

    /// The handle of the session that has this id now.
    pub(super) fn handle(&self, local: LocalSessionId) -> Option<SessionHandle> {
        self.by_local(local).map(Entry::handle)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<C, T>> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// The CASE sessions with a peer, in no particular order.
    pub(super) fn of_peer(
        &self,
        fabric: FabricIndex,
        node: NodeId,
    ) -> impl Iterator<Item = &Entry<C, T>> {
        let first = PeerKey { fabric, node, session: None };
        self.peers
            .from(first)
            .map(|(key, ())| *key)
            .take_while(move |key| key.fabric == fabric && key.node == node)
            .filter_map(|key| self.entries.get(&key.session?))
    }

    /// All CASE sessions, ordered by fabric and then by peer.
    pub(super) fn by_peer(&self) -> impl Iterator<Item = (PeerKey, &Entry<C, T>)> {
        let entry = |key: PeerKey| Some((key, self.entries.get(&key.session?)?));
        self.peers.iter().filter_map(move |(key, ())| entry(*key))
    }

    /// The CASE sessions of a fabric, ordered by peer.
    pub(super) fn of_fabric(
        &self,
        fabric: FabricIndex,
    ) -> impl Iterator<Item = (PeerKey, &Entry<C, T>)> {
        let first = PeerKey { fabric, node: NodeId::UNSPECIFIED, session: None };
        let entry = |key: PeerKey| Some((key, self.entries.get(&key.session?)?));
        self.peers
            .from(first)
            .take_while(move |(key, ())| key.fabric == fabric)
            .filter_map(move |(key, ())| entry(*key))
    }

    fn first(&self) -> Option<SessionHandle> {
        let first = self.iter().next();
        first.map(Entry::handle)
    }

    /// Any session with a peer at this address.
    fn first_over(&self, address: PeerAddress) -> Option<SessionHandle> {
        let first = self.iter().find(|entry| entry.address == address);
        first.map(Entry::handle)
    }

    /// Any session of a fabric: a CASE session, or a PASE session over which it was added.
    pub(super) fn first_of_fabric(&self, fabric: FabricIndex) -> Option<SessionHandle> {
        let case = self.of_fabric(fabric).next().map(|(_, entry)| entry);
        let pase = || self.pase().find(|e| e.session.identity().fabric() == Some(fabric));
        case.or_else(pase).map(Entry::handle)
    }

    /// The PASE sessions.
    pub(super) fn pase(&self) -> impl Iterator<Item = &Entry<C, T>> {
        self.iter().filter(|entry| entry.session.kind() == SessionKind::Pase)
    }

    /// The next local id that is neither in use nor `reserved`: ids go round, so that none comes
    /// back before all others had their turn.
    pub(super) fn free_id(
        &mut self,
        reserved: impl Fn(LocalSessionId) -> bool,
    ) -> Option<LocalSessionId> {
        for _ in 0..=u16::MAX {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = LocalSessionId::new(self.last_id)
                && self.entries.get(&id).is_none()
                && !reserved(id)
            {
                return Some(id);
            }
        }
        None
    }

    fn insert(&mut self, entry: Entry<C, T>) -> Option<SessionHandle> {
        let (handle, key) = (entry.handle(), entry.peer_key());
        self.entries.insert(handle.local, entry).ok()?;
        if let Some(key) = key
            && self.peers.insert(key, ()).is_err()
        {
            // A session that cannot be found by its peer is none.
            self.entries.discard(&handle.local);
            return None;
        }
        Some(handle)
    }

    /// Ends a session where it stands, as moving it would leave its keys there. Returns what the
    /// application kept for it.
    fn remove(&mut self, handle: SessionHandle) -> Option<T>
    where
        T: Default,
    {
        let entry = self.get_mut(handle)?;
        let (key, context) = (entry.peer_key(), core::mem::take(&mut entry.context));
        self.entries.discard(&handle.local);
        if let Some(key) = key {
            self.peers.discard(&key);
        }
        Some(context)
    }
}

/// A secure session as the manager holds it.
pub struct SessionRef<'a, C: Crypto, T>(&'a Entry<C, T>);

impl<'a, C: Crypto, T> SessionRef<'a, C, T> {
    /// Its handle.
    #[must_use]
    pub const fn handle(&self) -> SessionHandle {
        self.0.handle()
    }

    /// Its facts: kind, identities, peer parameters, attestation challenge, times.
    #[must_use]
    pub const fn session(&self) -> &'a SecureSession<C> {
        &self.0.session
    }

    /// Where the peer was heard last.
    #[must_use]
    pub const fn peer_address(&self) -> PeerAddress {
        self.0.address
    }

    /// Whether the peer left a message unacknowledged and has not been heard since.
    #[must_use]
    pub const fn is_defunct(&self) -> bool {
        self.0.defunct
    }

    /// The application's data.
    #[must_use]
    pub const fn context(&self) -> &'a T {
        &self.0.context
    }
}

impl<C: Crypto, T> fmt::Debug for SessionRef<'_, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// A secure session.
    #[must_use]
    pub fn session(&self, session: SessionHandle) -> Option<SessionRef<'_, C, T>> {
        self.sessions.get(session).map(SessionRef)
    }

    /// The secure session that has this local id now.
    #[must_use]
    pub fn session_by_id(&self, local: LocalSessionId) -> Option<SessionHandle> {
        self.sessions.handle(local)
    }

    /// All secure sessions, by ascending local id.
    pub fn sessions(&self) -> impl Iterator<Item = SessionRef<'_, C, T>> {
        self.sessions.iter().map(SessionRef)
    }

    /// How many secure sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The session that messages to a peer should use: the one that heard from it last, defunct
    /// ones only if there is no other.
    #[must_use]
    pub fn session_with(&self, fabric: FabricIndex, node: NodeId) -> Option<SessionHandle> {
        self.sessions
            .of_peer(fabric, node)
            .max_by_key(|entry| (!entry.defunct, entry.session.last_received(), entry.serial))
            .map(Entry::handle)
    }

    /// All CASE sessions with a peer.
    pub fn by_peer(
        &self,
        fabric: FabricIndex,
        node: NodeId,
    ) -> impl Iterator<Item = SessionHandle> {
        self.sessions.of_peer(fabric, node).map(Entry::handle)
    }

    /// The PASE session, if there is one; the newest, if this node commissions several devices.
    #[must_use]
    pub fn pase_session(&self) -> Option<SessionHandle> {
        self.sessions.pase().max_by_key(|entry| entry.serial).map(Entry::handle)
    }

    /// The application's data of a session.
    #[must_use]
    pub fn context_mut(&mut self, session: SessionHandle) -> Option<&mut T> {
        self.sessions.get_mut(session).map(|entry| &mut entry.context)
    }

    /// Ties a PASE session to the fabric that was added over it: removing the fabric ends it.
    /// Returns false for other sessions.
    pub fn associate_fabric(&mut self, session: SessionHandle, fabric: FabricIndex) -> bool {
        self.sessions.get_mut(session).is_some_and(|entry| entry.session.associate_fabric(fabric))
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
    /// [`max_replies`](super::Config::max_replies) (with [`Fixed`](super::Fixed) storage eight) are
    /// told nothing: where there are more, [`close`](Self::close) a few at a time and send.
    pub fn close_all(&mut self, cx: &mut Context<'_>) {
        while let Some(session) = self.sessions.first() {
            self.close(cx, session);
        }
    }

    /// Ends what ran over a connection that is lost: the sessions and handshakes of a TCP or BTP
    /// peer. Nobody is told goodbye. [Core, "TCP Considerations"]
    pub fn disconnected(&mut self, cx: &mut Context<'_>, peer: PeerAddress) {
        while let Some(session) = self.sessions.first_over(peer) {
            self.end_session(session, CloseReason::Disconnected, cx.now);
        }
        self.fail_handshakes_over(peer, cx.now);
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
            self.say_goodbye(session, now);
        }
        if let Some(context) = self.sessions.remove(session) {
            self.tell(Event::Closed { session, context, reason });
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

    #[inline(never)]
    fn say_goodbye(&mut self, session: SessionHandle, now: Instant) {
        let mut payload = [0; 8];
        let mut buffer = Buffer::new(&mut payload);
        if StatusReport::close_session().write(&mut buffer).is_err() {
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
        self.push_secure(session, &header, &payload, now);
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
        let Some(entry) = self.sessions.get_mut(session) else { return };
        let mut buf = [0; SHORT_LEN];
        let Ok(message) = MessageBuf::with_payload(&mut buf, payload) else { return };
        if let Ok(sealed) = entry.session.encode(header, message, now) {
            let to = entry.address;
            self.push_short(to, sealed.as_bytes());
            self.watch_counter(session);
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
        if self.sessions.is_full(session.kind())
            && let Some(victim) = self.sessions.choose_victim(session.identity())
        {
            self.end_session(victim, CloseReason::Evicted, now);
        }
        let serial = self.serial();
        let context = T::default();
        let entry = Entry { session, address, serial, defunct: false, warned: false, context };
        self.sessions.insert(entry)
    }

    /// Warns once when a session has few counters left; later if too many events wait.
    pub(super) fn watch_counter(&mut self, session: SessionHandle) {
        /// A month at one message a second.
        const FEW: u32 = 1 << 21;
        let backlogged = self.is_backlogged();
        if let Some(entry) = self.sessions.get_mut(session)
            && !entry.warned
            && !backlogged
            && entry.session.remaining_messages() < FEW
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
