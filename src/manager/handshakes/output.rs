//! The transmissions and deadlines of handshakes.

use crate::crypto::Crypto;
use crate::handshake::Outgoing;
use crate::ids::ProtocolId;
use crate::manager::delivery::{Delivery, Output};
use crate::manager::handle::{HandshakeId, PeerAddress, Source};
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::message::message_of;
use crate::manager::handshakes::slot::Slot;
use crate::manager::node::Node;
use crate::manager::storage::{ByteStore, Held, Map, Storage};
use crate::manager::trace::{self, Way};
use crate::time::Instant;
use crate::wire::MessageBuf;

impl<C: Crypto, S: Storage> Slot<C, S> {
    /// Encodes a handshake message and puts it in flight.
    #[inline(never)]
    pub(super) fn launch<T>(
        &mut self,
        id: HandshakeId,
        mut message: Held<S>,
        outgoing: &Outgoing,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let reliable = !self.peer.is_reliable();
        let header = self.exchange.header(ProtocolId::SECURE_CHANNEL, outgoing.opcode.0, reliable);
        let octets = delivery.bytes.get_mut(message_of(id), &mut message);
        let Ok(mut buf) = MessageBuf::new(octets) else { return };
        if buf.set_payload_len(outgoing.len).is_err() {
            return;
        }
        let counter = &mut delivery.unsecured_counter;
        let Ok(encoded) = self.unsecured.encode(counter, &header, buf, now) else { return };
        let (datagram, counter) = (encoded.range(), encoded.counter());
        trace::message(Way::Out, 0, &header, counter);
        self.sent = Some(counter);
        self.turn(false, now);
        delivery.bytes.shrink(message_of(id), datagram.end);
        self.exchange.sent(&header, now);
        self.exchange.launch(message, datagram, counter, reliable, now);
    }
}

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Encodes the next acknowledgement of a handshake into the scratch buffer of the delivery, or
    /// takes the transmission of its message in flight. Then its deadline and readiness are up to
    /// date.
    pub(in crate::manager) fn output<T>(
        &mut self,
        id: HandshakeId,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Option<Output> {
        let output = self.next_output(id, now, delivery, node);
        if output.is_none() {
            // There is nothing to send after all: it must not stay ready.
            delivery.schedule.idle();
        }
        self.update(id, delivery);
        output
    }

    fn next_output<T>(
        &mut self,
        id: HandshakeId,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Option<Output> {
        let slot = self.slots.get_mut(&id)?;
        // The message first: a recorded datagram can make an acknowledgement due at any time.
        let interval = slot.unsecured.base_interval(now);
        let exchange = slot.exchange.id();
        let mut repetitions = 0;
        let wait = |n| {
            repetitions = n;
            trace::in_flight(0, exchange, n);
            node.retry_wait()(interval, n)
        };
        if slot.exchange.take_transmission(now, wait) {
            #[cfg(feature = "initiator")]
            slot.stagger(now);
            return Some(Output::InFlight { repeated: repetitions > 0 });
        }
        if let Some(header) = slot.exchange.next_ack() {
            slot.exchange.sent(&header, now);
            let message = MessageBuf::new(&mut delivery.scratch).ok()?;
            let counter = &mut delivery.unsecured_counter;
            let encoded = slot.unsecured.encode(counter, &header, message, now).ok()?;
            trace::message(Way::Out, 0, &header, encoded.counter());
            return Some(Output::Ack(encoded.range()));
        }
        None
    }

    /// Returns the address of the peer of a handshake.
    pub(in crate::manager) fn peer(&self, id: HandshakeId) -> Option<&PeerAddress> {
        self.slots.get(&id).map(|slot| &slot.peer)
    }

    /// Returns the message in flight of a handshake.
    pub(in crate::manager) fn in_flight<'a, T>(
        &'a self,
        id: HandshakeId,
        delivery: &'a Delivery<S, T>,
    ) -> Option<&'a [u8]> {
        let (held, datagram) = self.slots.get(&id)?.exchange.message()?;
        delivery.bytes.get(message_of(id), held).get(datagram)
    }

    /// Files the deadline of a handshake and whether it has output. To be called after every
    /// change to one.
    pub(in crate::manager) fn update<T>(&mut self, id: HandshakeId, delivery: &mut Delivery<S, T>) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if slot.exchange.message().is_none() {
            delivery.bytes.release(message_of(id));
        }
        let life = match slot.ended {
            Some(_) => slot.goes(),
            None => slot.machine.poll_timeout(),
        };
        let deadline = [life, slot.exchange.poll_timeout()].into_iter().flatten().min();
        #[cfg(feature = "initiator")]
        let deadline = [deadline, slot.race_timeout()].into_iter().flatten().min();
        let has_output = slot.exchange.has_output();
        delivery.schedule.file(Source::Handshake(id), &mut slot.filed, deadline, has_output);
        let works = slot.ended.is_none() && slot.machine.has_more();
        delivery.schedule.file_work(&mut slot.filed, works.then_some(slot.stepped));
    }
}
