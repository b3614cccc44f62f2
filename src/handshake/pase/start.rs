//! The parameters of a PASE initiator.

use crate::crypto::{Passcode, PbkdfParameters};
use crate::ids::LocalSessionId;
use crate::session::SessionParameters;

/// The parameters of a [`PaseClient`](super::PaseClient).
#[derive(Debug)]
pub struct PaseStart<'a> {
    pub(super) passcode: Passcode,
    pub(super) known: Option<PbkdfParameters>,
    pub(super) local: LocalSessionId,
    pub(super) parameters: &'a SessionParameters,
}

impl<'a> PaseStart<'a> {
    /// Makes the parameters for PASE with the device that has this passcode.
    ///
    /// `local` must not be in use by another session or handshake. `parameters` are this node's
    /// own.
    #[must_use]
    pub const fn new(
        passcode: Passcode,
        local: LocalSessionId,
        parameters: &'a SessionParameters,
    ) -> Self {
        Self { passcode, known: None, local, parameters }
    }

    /// Sets the PBKDF parameters of the device, if they are known from an earlier handshake. The
    /// device then does not send them.
    #[must_use]
    pub const fn with_pbkdf(mut self, parameters: Option<PbkdfParameters>) -> Self {
        self.known = parameters;
        self
    }
}
