//! Signing keys in memory.

use core::fmt;

use p256::ecdsa::signature::hazmat::PrehashSigner;
use rand_core::CryptoRng;

use super::engine::Engine;
use super::point::{draw, encode};
use crate::crypto::{
    CryptoError, HASH_LEN, OperationalKey, PublicKey, SIGNATURE_LEN, Secret, SignError, Signature,
};

/// A P-256 signing key in memory: an operational key, or the key of a certificate authority.
pub struct SigningKey {
    key: p256::ecdsa::SigningKey,
    public: PublicKey,
    engine: Option<Engine>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Draws a key.
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    pub fn generate(rng: &mut dyn CryptoRng) -> Result<Self, CryptoError> {
        Self::from_key(p256::ecdsa::SigningKey::from(draw(rng)?))
    }

    /// Reads a stored key: a 32-byte big-endian scalar.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`] for zero and for values not below the group order.
    pub fn from_bytes(bytes: &Secret<32>) -> Result<Self, CryptoError> {
        let key = p256::ecdsa::SigningKey::from_slice(bytes.as_bytes())
            .map_err(|_| CryptoError::InvalidScalar)?;
        Self::from_key(key)
    }

    fn from_key(key: p256::ecdsa::SigningKey) -> Result<Self, CryptoError> {
        let public = encode(key.verifying_key().as_affine())?;
        Ok(Self { key, public, engine: Engine::find() })
    }

    /// Returns the form in which the key is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<32> {
        Secret::new(self.key.to_bytes().into())
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }
}

impl OperationalKey for SigningKey {
    /// Deterministic (RFC 6979): needs no randomness.
    fn sign_digest(&mut self, digest: &[u8; HASH_LEN]) -> Result<Signature, SignError> {
        let signature: p256::ecdsa::Signature = match self.engine {
            Some(engine) => engine.sign(&self.key, digest)?,
            None => self.key.sign_prehash(digest).map_err(|_| SignError)?,
        };
        let bytes: [u8; SIGNATURE_LEN] = signature.to_bytes().into();
        Ok(Signature::new(bytes))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic")]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_the_same_with_an_engine_and_without() {
        let scalars = [[0x42; 32], [1; 32], {
            let mut one = [0; 32];
            one[31] = 1;
            one
        }];
        for scalar in scalars {
            let mut key = SigningKey::from_bytes(&Secret::new(scalar)).unwrap();
            for digest in (0..=255).map(|byte| [byte; HASH_LEN]) {
                key.engine = None;
                let portable = key.sign_digest(&digest).unwrap();
                key.engine = Engine::find();
                assert_eq!(key.sign_digest(&digest).unwrap(), portable);
            }
        }
    }
}
