//! Iterations of PBKDF2 on the compression function of SHA-256: the lengths are known, so nothing is
//! buffered. It takes three quarters of the time.

use core::slice;

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::crypto::{HASH_LEN, Secret};

type State = Zeroizing<[u32; 8]>;
type Block = Zeroizing<[u8; 64]>;

/// The state of SHA-256 before the first block. [FIPS 180-4, 5.3.3]
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The end of a message of 96 bytes, in the second half of its second block: a bit, and its length in
/// bits.
const APPENDED: [u8; 64] = {
    let mut block = [0; 64];
    block[HASH_LEN] = 0x80;
    [block[62], block[63]] = (8_u16 * 96).to_be_bytes();
    block
};

/// See [`Hashing::pbkdf2_rounds`](crate::crypto::Hashing::pbkdf2_rounds).
pub(super) fn rounds(
    password: &[u8],
    rounds: u32,
    last: &mut Secret<HASH_LEN>,
    sum: &mut Secret<HASH_LEN>,
) {
    let key = key(password);
    let states = [padded(&key, 0x36), padded(&key, 0x5C)];
    // A digest, which follows the key, and what SHA-256 appends to these 96 bytes.
    let mut block = Zeroizing::new(APPENDED);
    write(&mut *block, last.as_bytes());
    // Not in the loop, which would wipe it each time.
    let mut state = Zeroizing::new(INITIAL);
    for _ in 0..rounds {
        for keyed in &states {
            *state = **keyed;
            compress256(&mut state, slice::from_ref(&*block));
            for (to, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(state.iter()) {
                *to = word.to_be_bytes();
            }
        }
        for (sum, byte) in sum.as_mut_bytes().iter_mut().zip(block.iter()) {
            *sum ^= byte;
        }
    }
    write(last.as_mut_bytes(), &*block);
}

/// The key of HMAC: the password, or its digest if it is longer than a block.
fn key(password: &[u8]) -> Block {
    let mut key = Block::new([0; 64]);
    if password.len() > key.len() {
        write(&mut *key, &Zeroizing::new(<[u8; HASH_LEN]>::from(Sha256::digest(password)))[..]);
    } else {
        write(&mut *key, password);
    }
    key
}

/// The state after the key with this padding.
fn padded(key: &Block, pad: u8) -> State {
    let mut state = Zeroizing::new(INITIAL);
    let block = Zeroizing::new(key.map(|byte| byte ^ pad));
    compress256(&mut state, slice::from_ref(&*block));
    state
}

/// Copies as many bytes as both have.
fn write(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
