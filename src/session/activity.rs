//! Whether a peer is awake.

use core::time::Duration;

use super::SessionParameters;
use crate::time::Instant;

/// When a message of a peer was last received, and the timing of messages to it that follows.
///
/// A sleepy device listens at its active interval for a while after it has sent something, and
/// at its idle interval otherwise. [Core, "Parameters and Constants: Peer Active Mode"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerActivity {
    last_received: Option<Instant>,
}

impl PeerActivity {
    /// A peer that no message was received from yet: idle.
    pub const IDLE: Self = Self { last_received: None };

    /// Makes a peer that a message was received from at this time.
    #[must_use]
    pub const fn heard(at: Instant) -> Self {
        Self { last_received: Some(at) }
    }

    /// Notes that a message was received.
    pub fn mark(&mut self, now: Instant) {
        self.last_received = self.last_received.max(Some(now));
    }

    /// Returns when a message of the peer was last received.
    #[must_use]
    pub const fn last_received(&self) -> Option<Instant> {
        self.last_received
    }

    /// Returns true if a message was received less than the peer's active threshold ago.
    #[must_use]
    pub fn is_active(&self, now: Instant, peer: &SessionParameters) -> bool {
        self.last_received.is_some_and(|last| now.saturating_since(last) < peer.active_threshold())
    }

    /// Returns the interval that retransmission timeouts scale: ask anew for each transmission.
    #[must_use]
    pub fn base_interval(&self, now: Instant, peer: &SessionParameters) -> Duration {
        if self.is_active(now, peer) { peer.active_interval() } else { peer.idle_interval() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_until_the_threshold_and_never_before_the_first_message() {
        let peer = SessionParameters::default();
        let mut activity = PeerActivity::IDLE;
        assert_eq!(activity.base_interval(Instant::ZERO, &peer), Duration::from_millis(500));
        activity.mark(Instant::from_millis(1000));
        assert!(activity.is_active(Instant::from_millis(4999), &peer));
        assert!(!activity.is_active(Instant::from_millis(5000), &peer));
        activity.mark(Instant::from_millis(10));
        assert_eq!(activity.last_received(), Some(Instant::from_millis(1000)));
        assert_eq!(activity.base_interval(Instant::ZERO, &peer), Duration::from_millis(300));
    }
}
