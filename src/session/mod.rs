//! Sessions: the keys, counters and facts that two nodes share.
//!
//! ```text
//!  received              check window    open    commit window
//!  Packet ──▶ SecureSession::decode ──────────────────────────▶ Opened
//!  Packet ──▶ UnsecureSession::decode ────────────────────────▶ Unauthenticated
//!
//!  MessageBuf ──▶ SecureSession::encode   ──▶ Sealed       to be stored for retransmission:
//!  MessageBuf ──▶ UnsecureSession::encode ──▶ Encoded      nothing is ever encoded twice
//! ```
//! [`Opened`] and [`Unauthenticated`] are different types, so that one never passes for the
//! other. A message that is refused changes nothing. [Core, "Sessions"]

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod activity;
mod counter;
mod identity;
mod keys;
mod message;
mod opening;
mod params;
mod replay;
mod sealing;
mod secure;
mod unsecure;

use core::fmt;
use core::time::Duration;

use thiserror::Error;

pub use self::activity::PeerActivity;
pub use self::counter::UnsecuredCounter;
pub use self::identity::{Identity, ResumptionId, SessionKind, SessionRole};
pub use self::keys::SessionKeys;
pub use self::message::{Opened, Sealed, Unauthenticated};
pub(crate) use self::opening::{Unopened, open_together};
pub use self::params::{SessionParameters, Transports};
pub use self::replay::{ReplayWindow, Verdict, WINDOW};
pub(crate) use self::sealing::{Unsealed, seal_together};
pub use self::secure::{SecureSession, SessionSetup};
pub use self::unsecure::{EphemeralNodeId, UnsecureSession};

use crate::crypto::{Crypto, CryptoError};
use crate::time::Instant;
use crate::wire::WireError;

/// How many messages are opened or sealed at once: enough for every lane of a backend, and little
/// on the stack.
pub(crate) const TOGETHER: usize = 16;

/// Messages with fewer octets of payload are through sooner one by one: what they gain is less than
/// it takes to collect them.
pub(crate) const SHORTEST_TOGETHER: usize = 256;

/// A received message was dropped. No reply is ever due; count it by [`index`](Self::index).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum DecodeError {
    /// The message header is not well-formed.
    #[error("malformed message header")]
    Malformed,
    /// The privacy flag is set where it may not be.
    #[error("privacy flag on a message that is not a group's")]
    Privacy,
    /// The header's fields do not suit the kind of message.
    #[error("message header fields do not fit together")]
    Shape,
    /// The message belongs to another session.
    #[error("message of another session")]
    WrongSession,
    /// An encrypted message has no room for a protocol header and an integrity code.
    #[error("encrypted message too short")]
    TooShort,
    /// The integrity code does not verify.
    #[error("message is not authentic")]
    Unauthentic,
    /// The protocol header is not well-formed.
    #[error("malformed protocol header")]
    ProtocolHeader,
    /// The crypto backend failed.
    #[error("crypto backend failed")]
    Crypto,
    /// A group message asks for an acknowledgement.
    #[error("group message that asks for an acknowledgement")]
    AckFromGroup,
}

impl DecodeError {
    /// How many reasons there are: the size of a table of counters.
    pub(crate) const COUNT: usize = 9;
    /// Every reason, at its [`index`](Self::index).
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Malformed,
        Self::Privacy,
        Self::Shape,
        Self::WrongSession,
        Self::TooShort,
        Self::Unauthentic,
        Self::ProtocolHeader,
        Self::Crypto,
        Self::AckFromGroup,
    ];

    /// The place of this reason in a table of counters, below [`COUNT`](Self::COUNT).
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl From<WireError> for DecodeError {
    /// What is wrong with a message header.
    fn from(error: WireError) -> Self {
        match error {
            WireError::Privacy => Self::Privacy,
            WireError::Shape => Self::Shape,
            _ => Self::Malformed,
        }
    }
}

impl From<CryptoError> for DecodeError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Backend => Self::Crypto,
            _ => Self::Unauthentic,
        }
    }
}

/// A session of either kind.
#[derive(Debug)]
#[non_exhaustive]
pub enum Session<C: Crypto> {
    /// With keys: PASE or CASE.
    Secure(SecureSession<C>),
    /// Without keys: what a handshake runs on.
    Unsecure(UnsecureSession),
}

impl<C: Crypto> Session<C> {
    /// True with keys.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self, Self::Secure(_))
    }

    /// The session if it has keys.
    #[must_use]
    pub const fn as_secure(&self) -> Option<&SecureSession<C>> {
        match self {
            Self::Secure(session) => Some(session),
            Self::Unsecure(_) => None,
        }
    }

    /// The session if it has no keys.
    #[must_use]
    pub const fn as_unsecure(&self) -> Option<&UnsecureSession> {
        match self {
            Self::Secure(_) => None,
            Self::Unsecure(session) => Some(session),
        }
    }

    /// Which side of the handshake this node was or is.
    #[must_use]
    pub const fn role(&self) -> SessionRole {
        match self {
            Self::Secure(session) => session.role(),
            Self::Unsecure(session) => session.role(),
        }
    }

    /// The peer's timing and revisions, as it declared them.
    #[must_use]
    pub const fn peer_parameters(&self) -> &SessionParameters {
        match self {
            Self::Secure(session) => session.peer_parameters(),
            Self::Unsecure(session) => session.peer_parameters(),
        }
    }

    /// True if the peer is likely to listen without delay.
    #[must_use]
    pub fn is_peer_active(&self, now: Instant) -> bool {
        match self {
            Self::Secure(session) => session.is_peer_active(now),
            Self::Unsecure(session) => session.is_peer_active(now),
        }
    }

    /// The interval from which retransmission timeouts to the peer are computed.
    #[must_use]
    pub fn base_interval(&self, now: Instant) -> Duration {
        match self {
            Self::Secure(session) => session.base_interval(now),
            Self::Unsecure(session) => session.base_interval(now),
        }
    }

    /// Counts `now` as a moment of use: a retransmission, which no encoding sees.
    pub fn notify_activity(&mut self, now: Instant) {
        match self {
            Self::Secure(session) => session.notify_activity(now),
            Self::Unsecure(session) => session.notify_activity(now),
        }
    }

    /// When the session came to be.
    #[must_use]
    pub const fn created_at(&self) -> Instant {
        match self {
            Self::Secure(session) => session.created_at(),
            Self::Unsecure(session) => session.created_at(),
        }
    }

    /// When a message was last sent or received.
    #[must_use]
    pub const fn last_activity(&self) -> Instant {
        match self {
            Self::Secure(session) => session.last_activity(),
            Self::Unsecure(session) => session.last_activity(),
        }
    }
}

impl<C: Crypto> fmt::Display for Session<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secure(session) => session.fmt(f),
            Self::Unsecure(session) => session.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_index_a_table() {
        for (index, reason) in DecodeError::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
    }
}
