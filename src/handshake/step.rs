//! How a state machine's move becomes what the caller sees.

use super::error::encode_report;
use super::{Established, Failure, HandshakeError, Outgoing, SignRequest, Step};
use crate::crypto::Crypto;
use crate::time::Instant;
use crate::tlv::{Buffer, Overflow, Writer};
use crate::wire::StatusReport;
use crate::wire::secure_channel::Opcode;

/// A message that stands at the start of the output buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    opcode: Opcode,
    len: usize,
}

impl Written {
    /// Writes a TLV message.
    pub(super) fn message(
        opcode: Opcode,
        out: &mut [u8],
        write: impl FnOnce(&mut Writer<Buffer<'_>>) -> Result<(), Overflow>,
    ) -> Result<Self, HandshakeError> {
        Self::try_message(opcode, out, |writer| Ok(write(writer)?))
    }

    /// Writes a TLV message of which a part is encrypted.
    pub(super) fn try_message(
        opcode: Opcode,
        out: &mut [u8],
        write: impl FnOnce(&mut Writer<Buffer<'_>>) -> Result<(), HandshakeError>,
    ) -> Result<Self, HandshakeError> {
        let mut writer = Writer::new(Buffer::new(out));
        write(&mut writer)?;
        Ok(Self { opcode, len: writer.into_sink().len() })
    }

    /// Writes the report of success.
    pub(super) fn success(out: &mut [u8]) -> Result<Self, HandshakeError> {
        let report = encode_report(&StatusReport::success(), out);
        let report = report.ok_or(HandshakeError::BufferTooSmall)?;
        Ok(Self { opcode: report.opcode, len: report.payload.len() })
    }

    /// The octets written, as they enter the transcript.
    pub(super) fn payload(self, out: &[u8]) -> &[u8] {
        out.get(..self.len).unwrap_or_default()
    }

    pub(super) fn outgoing(self, out: &[u8]) -> Outgoing<'_> {
        Outgoing { opcode: self.opcode, payload: self.payload(out), reliable: true }
    }
}

/// A move of a state machine: the state it goes to, and what it asks of the caller.
#[expect(clippy::large_enum_variant, reason = "there is no heap to box a session in")]
pub(super) enum Move<S, C: Crypto> {
    Send(S, Written),
    Sign(S, SignRequest),
    Establish(S, Option<Written>, Established<C>),
}

/// Carries out a move: enters the state and lends the message. On error the state stays as the
/// caller left it, which is the ended one.
pub(super) fn settle<'o, S, C: Crypto>(
    outcome: Result<Move<S, C>, HandshakeError>,
    state: &mut S,
    out: &'o mut [u8],
) -> Result<Step<'o, C>, Failure<'o>> {
    match outcome {
        Ok(Move::Send(next, written)) => {
            *state = next;
            Ok(Step::Send(written.outgoing(out)))
        }
        Ok(Move::Sign(next, request)) => {
            *state = next;
            Ok(Step::Sign(request))
        }
        Ok(Move::Establish(next, written, established)) => {
            *state = next;
            let reply = written.map(|written| written.outgoing(out));
            Ok(Step::Established { reply, established })
        }
        Err(error) => Err(Failure::new(error, out)),
    }
}

/// Ends a handshake whose `deadline` has come; early and late calls do nothing.
pub(super) fn expire<'o, S>(
    state: &mut S,
    ended: S,
    deadline: Option<Instant>,
    now: Instant,
    out: &'o mut [u8],
) -> Result<(), Failure<'o>> {
    if deadline.is_none_or(|deadline| now < deadline) {
        return Ok(());
    }
    *state = ended;
    Err(Failure::new(HandshakeError::TimedOut, out))
}
