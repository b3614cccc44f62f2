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
mod batch;
mod common;
mod counter;
pub mod hazmat;
mod identity;
mod keys;
mod message;
mod opening;
mod params;
mod replay;
mod sealing;
mod secure;
mod unsecure;
mod window;

use thiserror::Error;

pub use self::activity::PeerActivity;
pub(crate) use self::batch::{open_together, seal_together};
pub use self::common::{Decoded, Session};
pub use self::counter::UnsecuredCounter;
pub use self::identity::{Identity, ResumptionId, SessionKind, SessionRole};
pub use self::keys::SessionKeys;
pub use self::message::{Opened, Sealed, Unauthenticated};
pub(crate) use self::opening::Unopened;
pub use self::params::{
    SESSION_ACTIVE_INTERVAL, SESSION_ACTIVE_THRESHOLD, SESSION_IDLE_INTERVAL, SessionParameters,
    Transports,
};
pub use self::replay::{ReplayWindow, Verdict, WINDOW};
pub(crate) use self::sealing::Unsealed;
pub use self::secure::{SecureSession, SessionSetup};
pub use self::unsecure::{EphemeralNodeId, UnsecureSession};

use crate::crypto::CryptoError;
use crate::wire::WireError;

/// The session id in the header of unsecured messages: 0. No secure session has it.
#[doc(alias = "UNICAST_UNSECURE_SESSION_ID")]
pub const UNSECURED_SESSION_ID: u16 = 0;

/// How many messages are opened or sealed at once: enough for every lane of a backend, and little
/// on the stack.
pub(crate) const TOGETHER: usize = 16;

/// Why a received message was dropped. It never causes a reply.
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
    /// Number of reasons: the size of a table of counters.
    pub(crate) const COUNT: usize = 9;
    /// Every reason, at its [`index`](Self::index).
    #[cfg(test)]
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

    /// Returns the index of this reason in a table of counters, below [`COUNT`](Self::COUNT).
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
