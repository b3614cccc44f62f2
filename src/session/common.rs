//! What sessions of both kinds have in common.

use core::fmt;
use core::time::Duration;

use super::{
    DecodeError, Identity, Opened, SecureSession, SessionParameters, SessionRole, Unauthenticated,
    UnsecureSession, UnsecuredCounter,
};
use crate::crypto::Crypto;
use crate::ids::{LocalSessionId, MessageCounter, PeerSessionId};
use crate::time::Instant;
use crate::wire::{EncodeError, Encoded, MessageBuf, Packet, ProtocolHeader};

mod sealed {
    pub trait Sealed {}
}

impl<C: Crypto> sealed::Sealed for SecureSession<C> {}
impl sealed::Sealed for UnsecureSession {}

/// A session of either kind: a [`SecureSession`] or an [`UnsecureSession`].
///
/// Code that sends and receives over both takes a `&mut dyn Session`: a handshake and the messages
/// after it need one loop. The trait is sealed. A manager keeps the application's data of a session
/// beside it, see [`SessionRef`](crate::manager::SessionRef).
#[cfg_attr(feature = "rustcrypto", doc = "```")]
#[cfg_attr(not(feature = "rustcrypto"), doc = "```ignore")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use matter_session::session::{Session, UnsecureSession, UnsecuredCounter};
/// use matter_session::wire::{MessageBuf, Packet, ProtocolHeader};
/// use matter_session::Instant;
///
/// // Either kind: the caller does not care.
/// fn send(session: &mut dyn Session, counter: &mut UnsecuredCounter, text: &[u8]) -> Vec<u8> {
///     let header = ProtocolHeader::parse(&[0x05, 0x08, 1, 0, 1, 0]).unwrap().0;
///     let mut buf = [0; 256];
///     let message = MessageBuf::with_payload(&mut buf, text).unwrap();
///     let sent = session.encode(counter, &header, message, Instant::ZERO).unwrap();
///     sent.as_bytes().to_vec()
/// }
///
/// let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
/// let mut counter = UnsecuredCounter::random(&mut rng);
/// let mut here = UnsecureSession::initiator(&mut rng, Instant::ZERO).expect("randomness");
/// let mut there = UnsecureSession::responder(here.ephemeral_node_id(), Instant::ZERO);
/// let mut datagram = send(&mut here, &mut counter, b"hello");
/// let there: &mut dyn Session = &mut there;
/// let message = there.decode(Packet::parse(&mut datagram)?, Instant::ZERO)?;
/// assert_eq!(message.into_payload(), b"hello");
/// assert!(!there.is_secure() && there.id().is_none());
/// # Ok(())
/// # }
/// ```
pub trait Session: fmt::Debug + fmt::Display + sealed::Sealed {
    /// Returns true if messages are encrypted and authentic.
    fn is_secure(&self) -> bool;

    /// Returns the identifier in messages to this node. `None` if the session is unsecured: its
    /// messages carry [`UNSECURED_SESSION_ID`](super::UNSECURED_SESSION_ID).
    fn id(&self) -> Option<LocalSessionId>;

    /// Returns the identifier in messages to the peer. `None` if the session is unsecured.
    fn peer_session_id(&self) -> Option<PeerSessionId>;

    /// Returns a name for logs: the kind of the session, and its id or its peer.
    fn name(&self) -> &dyn fmt::Display;

    /// Returns which side of the handshake this node was or is.
    fn role(&self) -> SessionRole;

    /// Returns the two ends of a secure session. `None` if the session is unsecured.
    fn identity(&self) -> Option<&Identity>;

    /// Encodes the payload in `msg` in place. To retransmit, send the same bytes again.
    ///
    /// `counter` is this node's counter of unsecured messages, which all unsecured sessions share.
    /// A secure session has its own counter and does not use this one.
    ///
    /// # Errors
    /// [`EncodeError`], as [`SecureSession::encode`] says.
    fn encode<'b>(
        &mut self,
        counter: &mut UnsecuredCounter,
        header: &ProtocolHeader,
        msg: MessageBuf<'b>,
        now: Instant,
    ) -> Result<Encoded<'b>, EncodeError>;

    /// Decodes a message in place and remembers its counter.
    ///
    /// # Errors
    /// [`DecodeError`]. The session has not changed then, but the packet's content is lost.
    fn decode<'b>(&mut self, packet: Packet<'b>, now: Instant) -> Result<Decoded<'b>, DecodeError>;

    /// Returns the session parameters that the peer declared, or the defaults.
    fn peer_parameters(&self) -> &SessionParameters;

    /// Returns the interval from which retransmission timeouts to the peer are computed.
    fn base_interval(&self, now: Instant) -> Duration;

    /// Returns true if a message was received less than the peer's active threshold ago.
    fn is_peer_active(&self, now: Instant) -> bool;

    /// Counts `now` as a moment of use. Call it for a retransmission, which is not encoded again.
    fn notify_activity(&mut self, now: Instant);

    /// Returns when the session was created.
    fn created_at(&self) -> Instant;

    /// Returns when a message was last sent or received.
    fn last_activity(&self) -> Instant;

    /// Returns when a message was last received.
    fn last_received(&self) -> Option<Instant>;
}

