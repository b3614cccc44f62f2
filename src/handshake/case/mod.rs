//! CASE: a session from operational certificates, or from a former session.
//!
//! ```text
//! initiator (CaseClient)                          responder (CaseServer)
//!   │ Sigma1  random, session id, destination id, key      │  finds its fabric by destination id
//!   │─────────────────────────────────────────────────────▶│
//!   │ Sigma2  random, session id, key, {NOC, ICAC, sig}    │  signs
//!   │◀─────────────────────────────────────────────────────│
//!   │ Sigma3  {NOC, ICAC, signature}                       │  the initiator verifies and signs
//!   │─────────────────────────────────────────────────────▶│  the responder verifies
//!   │ StatusReport: success                                │
//!   │◀─────────────────────────────────────────────────────│
//!
//! resumed:
//!   │ Sigma1  ..., resumption id, MIC                      │  knows the record, verifies the MIC
//!   │─────────────────────────────────────────────────────▶│  (else answers Sigma2: full handshake)
//!   │ Sigma2Resume  new resumption id, MIC, session id     │
//!   │◀─────────────────────────────────────────────────────│
//!   │ StatusReport: success                                │
//!   │─────────────────────────────────────────────────────▶│
//! ```
//! [Core, "Certificate Authenticated Session Establishment (CASE)"]

mod admission;
mod client;
mod keys;
pub mod messages;
mod peer;
mod server;
mod start;

use core::fmt;

use self::keys::ResumptionVerified;
use self::peer::PeerVerified;
use super::{Ends, Established, HandshakeError, NewSession};

pub use self::client::CaseClient;
pub use self::keys::{RSEKEYS_INFO, S1RK_INFO, S2K_INFO, S2RK_INFO, S3K_INFO};
pub use self::peer::{KeepCertificates, KeepNone};
pub use self::server::CaseServer;
pub use self::start::CaseStart;
use crate::cert::{Profile, VerifiedCache};
use crate::crypto::Secret;
use crate::fabric::{Fabric, FabricTable, Fingerprint};
use crate::ids::FabricIndex;
use crate::resumption::{ResumptionRecord, ResumptionStore};
use crate::session::{Identity, ResumptionId, SessionKeys, SessionParameters};

/// What CASE needs to know of this node. Borrowed per call.
pub struct CaseEnv<'a> {
    /// The fabrics this node belongs to.
    pub fabrics: &'a dyn FabricTable,
    /// Where the responder looks up what an initiator wants to resume.
    pub resumption: &'a mut dyn ResumptionStore,
    /// Certificates that were verified before; [`NoCache`](crate::cert::NoCache) for none.
    pub verified: &'a mut dyn VerifiedCache,
    /// Who wants to keep what the peer presents; [`KeepNone`] for nobody.
    pub certificates: &'a mut dyn KeepCertificates,
    /// How strictly certificates are read.
    pub profile: Profile,
    /// This node's own session parameters, announced to the peer.
    pub parameters: &'a SessionParameters,
}

impl fmt::Debug for CaseEnv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaseEnv").finish_non_exhaustive()
    }
}

/// The fabric that a handshake is about, as it was when the handshake settled on it.
#[derive(Clone, Copy, Debug)]
struct BoundFabric {
    index: FabricIndex,
    fingerprint: Fingerprint,
}

impl BoundFabric {
    fn to(fabric: Fabric<'_>) -> Self {
        Self { index: fabric.index(), fingerprint: fabric.fingerprint() }
    }

    /// The fabric, unless it was removed, updated or replaced meanwhile.
    fn find<'a>(&self, env: &CaseEnv<'a>) -> Result<Fabric<'a>, HandshakeError> {
        env.fabrics
            .by_index(self.index)
            .filter(|fabric| fabric.fingerprint() == self.fingerprint)
            .ok_or(HandshakeError::UnknownFabric)
    }
}

/// What entitles a peer to a session: nothing else makes one.
enum Proof<'a> {
    /// Certificates, and a signature by their key.
    Certificates {
        peer: &'a PeerVerified,
        resumption_id: &'a ResumptionId,
        shared_secret: &'a Secret<32>,
    },
    /// Possession of the resumption record, which now has a new id.
    Resumption { record: ResumptionRecord, _verified: &'a ResumptionVerified },
}

fn establish(fabric: Fabric<'_>, ends: &Ends, keys: SessionKeys, proof: Proof<'_>) -> Established {
    let resumed = matches!(proof, Proof::Resumption { .. });
    let record = match proof {
        Proof::Certificates { peer, resumption_id, shared_secret } => ResumptionRecord {
            id: *resumption_id,
            fabric: fabric.index(),
            compressed_fabric: fabric.compressed_id(),
            peer: peer.node,
            cats: peer.cats,
            shared_secret: shared_secret.clone(),
        },
        Proof::Resumption { record, .. } => record,
    };
    let identity = Identity::case(fabric.index(), fabric.node_id(), record.peer, record.cats);
    let setup = ends.setup(identity, Some(record.id));
    Established { session: NewSession { keys, setup }, record: Some(record), resumed }
}
