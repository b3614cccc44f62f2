//! The resumption records of a node, by peer and by id.

use core::time::Duration;

use super::storage::{Map, RecordIndex, RecordOrder, Storage};
use super::{Event, RestoreError, SessionManager};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::FabricTable;
use crate::ids::{FabricIndex, NodeId, Peer};
use crate::resumption::{ResumptionRecord, ResumptionStore};
use crate::session::ResumptionId;
use crate::time::Instant;

#[cfg(all(test, feature = "alloc"))]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;

pub(super) struct Records<S: Storage> {
    by_peer: S::Records<Entry>,
    by_id: S::RecordIds,
    /// By their last use: the first makes room.
    by_use: S::RecordOrder,
    /// By when they were saved: the first expires.
    by_age: S::RecordOrder,
}

struct Entry {
    record: ResumptionRecord,
    saved: Instant,
    /// When it was saved or offered last. That a peer asks for it counts for nothing before the
    /// session stands, and it is saved then: anybody can repeat what a peer has sent.
    used: Instant,
}

impl<S: Storage> Records<S> {
    pub(super) const EMPTY: Self = Self {
        by_peer: Map::EMPTY,
        by_id: RecordIndex::EMPTY,
        by_use: RecordOrder::EMPTY,
        by_age: RecordOrder::EMPTY,
    };

    pub(super) fn limit(&mut self, limit: usize) {
        self.by_peer.limit(limit);
        self.by_id.limit(limit);
        self.by_use.limit(limit);
        self.by_age.limit(limit);
    }

    pub(super) fn capacity(&self) -> usize {
        self.by_peer.capacity()
    }

    /// When the next record expires.
    pub(super) fn expiry(&self, lifetime: Duration) -> Option<Instant> {
        self.oldest().map(|(saved, _)| saved + lifetime)
    }

    pub(super) fn len(&self) -> usize {
        self.by_peer.len()
    }

    fn is_full(&self) -> bool {
        self.by_peer.len() >= self.by_peer.capacity()
    }

    fn oldest(&self) -> Option<(Instant, Peer)> {
        self.by_age.first(|| self.first_by(|entry| entry.saved))
    }

    fn least_used(&self) -> Option<(Instant, Peer)> {
        self.by_use.first(|| self.first_by(|entry| entry.used))
    }

    /// The first record in the order of some time: for storage without an index.
    #[inline(never)]
    fn first_by(&self, time: impl Fn(&Entry) -> Instant) -> Option<(Instant, Peer)> {
        self.by_peer.iter().map(|(peer, entry)| (time(entry), *peer)).min()
    }

    /// The records as they are valid at `now`.
    pub(super) const fn at(&mut self, now: Instant, lifetime: Duration) -> Valid<'_, S> {
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

    /// Adds a record in place of the peer's former one. When there is no room the one that was
    /// used least recently makes some; its peer is returned.
    ///
    /// Ids are random, but the responder chooses them: one that repeats the id of another peer's
    /// record must not cost that peer its record, so it gets none itself.
    #[inline(never)]
    pub(super) fn save(&mut self, record: &ResumptionRecord, now: Instant) -> Option<Peer> {
        let peer = Peer::new(record.fabric, record.peer);
        self.forget(peer);
        if self.peer_of(&record.id).is_some() {
            return None;
        }
        let evicted = self.least_used().filter(|_| self.is_full()).map(|(_, peer)| peer);
        if let Some(evicted) = evicted {
            self.forget(evicted);
        }
        let entry = Entry { record: record.clone(), saved: now, used: now };
        if self.by_peer.insert(peer, entry).is_ok() {
            let indexed = self.by_id.insert(record.id, peer).is_ok()
                && self.by_use.insert(now, peer).is_ok()
                && self.by_age.insert(now, peer).is_ok();
            if !indexed {
                self.forget(peer);
            }
        }
        evicted
    }

    /// A record is in use.
    fn touch(&mut self, peer: Peer, now: Instant) {
        let Some(entry) = self.by_peer.get_mut(&peer) else { return };
        self.by_use.remove(core::mem::replace(&mut entry.used, now), peer);
        let inserted = self.by_use.insert(now, peer);
        debug_assert!(inserted.is_ok(), "it has just left");
    }

    fn forget(&mut self, peer: Peer) {
        // Where it stands, as moving it would leave its secret there.
        let Some(Entry { record, saved, used }) = self.by_peer.get(&peer) else { return };
        let (id, saved, used) = (record.id, *saved, *used);
        self.by_peer.discard(&peer);
        self.by_id.remove(&id);
        self.by_use.remove(used, peer);
        self.by_age.remove(saved, peer);
    }

    fn first_of(&self, fabric: FabricIndex) -> Option<Peer> {
        let first = self.by_peer.first_from(Peer::new(fabric, NodeId::UNSPECIFIED));
        first.filter(|peer| peer.fabric == fabric)
    }

    /// A record whose time is over.
    fn expired(&self, now: Instant, lifetime: Duration) -> Option<Peer> {
        let (saved, peer) = self.oldest()?;
        (now >= saved + lifetime).then_some(peer)
    }
}

/// Records at a point in time: those past their lifetime are not found.
pub(super) struct Valid<'a, S: Storage> {
    records: &'a mut Records<S>,
    now: Instant,
    lifetime: Duration,
}

