//! Message frames: parsed without copying, written in one pass.
//!
//! ```text
//! datagram = message header | protocol header | application payload [| MIC]
//!            `- clear ----'   `- encrypted on secure sessions ----'
//! ```
//! [`Packet`] splits a received datagram into its header and the rest; [`MessageBuf`] lays a
//! message out so that headers are written directly in front of the payload. Nothing here
//! decrypts, keeps state or allocates. All integers are little-endian.
//! [Core, "Secure Channel: Message Frame Format"]

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod buf;
mod header;
mod packet;
mod protocol;
pub mod secure_channel;
mod status;

use thiserror::Error;

pub use self::buf::{Encoded, HEADROOM, MessageBuf, TAILROOM};
pub(crate) use self::buf::{Layout, Parts};
pub use self::header::{
    Destination, MAX_MESSAGE_HEADER, MIN_MESSAGE_HEADER, MessageHeader, MessageKind, SessionRoute,
};
pub use self::packet::{Packet, Preamble};
pub use self::protocol::{MAX_PROTOCOL_HEADER, MIN_PROTOCOL_HEADER, ProtocolHeader};
pub use self::status::{GeneralCode, StatusReport};
use crate::bytes::Overflow;

/// The largest message that is sent over UDP, in bytes: 1280 less the IPv6 and UDP headers.
pub const MAX_UDP_MESSAGE: usize = 1232;

/// The largest application payload that fits [`MAX_UDP_MESSAGE`] whatever its headers are.
pub const MAX_UDP_PAYLOAD: usize = MAX_UDP_MESSAGE - HEADROOM - TAILROOM;

/// A datagram, header or report is not well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WireError {
    /// The input ends inside a field.
    #[error("message ends too early")]
    Truncated,
    /// The message format version is not 0.
    #[error("unknown message format version")]
    Version,
    /// The session type is a reserved one.
    #[error("reserved session type")]
    SessionType,
    /// The destination size is a reserved one, or a unicast message names a group.
    #[error("invalid destination in the message header")]
    Destination,
    /// The fields behind the preamble are obfuscated, or privacy is set where it may not be.
    #[error("message header is privacy-obfuscated")]
    Privacy,
    /// The node identifiers or flags do not suit the kind of message.
    #[error("message header fields do not fit together")]
    Shape,
}

/// A message was not encoded. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer is smaller than this many bytes.
    #[error("buffer too small: {needed} bytes are needed")]
    BufferTooSmall {
        /// The least length in bytes that serves.
        needed: usize,
    },
    /// The payload is longer than the buffer or the cipher takes.
    #[error("payload too long")]
    PayloadTooLong,
    /// The session has used up its message counters: establish a new one.
    #[error("the session's message counter is exhausted")]
    CounterExhausted,
    /// The crypto backend failed.
    #[error("crypto backend failed")]
    Crypto,
}

impl From<Overflow> for EncodeError {
    fn from(_: Overflow) -> Self {
        Self::PayloadTooLong
    }
}

/// A cursor over received bytes.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.0.split_first_chunk().ok_or(WireError::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    #[inline]
    fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Skips an extension block: a 16-bit length and that many bytes.
    fn skip_extension(&mut self) -> Result<(), WireError> {
        let len = usize::from(self.u16()?);
        self.0 = self.0.get(len..).ok_or(WireError::Truncated)?;
        Ok(())
    }
}
