//! Counter synchronisation: messages wait until their sender has told its counter.

use core::time::Duration;

use super::receive::GroupMessage;
use super::send::header;
use super::{Candidate, Groups, KeyRef, Known, count_of, first_of};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::FabricTable;
use crate::group::{Challenge, GroupOpened, SyncResponse, SyncStep, Synchronization, Synchronized};
use crate::ids::{
    ExchangeId, FabricIndex, Group, GroupId, GroupKeySetId, MessageCounter, MessageType, NodeId,
    ProtocolId,
};
use crate::manager::event::{Dropped, Event, Received};
use crate::manager::handshakes::MESSAGE_LEN;
use crate::manager::outbox::SHORT_LEN;
use crate::manager::storage::{Held, Map, Octets, Optional, Owner, Sender, Storage};
use crate::manager::{PeerAddress, SessionManager};
use crate::session::Verdict;
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageBuf, ProtocolHeader};

/// A sender that is asked for its counter.
#[derive(Debug)]
pub(super) struct Syncing {
    sync: Synchronization,
    /// What its message was sealed with, and so will be the request.
    key: KeyRef,
    /// Whether its message hid its header.
    privacy: bool,
    /// Where the newest of its messages came from.
    to: PeerAddress,
    /// The counter of that one.
    newest: MessageCounter,
}

impl Syncing {
    pub(super) const fn poll_timeout(&self) -> Instant {
        self.sync.poll_timeout()
    }
}

/// A message that waits.
pub(super) struct Waiting<S: Storage> {
    pub(super) sender: Sender,
    pub(super) group: GroupId,
    pub(super) key_set: GroupKeySetId,
    header: ProtocolHeader,
    pub(super) counter: MessageCounter,
    held: Held<S>,
    /// Whether it may be delivered.
    admitted: bool,
}

impl<S: Storage> Waiting<S> {
    fn new(group: GroupId, opened: &GroupOpened<'_, Candidate>, held: Held<S>) -> Self {
        let GroupOpened { key: Candidate { key, .. }, source, header, counter, .. } = opened;
        Self {
            sender: Sender { fabric: key.fabric, control: false, node: *source },
            group,
            key_set: key.set,
            header: *header,
            counter: *counter,
            held,
            admitted: false,
        }
    }
}

/// Answers take turns: bursts of [`BURST`](Self::BURST), and one each [`PACE`](Self::PACE) in the
/// long run. Whoever has a group's key cannot make this node a source of floods.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// When all that was answered would have been at the pace.
    caught_up: Instant,
}

impl RateLimit {
    const PACE: Duration = Duration::from_millis(100);
    const BURST: Duration = Duration::from_millis(1000);

    pub(super) const fn new() -> Self {
        Self { caught_up: Instant::ZERO }
    }

