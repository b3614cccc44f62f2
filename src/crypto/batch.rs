//! Messages that are sealed or opened together.

use super::aead::Aead;
use super::error::CryptoError;
use super::nonce::{MIC_LEN, OpenNonce, SealNonce};
use crate::bytes::debug_lengths;

/// One message of [`Cipher::seal_batch`](super::Cipher::seal_batch).
pub struct SealJob<'a, A> {
    pub(super) key: &'a A,
    pub(super) nonce: Option<SealNonce>,
    pub(super) aad: &'a [u8],
    pub(super) in_out: &'a mut [u8],
    pub(super) result: Result<[u8; MIC_LEN], CryptoError>,
}

debug_lengths!(SealJob[A]['_, A]: result; aad, in_out);

impl<'a, A: Aead> SealJob<'a, A> {
    /// Describes the sealing of `in_out` in place.
    pub const fn new(key: &'a A, nonce: SealNonce, aad: &'a [u8], in_out: &'a mut [u8]) -> Self {
        Self { key, nonce: Some(nonce), aad, in_out, result: Err(CryptoError::Backend) }
    }

    /// Nothing to be done: what fills an array of jobs.
    pub(crate) const fn vacant(key: &'a A) -> Self {
        Self { key, nonce: None, aad: &[], in_out: &mut [], result: Err(CryptoError::Backend) }
    }

    pub(crate) const fn key(&self) -> &'a A {
        self.key
    }

    /// Runs the job alone; a second call changes nothing.
    pub fn run(&mut self) {
        if let Some(nonce) = self.nonce.take() {
            self.result = self.key.seal(nonce, self.aad, self.in_out);
        }
    }

    /// Returns the integrity code.
    ///
    /// # Errors
    /// What sealing failed with; [`CryptoError::Backend`] if the job was never run.
    pub const fn result(&self) -> Result<[u8; MIC_LEN], CryptoError> {
        self.result
    }
}

/// One message of [`Cipher::open_batch`](super::Cipher::open_batch).
pub struct OpenJob<'a, A> {
    pub(super) key: &'a A,
    pub(super) nonce: Option<OpenNonce>,
    pub(super) aad: &'a [u8],
    pub(super) in_out: &'a mut [u8],
    pub(super) mic: &'a [u8; MIC_LEN],
    pub(super) result: Result<(), CryptoError>,
}

debug_lengths!(OpenJob[A]['_, A]: result; aad, in_out);

impl<'a, A: Aead> OpenJob<'a, A> {
    /// Describes the opening of `in_out` in place.
    pub const fn new(
        key: &'a A,
        nonce: OpenNonce,
        aad: &'a [u8],
        in_out: &'a mut [u8],
        mic: &'a [u8; MIC_LEN],
    ) -> Self {
        let result = Err(CryptoError::Backend);
        Self { key, nonce: Some(nonce), aad, in_out, mic, result }
    }

    /// Nothing to be done: what fills an array of jobs.
    pub(crate) const fn vacant(key: &'a A) -> Self {
        let result = Err(CryptoError::Backend);
        Self { key, nonce: None, aad: &[], in_out: &mut [], mic: &[0; MIC_LEN], result }
    }

    /// Runs the job alone; a second call changes nothing.
    pub fn run(&mut self) {
        if let Some(nonce) = self.nonce.take() {
            self.result = self.key.open(nonce, self.aad, self.in_out, self.mic);
        }
    }

    /// Returns an error if the message is not authentic.
    ///
    /// # Errors
    /// What opening failed with; [`CryptoError::Backend`] if the job was never run.
    pub const fn result(&self) -> Result<(), CryptoError> {
        self.result
    }
}
