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

use core::time::Duration;

use thiserror::Error;

use crate::bytes::{take, write_parts};
use crate::cert::ValidityPolicy;
use crate::crypto::Secret;
use crate::fabric::{CompressedFabricId, Fabric};
use crate::ids::{CaseAuthTag, CaseAuthTags, FabricIndex, NodeId, Peer};
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
}

/// The bytes are not an encoded [`ResumptionRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("not a resumption record of a known version")]
pub struct RecordError;

impl ResumptionRecord {
    /// Length of the encoded form in bytes.
    pub const ENCODED_LEN: usize = 1
        + 1
        + 8
        + 8
        + ResumptionId::LEN
        + 32
        + 4 * CaseAuthTags::CAPACITY
        + 1
        + 4
        + 4
        + SessionParameters::STORED_LEN;
    const VERSION: u8 = 3;
    /// Flags: the end of validity and the time of the full handshake are there.
    const ENDS: u8 = 1;
    const TIMED: u8 = 2;

    /// Returns the record as versioned bytes, to be stored. They are secret: their holder can
    /// impersonate either node to the other.
    ///
    /// ```text
    /// version 3 | fabric index | compressed fabric id (8) | node id LE (8) | id (16) | secret (32)
    /// | 3 tags LE (4 each, 0 = none) | flags | valid until LE (4) | authenticated LE (4)
    /// | session parameters (26)
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Secret<{ Self::ENCODED_LEN }> {
        let mut bytes = Secret::zero();
        let mut tags = self.cats.iter().map(CaseAuthTag::get);
        let mut tag = || tags.next().unwrap_or(0).to_le_bytes();
        let seconds = |time: Option<MatterTime>| time.map_or(0, MatterTime::as_seconds);
        let flags = if self.valid_until.is_some() { Self::ENDS } else { 0 }
            | if self.authenticated.is_some() { Self::TIMED } else { 0 };
        let parts: [&[u8]; 13] = [
            &[Self::VERSION],
            &[self.fabric.get()],
            self.compressed_fabric.as_bytes(),
            &self.peer.get().to_le_bytes(),
            self.id.as_bytes(),
            self.shared_secret.as_bytes(),
            &tag(),
            &tag(),
            &tag(),
            &[flags],
            &seconds(self.valid_until).to_le_bytes(),
            &seconds(self.authenticated).to_le_bytes(),
            &self.parameters.to_stored(),
        ];
        write_parts(bytes.as_mut_bytes(), &parts);
        bytes
    }

    /// Returns true if it is of this fabric, and not of one that had its index before.
    pub(crate) fn is_of(&self, fabric: Fabric<'_>) -> bool {
        self.fabric == fabric.index() && self.compressed_fabric == fabric.compressed_id()
    }

    /// Returns false if the certificates behind it have ended, by the rule that `validity` is for
    /// certificates, or the full handshake was longer ago than `lifetime`, as far as the calendar
    /// time is known.
    #[must_use]
    pub fn is_current(
        &self,
        wall: WallClock,
        validity: ValidityPolicy,
        lifetime: Duration,
    ) -> bool {
        let ended = validity.not_ended_by(wall).zip(self.valid_until);
        let old = wall.passed().zip(self.authenticated);
        ended.is_none_or(|(now, end)| now <= end)
            && old.is_none_or(|(now, then)| now.since(then) < lifetime)
    }

    /// Reads the encoded form.
    ///
    /// # Errors
    /// [`RecordError`] for another length or version, and for values that no record has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        Self::read(bytes).ok_or(RecordError)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        if bytes.len() != Self::ENCODED_LEN || take(&mut rest)? != &[Self::VERSION] {
            return None;
        }
        let [fabric] = *take(&mut rest)?;
        let fabric = FabricIndex::new(fabric)?;
        let compressed_fabric = CompressedFabricId::from_bytes(*take(&mut rest)?);
        let peer = NodeId::new(u64::from_le_bytes(*take(&mut rest)?));
        if !peer.is_operational() {
            return None;
        }
        let id = ResumptionId::new(*take(&mut rest)?);
        let shared_secret = Secret::from(take(&mut rest)?);
        let mut cats = CaseAuthTags::NONE;
        for _ in 0..CaseAuthTags::CAPACITY {
            let tag = u32::from_le_bytes(*take(&mut rest)?);
            if tag != 0 && !cats.insert(CaseAuthTag::new(tag)?) {
                return None;
            }
        }
        let [flags] = *take(&mut rest)?;
        let mut time = |flag| match (flags & flag != 0, u32::from_le_bytes(*take(&mut rest)?)) {
            (true, seconds) => Some(Some(MatterTime::from_seconds(seconds))),
            (false, 0) => Some(None),
            (false, _) => None,
        };
        let (valid_until, authenticated) = (time(Self::ENDS)?, time(Self::TIMED)?);
        let parameters = SessionParameters::from_stored(take(&mut rest)?)?;
        if flags & !(Self::ENDS | Self::TIMED) != 0 {
            return None;
        }
        Some(Self {
            id,
            fabric,
            compressed_fabric,
            peer,
            cats,
            shared_secret,
            valid_until,
            authenticated,
            parameters,
        })
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

    fn record() -> ResumptionRecord {
        let mut cats = CaseAuthTags::NONE;
        assert!(cats.insert(CaseAuthTag::new(0xABCD_0002).unwrap()));
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
        }
    }

    #[test]
    fn records_survive_their_encoding() {
        let bytes = record().to_bytes();
        assert_eq!(ResumptionRecord::from_bytes(bytes.as_bytes()), Ok(record()));
    }

    #[test]
    fn damaged_records_are_refused() {
        let bytes = *record().to_bytes().as_bytes();
        assert_eq!(ResumptionRecord::from_bytes(&bytes[1..]), Err(RecordError));
        for (at, value) in [(0, 2), (1, 0), (1, 255), (66, 0), (78, 7), (78, 1), (87, 8)] {
            let mut bad = bytes;
            bad[at] = value;
            if at == 58 {
                bad[59] = 0; // the tag's version becomes 0
            }
            assert_eq!(ResumptionRecord::from_bytes(&bad), Err(RecordError), "octet {at}");
        }
        let mut no_node = bytes;
        no_node[10..18].fill(0);
        assert_eq!(ResumptionRecord::from_bytes(&no_node), Err(RecordError));
    }

    #[test]
    fn a_record_is_current_until_the_certificates_end_or_the_handshake_is_too_old() {
        let record = record();
        let at = |seconds| WallClock::Known(MatterTime::from_seconds(seconds));
        let passed = |seconds| WallClock::LastKnownGood(MatterTime::from_seconds(seconds));
        use ValidityPolicy::{All, Ignore, NocAndIcac, NotBefore};
        for validity in [Ignore, NotBefore, NocAndIcac, All] {
            let current =
                |wall, lifetime| record.is_current(wall, validity, Duration::from_secs(lifetime));
            assert!(current(WallClock::Unknown, 0));
            let expires = [validity >= NocAndIcac, validity >= All];
            for (clock, expires) in [at, passed].into_iter().zip(expires) {
                assert!(current(clock(5000), 9000), "valid to the last second");
                assert_eq!(current(clock(5001), 9000), !expires);
                assert!(current(clock(1099), 100));
                assert!(!current(clock(1100), 100));
                assert!(current(clock(0), 100), "a clock that was set back");
            }
            let endless =
                ResumptionRecord { valid_until: None, authenticated: None, ..record.clone() };
            assert!(endless.is_current(at(u32::MAX), validity, Duration::ZERO));
        }
    }
}
