//! What an application stores, and every copy of it that a restart may find.
//!
//! A store can lag: a node that dies may find any copy that there ever was, except for records that
//! a responder has claimed since.

use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;

use matter_session::fabric::Fabric;
use matter_session::handshake::ClaimRequest;
use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::manager::{GroupSettings, RestoreError, SessionManager, Storage};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::ResumptionId;

use super::node::{App, Node, Scene};
use super::suite::Suite;

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

/// What a restarted node finds in its store.
#[derive(Clone, Copy, Debug)]
pub enum Finds {
    Newest,
    NoRecords,
    /// A state of former times, of all that there were.
    Older(u64),
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

impl<X: Suite, S: Storage> Node<X, S> {
    /// A new life: nothing is left but what was stored, or what had been stored at some time.
    pub fn restart(&mut self, scene: &mut Scene<'_>, finds: Finds) {
        scene.tell(self.name, || format!("restarts and finds {finds:?}"));
        scene.book.figures.restarts += 1;
        let mut stored = self.stored();
        match (finds, &mut self.vault) {
            (Finds::NoRecords, Some(vault)) => vault.rows.clear(),
            (Finds::NoRecords, None) => stored.records.clear(),
            (Finds::Older(roll), Some(vault)) => vault.go_back(roll),
            (Finds::Older(roll), None) => stored = self.copies.pick(roll).unwrap_or(stored),
            (Finds::Newest, _) => {}
        }
        self.life += 1;
        let crypto = self.crypto.clone();
        self.manager = SessionManager::new(self.config.clone(), crypto, &mut self.rng);
        self.app = App::default();
        self.app.fabrics = stored.fabrics;
        self.app.stored_fabrics = stored.memberships;
        for (index, bytes) in &self.app.stored_fabrics {
            assert_eq!(self.manager.fabrics_mut().restore(bytes), Ok(*index));
            self.memberships += 1;
            self.app.memberships.insert(*index, self.memberships);
        }
        (self.app.key_sets, self.app.groups) = (stored.key_sets, stored.groups);
        self.install_groups_again();
        // What the application had stored, which can be older than what the manager had.
        let has_more = stored.records.len() > self.limits.records;
        for (key, bytes) in stored.records {
            let record = ResumptionRecord::from_bytes(&bytes).unwrap();
            let fabric = self.manager.fabrics().get(record.fabric);
            let is_known = fabric.is_some_and(|f| f.compressed_id() == record.compressed_fabric);
            let age = Duration::from_secs(record.age_seconds.into());
            let lifetime = self.config.record_lifetime;
            let (manager, mut services) = self.with_services();
            let restored = manager.records_mut().restore(&mut services.at(scene.now), record);
            match restored {
                Ok(()) => assert!(is_known),
                Err(RestoreError::UnknownFabric) => assert!(!is_known),
                Err(RestoreError::TooMany) => assert!(has_more),
                Err(RestoreError::Expired) => assert!(is_known && age >= lifetime, "{age:?}"),
                Err(error) => panic!("node {} cannot restore a record: {error}", self.name),
            }
            if restored.is_ok() {
                self.app.stored_records.insert(key, bytes);
            }
        }
        self.keep_copy();
    }

    fn stored(&self) -> Stored {
        let app = &self.app;
        Stored {
            fabrics: app.fabrics.clone(),
            memberships: app.stored_fabrics.clone(),
            records: app.stored_records.clone(),
            key_sets: app.key_sets.clone(),
            groups: app.groups.clone(),
        }
    }

    /// What is stored now may be found by a restart. With a vault only that may lag.
    pub fn keep_copy(&mut self) {
        if self.vault.is_none() {
            let stored = self.stored();
            self.copies.keep(&stored, self.rng.roll());
        }
    }

    /// Deletes a claimed record, wherever it is: no restart finds it again.
    pub fn delete_record(&mut self, peer: Peer, id: &ResumptionId) {
        delete(&mut self.app.stored_records, peer, id);
        self.copies.each(|copy| delete(&mut copy.records, peer, id));
        if let Some(vault) = &mut self.vault {
            vault.delete(peer, id);
        }
    }

    pub fn store_fabric(&mut self, index: FabricIndex) {
        let mut bytes = vec![0; Fabric::ENCODED_MAX_LEN];
        let len = self.manager.fabrics().get(index).unwrap().encode(&mut bytes).unwrap();
        bytes.truncate(len);
        // Records that rest on other certificates go first, also if their end was not told yet.
        self.app.stored_records.retain(|(of, _), _| *of != index);
        self.app.stored_fabrics.insert(index, bytes);
        self.keep_copy();
    }

    /// Deletes a record for the peer that claims it, or fails to.
    pub fn complete_claim(&mut self, scene: &mut Scene<'_>, request: ClaimRequest, works: bool) {
        if works {
            self.delete_record(request.peer(), request.id());
        }
        let claimed = request.complete(works);
        // It may come too late.
        let waited = self
            .call(scene, |manager, cx| manager.records_mut().complete_claim(cx, claimed).is_ok());
        scene.tell(self.name, || format!("completes a claim with {works}: {waited}"));
    }

    pub fn store_record(&mut self, fabric: FabricIndex, peer: NodeId) {
        match self.manager.records_mut().export(Peer::new(fabric, peer)) {
            Some(bytes) => {
                let bytes = bytes.as_bytes().to_vec();
                self.app.stored_records.insert((fabric, peer), bytes);
            }
            None => {
                self.app.stored_records.remove(&(fabric, peer));
            }
        }
        self.keep_copy();
    }
}
