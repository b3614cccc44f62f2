//! The resumption records in the manager's own table.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{FabricIndex, NodeId};
use crate::manager::SessionManager;
use crate::manager::event::RestoreError;
use crate::manager::storage::Storage;
use crate::resumption::ResumptionRecord;
use crate::time::Instant;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Returns the resumption record of a peer, to be stored when
    /// [`Event::RecordChanged`](crate::manager::Event::RecordChanged) says that it changed. Records
    /// in a [`ResumptionStore`](crate::resumption::ResumptionStore) are not found here.
    #[must_use]
    pub fn record(&self, fabric: FabricIndex, peer: NodeId) -> Option<&ResumptionRecord> {
        self.node.records.by_peer((fabric, peer))
    }

    /// Returns all resumption records.
    pub fn records(&self) -> impl Iterator<Item = &ResumptionRecord> {
        self.node.records.iter()
    }

    /// Adds a record that was stored before, in place of the peer's former one. Its lifetime begins
    /// anew. No event is queued for it.
    ///
    /// # Errors
    /// [`RestoreError`]. Nothing has changed then. Do not delete the stored record if the error
    /// [is temporary](RestoreError::is_temporary).
    pub fn restore_record(
        &mut self,
        record: ResumptionRecord,
        now: Instant,
    ) -> Result<(), RestoreError> {
        self.restore_record_of_peer(&record, now)
    }

    /// Forgets the record of a peer, also in the store that `cx` names: for example because the
    /// certificate of the peer was revoked. A handshake that is about to resume from the record
    /// ends, and the next one is a full one.
    ///
    /// If several managers share a store, call this on each: each ends its own handshakes.
    pub fn forget_record(&mut self, cx: &mut Context<'_>, fabric: FabricIndex, peer: NodeId) {
        self.forget_record_of(fabric, peer, cx);
    }

    /// Forgets the records of all fabrics of this node, also in the store that `cx` names.
    /// Handshakes that are about to resume end.
    pub fn forget_records(&mut self, cx: &mut Context<'_>) {
        self.forget_all_records(cx);
    }
}