/// The methods that both kinds have under the same name.
macro_rules! of_both {
    () => {
        fn name(&self) -> &dyn fmt::Display {
            self
        }

        fn role(&self) -> SessionRole {
            Self::role(self)
        }

        fn peer_parameters(&self) -> &SessionParameters {
            Self::peer_parameters(self)
        }

        fn base_interval(&self, now: Instant) -> Duration {
            Self::base_interval(self, now)
        }

        fn is_peer_active(&self, now: Instant) -> bool {
            Self::is_peer_active(self, now)
        }

        fn notify_activity(&mut self, now: Instant) {
            Self::notify_activity(self, now);
        }

        fn created_at(&self) -> Instant {
            Self::created_at(self)
        }

        fn last_activity(&self) -> Instant {
            Self::last_activity(self)
        }

        fn last_received(&self) -> Option<Instant> {
            Self::last_received(self)
        }
    };
}

impl<C: Crypto> Session for SecureSession<C> {
    of_both!();

    fn is_secure(&self) -> bool {
        true
    }

    fn id(&self) -> Option<LocalSessionId> {
        Some(self.local_session_id())
    }

    fn peer_session_id(&self) -> Option<PeerSessionId> {
        Some(Self::peer_session_id(self))
    }

    fn identity(&self) -> Option<&Identity> {
        Some(Self::identity(self))
    }

    fn encode<'b>(
        &mut self,
        _: &mut UnsecuredCounter,
        header: &ProtocolHeader,
        msg: MessageBuf<'b>,
        now: Instant,
    ) -> Result<Encoded<'b>, EncodeError> {
        Self::encode(self, header, msg, now).map(Encoded::from)
    }

    fn decode<'b>(&mut self, packet: Packet<'b>, now: Instant) -> Result<Decoded<'b>, DecodeError> {
        Self::decode(self, packet, now).map(Decoded::Opened)
    }
}

impl Session for UnsecureSession {
    of_both!();

    fn is_secure(&self) -> bool {
        false
    }

    fn id(&self) -> Option<LocalSessionId> {
        None
    }

    fn peer_session_id(&self) -> Option<PeerSessionId> {
        None
    }

    fn identity(&self) -> Option<&Identity> {
        None
    }

    fn encode<'b>(
        &mut self,
        counter: &mut UnsecuredCounter,
        header: &ProtocolHeader,
        msg: MessageBuf<'b>,
        now: Instant,
    ) -> Result<Encoded<'b>, EncodeError> {
        Self::encode(self, counter, header, msg, now)
    }

    fn decode<'b>(&mut self, packet: Packet<'b>, now: Instant) -> Result<Decoded<'b>, DecodeError> {
        Self::decode(self, packet, now).map(Decoded::Unauthenticated)
    }
}

/// A message that a [`Session`] decoded.
#[derive(Debug)]
pub enum Decoded<'b> {
    /// From a secure session: authentic and decrypted.
    Opened(Opened<'b>),
    /// From an unsecured session: anybody may have sent it. A handshake takes it with
    /// [`Incoming::from`](crate::handshake::Incoming).
    Unauthenticated(Unauthenticated<'b>),
}

impl<'b> Decoded<'b> {
    /// Returns the protocol header.
    #[must_use]
    pub const fn header(&self) -> &ProtocolHeader {
        match self {
            Self::Opened(message) => &message.header,
            Self::Unauthenticated(message) => &message.header,
        }
    }

    /// Returns the message counter, by which the message is acknowledged.
    #[must_use]
    pub const fn counter(&self) -> MessageCounter {
        match self {
            Self::Opened(message) => message.counter,
            Self::Unauthenticated(message) => message.counter,
        }
    }

    /// Returns true if the message was received before: acknowledge it if it asks for that, but
    /// do not handle it again.
    #[must_use]
    pub const fn is_duplicate(&self) -> bool {
        match self {
            Self::Opened(message) => message.duplicate,
            Self::Unauthenticated(message) => message.duplicate,
        }
    }

    /// Returns the payload, in the receive buffer.
    #[must_use]
    pub const fn into_payload(self) -> &'b mut [u8] {
        match self {
            Self::Opened(message) => message.payload,
            Self::Unauthenticated(message) => message.payload,
        }
    }
}
