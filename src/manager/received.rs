//! The result of a received datagram, and a datagram to send.

use core::fmt;

use thiserror::Error;

use super::handle::{ExchangeHandle, PeerAddress, SessionHandle};
use crate::bytes::{Hidden, debug_lengths};
use crate::ids::{
    ExchangeId, Group, GroupKeySetId, LocalSessionId, MessageCounter, MessageType, NodeId,
};
use crate::session::DecodeError;

/// What a datagram contained.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Received<'b> {
    /// A message for the application.
    Message(Message<'b>),
    /// A message to a group, for the application.
    Group(GroupMessage<'b>),
    /// A Check-In message. Anybody can send one: [`check_in::open`] authenticates it and finds the
    /// ICD that sent it. The manager keeps no state for it and sends no answer.
    ///
    /// [`check_in::open`]: crate::check_in::open
    CheckIn {
        /// The payload, encrypted, in the caller's buffer.
        payload: &'b mut [u8],
    },
    /// Something that the manager handled itself: a handshake message, an acknowledgement, a
    /// duplicate.
    Handled,
    /// The datagram was dropped, for this reason. There is nothing to do about it: every
    /// unauthenticated sender can cause it.
    Dropped(Dropped),
}

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::Group(message) => message.fmt(f),
            Self::CheckIn { payload } => f.debug_tuple("CheckIn").field(&Hidden(payload)).finish(),
            Self::Handled => f.write_str("Handled"),
            Self::Dropped(reason) => f.debug_tuple("Dropped").field(reason).finish(),
        }
    }
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
#[non_exhaustive]
pub struct Message<'b> {
    /// The session.
    pub session: SessionHandle,
    /// The exchange, which an answer is sent on.
    pub exchange: ExchangeHandle,
    /// Whether this message began the exchange.
    pub first: bool,
    /// The type of the message: its protocol and opcode.
    pub kind: MessageType,
    /// Whether the peer asks for an acknowledgement. The manager sends it.
    pub needs_ack: bool,
    /// The message counter.
    pub counter: MessageCounter,
    /// The payload, in the caller's buffer.
    pub payload: &'b mut [u8],
}

debug_lengths!(Message[]['_]: session, exchange, first, kind, needs_ack, counter; payload);

/// Leaves the payload out: it was encrypted for a reason.
#[cfg(feature = "defmt")]
impl defmt::Format for Message<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Message(session {}, exchange {}, {}, {=usize} bytes)",
            self.session.local,
            self.exchange.id(),
            self.kind,
            self.payload.len(),
        );
    }
}

/// A message to a group: decrypted, and delivered once while the counter of its sender is
/// remembered. After a restart, recorded messages can be delivered again:
/// [`SecurityPolicy`](crate::group::SecurityPolicy) says which. Every node that has the group's key
/// can have sent it, under any source node id. Do not answer it.
#[non_exhaustive]
pub struct GroupMessage<'b> {
    /// The group, and its fabric.
    pub group: Group,
    /// The key set whose key authenticated it.
    pub key_set: GroupKeySetId,
    /// The place of that key in its set: 0 is the oldest.
    pub epoch: u8,
    /// The sender.
    pub source: NodeId,
    /// The exchange id, chosen by the sender.
    pub exchange: ExchangeId,
    /// The type of the message: its protocol and opcode.
    pub kind: MessageType,
    /// The message counter.
    pub counter: MessageCounter,
    /// The payload.
    pub payload: &'b mut [u8],
}

debug_lengths!(GroupMessage[]['_]: group, key_set, epoch, source, exchange, kind, counter; payload);

#[cfg(feature = "defmt")]
impl defmt::Format for GroupMessage<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "GroupMessage({}, {}, {}, {} bytes)",
            self.group,
            self.source,
            self.kind,
            self.payload.len()
        );
    }
}

/// A datagram to send.
#[non_exhaustive]
pub struct Transmit<'a> {
    /// Where to send it.
    pub to: PeerAddress,
    /// The bytes.
    pub datagram: &'a [u8],
}

debug_lengths!(Transmit[]['_]: to; datagram);

/// Leaves the bytes out.
#[cfg(feature = "defmt")]
impl defmt::Format for Transmit<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Transmit({=usize} bytes to {})", self.datagram.len(), self.to);
    }
}

