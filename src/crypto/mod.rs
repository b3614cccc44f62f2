//! Cryptography: the [`Crypto`] backend trait and the types that keep its use safe.
//!
//! Matter has one suite (AES-128-CCM, SHA-256, P-256), so the backend is a static generic and
//! nothing is negotiated. `RustCrypto` is the default backend, `AwsLcCrypto` (feature `aws-lc-rs`)
//! one for controllers; a firmware with accelerators implements [`Crypto`] itself.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(feature = "rustcrypto")]
mod ccm;
mod check_in;
mod hash_sink;
mod nonce;
mod once;
mod passcode;
mod persisted;
#[cfg(feature = "rustcrypto")]
mod rustcrypto;
mod secret;
pub mod spake2p;

#[cfg(feature = "std")]
use alloc::sync::Arc;
use core::fmt;
#[cfg(feature = "std")]
use core::panic::{RefUnwindSafe, UnwindSafe};

use rand_core::CryptoRng;
use thiserror::Error;

#[cfg(feature = "aws-lc-rs")]
pub use self::aws_lc::{AwsLcCrypto, AwsLcEphemeralKey, AwsLcSigningKey};
#[cfg(feature = "rustcrypto")]
pub use self::ccm::{AesCcm, AesCcmKey};
pub(crate) use self::check_in::CheckInKey;
pub use self::hash_sink::HashSink;
pub(crate) use self::nonce::random_start;
pub use self::nonce::{
    CounterExhausted, FreshCounter, NONCE_LEN, OpenNonce, PrivacyNonce, SealNonce, TxCounter,
};
pub(crate) use self::once::OneTimeKey;
pub use self::passcode::{Passcode, PasscodeError, PbkdfError, PbkdfParameters, Verifier};
pub(crate) use self::persisted::low;
pub use self::persisted::{PersistedCounter, StoreFirst};
#[cfg(feature = "rustcrypto")]
pub use self::rustcrypto::{CompactRustCrypto, EphemeralKey, RustCrypto, Sha256State, SigningKey};
pub use self::secret::Secret;

/// Length of a symmetric key in octets.
pub const KEY_LEN: usize = 16;
/// Length of a message integrity code in octets.
pub const MIC_LEN: usize = 16;
/// The longest text in octets that [`Aead::open_by_trial`] opens in a copy: the MTU of IPv6.
pub const TRIAL_LEN: usize = 1280;
/// Length of a SHA-256 digest in octets.
pub const HASH_LEN: usize = 32;
/// Length of an uncompressed P-256 point in octets.
pub const PUBLIC_KEY_LEN: usize = 65;
/// Length of a raw `r || s` ECDSA signature in octets.
pub const SIGNATURE_LEN: usize = 64;

/// A cryptographic operation did not yield a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CryptoError {
    /// A message integrity code, signature or confirmation value does not verify.
    #[error("authentication failed")]
    Unauthentic,
    /// A public key is not a point of P-256, or an operation ended in the point at infinity.
    #[error("invalid elliptic curve point")]
    InvalidPoint,
    /// A private key or scalar is zero or not below the group order.
    #[error("invalid private key")]
    InvalidScalar,
    /// An input is longer than the primitive takes.
    #[error("input too long")]
    TooLong,
    /// The backend (an accelerator, say) failed.
    #[error("crypto backend failed")]
    Backend,
}

/// An uncompressed P-256 public key (SEC1: `04 || x || y`).
///
/// The leading octet is checked on construction; that the point lies on the curve is checked by
/// the backend wherever the key is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_KEY_LEN]);

impl PublicKey {
    /// Takes an uncompressed point in.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] unless `bytes` are 65 and begin with `04`.
    pub fn new(bytes: &[u8]) -> Result<Self, CryptoError> {
        match <&[u8; PUBLIC_KEY_LEN]>::try_from(bytes) {
            Ok(bytes) if bytes[0] == 0x04 => Ok(Self(*bytes)),
            _ => Err(CryptoError::InvalidPoint),
        }
    }

