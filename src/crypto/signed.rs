//! What a signature is over.

use super::{CryptoError, HASH_LEN, HashSink, Sha256};
use crate::bytes::{Overflow, Sink};

/// The bytes that a signature is over.
///
/// Some are never in memory as a whole: the X.509 form of a certificate is made while it is hashed.
/// So they are written to a [`Sink`], as often as they are asked for. A slice and an array are
/// signed bytes, too.
pub trait SignedBytes {
    /// Writes all the bytes, in parts of any length.
    ///
    /// # Errors
    /// [`Overflow`] if `sink` is too small or there is nothing to write. The signature then does not
    /// verify.
    fn write(&self, sink: &mut dyn Sink) -> Result<(), Overflow>;
}

impl dyn SignedBytes + '_ {
    /// Returns the digest by a SHA-256 that has begun, for an accelerator that verifies signatures
    /// over digests.
    ///
    /// # Errors
    /// [`CryptoError::Unauthentic`] if there is nothing to write.
    // Not inlined: the hash leaves the stack before the curve is computed on.
    #[inline(never)]
    pub fn digest<H: Sha256>(&self, hash: H) -> Result<[u8; HASH_LEN], CryptoError> {
        let mut sink = HashSink::new(hash);
        self.write(&mut sink).map_err(|Overflow| CryptoError::Unauthentic)?;
        Ok(sink.finish())
    }
}

impl SignedBytes for &[u8] {
    fn write(&self, sink: &mut dyn Sink) -> Result<(), Overflow> {
        sink.put(self)
    }
}

impl<const N: usize> SignedBytes for [u8; N] {
    fn write(&self, sink: &mut dyn Sink) -> Result<(), Overflow> {
        sink.put(self)
    }
}
