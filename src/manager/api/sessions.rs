//! Secure sessions: finding and closing them.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{FabricIndex, LocalSessionId, Peer, ProtocolId};
use crate::manager::SessionManager;
use crate::manager::error::NoPaseSession;
use crate::manager::event::CloseReason;
use crate::manager::handle::{ExchangeHandle, SessionHandle};
use crate::manager::sessions::SessionRef;
use crate::manager::storage::Storage;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Returns a secure session.
    #[must_use]
    pub fn session(&self, session: SessionHandle) -> Option<SessionRef<'_, C, S, T>> {
        self.sessions.get(session, &self.node)
    }

    /// Returns the session that messages to a peer should use: the one that received a message of
    /// the peer last. No [defunct](SessionRef::is_defunct) session is returned: its peer does not
    /// answer, so connect again; nor one whose message counter is used up. Before, ask [`Handshakes::with_peer`](super::Handshakes::with_peer)
    /// whether a handshake is under way.
    #[must_use]
    pub fn session_with(&self, peer: Peer) -> Option<SessionHandle> {
        self.sessions.best_of_peer(peer)
    }

    /// Returns the application's data of a session.
    #[must_use]
    pub fn data_mut(&mut self, session: SessionHandle) -> Option<&mut T> {
        self.sessions.data_mut(session)
    }

    /// Closes a session. Acknowledgements that are owed and a CloseSession are sent to the peer,
    /// and [`Event::Closed`](crate::Event::Closed) returns the application's data. Does nothing if
    /// the session is closed already.
    pub fn close_session(&mut self, cx: &mut Context<'_>, session: SessionHandle) {
        self.sessions.end(session, CloseReason::Local, cx.now, &mut self.delivery);
    }

    /// Returns all secure sessions, to find, list and count them.
    #[must_use]
    pub const fn sessions(&self) -> Sessions<&Self> {
        Sessions(self)
    }

    /// Returns all secure sessions, to close several at once.
    #[must_use]
    pub const fn sessions_mut(&mut self) -> Sessions<&mut Self> {
        Sessions(self)
    }
}

/// The secure sessions of a manager borrowed as `M`: shared to find, list and count them, mutably
/// to close several at once. See [`SessionManager::sessions`] and
/// [`SessionManager::sessions_mut`].
#[derive(Clone, Copy, Debug)]
pub struct Sessions<M>(M);

impl<'a, C: Crypto, S: Storage, T: Default> Sessions<&'a SessionManager<C, S, T>> {
    /// Returns all secure sessions, by ascending local id.
    pub fn iter(self) -> impl Iterator<Item = SessionRef<'a, C, S, T>> + use<'a, C, S, T> {
        self.0.sessions.iter(&self.0.node)
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

    /// Returns the number of open exchanges of all sessions.
    #[must_use]
    pub fn exchange_count(self) -> usize {
        self.0.sessions.exchange_count()
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

    /// Returns the length in bytes of the longest payload that can be sent on an exchange now, with
    /// this protocol.
    #[must_use]
    pub fn max_payload(self, exchange: ExchangeHandle, protocol: ProtocolId) -> Option<usize> {
        self.0.sessions.max_payload(exchange, protocol, &self.0.node)
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<&mut SessionManager<C, S, T>> {
    /// Ties a PASE session to the fabric that was added over it: removing the fabric closes it.
    ///
    /// # Errors
    /// [`NoPaseSession`]; nothing has changed then.
    pub fn associate_fabric(
        &mut self,
        session: SessionHandle,
        fabric: FabricIndex,
    ) -> Result<(), NoPaseSession> {
        self.0.sessions.associate_fabric(session, fabric).then_some(()).ok_or(NoPaseSession)
    }

    /// Closes a session as soon as no exchange on it is left, with
    /// [`CloseReason::Local`]: when the application has closed them, and what it sent is
    /// acknowledged or given up. From now on no exchange begins on it, and it is not offered. Does
    /// nothing if the session is closed already.
    pub fn close_when_settled(&mut self, session: SessionHandle) {
        let SessionManager { sessions, delivery, .. } = &mut *self.0;
        sessions.end_when_settled(session, CloseReason::Local, delivery);
    }

    /// Closes all CASE sessions with a peer, as
    /// [`close_session`](SessionManager::close_session) does.
    pub fn close_with_peer(&mut self, cx: &mut Context<'_>, peer: Peer) {
        let SessionManager { sessions, delivery, .. } = &mut *self.0;
        sessions.end_peer(peer, cx.now, delivery);
    }

    /// Closes all secure sessions, for example before a shutdown. Send what
    /// [`poll_transmit`](SessionManager::poll_transmit) yields after it. At most
    /// [`max_replies`](crate::manager::Config::max_replies) peers (with
    /// [`Fixed`](crate::manager::Fixed) storage eight) are notified. Where there are more,
    /// [`close_session`](SessionManager::close_session) a few at a time and send.
    pub fn close_all(&mut self, cx: &mut Context<'_>) {
        let SessionManager { sessions, delivery, .. } = &mut *self.0;
        sessions.end_all(cx.now, delivery);
    }
}
