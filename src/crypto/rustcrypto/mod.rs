//! The default backend, on the RustCrypto crates.

mod compact;
#[cfg(feature = "std")]
mod multiples;
mod point;
mod signing;
mod spake;

#[cfg(feature = "std")]
use alloc::sync::Arc;

use ::ccm::aead::AeadInOut;
use ::ccm::aead::inout::InOutBuf;
use ::ccm::consts::{U13, U16};
use ::hmac::{Hmac, KeyInit, Mac};
use aes::Aes128Enc;
use p256::SecretKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rand_core::CryptoRng;
use sha2::Digest;

pub use self::compact::CompactRustCrypto;
use self::point::{decode, draw, encode};
pub use self::signing::SigningKey;
#[cfg(feature = "std")]
use super::SpakeVerifier;
use super::ccm::{self, batch};
use super::{
    AesCcm, Blind, Cipher, CryptoError, Curve, HASH_LEN, Hashing, KEY_LEN, KeyPair, MIC_LEN,
    OpenJob, OpenNonce, PUBLIC_KEY_LEN, PublicKey, SealJob, SealNonce, Secret, Sha256, Signature,
    Spake2p,
};

/// The default [`Crypto`](super::Crypto) backend: pure Rust, constant time, AES and SHA
/// instructions where the processor has them.
///
/// [`AesCcm`] seals and opens messages of sessions. The crate `ccm` does so in handshakes and for
/// Check-In messages, which use a key once.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

/// AES-128-CCM of the crate `ccm`, in Matter's sizes.
type OneTimeCcm = ::ccm::Ccm<Aes128Enc, U16, U13>;

impl Cipher for RustCrypto {
    type Aead = AesCcm;

    fn aead(&self, key: &Secret<KEY_LEN>) -> AesCcm {
        key.into()
    }

    fn seal_once(
        &self,
        key: &Secret<KEY_LEN>,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        ccm::lengths(aad, in_out)?;
        OneTimeCcm::new(key.as_bytes().into())
            .encrypt_inout_detached(nonce.as_bytes().into(), aad, InOutBuf::from(in_out))
            .map(Into::into)
            .map_err(|_| CryptoError::TooLong)
    }

    fn open_once(
        &self,
        key: &Secret<KEY_LEN>,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        ccm::lengths(aad, in_out)?;
        let (nonce, in_out) = (nonce.as_bytes().into(), InOutBuf::from(in_out));
        OneTimeCcm::new(key.as_bytes().into())
            .decrypt_inout_detached(nonce, aad, in_out, mic.into())
            .map_err(|_| CryptoError::Unauthentic)
    }

    fn seal_batch(&self, jobs: &mut [SealJob<'_, AesCcm>]) {
        batch::seal(jobs);
    }

    fn open_batch(&self, jobs: &mut [OpenJob<'_, AesCcm>]) {
        batch::open(jobs);
    }
}

impl Hashing for RustCrypto {
    type Sha256 = Sha256State;

    fn sha256(&self) -> Sha256State {
        Sha256State::default()
    }

    // Inlined, so that its callers know that it does not fail: 650 bytes less of flash.
    #[inline(always)]
    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; HASH_LEN], CryptoError> {
        Ok(hmac(key, parts))
    }

    fn hkdf(
        &self,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        hkdf::Hkdf::<sha2::Sha256>::new(Some(salt), secret)
            .expand(info, out)
            .map_err(|_| CryptoError::TooLong)
    }

    fn pbkdf2(
        &self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, iterations, out);
        Ok(())
    }
}

#[inline(never)]
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; HASH_LEN] {
    match <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(key) {
        Ok(mut mac) => {
            for part in parts {
                mac.update(part);
            }
            mac.finalize().into_bytes().into()
        }
        // HMAC takes keys of any length: this does not occur.
        Err(_) => [0; HASH_LEN],
    }
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

impl Curve for RustCrypto {
    type Ephemeral = EphemeralKey;

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<EphemeralKey, CryptoError> {
        let secret = draw(rng)?;
        let public = encode(secret.public_key().as_affine())?;
        Ok(EphemeralKey { secret, public })
    }

    fn verify(
        &self,
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

/// A P-256 key pair for one key agreement; wiped on drop.
#[derive(Debug)]
pub struct EphemeralKey {
    secret: SecretKey,
    public: PublicKey,
}

impl KeyPair for EphemeralKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        let shared = self.secret.diffie_hellman(&decode(peer)?);
        Ok(Secret::new((*shared.raw_secret_bytes()).into()))
    }
}

impl Spake2p for RustCrypto {
    fn point_mul(
        &self,
        scalar: &Secret<32>,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        spake::point_mul(scalar, point)
    }

    fn point_add(
        &self,
        a: &[u8; PUBLIC_KEY_LEN],
        b: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        spake::point_add(a, b)
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        Ok(Secret::new(draw(rng)?.to_bytes().into()))
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        spake::reduce(wide)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        spake::registration(w1)
    }

    fn spake_blind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        spake::blind(w0, blind, point)
    }

    fn spake_unblind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        share: &PublicKey,
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        spake::unblind(w0, blind, share)
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

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    /// What holds secrets wipes them: the crates behind this backend promise it by their type.
    #[test]
    fn secrets_are_wiped_on_drop() {
        const fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<Aes128Enc>();
        wiped::<sha2::Sha256>();
        wiped::<SecretKey>();
        wiped::<p256::ecdsa::SigningKey>();
        wiped::<Secret<PUBLIC_KEY_LEN>>();
        // HMAC promises nothing itself, but is made of two SHA-256 states and a buffer that do.
        assert!(core::mem::needs_drop::<Hmac<sha2::Sha256>>());
        assert!(core::mem::needs_drop::<AesCcm>());
        assert!(core::mem::needs_drop::<Sha256State>());
        assert!(core::mem::needs_drop::<EphemeralKey>());
        assert!(core::mem::needs_drop::<SigningKey>());
    }
}
