//! How handshakes end without a session.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::handshake::{ClaimRequest, HandshakeError};
use crate::ids::{FabricIndex, NodeId, ProtocolId};
use crate::manager::delivery::Delivery;
use crate::manager::event::Event;
use crate::manager::handle::{HandshakeHandle, HandshakeId, PeerAddress};
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::contention::PASE_GRACE;
use crate::manager::handshakes::machine::Input;
use crate::manager::handshakes::reply::ReplyTo;
use crate::manager::handshakes::slot::LINGER;
use crate::manager::node::Node;
use crate::manager::storage::{ByteStore, Map, Owner, Storage};
use crate::time::Instant;
use crate::wire::StatusReport;
use crate::wire::secure_channel::Opcode;

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Takes note that a handshake has failed. Its slot stays while its report is in flight.
    #[inline(never)]
    pub(super) fn fail<T>(
        &mut self,
        id: HandshakeId,
        error: HandshakeError,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.ended.is_none()) else {
            return;
        };
        slot.ended = Some(now + LINGER);
        slot.failed = true;
        #[cfg(feature = "initiator")]
        slot.race.end();
        slot.machine.end();
        slot.kept = None;
        delivery.bytes.release(Owner::Certificates(id));
        let (peer, attempted, since) = (slot.peer, slot.machine.attempted(), slot.since);
        let handshake = slot.is_ours().then_some(HandshakeHandle(id));
        let told = (peer, error);
        // A refusal says more than that no other address has answered.
        #[cfg(feature = "initiator")]
        let told = match slot.race.refusal {
            Some(refusal) if error == HandshakeError::TimedOut => refusal,
            _ => told,
        };
        let (address, reason) = told;
        delivery.statistics.handshakes.count_failed(&reason);
        delivery.push_event(Event::HandshakeFailed { handshake, address, error: reason });
        // It may be displaced by a handshake of this node while it answers in time.
        let is_silence = error == HandshakeError::TimedOut
            || error == HandshakeError::Displaced && now >= since + PASE_GRACE;
        self.serving_failed(id, attempted, is_silence.then_some(peer), delivery);
    }

    /// Fails a handshake for a reason of this node, and reports it to the peer.
    fn abort<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        id: HandshakeId,
        error: HandshakeError,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) {
        let stepped = self.step(crypto, cx, id, Input::Abort(error), delivery, node);
        // This step establishes nothing.
        let _ = self.carry_out(id, stepped, cx.now, delivery);
        // Whether or not there was room for a report.
        self.fail(id, error, cx.now, delivery);
        self.update(id, delivery);
    }

    /// Continues with the full handshake, as nobody has answered the claim on the record.
    fn refuse_claim<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        id: HandshakeId,
        request: ClaimRequest,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) {
        let refused = request.complete(false);
        let stepped = self.step(crypto, cx, id, Input::Claimed(&refused), delivery, node);
        // This step establishes nothing.
        let _ = self.carry_out(id, stepped, cx.now, delivery);
    }

    /// Ends a handshake without an event, and frees its slot.
    pub(in crate::manager) fn abandon<T>(
        &mut self,
        id: HandshakeId,
        delivery: &mut Delivery<S, T>,
    ) {
        let Some(slot) = self.slots.get(&id) else { return };
        let (running, attempted) = (slot.ended.is_none(), slot.machine.attempted());
        self.discard(id, delivery);
        if running {
            self.serving_failed(id, attempted, None, delivery);
        }
    }

    /// Ends a handshake that this node began, and reports that to the peer once, if anything was
    /// sent to it. Returns false if it has ended already.
    #[cfg(feature = "initiator")]
    pub(in crate::manager) fn cancel<T>(
        &mut self,
        handshake: HandshakeHandle,
        delivery: &mut Delivery<S, T>,
    ) -> bool {
        let slot = self.slots.get(&handshake.0);
        // A handle of another manager may have the number of a handshake that a peer began.
        let Some(slot) = slot.filter(|slot| slot.is_ours() && slot.ended.is_none()) else {
            return false;
        };
        let was_sent = slot.answered || slot.exchange.is_transmitted();
        let current = was_sent.then_some(slot.peer);
        let report = StatusReport::invalid_parameter();
        for address in slot.race.reached().into_iter().chain([current]).flatten() {
            self.report(handshake.0, address, &report, delivery);
        }
        self.abandon(handshake.0, delivery);
        true
    }

    /// Reports to the peer of a handshake once that it has failed.
    pub(super) fn report_failure<T>(
        &mut self,
        id: HandshakeId,
        error: &HandshakeError,
        delivery: &mut Delivery<S, T>,
    ) {
        let peer = self.slots.get(&id).map(|slot| slot.peer);
        if let Some((report, peer)) = error.status_report().zip(peer) {
            self.report(id, peer, &report, delivery);
        }
    }

    /// Sends a report of a handshake once to this address.
    pub(super) fn report<T>(
        &mut self,
        id: HandshakeId,
        peer: PeerAddress,
        report: &StatusReport<'_>,
        delivery: &mut Delivery<S, T>,
    ) {
        if let Some(slot) = self.slots.get(&id) {
            let opcode = Opcode::STATUS_REPORT.0;
            let to = ReplyTo {
                peer,
                node: slot.unsecured.ephemeral_node_id(),
                role: slot.unsecured.role(),
                header: slot.exchange.header(ProtocolId::SECURE_CHANNEL, opcode, false),
            };
            to.push_report(report, slot.exchange.last_used(), delivery);
        }
    }

    /// Fails every running handshake on a fabric.
    pub(in crate::manager) fn fail_of_fabric<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        fabric: FabricIndex,
        error: HandshakeError,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) {
        while let Some(id) = self.running_of_fabric(fabric) {
            self.abort(crypto, cx, id, error, delivery, node);
        }
    }

    fn running_of_fabric(&self, fabric: FabricIndex) -> Option<HandshakeId> {
        let mut slots = self.slots.iter();
        slots
            .find(|(_, slot)| slot.ended.is_none() && slot.machine.fabric() == Some(fabric))
            .map(|(id, _)| *id)
    }

    /// Ends every handshake that is about to resume from the record of a peer, or from any record
    /// of the fabric: it would save the record again.
    #[inline(never)]
    pub(in crate::manager) fn end_resumptions<T>(
        &mut self,
        fabric: FabricIndex,
        peer: Option<NodeId>,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let mut next = self.slots.first();
        while let Some(id) = next {
            if let Some(slot) = self.slots.get_mut(&id)
                && slot.machine.forget_record(fabric, peer)
            {
                self.report_failure(id, &HandshakeError::Rejected, delivery);
                self.fail(id, HandshakeError::Rejected, now, delivery);
                self.abandon(id, delivery);
            }
            next = self.slots.first_from(id.wrapping_add(1));
        }
    }

    /// Fails every handshake over a connection that is lost.
    pub(in crate::manager) fn disconnected<T>(
        &mut self,
        connection: PeerAddress,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        while let Some(id) = self.first_over(connection) {
            self.fail(id, HandshakeError::Disconnected, now, delivery);
            self.abandon(id, delivery);
        }
    }

    fn first_over(&self, connection: PeerAddress) -> Option<HandshakeId> {
        let mut over = self.slots.iter().filter(|(_, slot)| slot.peer == connection);
        over.next().map(|(id, _)| *id)
    }

    /// Lets time pass for a handshake.
    #[inline(never)]
    pub(in crate::manager) fn timeout<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        id: HandshakeId,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        #[cfg(feature = "initiator")]
        slot.advance_race(cx.now);
        let gave_up = slot.exchange.handle_timeout(cx.now);
        match slot.ended {
            Some(_) if slot.goes().is_some_and(|goes| cx.now >= goes) => {
                self.discard(id, delivery);
                return;
            }
            Some(_) => {}
            // An answer of which more is to be computed counts.
            None if gave_up && !slot.machine.has_more() => {
                self.fail(id, HandshakeError::TimedOut, cx.now, delivery)
            }
            None => {
                if slot.machine.poll_timeout().is_some_and(|due| cx.now >= due) {
                    match slot.machine.claim_request() {
                        Some(request) => self.refuse_claim(crypto, cx, id, request, delivery, node),
                        None => {
                            let error = slot.machine.overdue();
                            self.abort(crypto, cx, id, error, delivery, node);
                        }
                    }
                }
            }
        }
        self.update(id, delivery);
    }
}
