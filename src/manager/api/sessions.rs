//! Secure sessions: finding and closing them.

use core::time::Duration;

use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{FabricIndex, LocalSessionId, Peer, ProtocolId};
use crate::manager::SessionManager;
use crate::manager::error::{MoveError, NoPaseSession};
use crate::manager::event::CloseReason;
use crate::manager::handle::{ExchangeHandle, PeerAddress, SessionHandle};
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
/// to close several at once, to set the address of a peer, and to report that a peer is awake. See
/// [`SessionManager::sessions`] and [`SessionManager::sessions_mut`].
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

    /// Returns the session to use for a message that begins an exchange with a peer, and has a
    /// payload of `len` bytes. It works as [`session_with`](SessionManager::session_with), but
    /// skips sessions on which the payload is too long. If the payload is too long for UDP, it
    /// returns a session over TCP. `None` if there is no such session: connect over TCP, if the
    /// peer [accepts that](crate::SessionParameters::accepts_tcp).
    ///
    /// With acknowledgements, later messages of the exchange have room for four bytes less:
    /// [`max_payload`](Self::max_payload).
    #[must_use]
    pub fn for_payload(
        self,
        peer: Peer,
        protocol: ProtocolId,
        len: usize,
    ) -> Option<SessionHandle> {
        self.0.sessions.best_for_payload(peer, protocol, len, &self.0.node.config)
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

    /// Sets how long the peer may work on the response that is due on an exchange, in place of
    /// [`Config::processing_time`](crate::Config::processing_time). If none comes in that time,
    /// counted from now, and in the time that both transmissions can take,
    /// [`Event::NoResponse`](crate::Event::NoResponse) is reported. With [`Duration::MAX`] there is
    /// no deadline, and the exchange ends like one that was forgotten
    /// ([`Config::exchange_lifetime`](crate::Config::exchange_lifetime)). Returns false if the
    /// exchange is closed.
    ///
    /// Call it after [`send`](SessionManager::send), which sets the default; after an event
    /// `NoResponse`, to wait for longer; after a message of the peer, if another one is to follow;
    /// and on an exchange that the peer began, which has no deadline by default.
    ///
    #[cfg_attr(all(feature = "alloc", feature = "rustcrypto"), doc = "```")]
    #[cfg_attr(not(all(feature = "alloc", feature = "rustcrypto")), doc = "```ignore")]
    /// use core::time::Duration;
    ///
    /// use matter_session::manager::SendError;
    /// use matter_session::{Context, ExchangeHandle, HeapSessionManager, MessageType};
    ///
    /// /// Has a device join a network, which takes it up to a minute.
    /// fn connect_network(
    ///     node: &mut HeapSessionManager,
    ///     cx: &mut Context<'_>,
    ///     exchange: ExchangeHandle,
    ///     command: &[u8],
    /// ) -> Result<(), SendError> {
    ///     node.send(cx, exchange, MessageType::INVOKE_REQUEST, command)?;
    ///     node.sessions_mut().expect_response(cx, exchange, Duration::from_secs(60));
    ///     Ok(())
    /// }
    /// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
    /// # let (config, crypto) = (matter_session::Config::default(), matter_session::RustCrypto);
    /// # let node = HeapSessionManager::new(config, crypto, &mut rng);
    /// # let _ = (node, connect_network);
    /// ```
    pub fn expect_response(
        &mut self,
        cx: &mut Context<'_>,
        exchange: ExchangeHandle,
        processing: Duration,
    ) -> bool {
        let SessionManager { sessions, delivery, node, .. } = &mut *self.0;
        sessions.expect_response(exchange, processing, cx.now, delivery, node)
    }

    /// Counts a peer as active from now on, for its active threshold, as if a message of it had
    /// been received on each session with it. Call it when a message outside of the session shows
    /// that the peer listens: after [`check_in::open`](crate::check_in::open). If a message in
    /// flight would be waited for longer than with an active peer, it is retransmitted at once, and
    /// further ones follow at the active interval. No message is transmitted more than five times:
    /// one that was is given up if the active peer does not acknowledge it. The same holds for CASE
    /// handshakes with the peer that this node began.
    ///
    /// Nothing that the manager receives has this effect. Call it for messages that are authentic
    /// and new, and an attacker cannot make this node send. [Core, "Check-In Protocol"]
    pub fn peer_is_awake(&mut self, cx: &mut Context<'_>, peer: Peer) {
        self.0.peer_is_awake(peer, cx.now);
    }

    /// Sends the messages of a session to this address from now on, those in flight included:
    /// discovery has found the peer there. A newer authentic message of the peer changes the
    /// address again, as always. See [`Event::PeerSilent`](crate::Event::PeerSilent).
    ///
    /// Nothing authenticates what discovery announces. A wrong address gets messages that it cannot
    /// read, and the peer gets none until it sends one itself.
    ///
    /// # Errors
    /// [`MoveError`]; nothing has changed then.
    pub fn move_session(
        &mut self,
        session: SessionHandle,
        address: PeerAddress,
    ) -> Result<(), MoveError> {
        self.0.sessions.move_to(session, address)
    }

    /// Adds a time to every wait for an acknowledgement on this session, besides
    /// [`Config::retransmission_boost`](crate::Config::retransmission_boost): for a peer behind a
    /// slow network, or while bulk data is transferred. Zero by default, counted in milliseconds
    /// and at most 65,535 of them. It counts from the next transmission on. Does nothing if the
    /// session is closed.
    pub fn set_retransmission_boost(&mut self, session: SessionHandle, boost: Duration) {
        self.0.sessions.set_boost(session, boost);
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
