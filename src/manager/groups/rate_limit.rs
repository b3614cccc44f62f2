//! How often this node tells its group counter, and asks for those of others.

use core::time::Duration;

use crate::time::Instant;

/// Limits control messages to bursts of ten and to one each 100 ms in the long run. Every member of
/// a group has its key and may ask, and everybody can replay messages that make this node ask. So
/// without a limit they could use this node to flood the network, and wear out the memory in which
/// its counters are stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimit {
    /// When everything answered so far would have been answered at the long-term rate.
    caught_up: Instant,
}

impl RateLimit {
    pub(super) const PACE: Duration = Duration::from_millis(100);
    const BURST: Duration = Duration::from_millis(1000);

    pub(super) const fn new() -> Self {
        Self { caught_up: Instant::ZERO }
    }

    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let next = self.caught_up.max(now) + Self::PACE;
        let allowed = next <= now + Self::BURST;
        if allowed {
            self.caught_up = next;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_bursts_of_ten_and_then_at_their_pace() {
        let mut limit = RateLimit::new();
        let allowed = |limit: &mut RateLimit, millis| limit.allows(Instant::from_millis(millis));
        assert_eq!((0..20).filter(|_| allowed(&mut limit, 5000)).count(), 10);
        assert!(!allowed(&mut limit, 5099));
        assert!(allowed(&mut limit, 5100));
        assert!(!allowed(&mut limit, 5100));
        let in_a_minute = (5100..65_100).filter(|millis| allowed(&mut limit, *millis)).count();
        assert!((590..=610).contains(&in_a_minute), "{in_a_minute}");
        assert!(!allowed(&mut limit, 5000), "a clock that goes back earns nothing");
    }
}
