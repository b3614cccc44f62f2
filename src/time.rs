//! Points in time, which the caller measures.
//!
//! The library reads no clock. [`Instant`] is the caller's monotonic clock and drives every timer;
//! [`MatterTime`] and [`WallClock`] are the calendar time, as far as the caller knows it. Only
//! the validity of certificates depends on it.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// A reading of the caller's monotonic clock, in milliseconds since an origin of its choice.
///
/// Arithmetic saturates: a clock that jumps back yields a zero duration, never a panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// Returns the instant `millis` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the time passed since `earlier`; zero if `earlier` lies in the future.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Adds a duration; parts of a millisecond are rounded up, so that no timer fires early.
    // In 64 bits: too long to stand wherever a deadline is set.
    #[inline(never)]
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(rounded_up(duration)))
    }
}

/// Returns the same as [`Duration::from_millis`], without a division of 64 bits where the processor
/// has none.
pub(crate) fn from_millis(millis: u64) -> Duration {
    if cfg!(target_pointer_width = "64") { Duration::from_millis(millis) } else { divided(millis) }
}

/// Returns the same as [`Duration::from_millis`] in divisions of 32 bits.
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn divided(millis: u64) -> Duration {
    let (mut seconds, mut rest) = (0_u64, 0_u32);
    let [a, b, c, d, e, f, g, h] = millis.to_be_bytes();
    for digit in [[a, b], [c, d], [e, f], [g, h]] {
        let part = rest << 16 | u32::from(u16::from_be_bytes(digit));
        seconds = seconds << 16 | u64::from(part / 1000);
        rest = part % 1000;
    }
    Duration::new(seconds, rest * 1_000_000)
}

/// Returns the least number of milliseconds that is no less than the duration, saturating.
pub(crate) const fn rounded_up(duration: Duration) -> u64 {
    let parts = duration.subsec_nanos().div_ceil(1_000_000);
    duration.as_secs().saturating_mul(1000).saturating_add(parts as u64)
}

/// Returns the same as [`Duration::as_millis`], saturating.
pub(crate) const fn as_millis(duration: Duration) -> u64 {
    let parts = duration.subsec_millis();
    duration.as_secs().saturating_mul(1000).saturating_add(parts as u64)
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1000, self.0 % 1000)
    }
}

/// A calendar time in whole seconds since 2000-01-01T00:00:00Z, the epoch of Matter certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MatterTime(u32);

impl MatterTime {
    /// Seconds from the Unix epoch to the Matter epoch.
    const EPOCH_UNIX_SECONDS: u64 = 946_684_800;

    /// Makes the time `seconds` after 2000-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Makes the time `seconds` after 1970-01-01T00:00:00Z; `None` before 2000 and after
    /// 2136-02-07.
    #[must_use]
    pub fn from_unix_seconds(seconds: u64) -> Option<Self> {
        let seconds = seconds.checked_sub(Self::EPOCH_UNIX_SECONDS)?;
        u32::try_from(seconds).ok().map(Self)
    }

    /// Reads the clock of the operating system; `None` if it is before 2000 or after 2136-02-07.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn now() -> Option<Self> {
        let since_unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self::from_unix_seconds(since_unix.ok()?.as_secs())
    }

    /// Seconds since 2000-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_seconds(self) -> u32 {
        self.0
    }

    /// Returns the first whole second that is `duration` or more later; `None` if no certificate
    /// can name it.
    pub(crate) fn checked_add(self, duration: Duration) -> Option<Self> {
        let more = u32::try_from(duration.as_secs()).ok()?;
        let begun = u32::from(duration.subsec_nanos() > 0);
        self.0.checked_add(more)?.checked_add(begun).map(Self)
    }

    /// Returns the time since `then`; zero if that is later.
    pub(crate) fn since(self, then: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(then.0).into())
    }
}

/// The calendar time, as far as the caller knows it, for the validity of certificates.
/// [`ValidityPolicy`](crate::cert::ValidityPolicy) says what follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WallClock {
    /// Unknown: validity periods are not checked.
    #[default]
    Unknown,
    /// The last time that is known to have passed, for example a build date. It refuses nothing by
    /// default: see [`ValidityPolicy::All`](crate::cert::ValidityPolicy::All).
    LastKnownGood(MatterTime),
    /// The present time: both ends of a validity period are checked, inclusively. By default, the
    /// periods of NOC and ICAC are.
    Known(MatterTime),
}

impl WallClock {
    /// Reads the clock of the operating system: [`Known`](Self::Known), or
    /// [`Unknown`](Self::Unknown) if it is before 2000.
    ///
    /// A machine without a battery for its clock starts with a wrong time until it has
    /// synchronised, and then refuses certificates that are valid. Pass
    /// [`LastKnownGood`](Self::LastKnownGood) until then.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn system() -> Self {
        MatterTime::now().map_or(Self::Unknown, Self::Known)
    }

    /// Returns a time that has passed for certain.
    pub(crate) const fn passed(self) -> Option<MatterTime> {
        match self {
            Self::Unknown => None,
            Self::LastKnownGood(time) | Self::Known(time) => Some(time),
        }
    }

    /// Returns the present time, if it is known.
    pub(crate) const fn present(self) -> Option<MatterTime> {
        match self {
            Self::Known(time) => Some(time),
            Self::Unknown | Self::LastKnownGood(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_made_as_core_makes_them() {
        for shift in 0..64 {
            for millis in
                [1_u64 << shift, (1_u64 << shift) - 1, 999_u64 << shift, u64::MAX >> shift]
            {
                let duration = Duration::from_millis(millis);
                assert_eq!([from_millis(millis), divided(millis)], [duration; 2], "{millis}");
                assert_eq!(as_millis(duration), millis);
            }
        }
        assert_eq!(as_millis(Duration::MAX), u64::MAX);
        let late = Instant::from_millis(5) + Duration::from_nanos(1_000_001);
        assert_eq!(late, Instant::from_millis(7));
        assert_eq!(late + Duration::MAX, Instant::from_millis(u64::MAX));
    }

    #[test]
    fn durations_round_up_and_saturate() {
        let t = Instant::from_millis(10);
        assert_eq!(t + Duration::from_micros(1), Instant::from_millis(11));
        assert_eq!(t + Duration::MAX, Instant::from_millis(u64::MAX));
        assert_eq!(t.saturating_since(Instant::from_millis(20)), Duration::ZERO);
    }

    #[test]
    fn the_present_is_known_or_not_and_the_past_is_known_of_both() {
        let time = MatterTime(7);
        let known = |wall: WallClock| (wall.passed(), wall.present());
        assert_eq!(known(WallClock::Unknown), (None, None));
        assert_eq!(known(WallClock::LastKnownGood(time)), (Some(time), None));
        assert_eq!(known(WallClock::Known(time)), (Some(time), Some(time)));
    }

    #[test]
    fn unix_time_outside_the_epoch_is_none() {
        assert_eq!(MatterTime::from_unix_seconds(946_684_799), None);
        assert_eq!(MatterTime::from_unix_seconds(946_684_800), Some(MatterTime(0)));
        assert_eq!(MatterTime::from_unix_seconds(u64::MAX), None);
    }
}
