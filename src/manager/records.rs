//! The resumption records of a node, by peer and by id.

use core::time::Duration;

use super::storage::{Map, RecordIndex, Storage};
use super::{Event, SessionManager};
use crate::crypto::Crypto;
use crate::fabric::FabricTable;
use crate::ids::{FabricIndex, NodeId};
use crate::resumption::{ResumptionRecord, ResumptionStore};
use crate::session::ResumptionId;
use crate::time::Instant;

pub(super) struct Records<S: Storage> {
    by_peer: S::Records<Entry>,
    by_id: S::RecordIds,
    /// When the oldest was saved.
    oldest: Option<Instant>,
}

struct Entry {
    record: ResumptionRecord,
    saved: Instant,
}

type Peer = (FabricIndex, NodeId);

impl<S: Storage> Records<S> {
    pub(super) const EMPTY: Self =
        Self { by_peer: Map::EMPTY, by_id: RecordIndex::EMPTY, oldest: None };

    pub(super) fn limit(&mut self, limit: usize) {
        self.by_peer.limit(limit);
        self.by_id.limit(limit);
    }

    pub(super) fn capacity(&self) -> usize {
        self.by_peer.capacity()
    }

    /// When the next record expires.
    pub(super) fn expiry(&self, lifetime: Duration) -> Option<Instant> {
        self.oldest.map(|saved| saved + lifetime)
    }

    pub(super) fn len(&self) -> usize {
        self.by_peer.len()
    }

    fn is_full(&self) -> bool {
        self.by_peer.len() >= self.by_peer.capacity()
    }

    fn oldest(&self) -> Option<Peer> {
        let oldest = self.by_peer.iter().min_by_key(|(_, entry)| entry.saved);
        oldest.map(|(peer, _)| *peer)
    }

    /// The records as they are valid at `now`.
    pub(super) const fn at(&self, now: Instant, lifetime: Duration) -> Valid<'_, S> {
        Valid { records: self, now, lifetime }
    }

    fn by_peer(&self, peer: Peer) -> Option<&ResumptionRecord> {
        self.by_peer.get(&peer).map(|entry| &entry.record)
    }

    /// The peer whose record has this id.
    fn peer_of(&self, id: &ResumptionId) -> Option<Peer> {
        self.by_id.get(id, || {
            let mut records = self.by_peer.iter();
            records.find(|(_, entry)| entry.record.id == *id).map(|(peer, _)| *peer)
        })
    }

    /// Adds a record in place of the peer's former one. When there is no room the oldest makes
    /// some; its peer is returned.
    ///
    /// Ids are random, but the responder chooses them: one that repeats the id of another peer's
    /// record must not cost that peer its record, so it gets none itself.
    #[inline(never)]
    pub(super) fn save(&mut self, record: ResumptionRecord, now: Instant) -> Option<Peer> {
        let peer = (record.fabric, record.peer);
        self.forget(peer);
        if self.peer_of(&record.id).is_some() {
            return None;
        }
        let evicted = self.oldest().filter(|_| self.is_full());
        if let Some(evicted) = evicted {
            self.forget(evicted);
        }
        let id = record.id;
        if self.by_peer.insert(peer, Entry { record, saved: now }).is_ok() {
            self.oldest = Some(self.oldest.map_or(now, |oldest| oldest.min(now)));
            if self.by_id.insert(id, peer).is_err() {
                self.forget(peer);
            }
        }
        evicted
    }

    fn forget(&mut self, peer: Peer) {
        // Where it stands, as moving it would leave its secret there.
        let Some(Entry { record, saved }) = self.by_peer.get(&peer) else { return };
        let (id, saved) = (record.id, *saved);
        self.by_peer.discard(&peer);
        self.by_id.remove(&id);
        if self.oldest == Some(saved) {
            self.oldest = self.by_peer.iter().map(|(_, entry)| entry.saved).min();
        }
    }

    /// A record whose time is over.
    fn expired(&self, now: Instant, lifetime: Duration) -> Option<Peer> {
        self.expiry(lifetime).filter(|expiry| now >= *expiry)?;
        self.oldest()
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
        self.by_peer(self.records.peer_of(id)?)
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
        self.node.records.by_peer(self.node.records.peer_of(id)?)
    }

    /// All resumption records.
    pub fn records(&self) -> impl Iterator<Item = &ResumptionRecord> {
        self.node.records.by_peer.iter().map(|(_, entry)| &entry.record)
    }

    /// Takes in a record that was stored before. Its lifetime begins anew. Returns false, and
    /// takes nothing in, when its fabric is unknown, when the table is full, when another peer's
    /// record has the same id, or when too many events wait. No event tells of it.
    pub fn restore_record(&mut self, record: ResumptionRecord, now: Instant) -> bool {
        let peer = (record.fabric, record.peer);
        let backlogged = self.is_backlogged();
        let records = &mut self.node.records;
        let takes = records.by_peer(peer).is_some() || !records.is_full();
        let takes = takes && !backlogged;
        let clashes = records.peer_of(&record.id).is_some_and(|holder| holder != peer);
        if self.node.fabrics.by_index(record.fabric).is_none() || !takes || clashes {
            return false;
        }
        self.node.records.save(record, now);
        true
    }

    /// Forgets the record of a peer: its certificate was revoked, say. The next handshake with
    /// it is a full one. One that is about to resume from this record ends.
    pub fn forget_record(&mut self, fabric: FabricIndex, peer: NodeId) {
        self.end_resumptions(fabric, peer);
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

    #[inline(never)]
    pub(super) fn save_record(&mut self, record: ResumptionRecord, now: Instant) {
        let (fabric, peer) = (record.fabric, record.peer);
        if let Some((fabric, peer)) = self.node.records.save(record, now) {
            self.tell_record(fabric, peer);
        }
        self.tell_record(fabric, peer);
    }

    /// Forgets the records whose time is over.
    #[inline(never)]
    pub(super) fn expire_records(&mut self, now: Instant) {
        let lifetime = self.node.config.record_lifetime;
        while let Some((fabric, peer)) = self.node.records.expired(now, lifetime) {
            self.forget_record(fabric, peer);
        }
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
