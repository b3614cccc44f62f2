//! What a manager tells its caller.

use thiserror::Error;

use super::groups::GroupMessage;
use super::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
use crate::crypto::CryptoError;
use crate::handshake::{HandshakeError, SignRequest};
use crate::ids::{FabricIndex, MessageCounter, MessageType, Peer};
use crate::session::DecodeError;

/// Something happened. Polled with [`poll_event`](super::SessionManager::poll_event).
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<T> {
    /// A handshake ended in a session. Until the next event is polled,
    /// [`peer_certificates`](super::SessionManager::peer_certificates) lends what the peer
    /// presented.
    #[non_exhaustive]
    Established {
        /// The session.
        session: SessionHandle,
        /// The handshake, if this node began it.
        handshake: Option<HandshakeHandle>,
        /// Whether a former session was resumed.
        resumed: bool,
    },
    /// A handshake ended without a session.
    #[non_exhaustive]
    HandshakeFailed {
        /// The handshake, if this node began it.
        handshake: Option<HandshakeHandle>,
        /// The peer's address.
        address: PeerAddress,
        /// Why.
        error: HandshakeError,
    },
    /// Sign this and hand it to
    /// [`complete_signature`](super::SessionManager::complete_signature), now or later.
    SignRequest(SignRequest),
    /// The peer acknowledged the message in flight on this exchange: it has arrived, unless more
    /// than 32 newer ones of its session came first. What is behind the peer's window counts as a
    /// duplicate, and is acknowledged unread; no more than five exchanges at once on a session, as
    /// the specification advises, keep clear of it. [Core, "Message Counter Processing"]
    #[non_exhaustive]
    Acknowledged {
        /// The exchange.
        exchange: ExchangeHandle,
    },
    /// The peer did not acknowledge the message in flight, however often it was sent. A CASE
    /// session counts as defunct until the peer is heard again.
    #[non_exhaustive]
    Undelivered {
        /// The exchange.
        exchange: ExchangeHandle,
    },
    /// A session is gone, and its exchanges with it.
    #[non_exhaustive]
    Closed {
        /// The session it was.
        session: SessionHandle,
        /// The application's data of that session.
        data: T,
        /// Why.
        reason: CloseReason,
    },
    /// A session can send only few messages more: establish a new one soon.
    #[non_exhaustive]
    CounterLow {
        /// The session.
        session: SessionHandle,
    },
    /// The resumption record of a peer was made, replaced or forgotten. Store what
    /// [`record`](super::SessionManager::record) returns; if it returns `None`, delete what was
    /// stored.
    #[non_exhaustive]
    RecordChanged {
        /// The peer.
        peer: Peer,
    },
    /// The commissioning window has closed by itself.
    #[non_exhaustive]
    WindowClosed {
        /// Why.
        reason: WindowCloseReason,
    },
    /// The counter of a sender to a group is known now: take the messages that waited for it with
    /// [`poll_group_message`](super::SessionManager::poll_group_message), until there is none.
    GroupMessages,
    /// Group messages of a fabric are dropped ([`Dropped::GroupSender`]) because too many nodes
    /// send: none is forgotten for another, as its messages could be replayed then. Told once;
    /// [`forget_group_sender`](super::SessionManager::forget_group_sender) makes room.
    #[non_exhaustive]
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
    /// Whether the peer still has the keys to understand a goodbye, and a way to receive it.
    pub(super) const fn is_heard(self) -> bool {
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

/// What a datagram turned out to be.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Received<'b> {
    /// A message for the application.
    Message(Message<'b>),
    /// A message to a group, for the application.
    Group(GroupMessage<'b>),
    /// A Check-In message of an ICD, or of whoever can send: [`check_in::open`] tells, and whose.
    /// Nothing is remembered of it, and nobody is answered.
    ///
    /// [`check_in::open`]: crate::check_in::open
    #[non_exhaustive]
    CheckIn {
        /// The payload, encrypted, in the caller's buffer.
        payload: &'b mut [u8],
    },
    /// Something that the manager dealt with: a handshake, an acknowledgement, a duplicate.
    Handled,
    /// The datagram was dropped, for this reason. There is nothing to do about it: any
    /// unauthenticated sender can cause it.
    Dropped(Dropped),
}

impl Received<'_> {
    /// Returns why the datagram was dropped, or `None` if it was not.
    #[must_use]
    pub const fn dropped(&self) -> Option<Dropped> {
        match self {
            Self::Dropped(reason) => Some(*reason),
            _ => None,
        }
    }
}

/// A message of a secure session: authentic, decrypted, delivered once.
#[derive(Debug)]
#[non_exhaustive]
pub struct Message<'b> {
    /// The session.
    pub session: SessionHandle,
    /// The exchange, on which an answer goes.
    pub exchange: ExchangeHandle,
    /// Whether this message began the exchange.
    pub first: bool,
    /// What the message is.
    pub kind: MessageType,
    /// Whether the peer wants an acknowledgement; the manager sees to it.
    pub needs_ack: bool,
    /// The message counter.
    pub counter: MessageCounter,
    /// The payload, in the caller's buffer.
    pub payload: &'b mut [u8],
}

/// A datagram to be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Transmit<'a> {
    /// Where it goes.
    pub to: PeerAddress,
    /// The octets.
    pub datagram: &'a [u8],
}

