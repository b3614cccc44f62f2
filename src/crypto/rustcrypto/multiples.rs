//! Multiples of a point computed ahead, which save its multiplications most of their doublings.

use p256::elliptic_curve::Group;
use p256::elliptic_curve::ops::Double;
use p256::{ProjectivePoint, Scalar};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

/// The digits of a scalar to the base 16, and one for the carry.
const DIGITS: usize = 65;

/// `P, 2P .. 8P`, times `16^(64 / ROWS)` from row to row: 768 bytes a row. Wiped on drop.
///
/// A multiplication adds once for each digit of the scalar, and doubles `256 / ROWS` times.
/// It takes the same steps for all scalars.
pub(super) struct Multiples<const ROWS: usize> {
    rows: [[ProjectivePoint; 8]; ROWS],
}

impl<const ROWS: usize> Multiples<ROWS> {
    /// How many digits a row stands for.
    const SPAN: usize = {
        assert!(ROWS != 0 && (DIGITS - 1).is_multiple_of(ROWS), "rows are equally long");
        (DIGITS - 1) / ROWS
    };

    pub(super) fn new(point: ProjectivePoint) -> Self {
        let mut multiples = Self { rows: [[ProjectivePoint::IDENTITY; 8]; ROWS] };
        let mut base = Zeroizing::new(point);
        for (number, row) in multiples.rows.iter_mut().enumerate() {
            if number != 0 {
                (0..4 * Self::SPAN).for_each(|_| base.double_in_place());
            }
            let mut multiple = Zeroizing::new(ProjectivePoint::IDENTITY);
            for place in row {
                *multiple += &*base;
                *place = *multiple;
            }
        }
        multiples
    }

    /// `scalar * P`, in constant time.
    pub(super) fn mul(&self, scalar: &Scalar) -> ProjectivePoint {
        let digits = digits(scalar);
        let (Some((carry, digits)), Some(last)) = (digits.split_last(), self.rows.last()) else {
            return ProjectivePoint::IDENTITY;
        };
        // The carry stands one place above the last row: the doublings raise it.
        let mut sum = select(last, *carry);
        for place in (0..Self::SPAN).rev() {
            (0..4).for_each(|_| sum.double_in_place());
            for (row, digits) in self.rows.iter().zip(digits.chunks_exact(Self::SPAN)) {
                if let Some(digit) = digits.get(place) {
                    sum += &select(row, *digit);
                }
            }
        }
        sum
    }
}

impl<const ROWS: usize> Drop for Multiples<ROWS> {
    fn drop(&mut self) {
        self.rows.as_flattened_mut().zeroize();
    }
}

/// A scalar as digits from -8 to 8, the least significant first.
fn digits(scalar: &Scalar) -> Zeroizing<[i8; DIGITS]> {
    let bytes = Zeroizing::new(scalar.to_bytes());
    let nibbles = bytes.iter().rev().flat_map(|octet| [octet & 0xF, octet >> 4]);
    let mut digits = Zeroizing::new([0; DIGITS]);
    let mut carry = 0;
    for (digit, nibble) in digits.iter_mut().zip(nibbles.chain([0])) {
        let value = nibble + carry;
        carry = (value + 8) >> 4;
        *digit = value.wrapping_sub(carry << 4).cast_signed();
    }
    digits
}

/// `digit * P` from the multiples of `P`; reads all of them.
fn select(row: &[ProjectivePoint; 8], digit: i8) -> ProjectivePoint {
    let sign = digit >> 7;
    let magnitude = ((digit + sign) ^ sign).cast_unsigned();
    let mut point = ProjectivePoint::identity();
    for (multiple, number) in row.iter().zip(1_u8..) {
        point.conditional_assign(multiple, number.ct_eq(&magnitude));
    }
    let negative = -point;
    point.conditional_assign(&negative, Choice::from(sign.cast_unsigned() & 1));
    point
}

#[cfg(test)]
mod tests {
    use p256::elliptic_curve::ff::PrimeField;

    use super::*;

    fn agrees<const ROWS: usize>(scalar: &Scalar) {
        let point = ProjectivePoint::GENERATOR + ProjectivePoint::GENERATOR;
        assert_eq!(Multiples::<ROWS>::new(point).mul(scalar), point * scalar, "{scalar:?}");
    }

    #[test]
    fn multiples_are_those_of_a_plain_multiplication() {
        let mut scalar = -Scalar::ONE;
        let eights = Scalar::from_repr([0x88; 32].into()).unwrap();
        for scalar_now in [Scalar::ZERO, Scalar::ONE, scalar, eights, -eights] {
            agrees::<1>(&scalar_now);
            agrees::<4>(&scalar_now);
            agrees::<32>(&scalar_now);
        }
        for step in 1_u64..20 {
            scalar = scalar.square() + Scalar::from(step);
            agrees::<4>(&scalar);
            agrees::<8>(&scalar);
            agrees::<32>(&scalar);
        }
    }
}
