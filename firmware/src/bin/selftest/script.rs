//! Recorded randomness.

use core::convert::Infallible;

use matter_session::rand_core::utils::next_word_via_fill;
use matter_session::rand_core::{TryCryptoRng, TryRng};

/// Yields recorded octets in the order in which they are asked for, and then zeros.
pub struct Script<'a> {
    parts: &'a [&'a [u8]],
    at: usize,
}

impl<'a> Script<'a> {
    pub const fn new(parts: &'a [&'a [u8]]) -> Self {
        Self { parts, at: 0 }
    }

    fn octet(&mut self) -> u8 {
        let mut at = self.at;
        self.at += 1;
        for part in self.parts {
            match part.get(at) {
                Some(octet) => return *octet,
                None => at -= part.len(),
            }
        }
        0
    }
}

impl TryRng for Script<'_> {
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

impl TryCryptoRng for Script<'_> {}
