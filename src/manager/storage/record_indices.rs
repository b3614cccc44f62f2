//! Indices of resumption records on the heap. The table of records bounds their sizes.

use alloc::collections::{BTreeMap, BTreeSet};

use super::{RecordIndex, RecordOrder, RecordUse};
use crate::ids::{FabricIndex, NodeId, Peer};
use crate::session::ResumptionId;
use crate::time::Instant;

/// Records by fabric and id.
#[derive(Debug)]
pub struct RecordsById(BTreeSet<(FabricIndex, ResumptionId, NodeId)>);

impl RecordIndex for RecordsById {
    const EMPTY: Self = Self(BTreeSet::new());

    fn insert(&mut self, id: ResumptionId, peer: Peer) {
        self.0.insert((peer.fabric, id, peer.node));
    }

    fn remove(&mut self, id: ResumptionId, peer: Peer) {
        self.0.remove(&(peer.fabric, id, peer.node));
    }

    fn nth(
        &self,
        fabric: FabricIndex,
        id: &ResumptionId,
        n: usize,
        _: impl FnOnce() -> Option<Peer>,
    ) -> Option<Peer> {
        let found = self.0.range((fabric, *id, NodeId::UNSPECIFIED)..).nth(n)?;
        (found.0 == fabric && found.1 == *id).then_some(Peer::new(found.0, found.2))
    }
}

/// Records by a point in time.
#[derive(Debug)]
pub struct RecordsByAge(BTreeSet<(Instant, Peer)>);

impl RecordOrder for RecordsByAge {
    const EMPTY: Self = Self(BTreeSet::new());

    fn insert(&mut self, at: Instant, peer: Peer) {
        self.0.insert((at, peer));
    }

    fn remove(&mut self, at: Instant, peer: Peer) {
        self.0.remove(&(at, peer));
    }

    fn first(&self, _: impl FnOnce() -> Option<(Instant, Peer)>) -> Option<(Instant, Peer)> {
        self.0.first().copied()
    }
}

/// Records by fabric and last use, and their number on each fabric.
#[derive(Debug)]
pub struct RecordsByUse {
    order: BTreeSet<(FabricIndex, Instant, NodeId)>,
    counts: BTreeMap<FabricIndex, usize>,
}

impl RecordUse for RecordsByUse {
    const EMPTY: Self = Self { order: BTreeSet::new(), counts: BTreeMap::new() };

    fn insert(&mut self, at: Instant, peer: Peer) {
        if self.order.insert((peer.fabric, at, peer.node)) {
            let count = self.counts.entry(peer.fabric).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn remove(&mut self, at: Instant, peer: Peer) {
        if !self.order.remove(&(peer.fabric, at, peer.node)) {
            return;
        }
        match self.counts.get_mut(&peer.fabric) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => _ = self.counts.remove(&peer.fabric),
        }
    }

    fn first_to_evict(
        &self,
        preferred: FabricIndex,
        _: impl FnOnce() -> Option<Peer>,
    ) -> Option<Peer> {
        let counts = self.counts.iter();
        let largest = counts.max_by_key(|(of, count)| (**count, **of == preferred, **of));
        let (largest, _) = largest?;
        let first = (*largest, Instant::ZERO, NodeId::UNSPECIFIED);
        self.order.range(first..).next().map(|(fabric, _, node)| Peer::new(*fabric, *node))
    }
}
