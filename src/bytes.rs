//! Sinks for encoded bytes: a buffer, or a counter. Fixed forms of values, and how bytes are
//! printed.

use core::fmt;

use thiserror::Error;
use zeroize::Zeroize;

/// Implements `Debug` for a struct with bytes of messages: their length is printed and not the
/// bytes, which may have been encrypted for a reason.
///
/// `Name[parameters][arguments]: fields that are printed; fields with bytes`
macro_rules! debug_lengths {
    (
        $name:ident[$($parameter:tt)*][$($argument:tt)*]:
        $($field:ident),*; $($bytes:ident),*
    ) => {
        impl<$($parameter)*> core::fmt::Debug for $name<$($argument)*> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), &self.$field))*
                    $(.field(stringify!($bytes), &$crate::bytes::Hidden(&self.$bytes)))*
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use debug_lengths;

/// Bytes that are printed as their number.
pub(crate) struct Hidden<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Keeps the bytes of a message that is not encrypted, and wipes them when it is dropped.
#[derive(Debug)]
pub(crate) struct Cleartext<M: AsMut<[u8]>>(M);

impl<M: AsMut<[u8]>> Cleartext<M> {
    pub(crate) const fn new(message: M) -> Self {
        Self(message)
    }

    pub(crate) const fn get(&self) -> &M {
        &self.0
    }

    pub(crate) const fn get_mut(&mut self) -> &mut M {
        &mut self.0
    }

    /// Takes the bytes out: they are encrypted now, or the caller wipes them.
    pub(crate) fn take(&mut self) -> M
    where
        M: Default,
    {
        core::mem::take(&mut self.0)
    }
}

impl<M: AsMut<[u8]>> Drop for Cleartext<M> {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

/// Takes the first `N` bytes off `rest`; `None` if there are fewer.
pub(crate) fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(head)
}

/// Writes `parts` one after the other, as far as there is room.
pub(crate) fn write_parts(to: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().copied().flatten();
    to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
}

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
pub struct Buffer<'b> {
    bytes: &'b mut [u8],
    len: usize,
}

debug_lengths!(Buffer[]['_]: len; bytes);

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

impl<S: Sink + ?Sized> Sink for &mut S {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        (**self).put(bytes)
    }
}
