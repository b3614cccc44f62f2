//! Counters of a session.

use core::time::Duration;

use crate::manager::statistics::increment;
use crate::time::{Instant, from_millis};

/// Counters of a session, from zero when it is established.
///
/// Every counter wraps at 2^32. For a rate, subtract two readings with `wrapping_sub`. The messages
/// of the handshake are in the [`Statistics`](crate::manager::Statistics) of the manager.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct SessionStatistics {
    /// Messages of the peer, without repetitions. One that was refused for want of room counts once
    /// it is accepted.
    pub received: u32,
    /// Messages of the peer that were received again.
    pub duplicates: u32,
    /// Messages that were sent, without repetitions. Acknowledgements that travel alone count.
    pub sent: u32,
    /// Messages that were sent again, because no acknowledgement was received.
    pub retransmissions: u32,
    /// Messages that were given up after the last retransmission.
    pub given_up: u32,
    /// Times from the encryption of a message to its acknowledgement, retransmissions included.
    pub acknowledged: Latency,
}

/// The shortest, the mean and the longest of durations, in whole milliseconds. A duration above
/// 65,535 ms counts as 65,535 ms.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Latency {
    number: u32,
    /// The sum of so many.
    total: u32,
    shortest: u16,
    longest: u16,
}

impl Latency {
    const EMPTY: Self = Self { number: 0, total: 0, shortest: u16::MAX, longest: 0 };

    /// Returns the shortest duration; `None` if there is none yet.
    #[must_use]
    pub fn shortest(&self) -> Option<Duration> {
        self.of(self.shortest.into())
    }

    /// Returns the mean, rounded down; `None` if there is no duration yet. Once the sum has reached
    /// 2^32 ms, older durations count less.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.of(self.total.checked_div(self.number)?)
    }

    /// Returns the longest duration; `None` if there is none yet.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        self.of(self.longest.into())
    }

    fn of(self, millis: u32) -> Option<Duration> {
        (self.number > 0).then(|| from_millis(millis.into()))
    }

    fn note(&mut self, since: Instant, now: Instant) {
        let millis = now.as_millis().saturating_sub(since.as_millis());
        let millis = u16::try_from(millis).unwrap_or(u16::MAX);
        self.shortest = self.shortest.min(millis);
        self.longest = self.longest.max(millis);
        if self.total.checked_add(millis.into()).is_none() {
            self.total /= 2;
            self.number /= 2;
        }
        // The sum is the larger of the two from the first overflow on, and both are in range then.
        self.total = self.total.saturating_add(millis.into());
        self.number = self.number.saturating_add(1);
    }
}

impl SessionStatistics {
    pub(super) const EMPTY: Self = Self {
        received: 0,
        duplicates: 0,
        sent: 0,
        retransmissions: 0,
        given_up: 0,
        acknowledged: Latency::EMPTY,
    };

    /// Counts a message that was received, or received again.
    #[inline]
    pub(super) const fn count_received(&mut self, again: bool) {
        increment(if again { &mut self.duplicates } else { &mut self.received });
    }

    /// Counts a message that was sent, or sent again.
    #[inline]
    pub(super) const fn count_sent(&mut self, again: bool) {
        increment(if again { &mut self.retransmissions } else { &mut self.sent });
    }

    /// Counts a message that was given up.
    pub(super) const fn count_given_up(&mut self) {
        increment(&mut self.given_up);
    }

    /// Counts an acknowledgement of a message that was sealed then.
    #[inline(never)]
    pub(super) fn count_acknowledged(&mut self, sealed: Instant, now: Instant) {
        self.acknowledged.note(sealed, now);
    }
}

#[cfg(test)]
mod tests {
    use core::iter::repeat_n;

    use super::*;

    fn noted(times: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::EMPTY;
        for time in times {
            latency.note(Instant::from_millis(7), Instant::from_millis(7 + time));
        }
        latency
    }

    #[test]
    fn nothing_is_known_before_the_first_duration() {
        let latency = noted([]);
        assert_eq!((latency.shortest(), latency.mean(), latency.longest()), (None, None, None));
    }

    #[test]
    fn the_mean_of_many_durations_does_not_overflow() {
        let of = |latency: Latency| {
            [latency.shortest(), latency.mean(), latency.longest()]
                .map(|time| time.map(|time| time.as_millis()))
        };
        assert_eq!(of(noted([3, 0, 9])), [Some(0), Some(4), Some(9)]);
        assert_eq!(of(noted([1 << 40])), [Some(65_535); 3]);
        // The sum of 65,537 of the longest durations fits 32 bits.
        assert_eq!(of(noted(repeat_n(65_535, 200_000))), [Some(65_535); 3]);
        let slow_then_fast = || repeat_n(65_535, 70_000).chain(repeat_n(100, 630_000));
        let [shortest, mean, longest] = of(noted(slow_then_fast())).map(Option::unwrap);
        assert_eq!((shortest, longest), (100, 65_535));
        // Of so many the mean is 6,643, if none counts less.
        assert!((100..6_643).contains(&mean), "{mean}");
    }
}
