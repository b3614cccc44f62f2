//! Resumption records, with which two nodes establish a session again without certificates.
//!
//! The keys of a resumed session come from the record, its id and the initiator's random. The
//! responder adds nothing. If a responder answers from a record that it answered from before, a
//! repeated Sigma1 makes the keys of that former session again, and recorded messages of that
//! session are authentic once more. So a record is consumed before it is answered: a responder
//! claims it, and no copy of it may be left that a restart could bring back. An initiator adds its
//! own random, so it may offer any record.
//!
//! [Core, "Session Resumption"]

mod stored;

use core::time::Duration;

pub use self::stored::RecordError;

use crate::cert::ValidityPolicy;
use crate::crypto::Secret;
use crate::fabric::{CompressedFabricId, Fabric};
use crate::ids::{CaseAuthTags, FabricIndex, NodeId, Peer};
use crate::session::{ResumptionId, SessionParameters};
use crate::time::{MatterTime, WallClock};

/// The data of a session with a peer from which the next session can be resumed.
///
/// There is one record for each fabric and peer. The peer's identity and tags in a resumed session
/// come from the record, so it must not outlive the trust in them: delete it with its fabric, and
/// when the peer's certificate is revoked or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumptionRecord {
    /// The identifier by which the peer refers to it.
    pub id: ResumptionId,
    /// The fabric.
    pub fabric: FabricIndex,
    /// The identifier of the fabric for all nodes. An index alone is not enough: after this node
    /// has left the fabric, another one can get its index.
    pub compressed_fabric: CompressedFabricId,
    /// The peer.
    pub peer: NodeId,
    /// The peer's CASE Authenticated Tags.
    pub cats: CaseAuthTags,
    /// The ECDH secret of the full handshake. Resumption does not change it.
    pub shared_secret: Secret<32>,
    /// The earliest end of validity among the certificates that the peer presented (and the root,
    /// if its period counted); `None` if none of them ends. The record is not resumed after it, if
    /// the [`ValidityPolicy`] lets certificates expire.
    pub valid_until: Option<MatterTime>,
    /// When the full handshake was; `None` if the calendar time was not known then. Resumption
    /// does not change it.
    pub authenticated: Option<MatterTime>,
    /// The session parameters that the peer declared in the full handshake, which authenticated
    /// them. A resumption does not: it can only shorten the waits that follow from these.
    pub parameters: SessionParameters,
    /// How many seconds after the full handshake it was saved, by the clock of the manager that
    /// saved it: 0 for the record of the full handshake itself. Where the calendar time is not
    /// known, a restored record is as old as this says.
    pub age_seconds: u32,
}

impl ResumptionRecord {
    /// Returns true if it is of this fabric, and not of one that had its index before.
    pub(crate) fn is_of(&self, fabric: Fabric<'_>) -> bool {
        self.fabric == fabric.index() && self.compressed_fabric == fabric.compressed_id()
    }

    /// Returns false if the certificates behind it have ended, by the rule that `validity` is for
    /// certificates, or the full handshake was longer ago than `lifetime`: by the calendar, as far
    /// as that is known, or by the age that was saved with the record.
    #[must_use]
    pub fn is_current(
        &self,
        wall: WallClock,
        validity: ValidityPolicy,
        lifetime: Duration,
    ) -> bool {
        let ended = validity.not_ended_by(wall).zip(self.valid_until);
        ended.is_none_or(|(now, end)| now <= end) && self.age(wall) < lifetime
    }

    /// Returns how long ago the full handshake was, at least.
    pub(crate) fn age(&self, wall: WallClock) -> Duration {
        let known = wall.passed().zip(self.authenticated).map(|(now, then)| now.since(then));
        known.unwrap_or_default().max(Duration::from_secs(self.age_seconds.into()))
    }

    /// Returns the first second of calendar time at which the record is not
    /// [current](Self::is_current) any more, by a clock that is right. `None` if neither the end of
    /// the certificates counts nor the time of the full handshake is known, or if that is later
    /// than certificates can say.
    #[must_use]
    pub fn expires_at(&self, validity: ValidityPolicy, lifetime: Duration) -> Option<MatterTime> {
        let end = self.valid_until.filter(|_| validity.ends());
        let ended = end.and_then(|end| end.checked_add(Duration::from_secs(1)));
        let old = self.authenticated.and_then(|then| then.checked_add(lifetime));
        [ended, old].into_iter().flatten().min()
    }
}

