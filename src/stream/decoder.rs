//! Bytes in, messages out.

use thiserror::Error;

#[cfg(feature = "alloc")]
use super::GrowingBuffer;
use super::{PREFIX_LEN, StreamBuffer};
use crate::bytes::debug_lengths;
use crate::wire::{MIN_MESSAGE_HEADER, StatusReport};

/// Splits what arrives on one connection into messages.
///
/// After an error it returns no more messages, since it is unknown where the next one begins: close
/// the connection.
pub struct StreamDecoder<B> {
    buffer: B,
    /// The range of the buffer with the bytes that were not returned as a message yet.
    start: usize,
    end: usize,
    limit: u32,
    failed: Option<StreamError>,
}

debug_lengths!(StreamDecoder[B][B]: start, end, limit, failed; );

/// The stream cannot be read any further: close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StreamError {
    /// A length that no message has, in bytes.
    #[error("a message of {len} bytes is shorter than its header")]
    TooShort {
        /// What the prefix says.
        len: u32,
    },
    /// A message is longer than this node accepts.
    #[error("a message of {len} bytes, where {limit} are the most")]
    TooLarge {
        /// What the prefix says, in bytes.
        len: u32,
        /// The most bytes that a message may have.
        limit: u32,
    },
}

impl StreamError {
    /// Returns the report to send to the peer before you close the connection, if there is one.
    #[must_use]
    pub const fn report(&self) -> Option<StatusReport<'static>> {
        match self {
            Self::TooShort { .. } => None,
            Self::TooLarge { .. } => Some(StatusReport::message_too_large()),
        }
    }
}

impl<B: StreamBuffer> StreamDecoder<B> {
    /// Reads into `buffer`: an array, or a slice. Messages of up to its length less
    /// [`PREFIX_LEN`] bytes are accepted. The shortest message has 8 bytes.
    #[must_use]
    pub fn new(buffer: B) -> Self {
        let limit = buffer.max_len().saturating_sub(PREFIX_LEN);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Self { buffer, start: 0, end: 0, limit, failed: None }
    }

    /// Accepts messages of at most this many bytes, which this node has declared. A larger value
    /// than the buffer allows changes nothing.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = self.limit.min(limit);
        self
    }

    /// Returns the maximum length of a message in bytes. Declare it with
    /// [`SessionParameters::with_tcp`](crate::SessionParameters::with_tcp).
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Returns where to read into; then say how much it was to [`advance`](Self::advance). Never
    /// empty while [`poll_message`](Self::poll_message) yields `Ok(None)`: poll until then first.
    pub fn space(&mut self) -> &mut [u8] {
        if self.failed.is_some() {
            return &mut [];
        }
        if self.start != 0 {
            let bytes = self.buffer.bytes();
            let end = self.end.min(bytes.len());
            if self.start <= end {
                bytes.copy_within(self.start..end, 0);
            }
            self.end = end.saturating_sub(self.start);
            self.start = 0;
        }
        self.buffer.adapt(self.end);
        self.buffer.bytes().get_mut(self.end..).unwrap_or_default()
    }

    /// This many bytes were read to the start of [`space`](Self::space).
    pub fn advance(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.bytes().len());
    }

    /// Copies bytes in that were read elsewhere. Returns how many: fewer than there are where
    /// messages have to be polled first, none after an error.
    pub fn handle_bytes(&mut self, mut bytes: &[u8]) -> usize {
        let before = bytes.len();
        loop {
            let space = self.space();
            let len = space.len().min(bytes.len());
            let Some((head, rest)) = bytes.split_at_checked(len).filter(|_| len != 0) else {
                return before.saturating_sub(bytes.len());
            };
            space.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
            bytes = rest;
            self.advance(len);
        }
    }

    /// Returns the next complete message, lent until the next call; `None` until more has arrived.
    ///
    /// # Errors
    /// [`StreamError`], again with every call.
    pub fn poll_message(&mut self) -> Result<Option<&mut [u8]>, StreamError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let bytes = self.buffer.bytes().get_mut(self.start..self.end).unwrap_or_default();
        let Some((prefix, rest)) = bytes.split_first_chunk_mut::<PREFIX_LEN>() else {
            return Ok(None);
        };
        let len = u32::from_le_bytes(*prefix);
        let message = usize::try_from(len).unwrap_or(usize::MAX);
        let error = if message < MIN_MESSAGE_HEADER {
            StreamError::TooShort { len }
        } else if len > self.limit {
            StreamError::TooLarge { len, limit: self.limit }
        } else {
            let message = rest.get_mut(..message);
            if let Some(message) = &message {
                let taken = message.len().saturating_add(PREFIX_LEN);
                self.start = self.start.saturating_add(taken);
            }
            return Ok(message);
        };
        self.failed = Some(error);
        Err(error)
    }

    /// Returns true if a message has begun that is not complete: cut off, if the stream ends here.
    #[must_use]
    pub const fn is_mid_message(&self) -> bool {
        self.start != self.end
    }
}

#[cfg(feature = "alloc")]
impl StreamDecoder<GrowingBuffer> {
    /// Reads into a buffer on the heap, for messages of at most this many bytes. It takes twice
    /// as many bytes as have arrived of a message and were not polled, and a few kB where there
    /// are none.
    #[must_use]
    pub fn growing(limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self::new(GrowingBuffer::new(limit.saturating_add(PREFIX_LEN)))
    }
}
