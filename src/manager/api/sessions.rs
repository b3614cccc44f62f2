//! Secure sessions: finding and closing them.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{FabricIndex, LocalSessionId, Peer};
use crate::manager::SessionManager;
use crate::manager::error::NoPaseSession;
use crate::manager::event::CloseReason;
use crate::manager::handle::SessionHandle;
use crate::manager::sessions::SessionRef;
use crate::manager::storage::Storage;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Returns a secure session.
    #[must_use]
    pub fn session(&self, session: SessionHandle) -> Option<SessionRef<'_, C, T>> {
        self.sessions.get(session)
    }

    /// Returns the session that messages to a peer should use: the one that received a message of
    /// the peer last. A defunct session is returned only if there is no other.
    #[must_use]
    pub fn session_with(&self, peer: Peer) -> Option<SessionHandle> {
        self.sessions.best_of_peer(peer)
    }

    /// Returns all secure sessions, to find and to count them.
    #[must_use]
    pub const fn sessions(&self) -> Sessions<'_, C, S, T> {
        Sessions(self)
    }

    /// Returns the application's data of a session.
    #[must_use]
    pub fn data_mut(&mut self, session: SessionHandle) -> Option<&mut T> {
        self.sessions.data_mut(session)
    }

    /// Ties a PASE session to the fabric that was added over it: removing the fabric closes it.
    ///
    /// # Errors
    /// [`NoPaseSession`]; nothing has changed then.
    pub fn associate_fabric(
        &mut self,
        session: SessionHandle,
        fabric: FabricIndex,
    ) -> Result<(), NoPaseSession> {
        self.sessions.associate_fabric(session, fabric).then_some(()).ok_or(NoPaseSession)
    }

    /// Closes a session. Acknowledgements that are owed and a CloseSession are sent to the peer,
    /// and [`Event::Closed`](crate::Event::Closed) returns the application's data. Does nothing if
    /// the session is closed already.
    pub fn close_session(&mut self, cx: &mut Context<'_>, session: SessionHandle) {
        self.sessions.end(session, CloseReason::Local, cx.now, &mut self.delivery);
    }

    /// Closes all CASE sessions with a peer.
    pub fn close_sessions_with(&mut self, cx: &mut Context<'_>, peer: Peer) {
        self.sessions.end_peer(peer, cx.now, &mut self.delivery);
    }

    /// Closes all secure sessions, for example before a shutdown. Send what
    /// [`poll_transmit`](Self::poll_transmit) yields after it. At most
    /// [`max_replies`](crate::manager::Config::max_replies) peers (with
    /// [`Fixed`](crate::manager::Fixed) storage eight) are notified. Where there are more,
    /// [`close_session`](Self::close_session) a few at a time and send.
    pub fn close_sessions(&mut self, cx: &mut Context<'_>) {
        self.sessions.end_all(cx.now, &mut self.delivery);
    }
}

/// The secure sessions of a manager. See [`SessionManager::sessions`].
#[derive(Debug)]
pub struct Sessions<'a, C: Crypto, S: Storage, T>(&'a SessionManager<C, S, T>);

impl<C: Crypto, S: Storage, T> Clone for Sessions<'_, C, S, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Crypto, S: Storage, T> Copy for Sessions<'_, C, S, T> {}

impl<'a, C: Crypto, S: Storage, T> Sessions<'a, C, S, T> {
    /// Returns all secure sessions, by ascending local id.
    pub fn iter(self) -> impl Iterator<Item = SessionRef<'a, C, T>> + use<'a, C, S, T> {
        self.0.sessions.iter()
    }

    /// Returns the number of secure sessions.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.sessions.len()
    }

    /// Returns true if there is no secure session.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the secure session that has this local id now.
    #[must_use]
    pub fn by_id(self, local: LocalSessionId) -> Option<SessionHandle> {
        self.0.sessions.by_id(local)
    }

    /// Returns all CASE sessions with a peer, in no particular order. Messages to the peer should
    /// use [`session_with`](SessionManager::session_with).
    pub fn with_peer(self, peer: Peer) -> impl Iterator<Item = SessionHandle> + use<'a, C, S, T> {
        self.0.sessions.of_peer(peer)
    }

    /// Returns the PASE session, if there is one; the newest, if this node commissions several
    /// devices.
    #[must_use]
    pub fn pase(self) -> Option<SessionHandle> {
        self.0.sessions.pase()
    }

    /// Returns the number of open exchanges of all sessions.
    #[must_use]
    pub fn exchange_count(self) -> usize {
        self.0.sessions.exchange_count()
    }
}
