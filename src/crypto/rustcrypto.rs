//! The default backend, on the RustCrypto crates.

#[cfg(feature = "std")]
mod multiples;
mod spake;

#[cfg(feature = "std")]
use alloc::sync::Arc;

use hmac::{KeyInit, Mac};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::elliptic_curve::Group;
use p256::elliptic_curve::group::ff::FromUniformBytes;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::{AffinePoint, NonZeroScalar, ProjectivePoint, Scalar, SecretKey};
use rand_core::CryptoRng;
use sha2::Digest;
use zeroize::Zeroizing;

#[cfg(feature = "std")]
use super::SpakeVerifier;
use super::ccm::batch;
use super::{
    Aead, AesCcm, AesCcmKey, Crypto, CryptoError, HASH_LEN, KEY_LEN, OpenJob, OperationalKey,
    PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, SealJob, Secret, Sha256, SignError, Signature,
    SpakeSecrets,
};

/// The longest output of HKDF in octets.
const MAX_HKDF_LEN: usize = 255 * HASH_LEN;

/// The default [`Crypto`] backend: pure Rust, constant time, AES and SHA instructions where the
/// processor has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

/// The same for nodes that are short of memory: a session keeps its two keys of 16 octets and
/// expands them for every message, where [`RustCrypto`] keeps two schedules of 176 octets (352 on
/// processors of 32 bits).
#[derive(Clone, Copy, Debug, Default)]
pub struct CompactRustCrypto;

/// What the backends differ in.
pub trait Suite {
    /// How a session keeps its keys.
    type Aead: SessionKey;
    /// Who makes key agreements.
    type Ephemeral: KeyPair;

    /// [`Crypto::verify`].
    fn verify(
        key: &PublicKey,
        digest: &[u8; HASH_LEN],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let key = p256::ecdsa::VerifyingKey::from(decode(key)?);
        p256::ecdsa::Signature::from_slice(signature.as_bytes())
            .and_then(|signature| key.verify_prehash(digest, &signature))
            .map_err(|_| CryptoError::Unauthentic)
    }
}

impl Suite for RustCrypto {
    type Aead = AesCcm;
    type Ephemeral = EphemeralKey;
}

impl Suite for CompactRustCrypto {
    type Aead = AesCcmKey;
    type Ephemeral = EphemeralKey;
}

