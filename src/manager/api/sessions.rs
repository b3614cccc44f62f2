//! Secure sessions: finding and closing them.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{FabricIndex, LocalSessionId, NodeId};
use crate::manager::SessionManager;
use crate::manager::event::CloseReason;
use crate::manager::handle::{Peer, SessionHandle};
use crate::manager::sessions::SessionRef;
use crate::manager::storage::Storage;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Returns a secure session.
    #[must_use]
    pub fn session(&self, session: SessionHandle) -> Option<SessionRef<'_, C, T>> {
        self.sessions.get(session)
    }

    /// Returns the secure session that has this local id now.
    #[must_use]
    pub fn session_by_id(&self, local: LocalSessionId) -> Option<SessionHandle> {
        self.sessions.by_id(local)
    }

    /// Returns all secure sessions, by ascending local id.
    pub fn sessions(&self) -> impl Iterator<Item = SessionRef<'_, C, T>> {
        self.sessions.iter()
    }

    /// Returns the number of secure sessions.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Returns the session that messages to a peer should use: the one that received a message of
    /// the peer last. A defunct session is returned only if there is no other.
    #[must_use]
    pub fn session_with(&self, fabric: FabricIndex, node: NodeId) -> Option<SessionHandle> {
        self.sessions.best_of_peer(Peer { fabric, node })
    }

    /// Returns all CASE sessions with a peer, in no particular order.
    pub fn by_peer(
        &self,
        fabric: FabricIndex,
        node: NodeId,
    ) -> impl Iterator<Item = SessionHandle> {
        self.sessions.of_peer(Peer { fabric, node })
    }

    /// Returns the PASE session, if there is one; the newest, if this node commissions several
    /// devices.
    #[must_use]
    pub fn pase_session(&self) -> Option<SessionHandle> {
        self.sessions.pase()
    }

    /// Returns the application's data of a session.
    #[must_use]
    pub fn context_mut(&mut self, session: SessionHandle) -> Option<&mut T> {
        self.sessions.context_mut(session)
    }

    /// Ties a PASE session to the fabric that was added over it: removing the fabric closes it.
    /// Returns false for other sessions.
    pub fn associate_fabric(&mut self, session: SessionHandle, fabric: FabricIndex) -> bool {
        self.sessions.associate_fabric(session, fabric)
    }

    /// Closes a session. Acknowledgements that are owed and a CloseSession are sent to the peer,
    /// and [`Event::Closed`](crate::Event::Closed) returns the application's data. Does nothing if
    /// the session is closed already.
    pub fn close(&mut self, cx: &mut Context<'_>, session: SessionHandle) {
        self.sessions.end(session, CloseReason::Local, cx.now, &mut self.delivery);
    }

    /// Closes all CASE sessions with a peer.
    pub fn close_peer(&mut self, cx: &mut Context<'_>, fabric: FabricIndex, node: NodeId) {
        self.sessions.end_peer(Peer { fabric, node }, cx.now, &mut self.delivery);
    }

    /// Closes all secure sessions, for example before a shutdown. Send what
    /// [`poll_transmit`](Self::poll_transmit) yields after it. At most
    /// [`max_replies`](crate::manager::Config::max_replies) peers (with
    /// [`Fixed`](crate::manager::Fixed) storage eight) are notified. Where there are more,
    /// [`close`](Self::close) a few at a time and send.
    pub fn close_all(&mut self, cx: &mut Context<'_>) {
        self.sessions.end_all(cx.now, &mut self.delivery);
    }
}
