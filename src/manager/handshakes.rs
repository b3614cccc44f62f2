//! Handshakes in flight: each has its own slot, with its unsecured session and its exchange.

use super::handle::{HandshakeHandle, HandshakeId, PeerAddress, SessionHandle, Source};
use super::kept::{CERTIFICATES_LEN, Keeper, Kept};
use super::machine::Input;
use super::slot::{LINGER, Outcome, Slot, Taken, TakenMessage};
use super::storage::{Held, Map, Octets, Owner, Storage};
use super::{Config, Event, HandshakeEnded, SessionManager};
use crate::context::Context;
use crate::context::PeerCertificates;
use crate::crypto::Crypto;
use crate::handshake::{Established, HandshakeError, Incoming, Signed};
use crate::ids::{FabricIndex, LocalSessionId, NodeId, ProtocolId};
use crate::time::Instant;
use crate::wire::{MAX_UDP_PAYLOAD, MessageBuf};

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Continues the handshake that [`Event::SignRequest`] came from.
    ///
    /// # Errors
    /// [`HandshakeEnded`] if no handshake awaits the signature any more.
    #[inline(never)]
    pub fn complete_signature(
        &mut self,
        cx: &mut Context<'_>,
        signed: Signed,
    ) -> Result<(), HandshakeEnded> {
        let awaits = |slot: &Slot<C, S>| slot.ended.is_none() && slot.machine.awaits(&signed);
        let waiting = self.handshakes.iter().find(|(_, slot)| awaits(slot));
        let id = waiting.map(|(id, _)| *id).ok_or(HandshakeEnded)?;
        self.advance(id, cx, Input::Signed(&signed));
        Ok(())
    }

    /// What the peer presented, after [`Event::Established`] was polled and until the next event
    /// is: its certificates and public key. `None` for PASE and for resumed sessions, and when
    /// storage of fixed size had no room for them.
    #[must_use]
    pub fn peer_certificates(&self) -> Option<PeerCertificates<'_>> {
        let id = self.lending?;
        self.handshakes.get(&id)?.kept.as_ref()?.lend(&self.octets, id)
    }

    /// How many handshakes are running.
    #[must_use]
    pub fn handshake_count(&self) -> usize {
        self.handshakes.iter().filter(|(_, slot)| slot.ended.is_none()).count()
    }

    pub(super) fn free_session_id(&mut self) -> Option<LocalSessionId> {
        let in_use = self.sessions.len().saturating_add(self.handshake_count());
        if in_use >= self.node.config.session_ids().len() {
            return None;
        }
        let handshakes = &self.handshakes;
        self.sessions.free_id(|id| {
            handshakes.iter().any(|(_, slot)| slot.ended.is_none() && slot.local == id)
        })
    }

    /// Whether there is a free slot, after an ended handshake has given way if it must.
    pub(super) fn make_handshake_room(&mut self) -> bool {
        if self.handshakes.len() < self.handshakes.capacity() {
            return true;
        }
        let spare = self.handshakes.iter().filter(|(_, slot)| slot.is_spare());
        let rank = |slot: &Slot<C, S>| (slot.exchange.is_in_flight(), slot.ended);
        let spare = spare.min_by_key(|(_, slot)| rank(slot)).map(|(id, _)| *id);
        spare.is_some_and(|id| {
            self.drop_handshake(id);
            true
        })
    }

    /// Takes a handshake in; false if there is no room.
    pub(super) fn add_handshake(&mut self, id: HandshakeId, slot: Slot<C, S>) -> bool {
        log_debug!("handshake {} with {} begins", id, slot.peer);
        self.handshakes.insert(id, slot).is_ok()
    }

    /// Room for the next message of a handshake: for the largest one, or as much as there is;
    /// `None` if not even a report would fit.
    pub(super) fn allocate_message(&mut self, id: HandshakeId) -> Option<Held<S>> {
        const REPORT_LEN: usize = Config::buffer_len(10);
        let owner = message_of(id);
        let room = self.octets.room(owner);
        if room < REPORT_LEN {
            return None;
        }
        self.octets.allocate(owner, MESSAGE_LEN.min(room))
    }

    /// Whether there is room for the messages of another handshake.
    pub(super) fn has_room_for_message(&self) -> bool {
        /// No handshake has it.
        const NONE: HandshakeId = 0;
        self.octets.room(message_of(NONE)) >= MESSAGE_LEN
    }

    /// Feeds a message of the peer to a handshake. Returns the error if it failed.
    #[inline(never)]
    pub(super) fn feed(
        &mut self,
        id: HandshakeId,
        message: Incoming<'_>,
        cx: &mut Context<'_>,
    ) -> Option<HandshakeError> {
        self.advance(id, cx, Input::Message(message))
    }

    /// Runs a step of a handshake and does what it asks for.
    fn advance(
        &mut self,
        id: HandshakeId,
        cx: &mut Context<'_>,
        input: Input<'_>,
    ) -> Option<HandshakeError> {
        // Whatever the peer sent, it answers what we had in flight.
        self.handshakes.get_mut(&id)?.exchange.ground();
        let Some(mut message) = self.allocate_message(id) else {
            self.fail(id, HandshakeError::NoRoom, cx.now);
            self.update(Source::Handshake(id));
            return Some(HandshakeError::NoRoom);
        };
        let mut certificates = input
            .may_present_certificates()
            .then(|| self.octets.allocate(Owner::Certificates(id), CERTIFICATES_LEN))
            .flatten();
        let slot = self.handshakes.get_mut(&id)?;
        let [octets, room] = self.octets.get_many_mut([
            Some((message_of(id), &mut message)),
            certificates.as_mut().map(|held| (Owner::Certificates(id), held)),
        ]);
        let mut buf = MessageBuf::new(octets).ok()?;
        let mut keeper = Keeper::new(room);
        let crypto = &self.crypto;
        let taken = self.node.with_env(cx, &mut keeper, |env, cx| {
            Taken::from(slot.machine.step(input, env, cx, crypto, buf.payload_mut()))
        });
        let facts = keeper.facts;
        if let Some(held) = certificates {
            slot.kept = Kept::settle(&mut self.octets, id, held, facts);
        }
        // From now on retransmissions suit the peer that has told its timing.
        let told = match &taken.outcome {
            Outcome::Established(established) => Some(established.session.peer_parameters()),
            _ => slot.machine.peer_parameters(),
        };
        if let Some(parameters) = told {
            slot.unsecured.set_peer_parameters(parameters);
        }
        let error = self.carry_out(id, taken, message, cx);
        self.update(Source::Handshake(id));
        error
    }

    fn carry_out(
        &mut self,
        id: HandshakeId,
        taken: Taken,
        message: Held<S>,
        cx: &mut Context<'_>,
    ) -> Option<HandshakeError> {
        let slot = self.handshakes.get_mut(&id)?;
        match &taken.message {
            Some(reply) => self.launch(id, message, reply, cx),
            None if !matches!(taken.outcome, Outcome::Signs(_)) => slot.exchange.flush_ack(),
            None => {}
        }
        match taken.outcome {
            Outcome::Goes => None,
            Outcome::Signs(request) => {
                self.tell(Event::SignRequest(request));
                None
            }
            Outcome::Established(established) => {
                self.establish(id, established, cx);
                None
            }
            Outcome::Failed(error) => {
                self.fail(id, error, cx.now);
                Some(error)
            }
        }
    }

    /// Encodes a handshake message and puts it in flight.
    #[inline(never)]
    pub(super) fn launch(
        &mut self,
        id: HandshakeId,
        mut message: Held<S>,
        taken: &TakenMessage,
        cx: &mut Context<'_>,
    ) {
        let Some(slot) = self.handshakes.get_mut(&id) else { return };
        let reliable = taken.reliable && !slot.peer.is_reliable();
        let header = slot.exchange.header(ProtocolId::SECURE_CHANNEL, taken.opcode.0, reliable);
        let octets = self.octets.get_mut(message_of(id), &mut message);
        let Ok(mut buf) = MessageBuf::new(octets) else { return };
        if buf.set_payload_len(taken.len).is_err() {
            return;
        }
        let counter = &mut self.unsecured_counter;
        let Ok(encoded) = slot.unsecured.encode(counter, &header, buf, cx.now) else { return };
        let (datagram, counter) = (encoded.range(), encoded.counter());
        slot.sent = Some(counter);
        self.octets.shrink(message_of(id), datagram.end);
        slot.exchange.sent(&header, cx.now);
        slot.exchange.launch(message, datagram, counter, reliable);
    }

    #[inline(never)]
    fn establish(&mut self, id: HandshakeId, established: Established, cx: &mut Context<'_>) {
        let Established { session, record, resumed } = established;
        let Some(slot) = self.handshakes.get(&id) else { return };
        let (peer, ours) = (slot.peer, slot.is_ours());
        let session = session.begin(&self.crypto, cx);
        let Some(session) = self.add_session(session, peer, cx.now) else {
            return self.fail(id, HandshakeError::NoRoom, cx.now);
        };
        if let Some(slot) = self.handshakes.get_mut(&id) {
            slot.ended = Some(cx.now + LINGER);
            slot.lends_to = Some(session);
        }
        self.served(id, Some(session), true);
        let handshake = ours.then_some(HandshakeHandle(id));
        self.tell(Event::Established { session, handshake, resumed });
        if let Some(record) = record {
            match &mut cx.resumption {
                Some(store) => store.save(&record),
                None => self.save_record(&record, cx.now),
            }
        }
    }

    /// Takes note that a handshake has failed; its slot stays while its report is in flight.
    #[inline(never)]
    pub(super) fn fail(&mut self, id: HandshakeId, error: HandshakeError, now: Instant) {
        let Some(slot) = self.handshakes.get_mut(&id).filter(|slot| slot.ended.is_none()) else {
            return;
        };
        slot.ended = Some(now + LINGER);
        slot.failed = true;
        slot.machine.end();
        slot.kept = None;
        self.octets.release(Owner::Certificates(id));
        let (peer, attempted) = (slot.peer, slot.machine.attempted());
        let handshake = slot.is_ours().then_some(HandshakeHandle(id));
        self.tell(Event::HandshakeFailed { handshake, address: peer, error });
        self.served(id, None, attempted);
    }

    /// Fails every running handshake on a fabric.
    pub(super) fn fail_handshakes_of(
        &mut self,
        fabric: FabricIndex,
        error: HandshakeError,
        cx: &mut Context<'_>,
    ) {
        while let Some(id) = self.running_handshake_of(fabric) {
            self.abort(id, error, cx);
        }
    }

    fn running_handshake_of(&self, fabric: FabricIndex) -> Option<HandshakeId> {
        self.handshakes
            .iter()
            .find(|(_, slot)| slot.ended.is_none() && slot.machine.fabric() == Some(fabric))
            .map(|(id, _)| *id)
    }

    /// Lets no running handshake resume from the record of a peer, or of any on the fabric: it
    /// would come back.
    #[inline(never)]
    pub(super) fn end_resumptions(
        &mut self,
        fabric: FabricIndex,
        peer: Option<NodeId>,
        now: Instant,
    ) {
        let mut next = self.handshakes.first();
        while let Some(id) = next {
            if let Some(slot) = self.handshakes.get_mut(&id)
                && slot.machine.forget_record(fabric, peer)
            {
                self.report_failure(id, &HandshakeError::Rejected);
                self.fail(id, HandshakeError::Rejected, now);
                self.drop_handshake(id);
            }
            next = self.handshakes.first_from(id.wrapping_add(1));
        }
    }

    /// Fails every handshake with a peer that is out of reach.
    pub(super) fn fail_handshakes_over(&mut self, peer: PeerAddress, now: Instant) {
        while let Some(id) = self.handshake_over(peer) {
            self.fail(id, HandshakeError::Disconnected, now);
            self.drop_handshake(id);
        }
    }

    fn handshake_over(&self, peer: PeerAddress) -> Option<HandshakeId> {
        let mut over = self.handshakes.iter().filter(|(_, slot)| slot.peer == peer);
        over.next().map(|(id, _)| *id)
    }

    /// Fails a handshake for a reason of our own, and tells the peer.
    fn abort(&mut self, id: HandshakeId, error: HandshakeError, cx: &mut Context<'_>) {
        self.advance(id, cx, Input::Abort(error));
        // Whether or not there was room for a report.
        self.fail(id, error, cx.now);
        self.update(Source::Handshake(id));
    }

    /// Frees a slot.
    pub(super) fn drop_handshake(&mut self, id: HandshakeId) {
        let Some(slot) = self.handshakes.get(&id) else { return };
        let (filed, running, attempted) =
            (slot.filed, slot.ended.is_none(), slot.machine.attempted());
        self.handshakes.discard(&id);
        self.forget(Source::Handshake(id), filed);
        if running {
            self.served(id, None, attempted);
        }
    }

    /// The slot that holds the certificates of a session just established.
    pub(super) fn lender_of(&self, session: SessionHandle) -> Option<HandshakeId> {
        let lends = |slot: &Slot<C, S>| slot.lends_to == Some(session);
        self.handshakes.iter().find(|(_, slot)| lends(slot)).map(|(id, _)| *id)
    }

    pub(super) fn end_lending(&mut self, id: HandshakeId) {
        if let Some(slot) = self.handshakes.get_mut(&id) {
            slot.lends_to = None;
            slot.kept = None;
            self.octets.release(Owner::Certificates(id));
        }
        self.update(Source::Handshake(id));
    }

    pub(super) fn update_handshake(&mut self, id: HandshakeId) {
        let Some(slot) = self.handshakes.get_mut(&id) else { return };
        if slot.exchange.message().is_none() {
            self.octets.release(message_of(id));
        }
        let life = match slot.ended {
            Some(_) => slot.goes(),
            None => slot.machine.poll_timeout(),
        };
        let deadline = [life, slot.exchange.poll_timeout()].into_iter().flatten().min();
        let has_output = slot.exchange.has_output();
        self.schedule.file(Source::Handshake(id), &mut slot.filed, deadline, has_output);
    }

    /// Lets time pass for a handshake.
    #[inline(never)]
    pub(super) fn handshake_timeout(&mut self, id: HandshakeId, cx: &mut Context<'_>) {
        let Some(slot) = self.handshakes.get_mut(&id) else { return };
        slot.filed.came_due();
        let gave_up = slot.exchange.handle_timeout(cx.now);
        match slot.ended {
            Some(_) if slot.goes().is_some_and(|goes| cx.now >= goes) => {
                self.drop_handshake(id);
                return;
            }
            Some(_) => {}
            None if gave_up => self.fail(id, HandshakeError::TimedOut, cx.now),
            None => {
                if slot.machine.poll_timeout().is_some_and(|due| cx.now >= due) {
                    self.abort(id, HandshakeError::TimedOut, cx);
                }
            }
        }
        self.update(Source::Handshake(id));
    }
}

/// Room for any handshake message, in octets.
pub(super) const MESSAGE_LEN: usize = Config::buffer_len(MAX_UDP_PAYLOAD);

pub(super) const fn message_of(id: HandshakeId) -> Owner {
    Owner::Message(Source::Handshake(id))
}
