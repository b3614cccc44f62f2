//! Stores that lie: they fail, forget, and return what somebody else has stored.

use matter_session::context::{PeerIdentity, PeerPolicy, Rejected};
use matter_session::group::{CounterStore, GroupCounter, StoreError};
use matter_session::ids::{FabricIndex, Peer};
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::ResumptionId;
use matter_session_testing::rng::Dice;

/// Keeps records of all nodes, and returns whichever it likes.
#[derive(Debug)]
pub struct Liar {
    pub dice: Dice,
    pub records: Vec<ResumptionRecord>,
}

impl Liar {
    /// Mostly the record that is asked for, at times none or another one.
    fn any(&mut self, is_wanted: impl Fn(&ResumptionRecord) -> bool) -> Option<ResumptionRecord> {
        match self.dice.below(8) {
            0 => None,
            1 if !self.records.is_empty() => {
                let which = self.dice.below(self.records.len() as u64) as usize;
                Some(self.records[which].clone())
            }
            _ => self.records.iter().find(|record| is_wanted(record)).cloned(),
        }
    }
}

impl ResumptionStore for Liar {
    fn by_id(&mut self, _: FabricIndex, id: &ResumptionId, _: usize) -> Option<ResumptionRecord> {
        self.any(|record| record.id == *id)
    }

    fn by_peer(&mut self, peer: Peer) -> Option<ResumptionRecord> {
        self.any(|record| (record.fabric, record.peer) == (peer.fabric, peer.node))
    }

    fn claim(&mut self, _: Peer, _: &ResumptionId) -> Claim {
        match self.dice.below(4) {
            0 => Claim::Refused,
            1 => Claim::Pending,
            _ => Claim::Granted,
        }
    }

    fn save(&mut self, record: &ResumptionRecord) {
        if self.records.len() >= 16 {
            let which = self.dice.below(16) as usize;
            self.records[which] = record.clone();
        } else if self.dice.below(4) != 0 {
            self.records.push(record.clone());
        }
    }

    fn remove(&mut self, peer: Peer) {
        if self.dice.below(4) != 0 {
            self.records.retain(|r| (r.fabric, r.peer) != (peer.fabric, peer.node));
        }
    }

    fn remove_fabric(&mut self, fabric: FabricIndex) {
        if self.dice.below(4) != 0 {
            self.records.retain(|record| record.fabric != fabric);
        }
    }
}

/// Loses the bounds of counters, or invents them.
#[derive(Debug)]
pub struct Forgetful(pub Dice);

impl CounterStore for Forgetful {
    fn load(&mut self, _: GroupCounter) -> Result<Option<u64>, StoreError> {
        match self.0.below(8) {
            0 => Err(StoreError),
            1 => Ok(None),
            2 => Ok(Some(u64::MAX - self.0.below(3))),
            _ => Ok(Some(self.0.roll())),
        }
    }

    fn store(&mut self, _: GroupCounter, _: u64) -> Result<(), StoreError> {
        if self.0.below(4) == 0 { Err(StoreError) } else { Ok(()) }
    }
}

/// Rejects every peer with an odd node id.
#[derive(Debug)]
pub struct Picky;

impl PeerPolicy for Picky {
    fn authorize(&self, peer: &PeerIdentity<'_>) -> Result<(), Rejected> {
        if peer.peer.node.get() % 2 == 1 { Err(Rejected) } else { Ok(()) }
    }
}
