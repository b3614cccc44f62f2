//! A step of a handshake: its state machine takes a message or a signature and makes the next
//! message.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::handshake::{ClaimRequest, Claimed, Failure, HandshakeError, SignRequest, Signed, Step};
use crate::manager::delivery::Delivery;
use crate::manager::event::Event;
use crate::manager::handle::{HandshakeHandle, HandshakeId, SessionHandle};
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::certificates::Kept;
use crate::manager::handshakes::machine::Input;
use crate::manager::handshakes::message::{allocate, message_of};
use crate::manager::handshakes::progress::{NewlyEstablished, Progress, Stepped};
use crate::manager::handshakes::slot::{LINGER, Slot};
use crate::manager::node::Node;
use crate::manager::statistics::HandshakeStatistics;
use crate::manager::storage::{ByteStore, Map, Owner, Storage};
use crate::time::Instant;
use crate::wire::MessageBuf;

impl<C: Crypto, S: Storage> Slot<C, S> {
    /// Notes how long the handshake has waited for this input: for the peer or for the application.
    fn note_wait(&mut self, input: &Input<'_>, now: Instant, statistics: &mut HandshakeStatistics) {
        let since = core::mem::replace(&mut self.stepped, now);
        match input {
            Input::Signed(_) | Input::Claimed(_) => statistics.application.note(since, now),
            // The first message of a peer answers none.
            Input::Message(_) if self.sent.is_some() => statistics.peer.note(since, now),
            Input::Message(_) | Input::Proceed | Input::Abort(_) => {}
        }
    }

