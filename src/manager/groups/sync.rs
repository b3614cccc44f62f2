//! Counter synchronisation: asking senders for their counters, and answering.

use core::time::Duration;

use rand_core::CryptoRng;

use super::control::Control;
use super::crowd::Crowd;
use super::entries::{Candidate, Known, Syncing};
use super::rate_limit::RateLimit;
use super::send::header;
use super::tables::Groups;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::group::{self, Challenge, GroupCounter, REQUEST_SPREAD, SYNC_TIMEOUT, SyncResponse};
use crate::ids::{ExchangeId, FabricIndex, MessageCounter, NodeId, ProtocolId};
use crate::manager::delivery::Delivery;
use crate::manager::event::Event;
use crate::manager::handle::PeerAddress;
use crate::manager::node::Node;
use crate::manager::received::Dropped;
use crate::manager::storage::{Map, Sender, Storage};
use crate::time::{self, Instant};
use crate::wire::secure_channel::Opcode;

/// How long a sender that was asked is not asked again for a message that is not newer: such a
/// message may be a replay.
const SILENCE: Duration = Duration::from_secs(10);

/// How long a message waits for the counter of its sender.
pub(super) const PATIENCE: Duration =
    Duration::from_millis(time::as_millis(REQUEST_SPREAD) + time::as_millis(SYNC_TIMEOUT));

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Decides whether to ask a sender for its counter because of a message that has come from an
    /// address.
    ///
    /// # Errors
    /// [`Dropped::GroupSender`] if the sender was asked, has not answered, and this message is not
    /// newer; or if no place is free.
    pub(super) fn ask(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        sender: Sender,
        privacy: bool,
        counter: MessageCounter,
    ) -> Result<(), Dropped> {
        let now = cx.now;
        let new = Syncing {
            privacy,
            to: from,
            newest: counter,
            asked: false,
            until: group::request_at(cx.rng, now),
        };
        let Some(syncing) = self.syncs.get_mut(&sender) else {
            if self.syncs.len() >= self.syncs.capacity() && !self.displace(sender, cx.rng) {
                return Err(Dropped::GroupSender);
            }
            return self.syncs.insert(sender, new).map_err(|_| Dropped::GroupSender);
        };
        let is_overdue =
            syncing.asked && syncing.until < now + SILENCE.saturating_sub(SYNC_TIMEOUT);
        // A replay can come from any address; the sender itself has larger counters by now.
        if is_later(counter, syncing.newest) {
            syncing.newest = counter;
            let moved = syncing.to != from;
            if !syncing.asked {
                (syncing.privacy, syncing.to) = (privacy, from);
            } else if moved || is_overdue {
                *syncing = new;
            }
            return Ok(());
        }
        if is_overdue { Err(Dropped::GroupSender) } else { Ok(()) }
    }

    /// Frees a place for a sender to be asked. Senders that were asked need none. If all are still
    /// to be asked, a random one is removed: of a fabric or key that has more of them than that of
    /// the new sender, or otherwise of its own key. If the newest were refused, replays at the
    /// right moments would take every place that becomes free.
    fn displace(&mut self, new: Sender, rng: &mut dyn CryptoRng) -> bool {
        let asked = self.syncs.iter().filter(|(_, syncing)| syncing.asked);
        let asked = asked.min_by_key(|(_, syncing)| syncing.until);
        let displaced = asked.map(|(sender, _)| *sender).or_else(|| {
            let senders = || self.syncs.iter().map(|(sender, _)| *sender);
            let own = Crowd::of(new, senders().chain([new]));
            let is_crowded = |sender: &Sender| {
                let crowd = Crowd::of(*sender, senders());
                if sender.fabric == new.fabric {
                    crowd.key > own.key
                } else {
                    crowd.fabric > own.fabric
                }
            };
            let crowded = senders().filter(is_crowded);
            crowded.max_by_key(|sender| Crowd::of(*sender, senders())).or_else(|| {
                let same = |sender: &Sender| (sender.fabric, sender.key) == (new.fabric, new.key);
                let count = u64::try_from(senders().filter(same).count()).unwrap_or_default();
                // Below `count`, without a division.
                let chosen = u64::from(rng.next_u32()).saturating_mul(count) >> 32;
                senders().filter(same).nth(usize::try_from(chosen).ok()?)
            })
        });
        displaced.is_some_and(|sender| self.syncs.discard(&sender))
    }

    /// Asks senders for their counters, and forgets what nobody has answered, as time passes.
    #[inline(never)]
    pub(in crate::manager) fn timeout<T>(
        &mut self,
        cx: &mut Context<'_>,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        while self.due.is_some_and(|due| due <= cx.now) {
            let is_due = |until: Instant| until <= cx.now;
            let sender = self.syncs.iter().find(|(_, syncing)| is_due(syncing.until));
            let sender = sender.map(|(sender, _)| *sender);
            let message = self.first_waiting(|message| message.until.is_some_and(is_due));
            if let Some(serial) = message {
                self.discard_waiting(serial, &mut delivery.bytes);
            }
            if let Some(sender) = sender
                && !self.request(cx, sender, delivery, node)
            {
                self.syncs.discard(&sender);
            }
            self.find_due();
        }
    }

    /// Asks a sender for its counter, or postpones that. Returns false if the sender can be
    /// forgotten.
    fn request<T>(
        &mut self,
        cx: &mut Context<'_>,
        sender: Sender,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> bool {
        let key = self.find_key(sender.fabric, sender.key);
        let Some(syncing) = self.syncs.get_mut(&sender).filter(|syncing| !syncing.asked) else {
            return false;
        };
        let Some(key) = key else { return false };
        let Some(set) = self.key_sets.get_mut(&(key.fabric, key.set)) else { return false };
        if !set.requests.allows(cx.now) {
            // At a random time, so that none comes last again and again.
            syncing.until = group::request_at(cx.rng, cx.now + RateLimit::PACE);
            return true;
        }
        syncing.asked = true;
        syncing.until = cx.now + SILENCE;
        let message = Control { key, privacy: syncing.privacy, to: syncing.to, node: sender.node };
        let challenge = self.challenges.ask(cx.rng, cx.now);
        let opcode = Opcode::MSG_COUNTER_SYNC_REQ.0;
        let header = header(delivery.exchange_id(), ProtocolId::SECURE_CHANNEL, opcode, true);
        self.push_control(cx, message, &header, challenge.as_bytes(), delivery, node).is_some()
    }

    /// Answers a node that asks for this node's counter.
    pub(super) fn answer<T>(
        &mut self,
        cx: &mut Context<'_>,
        asker: Control,
        exchange: ExchangeId,
        challenge: Challenge,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(), Dropped> {
        let set = self.key_sets.get_mut(&(asker.key.fabric, asker.key.set));
        if !set.is_some_and(|set| set.answers.allows(cx.now)) {
            return Err(Dropped::GroupAnswer);
        }
        let store = cx.counters.as_deref_mut().ok_or(Dropped::GroupAnswer)?;
        let counter = self.counters.last_data(store, cx.rng).map_err(|_| Dropped::GroupAnswer)?;
        let opcode = Opcode::MSG_COUNTER_SYNC_RSP.0;
        let header = header(exchange, ProtocolId::SECURE_CHANNEL, opcode, false);
        let response = SyncResponse { counter, challenge }.to_bytes();
        self.push_control(cx, asker, &header, &response, delivery, node)
            .ok_or(Dropped::GroupAnswer)?;
        Ok(())
    }

    /// Handles the counter of a sender: its queued messages that are new can be delivered.
    pub(super) fn synchronized<T>(
        &mut self,
        cx: &Context<'_>,
        key: Candidate,
        node: NodeId,
        response: &SyncResponse,
        delivery: &mut Delivery<S, T>,
    ) -> Result<(), Dropped> {
        let sender = key.sender(false, node);
        let known = self.senders.get(&sender);
        if known.is_some_and(|known| known.told) {
            return Err(Dropped::Unsolicited);
        }
        let answered = self.challenges.handle_response(response, cx.now);
        let mut state = answered.ok_or(Dropped::Unsolicited)?;
        // It may have been trusted meanwhile, for a message under a key set of the other policy.
        let room = match known {
            Some(Known { window, .. }) => {
                state.join(window.clone());
                Ok(())
            }
            None => self.check_room(sender, key.key.set),
        };
        self.syncs.discard(&sender);
        self.admit_waiting(sender, room.is_ok().then_some(&mut state), &mut delivery.bytes);
        self.find_due();
        room?;
        let known = Known { window: state.into_window(), told: true };
        self.senders.insert(sender, known).map_err(|_| Dropped::GroupSender)
    }

    /// Returns the next event of groups.
    pub(in crate::manager) fn next_event<T>(&mut self) -> Option<Event<T>> {
        if core::mem::take(&mut self.news) {
            return Some(Event::GroupMessages);
        }
        if let Some(counter) = self.next_low_counter() {
            return Some(Event::GroupCounterLow { counter });
        }
        let fabric: FabricIndex = self.full.give()?;
        Some(Event::GroupSendersFull { fabric })
    }

    /// Returns a counter that runs out, once.
    fn next_low_counter(&mut self) -> Option<GroupCounter> {
        /// A month at one message a second.
        const FEW: u64 = 1 << 21;
        let counters = [GroupCounter::Data, GroupCounter::Control];
        let (warned, counter) =
            self.warned.iter_mut().zip(counters).find(|(warned, counter)| {
                !**warned && self.counters.remaining(*counter).is_some_and(|left| left < FEW)
            })?;
        *warned = true;
        Some(counter)
    }
}

/// Returns true if a counter comes after another; counters wrap.
const fn is_later(counter: MessageCounter, than: MessageCounter) -> bool {
    let ahead = counter.get().wrapping_sub(than.get());
    ahead != 0 && ahead < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_later_by_less_than_half_of_all_values() {
        for base in [0, 5, u32::MAX] {
            let is_later = |ahead: u32| {
                is_later(MessageCounter::new(base.wrapping_add(ahead)), MessageCounter::new(base))
            };
            let ahead = [0, 1, (1 << 31) - 1, 1 << 31, u32::MAX];
            assert_eq!(ahead.map(is_later), [false, true, true, false, false], "{base}");
        }
    }
}