/// A key of a session, ready for use or to be made so.
pub trait SessionKey: Aead + for<'k> From<&'k Secret<KEY_LEN>> {
    /// [`Crypto::seal_batch`].
    fn seal_batch(jobs: &mut [SealJob<'_, Self>]) {
        jobs.iter_mut().for_each(SealJob::run);
    }

    /// [`Crypto::open_batch`].
    fn open_batch(jobs: &mut [OpenJob<'_, Self>]) {
        jobs.iter_mut().for_each(OpenJob::run);
    }
}

impl SessionKey for AesCcm {
    fn seal_batch(jobs: &mut [SealJob<'_, Self>]) {
        batch::seal(jobs);
    }

    fn open_batch(jobs: &mut [OpenJob<'_, Self>]) {
        batch::open(jobs);
    }
}

impl SessionKey for AesCcmKey {}

/// A P-256 key pair for one key agreement.
pub trait KeyPair: Sized {
    /// [`Crypto::ephemeral`].
    fn draw(rng: &mut dyn CryptoRng) -> Result<Self, CryptoError>;

    /// [`Crypto::ephemeral_public`].
    fn public(&self) -> PublicKey;

    /// [`Crypto::ecdh`].
    fn agree(self, peer: &PublicKey) -> Result<Secret<32>, CryptoError>;
}

/// SHA-256; its state is wiped on drop.
#[derive(Clone, Debug, Default)]
pub struct Sha256State(sha2::Sha256);

impl Sha256 for Sha256State {
    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.0, data);
    }

    fn finish(self) -> [u8; HASH_LEN] {
        self.0.finalize().into()
    }
}

/// A P-256 key pair for one key agreement; wiped on drop.
#[derive(Debug)]
pub struct EphemeralKey {
    secret: SecretKey,
    public: PublicKey,
}

impl KeyPair for EphemeralKey {
    fn draw(rng: &mut dyn CryptoRng) -> Result<Self, CryptoError> {
        let secret = draw(rng)?;
        let public = encode(secret.public_key().as_affine())?;
        Ok(Self { secret, public })
    }

    fn public(&self) -> PublicKey {
        self.public
    }

    fn agree(self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        let shared = self.secret.diffie_hellman(&decode(peer)?);
        Ok(Secret::new((*shared.raw_secret_bytes()).into()))
    }
}

impl<S: Suite> Crypto for S {
    type Aead = S::Aead;
    type Sha256 = Sha256State;
    type Ephemeral = S::Ephemeral;

    fn aead(&self, key: &Secret<KEY_LEN>) -> S::Aead {
        key.into()
    }

    fn seal_batch(&self, jobs: &mut [SealJob<'_, S::Aead>]) {
        S::Aead::seal_batch(jobs);
    }

    fn open_batch(&self, jobs: &mut [OpenJob<'_, S::Aead>]) {
        S::Aead::open_batch(jobs);
    }

    fn sha256(&self) -> Sha256State {
        Sha256State::default()
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> [u8; HASH_LEN] {
        // An HMAC key of any length is taken; the error case of the trait does not occur.
        match <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(key) {
            Ok(mut mac) => {
                for part in parts {
                    mac.update(part);
                }
                mac.finalize().into_bytes().into()
            }
            Err(_) => [0; HASH_LEN],
        }
    }

    fn hkdf(
        &self,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        // RFC 5869 in terms of the HMAC above: the crate `hkdf` brings two kilobytes of its own.
        if out.len() > MAX_HKDF_LEN {
            return Err(CryptoError::TooLong);
        }
        let key = Secret::new(self.hmac(salt, &[secret]));
        let mut block = Secret::<HASH_LEN>::zero();
        for (number, part) in (1..=u8::MAX).zip(out.chunks_mut(HASH_LEN)) {
            let previous: &[u8] = if number == 1 { &[] } else { block.as_bytes() };
            block = Secret::new(self.hmac(key.as_bytes(), &[previous, info, &[number]]));
            for (to, from) in part.iter_mut().zip(block.as_bytes()) {
                *to = *from;
            }
        }
        Ok(())
    }

    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
        pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, iterations, out);
    }

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<S::Ephemeral, CryptoError> {
        S::Ephemeral::draw(rng)
    }

    fn ephemeral_public(&self, own: &S::Ephemeral) -> PublicKey {
        own.public()
    }

    fn ecdh(&self, own: S::Ephemeral, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        own.agree(peer)
    }

    fn verify(
        &self,
        key: &PublicKey,
        digest: &[u8; HASH_LEN],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        <S as Suite>::verify(key, digest, signature)
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        Ok(Secret::new(draw(rng)?.to_bytes().into()))
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        let mut padded = Zeroizing::new([0; 64]);
        let (_, low) = padded.split_at_mut(24);
        low.copy_from_slice(wide);
        let scalar = Zeroizing::new(Scalar::from_uniform_bytes(&padded));
        if bool::from(p256::elliptic_curve::ff::Field::is_zero(&*scalar)) {
            return Err(CryptoError::InvalidScalar);
        }
        Ok(Secret::new(scalar.to_bytes().into()))
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        let w1 = scalar(w1)?;
        encode(&ProjectivePoint::mul_by_generator(&w1).to_affine())
    }

    fn spake_prover_share(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
    ) -> Result<PublicKey, CryptoError> {
        spake::prover_share(x, w0)
    }

    fn spake_prover_finish(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
        w1: &Secret<32>,
        y_share: &PublicKey,
    ) -> Result<SpakeSecrets, CryptoError> {
        spake::prover_finish(x, w0, w1, y_share)
    }

    fn spake_verifier(
        &self,
        y: &Secret<32>,
        w0: &Secret<32>,
        l: &PublicKey,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
        spake::verifier(y, w0, l, x_share)
    }

    #[cfg(feature = "std")]
    fn spake_prepare(
        &self,
        w0: &Secret<32>,
        l: &PublicKey,
    ) -> Result<Option<Arc<dyn SpakeVerifier>>, CryptoError> {
        Ok(Some(Arc::new(spake::Prepared::new(w0, l)?)))
    }
}

/// A P-256 signing key in memory: an operational key, or the key of a certificate authority.
pub struct SigningKey {
    key: p256::ecdsa::SigningKey,
    public: PublicKey,
}

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
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

    /// Takes a stored key in: a 32-octet big-endian scalar.
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
        Ok(Self { key, public })
    }

    /// The key's stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<32> {
        Secret::new(self.key.to_bytes().into())
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }
}

