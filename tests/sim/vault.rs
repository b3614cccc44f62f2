//! A store of resumption records that outlives its node.

use std::collections::{BTreeMap, BTreeSet};

use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::resumption::{ResumptionRecord, ResumptionStore};
use matter_session::session::ResumptionId;

use matter_session_testing::rng::Dice;

/// The newest record of each peer, as bytes, and which ones a responder has taken.
#[derive(Debug)]
pub struct Vault {
    pub rows: BTreeMap<(FabricIndex, NodeId), Vec<u8>>,
    claimed: BTreeSet<[u8; 16]>,
    dice: Dice,
}

impl Vault {
    pub const fn new(dice: Dice) -> Self {
        Self { rows: BTreeMap::new(), claimed: BTreeSet::new(), dice }
    }

    fn find(&self, wanted: impl Fn(&ResumptionRecord) -> bool) -> Option<ResumptionRecord> {
        let mut records = self.rows.values().map(|row| ResumptionRecord::from_bytes(row).unwrap());
        records.find(wanted)
    }
}

impl ResumptionStore for Vault {
    fn by_id(&mut self, id: &ResumptionId) -> Option<ResumptionRecord> {
        self.find(|record| record.id == *id)
    }

    fn by_peer(&mut self, Peer { fabric, node: peer }: Peer) -> Option<ResumptionRecord> {
        self.find(|record| (record.fabric, record.peer) == (fabric, peer))
    }

    fn claim(&mut self, id: &ResumptionId) -> bool {
        self.claimed.insert(*id.as_bytes())
    }

    fn save(&mut self, record: &ResumptionRecord) {
        let peer = (record.fabric, record.peer);
        // Now and then it fails, and keeps what it had.
        if self.dice.below(8) != 0 && self.find(|other| other.id == record.id).is_none() {
            self.rows.insert(peer, record.to_bytes().as_bytes().to_vec());
        }
    }

    fn remove(&mut self, Peer { fabric, node: peer }: Peer) {
        self.rows.remove(&(fabric, peer));
    }

    fn remove_fabric(&mut self, fabric: FabricIndex) {
        self.rows.retain(|(of, _), _| *of != fabric);
    }
}
