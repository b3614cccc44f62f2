//! A resumption record without its secret.

use crate::ids::{CaseAuthTags, Peer};
use crate::resumption::ResumptionRecord;
use crate::session::ResumptionId;
use crate::time::MatterTime;

/// The facts of a resumption record in the manager's table. Its secret is not among them:
/// [`Records::export`](crate::manager::Records::export) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordInfo {
    /// The peer.
    pub peer: Peer,
    /// The identifier by which the peer refers to the record. It changes with each session.
    pub id: ResumptionId,
    /// The peer's CASE Authenticated Tags.
    pub cats: CaseAuthTags,
    /// The earliest end of validity among the peer's certificates and the root; `None` if none of
    /// them ends.
    pub valid_until: Option<MatterTime>,
    /// When the full handshake was; `None` if the calendar time was not known then.
    pub authenticated: Option<MatterTime>,
}

impl From<&ResumptionRecord> for RecordInfo {
    fn from(record: &ResumptionRecord) -> Self {
        Self {
            peer: Peer::new(record.fabric, record.peer),
            id: record.id,
            cats: record.cats,
            valid_until: record.valid_until,
            authenticated: record.authenticated,
        }
    }
}
