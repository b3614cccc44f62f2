//! Tables for groups, where there are any.

use super::Map;
use crate::group::KeyId;
use crate::ids::{FabricIndex, GroupId, GroupKeySetId, GroupSessionId, NodeId};

/// A key of a group key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRef {
    /// The session id of the key. First, so that all candidates for a message stand together.
    pub(in crate::manager) session: GroupSessionId,
    pub(in crate::manager) fabric: FabricIndex,
    pub(in crate::manager) set: GroupKeySetId,
    /// Its place within the set.
    pub(in crate::manager) place: u8,
}

/// A sender of group messages, by the key that proves them. Each has a window of its own, so that
/// nodes without that key have no part in it: they can neither move it nor take its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sender {
    pub(in crate::manager) fabric: FabricIndex,
    pub(in crate::manager) control: bool,
    pub(in crate::manager) node: NodeId,
    pub(in crate::manager) key: KeyId,
}

impl Sender {
    /// No sender of the fabric is less.
    pub(in crate::manager) const fn first_of(fabric: FabricIndex) -> Self {
        Self { fabric, control: false, node: NodeId::UNSPECIFIED, key: KeyId::FIRST }
    }
}

/// The tables that groups take.
pub trait GroupTables {
    /// Group key sets.
    type KeySets<V>: Map<(FabricIndex, GroupKeySetId), V>;
    /// All keys of all sets.
    type Keys: Map<KeyRef, ()>;
    /// The groups that this node is in.
    type Groups<V>: Map<(FabricIndex, GroupId), V>;
    /// Senders whose counter is known.
    type Senders<V>: Map<Sender, V>;
    /// Senders that are asked for their counter.
    type Syncs<V>: Map<Sender, V>;
    /// Messages that wait for that.
    type Waiting<V>: Map<u64, V>;
}

/// Something that a storage has or has not: decided when the program is compiled, so that what is
/// not there takes neither memory nor code.
pub trait Optional<V> {
    /// As it is at first.
    const EMPTY: Self;
    /// What there is.
    fn get(&self) -> Option<&V>;
    /// What there is, to be changed.
    fn get_mut(&mut self) -> Option<&mut V>;
}

/// What a value is at first.
pub trait Empty {
    /// That.
    const EMPTY: Self;
}

/// It is there.
#[derive(Debug)]
pub struct Present<V>(V);

impl<V: Empty> Optional<V> for Present<V> {
    const EMPTY: Self = Self(V::EMPTY);

    #[inline(always)]
    fn get(&self) -> Option<&V> {
        Some(&self.0)
    }

    #[inline(always)]
    fn get_mut(&mut self) -> Option<&mut V> {
        Some(&mut self.0)
    }
}

/// It is not.
#[derive(Debug)]
pub struct Absent;

impl<V> Optional<V> for Absent {
    const EMPTY: Self = Self;

    #[inline(always)]
    fn get(&self) -> Option<&V> {
        None
    }

    #[inline(always)]
    fn get_mut(&mut self) -> Option<&mut V> {
        None
    }
}
