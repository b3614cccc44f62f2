//! Secure unicast sessions.
//!
//! ```text
//! message header (8) │ protocol header │ payload │ MIC (16)
//! `----- AAD ------'   `------ encrypted -----'
//! nonce = security flags || counter || the sender's node id (0 on PASE sessions)
//! ```
//! [Core, "Message Security"]

use core::fmt;
use core::time::Duration;

use rand_core::CryptoRng;

use super::opening::{self, Unopened};
use super::replay::Verdict;
use super::sealing::Unsealed;
use super::window::AuthenticWindow;
use super::{
    DecodeError, Identity, Opened, PeerActivity, ResumptionId, Sealed, SessionKeys, SessionKind,
    SessionParameters, SessionRole,
};
use crate::crypto::{Aead, Crypto, SealNonce, Secret, TxCounter};
use crate::ids::{FabricIndex, LocalSessionId, MessageCounter, PeerSessionId};
use crate::time::Instant;
use crate::wire::{
    EncodeError, MessageBuf, MessageHeader, Packet, Parts, ProtocolHeader, SessionRoute,
};

/// The facts that a handshake agreed on, except the keys.
#[derive(Clone, Debug)]
pub struct SessionSetup {
    /// The side of the handshake that this node was on.
    pub role: SessionRole,
    /// The identifier that this node gave out.
    pub local_session_id: LocalSessionId,
    /// The identifier that the peer gave out.
    pub peer_session_id: PeerSessionId,
    /// The two ends.
    pub identity: Identity,
    /// The session parameters that the peer declared.
    pub peer_parameters: SessionParameters,
    /// The identifier by which the session can be resumed.
    pub resumption_id: Option<ResumptionId>,
}

/// A unicast session with keys, made by a PASE or CASE handshake.
///
/// It cannot be cloned or stored: a second copy would repeat nonces. It never discloses the keys.
/// [Core, "Secure Sessions"]
///
/// [`NewSession::begin`](crate::handshake::NewSession::begin) makes one at the end of a handshake.
#[cfg_attr(feature = "rustcrypto", doc = "```")]
#[cfg_attr(not(feature = "rustcrypto"), doc = "```ignore")]
/// # use matter_session::ids::{LocalSessionId, PeerSessionId};
/// # use matter_session::session::{Identity, SessionParameters, SessionRole, SessionSetup, hazmat};
/// use matter_session::wire::{MessageBuf, Packet, ProtocolHeader};
/// use matter_session::{Instant, RustCrypto, SecureSession};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let session = |role| {
/// #     let setup = SessionSetup {
/// #         role,
/// #         local_session_id: LocalSessionId::new(1).unwrap(),
/// #         peer_session_id: PeerSessionId::new(1).unwrap(),
/// #         identity: Identity::pase(),
/// #         peer_parameters: SessionParameters::default(),
/// #         resumption_id: None,
/// #     };
/// #     let counters = hazmat::Counters::starting_at(1);
/// #     let keys = hazmat::session_keys(&[7; 48]);
/// #     hazmat::secure_session(&RustCrypto, &keys, setup, counters, Instant::ZERO)
/// # };
/// # let header = ProtocolHeader::parse(&[0x05, 0x08, 1, 0, 1, 0])?.0;
/// // Both ends of one session, from a handshake.
/// let mut here: SecureSession<RustCrypto> = session(SessionRole::Initiator);
/// let mut there = session(SessionRole::Responder);
///
/// let mut buf = [0; 256];
/// let message = MessageBuf::with_payload(&mut buf, b"on")?;
/// let sealed = here.encode(&header, message, Instant::ZERO)?;
/// let mut datagram = sealed.as_bytes().to_vec();
/// let mut again = datagram.clone();
///
/// let opened = there.decode(Packet::parse(&mut datagram)?, Instant::ZERO)?;
/// assert_eq!(opened.payload, b"on");
/// let repeated = there.decode(Packet::parse(&mut again)?, Instant::ZERO)?;
/// assert!(repeated.duplicate);
/// # Ok(())
/// # }
/// ```
pub struct SecureSession<C: Crypto> {
    seal_key: C::Aead,
    open_key: C::Aead,
    tx: TxCounter,
    window: AuthenticWindow,
    // One by one: a struct of their own would be rounded up, and there are tens of thousands.
    role: SessionRole,
    local_session_id: LocalSessionId,
    peer_session_id: PeerSessionId,
    identity: Identity,
    peer_parameters: SessionParameters,
    resumption_id: Option<ResumptionId>,
    attestation_challenge: Secret<16>,
    created_at: Instant,
    last_received: Instant,
    /// When the peer was last known to listen, other than by a message of the session.
    peer_awake_at: Instant,
    last_activity: Instant,
}

