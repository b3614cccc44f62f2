//! A store of resumption records that outlives its node.

use matter_session::ids::{FabricIndex, Peer};
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::ResumptionId;

use super::store::{Copies, Rows, delete};
use matter_session_testing::rng::Dice;

/// The newest record of each peer, except those that a responder has claimed.
#[derive(Debug)]
pub struct Vault {
    pub rows: Rows,
    /// What it had before.
    copies: Copies<Rows>,
    dice: Dice,
}

impl Vault {
    pub fn new(dice: Dice) -> Self {
        Self { rows: Rows::new(), copies: Copies::default(), dice }
    }

    fn find(&self, wanted: impl Fn(&ResumptionRecord) -> bool) -> Option<ResumptionRecord> {
        let mut records = self.rows.values().map(|row| ResumptionRecord::from_bytes(row).unwrap());
        records.find(wanted)
    }

    /// Deletes a claimed record in every copy: it never comes back.
    pub fn delete(&mut self, peer: Peer, id: &ResumptionId) {
        delete(&mut self.rows, peer, id);
        self.copies.each(|rows| delete(rows, peer, id));
    }

    /// What it has written last is lost.
    pub fn go_back(&mut self, roll: u64) {
        if let Some(rows) = self.copies.pick(roll) {
            self.rows = rows;
        }
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
        self.delete(peer, id);
        Claim::Granted
    }

    fn save(&mut self, record: &ResumptionRecord) {
        let peer = (record.fabric, record.peer);
        // Now and then it fails, and keeps what it had.
        if self.dice.below(8) != 0 {
            self.rows.insert(peer, record.to_bytes().as_bytes().to_vec());
            self.copies.keep(&self.rows, self.dice.roll());
        }
    }

    fn remove(&mut self, Peer { fabric, node: peer }: Peer) {
        self.rows.remove(&(fabric, peer));
    }

    /// Those are deleted for good, as the fabric may be joined again.
    fn remove_fabric(&mut self, fabric: FabricIndex) {
        let is_kept = |rows: &mut Rows| rows.retain(|(of, _), _| *of != fabric);
        is_kept(&mut self.rows);
        self.copies.each(is_kept);
    }
}
