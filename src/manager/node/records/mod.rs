//! The resumption records of a node, by peer and by id.

mod info;

use core::time::Duration;

pub use self::info::RecordInfo;

use crate::context::PeerCertificates;
use crate::crypto::Secret;
use crate::handshake::HANDSHAKE_TIMEOUT;
use crate::ids::{FabricIndex, NodeId, Peer};
use crate::manager::config::Config;
use crate::manager::error::RestoreError;
use crate::manager::storage::{Chains, Map, RecordIndex, RecordOrder, RecordUse, Storage};
use crate::resumption::{Claim, ResumptionRecord, ResumptionStore};
use crate::session::ResumptionId;
use crate::time::{Instant, as_millis, from_millis};

#[cfg(all(test, feature = "alloc"))]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;

pub(in crate::manager) struct Records<S: Storage> {
    by_peer: S::Records<Entry>,
    by_id: S::RecordIds,
    /// By fabric and last use: which one is evicted.
    by_use: S::RecordUse,
    /// By when they expire.
    by_age: S::RecordOrder,
    /// The certificates that the peers have presented, if the configuration asks for them.
    certificates: S::Chains<Peer>,
}

struct Entry {
    record: ResumptionRecord,
    custody: Custody,
    /// The lifetime counts from the full handshake.
    expires: Instant,
    /// When it was saved or offered last. A request of the peer does not count, since anybody can
    /// replay one: the record is saved anew when the session is established.
    used: Instant,
}

/// Where copies of a record can be. A record with one id only ever moves down this list, so a copy
/// that a responder has answered from cannot be stored, and cannot come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Custody {
    /// Here alone.
    Fresh,
    /// The application has been given it, or has restored it.
    Stored,
    /// The application has been asked to delete it. It is not given out any more.
    Asked,
    /// Here alone, and not given out any more: a responder may answer from it until this time. It
    /// does not later: whoever has withheld what followed the first answer could deliver it then.
    Claimed(Instant),
}

/// What saving a record has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::manager) struct Saved {
    pub(in crate::manager) saved: bool,
    /// The peer whose record was evicted.
    pub(in crate::manager) evicted: Option<Peer>,
}

impl<S: Storage> Records<S> {
    pub(in crate::manager) const EMPTY: Self = Self {
        by_peer: Map::EMPTY,
        by_id: RecordIndex::EMPTY,
        by_use: RecordUse::EMPTY,
        by_age: RecordOrder::EMPTY,
        certificates: Chains::EMPTY,
    };

    pub(in crate::manager) fn limit(&mut self, limit: usize) {
        self.by_peer.limit(limit);
    }

    pub(in crate::manager) fn capacity(&self) -> usize {
        self.by_peer.capacity()
    }

    /// Returns when the next record expires.
    pub(in crate::manager) fn expiry(&self) -> Option<Instant> {
        self.oldest().map(|(expires, _)| expires)
    }

    pub(in crate::manager) fn len(&self) -> usize {
        self.by_peer.len()
    }

    #[cfg(feature = "_test-util")]
    pub(in crate::manager) fn iter(&self) -> impl Iterator<Item = &ResumptionRecord> {
        self.by_peer.iter().map(|(_, entry)| &entry.record)
    }

    /// Returns the facts of the record of a peer.
    pub(in crate::manager) fn info(&self, peer: Peer, config: &Config) -> Option<RecordInfo> {
        let Entry { record, expires, .. } = self.by_peer.get(&peer)?;
        Some(RecordInfo::new(record, *expires, config))
    }

    /// Returns the facts of all records.
    pub(in crate::manager) fn infos(&self, config: &Config) -> impl Iterator<Item = RecordInfo> {
        let entries = self.by_peer.iter();
        entries.map(move |(_, entry)| RecordInfo::new(&entry.record, entry.expires, config))
    }

    fn is_full(&self) -> bool {
        self.by_peer.len() >= self.by_peer.capacity()
    }

    fn oldest(&self) -> Option<(Instant, Peer)> {
        self.by_age.first(|| {
            let records = self.by_peer.iter();
            records.map(|(peer, entry)| (entry.expires, *peer)).min()
        })
    }

    /// Returns the record to evict: of the fabric with most records, so that no fabric takes the
    /// places of another that has fewer.
    fn first_to_evict(&self, preferred: FabricIndex) -> Option<Peer> {
        self.by_use.first_to_evict(preferred, || self.scan_for_eviction(preferred))
    }

    /// For storage without an index.
    #[inline(never)]
    fn scan_for_eviction(&self, preferred: FabricIndex) -> Option<Peer> {
        let mut largest = None;
        let mut next = self.by_peer.first();
        while let Some(Peer { fabric, .. }) = next {
            let count = self.of_fabric(fabric).count();
            largest = largest.max(Some((count, fabric == preferred, fabric)));
            let rest = fabric.get().checked_add(1).and_then(FabricIndex::new);
            next = rest.and_then(|fabric| self.by_peer.first_from(first_on(fabric)));
        }
        let (.., fabric) = largest?;
        self.of_fabric(fabric).min_by_key(|(peer, entry)| (entry.used, *peer)).map(|(peer, _)| peer)
    }

