//! What a node stores, and every copy of it that a restart may find.
//!
//! The store lags: a node that dies may find any copy that there ever was, but for records that a
//! responder has claimed since. All that the worlds know of how resumption records are stored is in
//! this file.

use matter_session::context::Context;
use matter_session::fabric::Fabric;
use matter_session::ids::{FabricIndex, Peer};
use matter_session::manager::Storage;
use matter_session::resumption::ResumptionRecord;
use matter_session::session::ResumptionId;

use super::node::Manager;

/// The stored form of a node: its fabric and its resumption record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    pub fabric: Vec<u8>,
    pub record: Option<Vec<u8>>,
}

/// Every copy that may be found, the newest last.
#[derive(Clone, Debug, Default)]
pub struct Store {
    copies: Vec<Copy>,
}

impl Store {
    pub fn with(copy: Copy) -> Self {
        Self { copies: vec![copy] }
    }

    pub fn copies(&self) -> usize {
        self.copies.len()
    }

    pub fn newest(&self) -> Copy {
        self.copies.last().cloned().unwrap_or_default()
    }

    /// Stores the fabric of a node.
    pub fn keep_fabric<S: Storage>(&mut self, manager: &mut Manager<S>) {
        let mut fabric = vec![0; Fabric::ENCODED_MAX_LEN];
        let len = manager.fabrics().get(FabricIndex::MIN).unwrap().encode(&mut fabric).unwrap();
        fabric.truncate(len);
        self.copies.push(Copy { fabric, ..self.newest() });
    }

    /// Stores what has become of the record of a peer: a copy more.
    pub fn record_changed<S: Storage>(&mut self, manager: &mut Manager<S>, peer: Peer) {
        let record = manager.records_mut().export(peer).map(|record| record.as_bytes().to_vec());
        let newest = Copy { record, ..self.newest() };
        if newest != self.newest() {
            self.copies.push(newest);
        }
    }

    /// A responder claims the record with this id: no copy has it from now on. Returns false if
    /// none had it.
    pub fn claim(&mut self, id: &ResumptionId) -> bool {
        let is_claimed = |bytes: &Vec<u8>| ResumptionRecord::from_bytes(bytes).unwrap().id == *id;
        let mut was_there = false;
        for copy in &mut self.copies {
            was_there |= copy.record.take_if(|bytes| is_claimed(bytes)).is_some();
        }
        was_there
    }

    /// A node that has just been made becomes a member of its fabric again.
    pub fn restore_fabric<S: Storage>(&self, copy: usize, manager: &mut Manager<S>) {
        let restored = manager.fabrics_mut().restore(&self.copies[copy].fabric);
        assert_eq!(restored, Ok(FabricIndex::MIN));
    }

    /// It gets its record back.
    pub fn restore_record<S: Storage>(
        &mut self,
        copy: usize,
        manager: &mut Manager<S>,
        cx: &mut Context<'_>,
    ) {
        if let Some(record) = &self.copies[copy].record {
            let record = ResumptionRecord::from_bytes(record).unwrap();
            assert_eq!(manager.records_mut().restore(cx, record), Ok(()));
        }
    }
}
