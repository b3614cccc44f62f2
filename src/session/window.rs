//! The replay window of secure sessions. What was seen changes by authentic messages alone.
//!
//! ```text
//!          behind: duplicate    │ a bit each │ max: duplicate │ ahead: new
//! 0 ... ─────────────────────── max-n ... max-1 ──── max ──────────── max+1 ...
//! ```
//! The specification asks for 32 bits, and other implementations have them. A message that is lost
//! and comes again after more newer ones is then taken for one that was received: it is
//! acknowledged and never delivered. A sender that begins 40 exchanges at once loses messages in
//! this way. How much a receiver remembers is not seen from outside. [Core, "Message Reception
//! State"]

use super::opening::Authentic;
use super::replay::Verdict;
use crate::ids::MessageCounter;

/// The bits, in words. Messages to be told apart are as far from each other as a peer sends while
/// one message is repeated: 40 requests at once, and as many acknowledgements. A node with an
/// allocator has the memory for more of them.
const WORDS: usize = if cfg!(feature = "alloc") { 8 } else { 4 };

/// The window of a secure session: every counter from 1 is new.
#[derive(Debug)]
pub(super) struct AuthenticWindow(Window<WORDS>);

impl AuthenticWindow {
    /// Makes a window that has seen everything up to this counter.
    pub(super) const fn at(largest: MessageCounter) -> Self {
        Self(Window::at(largest.get()))
    }

    pub(super) const fn new() -> Self {
        Self(Window::at(0))
    }

    #[inline]
    pub(super) fn check(&self, counter: MessageCounter) -> Verdict {
        self.0.check(counter.get())
    }

    /// Returns true if no larger counter, nor this one, has been seen.
    #[inline]
    pub(super) const fn is_newest(&self, counter: MessageCounter) -> bool {
        counter.get() > self.0.max
    }

    /// Returns true if the window does not reach back to this counter.
    pub(super) const fn is_behind(&self, counter: MessageCounter) -> bool {
        self.0.max.saturating_sub(counter.get()) > Window::<WORDS>::LEN
    }

    #[inline]
    pub(super) fn commit(&mut self, proof: &Authentic<'_>) {
        self.0.commit(proof.counter().get());
    }
}

#[derive(Clone, Debug)]
struct Window<const WORDS: usize> {
    max: u32,
    /// Bit `b` of word `w` is set when `max - 1 - (32 * w + b)` counts as seen.
    seen: [u32; WORDS],
}

impl<const WORDS: usize> Window<WORDS> {
    #[expect(clippy::cast_possible_truncation, reason = "a few words")]
    const LEN: u32 = u32::BITS.saturating_mul(WORDS as u32);

    const fn at(largest: u32) -> Self {
        Self { max: largest, seen: [u32::MAX; WORDS] }
    }

    #[inline]
    fn check(&self, counter: u32) -> Verdict {
        let Some(behind) = self.max.checked_sub(counter) else { return Verdict::New };
        let is_unseen = place(behind)
            .is_some_and(|(word, bit)| self.seen.get(word).is_some_and(|seen| seen & bit == 0));
        if is_unseen { Verdict::New } else { Verdict::Duplicate }
    }

    /// Counts a counter as seen. One that is too far behind changes nothing.
    #[inline]
    fn commit(&mut self, counter: u32) {
        let behind = match self.max.checked_sub(counter) {
            Some(behind) => behind,
            None => {
                let ahead = counter.saturating_sub(self.max);
                self.max = counter;
                self.advance(ahead);
                // The former largest counter.
                ahead
            }
        };
        if let Some((word, bit)) = place(behind)
            && let Some(seen) = self.seen.get_mut(word)
        {
            *seen |= bit;
        }
    }

    /// Moves the bits by so many counters; new ones are not seen. The loop moves them one by one,
    /// as the number is usually one.
    #[inline]
    fn advance(&mut self, by: u32) {
        for _ in 0..by.min(Self::LEN) {
            let mut carried = 0;
            for word in &mut self.seen {
                let next = *word >> 31;
                *word = *word << 1 | carried;
                carried = next;
            }
        }
    }
}

/// The word and the bit of a counter so much smaller than the largest; `None` for the largest.
#[inline]
fn place(behind: u32) -> Option<(usize, u32)> {
    let number = behind.checked_sub(1)?;
    let word = usize::try_from(number / u32::BITS).ok()?;
    Some((word, 1_u32.wrapping_shl(number % u32::BITS)))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The rule as a set.
    fn agrees_with_a_set<const WORDS: usize>(start: u32, counters: &[u32]) {
        let (mut window, mut seen) = (Window::<WORDS>::at(start), BTreeSet::from([start]));
        for &counter in counters {
            let max = *seen.last().unwrap();
            let is_recent = counter > start && max.saturating_sub(counter) <= Window::<WORDS>::LEN;
            let is_new = is_recent && !seen.contains(&counter);
            let verdict = if is_new { Verdict::New } else { Verdict::Duplicate };
            assert_eq!(window.check(counter), verdict, "{counter:#x} of {counters:x?}");
            window.commit(counter);
            assert_eq!(window.check(counter), Verdict::Duplicate);
            if is_new {
                seen.insert(counter);
            }
        }
    }

    proptest! {
        #[test]
        fn any_order_of_counters_is_judged_as_by_a_set(
            start in prop_oneof![Just(0), 0..u32::MAX - 2000],
            steps in proptest::collection::vec(prop_oneof![0..70_u32, 0..1500_u32], 1..200),
        ) {
            let counters: alloc::vec::Vec<_> = steps.iter().map(|step| start + step).collect();
            agrees_with_a_set::<1>(start, &counters);
            agrees_with_a_set::<4>(start, &counters);
            agrees_with_a_set::<8>(start, &counters);
        }
    }

    #[test]
    fn the_ends_of_the_space_are_counters_like_others() {
        let top = u32::MAX;
        agrees_with_a_set::<8>(0, &[1, top, top - 256, top - 257, top - 1, 2, top, 0]);
        agrees_with_a_set::<4>(0, &[128, 1, 129, 1, 2, 257, 129, 128, 1 << 31, 257]);
    }
}
