//! The parameters of a CASE initiator.

use crate::ids::{FabricIndex, LocalSessionId, NodeId};
use crate::resumption::ResumptionRecord;

/// The parameters of a [`CaseClient`](super::CaseClient).
#[derive(Debug)]
pub struct CaseStart {
    pub(super) fabric: FabricIndex,
    pub(super) node: NodeId,
    pub(super) local: LocalSessionId,
    pub(super) record: Option<ResumptionRecord>,
}

impl CaseStart {
    /// Makes the parameters for CASE with a node of a fabric. `local` must not be in use by another
    /// session or handshake.
    #[must_use]
    pub const fn new(fabric: FabricIndex, node: NodeId, local: LocalSessionId) -> Self {
        Self { fabric, node, local, record: None }
    }

    /// Offers to resume the session of this record, if there is one. The responder may insist on
    /// the full handshake. A record of another node or fabric is ignored.
    #[must_use]
    pub fn with_record(mut self, record: Option<ResumptionRecord>) -> Self {
        self.record = record;
        self
    }
}
