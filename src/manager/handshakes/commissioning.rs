//! How the commissioning window opens, serves handshakes and closes.

use core::time::Duration;

use crate::context::Context;
use crate::crypto::{Crypto, CryptoError, Passcode, PbkdfParameters, Verifier};
use crate::handshake::HandshakeError;
use crate::manager::delivery::Delivery;
use crate::manager::error::WindowError;
use crate::manager::event::{Event, WindowCloseReason};
use crate::manager::handle::{HandshakeId, PeerAddress};
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::window::{CommissioningWindow, OpenWindow};
use crate::manager::storage::{Map, Storage};
use crate::time::Instant;

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Opens the commissioning window.
    pub(in crate::manager) fn open_window<T>(
        &mut self,
        now: Instant,
        window: CommissioningWindow,
        delivery: &mut Delivery<S, T>,
    ) -> Result<(), WindowError> {
        self.window_timeout(now, delivery);
        if !self.window.is_vacant() {
            return Err(WindowError::Open);
        }
        if delivery.is_backlogged() {
            return Err(WindowError::Backlog);
        }
        if !window.has_usual_duration() {
            return Err(WindowError::Duration);
        }
        self.window.set(OpenWindow::new(window, now));
        log_info!("commissioning window opened");
        Ok(())
    }

    /// Draws a salt, computes the verifier of a passcode and opens the commissioning window.
    #[inline(never)]
    pub(in crate::manager) fn open_window_for<T>(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        passcode: &Passcode,
        duration: Option<Duration>,
        delivery: &mut Delivery<S, T>,
    ) -> Result<(), WindowError> {
        let pbkdf = PbkdfParameters::random(PbkdfParameters::MIN_ITERATIONS, cx.rng)
            .map_err(|_| CryptoError::Backend)?;
        let verifier = Verifier::generate(crypto, passcode, &pbkdf)?;
        let window = CommissioningWindow { duration, ..CommissioningWindow::new(verifier, pbkdf) };
        self.open_window(cx.now, window, delivery)
    }

    /// Closes the commissioning window. The handshake that it serves ends without an event.
    pub(in crate::manager) fn close_window<T>(&mut self, delivery: &mut Delivery<S, T>) {
        let served = self.served();
        // It is dropped in its place, as a move would leave a copy of the verifier behind.
        self.window.clear();
        if let Some(id) = served {
            if self.slots.get(&id).is_some_and(|slot| slot.ended.is_none()) {
                self.report_failure(id, &HandshakeError::WindowClosed, delivery);
            }
            self.discard(id, delivery);
        }
    }

    /// Returns true if the commissioning window is open.
    pub(in crate::manager) const fn is_window_open(&self) -> bool {
        !self.window.is_vacant()
    }

    /// Returns the time at which the commissioning window closes by itself.
    pub(in crate::manager) fn poll_timeout(&self) -> Option<Instant> {
        self.window.get().and_then(|window| window.closes)
    }

    /// Closes the commissioning window if its time is over.
    pub(in crate::manager) fn window_timeout<T>(
        &mut self,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        if self.poll_timeout().is_some_and(|closes| now >= closes) {
            self.close_window(delivery);
            delivery.push_event(Event::WindowClosed { reason: WindowCloseReason::Expired });
        }
    }

    /// Returns how long the session stays that the commissioning window serves, unless the
    /// application says otherwise.
    pub(in crate::manager) fn fail_safe(&self) -> Option<Duration> {
        self.window.get().and_then(|window| window.fail_safe)
    }

    /// Returns the handshake that the commissioning window serves.
    pub(super) fn served(&self) -> Option<HandshakeId> {
        self.window.get().and_then(|window| window.serving)
    }

    /// Takes note of the end of a handshake. Returns true if the commissioning window served it.
    pub(super) fn end_serving(&mut self, id: HandshakeId) -> bool {
        let served = self.window.get_mut().filter(|window| window.serving == Some(id));
        served.is_some_and(|window| {
            window.serving = None;
            true
        })
    }

    /// Takes note of the end of a handshake without a session, and of the peer if it fell silent.
    /// `attempted`: the peer had the means to test a passcode. After too many such attempts the
    /// window closes.
    pub(super) fn serving_failed<T>(
        &mut self,
        id: HandshakeId,
        attempted: bool,
        silent: Option<PeerAddress>,
        delivery: &mut Delivery<S, T>,
    ) {
        if !self.end_serving(id) {
            return;
        }
        if let (Some(window), Some(_)) = (self.window.get_mut(), silent) {
            window.fell_silent = silent;
        }
        if !attempted {
            return;
        }
        // The window serves nobody now, so that no handshake ends with it.
        if self.window.get_mut().is_some_and(OpenWindow::count_failure) {
            self.window.clear();
            delivery.push_event(Event::WindowClosed { reason: WindowCloseReason::TooManyFailures });
        }
    }
}
