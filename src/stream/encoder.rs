//! Puts lengths in front of messages.

use core::ops::Range;

use thiserror::Error;

use super::PREFIX_LEN;
use crate::wire::MIN_MESSAGE_HEADER;

/// Puts lengths in front of messages to one peer.
#[derive(Clone, Copy, Debug)]
pub struct StreamEncoder {
    limit: u32,
}

/// The message cannot be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// The message is shorter than any: the peer would close the connection.
    #[error("too short for a message")]
    TooShort,
    /// The message, with headers and integrity code, is longer than the peer accepts.
    #[error("a message of {len} bytes, where the peer takes {limit}")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// Maximum length in bytes that the peer accepts.
        limit: u32,
    },
    /// There is no room for the prefix in front of the message.
    #[error("no {PREFIX_LEN} bytes in front of the message")]
    NoHeadroom,
}

impl StreamEncoder {
    /// Makes an encoder for a peer that accepts messages of at most this many bytes:
    /// [`SessionParameters::max_tcp_message`](crate::SessionParameters::max_tcp_message), 63,996
    /// before it has declared anything.
    #[must_use]
    pub const fn new(limit: u32) -> Self {
        Self { limit }
    }

    /// Returns the length prefix of a message, for sockets that write from several buffers.
    ///
    /// # Errors
    /// [`FrameError::TooShort`], [`FrameError::TooLarge`].
    pub fn prefix(&self, message: &[u8]) -> Result<[u8; PREFIX_LEN], FrameError> {
        self.prefix_of(message.len())
    }

    /// Writes the length in front of the message in this part of `buf`, and returns both together.
    /// A [`MessageBuf`](crate::wire::MessageBuf) leaves room for it in front of every unicast
    /// message: use the buffer and the range of what it was encoded to.
    ///
    /// # Errors
    /// [`FrameError`]; `buf` is as it was then.
    pub fn frame<'b>(
        &self,
        buf: &'b mut [u8],
        message: Range<usize>,
    ) -> Result<&'b [u8], FrameError> {
        let prefix = self.prefix_of(message.len())?;
        let start = message.start.checked_sub(PREFIX_LEN).ok_or(FrameError::NoHeadroom)?;
        let frame = buf.get_mut(start..message.end).ok_or(FrameError::NoHeadroom)?;
        *frame.first_chunk_mut().ok_or(FrameError::NoHeadroom)? = prefix;
        Ok(frame)
    }

    fn prefix_of(self, len: usize) -> Result<[u8; PREFIX_LEN], FrameError> {
        match u32::try_from(len) {
            _ if len < MIN_MESSAGE_HEADER => Err(FrameError::TooShort),
            Ok(bytes) if bytes <= self.limit => Ok(bytes.to_le_bytes()),
            _ => Err(FrameError::TooLarge { len, limit: self.limit }),
        }
    }
}
