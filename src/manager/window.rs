//! The commissioning window: when PASE is served, to whom, and how often it may fail.
//!
//! [Core, "Commissioning Window"], [Core, "PASE: Responder"]

use core::time::Duration;

use super::handle::{HandshakeId, SessionHandle};
use super::storage::{Map, Place, Storage};
use super::{Event, SessionManager, WindowCloseReason, WindowError};
use crate::context::Context;
use crate::crypto::{Crypto, CryptoError, Passcode, PbkdfParameters, Verifier};
use crate::handshake::HandshakeError;
use crate::time::Instant;

/// How many attempts with a wrong passcode close the window.
const MAX_FAILURES: u8 = 20;

/// What a commissioning window is opened with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommissioningWindow {
    /// The verifier of the passcode.
    pub verifier: Verifier,
    /// The parameters that the verifier was generated with.
    pub pbkdf: PbkdfParameters,
    /// When the window closes by itself; `None` to keep it open. The specification allows 3 to
    /// 15 minutes once a device is commissioned.
    pub duration: Option<Duration>,
}

impl CommissioningWindow {
    /// A window for the passcode of a verifier, which was generated with these parameters. It
    /// stays open until it is closed.
    #[must_use]
    pub const fn new(verifier: Verifier, pbkdf: PbkdfParameters) -> Self {
        Self { verifier, pbkdf, duration: None }
    }

    /// Closes the window by itself after this time. The specification allows 3 to 15 minutes once
    /// a device is commissioned.
    #[must_use]
    pub const fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }
}

#[derive(Debug)]
pub(super) struct OpenWindow {
    pub(super) verifier: Verifier,
    pub(super) pbkdf: PbkdfParameters,
    closes: Option<Instant>,
    failures: u8,
    /// The handshake being served, if any.
    pub(super) serving: Option<HandshakeId>,
}

impl OpenWindow {
    pub(super) const fn closes(&self) -> Option<Instant> {
        self.closes
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Opens the commissioning window: whoever knows the passcode can establish a PASE session,
    /// one at a time. Twenty failed attempts close it.
    ///
    /// # Errors
    /// [`WindowError`]; nothing changes then.
    pub fn open_commissioning_window(
        &mut self,
        cx: &mut Context<'_>,
        window: CommissioningWindow,
    ) -> Result<(), WindowError> {
        if !self.window.is_vacant() {
            return Err(WindowError::Open);
        }
        if self.is_backlogged() {
            return Err(WindowError::Backlog);
        }
        let CommissioningWindow { verifier, pbkdf, duration } = window;
        let closes = duration.map(|duration| cx.now + duration);
        let window = OpenWindow { verifier, pbkdf, closes, failures: 0, serving: None };
        self.window = Place::Taken(window);
        log_info!("commissioning window opened");
        Ok(())
    }

    /// Opens the commissioning window for a passcode that this node knows: draws a salt and
    /// computes the verifier, with the fewest iterations that the specification allows. A device
    /// that ships with a verifier uses
    /// [`open_commissioning_window`](Self::open_commissioning_window).
    ///
    /// # Errors
    /// [`WindowError`].
    #[inline(never)]
    pub fn open_commissioning_window_for(
        &mut self,
        cx: &mut Context<'_>,
        passcode: &Passcode,
        duration: Option<Duration>,
    ) -> Result<(), WindowError> {
        let pbkdf = PbkdfParameters::random(PbkdfParameters::MIN_ITERATIONS, cx.rng)
            .map_err(|_| CryptoError::Backend)?;
        let verifier = Verifier::generate(&self.crypto, passcode, &pbkdf)?;
        let window = CommissioningWindow { verifier, pbkdf, duration };
        self.open_commissioning_window(cx, window)
    }

    /// Closes the commissioning window. A handshake that is being served ends, which the peer is
    /// told once; an established PASE session stays.
    pub fn close_commissioning_window(&mut self) {
        let serving = self.window.get().and_then(|window| window.serving);
        self.window = Place::Vacant;
        if let Some(id) = serving {
            if self.handshakes.get(&id).is_some_and(|slot| slot.ended.is_none()) {
                self.report_failure(id, &HandshakeError::WindowClosed);
            }
            self.drop_handshake(id);
        }
    }

    /// Whether the commissioning window is open.
    #[must_use]
    pub const fn is_commissioning_window_open(&self) -> bool {
        !self.window.is_vacant()
    }

    /// Whether PASE is being served, or a session that came of it still lives.
    pub(super) fn is_commissioning(&self) -> bool {
        self.window.get().is_some_and(|window| window.serving.is_some())
            || self.commissioned.is_some_and(|session| self.sessions.get(session).is_some())
    }

    /// Takes note of the end of a handshake that the window served. `attempted`: the peer had
    /// the means to test a passcode.
    pub(super) fn served(
        &mut self,
        id: HandshakeId,
        session: Option<SessionHandle>,
        attempted: bool,
    ) {
        let Some(window) = self.window.get_mut().filter(|window| window.serving == Some(id)) else {
            return;
        };
        window.serving = None;
        self.commissioned = session.or(self.commissioned);
        if session.is_none() && attempted {
            window.failures = window.failures.saturating_add(1);
            if window.failures >= MAX_FAILURES {
                self.expire_window(WindowCloseReason::TooManyFailures);
            }
        }
    }

    pub(super) fn expire_window(&mut self, reason: WindowCloseReason) {
        self.close_commissioning_window();
        self.tell(Event::WindowClosed { reason });
    }
}
