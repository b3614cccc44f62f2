//! A backend composed of parts, and backends behind references.

#[cfg(feature = "std")]
use alloc::sync::Arc;

use rand_core::CryptoRng;

#[cfg(feature = "std")]
use super::SpakeVerifier;
use super::forward::{forward_cipher, forward_curve, forward_hashing, forward_spake2p};
use super::{
    Blind, Cipher, CryptoError, Curve, HASH_LEN, Hashing, KEY_LEN, MIC_LEN, OpenJob, OpenNonce,
    PUBLIC_KEY_LEN, PublicKey, SealJob, SealNonce, Secret, Signature, SignedBytes, Spake2p,
};

/// A [`Crypto`](super::Crypto) backend composed of four parts, from different types.
///
/// A parameter that is left out is the one before it: `Suite<HwAes, CompactRustCrypto>` takes the
/// AEAD from `HwAes` and all else from `CompactRustCrypto`;
/// `Suite<CompactRustCrypto, CompactRustCrypto, HwCurve>` takes P-256 and SPAKE2+ from `HwCurve`.
/// [`Cipher`] and [`Curve`] show these two. Parts of size zero make a suite of size zero.
///
/// A test falsifies one part of a backend:
///
#[cfg_attr(feature = "rustcrypto", doc = "```")]
#[cfg_attr(not(feature = "rustcrypto"), doc = "```ignore")]
/// use matter_session::crypto::*;
/// use matter_session::rand_core::CryptoRng;
///
/// /// Accepts every signature.
/// struct Gullible;
///
/// impl Curve for Gullible {
///     type Ephemeral = EphemeralKey;
///
///     fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<EphemeralKey, CryptoError> {
///         RustCrypto.ephemeral(rng)
///     }
///
///     fn verify(&self, _: &PublicKey, _: &dyn SignedBytes, _: &Signature)
///     -> Result<(), CryptoError> {
///         Ok(())
///     }
/// }
///
/// let backend = Suite::of(RustCrypto).with_curve(Gullible);
/// let failed = check::run(&backend).unwrap_err();
/// assert_eq!(failed.primitive, check::Primitive::Ecdsa);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Suite<A, H = A, P = H, S = P> {
    /// AES-128-CCM.
    pub cipher: A,
    /// SHA-256, HMAC, HKDF and PBKDF2.
    pub hashing: H,
    /// P-256.
    pub curve: P,
    /// SPAKE2+.
    pub spake2p: S,
}

impl<B: Clone> Suite<B> {
    /// Makes a suite with all parts from one backend, for the `with_` methods to replace some.
    pub fn of(backend: B) -> Self {
        Self {
            cipher: backend.clone(),
            hashing: backend.clone(),
            curve: backend.clone(),
            spake2p: backend,
        }
    }
}

impl<A, H, P, S> Suite<A, H, P, S> {
    /// Replaces the AEAD part.
    pub fn with_cipher<T>(self, cipher: T) -> Suite<T, H, P, S> {
        let Self { cipher: _, hashing, curve, spake2p } = self;
        Suite { cipher, hashing, curve, spake2p }
    }

    /// Replaces the hashing part.
    pub fn with_hashing<T>(self, hashing: T) -> Suite<A, T, P, S> {
        let Self { cipher, hashing: _, curve, spake2p } = self;
        Suite { cipher, hashing, curve, spake2p }
    }

    /// Replaces the P-256 part.
    pub fn with_curve<T>(self, curve: T) -> Suite<A, H, T, S> {
        let Self { cipher, hashing, curve: _, spake2p } = self;
        Suite { cipher, hashing, curve, spake2p }
    }

    /// Replaces the SPAKE2+ part.
    pub fn with_spake2p<T>(self, spake2p: T) -> Suite<A, H, P, T> {
        let Self { cipher, hashing, curve, spake2p: _ } = self;
        Suite { cipher, hashing, curve, spake2p }
    }
}

impl<A: Cipher, H, P, S> Cipher for Suite<A, H, P, S> {
    type Aead = A::Aead;
    forward_cipher!(self => self.cipher);
}

impl<A, H: Hashing, P, S> Hashing for Suite<A, H, P, S> {
    type Sha256 = H::Sha256;
    forward_hashing!(self => self.hashing);
}

impl<A, H, P: Curve, S> Curve for Suite<A, H, P, S> {
    type Ephemeral = P::Ephemeral;
    forward_curve!(self => self.curve);
}

impl<A, H, P, S: Spake2p> Spake2p for Suite<A, H, P, S> {
    forward_spake2p!(self => self.spake2p);
}

impl<T: Cipher + ?Sized> Cipher for &T {
    type Aead = T::Aead;
    forward_cipher!(self => **self);
}

impl<T: Hashing + ?Sized> Hashing for &T {
    type Sha256 = T::Sha256;
    forward_hashing!(self => **self);
}

impl<T: Curve + ?Sized> Curve for &T {
    type Ephemeral = T::Ephemeral;
    forward_curve!(self => **self);
}

impl<T: Spake2p + ?Sized> Spake2p for &T {
    forward_spake2p!(self => **self);
}
