//! What CASE borrows from the node that it runs on.

use core::fmt;

use crate::cert::{Profile, VerifiedCache};
use crate::context::PeerCertificates;
use crate::fabric::{Fabric, FabricTable, Fingerprint};
use crate::handshake::error::HandshakeError;
use crate::ids::FabricIndex;
use crate::resumption::ResumptionStore;
use crate::session::SessionParameters;

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
pub(super) struct BoundFabric {
    pub(super) index: FabricIndex,
    fingerprint: Fingerprint,
}

impl BoundFabric {
    pub(super) fn to(fabric: Fabric<'_>) -> Self {
        Self { index: fabric.index(), fingerprint: fabric.fingerprint() }
    }

    /// The fabric, unless it was removed, updated or replaced meanwhile.
    pub(super) fn find<'a>(&self, env: &CaseEnv<'a>) -> Result<Fabric<'a>, HandshakeError> {
        env.fabrics
            .by_index(self.index)
            .filter(|fabric| fabric.fingerprint() == self.fingerprint)
            .ok_or(HandshakeError::UnknownFabric)
    }
}

/// Whoever wants to keep certificates of peers: a handshake does not, they are most of what it
/// would hold.
pub trait KeepCertificates {
    /// Takes what the peer presented: once in a full handshake, when all of it has been verified
    /// and the application's policy has accepted the peer. The session may still not come to be.
    fn keep(&mut self, certificates: &PeerCertificates<'_>);
}

/// Keeps no certificates.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepNone;

impl KeepCertificates for KeepNone {
    fn keep(&mut self, _: &PeerCertificates<'_>) {}
}
