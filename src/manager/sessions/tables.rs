//! The part of a manager that holds its secure sessions.

use rand_core::CryptoRng;

use crate::context::PeerCertificates;
use crate::crypto::Crypto;
use crate::exchange::Exchange;
use crate::ids::Peer;
use crate::ids::{ExchangeId, FabricIndex, LocalSessionId, ProtocolId};
use crate::manager::config::Config;
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::node::Node;
use crate::manager::sessions::entry::Entry;
use crate::manager::sessions::exchanges::Exchanges;
use crate::manager::sessions::refused::Refused;
use crate::manager::sessions::session_ref::SessionRef;
use crate::manager::sessions::table::SessionTable;
use crate::manager::storage::Storage;
use crate::resumption::ResumptionRecord;
use crate::time::{Instant, MatterTime};

/// The secure sessions of a node and their exchanges.
pub(in crate::manager) struct Sessions<C: Crypto, S: Storage, T> {
    pub(super) table: SessionTable<C, S, T>,
    pub(super) exchanges: Exchanges<S>,
    pub(super) refused: Refused<S>,
    /// A session that closes, and may have sent its last acknowledgement.
    pub(super) settled: Option<LocalSessionId>,
    /// On how many sessions the application waits for an exchange.
    pub(super) wanting: usize,
    /// A lower bound of the sessions with a message that was not acknowledged in time and not
    /// reported yet; `None` if there is no such session.
    pub(super) first_silent: Option<LocalSessionId>,
    /// The session that PASE as the responder established last.
    pub(super) commissioned: Option<SessionHandle>,
    /// When that session ends unless the application says otherwise.
    pub(super) fail_safe: Option<Instant>,
}

impl<C: Crypto, S: Storage, T> Sessions<C, S, T> {
    pub(in crate::manager) const EMPTY: Self = Self {
        table: SessionTable::EMPTY,
        exchanges: Exchanges::EMPTY,
        refused: Refused::EMPTY,
        settled: None,
        wanting: 0,
        first_silent: None,
        commissioned: None,
        fail_safe: None,
    };

    /// Makes room as the configuration says. Any `last_id` sets where session ids start.
    pub(in crate::manager) fn start(
        &mut self,
        config: &Config,
        last_id: u16,
        rng: &mut dyn CryptoRng,
    ) {
        self.table.start(config.sessions(), config.session_ids(), last_id, rng);
        self.exchanges.limit(config.max_exchanges);
        self.refused.start();
    }

    /// Returns how many sessions fit.
    pub(in crate::manager) fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// Returns how many sessions there are.
    pub(in crate::manager) fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns how many exchanges fit.
    pub(in crate::manager) fn exchange_capacity(&self) -> usize {
        self.exchanges.capacity()
    }

    /// Returns how many exchanges are open.
    pub(in crate::manager) fn exchange_count(&self) -> usize {
        self.exchanges.len()
    }

    /// Returns true if no message is in flight, no acknowledgement is owed, and no session is about
    /// to end for it.
    pub(in crate::manager) fn are_settled(&self) -> bool {
        self.settled.is_none() && self.exchanges.are_settled()
    }

    /// Returns true if a session is of this fabric.
    pub(in crate::manager) fn has_fabric(&self, fabric: FabricIndex) -> bool {
        self.table.next_of_fabric(fabric, None, 0).is_some()
    }

    /// Returns true while the session lives that PASE as the responder established last. No other
    /// commissioner is served then.
    pub(in crate::manager) fn is_commissioned(&self) -> bool {
        self.commissioned.is_some_and(|session| self.table.get(session).is_some())
    }

    /// Notes the session that PASE as the responder has established, and when its fail-safe expires.
    pub(in crate::manager) const fn set_commissioned(
        &mut self,
        session: SessionHandle,
        fail_safe: Option<Instant>,
    ) {
        self.commissioned = Some(session);
        self.fail_safe = fail_safe;
    }

    /// Sets when the fail-safe of that session expires. Returns false if the session has ended.
    pub(in crate::manager) fn set_fail_safe(&mut self, expires: Option<Instant>) -> bool {
        let lives = self.is_commissioned();
        if lives {
            self.fail_safe = expires;
        }
        lives
    }

