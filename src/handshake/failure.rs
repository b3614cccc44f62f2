//! A failed handshake.

use thiserror::Error;

use super::error::HandshakeError;
use super::message::Outgoing;

/// A failed handshake: the reason, and the report for the peer if there is one to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{error}")]
#[non_exhaustive]
pub struct Failure {
    /// The reason.
    pub error: HandshakeError,
    /// The StatusReport to send, at the start of the output buffer.
    pub reply: Option<Outgoing>,
}

impl Failure {
    /// Writes the report for `error` to `out`. There is none if even that has no room.
    ///
    /// Not inlined: the frames of the steps do not hold the report.
    #[inline(never)]
    pub(crate) fn new(error: HandshakeError, out: &mut [u8]) -> Self {
        let report = error.status_report();
        Self { error, reply: report.and_then(|report| Outgoing::report(&report, out).ok()) }
    }

    /// Names the failure as the caller of a manager knows it: the buffer is not the caller's, but
    /// what was free of the room that messages share.
    pub(crate) fn in_shared_room(self) -> Self {
        let is_short = self.error == HandshakeError::BufferTooSmall;
        Self { error: if is_short { HandshakeError::NoRoom } else { self.error }, ..self }
    }

    /// Makes a failure that the peer is not informed of.
    pub(crate) const fn silent(error: HandshakeError) -> Self {
        Self { error, reply: None }
    }
}
