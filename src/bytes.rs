//! Sinks for encoded bytes: a buffer, or a counter.

use thiserror::Error;

/// The buffer is too small for the bytes that are written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("output buffer too small")]
pub struct Overflow;

/// A sink for encoded bytes: a [`Buffer`], a hash, or a [`Counter`] that only counts them.
pub trait Sink {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Overflow`] when there is no room; nothing is appended then.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overflow>;
}

/// A caller's buffer, filled from its start.
#[derive(Debug)]
pub struct Buffer<'b> {
    bytes: &'b mut [u8],
    len: usize,
}

impl<'b> Buffer<'b> {
    /// Writes from the start of `bytes`.
    pub const fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    /// Returns the number of bytes written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns true if nothing was written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes that were written.
    #[must_use]
    pub fn into_written(self) -> &'b mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// Returns the bytes that were written so far, for example to encrypt them in place.
    #[must_use]
    pub fn written_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }
}

impl Sink for Buffer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        let end = self.len.checked_add(bytes.len()).ok_or(Overflow)?;
        self.bytes.get_mut(self.len..end).ok_or(Overflow)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }
}

/// Counts bytes without keeping them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter(usize);

impl Counter {
    /// Returns the number of bytes put.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0
    }

    /// Returns true if nothing was written yet.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Sink for Counter {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        self.0 = self.0.checked_add(bytes.len()).ok_or(Overflow)?;
        Ok(())
    }
}

impl<S: Sink> Sink for &mut S {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        (**self).put(bytes)
    }
}
