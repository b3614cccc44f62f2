//! A handshake that this node begins at several addresses of the peer.
//!
//! One state machine makes one first message. The same bytes, with the same message counter, are
//! sent to each address, a delay after the one before, and with retransmissions of its own. So a
//! responder that gets them at two addresses sees a duplicate. The first answer that the state
//! machine accepts wins: the handshake goes on with its sender alone.
//!
//! Until then no sender is authenticated, and any of the addresses may be an attacker's. An answer
//! that the state machine refuses ends the attempt at its sender's address, not the handshake; an
//! acknowledgement stops the transmissions to its sender alone. Both leave the message in flight
//! for the other addresses. One answer is tried at a time, as it takes several calls to compute
//! whether it is the peer's.
//!
//! The exchange always holds the transmissions that are due first, and the slot their address. The
//! others are parked in [`Race`](super::attempts::Race).

use core::time::Duration;

use crate::context::Context;
use crate::crypto::Crypto;
use crate::handshake::{HandshakeError, Incoming, Step};
use crate::ids::Peer;
use crate::manager::delivery::Delivery;
use crate::manager::handle::{HandshakeId, PeerAddress};
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::arrival::Answer;
use crate::manager::handshakes::attempts::{Attempt, Trial};
use crate::manager::handshakes::certificates::Kept;
use crate::manager::handshakes::message::{allocate, message_of};
use crate::manager::handshakes::progress::Stepped;
use crate::manager::handshakes::slot::Slot;
use crate::manager::node::Node;
use crate::manager::storage::{ByteStore, Map, Owner, Storage};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageBuf, ProtocolHeader};

/// How many answers from elsewhere are tried: a responder may answer from an address that was not
/// discovered, and each attempt costs a key agreement.
const STRAYS: u8 = 4;

/// How far apart attempts are made that are due at the same time.
const STEP: Duration = Duration::from_millis(1);

/// The messages that can follow the first answer at once fit: Pake1 and reports.
const REPLY_LEN: usize = 96;

/// The attempt that an answer belongs to.
enum Sender {
    /// That of the address in the slot.
    Current,
    /// That of a parked attempt.
    Parked(usize),
    Elsewhere,
}

/// How a message for a handshake is handled.
pub(super) enum Judgement {
    /// It is handled as that of the only address.
    Answer,
    /// It is [tried](Handshakes::try_answer).
    MayAnswer,
    /// Nothing is left to do.
    Noted,
    /// It is dropped.
    Refused,
}

impl<C: Crypto, S: Storage> Slot<C, S> {
    /// Returns when an attempt at another address is due. While a transmission waits to be taken,
    /// the others wait too.
    pub(super) fn race_timeout(&self) -> Option<Instant> {
        self.race.next().filter(|_| self.exchange.waiting().is_some())
    }

    /// A transmission was taken: attempts that are due as well follow a millisecond later each.
    pub(super) fn stagger(&mut self, now: Instant) {
        for attempt in self.race.parked.iter_mut().flatten() {
            attempt.retry.defer(now + STEP);
        }
    }

    /// Lets time pass: the attempt that is due first becomes that of the exchange, in place of one
    /// that is given up, or in exchange for one that is due later.
    pub(super) fn advance_race(&mut self, now: Instant) {
        while let Some(retry) = self.exchange.waiting_mut()
            && let Some(place) = self.race.first_mut()
            && let Some(first) = place
        {
            if retry.is_over(now) {
                self.peer = first.address;
                core::mem::swap(retry, &mut first.retry);
                *place = None;
            } else if first.retry.next() < retry.next() {
                core::mem::swap(&mut self.peer, &mut first.address);
                core::mem::swap(retry, &mut first.retry);
            } else {
                return;
            }
        }
    }

    /// Returns the attempt at this address: the one whose whole address is equal, or else the one
    /// whose address identifies the same peer.
    fn sender(&self, from: &PeerAddress) -> Sender {
        let is = |same: fn(&PeerAddress, &PeerAddress) -> bool| {
            if same(&self.peer, from) {
                return Some(Sender::Current);
            }
            let mut parked = self.race.parked.iter();
            let at =
                parked.position(|place| place.as_ref().is_some_and(|a| same(&a.address, from)));
            at.map(Sender::Parked)
        };
        is(PeerAddress::eq).or_else(|| is(PeerAddress::is)).unwrap_or(Sender::Elsewhere)
    }

