//! The message header: routing, counter and node identifiers.
//!
//! ```text
//! 0      message flags    version (7..4) | reserved | S | DSIZ (1..0)
//! 1..3   session id       u16
//! 3      security flags   P | C | MX | reserved (4..2) | session type (1..0)
//! 4..8   message counter  u32
//!        source node id   u64                          if S
//!        destination      u64 node | u16 group         by DSIZ
//!        extensions       u16 length, bytes           if MX
//! ```

use super::{Octets, WireError};
use crate::ids::{GroupId, GroupSessionId, LocalSessionId, MessageCounter, NodeId, PeerSessionId};

/// The shortest message header in bytes.
pub const MIN_MESSAGE_HEADER: usize = 8;
/// The longest message header without extensions, which are never sent, in bytes.
pub const MAX_MESSAGE_HEADER: usize = 24;

/// Where a message belongs, from its receiver's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionRoute {
    /// No session key: handshakes, and Check-In messages.
    Unsecured,
    /// The unicast session to which the receiver gave this identifier.
    Unicast(LocalSessionId),
    /// The group keys that hash to this identifier.
    Group(GroupSessionId),
}

impl SessionRoute {
    /// Returns the route of a message that is sent with this identifier of the peer.
    #[must_use]
    pub const fn to_peer(peer: PeerSessionId) -> Self {
        match LocalSessionId::new(peer.get()) {
            Some(id) => Self::Unicast(id),
            None => Self::Unsecured,
        }
    }

    /// Returns the session identifier as it stands in the header.
    #[must_use]
    #[inline]
    pub const fn session_id(self) -> u16 {
        match self {
            Self::Unsecured => 0,
            Self::Unicast(id) => id.get(),
            Self::Group(id) => id.get(),
        }
    }
}

/// The destination field of a message header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Absent: the session tells.
    #[default]
    None,
    /// A node.
    Node(NodeId),
    /// A group.
    Group(GroupId),
}

/// A message header. [Core, "Message Header Field Descriptions"]
///
/// Extensions are skipped on receipt and never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// The session, from the receiver's point of view.
    pub route: SessionRoute,
    /// A control message, counted by the group control counter.
    pub control: bool,
    /// The header is obfuscated on the wire: group messages only.
    pub privacy: bool,
    /// The message counter.
    pub counter: MessageCounter,
    /// The sender.
    pub source: Option<NodeId>,
    /// The receiver.
    pub destination: Destination,
    /// The extension flag and the reserved flags, as received: they go into the nonce.
    other_flags: u8,
}

impl MessageHeader {
    /// Makes the shortest header: no node identifiers, no flags.
    #[must_use]
    #[inline]
    pub const fn new(route: SessionRoute, counter: MessageCounter) -> Self {
        Self {
            route,
            control: false,
            privacy: false,
            counter,
            source: None,
            destination: Destination::None,
            other_flags: 0,
        }
    }

    /// Returns the security flags byte, as received or as it will be sent: part of the nonce.
    #[must_use]
    #[inline]
    pub const fn security_flags(&self) -> u8 {
        let kind = match self.route {
            SessionRoute::Unsecured | SessionRoute::Unicast(_) => TYPE_UNICAST,
            SessionRoute::Group(_) => TYPE_GROUP,
        };
        let privacy = if self.privacy { PRIVACY } else { 0 };
        let control = if self.control { CONTROL } else { 0 };
        privacy | control | self.other_flags | kind
    }

    /// Returns what kind of message this header introduces, with the fields that matter for it.
    ///
    /// # Errors
    /// [`WireError::Privacy`] on anything but group messages; [`WireError::Shape`] when node
    /// identifiers are missing or superfluous, or the control flag does not suit them. A secure
    /// unicast message may carry node identifiers; they mean nothing.
    pub const fn kind(&self) -> Result<MessageKind, WireError> {
        if let SessionRoute::Group(session) = self.route {
            return match (self.source, self.destination, self.control) {
                (Some(source), Destination::Group(group), false) => {
                    Ok(MessageKind::GroupData { session, source, group })
                }
                (Some(source), Destination::Node(node), true) => {
                    Ok(MessageKind::GroupControl { session, source, node })
                }
                _ => Err(WireError::Shape),
            };
        }
        if self.privacy {
            return Err(WireError::Privacy);
        }
        if self.control {
            return Err(WireError::Shape);
        }
        match (self.route, self.source, self.destination) {
            (SessionRoute::Unicast(session), _, _) => Ok(MessageKind::Unicast(session)),
            (_, Some(initiator), Destination::None) => Ok(MessageKind::FromInitiator(initiator)),
            (_, None, Destination::Node(initiator)) => Ok(MessageKind::FromResponder(initiator)),
            _ => Err(WireError::Shape),
        }
    }

