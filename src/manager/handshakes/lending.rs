//! The loan of a peer's certificates to the application.

use crate::context::PeerCertificates;
use crate::crypto::Crypto;
use crate::manager::delivery::Delivery;
use crate::manager::handle::{HandshakeId, SessionHandle};
use crate::manager::handshakes::Handshakes;
use crate::manager::storage::{ByteStore, Map, Owner, Storage};

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Returns the certificates that are lent.
    pub(in crate::manager) fn peer_certificates<'a, T>(
        &'a self,
        delivery: &'a Delivery<S, T>,
    ) -> Option<PeerCertificates<'a>> {
        self.presented(self.lending?, delivery)
    }

    /// Returns the certificates that the peer of a handshake has presented, until the application
    /// has read them.
    pub(in crate::manager) fn presented<'a, T>(
        &'a self,
        id: HandshakeId,
        delivery: &'a Delivery<S, T>,
    ) -> Option<PeerCertificates<'a>> {
        self.slots.get(&id)?.kept.as_ref()?.lend(&delivery.bytes, id)
    }

    /// Begins to lend the certificates that the peer of an established session has presented.
    pub(in crate::manager) fn begin_lending(&mut self, session: SessionHandle) {
        let mut slots = self.slots.iter();
        self.lending = slots.find(|(_, slot)| slot.lends_to == Some(session)).map(|(id, _)| *id);
    }

    /// Ends the loan, if there is one.
    pub(in crate::manager) fn end_lending<T>(&mut self, delivery: &mut Delivery<S, T>) {
        if let Some(id) = self.lending.take() {
            self.forget_certificates(id, delivery);
        }
    }

    fn forget_certificates<T>(&mut self, id: HandshakeId, delivery: &mut Delivery<S, T>) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.lends_to = None;
            slot.kept = None;
            delivery.bytes.release(Owner::Certificates(id));
        }
        self.update(id, delivery);
    }
}
