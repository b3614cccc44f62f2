//! 256-bit integers as eight limbs, the least significant first.

use zeroize::Zeroizing;

/// A 256-bit integer.
pub(super) type Limbs = [u32; 8];

/// Reads a big-endian integer.
pub(super) fn read(bytes: &[u8; 32]) -> Zeroizing<Limbs> {
    let mut value = Zeroizing::new(Limbs::default());
    for (limb, bytes) in value.iter_mut().rev().zip(bytes.as_chunks().0) {
        *limb = u32::from_be_bytes(*bytes);
    }
    value
}

/// Writes a big-endian integer.
pub(super) fn write(value: &Limbs, to: &mut [u8; 32]) {
    for (bytes, limb) in to.as_chunks_mut().0.iter_mut().zip(value.iter().rev()) {
        *bytes = limb.to_be_bytes();
    }
}