impl<S: Storage> Valid<'_, S> {
    fn find(&self, peer: Peer) -> Option<ResumptionRecord> {
        let entry = self.records.by_peer.get(&peer)?;
        let fresh = self.now.saturating_since(entry.saved) < self.lifetime;
        fresh.then(|| entry.record.clone())
    }
}

impl<S: Storage> ResumptionStore for Valid<'_, S> {
    fn by_id(&mut self, id: &ResumptionId) -> Option<ResumptionRecord> {
        self.find(self.records.peer_of(id)?)
    }

    fn by_peer(&mut self, peer: Peer) -> Option<ResumptionRecord> {
        self.records.touch(peer, self.now);
        self.find(peer)
    }

    /// The manager looks after its own handshakes, see `is_being_resumed`.
    fn claim(&mut self, _: &ResumptionId) -> bool {
        true
    }

    // The manager does these by itself, as it tells of what changes.

    fn save(&mut self, record: &ResumptionRecord) {
        self.records.save(record, self.now);
    }

    fn remove(&mut self, peer: Peer) {
        self.records.forget(peer);
    }

    fn remove_fabric(&mut self, fabric: FabricIndex) {
        while let Some(peer) = self.records.first_of(fabric) {
            self.records.forget(peer);
        }
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// The resumption record of a peer, to be stored in reaction to [`Event::RecordChanged`]. Like
    /// all that reads records here it knows the manager's own table alone, and nothing of a
    /// [`ResumptionStore`].
    #[must_use]
    pub fn record(&self, peer: Peer) -> Option<&ResumptionRecord> {
        self.node.records.by_peer(peer)
    }

    /// All resumption records.
    pub fn records(&self) -> impl Iterator<Item = &ResumptionRecord> {
        self.node.records.by_peer.iter().map(|(_, entry)| &entry.record)
    }

    /// Takes in a record that was stored before, in place of the peer's former one. Its lifetime
    /// begins anew. No event tells of it.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing has changed then. What [is temporary](RestoreError::is_temporary)
    /// is no reason to delete what is stored.
    pub fn restore_record(
        &mut self,
        cx: &mut Context<'_>,
        record: ResumptionRecord,
    ) -> Result<(), RestoreError> {
        let peer = Peer::new(record.fabric, record.peer);
        let records = &self.node.records;
        let fabric = self.node.fabrics.by_index(record.fabric);
        if !fabric.is_some_and(|fabric| record.is_of(fabric)) {
            return Err(RestoreError::UnknownFabric);
        }
        if records.peer_of(&record.id).is_some_and(|holder| holder != peer) {
            return Err(RestoreError::IdTaken);
        }
        if records.by_peer(peer).is_none() && records.is_full() {
            return Err(RestoreError::TooMany);
        }
        // Each record may have to tell of its end.
        if self.is_backlogged() {
            return Err(RestoreError::Backlog);
        }
        self.node.records.save(&record, cx.now);
        Ok(())
    }

    /// Forgets the record of a peer, also in the store that `cx` names: its certificate was
    /// revoked, say. The next handshake with it is a full one. One that is about to resume from
    /// this record ends.
    ///
    /// Managers that share a store are each to be called: each ends its own handshakes.
    pub fn forget_record(&mut self, cx: &mut Context<'_>, peer: Peer) {
        if let Some(store) = &mut cx.resumption {
            store.remove(peer);
        }
        self.end_resumptions(peer.fabric, Some(peer.node), cx.now);
        self.discard_record(peer);
    }

    /// Forgets the records of all fabrics of this node, also in the store that `cx` names.
    /// Handshakes that are about to resume end.
    pub fn forget_records(&mut self, cx: &mut Context<'_>) {
        // No record outlives its fabric.
        for fabric in (1..=FabricIndex::MAX.get()).filter_map(FabricIndex::new) {
            if self.node.fabrics.by_index(fabric).is_some() {
                self.forget_records_of(fabric, cx);
            }
        }
    }

    #[inline(never)]
    pub(super) fn save_record(&mut self, record: &ResumptionRecord, now: Instant) {
        if let Some(evicted) = self.node.records.save(record, now) {
            self.tell(Event::RecordChanged { peer: evicted });
        }
        self.tell(Event::RecordChanged { peer: Peer::new(record.fabric, record.peer) });
    }

    /// Forgets the records whose time is over. How long a store keeps its own is the store's to
    /// say.
    #[inline(never)]
    pub(super) fn expire_records(&mut self, now: Instant) {
        let lifetime = self.node.config.record_lifetime;
        while let Some(peer) = self.node.records.expired(now, lifetime) {
            self.end_resumptions(peer.fabric, Some(peer.node), now);
            self.discard_record(peer);
        }
    }

    /// Forgets the records of a fabric, also in the store that `cx` names, and lets no handshake
    /// bring one back.
    pub(super) fn forget_records_of(&mut self, fabric: FabricIndex, cx: &mut Context<'_>) {
        if let Some(store) = &mut cx.resumption {
            store.remove_fabric(fabric);
        }
        // Of peers whose records are in a store, too.
        self.end_resumptions(fabric, None, cx.now);
        while let Some(peer) = self.node.records.first_of(fabric) {
            self.discard_record(peer);
        }
    }

    /// Takes a record out of the own table, and tells of it.
    fn discard_record(&mut self, peer: Peer) {
        if self.record(peer).is_some() {
            self.node.records.forget(peer);
            self.tell(Event::RecordChanged { peer });
        }
    }
}