    /// Decides about a message from one of several addresses, none of which has answered.
    pub(super) fn judge(
        &mut self,
        header: &ProtocolHeader,
        from: &PeerAddress,
        now: Instant,
    ) -> Judgement {
        if !self.race.is_on {
            return Judgement::Answer;
        }
        if Opcode(header.opcode) == Opcode::MRP_STANDALONE_ACK {
            if header.ack == self.sent {
                self.acknowledged_by(from);
            }
            return Judgement::Noted;
        }
        if self.race.trial.is_some() {
            return Judgement::Refused; // it is repeated, and can be tried if that one is refused
        }
        let is_late = self.machine.poll_timeout().is_none_or(|deadline| now >= deadline);
        if is_late || self.is_last(from) {
            return Judgement::Answer;
        }
        let is_stray = matches!(self.sender(from), Sender::Elsewhere);
        if is_stray && self.race.strays >= STRAYS {
            return Judgement::Refused;
        }
        Judgement::MayAnswer
    }

    /// Returns true if no other address than this one is left to answer.
    fn is_last(&self, from: &PeerAddress) -> bool {
        matches!(self.sender(from), Sender::Current) && self.race.next().is_none()
    }

    /// Stops the transmissions to an address from which an acknowledgement came.
    fn acknowledged_by(&mut self, from: &PeerAddress) {
        match self.sender(from) {
            Sender::Current => self.exchange.stop(),
            Sender::Parked(at) => {
                if let Some(Some(attempt)) = self.race.parked.get_mut(at) {
                    attempt.retry.stop();
                }
            }
            Sender::Elsewhere => {}
        }
    }

