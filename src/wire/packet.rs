//! A received datagram, split at the end of its message header.

use super::header::{CONTROL, Flags, PRIVACY};
use super::{MessageHeader, Octets, SessionRoute, WireError};
use crate::bytes::debug_lengths;

/// A received datagram whose message header has been read.
///
/// ```text
/// | message header (the AAD, exactly as received) | body: encrypted or clear |
/// ```
pub struct Packet<'b> {
    header: MessageHeader,
    header_len: usize,
    bytes: &'b mut [u8],
}

debug_lengths!(Packet[]['_]: header; bytes);

impl<'b> Packet<'b> {
    /// Reads what is clear in every datagram, so that it can be routed before anything else.
    ///
    /// # Errors
    /// [`WireError`]; never [`WireError::Privacy`].
    #[inline]
    pub fn peek(datagram: &[u8]) -> Result<Preamble, WireError> {
        Flags::parse(&mut Octets(datagram)).map(Preamble)
    }

    /// Reads the message header. `datagram` is the caller's receive buffer, cut to what arrived;
    /// it is decrypted in place later.
    ///
    /// # Errors
    /// [`WireError`]; [`WireError::Privacy`] if the header is obfuscated, which only group
    /// messages may be.
    #[inline]
    pub fn parse(datagram: &'b mut [u8]) -> Result<Self, WireError> {
        if Self::peek(datagram)?.privacy() {
            return Err(WireError::Privacy);
        }
        Self::parse_clear(datagram)
    }

    /// Reads the message header of a datagram whose privacy obfuscation, if any, was removed.
    ///
    /// # Errors
    /// [`WireError`]; never [`WireError::Privacy`].
    #[inline]
    pub fn parse_clear(datagram: &'b mut [u8]) -> Result<Self, WireError> {
        let (header, header_len) = MessageHeader::parse(datagram)?;
        Ok(Self::of(header, header_len, datagram))
    }

    /// Makes a datagram and the header that was read from it.
    #[inline]
    pub(crate) const fn of(header: MessageHeader, header_len: usize, bytes: &'b mut [u8]) -> Self {
        Self { header, header_len, bytes }
    }

    /// Returns the message header.
    #[must_use]
    #[inline]
    pub const fn header(&self) -> &MessageHeader {
        &self.header
    }

    /// Returns the length of the message header in bytes, extensions included.
    #[must_use]
    #[inline]
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Returns how many bytes follow the message header.
    #[inline]
    pub(crate) const fn body_len(&self) -> usize {
        self.bytes.len().saturating_sub(self.header_len)
    }

    /// Returns the header, its bytes as received (the associated data), and all that follows.
    #[must_use]
    #[inline]
    pub fn into_parts(self) -> (MessageHeader, &'b [u8], &'b mut [u8]) {
        // The header was read from these bytes, so it is never longer than they are.
        let (aad, body) = self.bytes.split_at_mut_checked(self.header_len).unwrap_or_default();
        (self.header, aad, body)
    }
}

/// The four bytes in front of the message counter: clear even in a private message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble(Flags);

impl Preamble {
    /// Returns where the message belongs.
    #[must_use]
    #[inline]
    pub const fn route(&self) -> SessionRoute {
        self.0.route()
    }

    /// Returns true if counter and node identifiers are obfuscated.
    #[must_use]
    #[inline]
    pub const fn privacy(&self) -> bool {
        self.0.security & PRIVACY != 0
    }

    /// Returns true for control messages.
    #[must_use]
    #[inline]
    pub const fn control(&self) -> bool {
        self.0.security & CONTROL != 0
    }

    /// Returns how many bytes counter and node identifiers take, from offset 4: the region that
    /// privacy obfuscates.
    #[must_use]
    pub const fn fields_len(&self) -> usize {
        self.0.fields_len()
    }
}
