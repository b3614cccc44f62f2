//! The AEAD part of a backend: AES-128-CCM.

use super::error::CryptoError;
use super::nonce::{MIC_LEN, OpenNonce, PrivacyNonce, SealNonce};

/// Maximum length in bytes of a text that [`Aead::open_by_trial`] opens in a copy: the MTU of IPv6.
pub const TRIAL_LEN: usize = 1280;

/// An AES-128-CCM key with its schedule: 13-byte nonces, 16-byte integrity codes, in place.
pub trait Aead {
    /// Encrypts `in_out` and returns the integrity code over it and `aad`.
    ///
    /// # Errors
    /// [`CryptoError::TooLong`] above 65,535 bytes or 65,279 of `aad`, [`CryptoError::Backend`].
    fn seal(
        &self,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError>;

    /// Checks the integrity code and decrypts `in_out`. On error its content is lost.
    ///
    /// # Errors
    /// [`CryptoError::Unauthentic`] if the code does not verify, [`CryptoError::TooLong`] as for
    /// [`seal`](Self::seal), [`CryptoError::Backend`].
    fn open(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError>;

    /// Opens like [`open`](Self::open), but on error `in_out` is unchanged: for messages whose key
    /// is found by trial.
    ///
    /// By default a copy on the stack is opened, of at most [`TRIAL_LEN`] bytes.
    ///
    /// # Errors
    /// As for [`open`](Self::open); [`CryptoError::TooLong`] above [`TRIAL_LEN`] bytes, unless the
    /// backend has a way of its own.
    fn open_by_trial(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        let mut copy = [0; TRIAL_LEN];
        let copy = copy.get_mut(..in_out.len()).ok_or(CryptoError::TooLong)?;
        copy.copy_from_slice(in_out);
        self.open(nonce, aad, copy, mic)?;
        in_out.copy_from_slice(copy);
        Ok(())
    }

    /// Obfuscates header fields in place, or makes them readable again: the key stream of CCM,
    /// without an integrity code. [Core, "Privacy Processing of Outgoing Messages"]
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    fn apply_privacy(&self, nonce: PrivacyNonce, in_out: &mut [u8]) -> Result<(), CryptoError> {
        self.seal(nonce.sealing(), &[], in_out).map(|_| ())
    }
}