    /// A point whose first octet has been checked.
    pub(crate) const fn checked(bytes: &[u8; PUBLIC_KEY_LEN]) -> Self {
        Self(*bytes)
    }

    /// The 65 octets.
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
    /// Takes `r || s`; whether it verifies is the backend's to say.
    #[must_use]
    pub const fn new(bytes: [u8; SIGNATURE_LEN]) -> Self {
        Self(bytes)
    }

    /// The 64 octets.
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

/// An AES-128-CCM key with its schedule: 13-octet nonces, 16-octet integrity codes, in place.
pub trait Aead {
    /// Encrypts `in_out` and returns the integrity code over it and `aad`.
    ///
    /// # Errors
    /// [`CryptoError::TooLong`] above 65,535 octets or 65,279 of `aad`, [`CryptoError::Backend`].
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

    /// The same as [`open`](Self::open), but on error `in_out` is as it was: for messages whose key
    /// is found by trial.
    ///
    /// By default a copy on the stack is opened, of at most [`TRIAL_LEN`] octets.
    ///
    /// # Errors
    /// As for [`open`](Self::open); [`CryptoError::TooLong`] above [`TRIAL_LEN`] octets, unless the
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

    /// Obfuscates header fields in place, or makes them clear again: CCM's key stream, without an
    /// integrity code. [Core, "Privacy Processing of Outgoing Messages"]
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    fn apply_privacy(&self, nonce: PrivacyNonce, in_out: &mut [u8]) -> Result<(), CryptoError> {
        self.seal(nonce.sealing(), &[], in_out).map(|_| ())
    }
}

/// An incremental SHA-256, cloned to read the transcript so far.
pub trait Sha256: Clone {
    /// Appends to the hashed message.
    fn update(&mut self, data: &[u8]);

    /// The digest of all that was appended.
    fn finish(self) -> [u8; HASH_LEN];
}

/// The two secret points at the end of a SPAKE2+ exchange, uncompressed.
#[derive(Debug)]
pub struct SpakeSecrets {
    /// `Z = x * (Y - w0*N) = y * (X - w0*M)`.
    pub z: Secret<PUBLIC_KEY_LEN>,
    /// `V = w1 * (Y - w0*N) = y * L`.
    pub v: Secret<PUBLIC_KEY_LEN>,
}

/// A verifier of SPAKE2+ for which a backend has computed ahead what does not depend on the prover.
///
/// [`Crypto::spake_prepare`] makes it. It holds secrets, and wipes them on drop.
#[cfg(feature = "std")]
pub trait SpakeVerifier: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// What [`Crypto::spake_verifier`] computes, for the verifier that was prepared.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if the share is no point or a secret is the identity.
    fn respond(
        &self,
        y: &Secret<32>,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError>;
}

/// A crypto backend: the primitives of Matter's one cipher suite.
///
/// [Core, "Cryptographic Primitives"]. Methods take keys by reference and hold nothing between
/// calls. Every point that comes from a peer must be refused unless it lies on the curve and is
/// not the identity.
pub trait Crypto {
    /// A ready AES-128-CCM key; wiped on drop.
    type Aead: Aead;
    /// An incremental SHA-256.
    type Sha256: Sha256;
    /// A P-256 key pair for one key agreement; wiped on drop.
    type Ephemeral;

    /// Prepares an AES-128-CCM key.
    fn aead(&self, key: &Secret<KEY_LEN>) -> Self::Aead;

