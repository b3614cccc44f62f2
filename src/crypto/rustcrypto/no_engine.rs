//! There is nothing faster than `p256` on this processor, or nothing without the standard library.

use crate::crypto::{
    CryptoError, HASH_LEN, PUBLIC_KEY_LEN, PublicKey, Secret, SignError, Signature, SignedBytes,
};

/// Does not exist, so that an `Option` of it takes no memory and no code.
#[derive(Clone, Copy, Debug)]
pub(super) enum Engine {}

impl Engine {
    pub(super) const fn find() -> Option<Self> {
        None
    }

    pub(super) const fn generator_mul(self, _: &Secret<32>) -> Result<PublicKey, CryptoError> {
        match self {}
    }

    pub(super) const fn agree(
        self,
        _: &Secret<32>,
        _: &PublicKey,
    ) -> Result<Secret<32>, CryptoError> {
        match self {}
    }

    pub(super) const fn point_mul(
        self,
        _: &Secret<32>,
        _: &[u8; PUBLIC_KEY_LEN],
    ) -> Option<Result<Secret<PUBLIC_KEY_LEN>, CryptoError>> {
        match self {}
    }

    pub(super) const fn sign(
        self,
        _: &p256::ecdsa::SigningKey,
        _: &[u8; HASH_LEN],
    ) -> Result<p256::ecdsa::Signature, SignError> {
        match self {}
    }

    pub(super) const fn verify(
        self,
        _: &PublicKey,
        _: &dyn SignedBytes,
        _: &Signature,
    ) -> Option<Result<(), CryptoError>> {
        match self {}
    }
}
