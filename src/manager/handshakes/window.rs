//! The commissioning window: when PASE is served, to whom, and how often it may fail.
//!
//! [Core, "Commissioning Window"], [Core, "PASE: Responder"]

use core::time::Duration;

use crate::crypto::{PbkdfParameters, Verifier};
use crate::manager::handle::{HandshakeId, PeerAddress};
use crate::time::Instant;

/// Number of attempts with a wrong passcode that closes the window.
const MAX_FAILURES: u8 = 20;

/// The settings that a commissioning window is opened with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommissioningWindow {
    /// The verifier of the passcode.
    pub verifier: Verifier,
    /// The parameters that the verifier was generated with.
    pub pbkdf: PbkdfParameters,
    /// The time after which the window closes by itself; `None` to keep it open. The
    /// specification allows 3 to 15 minutes once a device is commissioned.
    pub duration: Option<Duration>,
}

impl CommissioningWindow {
    /// Returns a window for the passcode of a verifier, which was generated with these parameters.
    /// It stays open until it is closed.
    #[must_use]
    pub const fn new(verifier: Verifier, pbkdf: PbkdfParameters) -> Self {
        Self { verifier, pbkdf, duration: None }
    }

    /// Limits the time that the window is open. The specification allows 3 to 15 minutes once a
    /// device is commissioned.
    #[must_use]
    pub const fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }
}

/// An open commissioning window.
#[derive(Debug)]
pub(in crate::manager) struct OpenWindow {
    pub(in crate::manager) verifier: Verifier,
    pub(in crate::manager) pbkdf: PbkdfParameters,
    pub(in crate::manager) closes: Option<Instant>,
    failures: u8,
    /// The handshake being served, if any.
    pub(in crate::manager) serving: Option<HandshakeId>,
    /// The peer whose handshake fell silent last.
    pub(in crate::manager) fell_silent: Option<PeerAddress>,
}

impl OpenWindow {
    pub(in crate::manager) fn new(window: CommissioningWindow, now: Instant) -> Self {
        let CommissioningWindow { verifier, pbkdf, duration } = window;
        let closes = duration.map(|duration| now + duration);
        Self { verifier, pbkdf, closes, failures: 0, serving: None, fell_silent: None }
    }

    /// Counts a failed attempt. Returns true if the window is to close.
    pub(in crate::manager) const fn count_failure(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= MAX_FAILURES
    }
}
