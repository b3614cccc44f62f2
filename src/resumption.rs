//! Resumption records: what lets two nodes establish a session again without certificates.
//!
//! [Core, "Session Resumption"]

use thiserror::Error;

use crate::crypto::Secret;
use crate::fabric::{CompressedFabricId, Fabric};
use crate::ids::{CaseAuthTag, CaseAuthTags, FabricIndex, NodeId, Peer};
use crate::session::ResumptionId;

/// What is kept of a session with a peer, so that the next one needs no certificates.
///
/// One per fabric and peer node. The peer's identity and tags in a resumed session come from
/// here, so a record must not outlive the trust in them: it goes with its fabric, and when the
/// peer's certificate is revoked or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumptionRecord {
    /// The name under which the peer will refer to it.
    pub id: ResumptionId,
    /// The fabric.
    pub fabric: FabricIndex,
    /// The same fabric for all nodes and times: when this node has left it, the next one gets its
    /// index.
    pub compressed_fabric: CompressedFabricId,
    /// The peer.
    pub peer: NodeId,
    /// The peer's CASE Authenticated Tags.
    pub cats: CaseAuthTags,
    /// The ECDH secret of the full handshake, carried along unchanged.
    pub shared_secret: Secret<32>,
}

/// Bytes that are not an encoded [`ResumptionRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("not a resumption record of a known version")]
pub struct RecordError;

impl ResumptionRecord {
    /// Length of the encoded form in bytes.
    pub const ENCODED_LEN: usize =
        1 + 1 + 8 + 8 + ResumptionId::LEN + 32 + 4 * CaseAuthTags::CAPACITY;
    const VERSION: u8 = 2;

    /// The record as versioned bytes, to be stored. They are secret: whoever has them can
    /// impersonate either node to the other.
    ///
    /// ```text
    /// version 2 | fabric index | compressed fabric id (8) | node id LE (8) | id (16) | secret (32)
    /// | 3 tags LE (4 each, 0 = none)
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Secret<{ Self::ENCODED_LEN }> {
        let mut bytes = Secret::zero();
        let mut tags = self.cats.iter().map(CaseAuthTag::get);
        let mut tag = || tags.next().unwrap_or(0).to_le_bytes();
        let parts: [&[u8]; 9] = [
            &[Self::VERSION],
            &[self.fabric.get()],
            self.compressed_fabric.as_bytes(),
            &self.peer.get().to_le_bytes(),
            self.id.as_bytes(),
            self.shared_secret.as_bytes(),
            &tag(),
            &tag(),
            &tag(),
        ];
        let octets = parts.iter().copied().flatten();
        for (to, from) in bytes.as_mut_bytes().iter_mut().zip(octets) {
            *to = *from;
        }
        bytes
    }

    /// Whether it is of this fabric, and not of one that had its index before.
    pub(crate) fn is_of(&self, fabric: Fabric<'_>) -> bool {
        self.fabric == fabric.index() && self.compressed_fabric == fabric.compressed_id()
    }

    /// Reads the encoded form.
    ///
    /// # Errors
    /// [`RecordError`] for another length or version, and for values that no record has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], RecordError> {
            let (head, tail) = rest.split_first_chunk().ok_or(RecordError)?;
            *rest = tail;
            Ok(head)
        }
        let mut rest = bytes;
        if bytes.len() != Self::ENCODED_LEN || take(&mut rest)? != &[Self::VERSION] {
            return Err(RecordError);
        }
        let [fabric] = *take(&mut rest)?;
        let fabric = FabricIndex::new(fabric).ok_or(RecordError)?;
        let compressed_fabric = CompressedFabricId::from_bytes(*take(&mut rest)?);
        let peer = NodeId::new(u64::from_le_bytes(*take(&mut rest)?));
        if !peer.is_operational() {
            return Err(RecordError);
        }
        let id = ResumptionId::new(*take(&mut rest)?);
        let shared_secret = Secret::from(take(&mut rest)?);
        let mut cats = CaseAuthTags::NONE;
        for _ in 0..CaseAuthTags::CAPACITY {
            match u32::from_le_bytes(*take(&mut rest)?) {
                0 => {}
                tag => {
                    let tag = CaseAuthTag::new(tag).ok_or(RecordError)?;
                    if !cats.insert(tag) {
                        return Err(RecordError);
                    }
                }
            }
        }
        Ok(Self { id, fabric, compressed_fabric, peer, cats, shared_secret })
    }
}