    fn allows(&mut self, now: Instant) -> bool {
        let next = self.caught_up.max(now) + Self::PACE;
        let allowed = next <= now + Self::BURST;
        if allowed {
            self.caught_up = next;
        }
        allowed
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Keeps a message until its sender has told its counter, and sees that it is asked.
    pub(super) fn hold<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        group: GroupId,
        opened: &GroupOpened<'_, Candidate>,
    ) -> Result<Received<'b>, Dropped> {
        // Without a store nobody can be asked.
        if cx.counters.is_none() {
            return Err(Dropped::GroupSender);
        }
        let serial = self.serial();
        let octets = &mut self.octets;
        let groups = self.groups.get_mut().ok_or(Dropped::Group)?;
        let GroupOpened { key: Candidate { key, .. }, privacy, counter, .. } = *opened;
        let sender = Sender { fabric: key.fabric, control: false, node: opened.source };
        let is_copy = |message: &Waiting<S>| message.sender == sender && message.counter == counter;
        if groups.first_waiting(is_copy).is_some() {
            return Err(Dropped::GroupReplay);
        }
        let (owner, len) = (Owner::GroupMessage(serial), opened.payload.len());
        // What anybody can have recorded does not keep handshakes from beginning.
        if octets.room(owner) < len.saturating_add(MESSAGE_LEN) {
            return Err(Dropped::GroupSender);
        }
        groups.make_way(sender, octets)?;
        let mut held = octets.allocate(owner, len).ok_or(Dropped::GroupSender)?;
        let place = octets.get_mut(owner, &mut held).iter_mut();
        place.zip(opened.payload.iter()).for_each(|(to, from)| *to = *from);
        let waiting = Waiting::new(group, opened, held);
        let mut kept = groups.waiting.insert(serial, waiting).is_ok();
        match groups.syncs.get_mut(&sender) {
            // An old recording names an address of its own; who sends now has larger counters.
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
                kept &= groups.syncs.insert(sender, syncing).is_ok();
            }
        }
        groups.find_due();
        if !kept {
            groups.discard_waiting(serial, octets);
            return Err(Dropped::GroupSender);
        }
        Ok(Received::Handled)
    }

    /// Lets time pass for those that are asked for their counters.
    #[inline(never)]
    pub(in crate::manager) fn groups_timeout(&mut self, cx: &mut Context<'_>) {
        loop {
            let Some(groups) = self.groups.get_mut() else { return };
            if groups.due.is_none_or(|due| cx.now < due) {
                return;
            }
            let due = |syncing: &Syncing| syncing.poll_timeout() <= cx.now;
            let found = groups.syncs.iter().find(|(_, syncing)| due(syncing));
            let Some(sender) = found.map(|(sender, _)| *sender) else { return groups.find_due() };
            let Some(syncing) = groups.syncs.get_mut(&sender) else { return };
            let step = syncing.sync.handle_timeout(cx.rng, cx.now);
            let (key, privacy, to) = (syncing.key, syncing.privacy, syncing.to);
            let asked = match step {
                Some(SyncStep::Ask(challenge)) => {
                    let exchange = self.exchange_id();
                    let opcode = Opcode::MSG_COUNTER_SYNC_REQ.0;
                    let header = header(exchange, ProtocolId::SECURE_CHANNEL, opcode, true);
                    let message = Control { key, privacy, to, node: sender.node };
                    self.push_control(cx, message, &header, challenge.as_bytes()).is_some()
                }
                Some(SyncStep::GiveUp) => false,
                None => true,
            };
            let Some(groups) = self.groups.get_mut() else { return };
            if !asked {
                groups.give_up(sender, &mut self.octets);
            }
            groups.find_due();
        }
    }

    /// Tells a node this node's counter.
    pub(super) fn answer<'b>(
        &mut self,
        cx: &mut Context<'_>,
        asker: Control,
        exchange: ExchangeId,
        challenge: Challenge,
    ) -> Result<Received<'b>, Dropped> {
        let groups = self.groups.get_mut().ok_or(Dropped::Group)?;
        if !groups.answers.allows(cx.now) {
            return Err(Dropped::GroupAnswer);
        }
        let store = cx.counters.as_deref_mut().ok_or(Dropped::GroupAnswer)?;
        let counter = groups.counters.last_data(store, cx.rng).map_err(|_| Dropped::GroupAnswer)?;
        let opcode = Opcode::MSG_COUNTER_SYNC_RSP.0;
        let header = header(exchange, ProtocolId::SECURE_CHANNEL, opcode, false);
        let response = SyncResponse { counter, challenge }.to_bytes();
        self.push_control(cx, asker, &header, &response).ok_or(Dropped::GroupAnswer)?;
        Ok(Received::Handled)
    }

    /// Takes an answer: messages that waited may be delivered.
    pub(super) fn synchronized<'b>(
        &mut self,
        key: KeyRef,
        node: NodeId,
        response: &SyncResponse,
    ) -> Result<Received<'b>, Dropped> {
        let sender = Sender { fabric: key.fabric, control: false, node };
        let groups = self.groups.get_mut().ok_or(Dropped::Group)?;
        let syncing = groups.syncs.get(&sender).ok_or(Dropped::Unsolicited)?;
        let mut state = syncing.sync.handle_response(response).ok_or(Dropped::Unsolicited)?;
        groups.syncs.discard(&sender);
        groups.find_due();
        // It may have been trusted meanwhile, for a message under a key set of the other policy.
        let known = groups.senders.get(&sender);
        let room = known.is_some() || groups.senders_of(sender) < groups.share.data;
        if let Some(Known { window, .. }) = known {
            state.join(window.clone());
        }
        groups.admit_waiting(sender, room.then_some(&mut state), &mut self.octets);
        let known = Known { window: state.into_window(), told: true };
        if !room || groups.senders.insert(sender, known).is_err() {
            groups.full.raise(sender.fabric);
            return Err(Dropped::GroupSender);
        }
        Ok(Received::Handled)
    }

    /// Seals a control message into the outbox.
    fn push_control(
        &mut self,
        cx: &mut Context<'_>,
        message: Control,
        header: &ProtocolHeader,
        payload: &[u8],
    ) -> Option<()> {
        let Control { key, privacy, to, node } = message;
        let Groups { key_sets, counters, .. } = self.groups.get_mut()?;
        let session = key_sets.get(&(key.fabric, key.set))?.keys.session(key.place)?;
        let source = self.node.fabrics.by_index(key.fabric)?.node_id();
        let store = cx.counters.as_deref_mut()?;
        let counter = counters.take_control(store, cx.rng).ok()?;
        let mut buf = [0; SHORT_LEN];
        let payload = MessageBuf::with_payload(&mut buf, payload).ok()?;
        let sealed = session.encode(counter, source, node, privacy, header, payload).ok()?;
        self.statistics.replies_dropped =
            self.statistics.replies_dropped.saturating_add(self.outbox.push(to, sealed.as_bytes()));
        Some(())
    }

    /// The next message to a group that has waited for its sender's counter, oldest first: to be
    /// polled when [`Event::GroupMessages`] says so. It is lent until the next is polled.
    #[must_use = "a message is delivered once"]
    pub fn poll_group_message(&mut self) -> Option<GroupMessage<'_>> {
        let Self { groups, octets, .. } = self;
        let groups = groups.get_mut()?;
        if let Some(serial) = groups.lent.take() {
            groups.discard_waiting(serial, octets);
        }
        let serial = groups.first_waiting(|message| message.admitted)?;
        groups.lent = Some(serial);
        let Waiting { sender, group, key_set, header, counter, held, .. } =
            groups.waiting.get_mut(&serial)?;
        Some(GroupMessage {
            group: Group::new(sender.fabric, *group),
            key_set: *key_set,
            source: sender.node,
            exchange: header.exchange,
            kind: MessageType::new(header.protocol, header.opcode),
            counter: *counter,
            payload: octets.get_mut(Owner::GroupMessage(serial), held),
        })
    }

    /// What groups have to tell.
    pub(in crate::manager) fn group_event(&mut self) -> Option<Event<T>> {
        let groups = self.groups.get_mut()?;
        if core::mem::take(&mut groups.news) {
            return Some(Event::GroupMessages);
        }
        let fabric: FabricIndex = groups.full.give()?;
        Some(Event::GroupSendersFull { fabric })
    }
}

