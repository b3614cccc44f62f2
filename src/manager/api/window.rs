//! The commissioning window.

use core::time::Duration;

use crate::context::Context;
use crate::crypto::{Crypto, Passcode};
use crate::manager::SessionManager;
use crate::manager::error::{NoPaseSession, WindowError};
use crate::manager::handshakes::CommissioningWindow;
use crate::manager::storage::Storage;

/// The commissioning window, to open and close it. See [`SessionManager::window`].
#[derive(Debug)]
pub struct Window<'a, C: Crypto, S: Storage, T>(&'a mut SessionManager<C, S, T>);

impl<C: Crypto, S: Storage, T> SessionManager<C, S, T> {
    /// Returns the commissioning window, to open and close it.
    pub const fn window(&mut self) -> Window<'_, C, S, T> {
        Window(self)
    }
}

impl<C: Crypto, S: Storage, T: Default> Window<'_, C, S, T> {
    /// Returns true if the commissioning window is open. When its time is over, it serves nobody,
    /// and counts as closed from the next call on that is given the time.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.0.handshakes.is_window_open()
    }

    /// Opens the commissioning window: a peer that knows the passcode can establish a PASE
    /// session, one peer at a time. Twenty failed attempts close the window. The session ends after 60
    /// seconds, unless the peer arms its fail-safe: [`arm_fail_safe`](Self::arm_fail_safe).
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use matter_session::crypto::{Crypto, Verifier};
    /// use matter_session::{CommissioningWindow, Context, PbkdfParameters};
    /// use matter_session::{SessionManager, Storage};
    ///
    /// /// Opens the window for 15 minutes. The factory wrote the verifier, the iterations and the
    /// /// salt. The passcode is on the label only.
    /// fn commission<C: Crypto, S: Storage>(
    ///     node: &mut SessionManager<C, S>,
    ///     cx: &mut Context<'_>,
    ///     verifier: &[u8; Verifier::LEN],
    ///     (iterations, salt): (u32, &[u8]),
    /// ) -> Option<()> {
    ///     let verifier = Verifier::from_bytes(verifier).ok()?;
    ///     let pbkdf = PbkdfParameters::new(iterations, salt).ok()?;
    ///     let window = CommissioningWindow::new(verifier, pbkdf)
    ///         .with_duration(Duration::from_secs(15 * 60));
    ///     node.window().open(cx, window).ok()
    /// }
    /// ```
    ///
    /// # Errors
    /// [`WindowError`]; nothing changes then.
    pub fn open(
        &mut self,
        cx: &mut Context<'_>,
        window: CommissioningWindow,
    ) -> Result<(), WindowError> {
        self.0.handshakes.open_window(cx.now, window, &mut self.0.delivery)
    }

    /// Opens the commissioning window for a passcode that this node knows: draws a salt and
    /// computes the verifier, with the fewest iterations that the specification allows. A device
    /// that ships with a verifier uses [`open`](Self::open).
    ///
    /// This call is long: half a second on a Cortex-M4 at 64 MHz. Where that is too long, compute the
    /// verifier with a [`VerifierDraft`](crate::crypto::VerifierDraft), and [open](Self::open) the
    /// window with it.
    ///
    /// `duration` is 180 to 900 seconds; with `None` the window stays open until it is closed.
    ///
    /// # Errors
    /// [`WindowError`].
    pub fn open_for(
        &mut self,
        cx: &mut Context<'_>,
        passcode: &Passcode,
        duration: Option<Duration>,
    ) -> Result<(), WindowError> {
        let SessionManager { crypto, handshakes, delivery, .. } = &mut *self.0;
        handshakes.open_window_for(crypto, cx, passcode, duration, delivery)
    }

    /// Sets when the fail-safe of the PASE session expires that the window has served: this long
    /// from now, or never. Call it when the commissioner arms its fail-safe (`ArmFailSafe`; a
    /// duration of zero ends the session at once), and with `None` when the session shall stay until
    /// it is closed. By default it expires 60 seconds after the session was established:
    /// [`CommissioningWindow::with_fail_safe`].
    ///
    /// The manager ends the session, and nothing else. A fabric that the commissioner has added is
    /// the application's to undo, also if the session ended earlier: keep a timer for it.
    ///
    /// When commissioning is complete, [close](SessionManager::close_session) the session.
    ///
    /// # Errors
    /// [`NoPaseSession`]; nothing has changed then.
    pub fn arm_fail_safe(
        &mut self,
        cx: &mut Context<'_>,
        duration: Option<Duration>,
    ) -> Result<(), NoPaseSession> {
        let SessionManager { sessions, delivery, .. } = &mut *self.0;
        sessions.fail_safe_timeout(cx.now, delivery);
        if !sessions.set_fail_safe(duration.map(|duration| cx.now + duration)) {
            return Err(NoPaseSession);
        }
        sessions.fail_safe_timeout(cx.now, delivery);
        Ok(())
    }

    /// Closes the commissioning window. The handshake that it serves ends, with one report to the
    /// peer. An established PASE session stays.
    pub fn close(&mut self) {
        self.0.handshakes.close_window(&mut self.0.delivery);
    }
}
