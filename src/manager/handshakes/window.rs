//! The commissioning window: when PASE is served, to whom, and how often it may fail.
//!
//! [Core, "Commissioning Window"], [Core, "PASE: Responder"]

use core::ops::RangeInclusive;
use core::time::Duration;

use crate::crypto::{PbkdfParameters, Verifier};
use crate::manager::handle::{HandshakeId, PeerAddress};
use crate::time::Instant;

/// Number of attempts with a wrong passcode that closes the window.
const MAX_FAILURES: u8 = 20;

/// How long a window may be open.
const DURATIONS: RangeInclusive<Duration> = Duration::from_secs(180)..=Duration::from_secs(900);

/// How long a PASE session stays if its peer does not extend that.
const FAIL_SAFE: Duration = Duration::from_secs(60);

/// The settings that a commissioning window is opened with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommissioningWindow {
    /// The verifier of the passcode.
    pub verifier: Verifier,
    /// The parameters that the verifier was generated with.
    pub pbkdf: PbkdfParameters,
    /// The time after which the window closes by itself: 180 to 900 seconds, unless
    /// [`with_any_duration`](Self::with_any_duration) says otherwise. `None` to keep it open.
    pub duration: Option<Duration>,
    /// Whether `duration` may be any.
    pub any_duration: bool,
    /// How long a PASE session stays that the window has served: 60 seconds by default. See
    /// [`with_fail_safe`](Self::with_fail_safe).
    pub fail_safe: Option<Duration>,
}

impl CommissioningWindow {
    /// Returns a window for the passcode of a verifier, which was generated with these parameters.
    /// It stays open until it is closed.
    #[must_use]
    pub const fn new(verifier: Verifier, pbkdf: PbkdfParameters) -> Self {
        Self { verifier, pbkdf, duration: None, any_duration: false, fail_safe: Some(FAIL_SAFE) }
    }

    /// Limits the time that the window is open: 180 to 900 seconds. A window of another duration is
    /// not opened. [Core, "Commissioning Window"]
    #[must_use]
    pub const fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// Limits the time that the window is open, to any duration. The specification allows more than
    /// 15 minutes before a device is commissioned for the first time, with an announcement that
    /// says so.
    #[must_use]
    pub const fn with_any_duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self.any_duration = true;
        self
    }

    /// Sets how long a PASE session stays that the window has served: 60 seconds by default. Then
    /// the manager closes the session
    /// ([`CloseReason::FailSafeExpired`](crate::manager::CloseReason::FailSafeExpired)), so that a
    /// commissioner that has died does not keep others out. The application extends that time with
    /// [`Window::arm_fail_safe`](crate::manager::Window::arm_fail_safe) when the commissioner does.
    /// With `None` the session stays until the application or the peer closes it.
    /// [Core, "Fail-Safe Context"]
    #[must_use]
    pub const fn with_fail_safe(mut self, fail_safe: Option<Duration>) -> Self {
        self.fail_safe = fail_safe;
        self
    }

    /// Returns true if a window may be open for so long.
    pub(super) fn has_usual_duration(&self) -> bool {
        self.any_duration || self.duration.is_none_or(|duration| DURATIONS.contains(&duration))
    }
}

/// An open commissioning window.
#[derive(Debug)]
pub(in crate::manager) struct OpenWindow {
    pub(in crate::manager) verifier: Verifier,
    pub(in crate::manager) pbkdf: PbkdfParameters,
    pub(in crate::manager) closes: Option<Instant>,
    pub(super) fail_safe: Option<Duration>,
    failures: u8,
    /// The handshake being served, if any.
    pub(in crate::manager) serving: Option<HandshakeId>,
    /// The peer whose handshake fell silent last.
    pub(in crate::manager) fell_silent: Option<PeerAddress>,
}

impl OpenWindow {
    pub(in crate::manager) fn new(window: CommissioningWindow, now: Instant) -> Self {
        let CommissioningWindow { verifier, pbkdf, duration, fail_safe, .. } = window;
        let closes = duration.map(|duration| now + duration);
        Self { verifier, pbkdf, closes, fail_safe, failures: 0, serving: None, fell_silent: None }
    }

    /// Counts a failed attempt. Returns true if the window is to close.
    pub(in crate::manager) const fn count_failure(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= MAX_FAILURES
    }
}
