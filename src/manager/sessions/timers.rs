//! How an exchange times out.

use core::time::Duration;

use crate::crypto::Crypto;
use crate::ids::Peer;
use crate::manager::delivery::Delivery;
use crate::manager::event::{CloseReason, Event};
use crate::manager::handle::{ExchangeHandle, ExchangeKey};
use crate::manager::node::Node;
use crate::manager::sessions::exchanges::ExchangeEntry;
use crate::manager::sessions::tables::Sessions;
use crate::manager::statistics::increment;
use crate::manager::storage::Storage;
use crate::session::ResumptionId;
use crate::time::Instant;

/// How long a deadline of an exchange is put off while too many events wait.
const RETRY: Duration = Duration::from_secs(1);

impl<S: Storage> ExchangeEntry<S> {
    /// Reports that a response is overdue, after which the exchange is kept for its whole lifetime
    /// again; or closes the exchange if it is idle.
    fn expire<T>(
        &mut self,
        exchange: ExchangeHandle,
        now: Instant,
        lifetime: Duration,
        delivery: &mut Delivery<S, T>,
    ) {
        let due = match self.response_due() {
            Some(due) => due,
            None if self.exchange.is_in_flight() => return,
            None => self.exchange.last_used() + lifetime,
        };
        if now < due {
            return;
        }
        let has_no_room = delivery.is_backlogged() && now + RETRY > now;
        match self.awaited {
            Some(_) if has_no_room => self.defer_response(now + RETRY),
            None if has_no_room => self.exchange.defer_idle(now, lifetime, RETRY),
            Some(_) => {
                self.awaited = None;
                self.exchange.defer_idle(now, lifetime, lifetime);
                delivery.push_event(Event::NoResponse { exchange });
            }
            None => {
                self.closing = true;
                delivery.push_event(Event::ExchangeExpired { exchange });
            }
        }
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Re-arms the timer of an exchange and notes whether it has output. Removes the exchange when
    /// it has nothing left to do. To be called after every change to one.
    pub(in crate::manager) fn update(
        &mut self,
        key: ExchangeKey,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        if self.update_exchange(key, delivery, node) {
            self.end_if_settled(key.session, delivery);
        }
    }

    /// Does the same, and leaves it to the caller to end the session if it is settled now. Returns
    /// true if it closes.
    pub(super) fn update_exchange(
        &mut self,
        key: ExchangeKey,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> bool {
        let session = self.table.by_local(key.session);
        let closes = session.is_some_and(|session| session.closing.is_some());
        let lives = session.is_some();
        self.exchanges.update(key, lives, node.config.exchange_lifetime, delivery);
        closes
    }

    /// Handles the deadline of an exchange: an acknowledgement or a retransmission is due, or the
    /// exchange ends. Returns the resumption record to forget, by peer and id, if it does not serve:
    /// a message on a session that was resumed from it was given up, and the peer was never heard on
    /// that session. So the two may have different keys.
    #[inline(never)]
    pub(in crate::manager) fn timeout(
        &mut self,
        key: ExchangeKey,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Option<(Peer, ResumptionId)> {
        let lifetime = node.config.exchange_lifetime;
        let entry = self.exchanges.get_mut(&key)?;
        let Some(session) = self.table.by_local(key.session) else {
            self.update(key, delivery, node);
            return None;
        };
        let record = session.peer().zip(session.session.resumption_id().copied());
        let unserved = record.filter(|_| session.is_unheard);
        let gave_up = entry.exchange.handle_timeout(now);
        if entry.exchange.is_silent() {
            let session = key.session;
            self.first_silent = Some(self.first_silent.map_or(session, |first| first.min(session)));
        }
        // An acknowledgement that is owed still leaves: a closed exchange ends when it is settled.
        let exchange = ExchangeHandle { key, serial: entry.serial };
        if gave_up {
            entry.awaited = None;
            self.table.unanswered(key.session);
            increment(&mut delivery.statistics.given_up);
            if let Some(session) = self.table.by_local_mut(key.session) {
                session.statistics.count_given_up();
            }
            delivery.push_event(Event::Undelivered { exchange });
        } else if !entry.closing {
            entry.expire(exchange, now, lifetime, delivery);
        }
        self.update(key, delivery, node);
        self.seal_waiting(key.session, now, delivery, node);
        self.end_if_exhausted(key.session, now, delivery);
        unserved.filter(|_| gave_up)
    }

    /// Ends the session that the commissioning window has served, if its fail-safe has expired.
    /// Whatever receives, opens an exchange or sends calls this first. Not inlined, for the flash of its many callers.
    #[inline(never)]
    pub(in crate::manager) fn fail_safe_timeout(
        &mut self,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        if self.fail_safe.is_some_and(|expires| now >= expires)
            && let Some(session) = self.commissioned
        {
            self.end(session, CloseReason::FailSafeExpired, now, delivery);
            self.fail_safe = None;
        }
    }
}
