//! Where random numbers come from.

use core::convert::Infallible;

use matter_session::crypto::{Hashing, RustCrypto, Sha256};
use matter_session::rand_core::utils::next_word_via_fill;
use matter_session::rand_core::{TryCryptoRng, TryRng};

/// A true random number generator as its driver would look: no error reaches the caller, as the
/// driver waits for the peripheral and resets the chip if its health test fails.
///
/// QEMU's boards have no such peripheral. Its place is taken by SHA-256 over a seed and a count:
/// as unpredictable as the seed, which the host sends once after reset.
pub struct Trng {
    seed: [u8; 32],
    count: u32,
    block: [u8; 32],
    left: usize,
}

impl Trng {
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, count: 0, block: [0; 32], left: 0 }
    }

    /// The next octet of the peripheral's data register.
    fn octet(&mut self) -> u8 {
        if self.left == 0 {
            let mut hash = RustCrypto.sha256();
            hash.update(&self.seed);
            hash.update(&self.count.to_le_bytes());
            self.block = hash.finish();
            self.count = self.count.wrapping_add(1);
            self.left = self.block.len();
        }
        self.left -= 1;
        self.block.get(self.left).copied().unwrap_or(0)
    }
}

impl TryRng for Trng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        for octet in octets {
            *octet = self.octet();
        }
        Ok(())
    }
}

impl TryCryptoRng for Trng {}
