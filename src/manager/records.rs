//! The resumption records of a node, by peer and by id.

use core::time::Duration;

use super::storage::{Map, Storage};
use super::{Event, SessionManager};
use crate::crypto::Crypto;
use crate::ids::{FabricIndex, NodeId};
use crate::resumption::{ResumptionRecord, ResumptionStore};
use crate::session::ResumptionId;
use crate::time::Instant;

pub(super) struct Records<S: Storage> {
    by_peer: S::Records<Entry>,
    by_id: S::RecordIds,
}

struct Entry {
    record: ResumptionRecord,
    saved: Instant,
}

type Peer = (FabricIndex, NodeId);

impl<S: Storage> Records<S> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { by_peer: Map::with_capacity(capacity), by_id: Map::with_capacity(capacity) }
    }

    /// The records as they are valid at `now`.
    pub(super) const fn at(&self, now: Instant, lifetime: Duration) -> Valid<'_, S> {
        Valid { records: self, now, lifetime }
    }

    fn by_peer(&self, peer: Peer) -> Option<&ResumptionRecord> {
        self.by_peer.get(&peer).map(|entry| &entry.record)
    }

    /// Adds a record in place of the peer's former one. When there is no room the oldest makes
    /// some; its peer is returned.
    fn save(&mut self, record: ResumptionRecord, now: Instant) -> Option<Peer> {
        let peer = (record.fabric, record.peer);
        self.forget(peer);
        let evicted = if self.by_peer.len() >= self.by_peer.capacity() {
            let oldest = self.by_peer.iter().min_by_key(|(_, entry)| entry.saved);
            let oldest = oldest.map(|(peer, _)| *peer);
            oldest.inspect(|peer| self.forget(*peer))
        } else {
            None
        };
        let id = record.id;
        if self.by_peer.insert(peer, Entry { record, saved: now }).is_ok()
            && self.by_id.insert(id, peer).is_err()
        {
            self.by_peer.remove(&peer);
        }
        evicted
    }

    fn forget(&mut self, peer: Peer) {
        if let Some(entry) = self.by_peer.remove(&peer) {
            self.by_id.remove(&entry.record.id);
        }
    }
}

/// Records at a point in time: those past their lifetime are not found.
pub(super) struct Valid<'a, S: Storage> {
    records: &'a Records<S>,
    now: Instant,
    lifetime: Duration,
}

impl<S: Storage> Valid<'_, S> {
    pub(super) fn by_peer(&self, peer: Peer) -> Option<ResumptionRecord> {
        let entry = self.records.by_peer.get(&peer)?;
        let fresh = self.now.saturating_since(entry.saved) < self.lifetime;
        fresh.then(|| entry.record.clone())
    }
}

impl<S: Storage> ResumptionStore for Valid<'_, S> {
    fn by_id(&self, id: &ResumptionId) -> Option<ResumptionRecord> {
        self.by_peer(*self.records.by_id.get(id)?)
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// The resumption record of a peer, to be stored in reaction to [`Event::RecordChanged`].
    #[must_use]
    pub fn record(&self, fabric: FabricIndex, peer: NodeId) -> Option<&ResumptionRecord> {
        self.node.records.by_peer((fabric, peer))
    }

    /// The resumption record with this id.
    #[must_use]
    pub fn record_by_id(&self, id: &ResumptionId) -> Option<&ResumptionRecord> {
        self.node.records.by_peer(*self.node.records.by_id.get(id)?)
    }

    /// All resumption records.
    pub fn records(&self) -> impl Iterator<Item = &ResumptionRecord> {
        self.node.records.by_peer.iter().map(|(_, entry)| &entry.record)
    }

    /// Takes in a record that was stored before. Its lifetime begins anew. Returns false, and
    /// takes nothing in, when its fabric is unknown.
    pub fn restore_record(&mut self, record: ResumptionRecord, now: Instant) -> bool {
        if self.fabric(record.fabric).is_none() {
            return false;
        }
        self.save_record(record, now);
        true
    }

    /// Forgets the record of a peer: its certificate was revoked, say. The next handshake with
    /// it is a full one.
    pub fn forget_record(&mut self, fabric: FabricIndex, peer: NodeId) {
        if self.record(fabric, peer).is_some() {
            self.node.records.forget((fabric, peer));
            self.tell_record(fabric, peer);
        }
    }

    /// Forgets all records.
    pub fn forget_records(&mut self) {
        while let Some((fabric, node)) = self.node.records.by_peer.first() {
            self.forget_record(fabric, node);
        }
    }

    pub(super) fn save_record(&mut self, record: ResumptionRecord, now: Instant) {
        let (fabric, peer) = (record.fabric, record.peer);
        if let Some((fabric, peer)) = self.node.records.save(record, now) {
            self.tell_record(fabric, peer);
        }
        self.tell_record(fabric, peer);
    }

    pub(super) fn forget_records_of(&mut self, fabric: FabricIndex) {
        let first = (fabric, NodeId::UNSPECIFIED);
        while let Some((_, node)) =
            self.node.records.by_peer.first_from(first).filter(|peer| peer.0 == fabric)
        {
            self.forget_record(fabric, node);
        }
    }

    fn tell_record(&mut self, fabric: FabricIndex, peer: NodeId) {
        self.tell(Event::RecordChanged { fabric, peer });
    }
}
