//! Scripted randomness.

use core::convert::Infallible;
use std::collections::VecDeque;

use matter_session::rand_core::utils::next_word_via_fill;
use matter_session::rand_core::{TryCryptoRng, TryRng};

/// Yields recorded octets in the order in which they are asked for, then a seeded sequence that
/// matters to no recording.
///
/// The order in which the machines draw:
/// - `PaseClient`: random (32) at the start, scalar x (32) with the response, counter (4) at the end
/// - `PaseServer`: random (32) with the request, scalar y (32) with Pake1, counter (4) at the end
/// - `CaseClient`: random (32) and ephemeral key (32) at the start, counter (4) at the end
/// - `CaseServer`: random (32), ephemeral key (32) and resumption id (16) with Sigma1, or the new
///   resumption id (16) alone if it resumes; counter (4) at the end
///
/// Keys and scalars are drawn big-endian; the counter is the low 28 bits of a little-endian word,
/// plus one.
pub struct Script {
    recorded: VecDeque<u8>,
    seed: u64,
}

impl Script {
    pub fn new(parts: &[&[u8]]) -> Self {
        Self { recorded: parts.concat().into(), seed: 1 }
    }

    /// Nothing recorded: reproducible octets.
    pub fn seeded(seed: u64) -> Self {
        Self { recorded: VecDeque::new(), seed }
    }

    /// Appends the word that makes a session start with this counter.
    pub fn then_counter(mut self, first: u32) -> Self {
        self.recorded.extend((first - 1).to_le_bytes());
        self
    }

    pub fn is_used_up(&self) -> bool {
        self.recorded.is_empty()
    }

    fn octet(&mut self) -> u8 {
        self.recorded.pop_front().unwrap_or_else(|| {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.seed >> 56) as u8
        })
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        dst.iter_mut().for_each(|octet| *octet = self.octet());
        Ok(())
    }
}

impl TryCryptoRng for Script {}
