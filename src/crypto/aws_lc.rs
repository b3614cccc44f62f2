//! A backend in which AWS-LC computes the operations on the curve, for nodes with many handshakes.

use alloc::sync::Arc;

use aws_lc_rs::agreement::{self, ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
};
use rand_core::CryptoRng;

use super::forward::{forward_cipher, forward_hashing, forward_spake2p};
use super::{
    AesCcm, Blind, Cipher, CryptoError, Curve, HASH_LEN, Hashing, KEY_LEN, KeyPair, MIC_LEN,
    OpenJob, OpenNonce, OperationalKey, PUBLIC_KEY_LEN, PublicKey, RustCrypto, SealJob, SealNonce,
    Secret, Sha256State, SignError, Signature, Spake2p, SpakeVerifier,
};

/// A [`Crypto`](super::Crypto) backend with P-256 agreements and signatures by AWS-LC.
///
/// The other parts, with SPAKE2+ and AES-CCM, are those of [`RustCrypto`].
///
/// It makes CASE faster, and does not change PASE or messages. AWS-LC is written in C and
/// assembler: building it needs a C compiler. Nodes with different backends can connect to each
/// other, and both backends refuse the same inputs.
///
/// Key pairs are drawn from the caller's randomness. Only signatures of an [`AwsLcSigningKey`] use
/// randomness of AWS-LC.
///
/// ```
/// use matter_session::{AwsLcCrypto, Config, Heap, SessionManager};
///
/// let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
/// let node = SessionManager::<_, Heap>::new(Config::default(), AwsLcCrypto, &mut rng);
/// # let _: matter_session::manager::SessionManager<AwsLcCrypto, Heap> = node;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLcCrypto;

/// A P-256 key pair of AWS-LC for one key agreement; wiped on drop, as AWS-LC wipes all memory that
/// it frees.
#[derive(Debug)]
pub struct AwsLcEphemeralKey {
    key: PrivateKey,
    public: PublicKey,
}

impl Cipher for AwsLcCrypto {
    type Aead = AesCcm;
    forward_cipher!(self => RustCrypto);
}

impl Hashing for AwsLcCrypto {
    type Sha256 = Sha256State;
    forward_hashing!(self => RustCrypto);
}

impl Spake2p for AwsLcCrypto {
    forward_spake2p!(self => RustCrypto);
}

impl Curve for AwsLcCrypto {
    type Ephemeral = AwsLcEphemeralKey;

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<AwsLcEphemeralKey, CryptoError> {
        // From the caller's source: AWS-LC would take its own.
        let (key, public) = from_scalar(&RustCrypto.random_scalar(rng)?)?;
        Ok(AwsLcEphemeralKey { key, public })
    }

    fn verify(
        &self,
        key: &PublicKey,
        digest: &[u8; HASH_LEN],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let key = signature::ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.as_bytes())
            .map_err(|_| CryptoError::InvalidPoint)?;
        import(digest)
            .and_then(|digest| key.verify_digest_sig(&digest, signature.as_bytes()).ok())
            .ok_or(CryptoError::Unauthentic)
    }
}

impl KeyPair for AwsLcEphemeralKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        // Refuses what is not on the curve. It would take compressed points, but those are no
        // `PublicKey`.
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer.as_bytes());
        let peer = ParsedPublicKey::try_from(peer).map_err(|_| CryptoError::InvalidPoint)?;
        agreement::agree(&self.key, peer, CryptoError::Backend, copy)
    }
}

/// A P-256 signing key that AWS-LC signs with: an operational key, or the key of a certificate
/// authority.
///
/// Its signatures differ each time, unlike those of [`SigningKey`](super::SigningKey): AWS-LC draws
/// their nonces from its own generator, which the operating system seeds. The key is wiped on drop.
#[derive(Debug)]
pub struct AwsLcSigningKey {
    key: EcdsaKeyPair,
    public: PublicKey,
}

impl AwsLcSigningKey {
    /// Draws a key.
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    pub fn generate(rng: &mut dyn CryptoRng) -> Result<Self, CryptoError> {
        Self::from_bytes(&RustCrypto.random_scalar(rng)?)
    }

    /// Reads a stored key: a 32-byte big-endian scalar, the form of
    /// [`SigningKey::to_bytes`](super::SigningKey::to_bytes).
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`] for zero and for values not below the group order.
    pub fn from_bytes(bytes: &Secret<32>) -> Result<Self, CryptoError> {
        let (_, public) = from_scalar(bytes)?;
        let key = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            bytes.as_bytes(),
            public.as_bytes(),
        )
        .map_err(|_| CryptoError::InvalidScalar)?;
        Ok(Self { key, public })
    }

    /// Returns the form in which the key is stored.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] if AWS-LC cannot allocate memory.
    pub fn to_bytes(&self) -> Result<Secret<32>, CryptoError> {
        let octets = self.key.private_key().as_be_bytes().map_err(|_| CryptoError::Backend)?;
        copy(octets.as_ref())
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }
}

impl OperationalKey for AwsLcSigningKey {
    /// Not deterministic: AWS-LC draws a nonce.
    fn sign_digest(&mut self, digest: &[u8; HASH_LEN]) -> Result<Signature, SignError> {
        import(digest)
            .and_then(|digest| self.key.sign_digest(&digest).ok())
            .and_then(|signature| signature.as_ref().try_into().ok())
            .map(Signature::new)
            .ok_or(SignError)
    }
}

/// A private key of AWS-LC and its public half.
fn from_scalar(scalar: &Secret<32>) -> Result<(PrivateKey, PublicKey), CryptoError> {
    let key = PrivateKey::from_private_key(&ECDH_P256, scalar.as_bytes())
        .map_err(|_| CryptoError::InvalidScalar)?;
    let public = key.compute_public_key().map_err(|_| CryptoError::Backend)?;
    let public = PublicKey::new(public.as_ref())?;
    Ok((key, public))
}

/// A secret that AWS-LC has lent.
fn copy(lent: &[u8]) -> Result<Secret<32>, CryptoError> {
    <&[u8; 32]>::try_from(lent).map(Secret::from).map_err(|_| CryptoError::Backend)
}

/// A digest as AWS-LC takes it; there is always one.
fn import(digest: &[u8; HASH_LEN]) -> Option<Digest> {
    Digest::import_less_safe(digest, &SHA256).ok()
}
