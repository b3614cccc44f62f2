//! The transmissions of one message to one address.

use core::time::Duration;

use super::mrp::MRP_MAX_TRANSMISSIONS;
use crate::time::Instant;

/// How often a message was transmitted, and when the next transmission is due. A wait begins when
/// a transmission is taken.
#[derive(Debug)]
pub(crate) struct Retry {
    transmissions: u8,
    pub(super) next: Instant,
    /// The last transmission was made ahead of its time, for a duplicate.
    ahead: bool,
    silence: Silence,
}

/// When a message is repeated whose transmissions were stopped.
const NEVER: Instant = Instant::from_millis(u64::MAX);

/// Whether a wait has ended without an acknowledgement.
#[derive(Debug)]
enum Silence {
    No,
    /// A wait has ended, and this was not reported yet.
    Untold,
    Told,
}

impl Retry {
    /// The first transmission is due.
    pub(super) const FIRST: Self =
        Self { transmissions: 1, next: Instant::ZERO, ahead: false, silence: Silence::No };

    /// The first transmission is due at this time.
    #[cfg(feature = "initiator")]
    pub(crate) const fn starting_at(next: Instant) -> Self {
        Self { transmissions: 0, next, ..Self::FIRST }
    }

    /// Returns true if a transmission was due.
    #[cfg(feature = "initiator")]
    pub(crate) const fn has_begun(&self) -> bool {
        self.transmissions > 0
    }

    /// Returns when the next transmission is due, or the message is given up.
    #[cfg(feature = "initiator")]
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// Returns true if the message is given up now.
    #[cfg(feature = "initiator")]
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.transmissions >= MRP_MAX_TRANSMISSIONS && now >= self.next
    }

    /// Makes a first transmission due now.
    #[cfg(feature = "initiator")]
    pub(crate) const fn start(&mut self, now: Instant) {
        if self.transmissions == 0 {
            self.next = now;
        }
    }

    /// Makes nothing due before this time.
    #[cfg(feature = "initiator")]
    pub(crate) fn defer(&mut self, until: Instant) {
        self.next = self.next.max(until);
    }

    /// Stops the transmissions: the message has arrived. It is not given up, either.
    #[cfg(feature = "initiator")]
    pub(crate) const fn stop(&mut self) {
        self.transmissions = MRP_MAX_TRANSMISSIONS;
        self.next = NEVER;
    }

    /// Makes the next transmission due, as the wait has ended. Returns false if there is none: the
    /// message is given up.
    pub(super) const fn repeat(&mut self) -> bool {
        if self.transmissions >= MRP_MAX_TRANSMISSIONS {
            return false;
        }
        if self.transmissions > 0 && matches!(self.silence, Silence::No) {
            self.silence = Silence::Untold;
        }
        self.ahead = false;
        self.transmissions = self.transmissions.saturating_add(1);
        true
    }

    /// Makes the next transmission due ahead of its time. Returns false if that was done for the
    /// last one already, or if there is none.
    pub(super) const fn repeat_ahead(&mut self) -> bool {
        if self.ahead || self.transmissions >= MRP_MAX_TRANSMISSIONS {
            return false;
        }
        self.ahead = true;
        self.transmissions = self.transmissions.saturating_add(1);
        true
    }

    /// Notes that a transmission was taken. `wait`: how long to wait after so many repetitions.
    pub(super) fn taken(&mut self, now: Instant, wait: impl FnOnce(u8) -> Duration) {
        // One that is made ahead of its time does not bring the later ones forward.
        let since = if self.ahead { now.max(self.next) } else { now };
        self.next = since + wait(self.transmissions.saturating_sub(1));
    }

    /// Waits no longer than `wait` says, as the peer listens from now on. Returns true if the wait
    /// has ended thereby: the next transmission is due. Without one left, the message is given up
    /// after that wait.
    pub(crate) fn hasten(&mut self, now: Instant, wait: impl FnOnce(u8) -> Duration) -> bool {
        let until = now + wait(self.transmissions.saturating_sub(1));
        // The wait is no longer than that to a peer that listens: nothing has changed. Nor has it if
        // nothing is waited for.
        if self.next <= until || self.is_stopped() {
            return false;
        }
        if self.transmissions >= MRP_MAX_TRANSMISSIONS {
            self.next = until;
            return false;
        }
        self.next = now;
        true
    }

    /// Makes the next transmission due. The peer was not silent: it did not listen.
    pub(super) const fn repeat_for_sleeper(&mut self) {
        self.ahead = false;
        self.transmissions = self.transmissions.saturating_add(1);
    }

    /// Returns true if the transmissions were stopped.
    fn is_stopped(&self) -> bool {
        self.next == NEVER
    }

    /// Waits until this time, unless the transmissions were stopped.
    pub(super) fn postpone(&mut self, next: Instant) {
        if !self.is_stopped() {
            self.next = next;
        }
    }

    /// Returns true if more than one transmission was due.
    pub(super) const fn is_repeated(&self) -> bool {
        self.transmissions > 1
    }

    pub(super) const fn is_silent(&self) -> bool {
        matches!(self.silence, Silence::Untold)
    }

    pub(super) const fn take_silence(&mut self) -> bool {
        let is_silent = self.is_silent();
        if is_silent {
            self.silence = Silence::Told;
        }
        is_silent
    }
}