/// A received datagram was dropped: nothing changed, and nothing is sent because of it, but for
/// the two reasons that say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Dropped {
    /// It cannot be read, or is not authentic.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It names a session that does not exist.
    #[error("unknown session")]
    UnknownSession,
    /// It is a group message for which this node has no key, or to a group that it is not in; or
    /// its own, where multicast loops.
    #[error("group message that is not for this node")]
    Group,
    /// It belongs to a handshake that does not exist.
    #[error("unknown handshake")]
    UnknownHandshake,
    /// It belongs to no exchange and cannot begin one. If it is authentic, its sender counts as
    /// heard, and gets the acknowledgement that it asks for.
    #[error("unsolicited message")]
    Unsolicited,
    /// A handshake message on a secure session. Its sender is authentic, counts as heard, and
    /// gets the acknowledgement that it asks for.
    #[error("handshake message on a secure session")]
    Misplaced,
    /// There is no room for another exchange, or its session has too many. The peer sends it
    /// again.
    #[error("no room for another exchange")]
    NoExchange,
    /// Too many events wait to be polled. The peer sends it again.
    #[error("too many events wait to be polled")]
    Backlog,
    /// Its session belongs to another connection, or to another kind of transport.
    #[error("session of another transport or connection")]
    OtherTransport,
    /// It is a group message that was received before, or is older than the last 32 of its sender.
    #[error("replayed group message")]
    GroupReplay,
    /// It is a group message, and there is no room to remember its sender, or to keep it until its
    /// sender has told its counter; or its sender cannot be asked, as the context names no
    /// [`CounterStore`](crate::group::CounterStore).
    #[error("no room for another sender of group messages")]
    GroupSender,
    /// It asks for this node's group counter, which is not told: too many asked, or the context
    /// names no [`CounterStore`](crate::group::CounterStore).
    #[error("counter synchronisation that is not answered")]
    GroupAnswer,
}

impl Dropped {
    /// How many reasons there are: the size of a table of counters.
    const COUNT: usize = DecodeError::COUNT + 11;

    /// All reasons, in the order of their places.
    fn all() -> impl Iterator<Item = Self> {
        let own = [
            Self::UnknownSession,
            Self::Group,
            Self::UnknownHandshake,
            Self::Unsolicited,
            Self::Misplaced,
            Self::NoExchange,
            Self::Backlog,
            Self::OtherTransport,
            Self::GroupReplay,
            Self::GroupSender,
            Self::GroupAnswer,
        ];
        DecodeError::ALL.into_iter().map(Self::Decode).chain(own)
    }

    /// The place of this reason in a table of counters, below [`COUNT`](Self::COUNT).
    const fn index(self) -> usize {
        let own = match self {
            Self::Decode(error) => return error.index(),
            Self::UnknownSession => 0,
            Self::Group => 1,
            Self::UnknownHandshake => 2,
            Self::Unsolicited => 3,
            Self::Misplaced => 4,
            Self::NoExchange => 5,
            Self::Backlog => 6,
            Self::OtherTransport => 7,
            Self::GroupReplay => 8,
            Self::GroupSender => 9,
            Self::GroupAnswer => 10,
        };
        DecodeError::COUNT + own
    }
}

/// What a manager has counted since it was made.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Statistics {
    dropped: [u32; Dropped::COUNT],
    /// Handshakes turned away as busy.
    pub busy: u32,
    /// Short replies that were dropped because too many waited.
    pub replies_dropped: u32,
}

