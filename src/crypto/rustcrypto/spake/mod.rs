//! SPAKE2+ on P-256, near the cost of the multiplications that nothing saves.
//!
//! With `std`, the multiples of `M` and `N` come from `tables`; without, from plain
//! multiplications. All are constant time: the scalars are secrets. Each function multiplies once.

#[cfg(feature = "std")]
mod tables;

use p256::elliptic_curve::Group;
use p256::elliptic_curve::ff::Field;
use p256::elliptic_curve::group::ff::FromUniformBytes;
use p256::{ProjectivePoint, Scalar};
use zeroize::Zeroizing;

#[cfg(feature = "std")]
pub(super) use self::tables::Prepared;
use super::engine::Engine;
use super::point::{decode, encode, scalar};
use crate::crypto::{Blind, CryptoError, PUBLIC_KEY_LEN, PublicKey, Secret};

fn decoded(blind: Blind) -> Result<ProjectivePoint, CryptoError> {
    Ok(decode(blind.point())?.to_projective())
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
    Ok(decoded(blind)? * w0)
}

pub(super) fn point_mul(
    engine: Option<Engine>,
    by: &Secret<32>,
    point: &[u8; PUBLIC_KEY_LEN],
) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
    if let Some(product) = engine.and_then(|engine| engine.point_mul(by, point)) {
        return product;
    }
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

pub(super) fn registration(
    engine: Option<Engine>,
    w1: &Secret<32>,
) -> Result<PublicKey, CryptoError> {
    if let Some(engine) = engine {
        return engine.generator_mul(w1);
    }
    let w1 = scalar(w1)?;
    encode(&ProjectivePoint::mul_by_generator(&w1).to_affine())
}

pub(super) fn blind(
    w0: &Secret<32>,
    by: Blind,
    point: &[u8; PUBLIC_KEY_LEN],
) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
    let w0 = scalar(w0)?;
    // First: what is off the curve costs no multiplication.
    let point = Zeroizing::new(read(point)?);
    let blinded = Zeroizing::new(*point + blinding(&w0, by)?);
    Ok(Secret::from(encode(&blinded.to_affine())?.as_bytes()))
}

pub(super) fn unblind(
    w0: &Secret<32>,
    by: Blind,
    share: &PublicKey,
) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
    let w0 = scalar(w0)?;
    let share = decode(share)?.to_projective();
    let unblinded = Zeroizing::new(share - blinding(&w0, by)?);
    Ok(Secret::from(encode(&unblinded.to_affine())?.as_bytes()))
}
