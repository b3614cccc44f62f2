//! The destination of a handshake that this node begins.

use crate::ids::LocalSessionId;
use crate::manager::handle::PeerAddress;

/// The addresses of the peer of a handshake that this node begins, and the id reserved for the
/// session.
#[derive(Clone, Copy)]
pub(in crate::manager) struct Destination<'a> {
    pub(in crate::manager) first: PeerAddress,
    /// All of them.
    pub(in crate::manager) addresses: &'a [PeerAddress],
    pub(in crate::manager) local: LocalSessionId,
}
