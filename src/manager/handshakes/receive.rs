//! Received unsecured messages: those of handshakes, and those of unauthenticated senders that
//! have none.

use crate::check_in::is_check_in;
use crate::crypto::Crypto;
use crate::exchange::{acknowledgement, wants_ack};
use crate::handshake::case::messages::Sigma1;
use crate::handshake::pase::messages::PbkdfParamRequest;
use crate::handshake::{HandshakeError, Incoming};
use crate::ids::{MessageCounter, ProtocolId};
use crate::manager::delivery::Delivery;
use crate::manager::handle::{HandshakeId, PeerAddress};
use crate::manager::handshakes::Handshakes;
#[cfg(feature = "initiator")]
use crate::manager::handshakes::arrival::Answer;
use crate::manager::handshakes::arrival::{Arrival, First};
use crate::manager::handshakes::message::has_room_for;
#[cfg(feature = "initiator")]
use crate::manager::handshakes::race::Judgement;
use crate::manager::handshakes::reply::ReplyTo;
use crate::manager::handshakes::slot::{Sigma1Mark, Slot};
use crate::manager::received::Dropped;
use crate::manager::storage::{Map, Storage};
use crate::manager::trace::{self, Way};
use crate::session::{DecodeError, EphemeralNodeId, SessionRole, Unauthenticated, UnsecureSession};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageKind, Packet, ProtocolHeader};

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Handles an unsecured message up to the step of a state machine that it may cause.
    #[inline(never)]
    pub(in crate::manager) fn receive<'b, T>(
        &mut self,
        crypto: &C,
        now: Instant,
        from: PeerAddress,
        packet: Packet<'b>,
        delivery: &mut Delivery<S, T>,
    ) -> Result<Arrival<'b>, Dropped> {
        // PASE ends with the window, also if nobody has called at that time.
        self.window_timeout(now, delivery);
        let (node, role) = match packet.header().kind().map_err(DecodeError::from)? {
            MessageKind::FromInitiator(node) => (node, SessionRole::Responder),
            MessageKind::FromResponder(node) => (node, SessionRole::Initiator),
            _ => return Err(DecodeError::Shape.into()),
        };
        let node = EphemeralNodeId::received(node).ok_or(Dropped::EphemeralNodeId)?;
        let message = UnsecureSession::read(packet)?;
        if role == SessionRole::Responder && is_check_in(&message.header) {
            trace::message(Way::In, 0, &message.header, message.counter);
            return Ok(Arrival::CheckIn(message.payload));
        }
        let known = self.handshake_of(node, role, from, &message.header);
        let known = match role {
            SessionRole::Responder => known.or_else(|| self.moved(crypto, node, from, &message)),
            SessionRole::Initiator => known,
        };
        match known {
            Some(id) => self.receive_next(now, id, from, message, delivery),
            None if role == SessionRole::Responder => {
                self.receive_other(now, from, node, message, delivery)
            }
            None => Err(Dropped::UnknownHandshake),
        }
    }

    /// Returns the handshake that an unsecured message belongs to: by its exchange and the
    /// initiator's ephemeral node id, and on the responder also by the address. A responder may
    /// answer from another of its addresses, unless the handshake was begun at several: those that
    /// did not answer first have seen its ids.
    fn handshake_of(
        &self,
        node: EphemeralNodeId,
        role: SessionRole,
        from: PeerAddress,
        header: &ProtocolHeader,
    ) -> Option<HandshakeId> {
        let is_peer = |slot: &Slot<C, S>| match role {
            #[cfg(feature = "initiator")]
            SessionRole::Initiator if !slot.race.is_won => slot.peer.shares_sessions(&from),
            _ => slot.peer.is(&from),
        };
        let mut slots = self.slots.iter();
        slots
            .find(|(_, slot)| slot.is_named(node, role, header) && is_peer(slot))
            .map(|(id, _)| *id)
    }

    /// Returns the handshake of an initiator that goes on from another address. Everybody who has
    /// seen the ids of a handshake can send from elsewhere: only the message that it waits for is
    /// taken, and where that proves who the sender is, only with this proof. A StatusReport proves
    /// at least that its sender has received the message before it, which it acknowledges. Nothing
    /// else from elsewhere changes a handshake.
    #[inline(never)]
    fn moved(
        &self,
        crypto: &C,
        node: EphemeralNodeId,
        from: PeerAddress,
        message: &Unauthenticated<'_>,
    ) -> Option<HandshakeId> {
        let Unauthenticated { header, counter, payload, .. } = message;
        let opcode = Opcode(header.opcode);
        let mut slots = self.slots.iter().filter(|(_, slot)| {
            slot.is_named(node, SessionRole::Responder, header)
                && slot.ended.is_none()
                && slot.peer.shares_sessions(&from)
                && !slot.unsecured.is_duplicate(*counter)
                && (opcode != Opcode::STATUS_REPORT || slot.exchange.is_answered_by(header))
        });
        // Whoever begins several handshakes by the same ids has one of them tried, the first.
        let (id, slot) = slots.next()?;
        slot.machine.expects(crypto, opcode, payload).then_some(*id)
    }

    /// Handles a message of a handshake.
    #[inline(never)]
    fn receive_next<'b, T>(
        &mut self,
        now: Instant,
        id: HandshakeId,
        from: PeerAddress,
        message: Unauthenticated<'b>,
        delivery: &mut Delivery<S, T>,
    ) -> Result<Arrival<'b>, Dropped> {
        let backlogged = delivery.is_backlogged();
        let Some(slot) = self.slots.get_mut(&id) else {
            return Err(Dropped::UnknownHandshake);
        };
        let Unauthenticated { header, counter, payload, .. } = message;
        if header.protocol != ProtocolId::SECURE_CHANNEL {
            return Err(Dropped::Unsolicited);
        }
        let opcode = Opcode(header.opcode);
        let running = slot.ended.is_none();
        if running && backlogged && opcode != Opcode::MRP_STANDALONE_ACK {
            return Err(Dropped::Backlog);
        }
        let presents = [Opcode::CASE_SIGMA2, Opcode::CASE_SIGMA3].contains(&opcode);
        if running && presents && !slot.unsecured.is_duplicate(counter) {
            #[cfg(feature = "initiator")]
            let stays = slot.race.is_on;
            #[cfg(not(feature = "initiator"))]
            let stays = false;
            if !has_room_for(id, payload.len(), stays, delivery) {
                return Err(Dropped::Backlog);
            }
        }
        if running && slot.is_mistaken(&header, payload) {
            return Err(Dropped::UnknownHandshake);
        }
        // The message that began the handshake is a duplicate even if its counter has left the
        // window.
        let duplicate = opcode.begins_handshake() || slot.unsecured.is_duplicate(counter);
        trace::message(if duplicate { Way::InAgain } else { Way::In }, 0, &header, counter);
        #[cfg(feature = "initiator")]
        match slot.judge(&header, &from, now) {
            Judgement::Answer => {}
            Judgement::MayAnswer => {
                return Ok(Arrival::Answer(Answer { id, from, header, counter, payload }));
            }
            Judgement::Noted => {
                self.update(id, delivery);
                return Ok(Arrival::Handled);
            }
            Judgement::Refused => return Err(Dropped::UnknownHandshake),
        }
        if duplicate {
            delivery.statistics.count_duplicate();
        } else {
            slot.unsecured.commit(counter, now);
        }
        let receipt = slot.exchange.receive(&header, counter, duplicate, now);
        if running && (receipt.acknowledged || receipt.deliver) {
            slot.turn(true, now);
        }
        if receipt.deliver && running {
            let former = slot.peer;
            if !slot.is_ours() && former != from {
                // The answer goes to where the initiator is now.
                slot.peer = from;
                self.recount(&former);
                self.recount(&from);
            }
            return Ok(Arrival::Next(id, Incoming { opcode, payload }));
        }
        if !running {
            slot.exchange.flush_ack();
        }
        self.update(id, delivery);
        Ok(Arrival::Handled)
    }

    /// Handles a message from an initiator that has no handshake here, or none on this exchange.
    #[inline(never)]
    fn receive_other<'b, T>(
        &mut self,
        now: Instant,
        from: PeerAddress,
        node: EphemeralNodeId,
        message: Unauthenticated<'b>,
        delivery: &mut Delivery<S, T>,
    ) -> Result<Arrival<'b>, Dropped> {
        let header = message.header;
        trace::message(Way::In, 0, &header, message.counter);
        let begins = header.protocol == ProtocolId::SECURE_CHANNEL
            && header.initiator
            && Opcode(header.opcode).begins_handshake();
        if begins && !self.is_late_copy(node, from, message.counter) {
            if self.is_served(&message) {
                return Err(Dropped::HandshakeCopy);
            }
            let former = is_well_formed(&message)
                .then(|| self.supersede(node, from, now, delivery))
                .flatten();
            let mut unsecured = former.unwrap_or_else(|| UnsecureSession::responder(node, now));
            unsecured.commit(message.counter, now);
            return Ok(Arrival::First(First { peer: from, unsecured, message }));
        }
        if !wants_ack(&header) {
            return Err(Dropped::Unsolicited);
        }
        // Most likely the end of a handshake that this node has forgotten.
        let header = acknowledgement(&header, message.counter);
        let role = SessionRole::Responder;
        ReplyTo { peer: from, node, role, header }.push_header(now, delivery);
        Ok(Arrival::Handled)
    }

    /// Returns the handshakes that this initiator has here, running or ended.
    fn of_initiator(
        &self,
        node: EphemeralNodeId,
        from: PeerAddress,
    ) -> impl Iterator<Item = (HandshakeId, &Slot<C, S>)> {
        self.slots.iter().map(|(id, slot)| (*id, slot)).filter(move |(_, slot)| {
            !slot.is_ours() && slot.unsecured.ephemeral_node_id() == node && slot.peer.is(&from)
        })
    }

    /// Returns true if another handshake of this initiator has seen this message counter: the
    /// message is a late copy of one that began a handshake which has ended.
    fn is_late_copy(
        &self,
        node: EphemeralNodeId,
        from: PeerAddress,
        counter: MessageCounter,
    ) -> bool {
        self.of_initiator(node, from).any(|(_, slot)| slot.unsecured.is_duplicate(counter))
    }

    /// Returns true if a message is a copy of the Sigma1 of another handshake, from whatever node
    /// and address: nothing is computed for it, and no slot, session id or signature is spent.
    fn is_served(&self, message: &Unauthenticated<'_>) -> bool {
        let mark = (Opcode(message.header.opcode) == Opcode::CASE_SIGMA1)
            .then(|| Sigma1Mark::of(message.payload))
            .flatten();
        mark.is_some() && self.slots.iter().any(|(_, slot)| slot.sigma1 == mark)
    }

    /// Returns true if this initiator has a running handshake.
    pub(super) fn is_running(&self, node: EphemeralNodeId, from: PeerAddress) -> bool {
        self.of_initiator(node, from).any(|(_, slot)| slot.ended.is_none())
    }

    /// Ends the running handshake of an initiator that begins another one as the same node: it
    /// will not continue the former. Returns the unsecured session that the two share.
    fn supersede<T>(
        &mut self,
        node: EphemeralNodeId,
        from: PeerAddress,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) -> Option<UnsecureSession> {
        if !self.turning_away.is_vacant() || delivery.is_backlogged() {
            return None; // the new handshake will be refused
        }
        let mut running =
            self.of_initiator(node, from).filter(|(_, slot)| slot.can_be_superseded(now));
        let (id, _) = running.next()?;
        drop(running);
        let slot = self.slots.get_mut(&id)?;
        let unsecured =
            core::mem::replace(&mut slot.unsecured, UnsecureSession::responder(node, now));
        self.fail(id, HandshakeError::Superseded, now, delivery);
        self.abandon(id, delivery);
        Some(unsecured)
    }
}

/// Returns true if a message that begins a handshake can be parsed. One that cannot ends no other
/// handshake.
#[inline(never)]
fn is_well_formed(message: &Unauthenticated<'_>) -> bool {
    match Opcode(message.header.opcode) {
        Opcode::CASE_SIGMA1 => Sigma1::parse(message.payload).is_ok(),
        _ => PbkdfParamRequest::parse(message.payload).is_ok(),
    }
}
