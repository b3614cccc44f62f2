//! What an application stores, and every copy of it that a restart may find.
//!
//! A store can lag: a node that dies may find any copy that there ever was, except for records that
//! a responder has claimed since.

use core::ops::Range;
use std::collections::BTreeMap;

use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::manager::GroupSettings;
use matter_session::resumption::ResumptionRecord;
use matter_session::session::ResumptionId;

/// Records as bytes, by fabric and peer.
pub type Rows = BTreeMap<(FabricIndex, NodeId), Vec<u8>>;

/// What a store holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Fabrics, with the certificate of this node.
    pub fabrics: BTreeMap<FabricIndex, (usize, usize)>,
    /// Their stored form.
    pub memberships: BTreeMap<FabricIndex, Vec<u8>>,
    pub records: Rows,
    /// Group key sets with the numbers of their keys, and groups.
    pub key_sets: BTreeMap<(FabricIndex, u16), Range<usize>>,
    pub groups: BTreeMap<(FabricIndex, u16), GroupSettings>,
}

/// How many copies are kept of each store.
const MOST: usize = 64;

/// Former states of something that is stored.
#[derive(Debug)]
pub struct Copies<T>(Vec<T>);

impl<T> Default for Copies<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone + PartialEq> Copies<T> {
    /// Keeps a copy of a state. At the limit another one of `roll`'s choice gives its place.
    pub fn keep(&mut self, state: &T, roll: u64) {
        if self.0.last() != Some(state) {
            if self.0.len() == MOST {
                self.0.swap_remove(roll as usize % MOST);
            }
            self.0.push(state.clone());
        }
    }

    pub fn pick(&self, roll: u64) -> Option<T> {
        let n = roll.checked_rem(self.0.len() as u64)?;
        self.0.get(n as usize).cloned()
    }

    pub fn each(&mut self, change: impl FnMut(&mut T)) {
        self.0.iter_mut().for_each(change);
    }
}

/// Deletes a record, if it has this id.
pub fn delete(rows: &mut Rows, peer: Peer, id: &ResumptionId) {
    let key = (peer.fabric, peer.node);
    let is_it = |row: &Vec<u8>| ResumptionRecord::from_bytes(row).unwrap().id == *id;
    if rows.get(&key).is_some_and(is_it) {
        rows.remove(&key);
    }
}
