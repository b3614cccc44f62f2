//! Unsecured sessions: what handshakes run on.
//!
//! ```text
//! initiator ── source = its ephemeral node id ──────▶ responder
//! initiator ◀── destination = that same id ────────── responder
//! ```

use core::fmt;
use core::time::Duration;

use rand_core::CryptoRng;

use super::replay::{ReplayWindow, Verdict};
use super::{
    DecodeError, PeerActivity, SessionParameters, SessionRole, Unauthenticated, UnsecuredCounter,
};
use crate::crypto::CryptoError;
use crate::ids::{MessageCounter, NodeId};
use crate::time::Instant;
use crate::wire::{
    Destination, EncodeError, Encoded, MessageBuf, MessageHeader, MessageKind, Packet,
    ProtocolHeader, SessionRoute,
};

/// The node identifier that a handshake's initiator gives itself.
/// [Core, "Ephemeral Initiator Node ID"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EphemeralNodeId(NodeId);

impl EphemeralNodeId {
    /// Draws an identifier from the operational range.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] if the source of randomness is broken: no draw is in the range. All
    /// but 2^36 of 2^64 values are.
    pub fn random(rng: &mut dyn CryptoRng) -> Result<Self, CryptoError> {
        const MAX_DRAWS: usize = 16;
        (0..MAX_DRAWS)
            .map(|_| NodeId::new(rng.next_u64()))
            .find(|node| node.is_operational())
            .map(Self)
            .ok_or(CryptoError::Backend)
    }

    /// Makes the identifier that an initiator chose, as found in its message; `None` outside the
    /// operational range, from which identifiers are drawn.
    #[must_use]
    pub const fn received(node: NodeId) -> Option<Self> {
        if node.is_operational() { Some(Self(node)) } else { None }
    }

    /// Returns the node identifier.
    #[must_use]
    pub const fn node(self) -> NodeId {
        self.0
    }
}

/// One end of an unsecured session. [Core, "Unsecured Sessions"]
///
/// It proves nothing about the peer. The counter of the messages that it sends belongs to the node
/// and is lent by the caller.
///
/// ```
/// use matter_session::handshake::Incoming;
/// use matter_session::session::UnsecuredCounter;
/// use matter_session::wire::{MessageBuf, Packet, ProtocolHeader};
/// use matter_session::{Instant, UnsecureSession};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
/// let now = Instant::ZERO;
/// let mut counter = UnsecuredCounter::random(&mut rng);
/// let mut initiator = UnsecureSession::initiator(&mut rng, now)?;
/// let mut responder = UnsecureSession::responder(initiator.ephemeral_node_id(), now);
///
/// # let header = ProtocolHeader::parse(&[0x01, 0x20, 1, 0, 0, 0])?.0;
/// let mut buf = [0; 256];
/// let message = MessageBuf::with_payload(&mut buf, b"a request")?;
/// let sent = initiator.encode(&mut counter, &header, message, now)?;
/// let mut datagram = sent.as_bytes().to_vec();
///
/// let message = responder.decode(Packet::parse(&mut datagram)?, now)?;
/// assert_eq!(message.payload, b"a request");
/// let _for_a_handshake = Incoming::from(message);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UnsecureSession {
    role: SessionRole,
    ephemeral: EphemeralNodeId,
    window: ReplayWindow,
    peer_parameters: SessionParameters,
    activity: PeerActivity,
    created_at: Instant,
    last_activity: Instant,
}

impl UnsecureSession {
    /// Makes the initiator's end. The peer counts as idle until a message of it is received.
    ///
    /// # Errors
    /// Those of [`EphemeralNodeId::random`].
    pub fn initiator(rng: &mut dyn CryptoRng, now: Instant) -> Result<Self, CryptoError> {
        EphemeralNodeId::random(rng).map(|node| Self::new(SessionRole::Initiator, node, now))
    }

    /// Makes the same with an identifier that was drawn before.
    pub(crate) fn initiator_as(ephemeral: EphemeralNodeId, now: Instant) -> Self {
        Self::new(SessionRole::Initiator, ephemeral, now)
    }

    /// Makes the responder's end, for the initiator with this identifier.
    #[must_use]
    pub fn responder(ephemeral: EphemeralNodeId, now: Instant) -> Self {
        Self::new(SessionRole::Responder, ephemeral, now)
    }

    /// Makes the end of this role.
    pub(crate) fn new(role: SessionRole, ephemeral: EphemeralNodeId, now: Instant) -> Self {
        Self {
            role,
            ephemeral,
            window: ReplayWindow::unsecured(),
            peer_parameters: SessionParameters::default(),
            activity: PeerActivity::IDLE,
            created_at: now,
            last_activity: now,
        }
    }

