//! Counters that continue after a restart.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use rand_core::CryptoRng;
use thiserror::Error;

use super::nonce::{FreshCounter, random_start};
use crate::ids::MessageCounter;

/// A sending counter that never repeats, even after restarts and power loss: for group messages and
/// Check-In messages. [Core, "Global Group Encrypted Message Counters"]
///
/// The store does not hold the value, but a bound ahead of it, written once for each block of
/// values:
///
/// ```text
///                     next               stored bound
///   ── used ───────────┼── may be used ───────┼── once the next bound is stored ──▶
///                      after a restart continues here
/// ```
/// Before the first value of a block, [`take`](Self::take) asks for a bound to be stored, and
/// yields nothing until [`stored`](Self::stored) says that it is.
///
#[cfg_attr(feature = "std", doc = "```")]
#[cfg_attr(not(feature = "std"), doc = "```ignore")]
/// use matter_session::crypto::{PersistedCounter, StoreFirst};
///
/// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
/// # let mut flash: Option<u64> = None;
/// let mut counter = match flash {
///     Some(bound) => PersistedCounter::restored(bound, 1000),
///     None => PersistedCounter::random(1000, &mut rng), // never stored before: a new device
/// };
/// let fresh = loop {
///     match counter.take() {
///         Ok(fresh) => break fresh,
///         Err(StoreFirst { bound }) => {
///             flash = Some(bound); // has to have happened before ...
///             counter.stored(bound); // ... this is said
///         }
///     }
/// };
/// assert_eq!(flash, Some(u64::from(fresh.value().get()) + 1000));
/// ```
///
/// If writing takes long, use [`bound_to_store`](Self::bound_to_store), which asks half a block
/// earlier.
///
/// Values have 32 bits and wrap. Bounds have 64 bits, so they also count how often values wrapped.
///
/// # What the store promises
///
/// - After power loss it holds the old bound or the new one. The new one is stored durably before
///   `stored` is called. If a write fails, the counter asks for it again.
/// - Bounds are written in the order in which they were asked for.
/// - A bound that cannot be read does not count as never stored. A node that starts at random again
///   repeats values, under keys that it still has.
#[derive(Debug)]
pub struct PersistedCounter {
    /// The next value; message counters are the low 32 bits.
    next: u64,
    /// The bound that is stored. Values from here on must not be used.
    bound: u64,
    block: u32,
}

/// Store this bound first: no value may be used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("store the bound {bound} of the counter first")]
pub struct StoreFirst {
    /// The bound to store. Confirm it with [`PersistedCounter::stored`].
    pub bound: u64,
}

impl PersistedCounter {
    /// Starts at a random value in `1..=2^28`, on a node that has never stored a bound.
    ///
    /// `block` is the number of values between two writes, and the maximum that a restart skips; 0
    /// counts as 1.
    pub fn random(block: u32, rng: &mut dyn CryptoRng) -> Self {
        Self::restored(random_start(rng).into(), block)
    }

    /// Continues at the bound that was stored last. The block may differ from the former one.
    #[must_use]
    pub const fn restored(bound: u64, block: u32) -> Self {
        Self { next: bound, bound, block: if block == 0 { 1 } else { block } }
    }

    /// Returns the next value.
    ///
    /// # Errors
    /// [`StoreFirst`] if a new block begins, until [`stored`](Self::stored) confirms its bound.
    pub const fn take(&mut self) -> Result<FreshCounter, StoreFirst> {
        if self.next == self.bound {
            return Err(StoreFirst { bound: self.wanted() });
        }
        let value = MessageCounter::new(low(self.next));
        self.next = self.next.wrapping_add(1);
        Ok(FreshCounter(value))
    }

    /// Returns the bound to store next, as soon as half of the block is used. Store it now, and no
    /// message has to wait for it later.
    #[must_use]
    pub const fn bound_to_store(&self) -> Option<u64> {
        let left = self.bound.wrapping_sub(self.next);
        if left <= (self.block / 2) as u64 { Some(self.wanted()) } else { None }
    }

    /// Confirms that this bound is stored. A bound that the counter did not ask for changes
    /// nothing.
    pub const fn stored(&mut self, bound: u64) {
        if bound == self.wanted() {
            self.bound = bound;
        }
    }

    /// Returns the next value, with the number of wraps in the upper 32 bits. It never repeats.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// Skips values. The next one needs a bound beyond them; until that is stored, a restart undoes
    /// this.
    pub(crate) const fn skip(&mut self, values: u32) {
        self.next = self.next.wrapping_add(values as u64);
        self.bound = self.next;
    }

    const fn wanted(&self) -> u64 {
        self.bound.wrapping_add(self.block as u64)
    }
}

