//! What an administrator changes for good, and what a reset or the fail-safe undoes.

use core::time::Duration;

use embedded_storage::nor_flash::NorFlash;
use flash_store::memory::{Kept, Kind, Memory, StoredFabric, Undone};
use matter_session::fabric::FabricCredentials;
use matter_session::ids::FabricIndex;
use matter_session::resumption::ResumptionRecord;
use matter_session::time::Instant;

use crate::device::{Board, Device, FAIL_SAFE, Happening, TIDY, services};
use crate::frame::Fabric;

/// A board with a store.
pub trait Persistent: Board {
    type Flash: NorFlash;

    /// The store; `None` if its flash has failed at the start.
    fn memory(&mut self) -> Option<&mut Memory<Self::Flash>>;
}

impl<B: Persistent> Device<'_, B> {
    /// Takes in what was kept over a reset. What is damaged is not there: its peers find that out.
    #[inline(never)]
    pub fn restore(&mut self) {
        let Self { board, node, rng, .. } = self;
        let mut services = services(board, rng, self.booted);
        let mut cx = services.at(board.now());
        let Some(memory) = board.memory() else { return };
        memory.each(|kept| match kept {
            Kept::Fabric(stored) => {
                let _ = node.fabrics_mut().restore(stored);
            }
            Kept::Item(item) if item.kind == Kind::Record => {
                // If it is refused, its peer gets a full handshake, and a record in place of this.
                if let Ok(record) = ResumptionRecord::from_bytes(item.value) {
                    let _ = node.records_mut().restore(&mut cx, record);
                }
            }
            // This device is in no group, and sends no Check-In messages.
            Kept::Item(_) => {}
        });
    }

    /// Changes the credentials of a fabric, until [`complete`](Self::complete) or the fail-safe;
    /// returns whether that worked.
    #[inline(never)]
    pub fn update(&mut self, index: FabricIndex, fabric: &Fabric<'_>) -> bool {
        if self.fail_safe.is_some() {
            return false;
        }
        let Self { board, node, rng, .. } = self;
        let mut services = services(board, rng, self.booted);
        let mut cx = services.at(board.now());
        let mut buf = StoredFabric::zero();
        let Some(former) = board.memory().and_then(|memory| memory.fabric(index, &mut buf)) else {
            return false;
        };
        let Fabric { root, icac, noc, .. } = *fabric;
        // The command brings no identity protection keys: the fabric keeps its own.
        let credentials = FabricCredentials { root, icac, noc, ipks: &[] };
        if node.fabrics_mut().update(&mut cx, index, &credentials).is_err() {
            return false;
        }
        let kept = board
            .memory()
            .zip(node.fabrics().get(index))
            .is_some_and(|(memory, updated)| memory.keep_updated(updated));
        let now = cx.now();
        if !kept {
            let _ = node.fabrics_mut().replace(&mut cx, former);
        }
        // If it is not kept, the store may hold half of it: that is undone soon.
        self.arm(index, if kept { FAIL_SAFE } else { TIDY }, now);
        kept
    }

    /// The commissioner is done with what it has added or updated; returns whether that is kept.
    pub fn complete(&mut self) -> bool {
        let Some((index, _)) = self.fail_safe else { return false };
        let kept = self.board.memory().is_some_and(|memory| memory.complete(index));
        if kept {
            self.fail_safe = None;
        }
        kept
    }

    /// Undoes what was added or updated and not completed in time. Call it in each turn.
    #[inline(never)]
    pub fn undo_expired(&mut self) {
        let now = self.board.now();
        let Some((index, _)) = self.fail_safe.take_if(|(_, expires)| *expires <= now) else {
            return;
        };
        let Self { board, node, rng, .. } = self;
        let mut services = services(board, rng, self.booted);
        let mut cx = services.at(now);
        let mut buf = StoredFabric::zero();
        match board.memory().and_then(|memory| memory.roll_back(index, &mut buf)) {
            Some(Undone::Replaced(former)) => {
                let _ = node.fabrics_mut().replace(&mut cx, former);
            }
            Some(Undone::Removed) => {
                node.fabrics_mut().remove(&mut cx, index);
            }
            Some(Undone::Nothing) => {}
            None => {
                board.tell(Happening::NotKept);
                self.arm(index, TIDY, now);
            }
        }
    }

    /// Ends a membership (RemoveFabric); returns whether it is ended.
    #[inline(never)]
    pub fn leave(&mut self, index: FabricIndex) -> bool {
        let gone = self.board.memory().is_some_and(|memory| memory.forget_fabric(index));
        if gone {
            self.fail_safe.take_if(|(armed, _)| *armed == index);
            let mut services = services(&mut self.board, &mut self.rng, self.booted);
            let mut cx = services.at(self.board.now());
            self.node.fabrics_mut().remove(&mut cx, index);
        }
        gone
    }

    /// Deletes all that was kept but the factory's data and bounds of counters. The caller resets
    /// the board, whatever this returns: if it was begun, the start goes on with it.
    pub fn reset(&mut self) -> bool {
        self.board.memory().is_some_and(Memory::reset)
    }

    fn arm(&mut self, index: FabricIndex, after: Duration, now: Instant) {
        self.fail_safe = Some((index, now + after));
    }
}
