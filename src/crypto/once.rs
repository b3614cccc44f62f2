//! Keys that are used once.

use super::{Crypto, CryptoError, MIC_LEN, NONCE_LEN, OpenNonce, SealNonce, Secret};

/// A key that seals or opens one message under a fixed nonce and is gone.
///
/// Each key of a handshake comes from something that its sealer has drawn for this handshake: an
/// ephemeral key (S2K, S3K), the initiator's random (S1RK), the new resumption id (S2RK). So a key
/// seals one message, and consuming it makes its fixed nonce sound.
#[derive(Debug)]
pub(crate) struct OneTimeKey(Secret<16>);

impl OneTimeKey {
    /// Derives the key with HKDF.
    pub(crate) fn derive<C: Crypto>(
        crypto: &C,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
    ) -> Result<Self, CryptoError> {
        let mut key = Secret::zero();
        crypto.hkdf(secret, salt, info, key.as_mut_bytes())?;
        Ok(Self(key))
    }

    /// Takes a key from the log of keys.
    #[cfg(feature = "describe")]
    pub(crate) const fn of(key: Secret<16>) -> Self {
        Self(key)
    }

    /// Returns the key, for the log of keys.
    #[cfg(feature = "keylog")]
    pub(crate) fn disclose(&self) -> Secret<16> {
        self.0.clone()
    }

    /// Encrypts in place, no associated data.
    pub(crate) fn seal<C: Crypto>(
        self,
        crypto: &C,
        nonce: &[u8; NONCE_LEN],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        crypto.seal_once(&self.0, SealNonce::fixed(nonce), &[], in_out)
    }

    /// Verifies and decrypts in place, no associated data.
    pub(crate) fn open<C: Crypto>(
        self,
        crypto: &C,
        nonce: &[u8; NONCE_LEN],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        crypto.open_once(&self.0, OpenNonce::fixed(nonce), &[], in_out, mic)
    }
}
