//! The slot of a handshake: its state machine with what carries its messages.

use core::time::Duration;

use crate::crypto::Crypto;
use crate::exchange::{Exchange, max_transmission_time};
use crate::handshake::HANDSHAKE_TIMEOUT;
use crate::handshake::case::messages::Sigma1;
use crate::ids::{LocalSessionId, MessageCounter};
use crate::manager::delivery::Filed;
use crate::manager::handle::{PeerAddress, SessionHandle};
#[cfg(feature = "initiator")]
use crate::manager::handshakes::attempts::Race;
use crate::manager::handshakes::certificates::Kept;
use crate::manager::handshakes::machine::Machine;
use crate::manager::storage::{Held, Storage};
use crate::session::{EphemeralNodeId, SessionRole, UnsecureSession};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{ProtocolHeader, StatusReport};

/// How long an ended handshake can still acknowledge what the peer repeats: as long as a peer
/// repeats it. A new handshake may take its slot earlier.
pub(in crate::manager) const LINGER: Duration = Duration::from_secs(10);

/// How much longer an ended handshake stays while its last message is in flight. A peer that is
/// still there has given up by then; one that is not may have named any interval.
const LAST_WORD: Duration = HANDSHAKE_TIMEOUT.saturating_sub(LINGER);

/// How long an initiator that begins another handshake as the same node has to wait, so that
/// nobody makes this node begin one after the other.
const SUPERSEDED_AFTER: Duration = Duration::from_secs(1);

/// The first eight bytes of an initiator's random. An altered random fits no destination id, so
/// every copy of a Sigma1 that means this node has the same mark.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::manager) struct Sigma1Mark([u8; 8]);

impl Sigma1Mark {
    /// Returns the mark of a Sigma1; `None` if it cannot be read.
    #[inline(never)]
    pub(in crate::manager) fn of(payload: &[u8]) -> Option<Self> {
        let sigma1 = Sigma1::parse(payload).ok()?;
        sigma1.initiator_random.first_chunk().copied().map(Self)
    }
}

/// One handshake.
pub(in crate::manager) struct Slot<C: Crypto, S: Storage> {
    pub(in crate::manager) machine: Machine<C>,
    pub(in crate::manager) unsecured: UnsecureSession,
    pub(in crate::manager) exchange: Exchange<Held<S>>,
    pub(in crate::manager) peer: PeerAddress,
    /// The attempts at other addresses of the peer.
    #[cfg(feature = "initiator")]
    pub(in crate::manager) race: Race,
    /// When it began, and when its state machine made its last step.
    pub(in crate::manager) began: Instant,
    pub(in crate::manager) stepped: Instant,
    /// When the peer last answered, or was sent something new to answer.
    pub(in crate::manager) since: Instant,
    /// Whether the peer has answered anything that this node sent.
    pub(in crate::manager) answered: bool,
    /// How many handshakes peers at its source have begun, if a peer began it.
    pub(in crate::manager) crowd: u16,
    /// What tells the Sigma1 that began it from others.
    pub(in crate::manager) sigma1: Option<Sigma1Mark>,
    /// Whether it waits for the application, for a signature say, and not for the peer.
    pub(in crate::manager) waits_here: bool,
    /// The counter of the message sent last.
    pub(in crate::manager) sent: Option<MessageCounter>,
    /// The id of the session to be, reserved until the handshake ends.
    pub(in crate::manager) local: LocalSessionId,
    /// Set when the handshake has ended: how long the slot stays.
    pub(in crate::manager) ended: Option<Instant>,
    /// Whether it ended without a session.
    pub(in crate::manager) failed: bool,
    /// Whether the application is to be asked for the record that the handshake claims.
    pub(in crate::manager) claims: bool,
    /// The session it ended in, until the application has polled that event.
    pub(in crate::manager) lends_to: Option<SessionHandle>,
    pub(in crate::manager) kept: Option<Kept<S>>,
    pub(in crate::manager) filed: Filed,
}