/// The answer of a [`ResumptionStore`] to a responder that claims a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "only a granted claim may be answered"]
pub enum Claim {
    /// The record is gone from wherever it was kept, and stays gone when power fails now. This
    /// responder may answer from it, and no other may.
    Granted,
    /// This responder must not answer from the record. The handshake becomes a full one.
    Refused,
    /// The store deletes the record and needs time for it. Of several claims on one record, it
    /// grants one. The manager waits for
    /// [`Records::complete_claim`](crate::manager::Records::complete_claim), at most for
    /// [`Config::claim_wait`](crate::manager::Config::claim_wait). Then the handshake becomes a
    /// full one. The default of that is zero: the claim is refused at once.
    Pending,
}

/// A store of resumption records, in place of the manager's own table: for example an embedded
/// database, or a store that several managers or processes share. Name it in
/// [`Services::with_resumption`](crate::context::Services::with_resumption).
///
/// A handshake calls the store, so its methods must return quickly: the manager waits for them. A
/// store that needs time to delete a record durably answers [`Claim::Pending`]. If reading needs
/// time as well, use the manager's own table: export a record on
/// [`Event::RecordChanged`](crate::manager::Event::RecordChanged), and pass it to
/// [`Records::restore`](crate::manager::Records::restore) before it is needed.
///
/// # What a store promises
///
/// - It has one record for each fabric and peer, the newest that could be saved.
/// - After it has granted a claim, it never grants one on that record again, whatever happens: not
///   after a restart, a crash, or a power failure, and not from a cache or a replica. Otherwise a
///   repeated Sigma1 makes the keys of a former session again, and recorded commands are executed
///   twice. [`by_peer`](Self::by_peer) may still return the record: an initiator adds its own random.
/// - The store decides how many records it keeps. The manager resumes from none whose full
///   handshake was longer ago than [`Config::record_lifetime`](crate::manager::Config), as far as
///   both times are known.
/// - The store reports its own errors. None of them ends a handshake: a record that cannot be read
///   counts as absent, a record that cannot be saved is lost, and a claim that cannot be made
///   durable is refused.
///
/// To remove a peer that is no longer trusted, call
/// [`Records::forget`](crate::manager::Records::forget). It calls [`remove`](Self::remove) and ends
/// the handshake that is about to resume from the record. If several managers share the store, call
/// it on each: a manager knows its own handshakes only.
///
/// # Sharing a store
///
/// Managers that share a store are one node: the same node id, the same operational key, and the
/// same index for each fabric ([`Fabrics::restore`](crate::manager::Fabrics::restore) keeps it).
/// [`claim`](Self::claim) ensures that no two of them resume one record.
pub trait ResumptionStore {
    /// Returns a record of a peer on this fabric with this id, for a responder: the one with
    /// number `n`, from 0, in an order of the store's choice. Anybody on the fabric can send any
    /// id, so the call does not mean that the record is in use.
    ///
    /// Responders choose ids, so several peers can have the same one by the malice of one of them.
    /// The manager tries a few. A store that keeps one record for an id returns `None` for every
    /// `n` above 0; then a hostile node of the fabric can cost another its record.
    fn by_id(
        &mut self,
        fabric: FabricIndex,
        id: &ResumptionId,
        n: usize,
    ) -> Option<ResumptionRecord>;

    /// Returns the record of a peer, for an initiator that offers to resume it.
    fn by_peer(&mut self, peer: Peer) -> Option<ResumptionRecord>;

    /// Claims the record of a peer for a responder that is about to answer from it, if it still
    /// has this id. Called when the initiator has proved that it holds the record.
    ///
    /// [`Claim::Granted`]: no claim on the record can be granted again, by one atomic and durable
    /// step that all users of the store see. To delete the row of the record, to make that durable,
    /// and to grant if there was one, is such a step. [`save`](Self::save) follows when the session is established.
    ///
    /// A store in memory that nothing outlives deletes it in the same way.
    fn claim(&mut self, peer: Peer, id: &ResumptionId) -> Claim;

    /// Saves a record in place of the peer's former one. If that fails, the former one must not
    /// become claimable again.
    fn save(&mut self, record: &ResumptionRecord);

    /// Removes the record of a peer, if there is one. The peer is no longer trusted: a store that
    /// fails to do this reports it to the application, which has to call
    /// [`Records::forget`](crate::manager::Records::forget) again.
    fn remove(&mut self, peer: Peer);

    /// Removes the records of a fabric that this node has left, or on which it now has other
    /// certificates.
    ///
    /// A record that is left behind is not resumed on the next fabric with that index, which has
    /// another compressed id. But it would be resumed on the same fabric, joined again. If writes
    /// can fail, remove the records of a fabric again before you store that fabric.
    fn remove_fabric(&mut self, fabric: FabricIndex);
}

/// Keeps no records: every handshake is a full one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecords;

