//! How an exchange times out.

use crate::crypto::Crypto;
use crate::manager::delivery::Delivery;
use crate::manager::event::Event;
use crate::manager::handle::{ExchangeHandle, ExchangeKey};
use crate::manager::node::Node;
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::Storage;
use crate::time::Instant;

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Re-arms the timer of an exchange and notes whether it has output. Removes the exchange when
    /// it has nothing left to do. To be called after every change to one.
    pub(in crate::manager) fn update(
        &mut self,
        key: ExchangeKey,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        let lives = self.table.by_local(key.session).is_some();
        self.exchanges.update(key, lives, node.config.exchange_lifetime, delivery);
    }

    /// Handles the deadline of an exchange: an acknowledgement or a retransmission is due, or the
    /// exchange ends.
    #[inline(never)]
    pub(in crate::manager) fn timeout(
        &mut self,
        key: ExchangeKey,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        let lifetime = node.config.exchange_lifetime;
        let Some(entry) = self.exchanges.get_mut(&key) else { return };
        entry.filed.came_due();
        if self.table.by_local(key.session).is_none() {
            return self.update(key, delivery, node);
        }
        let gave_up = entry.exchange.handle_timeout(now);
        // An acknowledgement that is owed still leaves: a closed exchange ends when it is settled.
        if !entry.exchange.is_in_flight() && now >= entry.exchange.last_used() + lifetime {
            entry.closing = true;
        }
        let exchange = ExchangeHandle { key, serial: entry.serial };
        if gave_up {
            self.table.unanswered(key.session);
            delivery.push_event(Event::Undelivered { exchange });
        }
        self.update(key, delivery, node);
    }
}