impl<C: Crypto> SecureSession<C> {
    /// Makes a session. The peer counts as active: the handshake was its latest message.
    pub(crate) fn new(
        crypto: &C,
        keys: &SessionKeys,
        setup: SessionSetup,
        rng: &mut dyn CryptoRng,
        now: Instant,
    ) -> Self {
        Self::with_counter(crypto, keys, setup, TxCounter::random(rng), now)
    }

    pub(super) fn with_counter(
        crypto: &C,
        keys: &SessionKeys,
        setup: SessionSetup,
        tx: TxCounter,
        now: Instant,
    ) -> Self {
        let (seal_key, open_key) = match setup.role {
            SessionRole::Initiator => (keys.i2r(), keys.r2i()),
            SessionRole::Responder => (keys.r2i(), keys.i2r()),
        };
        Self {
            seal_key: crypto.aead(&seal_key),
            open_key: crypto.aead(&open_key),
            tx,
            window: AuthenticWindow::new(),
            role: setup.role,
            local_session_id: setup.local_session_id,
            peer_session_id: setup.peer_session_id,
            identity: setup.identity,
            peer_parameters: setup.peer_parameters,
            resumption_id: setup.resumption_id,
            attestation_challenge: keys.attestation_challenge(),
            created_at: now,
            last_received: now,
            peer_awake_at: now,
            last_activity: now,
        }
    }

    /// Counts this counter and all smaller ones as received.
    pub(super) const fn has_received(&mut self, largest: MessageCounter) {
        self.window = AuthenticWindow::at(largest);
    }