    /// Uses the timing that the peer has declared for retransmissions from now on. Towards an
    /// initiator, which can be anybody, the default intervals are used until it has proved who it
    /// is: what it declares must not keep its slot longer.
    fn note_timing(&mut self, result: &Result<Step, Failure>) {
        let declared = match result {
            Ok(Step::Established { established, .. }) => {
                Some(established.session.peer_parameters())
            }
            _ if self.is_ours() => self.machine.peer_parameters(),
            _ => None,
        };
        if let Some(parameters) = declared {
            self.unsecured.set_peer_parameters(parameters);
        }
    }
}

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Returns true if a handshake waits for the answer to this request.
    pub(in crate::manager) fn is_awaited(&self, request: &SignRequest) -> bool {
        self.slots.iter().any(|(_, slot)| slot.ended.is_none() && slot.machine.asked(request))
    }

    /// Returns the handshake that waits for this signature.
    pub(in crate::manager) fn awaiting(&self, signed: &Signed) -> Option<HandshakeId> {
        let mut slots = self.slots.iter();
        slots
            .find(|(_, slot)| slot.ended.is_none() && slot.machine.awaits(signed))
            .map(|(id, _)| *id)
    }

    /// Returns the handshake that waits for this claim.
    pub(in crate::manager) fn awaiting_claim(&self, claimed: &Claimed) -> Option<HandshakeId> {
        let mut slots = self.slots.iter();
        slots
            .find(|(_, slot)| slot.ended.is_none() && slot.machine.awaits_claim(claimed))
            .map(|(id, _)| *id)
    }

    /// Returns the next claim that the application has not been asked for. It is kept in the
    /// handshake, not in the queue of events: of one that has ended the application is not asked.
    pub(in crate::manager) fn next_claim(&mut self) -> Option<ClaimRequest> {
        let mut slots = self.slots.iter().filter(|(_, slot)| slot.claims);
        let (id, request) =
            slots.find_map(|(id, slot)| Some((*id, slot.machine.claim_request()?)))?;
        drop(slots);
        self.slots.get_mut(&id)?.claims = false;
        Some(request)
    }

    /// Returns the handshake that computes its next part now. They take turns, in rounds: one that
    /// begins during a round has its turn in the next one, so that those which peers begin without
    /// end take no turn of another.
    pub(in crate::manager) fn next_at_work(&mut self) -> Option<HandshakeId> {
        let works = |(_, slot): &(_, &Slot<C, S>)| slot.filed.works();
        let after = self.slots.from(self.worked.wrapping_add(1)).find(works).map(|(id, _)| *id);
        let next = match after.filter(|id| *id <= self.round_end) {
            Some(next) => next,
            None => {
                self.round_end = self.slots.iter().filter(works).last().map(|(id, _)| *id)?;
                self.slots.iter().find(works).map(|(id, _)| *id)?
            }
        };
        self.worked = next;
        Some(next)
    }

    /// Runs the state machine of a handshake. [`carry_out`](Self::carry_out) does what it asks for:
    /// two functions, so that the values of the second are not on the stack while the machine
    /// runs.
    #[inline(never)]
    pub(in crate::manager) fn step<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        id: HandshakeId,
        input: Input<'_>,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Stepped<S> {
        let Some(slot) = self.slots.get_mut(&id) else { return Stepped::NOTHING };
        #[cfg(feature = "initiator")]
        slot.race.end();
        slot.note_wait(&input, cx.now, &mut delivery.statistics.handshakes);
        // Whatever the peer sent, it answers the message in flight.
        slot.exchange.ground();
        delivery.bytes.release(message_of(id));
        // Before the message, which takes what is left.
        let mut room = match &input {
            Input::Message(message) if message.presents_certificates() => {
                delivery.bytes.allocate(Owner::Certificates(id), message.payload.len())
            }
            Input::Proceed => slot.kept.take().map(Kept::into_room),
            _ => None,
        };
        let Some(mut message) = allocate(id, delivery) else {
            return Stepped::failed(HandshakeError::NoRoom);
        };
        let [out, certificates] = delivery.bytes.get_many_mut([
            Some((message_of(id), &mut message)),
            room.as_mut().map(|held| (Owner::Certificates(id), held)),
        ]);
        let Ok(mut buf) = MessageBuf::new(out) else {
            return Stepped::failed(HandshakeError::NoRoom);
        };
        let mut left = (0, None);
        let result = node.with_env(cx, certificates, &mut left, |env, cx| {
            slot.machine.step(crypto, cx, env, input, buf.payload_mut())
        });
        let result = result.map_err(Failure::in_shared_room);
        #[cfg(feature = "initiator")]
        if result.is_ok() {
            // The peer is there: what another address said is over.
            slot.race.refusal = None;
        }
        if let Ok(Step::Claim(_)) = &result {
            let wait = node.config.claim_wait;
            slot.claims = !wait.is_zero();
            slot.machine.limit_wait(cx.now + wait);
        }
        if let Some(held) = room {
            let has_more = slot.machine.has_more();
            slot.kept = Kept::settle(&mut delivery.bytes, id, held, left, has_more);
        }
        Stepped { result: Some(result), message: Some(message) }
    }

    /// Puts the message that a step made in flight, and queues the event that it caused.
    ///
    /// After [`Progress::Established`] the caller calls [`established`](Self::established) or
    /// [`no_room`](Self::no_room).
    #[inline(never)]
    pub(in crate::manager) fn carry_out<T>(
        &mut self,
        id: HandshakeId,
        stepped: Stepped<S>,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) -> Progress {
        let Some(slot) = self.slots.get_mut(&id) else { return Progress::Waiting };
        let Stepped { result: Some(result), message } = stepped else { return Progress::Waiting };
        if let Some(message) = message {
            slot.note_timing(&result);
            slot.waits_here =
                !matches!(result, Ok(Step::Send(_) | Step::Established { .. }) | Err(_));
            let reply = match &result {
                Ok(step) => step.message(),
                Err(failure) => failure.reply.as_ref(),
            };
            match reply {
                Some(reply) => slot.launch(id, message, reply, now, delivery),
                None if !matches!(result, Ok(Step::Sign(_) | Step::Claim(_) | Step::More)) => {
                    slot.exchange.flush_ack()
                }
                None => {}
            }
        }
        let progress = match result {
            Ok(Step::Send(_) | Step::Claim(_) | Step::More) => Progress::Waiting,
            Ok(Step::Sign(request)) => {
                delivery.push_event(Event::SignRequest(request));
                Progress::Waiting
            }
            Ok(Step::Established { established, .. }) => {
                let (peer, handshake) = (slot.peer, slot.is_ours().then_some(HandshakeHandle(id)));
                Progress::Established(NewlyEstablished { established, peer, handshake })
            }
            Err(Failure { error, .. }) => {
                self.fail(id, error, now, delivery);
                Progress::Failed(error)
            }
        };
        self.update(id, delivery);
        progress
    }

    /// Takes note of the session that an established handshake became. Returns true if the
    /// commissioning window served it.
    pub(in crate::manager) fn established<T>(
        &mut self,
        id: HandshakeId,
        session: SessionHandle,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) -> bool {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.ended = Some(now + LINGER);
            delivery.statistics.handshakes.total.note(slot.began, now);
            slot.turn(true, now);
            slot.lends_to = Some(session);
        }
        self.update(id, delivery);
        self.end_serving(id)
    }

    /// Fails an established handshake for whose session there was no room.
    pub(in crate::manager) fn no_room<T>(
        &mut self,
        id: HandshakeId,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        self.fail(id, HandshakeError::NoRoom, now, delivery);
        self.update(id, delivery);
    }
}
