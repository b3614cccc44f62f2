//! Status reports.
//!
//! ```text
//! 0..2   general code   u16
//! 2..6   protocol id    u32 = vendor << 16 | protocol
//! 6..8   protocol code  u16
//! 8..    protocol data
//! ```

use core::fmt;
use core::time::Duration;

use super::secure_channel::status_code;
use super::{Octets, WireError};
use crate::bytes::{Hidden, Overflow, Sink};
use crate::ids::ProtocolId;
use crate::time::{from_millis, rounded_up};

/// The outcome that every protocol understands. Codes that are not known mean failure.
/// [Core, "Status Report: General Status Codes"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GeneralCode(pub u16);

impl GeneralCode {
    /// The operation completed.
    pub const SUCCESS: Self = Self(0);
    /// Generic failure; the protocol code says more.
    pub const FAILURE: Self = Self(1);
    /// The system is not in the required state.
    pub const BAD_PRECONDITION: Self = Self(2);
    /// A value is out of range.
    pub const OUT_OF_RANGE: Self = Self(3);
    /// The request is malformed.
    pub const BAD_REQUEST: Self = Self(4);
    /// The request is not supported.
    pub const UNSUPPORTED: Self = Self(5);
    /// The request was not expected now.
    pub const UNEXPECTED: Self = Self(6);
    /// No resources for the request.
    pub const RESOURCE_EXHAUSTED: Self = Self(7);
    /// Busy with something else: try again later.
    pub const BUSY: Self = Self(8);
    /// A time limit passed.
    pub const TIMEOUT: Self = Self(9);
    /// More is to come.
    pub const CONTINUE: Self = Self(10);
    /// Aborted.
    pub const ABORTED: Self = Self(11);
    /// An argument is invalid.
    pub const INVALID_ARGUMENT: Self = Self(12);
    /// Something named was not found.
    pub const NOT_FOUND: Self = Self(13);
    /// Something to be made exists already.
    pub const ALREADY_EXISTS: Self = Self(14);
    /// The caller lacks the right.
    pub const PERMISSION_DENIED: Self = Self(15);
    /// Data was lost or corrupted.
    pub const DATA_LOSS: Self = Self(16);
    /// The message is larger than the receiver takes.
    pub const MESSAGE_TOO_LARGE: Self = Self(17);

    /// Returns true for [`SUCCESS`](Self::SUCCESS) alone.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == Self::SUCCESS.0
    }
}

impl fmt::Display for GeneralCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::SUCCESS => "SUCCESS",
            Self::FAILURE => "FAILURE",
            Self::BAD_PRECONDITION => "BAD_PRECONDITION",
            Self::OUT_OF_RANGE => "OUT_OF_RANGE",
            Self::BAD_REQUEST => "BAD_REQUEST",
            Self::UNSUPPORTED => "UNSUPPORTED",
            Self::UNEXPECTED => "UNEXPECTED",
            Self::RESOURCE_EXHAUSTED => "RESOURCE_EXHAUSTED",
            Self::BUSY => "BUSY",
            Self::TIMEOUT => "TIMEOUT",
            Self::CONTINUE => "CONTINUE",
            Self::ABORTED => "ABORTED",
            Self::INVALID_ARGUMENT => "INVALID_ARGUMENT",
            Self::NOT_FOUND => "NOT_FOUND",
            Self::ALREADY_EXISTS => "ALREADY_EXISTS",
            Self::PERMISSION_DENIED => "PERMISSION_DENIED",
            Self::DATA_LOSS => "DATA_LOSS",
            Self::MESSAGE_TOO_LARGE => "MESSAGE_TOO_LARGE",
            Self(other) => return write!(f, "general code {other}"),
        })
    }
}

/// A status report. [Core, "Status Report Messages"]
///
/// It travels under the secure channel protocol on an exchange of any protocol.
#[derive(Clone, Copy, Debug)]
pub struct StatusReport<'a> {
    /// The outcome in general.
    pub general: GeneralCode,
    /// The protocol that defines `code`.
    pub protocol: ProtocolId,
    /// The outcome in the protocol's terms; for the secure channel one of [`status_code`].
    pub code: u16,
    data: Data<'a>,
}

/// Protocol data: borrowed, or the two bytes that a busy report owns.
#[derive(Clone, Copy)]
enum Data<'a> {
    Borrowed(&'a [u8]),
    Wait([u8; 2]),
}

impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Borrowed(bytes) => Hidden(bytes).fmt(f),
            Self::Wait(wait) => Hidden(wait).fmt(f),
        }
    }
}

