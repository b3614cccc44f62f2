//! The destination of a handshake that this node begins.

use crate::ids::LocalSessionId;
use crate::manager::handle::PeerAddress;

/// The peer of a handshake that this node begins, and the id reserved for the session.
#[derive(Clone, Copy)]
pub(in crate::manager) struct Destination {
    pub(in crate::manager) peer: PeerAddress,
    pub(in crate::manager) local: LocalSessionId,
}
