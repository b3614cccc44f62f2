//! The messages that a handshake takes and makes.

use super::HandshakeError;
use crate::bytes::debug_lengths;
use crate::bytes::{Buffer, Overflow};
use crate::session::Unauthenticated;
use crate::tlv::Writer;
use crate::wire::StatusReport;
use crate::wire::secure_channel::Opcode;

/// A handshake message from the peer.
///
/// The payload is mutable because a handshake decrypts a part of it in place.
pub struct Incoming<'m> {
    pub(crate) opcode: Opcode,
    pub(crate) payload: &'m mut [u8],
}

debug_lengths!(Incoming[]['_]: opcode; payload);

impl<'m> Incoming<'m> {
    /// Makes a message that the caller has unframed itself, from its opcode and payload. A message
    /// that an [`UnsecureSession`](crate::session::UnsecureSession) decoded is converted with
    /// `from`.
    ///
    /// The caller vouches for three facts: the message is of the secure channel protocol, it
    /// arrived unsecured (session id 0, not decrypted by any session), and it is no duplicate.
    pub const fn new(opcode: Opcode, payload: &'m mut [u8]) -> Self {
        Self { opcode, payload }
    }
}

impl Incoming<'_> {
    /// Returns true if the peer may present certificates by this message.
    pub(crate) fn presents_certificates(&self) -> bool {
        [Opcode::CASE_SIGMA2, Opcode::CASE_SIGMA3].contains(&self.opcode)
    }
}

impl<'m> From<Unauthenticated<'m>> for Incoming<'m> {
    fn from(message: Unauthenticated<'m>) -> Self {
        Self { opcode: Opcode(message.header.opcode), payload: message.payload }
    }
}

/// A message for the peer. It is at the start of the output buffer that the caller gave to the
/// step, and is to be sent reliably over the secure channel protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing {
    /// The secure channel opcode.
    pub opcode: Opcode,
    /// The length of the payload in bytes.
    pub len: usize,
}

impl Outgoing {
    /// Returns the payload from `out`, the output buffer of the step that made this message.
    #[must_use]
    pub fn payload<'o>(&self, out: &'o [u8]) -> &'o [u8] {
        out.get(..self.len).unwrap_or_default()
    }

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

    /// Writes a status report.
    pub(super) fn report(report: &StatusReport<'_>, out: &mut [u8]) -> Result<Self, Overflow> {
        let mut buffer = Buffer::new(out);
        report.write(&mut buffer)?;
        Ok(Self { opcode: Opcode::STATUS_REPORT, len: buffer.len() })
    }

    /// Writes the report of success.
    pub(super) fn success(out: &mut [u8]) -> Result<Self, HandshakeError> {
        Ok(Self::report(&StatusReport::success(), out)?)
    }
}