/// Why a received datagram was dropped. Nothing of it is delivered. Nothing has changed and nothing
/// is sent because of it, unless the reason says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Dropped {
    /// It cannot be read, or is not authentic.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It names a session that does not exist.
    #[error("unknown session {0}")]
    UnknownSession(LocalSessionId),
    /// It is a group message, and this node has no key with its session id.
    #[error("group message under an unknown key")]
    GroupKey,
    /// It is a group message to a group that this node is not a member of, or that has another key
    /// set; a control message to another node; or sent by this node itself, if multicast loops
    /// back. If its header is hidden, it may also be sealed by another key with the same session
    /// id.
    #[error("group message that is not for this node")]
    Group,
    /// It belongs to a handshake that does not exist.
    #[error("unknown handshake")]
    UnknownHandshake,
    /// It is a copy of a Sigma1 that a handshake of this node answers already, or has answered in
    /// the last ten seconds: from another address, under another node id, or on another exchange.
    #[error("copy of a Sigma1 that is being answered")]
    HandshakeCopy,
    /// It is unsecured, and the initiator's node id in it is not in the operational range, from which
    /// initiators draw their ids. It is not acknowledged. [Core, "Ephemeral Initiator Node ID"]
    #[error("ephemeral node id outside the operational range")]
    EphemeralNodeId,
    /// It belongs to no exchange and cannot begin one. If it is authentic, it counts as a message
    /// received from its sender, which gets the acknowledgement that it asks for.
    #[error("unsolicited message")]
    Unsolicited,
    /// A handshake message on a secure session. It is authentic, counts as a message received from
    /// its sender, and is acknowledged if it asks for that.
    #[error("handshake message on a secure session")]
    Misplaced,
    /// It names a secure session and hides its header fields (privacy), as only group messages may.
    /// No known implementation sends it.
    #[error("message of a secure session with a hidden header")]
    PrivateUnicast,
    /// There is no room for another exchange, or its session has too many. The message is not
    /// acknowledged. The peer retransmits it, and the copy is delivered if there is room then, also
    /// behind any number of newer messages. The manager remembers 256 such messages (with
    /// [`Fixed`](super::Fixed) eight), for five minutes. A copy of one that it has forgotten is
    /// dropped for this reason as well: it is neither delivered nor acknowledged. So is a message
    /// that would begin an exchange on a session that is closing, and any message for the
    /// application on one that was [spared](super::Fabrics::sparing).
    #[error("no room for another exchange")]
    NoExchange,
    /// Too many events wait to be polled, or acknowledgements on its exchange that nobody has taken
    /// with [`poll_transmit`](super::SessionManager::poll_transmit), or there is no room for the
    /// certificates that it presents. The peer retransmits it.
    #[error("too many events or acknowledgements wait to be polled")]
    Backlog,
    /// Its session belongs to another connection, or to another kind of transport.
    #[error("session of another transport or connection")]
    OtherTransport,
    /// It is a group message that was received before, or is older than the last 32 of its sender.
    #[error("replayed group message")]
    GroupReplay,
    /// It is a group message, and there is no room for another sender, or none to queue it until
    /// the counter of its sender is synchronised; or its sender was asked for its counter less than
    /// ten seconds ago, has not answered, and this message is not newer; or the sender cannot be
    /// asked, as the context names no [`CounterStore`](crate::group::CounterStore). If there is no
    /// room to queue the message, its sender can be asked all the same.
    #[error("no room for another sender of group messages")]
    GroupSender,
    /// It asks for this node's group counter, and gets no answer: too many asked, or the context
    /// names no [`CounterStore`](crate::group::CounterStore). It counts as received.
    #[error("counter synchronisation that is not answered")]
    GroupAnswer,
}

impl Dropped {
    /// Number of reasons: the size of a table of counters.
    pub(super) const COUNT: usize = DecodeError::COUNT + 15;

    /// The names of all reasons, in the order of their counters.
    pub(super) const NAMES: [&'static str; Self::COUNT] = [
        "Malformed",
        "Privacy",
        "Shape",
        "WrongSession",
        "TooShort",
        "Unauthentic",
        "ProtocolHeader",
        "Crypto",
        "AckFromGroup",
        "UnknownSession",
        "Group",
        "UnknownHandshake",
        "Unsolicited",
        "Misplaced",
        "NoExchange",
        "Backlog",
        "OtherTransport",
        "GroupReplay",
        "GroupSender",
        "GroupAnswer",
        "HandshakeCopy",
        "EphemeralNodeId",
        "PrivateUnicast",
        "GroupKey",
    ];

    /// Returns the name of the reason: that of its variant, or of the [`DecodeError`].
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.get(self.index()).copied().unwrap_or_default()
    }

    /// Returns the index of this reason in a table of counters, below [`COUNT`](Self::COUNT).
    pub(super) const fn index(self) -> usize {
        let own = match self {
            Self::Decode(error) => return error.index(),
            Self::UnknownSession(_) => 0,
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
            Self::HandshakeCopy => 11,
            Self::EphemeralNodeId => 12,
            Self::PrivateUnicast => 13,
            Self::GroupKey => 14,
        };
        DecodeError::COUNT + own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_index_and_its_name() {
        let session = LocalSessionId::new(7).unwrap();
        let own = [
            Dropped::UnknownSession(session),
            Dropped::Group,
            Dropped::UnknownHandshake,
            Dropped::Unsolicited,
            Dropped::Misplaced,
            Dropped::NoExchange,
            Dropped::Backlog,
            Dropped::OtherTransport,
            Dropped::GroupReplay,
            Dropped::GroupSender,
            Dropped::GroupAnswer,
            Dropped::HandshakeCopy,
            Dropped::EphemeralNodeId,
            Dropped::PrivateUnicast,
            Dropped::GroupKey,
        ];
        let decode = DecodeError::ALL.into_iter();
        let names = decode.clone().map(|error| std::format!("{error:?}"));
        let names = names.chain(own.iter().map(|reason| std::format!("{reason:?}")));
        let all = decode.map(Dropped::Decode).chain(own);
        for (index, (reason, name)) in all.zip(names).enumerate() {
            assert_eq!(reason.index(), index);
            assert_eq!(reason.name(), name.trim_end_matches("(LocalSessionId(7))"));
        }
        assert_eq!(DecodeError::COUNT + own.len(), Dropped::COUNT);
    }
}