    /// Ends the attempt at an address whose answer was refused, and goes on with the next one at
    /// once.
    fn refuse(&mut self, from: PeerAddress, error: HandshakeError, now: Instant) {
        match self.sender(&from) {
            Sender::Current => {
                if let Some(Attempt { address, retry }) = self.race.take_first() {
                    self.peer = address;
                    self.exchange.go_on_with(retry, now);
                }
            }
            Sender::Parked(at) => {
                if let Some(place) = self.race.parked.get_mut(at) {
                    *place = None;
                }
            }
            Sender::Elsewhere => {
                self.race.strays = self.race.strays.saturating_add(1);
                return;
            }
        }
        self.race.refusal = Some((from, error));
    }
}

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Has the state machine handle an answer. If it accepts the answer, its sender is the peer,
    /// and the caller carries out the step. Otherwise nothing but the attempt at that address has
    /// ended. If more is to be computed first, [`try_further`](Self::try_further) goes on.
    #[inline(never)]
    pub(in crate::manager) fn try_answer<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        answer: Answer<'_>,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Stepped<S> {
        let Answer { id, from, header, counter, payload } = answer;
        let Some(slot) = self.slots.get_mut(&id) else { return Stepped::NOTHING };
        // The first message stays in its place: other addresses may need it.
        let mut out = [0; REPLY_LEN];
        let owner = Owner::Certificates(id);
        let incoming = Incoming::new(Opcode(header.opcode), payload);
        let mut held = incoming
            .presents_certificates()
            .then(|| delivery.bytes.allocate(owner, incoming.payload.len()))
            .flatten();
        let room = held.as_mut().map(|held| delivery.bytes.get_mut(owner, held));
        let mut left = (0, None);
        let result = node.with_env(cx, room.unwrap_or_default(), &mut left, |env, cx| {
            slot.machine.try_answer(crypto, cx, env, incoming, &mut out)
        });
        let has_more = slot.machine.has_more();
        slot.kept =
            held.and_then(|held| Kept::settle(&mut delivery.bytes, id, held, left, has_more));
        let reply = result.as_ref().ok().and_then(Step::message);
        let reply = reply.and_then(|reply| out.get(..reply.len)).unwrap_or_default();
        self.judged(id, Trial { from, header, counter }, result, reply, cx.now, delivery)
    }

    /// Returns true if an answer is tried, of which more is to be computed.
    pub(in crate::manager) fn is_trying(&self, id: HandshakeId) -> bool {
        self.slots.get(&id).is_some_and(|slot| slot.race.trial.is_some())
    }

    /// Has the state machine compute the next part of the answer that is tried.
    #[inline(never)]
    pub(in crate::manager) fn try_further<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        id: HandshakeId,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Stepped<S> {
        let Some(slot) = self.slots.get_mut(&id) else { return Stepped::NOTHING };
        let Some(trial) = slot.race.trial.take() else { return Stepped::NOTHING };
        let mut held = slot.kept.take().map(Kept::into_room);
        let owner = Owner::Certificates(id);
        let room = held.as_mut().map(|held| delivery.bytes.get_mut(owner, held));
        let mut left = (0, None);
        let result = node.with_env(cx, room.unwrap_or_default(), &mut left, |env, cx| {
            slot.machine.try_proceed(crypto, cx, env)
        });
        let has_more = slot.machine.has_more();
        slot.kept =
            held.and_then(|held| Kept::settle(&mut delivery.bytes, id, held, left, has_more));
        self.judged(id, trial, result, &[], cx.now, delivery)
    }

    /// Takes note of what the state machine says to an answer; `reply` is its next message.
    fn judged<T>(
        &mut self,
        id: HandshakeId,
        trial: Trial,
        result: Result<Step, HandshakeError>,
        reply: &[u8],
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) -> Stepped<S> {
        let Some(slot) = self.slots.get_mut(&id) else { return Stepped::NOTHING };
        let Trial { from, header, counter } = trial;
        let step = match result {
            Ok(Step::More) if slot.machine.judges_late() => {
                slot.race.trial = Some(Trial { from, header, counter });
                self.update(id, delivery);
                return Stepped::NOTHING;
            }
            Ok(step) => step,
            Err(error) => {
                slot.refuse(from, error, now);
                // The last transmission can have been given up while the answer was tried.
                if !slot.exchange.is_in_flight() {
                    self.fail(id, HandshakeError::TimedOut, now, delivery);
                }
                self.update(id, delivery);
                return Stepped::NOTHING;
            }
        };
        let since = core::mem::replace(&mut slot.stepped, now);
        delivery.statistics.handshakes.peer.note(since, now);
        slot.race.end();
        slot.race.refusal = None;
        slot.peer = from;
        slot.unsecured.commit(counter, now);
        let _ = slot.exchange.receive(&header, counter, false, now);
        slot.turn(true, now);
        slot.exchange.ground();
        let Some(mut message) = allocate(id, delivery) else {
            return Stepped::failed(HandshakeError::NoRoom);
        };
        let place = delivery.bytes.get_mut(message_of(id), &mut message);
        if MessageBuf::with_payload(place, reply).is_err() {
            return Stepped::failed(HandshakeError::NoRoom);
        }
        Stepped { result: Some(Ok(step)), message: Some(message) }
    }

    /// Counts a peer as active from now on in the handshakes with it that this node began, and
    /// transmits what waits for it.
    pub(in crate::manager) fn peer_is_awake<T>(
        &mut self,
        peer: Peer,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        let mut next = self.slots.first();
        while let Some(id) = next {
            if let Some(slot) = self.slots.get_mut(&id)
                && slot.ended.is_none()
                && slot.machine.target() == Some(peer)
            {
                slot.unsecured.mark_peer_active(now);
                let (interval, wait) = (slot.unsecured.base_interval(now), node.longest_wait());
                slot.exchange.hasten(now, |n| wait(interval, n));
                for attempt in slot.race.parked.iter_mut().flatten() {
                    // It is transmitted when its deadline is handled, which is now.
                    let _ = attempt.retry.hasten(now, |n| wait(interval, n));
                }
                self.update(id, delivery);
            }
            next = self.slots.first_from(id.wrapping_add(1));
        }
    }
}
