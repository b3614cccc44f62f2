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
use crate::manager::sessions::exchanges::Exchanges;
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

impl<S: Storage> Exchanges<S> {
    /// Returns true if another message of a session can be sealed: one on an exchange of this node
    /// (`own`), or of the peer.
    fn may_seal<C: Crypto, T>(&self, entry: &mut Entry<C, T>, own: bool) -> bool {
        // Most often nothing in flight is old, and the exchanges need not be looked at.
        if entry.reaches(entry.oldest, self.len().saturating_add(1)) {
            return true;
        }
        let next = entry.next_counter();
        let (mut oldest, mut acks) = (next, usize::from(own));
        for (key, exchange) in self.on(entry.session.local_session_id()) {
            let exchange = &exchange.exchange;
            // What the peer answers on an exchange of this node is acknowledged.
            let answer = key.initiator && !exchange.is_waiting();
            acks = acks.saturating_add(exchange.acks_owed()).saturating_add(answer.into());
            let counter = exchange.unacknowledged().map_or(next, MessageCounter::get);
            oldest = oldest.min(counter);
        }
        entry.oldest = oldest;
        oldest == next || entry.reaches(oldest, acks)
    }

    /// Returns the exchange whose message waits longest to be sealed.
    fn waiting_longest(&self, session: LocalSessionId) -> Option<ExchangeKey> {
        let waiting = self.on(session).filter(|(_, entry)| entry.exchange.is_waiting());
        waiting.min_by_key(|(_, entry)| entry.exchange.last_used()).map(|(key, _)| *key)
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Returns true if a message on this exchange can be sealed at once.
    pub(super) fn may_seal(&mut self, key: ExchangeKey) -> bool {
        let Some(entry) = self.table.by_local_mut(key.session) else { return true };
        // A reliable transport repeats nothing. Messages that wait go first.
        entry.address.is_reliable() || entry.waiting == 0 && self.exchanges.may_seal(entry, false)
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
            let Some(key) = self.exchanges.waiting_longest(local) else {
                entry.waiting = 0;
                return;
            };
            if !self.exchanges.may_seal(entry, key.initiator) {
                return;
            }
            entry.waiting = entry.waiting.saturating_sub(1);
            let Some(session) = self.table.in_use(local) else { return };
            let Some(exchange) = self.exchanges.get_mut(&key) else { return };
            if exchange.seal_waiting(key, session, &mut delivery.bytes, now).is_err() {
                let exchange = ExchangeHandle { key, serial: exchange.serial };
                delivery.push_event(Event::Undelivered { exchange });
            }
            self.update(key, delivery, node);
            self.watch_counter(local, delivery);
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
        let is_in_flight = self.exchanges.on(local).any(|(_, e)| e.exchange.is_in_flight());
        if !is_in_flight || entry.session.remaining_messages() <= FEW {
            self.end(entry.handle(), CloseReason::CounterExhausted, now, delivery);
        }
    }
}
