//! Identifiers. Each kind has a type of its own, so that they cannot be confused.
//!
//! [Core, "Data Model: Identifiers"] and [Core, "Secure Channel: Message Frame Format"].

use core::fmt;
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64};

/// A 64-bit node identifier of any kind: operational, group, temporary, PAKE key or tag.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

impl NodeId {
    /// No node: the identity of both ends of a PASE session in nonces.
    #[doc(alias = "UNDEFINED_NODE_ID")]
    pub const UNSPECIFIED: Self = Self(0);
    const MAX_OPERATIONAL: u64 = 0xFFFF_FFEF_FFFF_FFFF;
    const GROUP_BASE: u64 = 0xFFFF_FFFF_FFFF_0000;

    /// Makes the identifier with this value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Returns the value.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns true for `1..=0xFFFFFFEFFFFFFFFF`, the range of nodes that hold a certificate.
    #[must_use]
    pub const fn is_operational(self) -> bool {
        self.0 >= 1 && self.0 <= Self::MAX_OPERATIONAL
    }

    /// Returns the group that this identifier addresses, if it is a group's.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is wanted")]
    pub const fn group(self) -> Option<GroupId> {
        if self.0 >= Self::GROUP_BASE { Some(GroupId::new(self.0 as u16)) } else { None }
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({:016x})", self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for NodeId {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "NodeId({=u64:016x})", self.0);
    }
}

impl From<GroupId> for NodeId {
    fn from(group: GroupId) -> Self {
        Self(Self::GROUP_BASE | u64::from(group.get()))
    }
}

/// A node of a fabric, as this node knows it: its node id, and this node's index of the fabric that
/// both are members of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// This node's index of the fabric.
    pub fabric: FabricIndex,
    /// The node id on it.
    pub node: NodeId,
}

impl Peer {
    /// Names the node of a fabric with this node id.
    #[must_use]
    pub const fn new(fabric: FabricIndex, node: NodeId) -> Self {
        Self { fabric, node }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({self})")
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.fabric, self.node)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Peer {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Peer({=u8}/{=u64:016x})", self.fabric.get(), self.node.get());
    }
}

