//! Messages that wait until the counter of their sender is known.

use super::entries::{Candidate, Syncing, Waiting};
use super::tables::{Groups, count_of, first_of};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::group::{GroupOpened, Synchronization, Synchronized};
use crate::ids::{FabricIndex, Group, GroupId, MessageCounter, MessageType, NodeId};
use crate::manager::config::Config;
use crate::manager::delivery::Delivery;
use crate::manager::handle::PeerAddress;
use crate::manager::received::{Dropped, GroupMessage};
use crate::manager::storage::{ByteStore, Map, Owner, Sender, Storage};
use crate::session::Verdict;

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Queues a message until the counter of its sender is known, and starts to ask for that.
    pub(super) fn hold<T>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        group: GroupId,
        opened: &GroupOpened<'_, Candidate>,
        delivery: &mut Delivery<S, T>,
    ) -> Result<(), Dropped> {
        // The request for a counter has a counter itself, which the store keeps.
        if cx.counters.is_none() {
            return Err(Dropped::GroupSender);
        }
        let serial = delivery.serial();
        let bytes = &mut delivery.bytes;
        let GroupOpened { key: Candidate { key, .. }, privacy, counter, .. } = *opened;
        let sender = Sender { fabric: key.fabric, control: false, node: opened.source };
        let is_copy = |message: &Waiting<S>| message.sender == sender && message.counter == counter;
        if self.first_waiting(is_copy).is_some() {
            return Err(Dropped::GroupReplay);
        }
        let (owner, len) = (Owner::GroupMessage(serial), opened.payload.len());
        // Anybody can replay recorded messages: leave room for the message of a handshake.
        if bytes.room(owner) < len.saturating_add(Config::HANDSHAKE_MESSAGE) {
            return Err(Dropped::GroupSender);
        }
        self.make_way(sender, bytes)?;
        let mut held = bytes.allocate(owner, len).ok_or(Dropped::GroupSender)?;
        let place = bytes.get_mut(owner, &mut held).iter_mut();
        place.zip(opened.payload.iter()).for_each(|(to, from)| *to = *from);
        let waiting = Waiting::new(group, opened, held);
        let mut kept = self.waiting.insert(serial, waiting).is_ok();
        match self.syncs.get_mut(&sender) {
            // A replay can come from any address; the sender itself has larger counters by now.
            Some(syncing) if is_later(counter, syncing.newest) => {
                syncing.newest = counter;
                if syncing.to != from {
                    (syncing.key, syncing.privacy, syncing.to) = (key, privacy, from);
                    syncing.sync = Synchronization::new(cx.rng, cx.now);
                }
            }
            Some(_) => {}
            None => {
                let sync = Synchronization::new(cx.rng, cx.now);
                let syncing = Syncing { sync, key, privacy, to: from, newest: counter };
                kept &= self.syncs.insert(sender, syncing).is_ok();
            }
        }
        self.find_due();
        if !kept {
            self.discard_waiting(serial, bytes);
            return Err(Dropped::GroupSender);
        }
        Ok(())
    }

    /// Returns the next message that waited for the counter of its sender, oldest first. It is lent
    /// until the next poll.
    pub(in crate::manager) fn poll_message<'a, T>(
        &'a mut self,
        delivery: &'a mut Delivery<S, T>,
    ) -> Option<GroupMessage<'a>> {
        let bytes = &mut delivery.bytes;
        if let Some(serial) = self.lent.take() {
            self.discard_waiting(serial, bytes);
        }
        let serial = self.first_waiting(|message| message.admitted)?;
        self.lent = Some(serial);
        let Waiting { sender, group, key_set, header, counter, held, .. } =
            self.waiting.get_mut(&serial)?;
        Some(GroupMessage {
            group: Group::new(sender.fabric, *group),
            key_set: *key_set,
            source: sender.node,
            exchange: header.exchange,
            kind: MessageType::new(header.protocol, header.opcode),
            counter: *counter,
            payload: bytes.get_mut(Owner::GroupMessage(serial), held),
        })
    }

    /// Discards the queued copies of a message that is being delivered: they came before the
    /// counter of its sender was known.
    pub(super) fn discard_copies(
        &mut self,
        opened: &GroupOpened<'_, Candidate>,
        bytes: &mut S::Bytes,
    ) {
        let from = (opened.key.key.fabric, opened.source);
        let of = |sender: Sender| (sender.fabric, sender.node) == from;
        while let Some(serial) =
            self.first_waiting(|message| of(message.sender) && message.counter == opened.counter)
        {
            self.discard_waiting(serial, bytes);
        }
    }

    /// Returns the first queued message that `which` picks.
    pub(super) fn first_waiting(&self, which: impl Fn(&Waiting<S>) -> bool) -> Option<u64> {
        self.waiting.iter().find(|(_, message)| which(message)).map(|(serial, _)| *serial)
    }

    /// Discards messages for groups that this node has left, or that have another key set now.
    pub(super) fn discard_unmapped(&mut self, bytes: &mut S::Bytes) {
        while let Some(serial) = self.first_waiting(|message| !self.is_mapped(message)) {
            self.discard_waiting(serial, bytes);
        }
    }

    fn is_mapped(&self, message: &Waiting<S>) -> bool {
        let Waiting { sender: Sender { fabric, .. }, group, key_set, .. } = message;
        let settings = self.groups.get(&(*fabric, *group));
        settings.is_some_and(|settings| settings.key_set == *key_set)
            && self.key_sets.get(&(*fabric, *key_set)).is_some()
    }

    pub(super) fn discard_waiting(&mut self, serial: u64, bytes: &mut S::Bytes) {
        bytes.release(Owner::GroupMessage(serial));
        self.waiting.discard(&serial);
        if self.lent == Some(serial) {
            self.lent = None;
        }
    }

    /// Makes room for another message of a sender, and for asking it. It evicts the sender's oldest
    /// message; if there is none, the oldest of its fabric, then of any. Messages that can be
    /// delivered stay.
    fn make_way(&mut self, sender: Sender, bytes: &mut S::Bytes) -> Result<(), Dropped> {
        if self.syncs.get(&sender).is_none() && self.syncs.len() >= self.syncs.capacity() {
            self.give_up_one(sender.fabric, bytes)?;
        }
        if self.waiting.len() < self.waiting.capacity() {
            return Ok(());
        }
        let waits = |message: &Waiting<S>| !message.admitted;
        let oldest = self
            .first_waiting(|message| waits(message) && message.sender == sender)
            .or_else(|| {
                let of_fabric = |of: &Sender| of.fabric == sender.fabric;
                self.first_waiting(|message| waits(message) && of_fabric(&message.sender))
            })
            .or_else(|| self.first_waiting(waits));
        self.discard_waiting(oldest.ok_or(Dropped::GroupSender)?, bytes);
        Ok(())
    }

    /// Stops asking one sender, of the fabric with the most senders asked, if that has more than
    /// this fabric.
    fn give_up_one(&mut self, fabric: FabricIndex, bytes: &mut S::Bytes) -> Result<(), Dropped> {
        let first = |fabric| Sender { fabric, control: false, node: NodeId::UNSPECIFIED };
        let asked = |fabric| count_of(&self.syncs, first(fabric), fabric);
        let most = self.syncs.iter().map(|(sender, _)| sender.fabric).max_by_key(|of| asked(*of));
        let most = most.filter(|of| asked(*of) > asked(fabric).saturating_add(1));
        let Some(given_up) = most.and_then(|of| first_of(&self.syncs, first(of), of)) else {
            self.full.raise(fabric);
            return Err(Dropped::GroupSender);
        };
        self.give_up(given_up, bytes);
        Ok(())
    }

    /// Stops asking a sender, and forgets the messages that wait for its counter.
    pub(super) fn give_up(&mut self, sender: Sender, bytes: &mut S::Bytes) {
        self.syncs.discard(&sender);
        let waits = |message: &Waiting<S>| message.sender == sender && !message.admitted;
        while let Some(serial) = self.first_waiting(waits) {
            self.discard_waiting(serial, bytes);
        }
    }

    /// Admits the queued messages of a sender in the order in which they came, and discards those
    /// that are not new. Without a state it discards all.
    pub(super) fn admit_waiting(
        &mut self,
        sender: Sender,
        mut state: Option<&mut Synchronized>,
        bytes: &mut S::Bytes,
    ) {
        let mut next = 0;
        while let Some(serial) = self.waiting.first_from(next) {
            next = serial.saturating_add(1);
            let Some(message) = self.waiting.get_mut(&serial) else { return };
            if message.sender != sender || message.admitted {
                continue;
            }
            let verdict = state.as_mut().map(|state| state.admit(message.counter));
            message.admitted = verdict == Some(Verdict::New);
            if message.admitted {
                self.news = true;
            } else {
                self.discard_waiting(serial, bytes);
            }
        }
    }
}

/// Returns true if a counter comes after another; counters wrap.
const fn is_later(counter: MessageCounter, than: MessageCounter) -> bool {
    let ahead = counter.get().wrapping_sub(than.get());
    ahead != 0 && ahead < 1 << 31
}
