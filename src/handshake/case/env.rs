//! The data of a node that CASE borrows.

use core::fmt;
use core::time::Duration;

use super::presented::Presented;
use crate::cert::{Profile, VerifiedCache};
use crate::fabric::{Fabric, FabricTable, Fingerprint};
use crate::handshake::error::HandshakeError;
use crate::ids::FabricIndex;
use crate::resumption::{ResumptionRecord, ResumptionStore};
use crate::session::SessionParameters;
use crate::time::WallClock;

/// The data of this node that CASE needs. Each call borrows it.
pub struct CaseEnv<'a> {
    /// The fabrics that this node is a member of.
    pub fabrics: &'a dyn FabricTable,
    /// The resumption records, in which the responder finds what an initiator wants to resume.
    pub resumption: &'a mut dyn ResumptionStore,
    /// Certificates that were verified before; [`NoCache`](crate::cert::NoCache) for none.
    pub verified: &'a mut dyn VerifiedCache,
    /// Where the peer's certificates stay while they are verified. Each call of a handshake gets the
    /// same room, as the call before has left it.
    pub certificates: Presented<'a>,
    /// How strictly certificates are read, and which validity periods count.
    pub profile: Profile,
    /// The longest time since the full handshake at which a session is still resumed, as far as the
    /// calendar time is known.
    pub record_lifetime: Duration,
    /// This node's own session parameters. What is announced to the peer is conformant: see
    /// [`SessionParameters`].
    pub parameters: &'a SessionParameters,
}

impl CaseEnv<'_> {
    /// Returns true if a record is recent enough to be resumed.
    pub(super) fn is_current(&self, record: &ResumptionRecord, wall: WallClock) -> bool {
        record.is_current(wall, self.profile.validity(), self.record_lifetime)
    }
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

    /// Returns the fabric, unless it was removed, updated or replaced meanwhile.
    pub(super) fn find<'a>(&self, env: &CaseEnv<'a>) -> Result<Fabric<'a>, HandshakeError> {
        env.fabrics
            .by_index(self.index)
            .filter(|fabric| fabric.fingerprint() == self.fingerprint)
            .ok_or(HandshakeError::UnknownFabric)
    }
}
