//! A resumption record without its secret.

use crate::ids::{CaseAuthTags, Peer};
use crate::manager::config::Config;
use crate::resumption::ResumptionRecord;
use crate::session::{ResumptionId, SessionParameters};
use crate::time::{Instant, MatterTime};

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
    /// The session parameters that the peer declared in the full handshake, with the version of the
    /// specification that it implements.
    pub parameters: SessionParameters,
    /// When the manager removes the record because its lifetime is over
    /// ([`Config::record_lifetime`](crate::manager::Config::record_lifetime)). A resumption does not
    /// postpone it. A restart postpones it by the time for which the record was only stored, unless
    /// the calendar time was known before and after.
    pub expires: Instant,
    /// The first second of calendar time at which nothing is resumed from the record any more,
    /// because its lifetime is over or the peer's certificates have ended. `None` if neither is
    /// known. See [`ResumptionRecord::expires_at`].
    pub expires_at: Option<MatterTime>,
}

impl RecordInfo {
    pub(super) fn new(record: &ResumptionRecord, expires: Instant, config: &Config) -> Self {
        let validity = config.certificate_profile.validity();
        Self {
            peer: Peer::new(record.fabric, record.peer),
            id: record.id,
            cats: record.cats,
            valid_until: record.valid_until,
            authenticated: record.authenticated,
            parameters: record.parameters,
            expires,
            expires_at: record.expires_at(validity, config.record_lifetime),
        }
    }
}
