//! The settings of a group.

use thiserror::Error;

use crate::group::{KeySetError, MulticastAddress};
use crate::ids::GroupKeySetId;

/// How this node takes part in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct GroupSettings {
    /// The group key set that the messages of the group are encrypted with.
    pub key_set: GroupKeySetId,
    /// The multicast address that they are sent to.
    pub address: MulticastAddress,
    /// Whether this node hides header fields of what it sends (privacy). The specification demands
    /// it, but receivers of connectedhomeip 1.0, rs-matter 0.4 and matter.js before 0.17 cannot read
    /// such messages. A sender cannot find out, so it is off by default. Received messages may always
    /// use it.
    ///
    /// Recommendation of November 2026: switch it on for each group whose receivers you know to be
    /// newer, and for every group of a network of your own. connectedhomeip hides headers since July
    /// 2026 on its main branch. The default changes with the first release after July 2028.
    pub privacy: bool,
}

impl GroupSettings {
    /// Makes a group with this key set: an address of its own, headers in clear.
    #[must_use]
    pub const fn new(key_set: GroupKeySetId) -> Self {
        Self { key_set, address: MulticastAddress::PerGroup, privacy: false }
    }

    /// Replaces the kind of address.
    #[must_use]
    pub const fn with_address(mut self, address: MulticastAddress) -> Self {
        self.address = address;
        self
    }

    /// Hides the headers.
    #[must_use]
    pub const fn with_privacy(mut self) -> Self {
        self.privacy = true;
        self
    }
}

/// The group or its keys were refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GroupError {
    /// This node is not a member of that fabric.
    #[error("no fabric with this index")]
    UnknownFabric,
    /// No group has this id.
    #[error("not the id of a group")]
    InvalidGroup,
    /// The group key set is not well-formed.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// The table is full, or the fabric's share of it; remove something first.
    #[error("too many groups or group key sets; remove one first")]
    TooMany,
    /// The storage of this manager has no tables for groups (see
    /// [`WithGroups`](crate::manager::WithGroups)), or it is a shard other than the first.
    #[error("groups are not for this manager")]
    Unsupported,
}
