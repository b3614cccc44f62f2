//! The resumption records of a node, by peer and by id.

use core::time::Duration;

use crate::ids::{FabricIndex, NodeId, Peer};
use crate::manager::error::RestoreError;
use crate::manager::storage::{Map, RecordIndex, RecordOrder, Storage};
use crate::resumption::{ResumptionRecord, ResumptionStore};
use crate::session::ResumptionId;
use crate::time::Instant;

#[cfg(all(test, feature = "alloc"))]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;

pub(in crate::manager) struct Records<S: Storage> {
    by_peer: S::Records<Entry>,
    by_id: S::RecordIds,
    /// By their last use: the first is evicted.
    by_use: S::RecordOrder,
    /// By when they were saved: the first expires.
    by_age: S::RecordOrder,
}

struct Entry {
    record: ResumptionRecord,
    saved: Instant,
    /// When it was saved or offered last. A request of the peer does not count, since anybody can
    /// replay one: the record is saved anew when the session is established.
    used: Instant,
}

impl<S: Storage> Records<S> {
    pub(in crate::manager) const EMPTY: Self = Self {
        by_peer: Map::EMPTY,
        by_id: RecordIndex::EMPTY,
        by_use: RecordOrder::EMPTY,
        by_age: RecordOrder::EMPTY,
    };

    pub(in crate::manager) fn limit(&mut self, limit: usize) {
        self.by_peer.limit(limit);
        self.by_id.limit(limit);
        self.by_use.limit(limit);
        self.by_age.limit(limit);
    }

    pub(in crate::manager) fn capacity(&self) -> usize {
        self.by_peer.capacity()
    }

    /// Returns when the next record expires.
    pub(in crate::manager) fn expiry(&self, lifetime: Duration) -> Option<Instant> {
        self.oldest().map(|(saved, _)| saved + lifetime)
    }

    pub(in crate::manager) fn len(&self) -> usize {
        self.by_peer.len()
    }

    pub(in crate::manager) fn iter(&self) -> impl Iterator<Item = &ResumptionRecord> {
        self.by_peer.iter().map(|(_, entry)| &entry.record)
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

    /// Returns the records as they are valid at `now`.
    pub(in crate::manager) const fn at(
        &mut self,
        now: Instant,
        lifetime: Duration,
    ) -> Valid<'_, S> {
        Valid { records: self, now, lifetime }
    }

    pub(in crate::manager) fn by_peer(&self, peer: Peer) -> Option<&ResumptionRecord> {
        self.by_peer.get(&peer).map(|entry| &entry.record)
    }

    /// The peer whose record has this id.
    fn peer_of(&self, id: &ResumptionId) -> Option<Peer> {
        self.by_id.get(id, || {
            let mut records = self.by_peer.iter();
            records.find(|(_, entry)| entry.record.id == *id).map(|(peer, _)| *peer)
        })
    }

    /// Fails if a restored record cannot be added.
    pub(in crate::manager) fn check_room(
        &self,
        record: &ResumptionRecord,
    ) -> Result<(), RestoreError> {
        let peer = Peer::new(record.fabric, record.peer);
        if self.peer_of(&record.id).is_some_and(|holder| holder != peer) {
            return Err(RestoreError::IdTaken);
        }
        if self.by_peer(peer).is_none() && self.is_full() {
            return Err(RestoreError::TooMany);
        }
        Ok(())
    }

    /// Adds a record in place of the peer's former one. If there is no room, it evicts the least
    /// recently used one and returns the peer of that.
    ///
    /// Responders choose the ids. A responder that repeats the id of another peer's record must not
    /// cost that peer its record, so its own is not saved.
    #[inline(never)]
    pub(in crate::manager) fn save(
        &mut self,
        record: &ResumptionRecord,
        now: Instant,
    ) -> Option<Peer> {
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

    /// Notes that a record is in use.
    fn touch(&mut self, peer: Peer, now: Instant) {
        let Some(entry) = self.by_peer.get_mut(&peer) else { return };
        self.by_use.remove(core::mem::replace(&mut entry.used, now), peer);
        let inserted = self.by_use.insert(now, peer);
        debug_assert!(inserted.is_ok(), "it has just left");
    }

    /// Removes the record of a peer. Returns false if there was none.
    pub(in crate::manager) fn forget(&mut self, peer: Peer) -> bool {
        // It is discarded in its place, as a move would leave a copy of its secret behind.
        let Some(Entry { record, saved, used }) = self.by_peer.get(&peer) else {
            return false;
        };
        let (id, saved, used) = (record.id, *saved, *used);
        self.by_peer.discard(&peer);
        self.by_id.remove(&id);
        self.by_use.remove(used, peer);
        self.by_age.remove(saved, peer);
        true
    }

    /// Returns the first peer of a fabric with a record.
    pub(in crate::manager) fn first_of(&self, fabric: FabricIndex) -> Option<Peer> {
        let first = self.by_peer.first_from(Peer::new(fabric, NodeId::UNSPECIFIED));
        first.filter(|peer| peer.fabric == fabric)
    }

    /// Returns a peer whose record has expired.
    pub(in crate::manager) fn expired(&self, now: Instant, lifetime: Duration) -> Option<Peer> {
        let (saved, peer) = self.oldest()?;
        (now >= saved + lifetime).then_some(peer)
    }
}

/// Records at a point in time: those past their lifetime are not found.
pub(in crate::manager) struct Valid<'a, S: Storage> {
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

    /// The manager itself keeps two handshakes from using one record.
    fn claim(&mut self, _: &ResumptionId) -> bool {
        true
    }

    // The manager does the following by itself, as it must queue events for what changes.

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
