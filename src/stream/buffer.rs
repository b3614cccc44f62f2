//! Where a decoder keeps bytes until their message is complete.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// The buffer of a [`StreamDecoder`](super::StreamDecoder): an array, a slice, or one that grows.
pub trait StreamBuffer {
    /// All bytes.
    fn bytes(&mut self) -> &mut [u8];

    /// The most bytes that it can have.
    fn max_len(&self) -> usize;

    /// `used` bytes at the start are in use: makes room for more, or gives room back.
    fn adapt(&mut self, used: usize);
}

impl<const N: usize> StreamBuffer for [u8; N] {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }

    fn max_len(&self) -> usize {
        N
    }

    fn adapt(&mut self, _: usize) {}
}

impl StreamBuffer for &mut [u8] {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }

    fn max_len(&self) -> usize {
        self.len()
    }

    fn adapt(&mut self, _: usize) {}
}

/// A buffer on the heap that grows with what has arrived, not with what a peer says will come.
#[cfg(feature = "alloc")]
pub struct GrowingBuffer {
    bytes: Vec<u8>,
    max_len: usize,
}

#[cfg(feature = "alloc")]
crate::bytes::debug_lengths!(GrowingBuffer[][]: max_len; bytes);

#[cfg(feature = "alloc")]
impl GrowingBuffer {
    /// How many bytes are to be read at once, and what a connection keeps that has nothing to say.
    const STEP: usize = 2048;

    pub(super) const fn new(max_len: usize) -> Self {
        Self { bytes: Vec::new(), max_len }
    }
}

#[cfg(feature = "alloc")]
impl StreamBuffer for GrowingBuffer {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn max_len(&self) -> usize {
        self.max_len
    }

    fn adapt(&mut self, used: usize) {
        let room = used.saturating_mul(2).max(Self::STEP).min(self.max_len);
        if room > self.bytes.len() {
            self.bytes.reserve_exact(room.saturating_sub(self.bytes.len()));
            self.bytes.resize(room, 0);
        } else if used == 0 {
            self.bytes.truncate(room);
            self.bytes.shrink_to_fit();
        }
    }
}
