//! What the initiator of PASE starts with.

use crate::crypto::{Passcode, PbkdfParameters};
use crate::ids::LocalSessionId;
use crate::session::SessionParameters;

/// What a [`PaseClient`](super::PaseClient) starts with.
#[derive(Debug)]
pub struct PaseStart<'a> {
    pub(super) passcode: Passcode,
    pub(super) known: Option<PbkdfParameters>,
    pub(super) local: LocalSessionId,
    pub(super) parameters: &'a SessionParameters,
}

impl<'a> PaseStart<'a> {
    /// PASE with the device that has this passcode.
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
    /// device does not send them then.
    #[must_use]
    pub const fn with_known(mut self, parameters: Option<PbkdfParameters>) -> Self {
        self.known = parameters;
        self
    }
}
