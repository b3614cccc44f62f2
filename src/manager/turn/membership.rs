//! Fabrics and resumption records that end or change, with everything that depends on them.

use crate::cert::RecentlyVerified;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::{FabricCredentials, FabricTable};
use crate::handshake::HandshakeError;
use crate::ids::{FabricIndex, Peer};
use crate::manager::SessionManager;
use crate::manager::error::{FabricTableError, RestoreError};
use crate::manager::event::{CloseReason, Event};
use crate::manager::handle::SessionHandle;
use crate::manager::node::records::Saved;
use crate::manager::statistics::increment;
use crate::manager::storage::{Optional, Storage};
use crate::resumption::ResumptionRecord;
use crate::session::ResumptionId;
use crate::time::Instant;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Replaces the credentials of this node on a fabric. Sessions and handshakes on the fabric end,
    /// and its records are forgotten: they are those of the former node. The session `spared` ends
    /// when it is settled.
    pub(in crate::manager) fn update_fabric(
        &mut self,
        cx: &mut Context<'_>,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
        spared: Option<SessionHandle>,
    ) -> Result<(), FabricTableError> {
        let Self { crypto, node, .. } = self;
        node.fabrics.update(crypto, index, credentials, node.config.certificate_profile)?;
        self.end_former_node(cx, index, spared);
        Ok(())
    }

    /// Replaces the credentials of this node on a fabric by stored ones, with the same effect as
    /// [`update_fabric`](Self::update_fabric).
    pub(in crate::manager) fn replace_fabric(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        spared: Option<SessionHandle>,
    ) -> Result<FabricIndex, FabricTableError> {
        let index = self.node.fabrics.replace(&self.crypto, bytes)?;
        self.end_former_node(cx, index, spared);
        Ok(index)
    }

    /// Ends what was of the node that this one was on a fabric.
    fn end_former_node(
        &mut self,
        cx: &mut Context<'_>,
        index: FabricIndex,
        spared: Option<SessionHandle>,
    ) {
        if let Some(groups) = self.groups.get_mut() {
            groups.rename(index, &self.node);
        }
        log_info!("fabric {} updated", index);
        self.end_all_on(cx, index, spared, CloseReason::FabricUpdated);
    }

    /// Ends the membership of this node in a fabric, with its sessions, handshakes, records and
    /// groups. The session `spared` ends when it is settled. Returns false if there was none.
    pub(in crate::manager) fn remove_fabric(
        &mut self,
        cx: &mut Context<'_>,
        index: FabricIndex,
        spared: Option<SessionHandle>,
    ) -> bool {
        if !self.node.fabrics.remove(index) {
            return false;
        }
        log_info!("fabric {} removed", index);
        self.end_all_on(cx, index, spared, CloseReason::FabricRemoved);
        if let Some(groups) = self.groups.get_mut() {
            groups.remove_fabric(index, &mut self.delivery);
        }
        // Certificates of other fabrics share this memory: they are verified once more.
        self.node.verified = RecentlyVerified::EMPTY;
        true
    }

    /// Ends the sessions and handshakes on a fabric, and forgets its records.
    fn end_all_on(
        &mut self,
        cx: &mut Context<'_>,
        index: FabricIndex,
        spared: Option<SessionHandle>,
        reason: CloseReason,
    ) {
        self.fail_handshakes_of(cx, index);
        self.sessions.end_fabric(index, spared, reason, cx.now, &mut self.delivery);
        self.forget_records_of(cx, index);
    }

    /// Fails every running handshake on a fabric.
    fn fail_handshakes_of(&mut self, cx: &mut Context<'_>, index: FabricIndex) {
        let Self { crypto, handshakes, delivery, node, .. } = self;
        handshakes.fail_of_fabric(crypto, cx, index, HandshakeError::UnknownFabric, delivery, node);
    }

    /// Adds a record that was stored before. No event is queued.
    pub(in crate::manager) fn restore_record(
        &mut self,
        cx: &Context<'_>,
        record: &ResumptionRecord,
    ) -> Result<(), RestoreError> {
        self.node.check_restored(record, cx.wall)?;
        // The end of each record needs room for an event.
        if self.delivery.is_backlogged() {
            return Err(RestoreError::Backlog);
        }
        self.node.restore(record, cx.wall, cx.now);
        Ok(())
    }

    /// Saves a record, and queues the events for it and for the record that it evicts.
    #[inline(never)]
    pub(in crate::manager) fn save_record(
        &mut self,
        record: &ResumptionRecord,
        resumed: bool,
        now: Instant,
    ) {
        let lifetime = self.node.config.record_lifetime;
        let Saved { saved, evicted } = self.node.records.save(record, resumed, now, lifetime);
        if evicted.is_some() {
            increment(&mut self.delivery.statistics.evicted.records);
        }
        let saved = saved.then_some(Peer::new(record.fabric, record.peer));
        for peer in evicted.into_iter().chain(saved) {
            self.delivery.push_event(Event::RecordChanged { peer });
        }
    }

    /// Forgets the record of a peer, also in the store that `cx` names.
    pub(in crate::manager) fn forget_record(&mut self, cx: &mut Context<'_>, peer: Peer) {
        if let Some(store) = &mut cx.resumption {
            store.remove(peer);
        }
        let Peer { fabric, node } = peer;
        self.handshakes.end_resumptions(fabric, Some(node), cx.now, &mut self.delivery);
        self.discard_record(peer);
    }

    /// Forgets the record of a peer if it is the one with this id, also in the store that `cx` names:
    /// a session that was resumed from it does not work. Handshakes under way go on. If they make a
    /// record, it is another one.
    #[inline(never)]
    pub(in crate::manager) fn forget_unserved(
        &mut self,
        cx: &mut Context<'_>,
        peer: Peer,
        id: &ResumptionId,
    ) {
        if let Some(store) = &mut cx.resumption
            && store.by_peer(peer).is_some_and(|record| record.id == *id)
        {
            store.remove(peer);
        }
        if self.node.records.by_peer(peer).is_some_and(|record| record.id == *id) {
            self.discard_record(peer);
        }
    }

    /// Forgets the records of a fabric, also in the store that `cx` names. Handshakes that resume
    /// from them end, as they would save them again.
    fn forget_records_of(&mut self, cx: &mut Context<'_>, fabric: FabricIndex) {
        if let Some(store) = &mut cx.resumption {
            store.remove_fabric(fabric);
        }
        // The store may hold records of peers that have none here, so all resumptions end.
        self.handshakes.end_resumptions(fabric, None, cx.now, &mut self.delivery);
        while let Some(peer) = self.node.records.first_of(fabric) {
            self.discard_record(peer);
        }
    }

    /// Forgets the records of all fabrics, also in the store that `cx` names.
    pub(in crate::manager) fn forget_records(&mut self, cx: &mut Context<'_>) {
        // No record outlives its fabric.
        for fabric in (1..=FabricIndex::MAX.get()).filter_map(FabricIndex::new) {
            if self.node.fabrics.by_index(fabric).is_some() {
                self.forget_records_of(cx, fabric);
            }
        }
    }

    /// Forgets the records that have expired. A store in the context has its own lifetimes.
    #[inline(never)]
    pub(in crate::manager) fn expire_records(&mut self, now: Instant) {
        while let Some(peer) = self.node.records.expired(now) {
            let Peer { fabric, node } = peer;
            self.handshakes.end_resumptions(fabric, Some(node), now, &mut self.delivery);
            self.discard_record(peer);
        }
    }

    /// Removes a record from the manager's own table, and queues the event for it.
    pub(in crate::manager) fn discard_record(&mut self, peer: Peer) {
        if self.node.records.forget(peer) {
            self.delivery.push_event(Event::RecordChanged { peer });
        }
    }
}