/// Where a control message goes, and under which key.
pub(super) struct Control {
    pub(super) key: KeyRef,
    pub(super) privacy: bool,
    pub(super) to: PeerAddress,
    pub(super) node: NodeId,
}

/// Whether a counter comes after another, as counters wrap.
const fn is_later(counter: MessageCounter, than: MessageCounter) -> bool {
    let ahead = counter.get().wrapping_sub(than.get());
    ahead != 0 && ahead < 1 << 31
}

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Makes room for another message of a sender, and for asking it: the oldest goes, one of its
    /// own before one of its fabric before one of another. What may be delivered stays.
    fn make_way(&mut self, sender: Sender, octets: &mut S::Octets) -> Result<(), Dropped> {
        if self.syncs.get(&sender).is_none() && self.syncs.len() >= self.syncs.capacity() {
            self.give_up_one(sender.fabric, octets)?;
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
        self.discard_waiting(oldest.ok_or(Dropped::GroupSender)?, octets);
        Ok(())
    }

    /// Does not ask one of the senders any more, of a fabric of which more are asked than of this.
    fn give_up_one(&mut self, fabric: FabricIndex, octets: &mut S::Octets) -> Result<(), Dropped> {
        let first = |fabric| Sender { fabric, control: false, node: NodeId::UNSPECIFIED };
        let asked = |fabric| count_of(&self.syncs, first(fabric), fabric);
        let most = self.syncs.iter().map(|(sender, _)| sender.fabric).max_by_key(|of| asked(*of));
        let most = most.filter(|of| asked(*of) > asked(fabric).saturating_add(1));
        let Some(given_up) = most.and_then(|of| first_of(&self.syncs, first(of), of)) else {
            self.full.raise(fabric);
            return Err(Dropped::GroupSender);
        };
        self.give_up(given_up, octets);
        Ok(())
    }

    /// Forgets what waits for a sender's counter, and asks no more.
    fn give_up(&mut self, sender: Sender, octets: &mut S::Octets) {
        self.syncs.discard(&sender);
        let waits = |message: &Waiting<S>| message.sender == sender && !message.admitted;
        while let Some(serial) = self.first_waiting(waits) {
            self.discard_waiting(serial, octets);
        }
    }

    /// Judges what waits of a sender, in the order in which it came; what is not new goes. Without a
    /// state all goes.
    fn admit_waiting(
        &mut self,
        sender: Sender,
        mut state: Option<&mut Synchronized>,
        octets: &mut S::Octets,
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
                self.discard_waiting(serial, octets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_bursts_of_ten_and_then_at_their_pace() {
        let mut limit = RateLimit::new();
        let allowed = |limit: &mut RateLimit, millis| limit.allows(Instant::from_millis(millis));
        assert_eq!((0..20).filter(|_| allowed(&mut limit, 5000)).count(), 10);
        assert!(!allowed(&mut limit, 5099));
        assert!(allowed(&mut limit, 5100));
        assert!(!allowed(&mut limit, 5100));
        let in_a_minute = (5100..65_100).filter(|millis| allowed(&mut limit, *millis)).count();
        assert!((590..=610).contains(&in_a_minute), "{in_a_minute}");
        assert!(!allowed(&mut limit, 5000), "a clock that goes back earns nothing");
    }
}
