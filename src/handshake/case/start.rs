//! The parameters of a CASE initiator.

use crate::ids::{LocalSessionId, Peer};
use crate::resumption::ResumptionRecord;

/// The parameters of a [`CaseClient`](super::CaseClient).
#[derive(Debug)]
pub struct CaseStart {
    pub(super) peer: Peer,
    pub(super) local: LocalSessionId,
    pub(super) record: Option<ResumptionRecord>,
}

impl CaseStart {
    /// Makes the parameters for CASE with a node of a fabric. `local` must not be in use by another
    /// session or handshake.
    #[must_use]
    pub const fn new(peer: Peer, local: LocalSessionId) -> Self {
        Self { peer, local, record: None }
    }

    /// Offers to resume the session of this record, if there is one. The responder may insist on
    /// the full handshake. A record of another node or fabric is ignored.
    #[must_use]
    pub fn with_record(mut self, record: Option<ResumptionRecord>) -> Self {
        self.record = record;
        self
    }
}
