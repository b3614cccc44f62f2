//! How a session begins and ends in the table.

use crate::crypto::Crypto;
use crate::ids::{FabricIndex, LocalSessionId, Peer};
use crate::manager::delivery::Delivery;
use crate::manager::event::{CloseReason, Event};
use crate::manager::handle::{PeerAddress, SessionHandle, Source};
use crate::manager::node::Node;
use crate::manager::sessions::entry::Entry;
use crate::manager::sessions::exchanges::ExchangeEntry;
use crate::manager::sessions::tables::Sessions;
use crate::manager::statistics::increment;
use crate::manager::storage::Storage;
use crate::session::SecureSession;
use crate::time::Instant;
use crate::wire::StatusReport;

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Adds a new session, and evicts an old one if it must. Returns `None` if there is no room.
    #[inline(never)]
    pub(in crate::manager) fn add(
        &mut self,
        session: SecureSession<C>,
        address: PeerAddress,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Option<SessionHandle> {
        let most_of_peer = node.config.max_sessions_per_peer;
        if let Some(victim) = self.table.victim_for(session.identity(), most_of_peer) {
            let evicted = &mut delivery.statistics.evicted;
            increment(match self.table.is_peer_full(session.identity(), most_of_peer) {
                true => &mut evicted.sessions_of_peer,
                false => &mut evicted.sessions,
            });
            self.end(victim, CloseReason::Evicted, now, delivery);
        }
        let serial = delivery.serial();
        self.table.insert(Entry::new(session, address, serial))
    }

    /// Ends a session with its exchanges, if it lives. Queues a CloseSession unless the peer sent
    /// its own or cannot be reached.
    #[inline(never)]
    pub(in crate::manager) fn end(
        &mut self,
        session: SessionHandle,
        reason: CloseReason,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        if self.table.get(session).is_none() {
            return;
        }
        self.end_exchanges(session, reason, now, delivery);
        if reason.notifies_peer() {
            self.push_report(session, &StatusReport::close_session(), now, delivery);
        }
        self.refused.end_session(session.local);
        self.wants_none(session);
        if let Some(data) = self.table.remove(session) {
            self.fail_safe = self.fail_safe.filter(|_| self.commissioned != Some(session));
            delivery.push_event(Event::Closed { session, data, reason });
        }
    }

    /// Ends the exchanges of a session. Acknowledgements that they owe are queued now, and messages
    /// in flight are reported.
    fn end_exchanges(
        &mut self,
        session: SessionHandle,
        reason: CloseReason,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        while let Some(key) = self.exchanges.first_of(session.local) {
            let Some(mut entry) = self.exchanges.remove(&key) else { break };
            delivery.forget(Source::Exchange(key), entry.filed);
            if reason.notifies_peer() {
                self.acknowledge_all(session, &mut entry, now, delivery);
            }
            entry.report_undelivered(key, delivery);
        }
    }

    /// Queues the acknowledgements that an exchange owes, because it ends.
    pub(super) fn acknowledge_all(
        &mut self,
        session: SessionHandle,
        entry: &mut ExchangeEntry<S>,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        entry.exchange.flush_ack();
        while let Some(header) = entry.exchange.next_ack() {
            self.push_ack(session, &header, now, delivery);
            entry.exchange.sent(&header, now);
            // Now there is a place for one that is owed.
            entry.exchange.flush_ack();
        }
    }

    /// Ends all CASE sessions with a peer.
    pub(in crate::manager) fn end_peer(
        &mut self,
        peer: Peer,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        while let Some(session) = self.table.any_of_peer(peer) {
            self.end(session, CloseReason::Local, now, delivery);
        }
    }

    /// Ends all sessions.
    pub(in crate::manager) fn end_all(&mut self, now: Instant, delivery: &mut Delivery<S, T>) {
        while let Some(session) = self.table.first() {
            self.end(session, CloseReason::Local, now, delivery);
        }
    }

    /// Ends the sessions over a connection that is lost.
    pub(in crate::manager) fn end_over(
        &mut self,
        connection: PeerAddress,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let mut first = 0;
        while let Some(session) = self.table.next_over(connection, first) {
            self.end(session, CloseReason::Disconnected, now, delivery);
            first = session.local.get();
        }
    }

    /// Ends the sessions of a fabric: its CASE sessions, and the PASE sessions that it was added
    /// over. `spared` ends when it is settled.
    #[inline(never)]
    pub(in crate::manager) fn end_fabric(
        &mut self,
        fabric: FabricIndex,
        spared: Option<SessionHandle>,
        reason: CloseReason,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let mut first = 0;
        while let Some(session) = self.table.next_of_fabric(fabric, spared, first) {
            self.end(session, reason, now, delivery);
            first = session.local.get();
        }
        let is_of = |entry: &Entry<C, T>| entry.session.identity().fabric() == Some(fabric);
        if let Some(spared) = spared.filter(|spared| self.table.get(*spared).is_some_and(is_of)) {
            self.end_when_settled(spared, reason, delivery);
        }
    }

    /// Ends a session once it has no exchange. None begins on it from now on, and if its fabric is
    /// the reason, no message of the peer is delivered on those that it has.
    pub(in crate::manager) fn end_when_settled(
        &mut self,
        session: SessionHandle,
        reason: CloseReason,
        delivery: &mut Delivery<S, T>,
    ) {
        if let Some(entry) = self.table.get_mut(session) {
            // What the application says afterwards takes nothing back.
            let former = entry.closing.filter(|_| reason == CloseReason::Local);
            entry.closing = Some(former.unwrap_or(reason));
            self.end_if_settled(session.local, delivery);
        }
    }

    /// Ends the session that has sent its last acknowledgement, if there is one. To be called before
    /// the next datagram is polled.
    #[inline]
    pub(in crate::manager) fn end_settled(&mut self, delivery: &mut Delivery<S, T>) {
        if let Some(local) = self.settled.take() {
            self.end_if_settled(local, delivery);
        }
    }

    /// Ends a session that closes and has no exchange left. To be called after the end of each
    /// exchange.
    pub(super) fn end_if_settled(&mut self, local: LocalSessionId, delivery: &mut Delivery<S, T>) {
        let Some(entry) = self.table.by_local(local) else { return };
        if let Some(reason) = entry.closing
            && self.exchanges.first_of(local).is_none()
        {
            // No other time is at hand where an exchange ends.
            let now = entry.session.last_activity();
            self.end(entry.handle(), reason, now, delivery);
        }
    }
}
