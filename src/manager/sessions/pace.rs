//! How many messages of a session are on their way at once.
//!
//! Other implementations tell a message from a duplicate while its counter is at most 32 below the
//! largest that they have received. One that is lost, and comes again when it is further behind, is
//! acknowledged and never delivered. So no message is sealed that would put one in flight further
//! behind, the acknowledgements included that this node may have to send meanwhile. It waits in
//! its place, unsealed, and is sealed when the message in flight is acknowledged or given up.
//!
//! How many acknowledgements a peer asks for is not in the hand of this node. If they are too many,
//! the acknowledgement of a message that has fallen behind says nothing.

use crate::crypto::Crypto;
use crate::ids::{LocalSessionId, MessageCounter};
use crate::manager::delivery::Delivery;
use crate::manager::event::{CloseReason, Event};
use crate::manager::handle::{ExchangeHandle, ExchangeKey};
use crate::manager::node::Node;
use crate::manager::sessions::entry::Entry;
use crate::manager::sessions::exchanges::{ExchangeEntry, Exchanges};
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::Storage;
use crate::session::WINDOW;
use crate::time::Instant;

impl<C: Crypto, T> Entry<C, T> {
    /// Returns the counter of the next message that is sealed.
    const fn next_counter(&self) -> u32 {
        u32::MAX.saturating_sub(self.session.remaining_messages())
    }

    /// Returns true if so many more messages may be sealed while all in flight stay within the
    /// window of the peer. `oldest`: nothing in flight is older.
    const fn reaches(&self, oldest: u32, more: usize) -> bool {
        let behind = self.next_counter().saturating_sub(oldest);
        (behind as usize).saturating_add(more) <= WINDOW as usize
    }

    /// Returns true if the peer could still tell a message from a duplicate, whenever it came.
    pub(super) const fn was_within_reach(&self, counter: MessageCounter) -> bool {
        // The next counter is not used yet.
        self.reaches(counter.get().saturating_add(1), 0)
    }
}

/// The messages and acknowledgements that are pending on the exchanges of a session.
pub(super) struct Traffic {
    /// The counter of the oldest message in flight.
    oldest: Option<u32>,
    /// How many acknowledgements this node owes, or may owe before it seals many messages more.
    acks: usize,
    /// The exchange whose message waits longest to be sealed.
    waiting: Option<(Instant, ExchangeKey)>,
    /// Whether a message is in flight or waits.
    is_under_way: bool,
    /// How many exchanges this node has begun.
    pub(super) own: usize,
}

impl<S: Storage> Exchanges<S> {
    #[inline(never)]
    pub(super) fn traffic(&self, session: LocalSessionId) -> Traffic {
        let mut traffic =
            Traffic { oldest: None, acks: 0, waiting: None, is_under_way: false, own: 0 };
        for (key, ExchangeEntry { exchange, .. }) in self.of_session(session) {
            let is_waiting = exchange.is_waiting();
            if is_waiting {
                let since = (exchange.last_used(), *key);
                traffic.waiting = traffic.waiting.or(Some(since)).min(Some(since));
            }
            if let Some(counter) = exchange.unacknowledged() {
                let counter = counter.get();
                traffic.oldest = Some(traffic.oldest.unwrap_or(counter).min(counter));
            }
            // What the peer answers on an exchange of this node is acknowledged.
            let answer = key.initiator && !is_waiting;
            let acks = exchange.acks_owed().saturating_add(answer.into());
            traffic.acks = traffic.acks.saturating_add(acks);
            traffic.is_under_way |= exchange.is_in_flight();
            traffic.own = traffic.own.saturating_add(key.initiator.into());
        }
        traffic
    }
}

impl<C: Crypto, T> Entry<C, T> {
    /// Returns true if another message can be sealed, after which this node may owe `more`
    /// acknowledgements besides.
    fn may_seal(&mut self, traffic: &Traffic, more: bool) -> bool {
        let next = self.next_counter();
        self.oldest = traffic.oldest.unwrap_or(next);
        traffic.oldest.is_none()
            || self.reaches(self.oldest, traffic.acks.saturating_add(more.into()))
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Returns true if a message on this exchange can be sealed at once. `laid_out`: the counter of
    /// the oldest message of the session that is laid out and not in flight yet.
    pub(super) fn may_seal(
        &mut self,
        key: ExchangeKey,
        laid_out: impl FnOnce() -> Option<MessageCounter>,
    ) -> bool {
        let Some(entry) = self.table.by_local_mut(key.session) else { return true };
        // A reliable transport repeats nothing.
        if entry.address.is_reliable() {
            return true;
        }
        // Messages that wait go first. Most often none does, and nothing in flight is old: the
        // exchanges need not be looked at.
        if entry.waiting > 0 {
            return false;
        }
        if entry.reaches(entry.oldest, self.exchanges.len().saturating_add(1)) {
            return true;
        }
        // Nor if those of the session are few: each owes three at most, and answers one message.
        let own = self.exchanges.of_session(key.session).count();
        if entry.reaches(entry.oldest, own.saturating_mul(4).saturating_add(1)) {
            return true;
        }
        let mut traffic = self.exchanges.traffic(key.session);
        traffic.oldest = traffic.oldest.or_else(|| laid_out().map(MessageCounter::get));
        entry.may_seal(&traffic, false)
    }

    /// Counts another message that waits to be sealed.
    pub(super) fn holds_another(&mut self, local: LocalSessionId) {
        if let Some(entry) = self.table.by_local_mut(local) {
            entry.waiting = entry.waiting.saturating_add(1);
        }
    }

    /// Seals the messages that wait, as many as may be sealed now.
    #[inline(never)]
    pub(super) fn seal_waiting(
        &mut self,
        local: LocalSessionId,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        while let Some(entry) = self.table.by_local_mut(local)
            && entry.waiting > 0
        {
            let traffic = self.exchanges.traffic(local);
            let Some((_, key)) = traffic.waiting else {
                entry.waiting = 0;
                return;
            };
            if !entry.may_seal(&traffic, key.initiator) {
                return;
            }
            entry.waiting = entry.waiting.saturating_sub(1);
            let Some(session) = self.table.in_use(local) else { return };
            let Some(exchange) = self.exchanges.get_mut(&key) else { return };
            if exchange.seal_waiting(key, session, &mut delivery.bytes, now).is_err() {
                exchange.awaited = None;
                let exchange = ExchangeHandle { key, serial: exchange.serial };
                delivery.push_event(Event::Undelivered { exchange });
            }
            self.update(key, delivery, node);
        }
    }

    /// Ends a session whose counter is used up, once nothing is in flight on it: while the peer can
    /// still be told.
    #[inline(never)]
    pub(super) fn end_if_exhausted(
        &mut self,
        local: LocalSessionId,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        /// For the CloseSession, and acknowledgements that are owed.
        const FEW: u32 = 32;
        let Some(entry) = self.table.by_local(local).filter(|entry| entry.is_exhausted()) else {
            return;
        };
        let is_under_way = self.exchanges.traffic(local).is_under_way;
        if !is_under_way || entry.session.remaining_messages() <= FEW {
            self.end(entry.handle(), CloseReason::CounterExhausted, now, delivery);
        }
    }
}
