//! The values that a received unsecured message ends in.

use crate::handshake::Incoming;
#[cfg(feature = "initiator")]
use crate::ids::MessageCounter;
use crate::manager::handle::{HandshakeId, PeerAddress};
use crate::session::{Unauthenticated, UnsecureSession};
#[cfg(feature = "initiator")]
use crate::wire::ProtocolHeader;

/// A received unsecured message, after the part has handled its share.
#[must_use]
pub(in crate::manager) enum Arrival<'b> {
    /// A Check-In message with this payload: the application handles it.
    CheckIn(&'b mut [u8]),
    /// Nothing is left to do.
    Handled,
    /// The next message for the state machine of this handshake.
    Next(HandshakeId, Incoming<'b>),
    /// A message that begins a handshake.
    First(First<'b>),
    /// An answer to a first message that was sent to several addresses.
    #[cfg(feature = "initiator")]
    Answer(Answer<'b>),
}

/// An answer from one of several addresses, and its handshake.
#[cfg(feature = "initiator")]
pub(in crate::manager) struct Answer<'b> {
    pub(in crate::manager) id: HandshakeId,
    pub(in crate::manager) from: PeerAddress,
    pub(in crate::manager) header: ProtocolHeader,
    pub(in crate::manager) counter: MessageCounter,
    pub(in crate::manager) payload: &'b mut [u8],
}

/// A Sigma1 or PBKDFParamRequest, and the unsecured session that it is part of.
pub(in crate::manager) struct First<'b> {
    pub(in crate::manager) peer: PeerAddress,
    pub(in crate::manager) unsecured: UnsecureSession,
    pub(in crate::manager) message: Unauthenticated<'b>,
}
