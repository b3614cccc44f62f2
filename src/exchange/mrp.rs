//! The numbers of the Message Reliability Protocol: when to retransmit, when to give up.
//!
//! [Core, "Message Reliability Protocol (MRP)"]

use core::time::Duration;

use crate::time::{as_millis, from_millis};

/// Number of transmissions of a reliable message before it counts as lost: one, and four
/// retransmissions.
#[doc(alias = "DEFAULT_RETRANSMISSION_RETRIES")]
pub const MRP_MAX_TRANSMISSIONS: u8 = 5;
/// Time for which an acknowledgement waits for a message that can carry it.
pub const MRP_STANDALONE_ACK_TIMEOUT: Duration = Duration::from_millis(200);
/// `MRP_BACKOFF_MARGIN` is 1.1: in 1024ths.
const BACKOFF_MARGIN_1024THS: u64 = 1127;
/// `MRP_BACKOFF_THRESHOLD`: this many waits stay linear.
const BACKOFF_THRESHOLD: u8 = 1;

/// Returns the wait for an acknowledgement after a transmission.
///
/// `base`: the peer's idle or active interval. `transmission`: 0 after the first sending, 1 after
/// the first repetition, and so on. `jitter`: a random byte, adding up to a quarter.
///
/// ```text
/// t = base * 1.1 * 1.6 ^ max(0, transmission - 1) * (1 + jitter / 1024)
/// ```
#[must_use]
pub fn backoff(base: Duration, transmission: u8, jitter: u8) -> Duration {
    from_millis(backoff_millis(as_millis(base), transmission, jitter))
}

#[inline(never)]
fn backoff_millis(base: u64, transmission: u8, jitter: u8) -> u64 {
    let margined = base.saturating_mul(BACKOFF_MARGIN_1024THS) >> 10;
    let margined = u32::try_from(margined).unwrap_or(u32::MAX);
    let grown = match transmission.saturating_sub(BACKOFF_THRESHOLD) {
        0 => margined.into(),
        1 => grow::<16, 10>(margined),
        2 => grow::<256, 100>(margined),
        3 => grow::<4096, 1000>(margined),
        _ => grow::<65_536, 10_000>(margined),
    };
    grown.saturating_mul(u64::from(jitter).saturating_add(1024)) >> 10
}

/// `n / d` of a time, rounded down: a power of `MRP_BACKOFF_BASE`, which is 1.6. Divides 32 bits
/// by a constant, as some processors cannot divide.
fn grow<const N: u32, const D: u32>(millis: u32) -> u64 {
    let (whole, rest) = (millis / D, millis % D);
    u64::from(whole).saturating_mul(N.into()).saturating_add((rest * N / D).into())
}

/// Returns the longest time from a first transmission until the message counts as lost, in the
/// worst case of jitter: with the `first` interval for the first wait and the `later` one after.
/// `boost` is added to every wait.
#[must_use]
pub fn max_transmission_time(first: Duration, later: Duration, boost: Duration) -> Duration {
    let (first, later, boost) = (as_millis(first), as_millis(later), as_millis(boost));
    let total = (0..MRP_MAX_TRANSMISSIONS).fold(0_u64, |total, transmission| {
        let base = if transmission == 0 { first } else { later };
        let wait = backoff_millis(base, transmission, u8::MAX).saturating_add(boost);
        total.saturating_add(wait)
    });
    from_millis(total)
}

/// The random bytes of [`backoff`]. They spread retransmissions and are no secret, so a generator
/// of four bytes does, seeded once: sending a message asks no source of randomness.
#[derive(Clone, Debug)]
pub struct Jitter(u32);

impl Jitter {
    /// Starts from a random seed.
    #[must_use]
    pub const fn new(seed: u32) -> Self {
        // A xorshift generator never leaves zero.
        Self(if seed == 0 { 1 } else { seed })
    }

    /// Yields zeros: what stands in for a generator until its seed is drawn.
    pub(crate) const fn unseeded() -> Self {
        Self(0)
    }

    /// Returns the next byte.
    #[inline(never)]
    pub const fn next_byte(&mut self) -> u8 {
        let mut state = self.0;
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        self.0 = state;
        state.to_be_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_as_the_specification_says() {
        let wait = |base, n, jitter| backoff(Duration::from_millis(base), n, jitter).as_millis();
        assert_eq!([0, 1, 2, 3, 4].map(|n| wait(300, n, 0)), [330, 330, 528, 844, 1351]);
        assert_eq!([0, 1, 2, 3, 4].map(|n| wait(300, n, 255)), [412, 412, 659, 1054, 1687]);
        assert_eq!(wait(500, 0, 0), 550);
        assert_eq!(wait(300, 200, 0), wait(300, 5, 0), "the exponent is bounded");
        assert!(backoff(Duration::MAX, 255, 255) > Duration::from_secs(3600), "saturates");
    }

    /// Against the formula in 128 bits, where nothing overflows.
    #[test]
    fn waits_are_exact_to_the_millisecond() {
        for base in (0..=3_600_000).step_by(997).chain([3_600_000]) {
            for transmission in 0..=7 {
                let exponent = u32::from(transmission).saturating_sub(1).min(4);
                let margined = (u128::from(base) * 1127) >> 10;
                let grown = margined * 16_u128.pow(exponent) / 10_u128.pow(exponent);
                for jitter in [0, 1, 255] {
                    let wait = backoff(Duration::from_millis(base), transmission, jitter);
                    let expected = (grown * (1024 + u128::from(jitter))) >> 10;
                    assert_eq!(wait.as_millis(), expected, "{base} {transmission} {jitter}");
                }
            }
        }
    }

    #[test]
    fn jitter_takes_every_value_from_any_seed() {
        for seed in [0, 1, u32::MAX] {
            let mut jitter = Jitter::new(seed);
            let mut seen = [0_u32; 256];
            for _ in 0..256 * 100 {
                seen[usize::from(jitter.next_byte())] += 1;
            }
            assert!(seen.iter().all(|&times| (50..150).contains(&times)), "{seed}: {seen:?}");
        }
    }

    /// The upper bytes of the xorshift generator of Marsaglia with the shifts 13, 17 and 5.
    #[test]
    fn jitter_is_that_of_a_xorshift_generator() {
        let mut jitter = Jitter::new(1);
        let states = [270_369_u32, 67_634_689, 2_647_435_461, 307_599_695, 2_398_689_233];
        for state in states {
            assert_eq!(u32::from(jitter.next_byte()), state >> 24);
        }
    }

    #[test]
    fn the_whole_takes_four_seconds_to_an_active_peer() {
        let active = Duration::from_millis(300);
        let total = |boost| max_transmission_time(active, active, Duration::from_millis(boost));
        assert_eq!(total(0).as_millis(), 412 + 412 + 659 + 1054 + 1687);
        assert_eq!(total(7).as_millis(), total(0).as_millis() + 5 * 7);
    }
}
