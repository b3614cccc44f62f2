//! The default backend, on the RustCrypto crates.

mod compact;
mod curve;
#[cfg_attr(
    not(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64"))),
    path = "no_engine.rs"
)]
mod engine;
mod hash;
#[cfg(feature = "std")]
mod multiples;
mod pbkdf2;
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
use rand_core::CryptoRng;

pub use self::compact::CompactRustCrypto;
pub use self::curve::EphemeralKey;
use self::curve::P256;
use self::engine::Engine;
pub use self::hash::Sha256State;
pub use self::signing::SigningKey;
#[cfg(feature = "std")]
use super::SpakeVerifier;
use super::ccm::{self, batch};
use super::forward::{forward_curve, forward_spake2p};
use super::{
    AesCcm, Blind, Cipher, CryptoError, Curve, HASH_LEN, Hashing, KEY_LEN, MIC_LEN, OpenJob,
    OpenNonce, PUBLIC_KEY_LEN, PublicKey, SealJob, SealNonce, Secret, Signature, SignedBytes,
    Spake2p,
};

/// The default [`Crypto`](super::Crypto) backend: constant time, without a C compiler, AES and SHA
/// instructions where the processor has them.
///
/// With `std` on x86_64 and aarch64, P-256 is computed by the crate `graviola`, if the processor has
/// what that needs: on x86_64 AES, CLMUL, AVX2, BMI1, BMI2 and ADX (since about 2015), on aarch64
/// AES, PMULL and SHA-2. The processor is asked at run time. All others compute with the crate `p256`.
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

    fn pbkdf2_rounds(
        &self,
        password: &[u8],
        rounds: u32,
        last: &mut Secret<HASH_LEN>,
        sum: &mut Secret<HASH_LEN>,
    ) -> Result<(), CryptoError> {
        pbkdf2::rounds(password, rounds, last, sum);
        Ok(())
    }

    fn pbkdf2(
        &self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, iterations, out);
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

impl Curve for RustCrypto {
    type Ephemeral = EphemeralKey;
    forward_curve!(self => P256(Engine::find()));
}

impl Spake2p for RustCrypto {
    forward_spake2p!(self => P256(Engine::find()));
}

#[cfg(test)]
mod tests {
    use p256::SecretKey;
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
