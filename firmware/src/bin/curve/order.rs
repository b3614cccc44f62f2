//! The order of the group, and numbers near it.

/// The order, big-endian.
pub const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Returns `number + by` modulo 2^256.
pub fn near(number: &[u8; 32], by: i16) -> [u8; 32] {
    let mut sum = *number;
    let mut carry = by;
    for byte in sum.iter_mut().rev() {
        let next = i16::from(*byte) + carry;
        carry = next.div_euclid(256);
        *byte = next.rem_euclid(256) as u8;
    }
    sum
}

/// Returns `ORDER - number`, for a number below it.
pub fn negate(number: &[u8; 32]) -> [u8; 32] {
    let mut difference = ORDER;
    let mut borrow = 0;
    for (byte, less) in difference.iter_mut().zip(number).rev() {
        let next = i16::from(*byte) - i16::from(*less) - borrow;
        borrow = i16::from(next < 0);
        *byte = next.rem_euclid(256) as u8;
    }
    difference
}