    /// Returns when the fail-safe expires.
    pub(in crate::manager) const fn poll_timeout(&self) -> Option<Instant> {
        self.fail_safe
    }

    /// Notes what a session comes from: the record of its handshake, and whether it was `resumed`.
    /// Until a message of the peer arrives on a resumed session, nothing shows that both have the
    /// same keys.
    pub(in crate::manager) fn set_origin(
        &mut self,
        session: SessionHandle,
        record: &ResumptionRecord,
        resumed: bool,
    ) {
        if let Some(entry) = self.table.get_mut(session) {
            let seconds = |time: Option<MatterTime>| time.map_or(0, MatterTime::as_seconds);
            entry.authenticated = seconds(record.authenticated);
            entry.valid_until = seconds(record.valid_until);
            (entry.is_resumed, entry.is_unheard) = (resumed, resumed);
        }
    }

    /// Keeps the certificates of its peer with a session that lives.
    pub(in crate::manager) fn keep_certificates(
        &mut self,
        session: SessionHandle,
        certificates: &PeerCertificates<'_>,
    ) {
        self.table.keep_certificates(session, certificates);
    }

    /// Returns the next local session id that is neither in use nor `reserved`.
    pub(in crate::manager) fn free_id(
        &mut self,
        reserved: impl Fn(LocalSessionId) -> bool,
    ) -> Option<LocalSessionId> {
        self.table.free_id(reserved)
    }

    /// Returns a session.
    pub(in crate::manager) fn get<'a>(
        &'a self,
        session: SessionHandle,
        node: &'a Node<S>,
    ) -> Option<SessionRef<'a, C, S, T>> {
        self.table.get_ref(session, node)
    }

    /// Returns the session that has this local id now.
    pub(in crate::manager) fn by_id(&self, local: LocalSessionId) -> Option<SessionHandle> {
        self.table.handle(local)
    }

    /// Returns all sessions by ascending local id.
    pub(in crate::manager) fn iter<'a>(
        &'a self,
        node: &'a Node<S>,
    ) -> impl Iterator<Item = SessionRef<'a, C, S, T>> {
        self.table.refs(node)
    }

    /// Returns the session that messages to a peer should use: none that is defunct, none that
    /// closes, and none whose counter is used up.
    pub(in crate::manager) fn best_of_peer(&self, peer: Peer) -> Option<SessionHandle> {
        self.table.best_of_peer(peer, |_| true)
    }

    /// Returns that session among those on which this payload can be sent on a new exchange.
    pub(in crate::manager) fn best_for_payload(
        &self,
        peer: Peer,
        protocol: ProtocolId,
        len: usize,
        config: &Config,
    ) -> Option<SessionHandle> {
        let header = Exchange::<[u8; 0]>::new(ExchangeId::default(), true, Instant::ZERO);
        let header_len = header.header(protocol, 0, true).encoded_len();
        self.table.best_of_peer(peer, |entry| entry.max_payload(header_len, config) >= len)
    }

    /// Returns all CASE sessions with a peer, in no particular order.
    pub(in crate::manager) fn of_peer(&self, peer: Peer) -> impl Iterator<Item = SessionHandle> {
        self.table.of_peer(peer).map(|(_, entry)| entry.handle())
    }

    /// Returns the newest PASE session.
    pub(in crate::manager) fn pase(&self) -> Option<SessionHandle> {
        self.table.pase().max_by_key(|entry| entry.serial).map(Entry::handle)
    }

    /// Returns the session over a connection that has the lowest local id.
    pub(in crate::manager) fn first_over(&self, connection: PeerAddress) -> Option<SessionHandle> {
        self.table.next_over(connection, 0)
    }

    /// Returns the application's data of a session.
    pub(in crate::manager) fn data_mut(&mut self, session: SessionHandle) -> Option<&mut T> {
        self.table.get_mut(session).map(|entry| &mut entry.data)
    }

    /// Ties a PASE session to a fabric. Returns false for other sessions.
    pub(in crate::manager) fn associate_fabric(
        &mut self,
        session: SessionHandle,
        fabric: FabricIndex,
    ) -> bool {
        let entry = self.table.get_mut(session);
        entry.is_some_and(|entry| entry.session.associate_fabric(fabric))
    }
}
