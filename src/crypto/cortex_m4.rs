//! A backend with P-256 in assembler for Cortex-M4, M7 and M33.

use p256::elliptic_curve::ff::{Field, PrimeField};
use p256::elliptic_curve::ops::{Invert, Reduce};
use p256::{FieldBytes, NonZeroScalar, Scalar};
use p256_cm4::{
    ecdh_calc_shared_secret, octet_string_to_point, scalarmult_base, scalarmult_generic,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::limbs::{Limbs, read, write};
use super::{
    AesCcmKey, Cipher, CompactRustCrypto, CryptoError, Curve, HASH_LEN, Hashing, KEY_LEN, KeyPair,
    PUBLIC_KEY_LEN, PublicKey, Secret, Sha256State, Signature, SignedBytes, Spake2p,
};

/// [`CompactRustCrypto`] with P-256 by the crate `p256-cm4`: a fraction of the time, 4 kB more of flash.
///
/// For processors with the instructions of Cortex-M4, M7 or M33 (with its DSP extension). The crate
/// is assembler in Rust source: it needs no C compiler. It takes the same time for each scalar, but
/// reads tables at places that depend on secrets: with a data cache (Cortex-M7), another task can
/// measure the difference. It does not wipe what it leaves on the stack.
///
/// Sums of points, which PASE needs, are computed by `p256`, and
/// [`SigningKey`](super::SigningKey) signs with `p256`, too.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexM4Crypto;

impl Cipher for CortexM4Crypto {
    type Aead = AesCcmKey;

    fn aead(&self, key: &Secret<KEY_LEN>) -> AesCcmKey {
        CompactRustCrypto.aead(key)
    }
}

impl Hashing for CortexM4Crypto {
    type Sha256 = Sha256State;

    fn sha256(&self) -> Sha256State {
        CompactRustCrypto.sha256()
    }

    #[inline(always)]
    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; HASH_LEN], CryptoError> {
        CompactRustCrypto.hmac(key, parts)
    }
}

impl Curve for CortexM4Crypto {
    type Ephemeral = CortexM4EphemeralKey;

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<CortexM4EphemeralKey, CryptoError> {
        let secret = self.random_scalar(rng)?;
        let public = self.spake_l(&secret)?;
        Ok(CortexM4EphemeralKey { secret, public })
    }

    fn verify(
        &self,
        key: &PublicKey,
        signed: &dyn SignedBytes,
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        // A key that is no point is refused as such, whatever the signature is.
        Point::decode(key.as_bytes())?;
        verified(self, key, &signed.digest(self.sha256())?, signature)
            .ok_or(CryptoError::Unauthentic)
    }
}

/// Verifies a signature, [SEC 1, section 4.1.4]. The crate's own function is not called: it contains
/// an instruction that is not defined on every processor (`docs/upstream.md`).
fn verified(
    backend: &CortexM4Crypto,
    key: &PublicKey,
    digest: &[u8; HASH_LEN],
    signature: &Signature,
) -> Option<()> {
    let ([r, s], []) = signature.as_bytes().as_chunks() else { return None };
    let [r, s] = [r, s].map(|part| NonZeroScalar::from_repr((*part).into()).into_option());
    let (r, inverse) = (r?, s?.invert_vartime());
    let of_key = Secret::new((*r * *inverse).to_repr().into());
    let sum = backend.point_mul(&of_key, key.as_bytes()).ok()?;
    let of_base = reduced(digest) * *inverse;
    let sum = if of_base.is_zero().into() {
        sum
    } else {
        let base = backend.spake_l(&Secret::new(of_base.to_repr().into())).ok()?;
        backend.point_add(sum.as_bytes(), base.as_bytes()).ok()?
    };
    let [_, coordinates @ ..] = sum.as_bytes();
    let x = coordinates.first_chunk::<32>()?;
    (reduced(x) == *r).then_some(())
}

/// An integer modulo the order of the group.
fn reduced(bytes: &[u8; 32]) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&(*bytes).into())
}

/// A P-256 key pair for one key agreement; wiped on drop.
#[derive(Debug)]
pub struct CortexM4EphemeralKey {
    secret: Secret<32>,
    public: PublicKey,
}

impl KeyPair for CortexM4EphemeralKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        let peer = Point::decode(peer.as_bytes())?;
        let secret = read(self.secret.as_bytes());
        let mut shared = Secret::zero();
        if ecdh_calc_shared_secret(shared.as_mut_bytes(), &secret, &peer.x, &peer.y) {
            Ok(shared)
        } else {
            Err(CryptoError::InvalidPoint)
        }
    }
}

impl Spake2p for CortexM4Crypto {
    fn point_mul(
        &self,
        scalar: &Secret<32>,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        let point = Point::decode(point)?;
        let mut product = Point::zero();
        let scalar = read(scalar.as_bytes());
        if scalarmult_generic(&mut product.x, &mut product.y, &scalar, &point.x, &point.y) {
            Ok(product.encode())
        } else {
            Err(CryptoError::InvalidScalar)
        }
    }

    fn point_add(
        &self,
        a: &[u8; PUBLIC_KEY_LEN],
        b: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        CompactRustCrypto.point_add(a, b)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        let mut product = Point::zero();
        if scalarmult_base(&mut product.x, &mut product.y, &read(w1.as_bytes())) {
            Ok(PublicKey::checked(product.encode().as_bytes()))
        } else {
            Err(CryptoError::InvalidScalar)
        }
    }
}

/// A point of the curve; wiped on drop.
struct Point {
    x: Zeroizing<Limbs>,
    y: Zeroizing<Limbs>,
}

impl Point {
    fn zero() -> Self {
        Self { x: Zeroizing::default(), y: Zeroizing::default() }
    }

    /// Refuses what is not on the curve.
    fn decode(bytes: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, CryptoError> {
        let mut point = Self::zero();
        let is_uncompressed = bytes.first() == Some(&0x04);
        if is_uncompressed && octet_string_to_point(&mut point.x, &mut point.y, bytes) {
            Ok(point)
        } else {
            Err(CryptoError::InvalidPoint)
        }
    }

    fn encode(&self) -> Secret<PUBLIC_KEY_LEN> {
        let mut bytes = Secret::<PUBLIC_KEY_LEN>::zero();
        let [form, coordinates @ ..] = bytes.as_mut_bytes();
        *form = 0x04;
        if let ([x, y], []) = coordinates.as_chunks_mut() {
            write(&self.x, x);
            write(&self.y, y);
        }
        bytes
    }
}
