//! Messages that wait until the counter of their sender is known.

use core::cmp::Reverse;

use super::crowd::Crowd;
use super::entries::{Candidate, Waiting};
use super::sync::PATIENCE;
use super::tables::Groups;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::group::{GroupOpened, Synchronized};
use crate::ids::{Group, GroupId, MessageType};
use crate::manager::config::Config;
use crate::manager::delivery::Delivery;
use crate::manager::handle::PeerAddress;
use crate::manager::received::{Dropped, GroupMessage};
use crate::manager::storage::{ByteStore, Map, Owner, Sender, Storage};
use crate::session::Verdict;
use crate::wire::MAX_UDP_MESSAGE;

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Asks for the counter of a sender, and queues its message until that is known.
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
        let GroupOpened { key, privacy, counter, .. } = *opened;
        let sender = key.sender(false, opened.source);
        let is_copy = |message: &Waiting<S>| message.sender == sender && message.counter == counter;
        if self.first_waiting(is_copy).is_some() {
            return Err(Dropped::GroupReplay);
        }
        // Also where the message finds no room: the next one will be heard.
        self.ask(cx, from, sender, privacy, counter)?;
        let kept = self.keep(cx, group, opened, delivery);
        self.find_due();
        kept
    }

    fn keep<T>(
        &mut self,
        cx: &Context<'_>,
        group: GroupId,
        opened: &GroupOpened<'_, Candidate>,
        delivery: &mut Delivery<S, T>,
    ) -> Result<(), Dropped> {
        let serial = delivery.serial();
        let bytes = &mut delivery.bytes;
        let (owner, len) = (Owner::GroupMessage(serial), opened.payload.len());
        self.make_way(opened.key.sender(false, opened.source), owner, len, bytes)?;
        let mut held = bytes.allocate(owner, len).ok_or(Dropped::GroupSender)?;
        let place = bytes.get_mut(owner, &mut held).iter_mut();
        place.zip(opened.payload.iter()).for_each(|(to, from)| *to = *from);
        let waiting = Waiting::new(group, opened, held, cx.now + PATIENCE);
        self.waiting.insert(serial, waiting).map_err(|_| {
            bytes.release(owner);
            Dropped::GroupSender
        })
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
        let serial = self.first_waiting(Waiting::is_admitted)?;
        self.lent = Some(serial);
        let Waiting { sender, group, key_set, epoch, header, counter, held, .. } =
            self.waiting.get_mut(&serial)?;
        Some(GroupMessage {
            group: Group::new(sender.fabric, *group),
            key_set: *key_set,
            epoch: *epoch,
            source: sender.node,
            exchange: header.exchange,
            kind: MessageType::new(header.protocol, header.opcode),
            counter: *counter,
            payload: bytes.get_mut(Owner::GroupMessage(serial), held.get_mut()),
        })
    }

    /// Discards the queued copies of a message that is being delivered: they came before the
    /// counter of its sender was known.
    pub(super) fn discard_copies(
        &mut self,
        opened: &GroupOpened<'_, Candidate>,
        bytes: &mut S::Bytes,
    ) {
        let sender = opened.key.sender(false, opened.source);
        let is_copy =
            |message: &Waiting<S>| message.sender == sender && message.counter == opened.counter;
        while let Some(serial) = self.first_waiting(is_copy) {
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

    /// How many bytes all messages that wait may take: a quarter of all, or one long message. The
    /// others are for sessions, whose peers have proved who they are.
    fn most_bytes_of_waiting() -> usize {
        let long = MAX_UDP_MESSAGE.saturating_add(S::Bytes::OVERHEAD);
        S::Bytes::CAPACITY.map_or(usize::MAX, |capacity| (capacity / 4).max(long))
    }

    fn bytes_of_waiting(&self, bytes: &S::Bytes) -> usize {
        let waiting = bytes.owners().filter(|(owner, _)| matches!(owner, Owner::GroupMessage(_)));
        waiting.fold(0, |sum, (_, len)| sum.saturating_add(len))
    }

    /// Makes room for another message of a sender. It evicts the oldest message of the sender with
    /// the most, of the key with the most, of the fabric with the most. Messages that can be
    /// delivered stay.
    fn make_way(
        &mut self,
        new: Sender,
        owner: Owner,
        len: usize,
        bytes: &mut S::Bytes,
    ) -> Result<(), Dropped> {
        // Anybody can replay recorded messages: leave room for the message of a handshake.
        let needed =
            len.saturating_add(Config::HANDSHAKE_MESSAGE).saturating_add(S::Bytes::OVERHEAD);
        let evicted = self.waiting.iter().filter(|(_, message)| !message.is_admitted());
        let evicted = evicted.map(|(serial, message)| {
            bytes.get(Owner::GroupMessage(*serial), message.held.get()).len()
        });
        if evicted.fold(bytes.room(owner), usize::saturating_add) < needed {
            return Err(Dropped::GroupSender);
        }
        let own = len.saturating_add(S::Bytes::OVERHEAD);
        while self.waiting.len() >= self.waiting.capacity()
            || bytes.room(owner) < needed
            || self.bytes_of_waiting(bytes).saturating_add(own) > Self::most_bytes_of_waiting()
        {
            let evicted = self.most_crowded(new).ok_or(Dropped::GroupSender)?;
            self.discard_waiting(evicted, bytes);
        }
        Ok(())
    }

    fn most_crowded(&self, new: Sender) -> Option<u64> {
        let waits = || self.waiting.iter().filter(|(_, message)| !message.is_admitted());
        let senders = || waits().map(|(_, message)| message.sender).chain([new]);
        let crowds =
            waits().map(|(serial, message)| (Crowd::of(message.sender, senders()), *serial));
        // The first of several that are equal.
        let most = crowds.min_by_key(|(crowd, serial)| (Reverse(*crowd), *serial));
        most.map(|(_, serial)| serial)
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
            if message.sender != sender || message.is_admitted() {
                continue;
            }
            let verdict = state.as_mut().map(|state| state.admit(message.counter));
            if verdict == Some(Verdict::New) {
                message.until = None;
                self.news = true;
            } else {
                self.discard_waiting(serial, bytes);
            }
        }
    }
}
