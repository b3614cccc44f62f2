//! Tables for groups, in arrays.

use super::table::{Places, SecretPlaces, Table};
use crate::group::MAX_EPOCHS;
use crate::ids::{FabricIndex, GroupId, GroupKeySetId};
use crate::manager::storage::{GroupTables, KeyRef, Sender};

/// Tables for groups, in arrays.
#[derive(Clone, Copy, Debug)]
pub struct GroupArrays<const KEY_SETS: usize, const GROUPS: usize, const SENDERS: usize>;

/// Senders to groups that are asked for their counters at once.
const SYNCS: usize = 4;

/// Messages that wait for that.
const WAITING: usize = 4;

impl<const KEY_SETS: usize, const GROUPS: usize, const SENDERS: usize> GroupTables
    for GroupArrays<KEY_SETS, GROUPS, SENDERS>
{
    type KeySets<V> = Table<
        (FabricIndex, GroupKeySetId),
        V,
        SecretPlaces<((FabricIndex, GroupKeySetId), V), KEY_SETS>,
    >;
    type Keys = Table<KeyRef, (), [Places<(KeyRef, ()), MAX_EPOCHS>; KEY_SETS]>;
    type Groups<V> = Table<(FabricIndex, GroupId), V, Places<((FabricIndex, GroupId), V), GROUPS>>;
    type Senders<V> = Table<Sender, V, Places<(Sender, V), SENDERS>>;
    type Syncs<V> = Table<Sender, V, Places<(Sender, V), SYNCS>>;
    type Waiting<V> = Table<u64, V, Places<(u64, V), WAITING>>;
}
