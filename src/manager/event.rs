//! Events: what happened, for the application to poll.

use super::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
use crate::handshake::{HandshakeError, SignRequest};
use crate::ids::{FabricIndex, NodeId};

/// Something happened. Polled with [`poll_event`](super::SessionManager::poll_event).
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<T> {
    /// A handshake ended in a session. Until the next event is polled,
    /// [`peer_certificates`](super::SessionManager::peer_certificates) lends what the peer
    /// presented.
    Established {
        /// The session.
        session: SessionHandle,
        /// The handshake, if this node began it.
        handshake: Option<HandshakeHandle>,
        /// Whether a former session was resumed.
        resumed: bool,
    },
    /// A handshake ended without a session.
    HandshakeFailed {
        /// The handshake, if this node began it.
        handshake: Option<HandshakeHandle>,
        /// The peer.
        peer: PeerAddress,
        /// Why.
        error: HandshakeError,
    },
    /// Sign this and hand it to [`sign`](super::SessionManager::sign), now or later.
    SignRequest(SignRequest),
    /// The peer acknowledged the message in flight on this exchange: it has arrived, unless more
    /// than 32 newer ones of its session came first. What is behind the peer's window counts as a
    /// duplicate, and is acknowledged unread; no more than five exchanges at once on a session, as
    /// the specification advises, keep clear of it. [Core, "Message Counter Processing"]
    Acknowledged {
        /// The exchange.
        exchange: ExchangeHandle,
    },
    /// The peer did not acknowledge the message in flight, however often it was sent. A CASE
    /// session counts as defunct until the peer is heard again.
    Undelivered {
        /// The exchange.
        exchange: ExchangeHandle,
    },
    /// A session is gone, and its exchanges with it.
    Closed {
        /// The session it was.
        session: SessionHandle,
        /// The application's data of that session.
        context: T,
        /// Why.
        reason: CloseReason,
    },
    /// A session can send only few messages more: establish a new one soon.
    CounterLow {
        /// The session.
        session: SessionHandle,
    },
    /// The resumption record of a peer was made, replaced or forgotten. Store what
    /// [`record`](crate::manager::Records::get) returns; if it returns `None`, delete what was
    /// stored.
    RecordChanged {
        /// The fabric.
        fabric: FabricIndex,
        /// The peer.
        peer: NodeId,
    },
    /// The commissioning window has closed by itself.
    WindowClosed {
        /// Why.
        reason: WindowCloseReason,
    },
    /// The counter of a sender to a group is known now: take the messages that waited for it with
    /// [`Groups::poll_message`](crate::manager::Groups::poll_message), until there is none.
    GroupMessages,
    /// Group messages of a fabric are dropped ([`Dropped::GroupSender`](super::Dropped::GroupSender)) because too many nodes
    /// send: none is forgotten for another, as its messages could be replayed then. Told once;
    /// [`Groups::forget_sender`](crate::manager::Groups::forget_sender) makes room.
    GroupSendersFull {
        /// The fabric.
        fabric: FabricIndex,
    },
}

/// Why a session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CloseReason {
    /// This node closed it.
    Local,
    /// The peer closed it.
    Peer,
    /// It made room for a new one.
    Evicted,
    /// Its fabric was removed.
    FabricRemoved,
    /// The connection that carried it is lost.
    Disconnected,
}

impl CloseReason {
    /// Returns true if the peer still has the keys to decrypt a CloseSession, and can be reached.
    pub(super) const fn notifies_peer(self) -> bool {
        !matches!(self, Self::Peer | Self::Disconnected)
    }
}

/// Why the commissioning window has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WindowCloseReason {
    /// Its time was over.
    Expired,
    /// Twenty attempts failed.
    TooManyFailures,
}
