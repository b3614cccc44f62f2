//! Handshakes that this node begins.

use crate::context::Context;
use crate::crypto::{Crypto, Passcode};
use crate::exchange::Exchange;
use crate::handshake::{CaseClient, CaseStart, HandshakeError, Outgoing, PaseClient, PaseStart};
use crate::ids::Peer;
use crate::manager::delivery::Delivery;
use crate::manager::error::ConnectError;
use crate::manager::handle::HandshakeHandle;
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::attempts::Race;
use crate::manager::handshakes::destination::Destination;
use crate::manager::handshakes::machine::Machine;
use crate::manager::handshakes::message::{allocate, has_room, message_of};
use crate::manager::handshakes::slot::Slot;
use crate::manager::node::Node;
use crate::manager::storage::{ByteStore, Map, Storage};
use crate::session::{SessionParameters, UnsecureSession};
use crate::time::Instant;
use crate::wire::MessageBuf;

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Makes a slot for a handshake that this node begins, at the cost of one that a peer began if
    /// it must.
    pub(in crate::manager) fn make_room_to_connect<T>(
        &mut self,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(), ConnectError> {
        if delivery.is_backlogged() {
            return Err(ConnectError::Backlog);
        }
        if self.make_slot(delivery) && has_room(delivery) {
            return Ok(());
        }
        let newcomer = self.newcomer(None);
        if let Some(victim) = self.victim(&newcomer, now, has_room(delivery)) {
            self.displace(victim, now, node.config.busy_wait, delivery);
        }
        if self.has_free_slot() { Ok(()) } else { Err(ConnectError::TooMany) }
    }

    /// Begins PASE.
    pub(in crate::manager) fn connect_pase<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        to: Destination<'_>,
        passcode: Passcode,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Result<HandshakeHandle, ConnectError> {
        self.connect(cx, to, delivery, node, |node, cx, out| {
            let start = PaseStart::new(passcode, to.local, &node.config.parameters);
            let (machine, first) = PaseClient::start(crypto, cx, start, out)?;
            Ok((Machine::PaseClient(machine), first))
        })
    }

    /// Begins CASE. Offers resumption if there is a record of the peer.
    pub(in crate::manager) fn connect_case<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        to: Destination<'_>,
        peer: Peer,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Result<HandshakeHandle, ConnectError> {
        self.connect(cx, to, delivery, node, |node, cx, out| {
            let started = node.with_env(cx, &mut [], &mut (0, None), |env, cx| {
                let record = env.resumption.by_peer(peer);
                let start = CaseStart::new(peer, to.local).with_record(record);
                CaseClient::start(crypto, cx, env, start, out)
            });
            let (machine, first) = started?;
            Ok((Machine::CaseClient(machine), first))
        })
    }

    /// Begins a handshake whose machine and first message `start` makes.
    fn connect<T>(
        &mut self,
        cx: &mut Context<'_>,
        to: Destination<'_>,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
        start: impl FnOnce(
            &mut Node<S>,
            &mut Context<'_>,
            &mut [u8],
        ) -> Result<(Machine<C>, Outgoing), HandshakeError>,
    ) -> Result<HandshakeHandle, ConnectError> {
        if !has_room(delivery) {
            return Err(ConnectError::NoRoom);
        }
        let id = delivery.serial();
        let mut message = allocate(id, delivery).ok_or(ConnectError::NoRoom)?;
        let bytes = delivery.bytes.get_mut(message_of(id), &mut message);
        let started = match MessageBuf::new(bytes) {
            Ok(mut buf) => start(node, cx, buf.payload_mut()).map_err(ConnectError::from),
            Err(_) => Err(ConnectError::NoRoom),
        };
        let drawn = started.and_then(|started| {
            let ephemeral = node.config.ephemeral(cx.rng).map_err(HandshakeError::from)?;
            Ok((started, ephemeral))
        });
        let ((machine, first), ephemeral) =
            drawn.inspect_err(|_| delivery.bytes.release(message_of(id)))?;
        let mut unsecured = UnsecureSession::initiator_as(ephemeral, cx.now);
        if matches!(machine, Machine::PaseClient(_)) {
            // A commissioner has just discovered the device, which therefore listens.
            unsecured.mark_peer_active(cx.now);
        }
        let exchange = Exchange::new(delivery.exchange_id(), true, cx.now);
        let mut slot = Slot::new(machine, unsecured, exchange, to.first, to.local, cx.now);
        let (delay, mut start) = (node.config.connection_attempt_delay, cx.now);
        slot.race = Race::among(to.addresses, || {
            start = start + delay;
            start
        });
        if !self.add(id, slot) {
            delivery.bytes.release(message_of(id));
            return Err(ConnectError::TooMany);
        }
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.launch(id, message, &first, cx.now, delivery);
        }
        self.update(id, delivery);
        Ok(HandshakeHandle(id))
    }

    /// Returns the CASE handshake with a peer that this node has begun and that is running; of
    /// several, the one begun first.
    pub(in crate::manager) fn with_peer(&self, peer: Peer) -> Option<HandshakeHandle> {
        let mut running = self.slots.iter().filter(|(_, slot)| slot.ended.is_none());
        running
            .find(|(_, slot)| slot.machine.target() == Some(peer))
            .map(|(id, _)| HandshakeHandle(*id))
    }

    /// Uses the peer's timing as it was discovered until the peer declares its own. Returns false
    /// if the handshake has ended.
    pub(in crate::manager) fn expect_timing<T>(
        &mut self,
        cx: &Context<'_>,
        handshake: HandshakeHandle,
        parameters: &SessionParameters,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> bool {
        let wait = node.retry_wait();
        let slot = self.slots.get_mut(&handshake.0);
        let running = slot.filter(|slot| slot.is_ours() && slot.ended.is_none());
        let Some(slot) = running else { return false };
        slot.unsecured.set_peer_parameters(parameters);
        slot.exchange.postpone(cx.now + wait(slot.unsecured.base_interval(cx.now), 0));
        self.update(handshake.0, delivery);
        true
    }
}