    /// Writes the headers around the payload in `msg`.
    ///
    /// # Errors
    /// None occur beyond those of making the [`MessageBuf`].
    pub fn encode<'b>(
        &mut self,
        counter: &mut UnsecuredCounter,
        header: &ProtocolHeader,
        msg: MessageBuf<'b>,
        now: Instant,
    ) -> Result<Encoded<'b>, EncodeError> {
        let mut message = MessageHeader::new(SessionRoute::Unsecured, counter.take());
        match self.role {
            SessionRole::Initiator => message.source = Some(self.ephemeral.0),
            SessionRole::Responder => message.destination = Destination::Node(self.ephemeral.0),
        }
        let encoded = msg.into_plain(&message, header)?;
        self.notify_activity(now);
        Ok(encoded)
    }

    /// Reads a message and, unless it is a duplicate, remembers its counter and that the peer was
    /// heard.
    ///
    /// # Errors
    /// [`DecodeError`]; nothing changes then.
    pub fn decode<'b>(
        &mut self,
        packet: Packet<'b>,
        now: Instant,
    ) -> Result<Unauthenticated<'b>, DecodeError> {
        let message = self.decode_uncommitted(packet)?;
        if !message.duplicate {
            self.commit(message.counter, now);
        }
        Ok(message)
    }

    /// Reads a message and remembers nothing: a message that opens a handshake and is turned away
    /// must be new again when it is retransmitted. [`commit`](Self::commit) follows if it is acted
    /// upon.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_uncommitted<'b>(
        &self,
        packet: Packet<'b>,
    ) -> Result<Unauthenticated<'b>, DecodeError> {
        match (packet.header().kind()?, self.role) {
            (MessageKind::FromInitiator(node), SessionRole::Responder)
            | (MessageKind::FromResponder(node), SessionRole::Initiator)
                if node == self.ephemeral.0 => {}
            _ => return Err(DecodeError::WrongSession),
        }
        let message = Self::read(packet)?;
        let duplicate = self.is_duplicate(message.counter);
        Ok(Unauthenticated { duplicate, ..message })
    }

    /// Returns true if a message with this counter was received before.
    pub(crate) fn is_duplicate(&self, counter: MessageCounter) -> bool {
        self.window.check(counter) == Verdict::Duplicate
    }

    /// Reads an unsecured message before it is known which session it belongs to.
    pub(crate) fn read(packet: Packet<'_>) -> Result<Unauthenticated<'_>, DecodeError> {
        let (message, aad, body) = packet.into_parts();
        let (header, offset) =
            ProtocolHeader::parse(body).map_err(|_| DecodeError::ProtocolHeader)?;
        Ok(Unauthenticated {
            header,
            counter: message.counter,
            payload: body.get_mut(offset..).unwrap_or_default(),
            payload_offset: aad.len().saturating_add(offset),
            duplicate: false,
        })
    }

    /// Remembers the counter of a message, and that the peer was heard.
    pub fn commit(&mut self, counter: MessageCounter, now: Instant) {
        self.window.commit(counter);
        self.mark_peer_active(now);
    }

    /// Counts the peer as active: the commissioner has just discovered the device.
    pub fn mark_peer_active(&mut self, now: Instant) {
        self.activity.mark(now);
        self.notify_activity(now);
    }

    /// Counts `now` as a moment of use: a retransmission, which no encoding sees.
    pub fn notify_activity(&mut self, now: Instant) {
        self.last_activity = self.last_activity.max(now);
    }

    /// Sets the parameters that the peer declared in the handshake.
    pub const fn set_peer_parameters(&mut self, parameters: &SessionParameters) {
        self.peer_parameters = *parameters;
    }

    /// Returns the side of the handshake that this node is on.
    #[must_use]
    pub const fn role(&self) -> SessionRole {
        self.role
    }

    /// Returns the identifier that the initiator gave itself.
    #[must_use]
    pub const fn ephemeral_node_id(&self) -> EphemeralNodeId {
        self.ephemeral
    }

    /// Returns the session parameters that the peer declared, or the defaults.
    #[must_use]
    pub const fn peer_parameters(&self) -> &SessionParameters {
        &self.peer_parameters
    }

    /// Returns true if the peer is likely to listen without delay.
    #[must_use]
    pub fn is_peer_active(&self, now: Instant) -> bool {
        self.activity.is_active(now, &self.peer_parameters)
    }

    /// Returns the interval from which retransmission timeouts to the peer are computed.
    #[must_use]
    pub fn base_interval(&self, now: Instant) -> Duration {
        self.activity.base_interval(now, &self.peer_parameters)
    }

    /// Returns when the session was created.
    #[must_use]
    pub const fn created_at(&self) -> Instant {
        self.created_at
    }

    /// Returns when a message was last sent or received.
    #[must_use]
    pub const fn last_activity(&self) -> Instant {
        self.last_activity
    }

    /// Returns when a message was last received.
    #[must_use]
    pub const fn last_received(&self) -> Option<Instant> {
        self.activity.last_received()
    }
}

impl fmt::Display for UnsecureSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unsecured session {}", self.ephemeral.0)
    }
}