/// Defines an identifier over an integer that may take any value.
macro_rules! plain_id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name($int);

        impl $name {
            /// Makes the identifier with this value.
            #[must_use]
            pub const fn new(value: $int) -> Self {
                Self(value)
            }

            /// Returns the value.
            #[must_use]
            pub const fn get(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

/// Defines an identifier over an integer that is never zero.
macro_rules! nonzero_id {
    ($(#[$doc:meta])* $name:ident($nonzero:ty, $int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name($nonzero);

        impl $name {
            /// Makes the identifier with this value; `None` for zero.
            #[must_use]
            pub const fn new(value: $int) -> Option<Self> {
                match <$nonzero>::new(value) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// Returns the value, never zero.
            #[must_use]
            pub const fn get(self) -> $int {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

plain_id! {
    /// A group identifier; 0 is invalid, `0xFF00..` are universal groups.
    GroupId(u16)
}
plain_id! {
    /// The identifier of a group key set, unique on its fabric.
    GroupKeySetId(u16)
}
plain_id! {
    /// The session identifier of a group message: a hash of the group key, not unique.
    GroupSessionId(u16)
}
plain_id! {
    /// An exchange identifier, chosen by the exchange's initiator.
    ExchangeId(u16)
}
plain_id! {
    /// A message counter, as in a message header.
    MessageCounter(u32)
}
plain_id! {
    /// A vendor identifier; 0 is the common vendor, that of the Matter standard itself.
    VendorId(u16)
}
nonzero_id! {
    /// A session identifier that this node gave out: the messages that it receives carry it.
    LocalSessionId(NonZeroU16, u16)
}
nonzero_id! {
    /// A session identifier that the peer gave out: the messages that this node sends carry it.
    PeerSessionId(NonZeroU16, u16)
}
nonzero_id! {
    /// The 64-bit identifier of a fabric, unique under one root certificate.
    FabricId(NonZeroU64, u64)
}

impl GroupId {
    /// Returns true if a group can have this identifier: all but 0 and those among the universal
    /// ones that are reserved, `0xFF00..=0xFFFC`.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        !matches!(self.0, 0 | 0xFF00..=0xFFFC)
    }
}

impl GroupKeySetId {
    /// The key set of the identity protection keys of a fabric.
    pub const IPK: Self = Self(0);
}

impl LocalSessionId {
    /// Returns the same id from the peer's point of view: the peer sends to it.
    #[must_use]
    pub const fn as_seen_by_peer(self) -> PeerSessionId {
        PeerSessionId(self.0)
    }
}

/// This node's number for a fabric that it is a member of: 1 to 254.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FabricIndex(NonZeroU8);

impl FabricIndex {
    /// The smallest index.
    pub const MIN: Self = Self(NonZeroU8::MIN);
    /// The largest index, 254.
    pub const MAX: Self = match Self::new(254) {
        Some(index) => index,
        None => Self::MIN,
    };

    /// Makes the index with this value; `None` outside `1..=254`.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        match NonZeroU8::new(value) {
            Some(value) if value.get() <= 254 => Some(Self(value)),
            _ => None,
        }
    }

    /// Returns the value, 1 to 254.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for FabricIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A CASE Authenticated Tag: a 16-bit identifier and a version of at least 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseAuthTag(NonZeroU32);

impl CaseAuthTag {
    /// Makes the tag with this value (identifier in the high half, version in the low one); `None`
    /// when the version is 0.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) if value.get() & 0xFFFF != 0 => Some(Self(value)),
            _ => None,
        }
    }

    /// Returns the value, as in a certificate.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Returns the identifier: the high 16 bits.
    #[must_use]
    pub const fn identifier(self) -> u16 {
        (self.get() >> 16) as u16
    }

    /// Returns the version: the low 16 bits, at least 1.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is wanted")]
    pub const fn version(self) -> u16 {
        self.get() as u16
    }
}

impl fmt::Debug for CaseAuthTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaseAuthTag({:08x})", self.0)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for CaseAuthTag {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "CaseAuthTag({=u32:08x})", self.get());
    }
}

/// The CASE Authenticated Tags of one certificate: at most three, no identifier twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CaseAuthTags([Option<CaseAuthTag>; Self::CAPACITY]);

impl CaseAuthTags {
    /// Maximum number of tags in a certificate.
    pub const CAPACITY: usize = 3;
    /// No tags.
    pub const NONE: Self = Self([None; Self::CAPACITY]);

    /// Adds a tag. Returns false, and adds nothing, if there are three already or one of them has
    /// the same identifier.
    #[must_use = "a tag that was refused makes the certificate invalid"]
    pub fn insert(&mut self, tag: CaseAuthTag) -> bool {
        if self.iter().any(|t| t.identifier() == tag.identifier()) {
            return false;
        }
        match self.0.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(tag);
                true
            }
            None => false,
        }
    }

    /// Returns the tags, in the certificate's order.
    pub fn iter(&self) -> impl Iterator<Item = CaseAuthTag> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Returns true if a subject named `wanted` in an access control list is met: same identifier,
    /// at least its version. [Core, "CASE Authenticated Tags"]
    #[must_use]
    pub fn matches(&self, wanted: CaseAuthTag) -> bool {
        self.iter()
            .any(|t| t.identifier() == wanted.identifier() && t.version() >= wanted.version())
    }
}

/// A protocol: its number and the vendor that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ProtocolId {
    /// The vendor; 0 for the protocols of the Matter standard.
    pub vendor: VendorId,
    /// The protocol's number within that vendor.
    pub id: u16,
}

impl ProtocolId {
    /// Secure channel: handshakes, acknowledgements, status reports.
    pub const SECURE_CHANNEL: Self = Self::standard(0);
    /// Interaction model.
    pub const INTERACTION_MODEL: Self = Self::standard(1);
    /// Bulk data exchange.
    pub const BDX: Self = Self::standard(2);
    /// User directed commissioning.
    pub const USER_DIRECTED_COMMISSIONING: Self = Self::standard(3);

    /// Returns a protocol of the Matter standard.
    #[must_use]
    pub const fn standard(id: u16) -> Self {
        Self { vendor: VendorId::new(0), id }
    }

    /// Returns a protocol of a vendor.
    #[must_use]
    pub const fn vendor(vendor: VendorId, id: u16) -> Self {
        Self { vendor, id }
    }