    fn of_fabric(&self, fabric: FabricIndex) -> impl Iterator<Item = (Peer, &Entry)> {
        let records = self.by_peer.from(first_on(fabric));
        records
            .map(|(peer, entry)| (*peer, entry))
            .take_while(move |(peer, _)| peer.fabric == fabric)
    }

    /// Returns the records as they are valid at `now`. `claims`: the application deletes what it
    /// has stored when it is asked to.
    pub(in crate::manager) const fn at(&mut self, now: Instant, claims: bool) -> Valid<'_, S> {
        Valid { records: self, now, claims }
    }

    pub(in crate::manager) fn by_peer(&self, peer: Peer) -> Option<&ResumptionRecord> {
        self.by_peer.get(&peer).map(|entry| &entry.record)
    }

    /// The peer with number `n` of those on a fabric whose record has this id.
    fn peer_of(&self, fabric: FabricIndex, id: &ResumptionId, n: usize) -> Option<Peer> {
        self.by_id.nth(fabric, id, n, || {
            let mut found = self.of_fabric(fabric).filter(|(_, entry)| entry.record.id == *id);
            found.nth(n).map(|(peer, _)| peer)
        })
    }

    /// Fails if a restored record cannot be added.
    pub(in crate::manager) fn check_room(
        &self,
        record: &ResumptionRecord,
    ) -> Result<(), RestoreError> {
        let is_new = self.by_peer(peer_of(record)).is_none();
        if is_new && self.is_full() { Err(RestoreError::TooMany) } else { Ok(()) }
    }

    /// Saves the record of a session that was just established, in place of the peer's former one.
    /// If there is no room, it evicts another.
    ///
    /// A resumption continues the lifetime of the record that it came from. If that is not here any
    /// more, the new one is not saved: its full handshake may have been too long ago.
    #[inline(never)]
    pub(in crate::manager) fn save(
        &mut self,
        record: &ResumptionRecord,
        resumed: bool,
        now: Instant,
        lifetime: Duration,
    ) -> Saved {
        let expires = if resumed {
            let former = self.by_peer.get(&peer_of(record));
            former
                .filter(|former| former.record.shared_secret == record.shared_secret)
                .map(|former| former.expires)
        } else {
            Some(now + lifetime)
        };
        let Some(expires) = expires else { return Saved::default() };
        let left = as_millis(expires.saturating_since(now));
        let age = from_millis(as_millis(lifetime).saturating_sub(left));
        let evicted = self.put(record, Custody::Fresh, expires, age, now);
        Saved { saved: true, evicted }
    }

    /// Adds a record that the application has stored, with the age that it has now.
    pub(in crate::manager) fn restore(
        &mut self,
        record: &ResumptionRecord,
        age: Duration,
        now: Instant,
        lifetime: Duration,
    ) {
        let expires = now + lifetime.saturating_sub(age);
        self.put(record, Custody::Stored, expires, age, now);
    }

    fn put(
        &mut self,
        record: &ResumptionRecord,
        custody: Custody,
        expires: Instant,
        age: Duration,
        now: Instant,
    ) -> Option<Peer> {
        let peer = peer_of(record);
        // A node that connects to itself saves one record twice. It may be stored in between.
        let known = self.by_peer.get(&peer).filter(|known| known.record.id == record.id);
        let custody = known.map_or(custody, |known| known.custody.max(custody));
        let former = self.by_peer.get(&peer).map(|former| &former.record.shared_secret);
        if former.is_some_and(|secret| *secret != record.shared_secret) {
            // They are of another full handshake.
            self.certificates.forget(&peer);
        }
        self.remove(peer);
        let evicted = if self.is_full() { self.first_to_evict(peer.fabric) } else { None };
        if let Some(evicted) = evicted {
            self.forget(evicted);
        }
        let mut entry = Entry { record: record.clone(), custody, expires, used: now };
        entry.record.age_seconds = whole_seconds(age);
        if self.by_peer.insert(peer, entry).is_ok() {
            self.by_id.insert(record.id, peer);
            self.by_use.insert(now, peer);
            self.by_age.insert(expires, peer);
        }
        evicted
    }

    /// Notes that a record is in use.
    fn touch(&mut self, peer: Peer, now: Instant) {
        let Some(entry) = self.by_peer.get_mut(&peer) else { return };
        self.by_use.remove(core::mem::replace(&mut entry.used, now), peer);
        self.by_use.insert(now, peer);
    }

    /// Returns the bytes of a record, which the application may have stored from now on. `None` for
    /// one that a responder answers from, or may soon.
    pub(in crate::manager) fn export(
        &mut self,
        peer: Peer,
    ) -> Option<Secret<{ ResumptionRecord::ENCODED_LEN }>> {
        let entry = self.by_peer.get_mut(&peer)?;
        if entry.custody > Custody::Stored {
            return None;
        }
        entry.custody = Custody::Stored;
        Some(entry.record.to_bytes())
    }

    /// Notes that the application has deleted the record that it was asked to delete. Returns false
    /// if the record has been replaced or removed since.
    pub(in crate::manager) fn consume(
        &mut self,
        peer: Peer,
        id: &ResumptionId,
        now: Instant,
    ) -> bool {
        let entry = self.by_peer.get_mut(&peer);
        let asked = entry.filter(|e| e.record.id == *id && e.custody >= Custody::Asked);
        asked.is_some_and(|entry| {
            entry.custody = Custody::Claimed(now + HANDSHAKE_TIMEOUT);
            true
        })
    }

    /// Returns the certificates that are kept with the record of the same peer, if the record is of
    /// the same full handshake.
    pub(in crate::manager) fn certificates_of(
        &self,
        record: &ResumptionRecord,
    ) -> Option<PeerCertificates<'_>> {
        let peer = peer_of(record);
        let kept = self.by_peer(peer)?;
        let is_same = kept.shared_secret == record.shared_secret;
        if is_same { self.certificates.get(&peer) } else { None }
    }

    /// Keeps the certificates of a peer with its record, if there is one.
    pub(in crate::manager) fn keep_certificates(
        &mut self,
        peer: Peer,
        certificates: &PeerCertificates<'_>,
    ) {
        if self.by_peer.get(&peer).is_some() {
            self.certificates.keep(peer, certificates);
        }
    }

    /// Removes the record of a peer, with its certificates. Returns false if there was none.
    pub(in crate::manager) fn forget(&mut self, peer: Peer) -> bool {
        self.certificates.forget(&peer);
        self.remove(peer)
    }

    fn remove(&mut self, peer: Peer) -> bool {
        // It is discarded in its place, as a move would leave a copy of its secret behind.
        let Some(Entry { record, expires, used, .. }) = self.by_peer.get(&peer) else {
            return false;
        };
        let (id, expires, used) = (record.id, *expires, *used);
        self.by_peer.discard(&peer);
        self.by_id.remove(id, peer);
        self.by_use.remove(used, peer);
        self.by_age.remove(expires, peer);
        true
    }

    /// Returns the first peer of a fabric with a record.
    pub(in crate::manager) fn first_of(&self, fabric: FabricIndex) -> Option<Peer> {
        self.by_peer.first_from(first_on(fabric)).filter(|peer| peer.fabric == fabric)
    }

    /// Returns a peer whose record has expired.
    pub(in crate::manager) fn expired(&self, now: Instant) -> Option<Peer> {
        let (expires, peer) = self.oldest()?;
        (now >= expires).then_some(peer)
    }
}