/// Where resumption records are kept, instead of in a manager's own table: an embedded database,
/// a store that several managers or processes share. Handed in with every call, by
/// [`Services::with_resumption`](crate::context::Services::with_resumption).
///
/// The calls come from within a handshake and hold up the manager: they must not take long. A
/// store that is far away or asynchronous stands behind the manager's own table instead: it writes
/// what [`Event::RecordChanged`](crate::manager::Event::RecordChanged) tells of, and hands a record
/// to [`Records::restore`](crate::manager::Records::restore) before it is needed. Of
/// several nodes that are one, no two may do that with one record unless they only dial: nothing
/// claims it.
///
/// # What a store promises
///
/// - There is one record per fabric and peer, the newest that could be saved, and no responder
///   resumes from it twice. Else a repeated Sigma1 makes the keys of a former session once more.
/// - How many records there are, and how long each may be used, is the store's to say.
/// - Errors are the store's to report. None ends a handshake: what cannot be read is not there,
///   and a record that cannot be saved is lost.
/// - A peer that is trusted no more is removed with
///   [`Records::forget`](crate::manager::Records::forget), which calls
///   [`remove`](Self::remove) and ends the handshake that may be about to resume from the record.
///   Of managers that share the store each is told: it knows its own handshakes alone.
///
/// # Sharing one
///
/// Those who share a store are one node: same node id, same operational key, and the same index
/// for each fabric ([`Fabrics::restore`](crate::manager::Fabrics::restore) keeps it).
/// [`claim`](Self::claim) sees to it that no two of them resume one record.
pub trait ResumptionStore {
    /// The record with this id, for a responder. Anybody can send any id: this is no sign that the
    /// record is in use.
    fn by_id(&mut self, id: &ResumptionId) -> Option<ResumptionRecord>;

    /// The record of a peer, for an initiator that offers to resume it.
    fn by_peer(&mut self, peer: Peer) -> Option<ResumptionRecord>;

    /// Whether this responder may resume the record with this id: true for the first that asks,
    /// and false for every other, for good. Refused, the handshake is a full one, and that or the
    /// claimant's resumption saves a record with another id.
    ///
    /// The keys of a resumed session come from the record and the initiator's random, to which the
    /// responder adds nothing. Two responders that accept one Sigma1 and its copy would have two
    /// sessions of the same keys, and repeat each other's nonces. A manager itself resumes a record
    /// in one handshake at a time: a store in the memory of its one user may always say yes. In
    /// others this is one atomic step, seen by all, and lasting: a process that dies before it has
    /// saved the new record must not resume the old one once more. To delete the index entry of
    /// the id, and to tell whether it was there, is all of that.
    fn claim(&mut self, id: &ResumptionId) -> bool;

    /// Keeps a record in place of the peer's former one. If that fails, a claim on the former one
    /// stays. A record of the same id that is another peer's stays, and this one is not kept: the
    /// responder chooses ids, and could cost others their records.
    fn save(&mut self, record: &ResumptionRecord);

    /// Removes the record of a peer, if there is one: neither its peer nor its id finds it any
    /// more. The trust in the peer has ended, so a store that fails to do this has to tell the
    /// application, and has to be asked again.
    fn remove(&mut self, peer: Peer);

    /// Removes the records of a fabric that this node has left, or on which it has other
    /// certificates now.
    ///
    /// One that stays behind is not resumed from on the next fabric with that index, which has
    /// another compressed id, but it would be on the same fabric, joined again. A store whose
    /// writes may fail removes them again, and for good, before it keeps a fabric.
    fn remove_fabric(&mut self, fabric: FabricIndex);
}

/// Keeps no records: every handshake is a full one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecords;

impl ResumptionStore for NoRecords {
    fn by_id(&mut self, _: &ResumptionId) -> Option<ResumptionRecord> {
        None
    }

    fn by_peer(&mut self, _: Peer) -> Option<ResumptionRecord> {
        None
    }

    fn claim(&mut self, _: &ResumptionId) -> bool {
        false
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
        for (at, value) in [(0, 1), (1, 0), (1, 255), (66, 0)] {
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
}
