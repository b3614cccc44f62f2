//! The values that a step of a handshake ends in.

use crate::handshake::{Established, Failure, HandshakeError, Step};
use crate::manager::handle::{HandshakeHandle, PeerAddress};
use crate::manager::storage::{Held, Storage};

/// The result of a state machine's step, with the room for its message.
#[must_use]
pub(in crate::manager) struct Stepped<S: Storage> {
    /// `None` if there was nothing to do.
    pub(super) result: Option<Result<Step, Failure>>,
    /// `None` if the machine did not run.
    pub(super) message: Option<Held<S>>,
}

impl<S: Storage> Stepped<S> {
    pub(super) const NOTHING: Self = Self { result: None, message: None };

    /// Returns the result of a handshake whose machine could not run.
    pub(super) const fn failed(error: HandshakeError) -> Self {
        Self { result: Some(Err(Failure::silent(error))), message: None }
    }
}

/// The result of a step of a handshake, as far as it concerns other parts.
#[must_use]
#[expect(clippy::large_enum_variant, reason = "there is no heap to box a session in")]
pub(in crate::manager) enum Progress {
    /// The handshake waits for the peer or for a signature.
    Waiting,
    /// The handshake is established. Its slot waits to be told which session it became, or that
    /// there was no room for one.
    Established(NewlyEstablished),
    /// The handshake has failed. The event is queued, and the report for the peer is in flight.
    Failed(HandshakeError),
}

/// The result of an established handshake, for the session table.
pub(in crate::manager) struct NewlyEstablished {
    pub(in crate::manager) established: Established,
    pub(in crate::manager) peer: PeerAddress,
    /// The handle, if this node began the handshake.
    pub(in crate::manager) handshake: Option<HandshakeHandle>,
}