    /// Returns the 32-bit form of a StatusReport: vendor in the high half.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        (self.vendor.get() as u32) << 16 | self.id as u32
    }

    /// Reads the 32-bit form of a StatusReport.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each half is 16 bits")]
    pub const fn from_u32(value: u32) -> Self {
        Self { vendor: VendorId::new((value >> 16) as u16), id: value as u16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operational_range_has_its_edges() {
        assert!(!NodeId::UNSPECIFIED.is_operational());
        assert!(NodeId::new(1).is_operational());
        assert!(NodeId::new(0xFFFF_FFEF_FFFF_FFFF).is_operational());
        assert!(!NodeId::new(0xFFFF_FFF0_0000_0000).is_operational());
        assert_eq!(NodeId::from(GroupId::new(5)).group(), Some(GroupId::new(5)));
    }

    #[test]
    fn tags_refuse_version_zero_and_double_identifiers() {
        assert_eq!(CaseAuthTag::new(0xABCD_0000), None);
        let mut tags = CaseAuthTags::NONE;
        assert!(tags.insert(CaseAuthTag::new(0xABCD_0002).unwrap()));
        assert!(!tags.insert(CaseAuthTag::new(0xABCD_0003).unwrap()));
        assert!(tags.matches(CaseAuthTag::new(0xABCD_0001).unwrap()));
        assert!(!tags.matches(CaseAuthTag::new(0xABCD_0003).unwrap()));
    }

    #[test]
    fn zero_is_no_session_and_255_no_fabric() {
        assert_eq!(LocalSessionId::new(0), None);
        assert_eq!(FabricIndex::new(0), None);
        assert_eq!(FabricIndex::new(255), None);
        assert_eq!(FabricIndex::MAX.get(), 254);
    }
}

/// A group of a fabric: its id, and this node's index of the fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Group {
    /// This node's index of the fabric.
    pub fabric: FabricIndex,
    /// The group id on it.
    pub id: GroupId,
}

impl Group {
    /// Names the group of a fabric with this id.
    #[must_use]
    pub const fn new(fabric: FabricIndex, id: GroupId) -> Self {
        Self { fabric, id }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.fabric, self.id)
    }
}

/// The type of a message: its protocol, and its opcode within the protocol.
///
/// This library handles the messages of the secure channel itself. The constants are the opcodes
/// of the interaction model, whose content belongs to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MessageType {
    /// The protocol that defines the opcode.
    pub protocol: ProtocolId,
    /// The opcode within the protocol.
    pub opcode: u8,
}

impl MessageType {
    /// A status report of the secure channel, on an exchange of any protocol.
    pub const STATUS_REPORT: Self = Self::new(ProtocolId::SECURE_CHANNEL, 0x40);
    /// Answers with a status, or says that the sender is ready for more.
    pub const STATUS_RESPONSE: Self = Self::interaction(0x01);
    /// Reads attributes or events.
    pub const READ_REQUEST: Self = Self::interaction(0x02);
    /// Asks for reports of what changes.
    pub const SUBSCRIBE_REQUEST: Self = Self::interaction(0x03);
    /// Confirms a subscription.
    pub const SUBSCRIBE_RESPONSE: Self = Self::interaction(0x04);
    /// Reports attributes or events.
    pub const REPORT_DATA: Self = Self::interaction(0x05);
    /// Writes attributes.
    pub const WRITE_REQUEST: Self = Self::interaction(0x06);
    /// Answers a write.
    pub const WRITE_RESPONSE: Self = Self::interaction(0x07);
    /// Invokes commands.
    pub const INVOKE_REQUEST: Self = Self::interaction(0x08);
    /// Answers commands.
    pub const INVOKE_RESPONSE: Self = Self::interaction(0x09);
    /// Announces a write or an invocation that must follow within a time.
    pub const TIMED_REQUEST: Self = Self::interaction(0x0A);

    /// Makes the type of a message of this protocol, with this opcode.
    #[must_use]
    pub const fn new(protocol: ProtocolId, opcode: u8) -> Self {
        Self { protocol, opcode }
    }

    const fn interaction(opcode: u8) -> Self {
        Self::new(ProtocolId::INTERACTION_MODEL, opcode)
    }
}
