//! The key of Check-In messages.

use subtle::ConstantTimeEq;

use super::{
    Crypto, CryptoError, FreshCounter, KEY_LEN, MIC_LEN, NONCE_LEN, OpenNonce, SealNonce, Secret,
};

/// The key that an ICD and one client share for Check-In messages.
///
/// It encrypts them, and makes their nonces from their counters. [Core, "Check-In Message"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckInKey(Secret<KEY_LEN>);

impl CheckInKey {
    pub(crate) const fn new(key: Secret<KEY_LEN>) -> Self {
        Self(key)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        self.0.as_bytes()
    }

    pub(crate) fn is(&self, key: &Secret<KEY_LEN>) -> bool {
        self.0 == *key
    }

    /// Encrypts in place; returns the nonce and the integrity code.
    ///
    /// The text must follow from the counter, as it does in its only caller: `CheckIn` holds both,
    /// and changes neither. So whoever seals again under one counter seals the same text.
    pub(crate) fn seal<C: Crypto>(
        &self,
        crypto: &C,
        counter: &FreshCounter,
        text: &mut [u8],
    ) -> Result<([u8; NONCE_LEN], [u8; MIC_LEN]), CryptoError> {
        let nonce = self.nonce(crypto, counter.value().get())?;
        let mic = crypto.seal_once(&self.0, SealNonce::fixed(&nonce), &[], text)?;
        Ok((nonce, mic))
    }

    /// Verifies and decrypts in place. On error the content of `text` is lost.
    pub(crate) fn open<C: Crypto>(
        &self,
        crypto: &C,
        nonce: &[u8; NONCE_LEN],
        text: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        crypto.open_once(&self.0, OpenNonce::fixed(nonce), &[], text, mic)
    }

    /// Whether a message with this nonce has this counter.
    pub(crate) fn is_nonce_of<C: Crypto>(
        &self,
        crypto: &C,
        nonce: &[u8; NONCE_LEN],
        counter: u32,
    ) -> Result<bool, CryptoError> {
        Ok(self.nonce(crypto, counter)?.ct_eq(nonce).into())
    }

    /// Computes the first 13 bytes of HMAC-SHA256 over the counter.
    fn nonce<C: Crypto>(&self, crypto: &C, counter: u32) -> Result<[u8; NONCE_LEN], CryptoError> {
        let code = crypto.hmac(self.0.as_bytes(), &[&counter.to_le_bytes()])?;
        // A code of 32 bytes has 13.
        code.first_chunk().copied().ok_or(CryptoError::Backend)
    }
}