    /// Encrypts the payload in `msg` in place and writes the headers in front of it. To
    /// retransmit, send the same bytes again.
    ///
    /// # Errors
    /// [`EncodeError::CounterExhausted`] after 2^32 messages or a little less: the session can
    /// send no more. [`EncodeError::PayloadTooLong`] above what the cipher takes (65,535 bytes
    /// with the protocol header); [`EncodeError::Crypto`].
    #[inline]
    pub fn encode<'b>(
        &mut self,
        header: &ProtocolHeader,
        msg: MessageBuf<'b>,
        now: Instant,
    ) -> Result<Sealed<'b>, EncodeError> {
        let (message, nonce) = self.next_header()?;
        let sealed = msg.into_sealed(&message, header, |Parts { aad, body, mic }| {
            *mic = self.seal_key.seal(nonce, aad, body)?;
            Ok(())
        })?;
        self.notify_activity(now);
        Ok(Sealed::new(sealed))
    }

    /// Writes the headers of a message and takes its counter. It is to be sealed along with others,
    /// by [`seal_together`](super::seal_together).
    pub(crate) fn lay_out(
        &mut self,
        header: &ProtocolHeader,
        mut msg: MessageBuf<'_>,
    ) -> Result<Unsealed, EncodeError> {
        let (message, nonce) = self.next_header()?;
        let layout = msg.lay_out(&message, header)?;
        Ok(Unsealed::new(self.local_session_id, message.counter, nonce, layout))
    }

    /// The header of the next message, and the nonce that goes with it.
    #[inline]
    fn next_header(&mut self) -> Result<(MessageHeader, SealNonce), EncodeError> {
        let counter = self.tx.take().map_err(|_| EncodeError::CounterExhausted)?;
        let route = SessionRoute::to_peer(self.peer_session_id);
        let message = MessageHeader::new(route, counter.value());
        let nonce = SealNonce::new(message.security_flags(), counter, self.identity.local_node);
        Ok((message, nonce))
    }

    #[inline]
    pub(super) const fn seal_key(&self) -> &C::Aead {
        &self.seal_key
    }

    /// Authenticates and decrypts a message in place.
    ///
    /// A duplicate is returned as such, once it is known to be authentic; it changes nothing.
    /// Node identifiers in the header are authenticated and have no other effect.
    ///
    /// # Errors
    /// [`DecodeError`]; nothing changes then, but the packet's content is lost.
    #[inline]
    pub fn decode<'b>(
        &mut self,
        packet: Packet<'b>,
        now: Instant,
    ) -> Result<Opened<'b>, DecodeError> {
        self.decode_if(packet, now, |_| true)
    }

    /// Decodes like [`decode`](Self::decode), but remembers a new message only if `accept` returns
    /// true for its header. Otherwise the message is still new when the peer retransmits it.
    ///
    /// # Errors
    /// [`DecodeError`]; nothing changes then, but the packet's content is lost.
    #[inline]
    pub fn decode_if<'b>(
        &mut self,
        packet: Packet<'b>,
        now: Instant,
        accept: impl FnOnce(&ProtocolHeader) -> bool,
    ) -> Result<Opened<'b>, DecodeError> {
        let message = self.unopened(packet)?;
        self.decode_unopened(message, false, now, accept)
    }

    /// Returns true if a message with this header, and so many bytes after it, can be one of this
    /// session.
    #[inline]
    pub(crate) fn may_open(&self, header: &MessageHeader, body_len: usize) -> bool {
        opening::check(header, body_len, self.local_session_id).is_ok()
    }

    /// Returns a message of this session, to be decoded now or after it was opened along with
    /// others.
    #[inline]
    pub(crate) fn unopened<'b>(&self, packet: Packet<'b>) -> Result<Unopened<'b>, DecodeError> {
        Unopened::new(packet, self.local_session_id, self.identity.peer_node)
    }

    #[inline]
    pub(super) const fn open_key(&self) -> &C::Aead {
        &self.open_key
    }

    /// Returns true if the replay window does not reach back to this counter.
    pub(crate) const fn is_behind(&self, counter: MessageCounter) -> bool {
        self.window.is_behind(counter)
    }

    /// Returns the same as [`decode_if`](Self::decode_if), for a message that may have been opened
    /// already. `was_refused`: the caller knows that the message with this counter was not accepted
    /// before. It is new then, even if it is behind the replay window.
    #[inline]
    pub(crate) fn decode_unopened<'b>(
        &mut self,
        message: Unopened<'b>,
        was_refused: bool,
        now: Instant,
        accept: impl FnOnce(&ProtocolHeader) -> bool,
    ) -> Result<Opened<'b>, DecodeError> {
        if message.session() != self.local_session_id {
            return Err(DecodeError::WrongSession);
        }
        let counter = message.counter();
        let verdict = if was_refused { Verdict::New } else { self.window.check(counter) };
        let newest = self.window.is_newest(counter);
        let message = message.open(&self.open_key)?;
        let (header, offset) =
            ProtocolHeader::parse(message.text()).map_err(|_| DecodeError::ProtocolHeader)?;
        if verdict == Verdict::New && accept(&header) {
            self.window.commit(&message);
            self.last_received = self.last_received.max(now);
            self.notify_activity(now);
        }
        let (plain, text_offset) = message.into_text();
        Ok(Opened {
            header,
            counter,
            payload: plain.get_mut(offset..).unwrap_or_default(),
            payload_offset: text_offset.saturating_add(offset),
            duplicate: verdict == Verdict::Duplicate,
            newest,
        })
    }

    /// Returns the identifier by which messages to this node name the session.
    #[must_use]
    #[inline]
    pub const fn local_session_id(&self) -> LocalSessionId {
        self.local_session_id
    }

    /// Returns the identifier by which messages to the peer name the session.
    #[must_use]
    #[inline]
    pub const fn peer_session_id(&self) -> PeerSessionId {
        self.peer_session_id
    }

    /// Returns the handshake that established the session.
    #[must_use]
    pub const fn kind(&self) -> SessionKind {
        self.identity.kind
    }

    /// Returns the side of the handshake that this node was on.
    #[must_use]
    pub const fn role(&self) -> SessionRole {
        self.role
    }

    /// Returns the two ends.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Ties a PASE session to the fabric that was added over it. Returns false, and changes
    /// nothing, on a CASE session, whose fabric is proven.
    pub const fn associate_fabric(&mut self, fabric: FabricIndex) -> bool {
        let is_pase = matches!(self.identity.kind, SessionKind::Pase);
        if is_pase {
            self.identity.fabric = Some(fabric);
        }
        is_pase
    }

    /// Returns the name of the cipher suite. Matter has one.
    #[must_use]
    pub const fn cipher_suite(&self) -> &'static str {
        "AES-128-CCM with HKDF-SHA256"
    }

    /// Returns the name of the curve of the key agreement and of the signatures. Matter has one.
    #[must_use]
    pub const fn curve(&self) -> &'static str {
        "P-256"
    }

    /// Binds attestation and certificate requests to this session.
    /// [Core, "Attestation Challenge"]
    #[must_use]
    pub const fn attestation_challenge(&self) -> &[u8; 16] {
        self.attestation_challenge.as_bytes()
    }

    /// Returns how the session can be resumed; `None` for PASE.
    #[must_use]
    pub const fn resumption_id(&self) -> Option<&ResumptionId> {
        self.resumption_id.as_ref()
    }

    /// Returns what the peer declared in the handshake.
    #[must_use]
    pub const fn peer_parameters(&self) -> &SessionParameters {
        &self.peer_parameters
    }

    /// Returns true if the peer is likely to listen without delay.
    #[must_use]
    pub fn is_peer_active(&self, now: Instant) -> bool {
        self.activity().is_active(now, &self.peer_parameters)
    }

    /// Returns the interval from which retransmission timeouts to the peer are computed.
    #[must_use]
    pub fn base_interval(&self, now: Instant) -> Duration {
        self.activity().base_interval(now, &self.peer_parameters)
    }

    fn activity(&self) -> PeerActivity {
        PeerActivity::heard(self.last_received.max(self.peer_awake_at))
    }

    /// Counts the peer as active from `now` on: a message outside of the session has shown it,
    /// such as a Check-In message. [`last_received`](Self::last_received) stays.
    pub fn mark_peer_active(&mut self, now: Instant) {
        self.peer_awake_at = self.peer_awake_at.max(now);
    }

    /// Counts `now` as a moment of use: a retransmission, which no encoding sees.
    #[inline]
    pub fn notify_activity(&mut self, now: Instant) {
        self.last_activity = self.last_activity.max(now);
    }

    /// Returns when the session was established, by a full handshake or by a resumption.
    #[must_use]
    pub const fn created_at(&self) -> Instant {
        self.created_at
    }

    /// Returns when a message was last sent or received.
    #[must_use]
    pub const fn last_activity(&self) -> Instant {
        self.last_activity
    }

    /// Returns when an authentic message was last received; the handshake's end counts as one.
    #[must_use]
    pub const fn last_received(&self) -> Option<Instant> {
        Some(self.last_received)
    }

    /// Returns how many more messages can be sent.
    #[must_use]
    pub const fn remaining_messages(&self) -> u32 {
        self.tx.remaining()
    }
}

impl<C: Crypto> fmt::Debug for SecureSession<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureSession")
            .field("role", &self.role)
            .field("local_session_id", &self.local_session_id)
            .field("peer_session_id", &self.peer_session_id)
            .field("identity", &self.identity)
            .field("peer_parameters", &self.peer_parameters)
            .field("resumption_id", &self.resumption_id)
            .field("tx", &self.tx)
            .field("window", &self.window)
            .field("created_at", &self.created_at)
            .field("last_received", &self.last_received)
            .field("last_activity", &self.last_activity)
            .finish_non_exhaustive()
    }
}

impl<C: Crypto> fmt::Display for SecureSession<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { kind, peer_node, fabric, .. } = self.identity;
        write!(f, "{kind} session {}", self.local_session_id)?;
        match (kind, fabric) {
            (SessionKind::Case, Some(fabric)) => write!(f, " with {peer_node} on fabric {fabric}"),
            _ => Ok(()),
        }
    }
}
