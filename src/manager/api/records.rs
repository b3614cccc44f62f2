//! The resumption records in the manager's own table.

use crate::context::Context;
use crate::crypto::{Crypto, Secret};
use crate::handshake::Claimed;
use crate::ids::Peer;
use crate::manager::SessionManager;
use crate::manager::error::{HandshakeEnded, RestoreError};
use crate::manager::node::records::RecordInfo;
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

    /// Returns the resumption records, to export, restore and forget them, and to complete claims.
    #[must_use]
    pub const fn records_mut(&mut self) -> Records<&mut Self> {
        Records(self)
    }
}

impl<'a, C: Crypto, S: Storage, T> Records<&'a SessionManager<C, S, T>> {
    /// Returns the facts of the record of a peer.
    #[must_use]
    pub fn get(self, peer: Peer) -> Option<RecordInfo> {
        self.0.node.records.info(peer, &self.0.node.config)
    }

    /// Returns the facts of all records.
    pub fn iter(self) -> impl Iterator<Item = RecordInfo> + use<'a, C, S, T> {
        self.0.node.records.infos(&self.0.node.config)
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
    /// Returns the record of a peer as bytes, to be stored when
    /// [`Event::RecordChanged`](crate::manager::Event::RecordChanged) says that it changed. `None`
    /// if there is no record, or none that may be stored: a peer resumes from it, or may soon.
    /// Delete what was stored then. If several processes share the store, leave the row to expire
    /// instead: another process may have written it since.
    ///
    /// A record that was exported serves handshakes that this node begins. For a peer that resumes
    /// from it, it serves only if [`Config::claim_wait`](crate::manager::Config::claim_wait) is set
    /// and the application answers
    /// [`Event::ClaimRequest`](crate::manager::Event::ClaimRequest): otherwise a restart could bring
    /// back a record that was answered, and with it the commands of a former session. So a node to
    /// which others connect keeps more of its resumptions if it exports nothing.
    ///
    /// ```
    /// # use matter_session::{Crypto, Peer, SessionManager, Storage};
    /// /// Stores the record of a peer, or deletes what was stored.
    /// fn keep<C: Crypto, S: Storage>(
    ///     node: &mut SessionManager<C, S>,
    ///     peer: Peer,
    ///     store: &mut dyn FnMut(Peer, Option<&[u8]>),
    /// ) {
    ///     let bytes = node.records_mut().export(peer);
    ///     store(peer, bytes.as_ref().map(|bytes| &bytes.as_bytes()[..]));
    /// }
    /// ```
    pub fn export(&mut self, peer: Peer) -> Option<Secret<{ ResumptionRecord::ENCODED_LEN }>> {
        self.0.node.records.export(peer)
    }

    /// Adds a record that was stored before, in place of the peer's former one, for what is left of
    /// its lifetime. If the calendar time is not known, or was not at the full handshake, the time
    /// between the last session with the peer and now does not count. No event is queued for it.
    ///
    /// # Errors
    /// [`RestoreError`]. Nothing has changed then. Do not delete the stored record if the error
    /// [is temporary](RestoreError::is_temporary).
    pub fn restore(
        &mut self,
        cx: &mut Context<'_>,
        record: ResumptionRecord,
    ) -> Result<(), RestoreError> {
        self.0.restore_record(cx, &record)
    }

    /// Continues the handshake that
    /// [`Event::ClaimRequest`](crate::manager::Event::ClaimRequest) came from: with the resumption
    /// if the claim is granted, otherwise with the full handshake.
    ///
    /// Name the same [`ResumptionStore`](crate::resumption::ResumptionStore) in `cx`, or none, as
    /// in the calls before.
    ///
    /// # Errors
    /// [`HandshakeEnded`] if no handshake waits for the claim any more. This is no fault: the
    /// answer may have taken too long. If the record was deleted, it stays deleted.
    pub fn complete_claim(
        &mut self,
        cx: &mut Context<'_>,
        claimed: Claimed,
    ) -> Result<(), HandshakeEnded> {
        self.0.advance_claimed(cx, claimed).then_some(()).ok_or(HandshakeEnded)
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
