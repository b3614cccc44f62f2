//! A step of a handshake: its state machine takes a message or a signature and makes the next
//! message.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::handshake::{Failure, HandshakeError, Signed, Step};
use crate::manager::delivery::Delivery;
use crate::manager::event::Event;
use crate::manager::handle::{HandshakeHandle, HandshakeId, SessionHandle};
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::certificates::{CERTIFICATES_LEN, Keeper, Kept};
use crate::manager::handshakes::machine::Input;
use crate::manager::handshakes::message::{allocate, message_of};
use crate::manager::handshakes::progress::{NewlyEstablished, Progress};
use crate::manager::handshakes::slot::LINGER;
use crate::manager::node::Node;
use crate::manager::storage::{Held, Map, Octets, Owner, Storage};
use crate::time::Instant;
use crate::wire::MessageBuf;

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Returns the handshake that waits for this signature.
    pub(in crate::manager) fn awaiting(&self, signed: &Signed) -> Option<HandshakeId> {
        let mut slots = self.slots.iter();
        slots
            .find(|(_, slot)| slot.ended.is_none() && slot.machine.awaits(signed))
            .map(|(id, _)| *id)
    }

    /// Runs a step of a handshake. Puts the message that it makes in flight and queues the event
    /// that it causes.
    ///
    /// Whoever is told of an established handshake calls [`established`](Self::established) or
    /// [`no_room`](Self::no_room).
    #[inline(never)]
    pub(in crate::manager) fn advance<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        id: HandshakeId,
        input: Input<'_>,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Progress {
        let Some(slot) = self.slots.get_mut(&id) else { return Progress::Waiting };
        // Whatever the peer sent, it answers the message in flight.
        slot.exchange.ground();
        let Some(mut message) = allocate(id, delivery) else {
            self.fail(id, HandshakeError::NoRoom, cx.now, delivery);
            self.update(id, delivery);
            return Progress::Failed(HandshakeError::NoRoom);
        };
        let mut certificates = input
            .may_present_certificates()
            .then(|| delivery.octets.allocate(Owner::Certificates(id), CERTIFICATES_LEN))
            .flatten();
        let [octets, room] = delivery.octets.get_many_mut([
            Some((message_of(id), &mut message)),
            certificates.as_mut().map(|held| (Owner::Certificates(id), held)),
        ]);
        let Ok(mut buf) = MessageBuf::new(octets) else { return Progress::Waiting };
        let mut keeper = Keeper::new(room);
        let step = node.with_env(cx, &mut keeper, |env, cx| {
            slot.machine.step(crypto, cx, env, input, buf.payload_mut())
        });
        let facts = keeper.facts;
        if let Some(held) = certificates {
            slot.kept = Kept::settle(&mut delivery.octets, id, held, facts);
        }
        // From now on retransmissions use the timing that the peer has declared.
        let declared = match &step {
            Ok(Step::Established { established, .. }) => {
                Some(established.session.peer_parameters())
            }
            _ => slot.machine.peer_parameters(),
        };
        if let Some(parameters) = declared {
            slot.unsecured.set_peer_parameters(parameters);
        }
        let progress = self.carry_out(id, step, message, cx.now, delivery);
        self.update(id, delivery);
        progress
    }

    fn carry_out<T>(
        &mut self,
        id: HandshakeId,
        step: Result<Step, Failure>,
        message: Held<S>,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) -> Progress {
        let Some(slot) = self.slots.get_mut(&id) else { return Progress::Waiting };
        let reply = match &step {
            Ok(step) => step.message(),
            Err(failure) => failure.reply.as_ref(),
        };
        match reply {
            Some(reply) => slot.launch(id, message, reply, now, delivery),
            None if !matches!(step, Ok(Step::Sign(_))) => slot.exchange.flush_ack(),
            None => {}
        }
        match step {
            Ok(Step::Send(_)) => Progress::Waiting,
            Ok(Step::Sign(request)) => {
                delivery.tell(Event::SignRequest(request));
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
        }
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
