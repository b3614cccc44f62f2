//! What entitles a peer to a session.

use super::keys::ResumptionVerified;
use super::peer::PeerVerified;
use crate::crypto::Secret;
use crate::fabric::Fabric;
use crate::handshake::step::{Ends, Established, NewSession};
use crate::resumption::ResumptionRecord;
use crate::session::{Identity, ResumptionId, SessionKeys};

/// What entitles a peer to a session. A session can be made from nothing else.
pub(super) enum Proof<'a> {
    /// Certificates, and a signature by their key.
    Certificates {
        peer: &'a PeerVerified,
        resumption_id: &'a ResumptionId,
        shared_secret: &'a Secret<32>,
    },
    /// Possession of the resumption record, which now has a new id.
    Resumption { record: ResumptionRecord, _verified: &'a ResumptionVerified },
}

pub(super) fn establish(
    fabric: Fabric<'_>,
    ends: &Ends,
    keys: SessionKeys,
    proof: Proof<'_>,
) -> Established {
    let resumed = matches!(proof, Proof::Resumption { .. });
    let record = match proof {
        Proof::Certificates { peer, resumption_id, shared_secret } => ResumptionRecord {
            id: *resumption_id,
            fabric: fabric.index(),
            compressed_fabric: fabric.compressed_id(),
            peer: peer.node,
            cats: peer.cats,
            shared_secret: shared_secret.clone(),
            valid_until: peer.valid_until,
            authenticated: peer.authenticated,
            // The transcript covers them.
            parameters: ends.peer_parameters,
            age_seconds: 0,
        },
        Proof::Resumption { record, .. } => record,
    };
    let identity = Identity::case(fabric.index(), fabric.node_id(), record.peer, record.cats);
    let setup = ends.setup(identity, Some(record.id));
    Established { session: NewSession { keys, setup }, record: Some(record), resumed }
}