/// Returns a counter as messages carry it.
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what is wanted")]
pub(crate) const fn low(position: u64) -> u32 {
    position as u32
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "tests have std and panic")]
mod tests {
    use std::collections::BTreeSet;

    use getrandom::SysRng;
    use getrandom::rand_core::UnwrapErr;

    use super::*;

    /// What a node does with its counter, one step at a time: the power may be cut after any.
    struct Life<'a> {
        flash: &'a mut Option<u64>,
        used: &'a mut BTreeSet<u32>,
        steps: usize,
    }

    impl Life<'_> {
        /// False when the power is cut.
        fn step(&mut self) -> bool {
            self.steps = self.steps.saturating_sub(1);
            self.steps > 0
        }

        fn store(&mut self, counter: &mut PersistedCounter, bound: u64) -> Option<()> {
            self.step().then_some(())?;
            *self.flash = Some(bound);
            self.step().then_some(())?;
            counter.stored(bound);
            Some(())
        }

        /// Takes values until the power is cut; `None` then.
        fn run(&mut self, block: u32, early: bool, skip_at: usize) -> Option<()> {
            let mut counter = match *self.flash {
                Some(bound) => PersistedCounter::restored(bound, block),
                None => PersistedCounter::random(block, &mut UnwrapErr(SysRng)),
            };
            for turn in 0.. {
                if turn == skip_at {
                    counter.skip(5);
                }
                if let Some(bound) = counter.bound_to_store().filter(|_| early) {
                    self.store(&mut counter, bound)?;
                }
                match counter.take() {
                    Ok(fresh) => assert!(self.used.insert(fresh.value().get()), "used twice"),
                    Err(StoreFirst { bound }) => self.store(&mut counter, bound)?,
                }
                self.step().then_some(())?;
            }
            None
        }
    }

    #[test]
    fn no_power_cut_makes_a_value_come_twice() {
        const CUTS: usize = 14;
        let mut most = 0;
        for cuts in 0..CUTS.pow(3) {
            for block in 1..=4 {
                for (early, skip_at) in [(false, 99), (true, 99), (false, 2), (true, 3)] {
                    // A new device, and one whose counter is about to wrap.
                    for first in [None, Some(u64::from(u32::MAX) - 3)] {
                        let (mut flash, mut used) = (first, BTreeSet::new());
                        for life in [cuts % CUTS, cuts / CUTS % CUTS, cuts / CUTS / CUTS, 30] {
                            let mut life =
                                Life { flash: &mut flash, used: &mut used, steps: life + 1 };
                            assert_eq!(life.run(block, early, skip_at), None);
                        }
                        most = most.max(used.len());
                    }
                }
            }
        }
        assert!(most > 30, "{most} values in four lives");
    }

    #[test]
    fn nothing_comes_before_a_bound_is_stored() {
        let mut counter = PersistedCounter::restored(7, 3);
        let asks = Err(StoreFirst { bound: 10 });
        assert_eq!(counter.take().map(|_| ()), asks);
        for wrong in [0, 7, 9, 11, 13, u64::MAX] {
            counter.stored(wrong);
            assert_eq!(counter.take().map(|_| ()), asks, "{wrong} was not asked for");
        }
        counter.stored(10);
        counter.stored(10);
        for value in 7..10 {
            assert_eq!(counter.take().unwrap().value().get(), value);
        }
        assert_eq!(counter.take().unwrap_err(), StoreFirst { bound: 13 });
    }

    #[test]
    fn a_bound_from_before_a_skip_confirms_nothing() {
        let mut counter = PersistedCounter::restored(7, 4);
        let StoreFirst { bound } = counter.take().unwrap_err();
        counter.skip(2);
        counter.stored(bound);
        assert_eq!(counter.take().unwrap_err(), StoreFirst { bound: 13 });
    }

    #[test]
    fn half_a_block_ahead_the_next_bound_is_asked_for() {
        let mut counter = PersistedCounter::restored(100, 4);
        counter.stored(104);
        let mut asked = std::vec::Vec::new();
        for _ in 0..6 {
            counter.take().unwrap();
            let bound = counter.bound_to_store();
            asked.push(bound);
            counter.stored(bound.unwrap_or(0));
        }
        assert_eq!(asked, [None, Some(108), None, None, None, Some(112)]);
    }

    #[test]
    fn values_wrap_and_positions_go_on() {
        let mut counter = PersistedCounter::restored(u32::MAX.into(), 0);
        for (value, position) in [(u32::MAX, 1 << 32), (0, (1 << 32) + 1)] {
            let StoreFirst { bound } = counter.take().unwrap_err();
            counter.stored(bound);
            assert_eq!(counter.take().unwrap().value().get(), value);
            assert_eq!(counter.position(), position);
        }
    }
}