impl Statistics {
    pub(super) const fn new() -> Self {
        Self { dropped: [0; Dropped::COUNT], busy: 0, replies_dropped: 0 }
    }

    /// How many datagrams were dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: Dropped) -> u32 {
        self.dropped.get(reason.index()).copied().unwrap_or(0)
    }

    /// Returns each reason, with how many datagrams were dropped for it.
    pub fn iter(&self) -> impl Iterator<Item = (Dropped, u32)> {
        Dropped::all().map(|reason| (reason, self.dropped(reason)))
    }

    /// How many datagrams were dropped in all.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().copied().map(u64::from).sum()
    }

    pub(super) fn count(&mut self, reason: Dropped) {
        if let Some(count) = self.dropped.get_mut(reason.index()) {
            *count = count.saturating_add(1);
        }
    }
}

/// A message was not sent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The exchange is closed, or its session is.
    #[error("the exchange or its session is closed")]
    Closed,
    /// A reliable message is in flight on this exchange; wait for its acknowledgement.
    #[error("a message is in flight on this exchange; wait for Acknowledged")]
    InFlight,
    /// The message would be too long.
    #[error("payload too long: at most {max} octets")]
    TooLong {
        /// The longest payload in octets that can be sent on this exchange now.
        max: usize,
    },
    /// The caller's buffer is too small.
    #[error("buffer too small: {needed} octets are needed")]
    BufferTooSmall {
        /// The least length in octets that serves.
        needed: usize,
    },
    /// The session's message counter is used up; establish a new session.
    #[error("the session's message counter is exhausted; establish a new session")]
    CounterExhausted,
    /// The storage has no room for the message now: send it again when others have been
    /// acknowledged.
    #[error("no room for the message")]
    NoRoom,
    /// Too many events wait: poll them first.
    #[error("too many events wait; poll them first")]
    Backlog,
    /// The crypto backend failed.
    #[error("crypto backend failed")]
    Crypto,
}

/// No exchange was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpenError {
    /// The session is closed.
    #[error("the session is closed")]
    Closed,
    /// The table of exchanges is full; close one first.
    #[error("too many exchanges; close one first")]
    TooMany,
}

/// No handshake was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectError {
    /// As many handshakes as can be run at once are running; wait for one to end.
    #[error("too many handshakes; wait for one to end")]
    TooMany,
    /// Every session id is in use; close a session first.
    #[error("every session id is in use; close a session first")]
    NoSessionId,
    /// Too many events wait: poll them first.
    #[error("too many events wait; poll them first")]
    Backlog,
    /// The handshake could not even begin.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The storage has no room for the first message.
    #[error("no room for the first message")]
    NoRoom,
}

/// The commissioning window was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WindowError {
    /// It is open already; close it first.
    #[error("the commissioning window is open already; close it first")]
    Open,
    /// Too many events wait: poll them first.
    #[error("too many events wait; poll them first")]
    Backlog,
    /// No verifier could be made of the passcode.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The fabric was not added or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FabricTableError {
    /// The credentials do not make a fabric.
    #[error(transparent)]
    Credentials(#[from] crate::fabric::FabricError),
    /// The table is full, or what fabrics share for their certificates; remove a fabric first.
    #[error("too many fabrics; remove one first")]
    TooMany,
    /// This node is a member of that fabric already; update it instead.
    #[error("this node is a member of that fabric already; update it instead")]
    Exists,
    /// The new credentials are of another fabric; add it instead.
    #[error("the credentials are of another fabric; add it instead")]
    OtherFabric,
    /// There is no fabric with this index.
    #[error("no fabric with this index")]
    Unknown,
}

/// The record was not restored. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RestoreError {
    /// The record's fabric is not there: restore fabrics first. If it was left, the record is to be
    /// deleted. Another fabric that has its index now does not count.
    #[error("the record's fabric is unknown")]
    UnknownFabric,
    /// Another peer's record has the same id, as responders choose ids.
    #[error("another peer's record has the same id")]
    IdTaken,
    /// The table of records is full; forget one first.
    #[error("too many records; forget one first")]
    TooMany,
    /// Too many events wait: poll them first, and restore the record then.
    #[error("too many events wait; poll them first")]
    Backlog,
}

impl RestoreError {
    /// Whether to poll events is all that it takes to restore the same record. If it is not, the
    /// record may be deleted where it is stored: its peer gets a full handshake.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Backlog)
    }
}
