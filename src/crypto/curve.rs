//! The P-256 part of a backend: key agreement and verification of signatures.

use rand_core::CryptoRng;

use super::{CryptoError, PublicKey, Secret, Signature, SignedBytes};

/// The P-256 part of a [`Crypto`](super::Crypto) backend: key pairs, key agreement and ECDSA.
///
/// [Core, "Public Key Cryptography"]. Every point that comes from a peer must be refused unless it
/// lies on the curve. Signing is not here: [`OperationalKey`](super::OperationalKey) signs.
///
/// An accelerator of the curve implements this trait and [`Spake2p`](super::Spake2p), and so does a
/// validated module (FIPS 140), which [`RustCrypto`](super::RustCrypto) is not. This backend uses
/// [`CompactRustCrypto`](super::CompactRustCrypto) for everything else:
///
#[cfg_attr(feature = "rustcrypto", doc = "```")]
#[cfg_attr(not(feature = "rustcrypto"), doc = "```ignore")]
/// use matter_session::crypto::*;
/// use matter_session::rand_core::CryptoRng;
///
/// # /// Stands for the driver of the accelerator.
/// # mod pka {
/// #     use matter_session::crypto::*;
/// #     const SW: CompactRustCrypto = CompactRustCrypto;
/// #     pub fn multiply(k: &[u8; 32], p: &[u8; 65]) -> Option<Secret<65>> {
/// #         SW.point_mul(&Secret::from(k), p).ok()
/// #     }
/// #     pub fn add(a: &[u8; 65], b: &[u8; 65]) -> Option<Secret<65>> { SW.point_add(a, b).ok() }
/// #     pub fn is_on_curve(p: &[u8; 65]) -> Result<bool, u8> {
/// #         Ok(multiply(&[1; 32], p).is_some())
/// #     }
/// #     pub fn verify(k: &[u8; 65], digest: &[u8; 32], rs: &[u8; 64]) -> Result<bool, u8> {
/// #         use p256::ecdsa::signature::hazmat::PrehashVerifier;
/// #         let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(k).map_err(|_| 1)?;
/// #         let signature = p256::ecdsa::Signature::from_slice(rs);
/// #         Ok(signature.and_then(|rs| key.verify_prehash(digest, &rs)).is_ok())
/// #     }
/// # }
/// #[derive(Clone, Copy, Debug, Default)]
/// struct HwCurve;
///
/// struct HwKeyPair {
///     private: Secret<32>,
///     public: PublicKey,
/// }
///
/// /// Points from the peer are checked before they reach the engine.
/// fn on_curve(point: &[u8; PUBLIC_KEY_LEN]) -> Result<&[u8; PUBLIC_KEY_LEN], CryptoError> {
///     match pka::is_on_curve(point) {
///         Ok(true) => Ok(point),
///         Ok(false) => Err(CryptoError::InvalidPoint),
///         Err(_) => Err(CryptoError::Backend),
///     }
/// }
///
/// impl KeyPair for HwKeyPair {
///     fn public(&self) -> PublicKey {
///         self.public
///     }
///
///     fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
///         let shared = HwCurve.point_mul(&self.private, peer.as_bytes())?;
///         shared.as_bytes()[1..33].try_into().map(Secret::new).map_err(|_| CryptoError::Backend)
///     }
/// }
///
/// impl Curve for HwCurve {
///     type Ephemeral = HwKeyPair;
///
///     fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<HwKeyPair, CryptoError> {
///         let private = self.random_scalar(rng)?;
///         let public = self.spake_l(&private)?;
///         Ok(HwKeyPair { private, public })
///     }
///
///     fn verify(&self, key: &PublicKey, signed: &dyn SignedBytes, signature: &Signature)
///     -> Result<(), CryptoError> {
///         let digest = signed.digest(CompactRustCrypto.sha256())?;
///         match pka::verify(on_curve(key.as_bytes())?, &digest, signature.as_bytes()) {
///             Ok(true) => Ok(()),
///             Ok(false) => Err(CryptoError::Unauthentic),
///             Err(_) => Err(CryptoError::Backend),
///         }
///     }
/// }
///
/// /// SPAKE2+ follows from two operations.
/// impl Spake2p for HwCurve {
///     fn point_mul(&self, scalar: &Secret<32>, point: &[u8; PUBLIC_KEY_LEN])
///     -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
///         pka::multiply(scalar.as_bytes(), on_curve(point)?).ok_or(CryptoError::InvalidScalar)
///     }
///
///     fn point_add(&self, a: &[u8; PUBLIC_KEY_LEN], b: &[u8; PUBLIC_KEY_LEN])
///     -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
///         pka::add(on_curve(a)?, on_curve(b)?).ok_or(CryptoError::InvalidPoint)
///     }
/// }
///
/// type Backend = Suite<CompactRustCrypto, CompactRustCrypto, HwCurve>;
///
/// check::run(&Backend::default())?;
/// # Ok::<(), check::CheckError>(())
/// ```
pub trait Curve {
    /// A P-256 key pair for one key agreement; wiped on drop.
    type Ephemeral: KeyPair;

    /// Draws a P-256 key pair.
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<Self::Ephemeral, CryptoError>;

    /// Verifies an ECDSA signature with SHA-256 over `signed`.
    ///
    /// An engine that takes digests gets that of [`digest`](trait@SignedBytes#method.digest).
    ///
    /// # Errors
    /// [`CryptoError::Unauthentic`] if the signature does not verify,
    /// [`CryptoError::InvalidPoint`] if `key` is not a point of the curve,
    /// [`CryptoError::Backend`].
    fn verify(
        &self,
        key: &PublicKey,
        signed: &dyn SignedBytes,
        signature: &Signature,
    ) -> Result<(), CryptoError>;
}

/// A P-256 key pair for one key agreement.
pub trait KeyPair {
    /// Returns the public key, which was computed with the pair.
    fn public(&self) -> PublicKey;

    /// Computes ECDH: the x coordinate of the common point.
    ///
    /// A pair is for one agreement. Drop it afterwards in the place where it is, which wipes it: a
    /// method that consumed it would leave a copy there.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if `peer` is not a point of the curve,
    /// [`CryptoError::Backend`].
    fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError>;
}