    /// Seals a batch of messages under many keys. Backends may interleave them.
    fn seal_batch(&self, jobs: &mut [SealJob<'_, Self::Aead>]) {
        for job in jobs {
            job.run();
        }
    }

    /// Opens a batch of messages under many keys. Backends may interleave them.
    fn open_batch(&self, jobs: &mut [OpenJob<'_, Self::Aead>]) {
        for job in jobs {
            job.run();
        }
    }

    /// A new SHA-256.
    fn sha256(&self) -> Self::Sha256;

    /// HMAC-SHA256 over the concatenation of `parts`.
    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> [u8; HASH_LEN];

    /// HKDF-SHA256, extract and expand.
    ///
    /// # Errors
    /// [`CryptoError::TooLong`] when `out` exceeds 255 blocks.
    fn hkdf(
        &self,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError>;

    /// PBKDF2-HMAC-SHA256.
    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]);

    /// Draws a P-256 key pair.
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<Self::Ephemeral, CryptoError>;

    /// The public half.
    fn ephemeral_public(&self, own: &Self::Ephemeral) -> PublicKey;

    /// ECDH: the x coordinate of the common point. Consumes the key: one use each.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if `peer` is not a point of the curve.
    fn ecdh(&self, own: Self::Ephemeral, peer: &PublicKey) -> Result<Secret<32>, CryptoError>;

    /// Verifies an ECDSA signature over a SHA-256 digest.
    ///
    /// # Errors
    /// [`CryptoError::Unauthentic`] or [`CryptoError::InvalidPoint`].
    fn verify(
        &self,
        key: &PublicKey,
        digest: &[u8; HASH_LEN],
        signature: &Signature,
    ) -> Result<(), CryptoError>;

    /// Draws a secret scalar in `1..n`.
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError>;

    /// SPAKE2+: a 40-octet big-endian integer modulo the group order.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`] when the result is zero.
    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError>;

    /// SPAKE2+ registration: `L = w1 * G`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`].
    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError>;

    /// SPAKE2+ prover, first step: the share `X = x*G + w0*M`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`], [`CryptoError::InvalidPoint`].
    fn spake_prover_share(&self, x: &Secret<32>, w0: &Secret<32>)
    -> Result<PublicKey, CryptoError>;

    /// SPAKE2+ prover, second step: the secrets from the verifier's share `Y`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if the share is no point or a secret is the identity.
    fn spake_prover_finish(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
        w1: &Secret<32>,
        y_share: &PublicKey,
    ) -> Result<SpakeSecrets, CryptoError>;

    /// SPAKE2+ verifier: the share `Y = y*G + w0*N` and the secrets, from the prover's share `X`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if a share or `l` is no point or a secret is the identity.
    fn spake_verifier(
        &self,
        y: &Secret<32>,
        w0: &Secret<32>,
        l: &PublicKey,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError>;

    /// SPAKE2+ verifier: computes what all handshakes with `w0` and `l` have in common, for
    /// [`Verifier::prepared`]. `None`, the default, if the backend computes nothing ahead.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if `l` is no point, [`CryptoError::InvalidScalar`].
    #[cfg(feature = "std")]
    fn spake_prepare(
        &self,
        w0: &Secret<32>,
        l: &PublicKey,
    ) -> Result<Option<Arc<dyn SpakeVerifier>>, CryptoError> {
        let _ = (w0, l);
        Ok(None)
    }
}

/// One message of [`Crypto::seal_batch`].
#[derive(Debug)]
pub struct SealJob<'a, A> {
    key: &'a A,
    nonce: Option<SealNonce>,
    aad: &'a [u8],
    in_out: &'a mut [u8],
    result: Result<[u8; MIC_LEN], CryptoError>,
}

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

    /// The integrity code.
    ///
    /// # Errors
    /// What sealing failed with; [`CryptoError::Backend`] if the job was never run.
    pub const fn result(&self) -> Result<[u8; MIC_LEN], CryptoError> {
        self.result
    }
}

/// One message of [`Crypto::open_batch`].
#[derive(Debug)]
pub struct OpenJob<'a, A> {
    key: &'a A,
    nonce: Option<OpenNonce>,
    aad: &'a [u8],
    in_out: &'a mut [u8],
    mic: &'a [u8; MIC_LEN],
    result: Result<(), CryptoError>,
}

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

    /// Whether the message is authentic.
    ///
    /// # Errors
    /// What opening failed with; [`CryptoError::Backend`] if the job was never run.
    pub const fn result(&self) -> Result<(), CryptoError> {
        self.result
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