/// Returns a duration in seconds, rounded up: no record becomes younger by being stored.
fn whole_seconds(duration: Duration) -> u32 {
    let begun = u64::from(duration.subsec_nanos() > 0);
    u32::try_from(duration.as_secs().saturating_add(begun)).unwrap_or(u32::MAX)
}

const fn peer_of(record: &ResumptionRecord) -> Peer {
    Peer::new(record.fabric, record.peer)
}

const fn first_on(fabric: FabricIndex) -> Peer {
    Peer::new(fabric, NodeId::UNSPECIFIED)
}

/// Records at a point in time: those past their lifetime are not found.
pub(in crate::manager) struct Valid<'a, S: Storage> {
    records: &'a mut Records<S>,
    now: Instant,
    claims: bool,
}

impl<S: Storage> Valid<'_, S> {
    fn find(&self, peer: Peer) -> Option<ResumptionRecord> {
        let entry = self.records.by_peer.get(&peer)?;
        (self.now < entry.expires).then(|| entry.record.clone())
    }
}

impl<S: Storage> ResumptionStore for Valid<'_, S> {
    fn by_id(
        &mut self,
        fabric: FabricIndex,
        id: &ResumptionId,
        n: usize,
    ) -> Option<ResumptionRecord> {
        self.find(self.records.peer_of(fabric, id, n)?)
    }

    fn by_peer(&mut self, peer: Peer) -> Option<ResumptionRecord> {
        self.records.touch(peer, self.now);
        self.find(peer)
    }

    /// A record that is here alone is granted at once, and for a minute also again: a session
    /// replaces it, so it makes no second one.
    fn claim(&mut self, peer: Peer, id: &ResumptionId) -> Claim {
        let entry = self.records.by_peer.get_mut(&peer).filter(|entry| entry.record.id == *id);
        let Some(entry) = entry else { return Claim::Refused };
        match entry.custody {
            Custody::Fresh => {
                entry.custody = Custody::Claimed(self.now + HANDSHAKE_TIMEOUT);
                Claim::Granted
            }
            Custody::Claimed(until) if self.now < until => Claim::Granted,
            Custody::Stored | Custody::Asked if self.claims => {
                entry.custody = Custody::Asked;
                Claim::Pending
            }
            Custody::Stored | Custody::Asked | Custody::Claimed(_) => Claim::Refused,
        }
    }

    // The manager does the following by itself, as it must queue events for what changes.

    fn save(&mut self, _: &ResumptionRecord) {}

    fn remove(&mut self, peer: Peer) {
        self.records.forget(peer);
    }

    fn remove_fabric(&mut self, fabric: FabricIndex) {
        while let Some(peer) = self.records.first_of(fabric) {
            self.records.forget(peer);
        }
    }
}
