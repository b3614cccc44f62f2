//! Public keys and signatures as bytes, and the key that a node signs with.

use core::fmt;

use thiserror::Error;
use zeroize::Zeroize;

use super::{CryptoError, HASH_LEN};

/// Length of an uncompressed P-256 point in bytes.
pub const PUBLIC_KEY_LEN: usize = 65;
/// Length of a raw `r || s` ECDSA signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// An uncompressed P-256 public key (SEC1: `04 || x || y`).
///
/// The leading byte is checked on construction. The backend checks that the point lies on the
/// curve, wherever the key is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_KEY_LEN]);

impl PublicKey {
    /// Makes a public key from an uncompressed point.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] unless `bytes` are 65 and begin with `04`.
    pub fn new(bytes: &[u8]) -> Result<Self, CryptoError> {
        match <&[u8; PUBLIC_KEY_LEN]>::try_from(bytes) {
            Ok(bytes) if bytes[0] == 0x04 => Ok(Self(*bytes)),
            _ => Err(CryptoError::InvalidPoint),
        }
    }

    /// Makes a point whose first byte has been checked.
    pub(crate) const fn checked(bytes: &[u8; PUBLIC_KEY_LEN]) -> Self {
        Self(*bytes)
    }

    /// Wipes a point that is secret in spite of its form.
    pub(super) fn wipe(&mut self) {
        self.0.zeroize();
    }

    /// Returns the 65 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, a, b, c, d, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

/// An ECDSA-SHA256 signature, raw `r || s`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_LEN]);

impl Signature {
    /// Makes a signature from `r || s`. Nothing is verified here.
    #[must_use]
    pub const fn new(bytes: [u8; SIGNATURE_LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// A signing key failed or declined to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the operational key did not sign")]
pub struct SignError;

/// A node's operational private key, in memory or behind a secure element.
pub trait OperationalKey {
    /// Signs a SHA-256 digest with ECDSA on P-256.
    ///
    /// # Errors
    /// [`SignError`] when the key is unavailable; the handshake that asked ends.
    fn sign_digest(&mut self, digest: &[u8; HASH_LEN]) -> Result<Signature, SignError>;
}
