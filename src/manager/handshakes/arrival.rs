//! The values that a received unsecured message ends in.

use crate::handshake::Incoming;
use crate::manager::handle::{HandshakeId, PeerAddress};
use crate::session::{Unauthenticated, UnsecureSession};

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
}

/// A Sigma1 or PBKDFParamRequest, and the unsecured session that it is part of.
pub(in crate::manager) struct First<'b> {
    pub(in crate::manager) peer: PeerAddress,
    pub(in crate::manager) unsecured: UnsecureSession,
    pub(in crate::manager) message: Unauthenticated<'b>,
}
