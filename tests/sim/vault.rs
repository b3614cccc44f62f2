//! A store of resumption records that outlives its node.

use std::collections::BTreeMap;

use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::ResumptionId;

use matter_session_testing::rng::Dice;

/// The newest record of each peer, as bytes, except those that a responder has claimed.
#[derive(Debug)]
pub struct Vault {
    pub rows: BTreeMap<(FabricIndex, NodeId), Vec<u8>>,
    dice: Dice,
}

impl Vault {
    pub const fn new(dice: Dice) -> Self {
        Self { rows: BTreeMap::new(), dice }
    }

    fn find(&self, wanted: impl Fn(&ResumptionRecord) -> bool) -> Option<ResumptionRecord> {
        let mut records = self.rows.values().map(|row| ResumptionRecord::from_bytes(row).unwrap());
        records.find(wanted)
    }
}

impl ResumptionStore for Vault {
    fn by_id(
        &mut self,
        fabric: FabricIndex,
        id: &ResumptionId,
        n: usize,
    ) -> Option<ResumptionRecord> {
        let records = self.rows.values().map(|row| ResumptionRecord::from_bytes(row).unwrap());
        records.filter(|record| (record.fabric, record.id) == (fabric, *id)).nth(n)
    }

    fn by_peer(&mut self, Peer { fabric, node: peer }: Peer) -> Option<ResumptionRecord> {
        self.find(|record| (record.fabric, record.peer) == (fabric, peer))
    }

    fn claim(&mut self, peer: Peer, id: &ResumptionId) -> Claim {
        if self.by_peer(peer).is_none_or(|record| record.id != *id) {
            return Claim::Refused;
        }
        // Now and then it takes its time.
        if self.dice.below(4) == 0 {
            return Claim::Pending;
        }
        self.remove(peer);
        Claim::Granted
    }

    fn save(&mut self, record: &ResumptionRecord) {
        let peer = (record.fabric, record.peer);
        // Now and then it fails, and keeps what it had.
        if self.dice.below(8) != 0 {
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