impl StatusReport<'static> {
    /// Makes the report that the handshake is complete.
    #[must_use]
    pub const fn success() -> Self {
        Self::secure_channel(GeneralCode::SUCCESS, status_code::SESSION_ESTABLISHMENT_SUCCESS)
    }

    /// Makes the report that no fabric matches the initiator's destination.
    #[must_use]
    pub const fn no_shared_trust_roots() -> Self {
        Self::secure_channel(GeneralCode::FAILURE, status_code::NO_SHARED_TRUST_ROOTS)
    }

    /// Makes the report that a handshake message is wrong.
    #[must_use]
    pub const fn invalid_parameter() -> Self {
        Self::secure_channel(GeneralCode::FAILURE, status_code::INVALID_PARAMETER)
    }

    /// Makes the report that the sender has closed the session that carries it.
    #[must_use]
    pub const fn close_session() -> Self {
        Self::secure_channel(GeneralCode::SUCCESS, status_code::CLOSE_SESSION)
    }

    /// Makes the report that a message over TCP is longer than its sender accepts. The sender of
    /// the report closes the connection. [Core, "TCP Considerations"]
    #[must_use]
    pub const fn message_too_large() -> Self {
        Self::secure_channel(GeneralCode::MESSAGE_TOO_LARGE, status_code::GENERAL_FAILURE)
    }

    /// No room for a handshake: try again after `wait`, rounded up to milliseconds, 65,535 ms at
    /// most.
    #[must_use]
    pub fn busy(wait: Duration) -> Self {
        let millis = rounded_up(wait);
        let millis = u16::try_from(millis).unwrap_or(u16::MAX);
        Self {
            data: Data::Wait(millis.to_le_bytes()),
            ..Self::secure_channel(GeneralCode::BUSY, status_code::BUSY)
        }
    }

    const fn secure_channel(general: GeneralCode, code: u16) -> Self {
        let protocol = ProtocolId::SECURE_CHANNEL;
        Self { general, protocol, code, data: Data::Borrowed(&[]) }
    }
}

impl<'a> StatusReport<'a> {
    /// Makes a report of any protocol.
    #[must_use]
    pub const fn new(
        general: GeneralCode,
        protocol: ProtocolId,
        code: u16,
        data: &'a [u8],
    ) -> Self {
        Self { general, protocol, code, data: Data::Borrowed(data) }
    }

    /// Reads the payload of a status report message.
    ///
    /// # Errors
    /// [`WireError::Truncated`] below 8 bytes.
    pub fn parse(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut rest = Octets(payload);
        let general = GeneralCode(rest.u16()?);
        let protocol = ProtocolId::from_u32(rest.u32()?);
        let code = rest.u16()?;
        Ok(Self::new(general, protocol, code, rest.0))
    }

    /// Writes the payload of a status report message.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, sink: &mut S) -> Result<(), Overflow> {
        sink.put(&self.general.0.to_le_bytes())?;
        sink.put(&self.protocol.to_u32().to_le_bytes())?;
        sink.put(&self.code.to_le_bytes())?;
        sink.put(self.data())
    }

    /// Returns the length in bytes when written.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        self.data().len().saturating_add(8)
    }

    /// Returns what the protocol adds to the code.
    #[must_use]
    pub const fn data(&self) -> &[u8] {
        match &self.data {
            Data::Borrowed(data) => data,
            Data::Wait(octets) => octets,
        }
    }

    /// Returns true if this says that the handshake is complete.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.is(GeneralCode::SUCCESS, status_code::SESSION_ESTABLISHMENT_SUCCESS)
    }

    /// Returns true if this says that the sender has closed the session.
    #[must_use]
    pub fn is_close_session(&self) -> bool {
        self.is(GeneralCode::SUCCESS, status_code::CLOSE_SESSION)
    }

    /// Returns true if the responder has no room for a handshake.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.is(GeneralCode::BUSY, status_code::BUSY)
    }

    /// Returns how long the responder asks to wait: zero if it does not say or says half, `None` if it
    /// is not busy.
    #[must_use]
    pub fn busy_wait(&self) -> Option<Duration> {
        let millis = match self.data().first_chunk() {
            Some(octets) => u16::from_le_bytes(*octets),
            None => 0,
        };
        self.is_busy().then(|| from_millis(millis.into()))
    }

    fn is(&self, general: GeneralCode, code: u16) -> bool {
        self.general == general && self.protocol == ProtocolId::SECURE_CHANNEL && self.code == code
    }
}

impl PartialEq for StatusReport<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.general, self.protocol, self.code, self.data())
            == (other.general, other.protocol, other.code, other.data())
    }
}

impl Eq for StatusReport<'_> {}

impl fmt::Display for StatusReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProtocolId { vendor, id } = self.protocol;
        write!(f, "{} (protocol {vendor}:{id}, code {})", self.general, self.code)
    }
}
