//! Points and scalars as bytes.

use p256::elliptic_curve::point::AffineCoordinates;
use p256::{AffinePoint, NonZeroScalar, Scalar, SecretKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::{CryptoError, PUBLIC_KEY_LEN, PublicKey, Secret};

/// Reads a point, and refuses what is not on the curve. The identity has no uncompressed form.
pub(super) fn decode(key: &PublicKey) -> Result<p256::PublicKey, CryptoError> {
    // Not by way of SEC1, which would bring the decompression of points.
    let [_, coordinates @ ..] = key.as_bytes();
    let ([x, y], []) = coordinates.as_chunks::<32>() else { return Err(CryptoError::InvalidPoint) };
    AffinePoint::from_coordinates(x.into(), y.into())
        .into_option()
        .and_then(|point| p256::PublicKey::from_affine(point).ok())
        .ok_or(CryptoError::InvalidPoint)
}

/// Writes a point, and refuses the identity.
pub(super) fn encode(point: &AffinePoint) -> Result<PublicKey, CryptoError> {
    // Not by way of SEC1, which can panic in its general form.
    if point.is_identity().into() {
        return Err(CryptoError::InvalidPoint);
    }
    let mut bytes = Secret::<PUBLIC_KEY_LEN>::zero();
    let (x, y) = (Zeroizing::new(point.x()), Zeroizing::new(point.y()));
    let parts = [0x04].iter().chain(x.iter()).chain(y.iter());
    for (to, from) in bytes.as_mut_bytes().iter_mut().zip(parts) {
        *to = *from;
    }
    Ok(PublicKey::checked(bytes.as_bytes()))
}

/// Draws a private key: 32 bytes, big-endian, and again if they are zero or not below the group
/// order. That happens once in 2^32 draws; a source that does it all the time is broken.
pub(super) fn draw(rng: &mut dyn CryptoRng) -> Result<SecretKey, CryptoError> {
    const MAX_DRAWS: usize = 16;
    let mut bytes = Secret::<32>::zero();
    for _ in 0..MAX_DRAWS {
        rng.fill_bytes(bytes.as_mut_bytes());
        if let Ok(key) = SecretKey::from_slice(bytes.as_bytes()) {
            return Ok(key);
        }
    }
    Err(CryptoError::Backend)
}

/// Returns a scalar in `1..n`, wiped on drop.
pub(super) fn scalar(bytes: &Secret<32>) -> Result<Zeroizing<Scalar>, CryptoError> {
    NonZeroScalar::from_repr((*bytes.as_bytes()).into())
        .into_option()
        .map(|scalar| Zeroizing::new(*scalar))
        .ok_or(CryptoError::InvalidScalar)
}
