//! Received unsecured messages: handshakes, and what strangers send.

use core::time::Duration;

use crate::bytes::Buffer;
use crate::check_in::is_check_in;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::exchange::{Exchange, wants_ack};
use crate::handshake::case::messages::Sigma1;
use crate::handshake::pase::messages::PbkdfParamRequest;
use crate::handshake::{CaseServer, HandshakeError, Incoming, PaseServer};
use crate::ids::{MessageCounter, NodeId, ProtocolId};
use crate::manager::delivery::SHORT_LEN;
use crate::manager::event::{Dropped, Received};
use crate::manager::handle::{HandshakeId, PeerAddress, Source};
use crate::manager::handshakes::machine::Machine;
use crate::manager::handshakes::slot::Slot;
use crate::manager::sessions::receive::acknowledgement;
use crate::manager::storage::{Map, Storage};
use crate::manager::{Config, SessionManager};
use crate::session::{DecodeError, EphemeralNodeId, SessionRole, Unauthenticated, UnsecureSession};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageBuf, MessageKind, Packet, ProtocolHeader, StatusReport};

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    #[inline(never)]
    pub(in crate::manager) fn receive_unsecured<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        packet: Packet<'b>,
    ) -> Result<Received<'b>, Dropped> {
        let (node, role) = match packet.header().kind().map_err(DecodeError::from)? {
            MessageKind::FromInitiator(node) => (node, SessionRole::Responder),
            MessageKind::FromResponder(node) => (node, SessionRole::Initiator),
            _ => return Err(DecodeError::Shape.into()),
        };
        let message = UnsecureSession::read(packet)?;
        if role == SessionRole::Responder && is_check_in(&message.header) {
            return Ok(Received::CheckIn { payload: message.payload });
        }
        let handled = match self.handshake_of(node, role, from, &message.header) {
            Some(id) => self.receive_handshake(cx, id, message),
            None if role == SessionRole::Responder => {
                self.receive_stranger(cx, from, node, message)
            }
            None => Err(Dropped::UnknownHandshake),
        };
        handled.map(|()| Received::Handled)
    }

    /// The handshake that an unsecured message belongs to: by its exchange and the initiator's
    /// ephemeral node id, and on the responder also by the address, which a stranger cannot
    /// easily share. A responder may answer from another of its addresses.
    fn handshake_of(
        &self,
        node: NodeId,
        role: SessionRole,
        from: PeerAddress,
        header: &ProtocolHeader,
    ) -> Option<HandshakeId> {
        let is_peer = |peer: &PeerAddress| match role {
            SessionRole::Responder => peer.is(&from),
            SessionRole::Initiator => peer.shares_sessions(&from),
        };
        self.handshakes
            .slots
            .iter()
            .find(|(_, slot)| {
                slot.exchange.matches(header)
                    && slot.unsecured.role() == role
                    && slot.unsecured.ephemeral_node_id().node() == node
                    && is_peer(&slot.peer)
            })
            .map(|(id, _)| *id)
    }

    #[inline(never)]
    fn receive_handshake(
        &mut self,
        cx: &mut Context<'_>,
        id: HandshakeId,
        message: Unauthenticated<'_>,
    ) -> Result<(), Dropped> {
        let backlogged = self.delivery.is_backlogged();
        let Some(slot) = self.handshakes.slots.get_mut(&id) else {
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
        if running && slot.is_mistaken(&header, payload) {
            return Err(Dropped::UnknownHandshake);
        }
        // What began the handshake comes once, even if its counter has left the window.
        let duplicate = opcode.begins_handshake() || slot.unsecured.is_duplicate(counter);
        if !duplicate {
            slot.unsecured.commit(counter, cx.now);
        }
        let receipt = slot.exchange.receive(&header, counter, duplicate, cx.now);
        if receipt.deliver && running {
            self.feed(id, Incoming { opcode, payload }, cx);
        } else if !running {
            slot.exchange.flush_ack();
        }
        self.update(Source::Handshake(id));
        Ok(())
    }

    /// A message from an initiator that has no handshake here, or none on this exchange.
    #[inline(never)]
    fn receive_stranger(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        node: NodeId,
        message: Unauthenticated<'_>,
    ) -> Result<(), Dropped> {
        let header = message.header;
        let node = EphemeralNodeId::received(node);
        let begins = header.protocol == ProtocolId::SECURE_CHANNEL
            && header.initiator
            && Opcode(header.opcode).begins_handshake();
        if begins && !self.is_late_copy(node, from, message.counter) {
            let former =
                is_well_formed(&message).then(|| self.supersede(node, from, cx.now)).flatten();
            let mut unsecured = former.unwrap_or_else(|| UnsecureSession::responder(node, cx.now));
            unsecured.commit(message.counter, cx.now);
            return self.begin(cx, from, unsecured, message);
        }
        if !wants_ack(&header) {
            return Err(Dropped::Unsolicited);
        }
        // The end of a handshake that is forgotten here, most likely.
        let ack = acknowledgement(&header, message.counter);
        self.push_unsecured(from, node, &ack, &[], cx.now);
        Ok(())
    }

    /// The handshakes that this initiator has here, running or ended.
    fn handshakes_of(
        &self,
        node: EphemeralNodeId,
        from: PeerAddress,
    ) -> impl Iterator<Item = (HandshakeId, &Slot<C, S>)> {
        self.handshakes.slots.iter().map(|(id, slot)| (*id, slot)).filter(move |(_, slot)| {
            !slot.is_ours() && slot.unsecured.ephemeral_node_id() == node && slot.peer.is(&from)
        })
    }

    /// Whether another handshake of this initiator has seen this message counter: the message is
    /// a late copy of one that began a handshake which is over.
    fn is_late_copy(
        &self,
        node: EphemeralNodeId,
        from: PeerAddress,
        counter: MessageCounter,
    ) -> bool {
        self.handshakes_of(node, from).any(|(_, slot)| slot.unsecured.is_duplicate(counter))
    }

    /// Ends the running handshake of an initiator that begins another one as the same node: it
    /// will not go on with the former. Returns the unsecured session that the two share.
    fn supersede(
        &mut self,
        node: EphemeralNodeId,
        from: PeerAddress,
        now: Instant,
    ) -> Option<UnsecureSession> {
        if !self.handshakes.turning_away.is_vacant() || self.delivery.is_backlogged() {
            return None; // the newcomer will be refused
        }
        let mut running = self.handshakes_of(node, from).filter(|(_, slot)| slot.ended.is_none());
        let (id, _) = running.next()?;
        drop(running);
        let slot = self.handshakes.slots.get_mut(&id)?;
        let unsecured =
            core::mem::replace(&mut slot.unsecured, UnsecureSession::responder(node, now));
        self.fail(id, HandshakeError::Superseded, now);
        self.drop_handshake(id);
        Some(unsecured)
    }

    /// Tells the peer of a handshake once that it has failed.
    pub(in crate::manager) fn report_failure(&mut self, id: HandshakeId, error: &HandshakeError) {
        let Some(slot) = self.handshakes.slots.get(&id) else { return };
        let (peer, node) = (slot.peer, slot.unsecured.ephemeral_node_id());
        let opcode = Opcode::STATUS_REPORT.0;
        let header = slot.exchange.header(ProtocolId::SECURE_CHANNEL, opcode, false);
        if let Some(report) = error.status_report().filter(|_| !slot.is_ours()) {
            let now = slot.exchange.last_used();
            self.push_report(peer, node, &header, &report, now);
        }
    }

    /// A Sigma1 or PBKDFParamRequest. Refusals keep no state: a repeated request is judged anew.
    fn begin(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        unsecured: UnsecureSession,
        message: Unauthenticated<'_>,
    ) -> Result<(), Dropped> {
        let node = unsecured.ephemeral_node_id();
        let header = message.header;
        let ack = acknowledgement(&header, message.counter);
        let report = match self.admit(from, unsecured, &message, cx.now) {
            Ok(id) => {
                let opcode = Opcode(header.opcode);
                let error = self.feed(id, Incoming { opcode, payload: message.payload }, cx);
                if error.is_some() {
                    // Refused at once: no slot is kept for a report that may as well get lost.
                    self.drop_handshake(id);
                }
                error.and_then(|error| error.status_report())
            }
            Err(refusal) => Some(refusal),
        };
        if let Some(report) = report {
            self.push_report(from, node, &ack, &report, cx.now);
        }
        Ok(())
    }

    /// Makes a slot for a handshake that a peer begins, or says why not. Not inlined: what the
    /// slot is made of leaves the stack before the handshake runs.
    #[inline(never)]
    fn admit(
        &mut self,
        from: PeerAddress,
        unsecured: UnsecureSession,
        message: &Unauthenticated<'_>,
        now: Instant,
    ) -> Result<HandshakeId, StatusReport<'static>> {
        let header = &message.header;
        let opcode = Opcode(header.opcode);
        let busy = StatusReport::busy(self.node.config.busy_wait);
        if let Err(wait) = self.make_room_to_begin(opcode, now) {
            self.delivery.statistics.busy = self.delivery.statistics.busy.saturating_add(1);
            return Err(StatusReport::busy(wait));
        }
        let local = self.free_session_id().ok_or(busy)?;
        let machine = match self.handshakes.window.get() {
            _ if opcode == Opcode::CASE_SIGMA1 => {
                let server = CaseServer::new(local, now);
                let taken = self.is_being_resumed(message.payload);
                Machine::CaseServer(if taken { server.without_resumption() } else { server })
            }
            Some(window) => Machine::PaseServer(PaseServer::new(
                window.verifier.clone(),
                window.pbkdf,
                local,
                &self.node.config.parameters,
                now,
            )),
            None => return Err(StatusReport::invalid_parameter()),
        };
        let mut exchange = Exchange::new(header.exchange, false, now);
        let _ = exchange.receive(header, message.counter, false, now);
        let id = self.delivery.serial();
        if !self.add_handshake(id, Slot::new(machine, unsecured, exchange, from, local)) {
            return Err(busy);
        }
        if opcode == Opcode::PBKDF_PARAM_REQUEST
            && let Some(window) = self.handshakes.window.get_mut()
        {
            window.serving = Some(id);
        }
        Ok(id)
    }

    /// Whether another handshake is about to resume the record that a Sigma1 names. A repeated
    /// Sigma1 would make a second session of the same keys.
    fn is_being_resumed(&self, sigma1: &[u8]) -> bool {
        let request = Sigma1::parse(sigma1).ok().and_then(|sigma1| sigma1.resumption);
        request.is_some_and(|request| {
            self.handshakes.slots.iter().any(|(_, slot)| {
                slot.ended.is_none() && slot.machine.resuming() == Some(&request.id)
            })
        })
    }

    /// Makes room for a new handshake.
    ///
    /// # Errors
    /// How long it has to wait: by then a slot is free, unless it waits for something else.
    fn make_room_to_begin(&mut self, opcode: Opcode, now: Instant) -> Result<(), Duration> {
        if let Some(wait) = self.handshakes.turning_away.get() {
            return Err(*wait);
        }
        let Config { retransmission_boost: boost, longest_interval: longest, .. } =
            self.node.config;
        let frees = |slot: &Slot<C, S>| slot.frees(boost, longest);
        let until = if opcode == Opcode::PBKDF_PARAM_REQUEST && self.is_commissioning() {
            let serving = self.handshakes.window.get().and_then(|window| window.serving);
            serving.and_then(|id| self.handshakes.slots.get(&id)).and_then(frees)
        } else if self.delivery.is_backlogged() {
            None
        } else if !self.make_handshake_room() {
            self.handshakes.slots.iter().filter_map(|(_, slot)| frees(slot)).min()
        } else if !self.has_room_for_message() {
            None
        } else {
            return Ok(());
        };
        let wait = until.map_or(Duration::ZERO, |until| until.saturating_since(now));
        Err(wait.max(self.node.config.busy_wait))
    }

    /// Queues a report that refuses a handshake: once, without asking for an acknowledgement.
    fn push_report(
        &mut self,
        to: PeerAddress,
        node: EphemeralNodeId,
        ack: &ProtocolHeader,
        report: &StatusReport<'_>,
        now: Instant,
    ) {
        let mut payload = [0; 10];
        let mut buffer = Buffer::new(&mut payload);
        if report.write(&mut buffer).is_ok() {
            let header = ProtocolHeader { opcode: Opcode::STATUS_REPORT.0, ..*ack };
            self.push_unsecured(to, node, &header, buffer.into_written(), now);
        }
    }

    /// Queues a short unsecured message to an initiator.
    #[inline(never)]
    fn push_unsecured(
        &mut self,
        to: PeerAddress,
        node: EphemeralNodeId,
        header: &ProtocolHeader,
        payload: &[u8],
        now: Instant,
    ) {
        let mut buf = [0; SHORT_LEN];
        let Ok(message) = MessageBuf::with_payload(&mut buf, payload) else { return };
        let mut unsecured = UnsecureSession::responder(node, now);
        let counter = &mut self.delivery.unsecured_counter;
        if let Ok(encoded) = unsecured.encode(counter, header, message, now) {
            self.delivery.push_short(to, encoded.as_bytes());
        }
    }
}

/// Whether a message that begins a handshake can be read: what cannot be ends no other handshake.
#[inline(never)]
fn is_well_formed(message: &Unauthenticated<'_>) -> bool {
    match Opcode(message.header.opcode) {
        Opcode::CASE_SIGMA1 => Sigma1::parse(message.payload).is_ok(),
        _ => PbkdfParamRequest::parse(message.payload).is_ok(),
    }
}
