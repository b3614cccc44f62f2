//! The default backend for nodes with little memory.

#[cfg(feature = "std")]
use alloc::sync::Arc;

use rand_core::CryptoRng;

use super::{EphemeralKey, P256, RustCrypto, Sha256State};
#[cfg(feature = "std")]
use crate::crypto::SpakeVerifier;
use crate::crypto::forward::{forward_curve, forward_spake2p};
use crate::crypto::{
    AesCcmKey, Blind, Cipher, CryptoError, Curve, HASH_LEN, Hashing, KEY_LEN, PUBLIC_KEY_LEN,
    PublicKey, Secret, Signature, SignedBytes, Spake2p,
};

/// [`RustCrypto`] for nodes with little memory.
///
/// A session keeps its two keys of 16 bytes and expands them for every message, where `RustCrypto`
/// keeps two schedules of 176 bytes (352 on processors of 32 bits). Handshakes and Check-In
/// messages use the same AES-CCM as sessions, and HKDF is the short form of [`Hashing::hkdf`]: a
/// firmware has each algorithm once. P-256 is always computed by the crate `p256`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompactRustCrypto;

impl Cipher for CompactRustCrypto {
    type Aead = AesCcmKey;

    fn aead(&self, key: &Secret<KEY_LEN>) -> AesCcmKey {
        key.into()
    }
}

impl Hashing for CompactRustCrypto {
    type Sha256 = Sha256State;

    fn sha256(&self) -> Sha256State {
        RustCrypto.sha256()
    }

    #[inline(always)]
    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; HASH_LEN], CryptoError> {
        RustCrypto.hmac(key, parts)
    }
}

/// Always portable: an engine brings tables of its own.
impl Curve for CompactRustCrypto {
    type Ephemeral = EphemeralKey;
    forward_curve!(self => P256(None));
}

impl Spake2p for CompactRustCrypto {
    forward_spake2p!(self => P256(None));
}
