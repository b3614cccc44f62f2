//! Decoded and encoded messages. None can be made outside the crate.

use core::ops::Range;

use crate::bytes::debug_lengths;
use crate::ids::MessageCounter;
use crate::wire::{Encoded, ProtocolHeader};

/// A message of a secure session: authentic and decrypted.
#[non_exhaustive]
pub struct Opened<'b> {
    /// The protocol header.
    pub header: ProtocolHeader,
    /// The message counter, by which it is acknowledged.
    pub counter: MessageCounter,
    /// The application payload, in the receive buffer.
    pub payload: &'b mut [u8],
    /// Where in the datagram the payload begins.
    pub payload_offset: usize,
    /// It was received before: acknowledge it if it asks for that, and do not deliver it.
    pub duplicate: bool,
    /// It is the newest message: its source is the peer's present address.
    pub newest: bool,
}

debug_lengths!(Opened[]['_]: header, counter, payload_offset, duplicate, newest; payload);

/// A message of an unsecured session. Anybody can have sent it.
#[non_exhaustive]
pub struct Unauthenticated<'b> {
    /// The protocol header.
    pub header: ProtocolHeader,
    /// The message counter, by which it is acknowledged.
    pub counter: MessageCounter,
    /// The payload, in the receive buffer. Handshakes decrypt parts of it in place.
    pub payload: &'b mut [u8],
    /// Where in the datagram the payload begins.
    pub payload_offset: usize,
    /// It was received before: acknowledge it if it asks for that, and do not deliver it.
    pub duplicate: bool,
}

debug_lengths!(Unauthenticated[]['_]: header, counter, payload_offset, duplicate; payload);

/// A datagram of a secure session, ready to be sent. Retransmissions send the same bytes.
#[derive(Debug)]
pub struct Sealed<'b>(Encoded<'b>);

impl<'b> From<Sealed<'b>> for Encoded<'b> {
    fn from(sealed: Sealed<'b>) -> Self {
        sealed.0
    }
}

impl<'b> Sealed<'b> {
    #[inline]
    pub(crate) const fn new(encoded: Encoded<'b>) -> Self {
        Self(encoded)
    }

    /// Returns the datagram.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &'b [u8] {
        self.0.as_bytes()
    }

    /// Returns the range of the datagram in the buffer that the message was written to.
    #[must_use]
    #[inline]
    pub const fn range(&self) -> Range<usize> {
        self.0.range()
    }

    /// Returns the message counter, by which the peer acknowledges it.
    #[must_use]
    #[inline]
    pub const fn counter(&self) -> MessageCounter {
        self.0.counter()
    }
}
