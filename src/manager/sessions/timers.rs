//! How an exchange times out.

use core::time::Duration;

use crate::crypto::Crypto;
use crate::manager::delivery::Delivery;
use crate::manager::event::Event;
use crate::manager::handle::{ExchangeHandle, ExchangeKey};
use crate::manager::node::Node;
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::Storage;
use crate::time::Instant;

/// How long an idle exchange is kept again while too many events wait.
const RETRY: Duration = Duration::from_secs(1);

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
        let exchange = ExchangeHandle { key, serial: entry.serial };
        let ends = entry.exchange.last_used() + lifetime;
        let is_idle = !entry.exchange.is_in_flight() && now >= ends;
        if is_idle && !gave_up && !entry.closing {
            if delivery.is_backlogged() && now + RETRY > now {
                // There is no room to tell of it.
                entry.exchange.defer_idle(now.saturating_since(ends).saturating_add(RETRY));
            } else {
                entry.closing = true;
                delivery.push_event(Event::ExchangeExpired { exchange });
            }
        }
        if gave_up {
            self.table.unanswered(key.session);
            delivery.push_event(Event::Undelivered { exchange });
        }
        self.update(key, delivery, node);
        self.seal_waiting(key.session, now, delivery, node);
        self.end_if_exhausted(key.session, now, delivery);
    }
}