impl<C: Crypto, S: Storage> Slot<C, S> {
    pub(in crate::manager) const fn new(
        machine: Machine<C>,
        unsecured: UnsecureSession,
        exchange: Exchange<Held<S>>,
        peer: PeerAddress,
        local: LocalSessionId,
        now: Instant,
    ) -> Self {
        Self {
            machine,
            unsecured,
            exchange,
            peer,
            #[cfg(feature = "initiator")]
            race: Race::NONE,
            began: now,
            stepped: now,
            since: now,
            answered: false,
            crowd: 0,
            sigma1: None,
            waits_here: false,
            sent: None,
            local,
            ended: None,
            failed: false,
            claims: false,
            lends_to: None,
            kept: None,
            filed: Filed::NONE,
        }
    }

    pub(in crate::manager) fn is_ours(&self) -> bool {
        self.unsecured.role() == SessionRole::Initiator
    }

    /// Returns true if a message with this header names this handshake: the ephemeral node id and the
    /// exchange are its own.
    pub(in crate::manager) fn is_named(
        &self,
        node: EphemeralNodeId,
        role: SessionRole,
        header: &ProtocolHeader,
    ) -> bool {
        self.exchange.matches(header)
            && self.unsecured.role() == role
            && self.unsecured.ephemeral_node_id() == node
    }

    /// Takes note that the peer's turn begins or that it has answered.
    pub(in crate::manager) const fn turn(&mut self, answered: bool, now: Instant) {
        self.since = now;
        self.answered |= answered;
    }

    /// Returns true if the initiator may begin another handshake in place of this one. While the
    /// application works for this one, it may not: its work would be in vain.
    pub(in crate::manager) fn can_be_superseded(&self, now: Instant) -> bool {
        self.ended.is_none() && !self.waits_here && now >= self.since + SUPERSEDED_AFTER
    }

    /// Returns true if a message reports success in answer to something else than what was sent
    /// last: to what this node has sent before it restarted, say. The session that the peer means
    /// has another id than ours would have.
    pub(in crate::manager) fn is_mistaken(&self, header: &ProtocolHeader, payload: &[u8]) -> bool {
        header.opcode == Opcode::STATUS_REPORT.0
            && header.ack.is_some()
            && header.ack != self.sent
            && StatusReport::parse(payload).is_ok_and(|report| report.is_success())
    }

    /// Returns when the slot of a handshake that has ended goes: not while the application reads
    /// the certificates, and later if the last message is in flight.
    pub(in crate::manager) fn goes(&self) -> Option<Instant> {
        let ended = self.ended.filter(|_| self.lends_to.is_none())?;
        Some(if self.exchange.is_in_flight() { ended + LAST_WORD } else { ended })
    }

    /// Returns when a new handshake may have the slot if no more is heard of the peer; `None` while
    /// that is the application's to say. `boost` is added to every wait for an acknowledgement,
    /// none of which is computed from a longer interval than `longest`.
    #[inline(never)]
    pub(in crate::manager) fn frees(&self, boost: Duration, longest: Duration) -> Option<Instant> {
        let over = match self.ended {
            Some(_) => self.goes(),
            None if self.waits_here => None,
            None => self.machine.poll_timeout(),
        }?;
        if !self.exchange.is_in_flight() || self.peer.is_reliable() {
            return Some(over);
        }
        let slowest = self.unsecured.peer_parameters().slowest_interval().min(longest);
        let waits = max_transmission_time(slowest, slowest, boost);
        Some(over.min(self.exchange.last_used() + waits))
    }

    /// Returns true if a new handshake may have the slot: of a last message in flight, the report
    /// of a session must not get lost, but that of a failure may.
    pub(in crate::manager) fn is_spare(&self) -> bool {
        let is_told = self.failed || !self.exchange.is_in_flight();
        self.ended.is_some() && self.lends_to.is_none() && is_told
    }
}
