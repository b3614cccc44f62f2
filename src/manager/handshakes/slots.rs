//! The table of slots.

use crate::crypto::Crypto;
use crate::ids::LocalSessionId;
use crate::manager::delivery::Delivery;
use crate::manager::handle::{HandshakeId, PeerAddress, Source};
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::slot::Slot;
use crate::manager::storage::{Map, Storage};

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Returns the maximum number of handshakes.
    pub(in crate::manager) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Returns the number of slots in use, those of ended handshakes included.
    pub(in crate::manager) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the number of running handshakes.
    pub(in crate::manager) fn count(&self) -> usize {
        self.slots.iter().filter(|(_, slot)| slot.ended.is_none()).count()
    }

    /// Returns true if a running handshake has reserved this id for its session.
    pub(in crate::manager) fn reserves(&self, id: LocalSessionId) -> bool {
        self.slots.iter().any(|(_, slot)| slot.ended.is_none() && slot.local == id)
    }

    /// Returns true if a running handshake uses this connection.
    pub(in crate::manager) fn uses(&self, connection: PeerAddress) -> bool {
        self.slots.iter().any(|(_, slot)| slot.ended.is_none() && slot.peer == connection)
    }

    /// Returns true if no handshake is running and none has a message in flight or an
    /// acknowledgement to send.
    pub(in crate::manager) fn is_settled(&self) -> bool {
        self.slots.iter().all(|(_, slot)| slot.ended.is_some() && slot.exchange.is_settled())
    }

    /// Returns true if there is a free slot.
    pub(super) fn has_free_slot(&self) -> bool {
        self.slots.len() < self.slots.capacity()
    }

    /// Returns true if there is a free slot. Discards an ended handshake if that makes one.
    pub(super) fn make_slot<T>(&mut self, delivery: &mut Delivery<S, T>) -> bool {
        if self.has_free_slot() {
            return true;
        }
        let spare = self.slots.iter().filter(|(_, slot)| slot.is_spare());
        let rank = |slot: &Slot<C, S>| (slot.exchange.is_in_flight(), slot.ended);
        let spare = spare.min_by_key(|(_, slot)| rank(slot)).map(|(id, _)| *id);
        spare.is_some_and(|id| {
            self.discard(id, delivery);
            true
        })
    }

    /// Adds a handshake. Returns false if there is no free slot.
    pub(super) fn add(&mut self, id: HandshakeId, slot: Slot<C, S>) -> bool {
        log_debug!("handshake {} with {} begins", id, slot.peer);
        let source = (!slot.is_ours()).then_some(slot.peer);
        let added = self.slots.insert(id, slot).is_ok();
        if let Some(source) = source {
            self.recount(&source);
        }
        added
    }

    /// Frees a slot. The commissioning window is not told.
    pub(super) fn discard<T>(&mut self, id: HandshakeId, delivery: &mut Delivery<S, T>) {
        let Some(slot) = self.slots.get(&id) else { return };
        let (filed, source) = (slot.filed, (!slot.is_ours()).then_some(slot.peer));
        self.slots.discard(&id);
        if let Some(source) = source {
            self.recount(&source);
        }
        delivery.forget(Source::Handshake(id), filed);
    }
}
