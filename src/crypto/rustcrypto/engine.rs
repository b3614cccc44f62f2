//! P-256 by graviola, on processors of 64 bits: five to eight times as fast as `p256`.
//!
//! It computes multiples of the generator, agreements and verifications. A whole multiple of
//! another point is made of two agreements, which yield x coordinates.

use graviola::hashing::Sha256;
use graviola::key_agreement::p256::{self as graviola_p256, StaticPrivateKey};
use graviola::signing::ecdsa::{P256, VerifyingKey};
use p256::elliptic_curve::Curve;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::{AffineCoordinates, DecompressPoint};
use p256::{AffinePoint, FieldBytes, NistP256, ProjectivePoint, Scalar, U256};
use rfc6979::KGenerator;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::point;
use crate::bytes::Buffer;
use crate::crypto::{
    CryptoError, HASH_LEN, PUBLIC_KEY_LEN, PublicKey, Secret, SignError, Signature, SignedBytes,
};

/// The longest signed bytes that are verified here: more than any certificate or handshake has.
const MAX_SIGNED_LEN: usize = 2048;

/// Proof that the processor has all instructions of graviola, which panics without them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Engine(());

impl Engine {
    /// Asks the processor. The standard library remembers its answers.
    pub(super) fn find() -> Option<Self> {
        (graviola::util::is_cpu_supported() && has_bmi2()).then_some(Self(()))
    }

    /// Computes `scalar * G`.
    pub(super) fn generator_mul(self, scalar: &Secret<32>) -> Result<PublicKey, CryptoError> {
        Ok(PublicKey::checked(&private(scalar)?.public_key_uncompressed()))
    }

    /// Computes the x coordinate of `scalar * peer`.
    pub(super) fn agree(
        self,
        scalar: &Secret<32>,
        peer: &PublicKey,
    ) -> Result<Secret<32>, CryptoError> {
        agree(&private(scalar)?, &public(peer.as_bytes())?)
    }

    /// Computes `scalar * point`, in constant time. `None` for the scalar -1, which is no secret.
    pub(super) fn point_mul(
        self,
        scalar: &Secret<32>,
        by: &[u8; PUBLIC_KEY_LEN],
    ) -> Option<Result<Secret<PUBLIC_KEY_LEN>, CryptoError>> {
        let next = match point::scalar(scalar) {
            Ok(scalar) => Zeroizing::new(*scalar + Scalar::ONE),
            Err(error) => return Some(Err(error)),
        };
        let next = private(&Secret::new(next.to_bytes().into())).ok()?;
        Some(private(scalar).and_then(|scalar| product(&scalar, &next, by)))
    }

    /// Signs a digest: RFC 6979, as the crate `p256` does it, with the multiple of the generator
    /// computed here.
    pub(super) fn sign(
        self,
        key: &p256::ecdsa::SigningKey,
        digest: &[u8; HASH_LEN],
    ) -> Result<p256::ecdsa::Signature, SignError> {
        let private = key.as_nonzero_scalar();
        let (order, z) = (NistP256::ORDER, Scalar::reduce(&FieldBytes::from(*digest)));
        let key = Zeroizing::new(private.to_bytes());
        let mut nonces = KGenerator::<sha2::Sha256, U256>::new(&key, digest, &[], &order);
        let mut nonce = Secret::<32>::zero();
        nonces.fill_next_k(nonce.as_mut_bytes());
        let (k, share) = (point::scalar(&nonce), self.generator_mul(&nonce));
        let (k, share) = (k.map_err(|_| SignError)?, share.map_err(|_| SignError)?);
        let share = point::decode(&share).map_err(|_| SignError)?;
        let r = Scalar::reduce(&share.as_affine().x());
        let inverse = Zeroizing::new(k.invert().into_option().ok_or(SignError)?);
        let s = *inverse * (z + r * **private);
        // Refuses an r or s of zero, which does not happen by chance.
        p256::ecdsa::Signature::from_scalars(r, s).map_err(|_| SignError)
    }

    /// Verifies a signature. `None` if the signed bytes are too long for this.
    pub(super) fn verify(
        self,
        key: &PublicKey,
        signed: &dyn SignedBytes,
        signature: &Signature,
    ) -> Option<Result<(), CryptoError>> {
        let mut bytes = [0; MAX_SIGNED_LEN];
        let mut message = Buffer::new(&mut bytes);
        signed.write(&mut message).ok()?;
        let verdict = VerifyingKey::<P256>::from_x962_uncompressed(key.as_bytes())
            .map_err(|_| CryptoError::InvalidPoint)
            .and_then(|key| {
                key.verify::<Sha256>(&[&*message.into_written()], signature.as_bytes())
                    .map_err(|_| CryptoError::Unauthentic)
            });
        Some(verdict)
    }
}

fn private(scalar: &Secret<32>) -> Result<StaticPrivateKey, CryptoError> {
    StaticPrivateKey::from_bytes(scalar.as_bytes()).map_err(|_| CryptoError::InvalidScalar)
}

fn public(point: &[u8; PUBLIC_KEY_LEN]) -> Result<graviola_p256::PublicKey, CryptoError> {
    graviola_p256::PublicKey::from_x962_uncompressed(point).map_err(|_| CryptoError::InvalidPoint)
}

/// Computes `scalar * by`, with `next = scalar + 1`.
///
/// The x coordinate of the product leaves two points. One of them plus `by` has the x coordinate of
/// `next * by`.
fn product(
    scalar: &StaticPrivateKey,
    next: &StaticPrivateKey,
    by: &[u8; PUBLIC_KEY_LEN],
) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
    let base = public(by)?;
    let (x, next_x) = (agree(scalar, &base)?, agree(next, &base)?);
    let even = AffinePoint::decompress(x.as_bytes().into(), Choice::from(0)).into_option();
    let even = Zeroizing::new(even.ok_or(CryptoError::Backend)?);
    let odd = Zeroizing::new(-*even);
    let by = point::decode(&PublicKey::checked(by))?.to_projective();
    let sum = Zeroizing::new((ProjectivePoint::from(*even) + by).to_affine());
    let is_even = Zeroizing::new(sum.x()).as_slice().ct_eq(next_x.as_bytes());
    let product = Zeroizing::new(AffinePoint::conditional_select(&odd, &even, is_even));
    Ok(Secret::from(point::encode(&product)?.as_bytes()))
}

fn agree(
    own: &StaticPrivateKey,
    peer: &graviola_p256::PublicKey,
) -> Result<Secret<32>, CryptoError> {
    let shared = own.diffie_hellman(peer).map_err(|_| CryptoError::Backend)?;
    Ok(Secret::from(&shared.0))
}

/// The multiplications need it, and graviola asks for ADX alone, which no processor has without it.
/// A virtual machine can hide it.
#[cfg(target_arch = "x86_64")]
fn has_bmi2() -> bool {
    std::arch::is_x86_feature_detected!("bmi2")
}

#[cfg(not(target_arch = "x86_64"))]
const fn has_bmi2() -> bool {
    true
}
