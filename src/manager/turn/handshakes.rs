//! Handshakes and sessions: the ids that both share, and how an established handshake becomes a
//! session.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::handshake::{Claimed, Established, HandshakeError, Incoming, Signed};
use crate::ids::{LocalSessionId, Peer};
use crate::manager::SessionManager;
#[cfg(feature = "initiator")]
use crate::manager::error::ConnectError;
use crate::manager::event::Event;
use crate::manager::handle::{HandshakeId, PeerAddress, SessionHandle};
#[cfg(feature = "initiator")]
use crate::manager::handshakes::{Answer, Destination};
use crate::manager::handshakes::{Arrival, First, Input, NewlyEstablished, Progress, Stepped};
use crate::manager::received::{Dropped, Received};
use crate::manager::storage::{Chains, Storage};
use crate::manager::trace;
use crate::resumption::ResumptionRecord;
use crate::time::Instant;
use crate::wire::{Packet, StatusReport};

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Handles an unsecured message.
    #[inline(never)]
    pub(in crate::manager) fn receive_unsecured<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        packet: Packet<'b>,
    ) -> Result<Received<'b>, Dropped> {
        let Self { crypto, handshakes, delivery, .. } = self;
        match handshakes.receive(crypto, cx.now, from, packet, delivery)? {
            Arrival::CheckIn(payload) => return Ok(Received::CheckIn { payload }),
            Arrival::Handled => {}
            Arrival::Next(id, message) => {
                self.advance(cx, id, Input::Message(message));
            }
            Arrival::First(first) => self.begin_handshake(cx, first),
            #[cfg(feature = "initiator")]
            Arrival::Answer(answer) => self.try_answer(cx, answer),
        }
        Ok(Received::Handled)
    }

    /// Begins the handshake of a peer, or refuses it. A refusal keeps no state: a repeated request
    /// is judged anew.
    #[inline(never)]
    fn begin_handshake(&mut self, cx: &mut Context<'_>, first: First<'_>) {
        let reply_to = first.reply_to();
        let report = match self.admit(first, cx.now) {
            Ok((id, message)) => {
                let error = self.advance(cx, id, Input::Message(message));
                if error.is_some() {
                    // No slot is kept for a report that may as well get lost.
                    self.handshakes.abandon(id, &mut self.delivery);
                }
                error.and_then(|error| error.status_report())
            }
            Err(refusal) => Some(refusal),
        };
        if let Some(report) = report {
            trace::refused(reply_to.peer, &report);
            reply_to.push_report(&report, cx.now, &mut self.delivery);
        }
    }

    /// Makes a slot for the handshake of a peer, with a session id of its own.
    ///
    /// # Errors
    /// A report for the peer.
    #[inline(never)]
    fn admit<'b>(
        &mut self,
        first: First<'b>,
        now: Instant,
    ) -> Result<(HandshakeId, Incoming<'b>), StatusReport<'static>> {
        self.sessions.fail_safe_timeout(now, &mut self.delivery);
        let commissioned = self.sessions.is_commissioned();
        let Self { crypto, handshakes, delivery, node, .. } = self;
        handshakes.make_room(crypto, &first, commissioned, now, delivery, node)?;
        let busy = StatusReport::busy(self.node.config.busy_wait);
        let local = self.free_session_id().ok_or(busy)?;
        let (delivery, node) = (&mut self.delivery, &self.node);
        self.handshakes.begin(local, first, now, delivery, node)
    }

    /// Runs the step of the handshake that waits for this signature. Returns false if none does.
    #[inline(never)]
    pub(in crate::manager) fn advance_signed(
        &mut self,
        cx: &mut Context<'_>,
        signed: &Signed,
    ) -> bool {
        let waiting = self.handshakes.awaiting(signed);
        waiting.is_some_and(|id| {
            self.advance(cx, id, Input::Signed(signed));
            true
        })
    }

    /// Runs the step of the handshake that waits for this claim. Returns false if none does.
    #[inline(never)]
    pub(in crate::manager) fn advance_claimed(
        &mut self,
        cx: &mut Context<'_>,
        claimed: Claimed,
    ) -> bool {
        let Some(id) = self.handshakes.awaiting_claim(&claimed) else { return false };
        // A record of the own table may have been replaced since the application was asked.
        let is_own = cx.resumption.is_none();
        let granted = claimed.granted()
            && (!is_own || self.node.records.consume(claimed.peer(), claimed.id(), cx.now));
        let claimed = if granted { claimed } else { claimed.refused() };
        self.advance(cx, id, Input::Claimed(&claimed));
        true
    }

    /// Runs a step of a handshake. Returns the error if the handshake failed by it.
    #[inline(never)]
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        id: HandshakeId,
        input: Input<'_>,
    ) -> Option<HandshakeError> {
        let (delivery, node) = (&mut self.delivery, &mut self.node);
        let stepped = self.handshakes.step(&self.crypto, cx, id, input, delivery, node);
        self.conclude(cx, id, stepped)
    }

    /// Has one handshake compute its next part.
    #[inline(never)]
    pub(in crate::manager) fn compute(&mut self, cx: &mut Context<'_>) {
        let Some(id) = self.handshakes.next_at_work() else { return };
        #[cfg(feature = "initiator")]
        if self.handshakes.is_trying(id) {
            let (delivery, node) = (&mut self.delivery, &mut self.node);
            let stepped = self.handshakes.try_further(&self.crypto, cx, id, delivery, node);
            self.conclude(cx, id, stepped);
            return;
        }
        self.advance(cx, id, Input::Proceed);
    }

    /// Tries an answer from one of several addresses.
    #[cfg(feature = "initiator")]
    #[inline(never)]
    fn try_answer(&mut self, cx: &mut Context<'_>, answer: Answer<'_>) {
        let (id, delivery, node) = (answer.id, &mut self.delivery, &mut self.node);
        let stepped = self.handshakes.try_answer(&self.crypto, cx, answer, delivery, node);
        self.conclude(cx, id, stepped);
    }

    /// Does what a step of a handshake asks for. Returns the error if the handshake failed.
    #[inline(never)]
    fn conclude(
        &mut self,
        cx: &mut Context<'_>,
        id: HandshakeId,
        stepped: Stepped<S>,
    ) -> Option<HandshakeError> {
        match self.handshakes.carry_out(id, stepped, cx.now, &mut self.delivery) {
            Progress::Waiting => None,
            Progress::Established(established) => {
                self.establish(cx, id, established);
                None
            }
            Progress::Failed(error) => Some(error),
        }
    }

    /// Makes a session of an established handshake.
    #[inline(never)]
    fn establish(&mut self, cx: &mut Context<'_>, id: HandshakeId, newly: NewlyEstablished) {
        let NewlyEstablished { established, peer, handshake } = newly;
        let Established { session, record, resumed } = established;
        let session = session.begin(&self.crypto, cx);
        let Some(session) =
            self.sessions.add(session, peer, cx.now, &mut self.delivery, &self.node)
        else {
            return self.handshakes.no_room(id, cx.now, &mut self.delivery);
        };
        if self.handshakes.established(id, session, cx.now, &mut self.delivery) {
            let expires = self.handshakes.fail_safe().map(|fail_safe| cx.now + fail_safe);
            self.sessions.set_commissioned(session, expires);
        }
        self.delivery.statistics.handshakes.count_established(record.is_some(), resumed);
        self.delivery.push_event(Event::Established { session, handshake, resumed });
        if let Some(record) = record {
            self.sessions.set_origin(session, &record, resumed);
            match &mut cx.resumption {
                Some(store) => {
                    store.save(&record);
                    // What a session has come from must not stay here either.
                    self.discard_record(Peer::new(record.fabric, record.peer));
                }
                None => self.save_record(&record, resumed, cx.now),
            }
            if S::Chains::<LocalSessionId>::KEEPS && self.node.config.keep_peer_certificates {
                self.keep_certificates(id, session, &record, resumed);
            }
        }
    }

    /// Keeps the certificates of a peer with a new session: those that it has just presented, also
    /// with its record, or those that are kept with the record that the session was resumed from.
    #[inline(never)]
    fn keep_certificates(
        &mut self,
        id: HandshakeId,
        session: SessionHandle,
        record: &ResumptionRecord,
        resumed: bool,
    ) {
        let Self { sessions, handshakes, delivery, node, .. } = self;
        let presented = handshakes.presented(id, delivery);
        if let Some(certificates) = presented {
            let peer = Peer::new(record.fabric, record.peer);
            node.records.keep_certificates(peer, &certificates);
        }
        let kept = if resumed { node.records.certificates_of(record) } else { presented };
        if let Some(certificates) = kept {
            sessions.keep_certificates(session, &certificates);
        }
    }

    /// Makes room for a handshake that this node begins, and reserves the id of its session.
    #[cfg(feature = "initiator")]
    pub(in crate::manager) fn reserve_to_connect<'a>(
        &mut self,
        now: Instant,
        addresses: &'a [PeerAddress],
    ) -> Result<Destination<'a>, ConnectError> {
        let first = *addresses.first().ok_or(ConnectError::NoAddress)?;
        if addresses.len() > 1 && addresses.iter().any(PeerAddress::is_reliable) {
            return Err(ConnectError::SeveralConnections);
        }
        self.handshakes.make_room_to_connect(now, &mut self.delivery, &self.node)?;
        let local = self.free_session_id().ok_or(ConnectError::NoSessionId)?;
        Ok(Destination { first, addresses, local })
    }

    /// Counts a peer as active from now on, on its sessions and in handshakes with it that this
    /// node began, and transmits what waits for it.
    #[inline(never)]
    pub(in crate::manager) fn peer_is_awake(&mut self, peer: Peer, now: Instant) {
        let Self { sessions, delivery, node, .. } = self;
        sessions.peer_is_awake(peer, now, delivery, node);
        #[cfg(feature = "initiator")]
        self.handshakes.peer_is_awake(peer, now, delivery, node);
    }

    /// Returns a session id that neither a session nor a running handshake has.
    pub(in crate::manager) fn free_session_id(&mut self) -> Option<LocalSessionId> {
        let in_use = self.sessions.len().saturating_add(self.handshakes.count());
        if in_use >= self.node.config.session_ids().len() {
            return None;
        }
        let handshakes = &self.handshakes;
        self.sessions.free_id(|id| handshakes.reserves(id))
    }
}
