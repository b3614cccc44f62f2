//! Arithmetic that a backend without scalars of its own needs: 256-bit integers, in constant time.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::limbs::{Limbs, read, write};
use crate::crypto::{CryptoError, PUBLIC_KEY_LEN, PublicKey, Secret};

/// The order of the group.
const ORDER: Limbs = [
    0xfc63_2551,
    0xf3b9_cac2,
    0xa717_9e84,
    0xbce6_faad,
    0xffff_ffff,
    0xffff_ffff,
    0x0000_0000,
    0xffff_ffff,
];
/// The prime of the field.
const PRIME: Limbs = [
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0x0000_0000,
    0x0000_0000,
    0x0000_0000,
    0x0000_0001,
    0xffff_ffff,
];

/// Draws 32 bytes, and again unless they are a scalar in `1..n`. That happens once in 2^32 draws:
/// a source that does it all the time is broken.
pub(super) fn draw(rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
    const MAX_DRAWS: usize = 16;
    let mut drawn = Secret::<32>::zero();
    for _ in 0..MAX_DRAWS {
        rng.fill_bytes(drawn.as_mut_bytes());
        let value = read(drawn.as_bytes());
        let (_, is_below) = subtract(&value, &ORDER);
        if is_below == 1 && !is_zero(&value) {
            return Ok(drawn);
        }
    }
    Err(CryptoError::Backend)
}

/// Reduces a big-endian integer modulo the order, bit by bit.
pub(super) fn reduce(wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
    let mut rest = Zeroizing::new(Limbs::default());
    for bit in wide.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1)) {
        let mut carry = u32::from(bit);
        for limb in rest.iter_mut() {
            (*limb, carry) = (*limb << 1 | carry, *limb >> 31);
        }
        let (reduced, borrow) = subtract(&rest, &ORDER);
        // All ones if the order was not too much.
        let mask = (carry | (borrow ^ 1)).wrapping_neg();
        for (limb, reduced) in rest.iter_mut().zip(reduced.iter()) {
            *limb = *limb & !mask | reduced & mask;
        }
    }
    if is_zero(&rest) {
        return Err(CryptoError::InvalidScalar);
    }
    let mut reduced = Secret::zero();
    write(&rest, reduced.as_mut_bytes());
    Ok(reduced)
}

/// Negates a point that is not the identity.
pub(super) fn negate(point: &PublicKey) -> PublicKey {
    let mut negated: [u8; PUBLIC_KEY_LEN] = *point.as_bytes();
    if let Some(y) = negated.last_chunk_mut::<32>() {
        write(&subtract(&PRIME, &read(y)).0, y);
    }
    PublicKey::checked(&negated)
}

/// Returns `a - b` and the borrow, 0 or 1.
fn subtract(a: &Limbs, b: &Limbs) -> (Zeroizing<Limbs>, u32) {
    let mut difference = Zeroizing::new(Limbs::default());
    let mut borrow = 0;
    for ((to, a), b) in difference.iter_mut().zip(a).zip(b) {
        let (once, first) = a.overflowing_sub(*b);
        let (twice, second) = once.overflowing_sub(borrow);
        (*to, borrow) = (twice, u32::from(first | second));
    }
    (difference, borrow)
}

fn is_zero(value: &Limbs) -> bool {
    value.iter().fold(0, |all, limb| all | limb) == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic")]
mod tests {
    use matter_session_testing::Script;

    use super::*;

    #[test]
    fn zero_and_what_is_not_below_the_order_are_drawn_again() {
        let mut order = [0; 32];
        write(&ORDER, &mut order);
        let mut next = order;
        next[31] += 1;
        let mut last = order;
        last[31] -= 1;
        for drawn in [last, [1; 32]] {
            let mut rng = Script::new(&[&[0; 32], &order, &[0xFF; 32], &next, &drawn]);
            assert_eq!(draw(&mut rng).unwrap().as_bytes(), &drawn);
            assert!(rng.is_used_up());
        }
        let mut stuck = Script::new(&[&[0; 32 * 16]]);
        assert!(matches!(draw(&mut stuck), Err(CryptoError::Backend)));
        assert!(stuck.is_used_up());
    }
}
