//! Former methods of the manager, for the parts that still have none of their own.

use crate::crypto::Crypto;
use crate::manager::SessionManager;
use crate::manager::event::CloseReason;
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::storage::Storage;
use crate::session::SecureSession;
use crate::time::Instant;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    pub(in crate::manager) fn add_session(
        &mut self,
        session: SecureSession<C>,
        address: PeerAddress,
        now: Instant,
    ) -> Option<SessionHandle> {
        self.sessions.add(session, address, now, &mut self.delivery, &self.node)
    }

    pub(in crate::manager) fn end_session(
        &mut self,
        session: SessionHandle,
        reason: CloseReason,
        now: Instant,
    ) {
        self.sessions.end(session, reason, now, &mut self.delivery);
    }
}
