//! Bytes that must not leak.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes: wiped on drop, never printed, compared in constant time.
#[derive(Clone)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Makes a secret of these bytes. The caller wipes its own copy, if there is one.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Makes a secret of zeros, to be filled through [`as_mut_bytes`](Self::as_mut_bytes) without
    /// another copy.
    #[must_use]
    pub const fn zero() -> Self {
        Self([0; N])
    }

    /// Returns the bytes, for use in a computation.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// Returns the bytes, to be filled in place.
    #[must_use]
    pub const fn as_mut_bytes(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// One loop for all, instead of one wherever a secret goes out of scope.
#[inline(never)]
fn wipe(octets: &mut [u8]) {
    octets.zeroize();
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> From<&[u8; N]> for Secret<N> {
    fn from(bytes: &[u8; N]) -> Self {
        Self(*bytes)
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints_its_bytes() {
        let secret = Secret::new([0xA5; 16]);
        assert_eq!(std::format!("{secret:?} {:#?}", Some(&secret)).matches("a5").count(), 0);
        assert_eq!(std::format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn compares_by_value() {
        assert_eq!(Secret::new([1; 32]), Secret::new([1; 32]));
        assert_ne!(Secret::new([1; 32]), Secret::new([2; 32]));
    }
}
