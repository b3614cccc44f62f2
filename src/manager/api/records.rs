//! The resumption records in the manager's own table.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::Peer;
use crate::manager::SessionManager;
use crate::manager::error::RestoreError;
use crate::manager::storage::Storage;
use crate::resumption::ResumptionRecord;

/// The resumption records in the table of a manager borrowed as `M`: shared to read them, mutably
/// to change them. See [`SessionManager::records`] and [`SessionManager::records_mut`].
///
/// Records in a [`ResumptionStore`](crate::resumption::ResumptionStore) are not found here.
#[derive(Clone, Copy, Debug)]
pub struct Records<M>(M);

impl<C: Crypto, S: Storage, T> SessionManager<C, S, T> {
    /// Returns the resumption records, to read them.
    #[must_use]
    pub const fn records(&self) -> Records<&Self> {
        Records(self)
    }

    /// Returns the resumption records, to restore and to forget them.
    #[must_use]
    pub const fn records_mut(&mut self) -> Records<&mut Self> {
        Records(self)
    }
}

impl<'a, C: Crypto, S: Storage, T> Records<&'a SessionManager<C, S, T>> {
    /// Returns the record of a peer, to be stored when
    /// [`Event::RecordChanged`](crate::manager::Event::RecordChanged) says that it changed.
    ///
    /// ```
    /// # use matter_session::{Crypto, Peer, SessionManager, Storage};
    /// /// Stores the record of a peer, or deletes it if the manager has none.
    /// fn keep<C: Crypto, S: Storage>(
    ///     node: &SessionManager<C, S>,
    ///     peer: Peer,
    ///     store: &mut dyn FnMut(Peer, Option<&[u8]>),
    /// ) {
    ///     let bytes = node.records().get(peer).map(|record| record.to_bytes());
    ///     store(peer, bytes.as_ref().map(|bytes| &bytes.as_bytes()[..]));
    /// }
    /// ```
    #[must_use]
    pub fn get(self, peer: Peer) -> Option<&'a ResumptionRecord> {
        self.0.node.records.by_peer(peer)
    }

    /// Returns all records.
    pub fn iter(self) -> impl Iterator<Item = &'a ResumptionRecord> + use<'a, C, S, T> {
        self.0.node.records.iter()
    }

    /// Returns the number of records.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.node.records.len()
    }

    /// Returns true if there are no records.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl<C: Crypto, S: Storage, T: Default> Records<&mut SessionManager<C, S, T>> {
    /// Adds a record that was stored before, in place of the peer's former one. Its lifetime begins
    /// anew. No event is queued for it.
    ///
    /// # Errors
    /// [`RestoreError`]. Nothing has changed then. Do not delete the stored record if the error
    /// [is temporary](RestoreError::is_temporary).
    pub fn restore(
        &mut self,
        cx: &mut Context<'_>,
        record: ResumptionRecord,
    ) -> Result<(), RestoreError> {
        self.0.restore_record(&record, cx.now)
    }

    /// Forgets the record of a peer, also in the store that `cx` names: for example because the
    /// certificate of the peer was revoked. A handshake that is about to resume from the record
    /// ends, and the next one is a full one.
    ///
    /// If several managers share a store, call this on each: each ends its own handshakes.
    pub fn forget(&mut self, cx: &mut Context<'_>, peer: Peer) {
        self.0.forget_record(cx, peer);
    }

    /// Forgets the records of all fabrics of this node, also in the store that `cx` names.
    /// Handshakes that are about to resume end.
    pub fn forget_all(&mut self, cx: &mut Context<'_>) {
        self.0.forget_records(cx);
    }
}
