//! The counter of unsecured messages.

use rand_core::CryptoRng;

use crate::crypto::random_start;
use crate::ids::MessageCounter;

/// The sending counter of all unsecured messages of a node: starts at random, wraps.
///
/// A node has one, which every encoding borrows. No key depends on it, so it may wrap.
/// [Core, "Unencrypted Message Counters"]
#[derive(Debug)]
pub struct UnsecuredCounter {
    next: u32,
}

impl UnsecuredCounter {
    /// Starts at a random value in `1..=2^28`.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self { next: random_start(rng) }
    }

    /// Stands in for a counter until its start is drawn.
    pub(crate) const fn unseeded() -> Self {
        Self { next: 0 }
    }

    /// Starts at a given value, for [`hazmat`](super::hazmat).
    pub(super) const fn at(next: u32) -> Self {
        Self { next }
    }

    /// Returns the next value.
    pub const fn take(&mut self) -> MessageCounter {
        let value = MessageCounter::new(self.next);
        self.next = self.next.wrapping_add(1);
        value
    }
}