    /// Reads a header whose fields are clear; also returns its length in bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        let mut rest = Octets(bytes);
        let flags = Flags::parse(&mut rest)?;
        let counter = MessageCounter::new(rest.u32()?);
        let source = if flags.has_source() { Some(NodeId::new(rest.u64()?)) } else { None };
        let destination = match flags.destination_size() {
            DSIZ_NODE => Destination::Node(NodeId::new(rest.u64()?)),
            DSIZ_GROUP => Destination::Group(GroupId::new(rest.u16()?)),
            _ => Destination::None,
        };
        if flags.security & EXTENSIONS != 0 {
            rest.skip_extension()?;
        }
        let header = Self {
            route: flags.route(),
            control: flags.security & CONTROL != 0,
            privacy: flags.security & PRIVACY != 0,
            counter,
            source,
            destination,
            other_flags: flags.security & !(PRIVACY | CONTROL | TYPE_MASK),
        };
        Ok((header, bytes.len().saturating_sub(rest.0.len())))
    }

    /// Returns the first eight bytes as they are sent.
    #[inline]
    pub(super) const fn fixed_part(&self) -> [u8; MIN_MESSAGE_HEADER] {
        let source = if self.source.is_some() { SOURCE } else { 0 };
        let destination = match self.destination {
            Destination::None => 0,
            Destination::Node(_) => DSIZ_NODE,
            Destination::Group(_) => DSIZ_GROUP,
        };
        let [s0, s1] = self.route.session_id().to_le_bytes();
        let [c0, c1, c2, c3] = self.counter.get().to_le_bytes();
        let security = self.security_flags() & (PRIVACY | CONTROL | TYPE_MASK);
        [source | destination, s0, s1, security, c0, c1, c2, c3]
    }
}

/// The kinds of messages, told apart by their headers.
/// [Core, "Message Header Field Descriptions"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageKind {
    /// Unsecured, from a handshake's initiator, who calls itself by this ephemeral identifier.
    FromInitiator(NodeId),
    /// Unsecured, from a handshake's responder to the initiator of this ephemeral identifier.
    FromResponder(NodeId),
    /// On a secure unicast session.
    Unicast(LocalSessionId),
    /// Application data to a group.
    GroupData {
        /// The hash of the group key.
        session: GroupSessionId,
        /// The sender, as it claims until the message is authenticated.
        source: NodeId,
        /// The group.
        group: GroupId,
    },
    /// Message counter synchronisation under a group key.
    GroupControl {
        /// The hash of the group key.
        session: GroupSessionId,
        /// The sender, as it claims until the message is authenticated.
        source: NodeId,
        /// The receiver.
        node: NodeId,
    },
}

/// The four bytes in front of the counter, never obfuscated, checked for reserved values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags {
    message: u8,
    session_id: u16,
    pub(super) security: u8,
}

impl Flags {
    #[inline]
    pub(super) fn parse(bytes: &mut Octets<'_>) -> Result<Self, WireError> {
        let [message, s0, s1, security] = bytes.array()?;
        if message & VERSION_MASK != 0 {
            return Err(WireError::Version);
        }
        if security & TYPE_MASK > TYPE_GROUP {
            return Err(WireError::SessionType);
        }
        let flags = Self { message, session_id: u16::from_le_bytes([s0, s1]), security };
        match flags.destination_size() {
            DSIZ_MASK => Err(WireError::Destination),
            DSIZ_GROUP if security & TYPE_MASK == TYPE_UNICAST => Err(WireError::Destination),
            _ => Ok(flags),
        }
    }

    pub(super) const fn has_source(self) -> bool {
        self.message & SOURCE != 0
    }

    const fn destination_size(self) -> u8 {
        self.message & DSIZ_MASK
    }

    /// Counter and node identifiers together, in bytes.
    pub(super) const fn fields_len(self) -> usize {
        let source = if self.has_source() { 8 } else { 0 };
        let destination = match self.destination_size() {
            DSIZ_NODE => 8,
            DSIZ_GROUP => 2,
            _ => 0,
        };
        4_usize.saturating_add(source).saturating_add(destination)
    }

    #[inline]
    pub(super) const fn route(self) -> SessionRoute {
        if self.security & TYPE_MASK == TYPE_GROUP {
            return SessionRoute::Group(GroupSessionId::new(self.session_id));
        }
        match LocalSessionId::new(self.session_id) {
            Some(id) => SessionRoute::Unicast(id),
            None => SessionRoute::Unsecured,
        }
    }
}

const VERSION_MASK: u8 = 0xF0;
const SOURCE: u8 = 0x04;
const DSIZ_MASK: u8 = 0x03;
const DSIZ_NODE: u8 = 0x01;
const DSIZ_GROUP: u8 = 0x02;

pub(super) const PRIVACY: u8 = 0x80;
pub(super) const CONTROL: u8 = 0x40;
const EXTENSIONS: u8 = 0x20;
const TYPE_MASK: u8 = 0x03;
const TYPE_UNICAST: u8 = 0x00;
const TYPE_GROUP: u8 = 0x01;
