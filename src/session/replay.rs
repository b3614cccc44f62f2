//! Replay windows: which message counters are new. Secure sessions have a longer one of their own.
//!
//! ```text
//!            before window │  in window: a bit each  │ max │ future
//! ... ──────────────────── max-33 ─ max-32 ... max-1 ─ max ─ max+1 ...
//!   secure:    duplicate        by bit             duplicate   new    plain comparison
//!   group:     duplicate        by bit             duplicate   new    modulo 2^32, up to 2^31
//!                                                                      from the first counter on
//!   unsecured: new              by bit             duplicate   new    modulo 2^32
//! ```
//! Checking and committing are two steps. A counter is committed when its message is known to be
//! authentic, or on an unsecured session when the message was processed.
//! [Core, "Message Reception State"]

use crate::ids::MessageCounter;

/// Number of counters below the largest one that a window remembers.
pub const WINDOW: u32 = 32;

/// The result of checking a counter with a [`ReplayWindow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Not seen before.
    New,
    /// Seen before, or too old to know.
    Duplicate,
}

/// The message reception state of one peer: its largest counter, and which of the 32 before it
/// have been seen.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    max: u32,
    /// Bit `k - 1` is set when `max - k` counts as seen.
    seen: u32,
    /// The upper half of the counter that a group window began with.
    start: u16,
    policy: Policy,
    synchronized: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// Never wraps: the session ends before.
    Secure,
    /// Wraps; what is not recent may come from a peer that has restarted.
    Unsecured,
    /// Wraps; what is not recent is old. All counters lie within half of the space from the first
    /// one on, so that none comes again, even if the sender's name is used to claim large ones.
    Group,
}

impl ReplayWindow {
    /// Makes the window of a secure unicast session as the specification has it: every counter from
    /// 1 is new. [`SecureSession`](super::SecureSession) remembers more.
    #[must_use]
    pub const fn secure() -> Self {
        Self { max: 0, seen: ALL, start: 0, policy: Policy::Secure, synchronized: true }
    }

    /// Makes the window of an unsecured session. It accepts any first counter, and those shortly
    /// before it, which a reordering network can deliver later.
    #[must_use]
    pub const fn unsecured() -> Self {
        Self { max: 0, seen: 0, start: 0, policy: Policy::Unsecured, synchronized: false }
    }

    /// Makes the window of a group sender that is trusted at first: it accepts any first counter,
    /// and none before it.
    ///
    /// A window of a group accepts two billion counters from its first one on, then no more. A
    /// sender's counters under one key never repeat, so keep a window for each key of each sender.
    #[must_use]
    pub const fn group_trust_first() -> Self {
        Self { max: 0, seen: ALL, start: 0, policy: Policy::Group, synchronized: false }
    }

    /// Makes the window of a group sender that has answered with its counter: larger ones are new.
    #[must_use]
    pub const fn group_at(counter: MessageCounter) -> Self {
        Self { seen: ALL, ..Self::group_before(counter) }
    }

    /// Makes a window in which the 32 counters before this one are new once.
    pub(crate) const fn group_before(counter: MessageCounter) -> Self {
        let max = counter.get();
        Self { max, seen: 0, start: upper(max), policy: Policy::Group, synchronized: true }
    }

    /// As [`group_trust_first`](Self::group_trust_first), but with nothing seen before the first
    /// counter, as recorded traces of other implementations have it. Open to replay.
    #[cfg(any(test, feature = "_test-util"))]
    #[must_use]
    pub const fn dangerous_group_empty() -> Self {
        Self { max: 0, seen: 0, start: 0, policy: Policy::Group, synchronized: false }
    }

    /// Counts a counter and all before it as seen.
    pub(crate) const fn settle(&mut self, counter: MessageCounter) {
        match self.position(counter.get()) {
            Position::First => *self = Self::group_at(counter),
            Position::Future(_) => {
                self.max = counter.get();
                self.seen = ALL;
            }
            Position::Max => self.seen = ALL,
            // The bits of older counters are greater.
            Position::Window(bit) => self.seen |= bit.wrapping_neg(),
            Position::Before => {}
        }
    }

    /// Checks a counter without remembering it.
    #[must_use]
    #[inline]
    pub const fn check(&self, counter: MessageCounter) -> Verdict {
        match self.position(counter.get()) {
            Position::Future(_) | Position::First => Verdict::New,
            Position::Max => Verdict::Duplicate,
            Position::Window(bit) if self.seen & bit == 0 => Verdict::New,
            Position::Window(_) => Verdict::Duplicate,
            Position::Before => match self.policy {
                Policy::Unsecured => Verdict::New,
                Policy::Secure | Policy::Group => Verdict::Duplicate,
            },
        }
    }

    /// Remembers a counter; a duplicate changes nothing.
    #[inline]
    pub const fn commit(&mut self, counter: MessageCounter) {
        let counter = counter.get();
        match self.position(counter) {
            Position::First => {
                self.max = counter;
                self.start = upper(counter);
                self.synchronized = true;
            }
            Position::Future(by) => {
                let moved = match self.seen.checked_shl(by) {
                    Some(seen) => seen,
                    None => 0,
                };
                let old_max = match 1_u32.checked_shl(by.wrapping_sub(1)) {
                    Some(bit) => bit,
                    None => 0,
                };
                self.seen = moved | old_max;
                self.max = counter;
            }
            Position::Window(bit) => self.seen |= bit,
            Position::Before if matches!(self.policy, Policy::Unsecured) => {
                self.max = counter;
                self.seen = 0;
            }
            Position::Max | Position::Before => {}
        }
    }

    #[inline]
    const fn position(&self, counter: u32) -> Position {
        if !self.synchronized {
            return Position::First;
        }
        let ahead = counter.wrapping_sub(self.max);
        let behind = self.max.wrapping_sub(counter);
        let is_future = match self.policy {
            Policy::Secure => counter > self.max,
            Policy::Unsecured => ahead <= FUTURE,
            Policy::Group => {
                ahead <= FUTURE && upper(counter).wrapping_sub(self.start) < GROUP_SPAN
            }
        };
        if ahead == 0 {
            Position::Max
        } else if is_future {
            Position::Future(ahead)
        } else if behind <= WINDOW {
            Position::Window(1 << behind.wrapping_sub(1))
        } else {
            Position::Before
        }
    }
}

/// Where a counter lies relative to the largest one.
#[derive(Clone, Copy)]
enum Position {
    /// No counter has been seen yet.
    First,
    /// Larger, by this much.
    Future(u32),
    /// The largest itself.
    Max,
    /// At most 32 smaller: this bit of the window.
    Window(u32),
    /// Smaller by more.
    Before,
}

const fn upper(counter: u32) -> u16 {
    let [a, b, _, _] = counter.to_be_bytes();
    u16::from_be_bytes([a, b])
}

const ALL: u32 = u32::MAX;
/// The largest advance that counts as one where counters wrap.
const FUTURE: u32 = (1 << 31) - 1;
/// The counters of a group window lie within half of the space, in units of 2^16. Counters before
/// the first one are then never ahead: they are more than half of the space away.
const GROUP_SPAN: u16 = 1 << 15;
