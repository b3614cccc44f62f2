//! SPAKE2+ on P-256, near the cost of the multiplications that nothing saves.
//!
//! With `std`, the multiples of `M` and `N` come from `tables`; without, from plain
//! multiplications. (Pairs that share their doublings take 29 % fewer instructions on a Cortex-M4,
//! and 1.6 kB more of stack.) All are constant time: the scalars are secrets.

#[cfg(feature = "std")]
mod tables;

use p256::elliptic_curve::ff::Field;
use p256::elliptic_curve::group::ff::FromUniformBytes;
use p256::elliptic_curve::{BatchNormalize, Group};
use p256::{AffinePoint, ProjectivePoint, Scalar};
use zeroize::{Zeroize, Zeroizing};

#[cfg(feature = "std")]
pub(super) use self::tables::Prepared;
#[cfg(feature = "std")]
use super::multiples::Multiples;
use super::point::{decode, encode, scalar};
use crate::crypto::{CryptoError, PUBLIC_KEY_LEN, PublicKey, Secret, SpakeSecrets, spake2p};

/// What blinds a share.
#[derive(Clone, Copy)]
enum Blind {
    /// The prover's.
    M,
    /// The verifier's.
    N,
}

impl Blind {
    fn point(self) -> Result<ProjectivePoint, CryptoError> {
        let point = match self {
            Self::M => &spake2p::M,
            Self::N => &spake2p::N,
        };
        Ok(decode(point)?.to_projective())
    }
}

/// `w0*M` or `w0*N`.
#[cfg(feature = "std")]
fn blinding(w0: &Scalar, blind: Blind) -> Result<ProjectivePoint, CryptoError> {
    Ok(tables::of(blind)?.mul(w0))
}

/// `w0*M` or `w0*N`.
// Not inlined: what it decodes leaves the stack, and is there once.
#[cfg(not(feature = "std"))]
#[inline(never)]
fn blinding(w0: &Scalar, blind: Blind) -> Result<ProjectivePoint, CryptoError> {
    Ok(blind.point()? * w0)
}

pub(super) fn point_mul(
    by: &Secret<32>,
    point: &[u8; PUBLIC_KEY_LEN],
) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
    let by = scalar(by)?;
    let product = Zeroizing::new(read(point)? * *by);
    Ok(Secret::from(encode(&product.to_affine())?.as_bytes()))
}

pub(super) fn point_add(
    a: &[u8; PUBLIC_KEY_LEN],
    b: &[u8; PUBLIC_KEY_LEN],
) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
    let sum = Zeroizing::new(read(a)? + read(b)?);
    Ok(Secret::from(encode(&sum.to_affine())?.as_bytes()))
}

fn read(point: &[u8; PUBLIC_KEY_LEN]) -> Result<ProjectivePoint, CryptoError> {
    Ok(decode(&PublicKey::new(point)?)?.to_projective())
}

pub(super) fn reduce(wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
    let mut padded = Zeroizing::new([0; 64]);
    let (_, low) = padded.split_at_mut(24);
    low.copy_from_slice(wide);
    let scalar = Zeroizing::new(Scalar::from_uniform_bytes(&padded));
    if bool::from(scalar.is_zero()) {
        return Err(CryptoError::InvalidScalar);
    }
    Ok(Secret::new(scalar.to_bytes().into()))
}

pub(super) fn registration(w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
    let w1 = scalar(w1)?;
    encode(&ProjectivePoint::mul_by_generator(&w1).to_affine())
}

pub(super) fn prover_share(x: &Secret<32>, w0: &Secret<32>) -> Result<PublicKey, CryptoError> {
    let (x, w0) = (scalar(x)?, scalar(w0)?);
    let share = ProjectivePoint::mul_by_generator(&x) + blinding(&w0, Blind::M)?;
    encode(&share.to_affine())
}

pub(super) fn prover_finish(
    x: &Secret<32>,
    w0: &Secret<32>,
    w1: &Secret<32>,
    y_share: &PublicKey,
) -> Result<SpakeSecrets, CryptoError> {
    let (x, w0, w1) = (scalar(x)?, scalar(w0)?, scalar(w1)?);
    let y = decode(y_share)?.to_projective();
    let unblinded = Zeroizing::new(y - blinding(&w0, Blind::N)?);
    // Two multiples of one point: a small table of it, used twice, saves doublings.
    #[cfg(feature = "std")]
    let products = {
        let table = Multiples::<4>::new(*unblinded);
        [table.mul(&x), table.mul(&w1)]
    };
    #[cfg(not(feature = "std"))]
    let products = [*unblinded * *x, *unblinded * *w1];
    encode_all(products).map(|[z, v]| SpakeSecrets { z, v })
}

pub(super) fn verifier(
    y: &Secret<32>,
    w0: &Secret<32>,
    l: &PublicKey,
    x_share: &PublicKey,
) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
    let (y, w0) = (scalar(y)?, scalar(w0)?);
    let (x, l) = (decode(x_share)?.to_projective(), decode(l)?.to_projective());
    let unblinded = Zeroizing::new(x - blinding(&w0, Blind::M)?);
    let share = ProjectivePoint::mul_by_generator(&y) + blinding(&w0, Blind::N)?;
    verifier_outcome([share, *unblinded * *y, l * *y])
}

// Inlined: its result is large, and would be copied once more.
#[inline(always)]
fn verifier_outcome(
    points: [ProjectivePoint; 3],
) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
    let [share, z, v] = encode_all(points)?;
    Ok((PublicKey::checked(share.as_bytes()), SpakeSecrets { z, v }))
}

/// Normalises points with one inversion and wipes them; refuses the identity.
// Not inlined: its arrays leave the stack.
#[inline(never)]
fn encode_all<const N: usize>(
    mut points: [ProjectivePoint; N],
) -> Result<[Secret<PUBLIC_KEY_LEN>; N], CryptoError>
where
    ProjectivePoint: BatchNormalize<[ProjectivePoint; N], Output = [AffinePoint; N]>,
{
    let affine = if points.iter().any(|point| point.is_identity().into()) {
        Err(CryptoError::InvalidPoint)
    } else {
        Ok(ProjectivePoint::batch_normalize(&points))
    };
    points.zeroize();
    let mut affine = affine?;
    let mut encoded = [const { Secret::zero() }; N];
    for (secret, point) in encoded.iter_mut().zip(&affine) {
        *secret.as_mut_bytes() = *encode(point)?.as_bytes();
    }
    affine.zeroize();
    Ok(encoded)
}