impl OperationalKey for SigningKey {
    /// Deterministic (RFC 6979): needs no randomness.
    fn sign_digest(&mut self, digest: &[u8; HASH_LEN]) -> Result<Signature, SignError> {
        let signature: p256::ecdsa::Signature =
            self.key.sign_prehash(digest).map_err(|_| SignError)?;
        let bytes: [u8; SIGNATURE_LEN] = signature.to_bytes().into();
        Ok(Signature::new(bytes))
    }
}

/// Reads a point; refuses what is not on the curve (the identity has no uncompressed form).
fn decode(key: &PublicKey) -> Result<p256::PublicKey, CryptoError> {
    // Not by way of SEC1, which would bring the decompression of points.
    let [_, coordinates @ ..] = key.as_bytes();
    let ([x, y], []) = coordinates.as_chunks::<32>() else { return Err(CryptoError::InvalidPoint) };
    AffinePoint::from_coordinates(x.into(), y.into())
        .into_option()
        .and_then(|point| p256::PublicKey::from_affine(point).ok())
        .ok_or(CryptoError::InvalidPoint)
}

/// Writes a point; refuses the identity.
fn encode(point: &AffinePoint) -> Result<PublicKey, CryptoError> {
    // Not by way of SEC1, which can panic in its general form.
    if point.is_identity().into() {
        return Err(CryptoError::InvalidPoint);
    }
    let mut octets = Secret::<PUBLIC_KEY_LEN>::zero();
    let (x, y) = (Zeroizing::new(point.x()), Zeroizing::new(point.y()));
    let parts = [0x04].iter().chain(x.iter()).chain(y.iter());
    for (to, from) in octets.as_mut_bytes().iter_mut().zip(parts) {
        *to = *from;
    }
    Ok(PublicKey::checked(octets.as_bytes()))
}

/// Draws a private key: 32 octets, big-endian, and again if they are zero or not below the group
/// order. That happens once in 2^32 draws; a source that does it all the time is broken.
fn draw(rng: &mut dyn CryptoRng) -> Result<SecretKey, CryptoError> {
    const MAX_DRAWS: usize = 16;
    let mut octets = Secret::<32>::zero();
    for _ in 0..MAX_DRAWS {
        rng.fill_bytes(octets.as_mut_bytes());
        if let Ok(key) = SecretKey::from_slice(octets.as_bytes()) {
            return Ok(key);
        }
    }
    Err(CryptoError::Backend)
}

/// A scalar in `1..n`, wiped on drop.
fn scalar(bytes: &Secret<32>) -> Result<Zeroizing<Scalar>, CryptoError> {
    NonZeroScalar::from_repr((*bytes.as_bytes()).into())
        .into_option()
        .map(|scalar| Zeroizing::new(*scalar))
        .ok_or(CryptoError::InvalidScalar)
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    /// What holds secrets wipes them: the crates behind this backend promise it by their type.
    #[test]
    fn secrets_are_wiped_on_drop() {
        const fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<aes::Aes128Enc>();
        wiped::<sha2::Sha256>();
        wiped::<SecretKey>();
        wiped::<p256::ecdsa::SigningKey>();
        wiped::<Secret<PUBLIC_KEY_LEN>>();
        // HMAC promises nothing itself, but is made of two SHA-256 states and a buffer that do.
        assert!(core::mem::needs_drop::<hmac::Hmac<sha2::Sha256>>());
        assert!(core::mem::needs_drop::<AesCcm>());
        assert!(core::mem::needs_drop::<Sha256State>());
        assert!(core::mem::needs_drop::<EphemeralKey>());
        assert!(core::mem::needs_drop::<SigningKey>());
    }
}