impl ResumptionStore for NoRecords {
    fn by_id(&mut self, _: FabricIndex, _: &ResumptionId, _: usize) -> Option<ResumptionRecord> {
        None
    }

    fn by_peer(&mut self, _: Peer) -> Option<ResumptionRecord> {
        None
    }

    fn claim(&mut self, _: Peer, _: &ResumptionId) -> Claim {
        Claim::Refused
    }

    fn save(&mut self, _: &ResumptionRecord) {}

    fn remove(&mut self, _: Peer) {}

    fn remove_fabric(&mut self, _: FabricIndex) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a node that ends with its certificates at 5000, from a handshake at 1000.
    pub(super) fn record() -> ResumptionRecord {
        let mut cats = CaseAuthTags::NONE;
        assert!(cats.insert(crate::ids::CaseAuthTag::new(0xABCD_0002).unwrap()));
        ResumptionRecord {
            id: ResumptionId::new([7; 16]),
            fabric: FabricIndex::new(3).unwrap(),
            compressed_fabric: CompressedFabricId::from_bytes([4; 8]),
            peer: NodeId::new(0x0123_4567_89AB_CDEF),
            cats,
            shared_secret: Secret::new([9; 32]),
            valid_until: Some(MatterTime::from_seconds(5000)),
            authenticated: Some(MatterTime::from_seconds(1000)),
            parameters: SessionParameters::matter_1_6().with_intervals(7000, 200, 9),
            age_seconds: 0,
        }
    }

    const POLICIES: [ValidityPolicy; 4] = [
        ValidityPolicy::Ignore,
        ValidityPolicy::NotBefore,
        ValidityPolicy::NocAndIcac,
        ValidityPolicy::All,
    ];

    #[test]
    fn a_record_is_current_until_the_certificates_end_or_the_handshake_is_too_old() {
        let record = record();
        let at = |seconds| WallClock::Known(MatterTime::from_seconds(seconds));
        let passed = |seconds| WallClock::LastKnownGood(MatterTime::from_seconds(seconds));
        for validity in POLICIES {
            let current =
                |wall, lifetime| record.is_current(wall, validity, Duration::from_secs(lifetime));
            assert!(current(WallClock::Unknown, 1));
            let expires = [validity >= ValidityPolicy::NocAndIcac, validity >= ValidityPolicy::All];
            for (clock, expires) in [at, passed].into_iter().zip(expires) {
                assert!(current(clock(5000), 9000), "valid to the last second");
                assert_eq!(current(clock(5001), 9000), !expires);
                assert!(current(clock(1099), 100));
                assert!(!current(clock(1100), 100));
                assert!(current(clock(0), 100), "a clock that was set back");
            }
            let endless =
                ResumptionRecord { valid_until: None, authenticated: None, ..record.clone() };
            assert!(endless.is_current(at(u32::MAX), validity, Duration::from_secs(1)));
        }
    }

    #[test]
    fn a_record_is_as_old_as_the_calendar_or_its_saved_age_says_whichever_is_more() {
        let record = ResumptionRecord { age_seconds: 100, ..record() };
        let lifetime = Duration::from_secs;
        for validity in POLICIES {
            for wall in [WallClock::Unknown, WallClock::Known(MatterTime::from_seconds(1050))] {
                assert!(record.is_current(wall, validity, lifetime(101)));
                assert!(!record.is_current(wall, validity, lifetime(100)));
            }
            let later = WallClock::Known(MatterTime::from_seconds(1200));
            assert!(!record.is_current(later, validity, lifetime(200)));
        }
    }

    /// A record with and without the times, at every second around its ends.
    #[test]
    fn the_time_of_expiry_is_the_first_second_at_which_a_record_is_not_current() {
        let ends = [None, Some(1100), Some(1500), Some(u32::MAX)];
        let begins = [None, Some(1000), Some(u32::MAX - 3)];
        for (end, begin) in ends.iter().flat_map(|end| begins.map(|begin| (*end, begin))) {
            let record = ResumptionRecord {
                valid_until: end.map(MatterTime::from_seconds),
                authenticated: begin.map(MatterTime::from_seconds),
                ..record()
            };
            for validity in POLICIES {
                for millis in [1, 1000, 1001, 300_000] {
                    let lifetime = Duration::from_millis(millis);
                    let expires = record.expires_at(validity, lifetime);
                    for now in (1000..1600).chain(u32::MAX - 5..=u32::MAX) {
                        let now = MatterTime::from_seconds(now);
                        let current = record.is_current(WallClock::Known(now), validity, lifetime);
                        let expected = expires.is_none_or(|expires| now < expires);
                        assert_eq!(current, expected, "{record:?} {validity:?} {millis} {now:?}");
                    }
                }
            }
        }
    }
}
