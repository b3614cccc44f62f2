//! The commissioning window.

use core::time::Duration;

use crate::context::Context;
use crate::crypto::{Crypto, Passcode};
use crate::manager::SessionManager;
use crate::manager::error::WindowError;
use crate::manager::handshakes::CommissioningWindow;
use crate::manager::storage::Storage;
use crate::time::Instant;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Opens the commissioning window: a peer that knows the passcode can establish a PASE
    /// session, one peer at a time. Twenty failed attempts close the window.
    ///
    /// # Errors
    /// [`WindowError`]; nothing changes then.
    pub fn open_commissioning_window(
        &mut self,
        now: Instant,
        window: CommissioningWindow,
    ) -> Result<(), WindowError> {
        self.handshakes.open_window(now, window, &self.delivery)
    }

    /// Opens the commissioning window for a passcode that this node knows: draws a salt and
    /// computes the verifier, with the fewest iterations that the specification allows. A device
    /// that ships with a verifier uses
    /// [`open_commissioning_window`](Self::open_commissioning_window).
    ///
    /// # Errors
    /// [`WindowError`].
    pub fn open_commissioning_window_for(
        &mut self,
        cx: &mut Context<'_>,
        passcode: &Passcode,
        duration: Option<Duration>,
    ) -> Result<(), WindowError> {
        self.handshakes.open_window_for(&self.crypto, cx, passcode, duration, &self.delivery)
    }

    /// Closes the commissioning window. The handshake that it serves ends, with one report to the
    /// peer. An established PASE session stays.
    pub fn close_commissioning_window(&mut self) {
        self.handshakes.close_window(&mut self.delivery);
    }

    /// Returns true if the commissioning window is open.
    #[must_use]
    pub const fn is_commissioning_window_open(&self) -> bool {
        self.handshakes.is_window_open()
    }
}
