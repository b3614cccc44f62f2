//! Resumption records, with which two nodes establish a session again without certificates.
//!
//! [Core, "Session Resumption"]

use thiserror::Error;

use crate::crypto::Secret;
use crate::fabric::{CompressedFabricId, Fabric};
use crate::ids::{CaseAuthTag, CaseAuthTags, FabricIndex, NodeId, Peer};
use crate::session::ResumptionId;

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
}

/// The bytes are not an encoded [`ResumptionRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("not a resumption record of a known version")]
pub struct RecordError;

impl ResumptionRecord {
    /// Length of the encoded form in bytes.
    pub const ENCODED_LEN: usize =
        1 + 1 + 8 + 8 + ResumptionId::LEN + 32 + 4 * CaseAuthTags::CAPACITY;
    const VERSION: u8 = 2;

    /// Returns the record as versioned bytes, to be stored. They are secret: their holder can
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

    /// Returns true if it is of this fabric, and not of one that had its index before.
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

/// A store of resumption records, in place of the manager's own table: for example an embedded
/// database, or a store that several managers or processes share. Name it in
/// [`Services::with_resumption`](crate::context::Services::with_resumption).
///
/// A handshake calls the store, so its methods must return quickly: the manager waits for them. If
/// the store is remote or asynchronous, use the manager's own table: write a record on
/// [`Event::RecordChanged`](crate::manager::Event::RecordChanged), and pass it to
/// [`Records::restore`](crate::manager::Records::restore) before it is needed. Several managers
/// that are one node must not restore one record unless they are initiators only, since nothing
/// claims it.
///
/// # What a store promises
///
/// - It has one record for each fabric and peer, the newest that could be saved, and no responder
///   resumes from it twice. Otherwise a repeated Sigma1 derives the keys of a former session again.
/// - The store decides how many records it keeps, and how long each may be used.
/// - The store reports its own errors. None of them ends a handshake: a record that cannot be read
///   counts as absent, and a record that cannot be saved is lost.
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
    /// Returns the record with this id, for a responder. Anybody can send any id, so the call does
    /// not mean that the record is in use.
    fn by_id(&mut self, id: &ResumptionId) -> Option<ResumptionRecord>;

    /// Returns the record of a peer, for an initiator that offers to resume it.
    fn by_peer(&mut self, peer: Peer) -> Option<ResumptionRecord>;

    /// Claims the record with this id: returns true to the first responder that asks, and false to
    /// every other from then on. With false, the handshake becomes a full one. It, or the
    /// resumption of the responder with the claim, saves a record with another id.
    ///
    /// The keys of a resumed session come from the record and the initiator's random; the responder
    /// adds nothing. Two responders that accept a Sigma1 and its copy would have two sessions with
    /// the same keys, and repeat each other's nonces. A manager resumes a record in one handshake
    /// at a time, so a store in the memory of one manager may always return true. Every other store
    /// claims in one atomic step that all users see and that lasts: a process that dies before it
    /// has saved the new record must not resume the old one again. Deleting the index entry of the
    /// id, and returning whether there was one, is such a step.
    fn claim(&mut self, id: &ResumptionId) -> bool;

    /// Saves a record in place of the peer's former one. If that fails, a claim on the former one
    /// stays. If another peer's record has the same id, that record stays and this one is not
    /// saved: responders choose ids, and could delete the records of others.
    fn save(&mut self, record: &ResumptionRecord);

    /// Removes the record of a peer, if there is one, from both indices. The peer is no longer
    /// trusted: a store that fails to do this reports it to the application, which has to call
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
