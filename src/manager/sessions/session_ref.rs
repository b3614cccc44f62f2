//! A secure session as the application sees it.

use core::fmt;

use crate::crypto::Crypto;
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::sessions::entry::Entry;
use crate::session::SecureSession;

/// A secure session of a manager.
pub struct SessionRef<'a, C: Crypto, T> {
    pub(super) entry: &'a Entry<C, T>,
    pub(super) defunct: bool,
}

impl<'a, C: Crypto, T> SessionRef<'a, C, T> {
    /// Returns the handle of the session.
    #[must_use]
    pub const fn handle(&self) -> SessionHandle {
        self.entry.handle()
    }

    /// Returns the session itself: kind, identities, peer parameters, attestation challenge, times.
    #[must_use]
    pub const fn session(&self) -> &'a SecureSession<C> {
        &self.entry.session
    }

    /// Returns the address that the newest message of the peer came from.
    #[must_use]
    pub const fn peer_address(&self) -> PeerAddress {
        self.entry.address
    }

    /// Returns true if the peer left a message unacknowledged and no message of it was received
    /// since.
    #[must_use]
    pub const fn is_defunct(&self) -> bool {
        self.defunct
    }

    /// Returns true if the session closes as soon as it has no exchange. None can be opened on it.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.entry.closing.is_some()
    }

    /// Returns the application's data.
    #[must_use]
    pub const fn data(&self) -> &'a T {
        &self.entry.data
    }
}

impl<C: Crypto, T> fmt::Debug for SessionRef<'_, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}
