//! How a state machine's move becomes what the caller sees.

use super::error::encode_report;
use super::{Established, Failure, HandshakeError, Outgoing, SignRequest, Step};
use crate::bytes::{Buffer, Overflow};
use crate::time::Instant;
use crate::tlv::Writer;
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

/// What a step asks of the caller. The machine is in its next state by then.
#[expect(clippy::large_enum_variant, reason = "there is no heap to box a session in")]
pub(super) enum Move {
    Send(Written),
    Sign(SignRequest),
    Establish(Option<Written>, Established),
}

/// Lends the caller what a step has come to. A state machine whose step has failed or was the
/// last is over: its state becomes the default one.
pub(super) fn settle<'o, S: Default>(
    outcome: Result<Move, HandshakeError>,
    state: &mut S,
    out: &'o mut [u8],
) -> Result<Step<'o>, Failure<'o>> {
    if !matches!(outcome, Ok(Move::Send(_) | Move::Sign(_))) {
        *state = S::default();
    }
    step(outcome, out)
}

/// One function for all machines, whose frames it does not burden while a step runs.
#[inline(never)]
fn step(outcome: Result<Move, HandshakeError>, out: &mut [u8]) -> Result<Step<'_>, Failure<'_>> {
    match outcome {
        Ok(Move::Send(written)) => Ok(Step::Send(written.outgoing(out))),
        Ok(Move::Sign(request)) => Ok(Step::Sign(request)),
        Ok(Move::Establish(written, established)) => {
            let reply = written.map(|written| written.outgoing(out));
            Ok(Step::Established { reply, established })
        }
        Err(error) => Err(Failure::new(error, out)),
    }
}

/// Ends a handshake whose `deadline` has come; early and late calls do nothing.
pub(super) fn expire<'o, S: Default>(
    state: &mut S,
    deadline: Option<Instant>,
    now: Instant,
    out: &'o mut [u8],
) -> Result<(), Failure<'o>> {
    if deadline.is_none_or(|deadline| now < deadline) {
        return Ok(());
    }
    *state = S::default();
    Err(Failure::new(HandshakeError::TimedOut, out))
}
