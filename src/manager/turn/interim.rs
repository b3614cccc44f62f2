//! Former methods of the manager, for the parts that still have none of their own.

use crate::crypto::Crypto;
use crate::manager::SessionManager;
use crate::manager::delivery::{Filed, Output};
use crate::manager::event::CloseReason;
use crate::manager::handle::{HandshakeId, PeerAddress, SessionHandle, Source};
use crate::manager::received::Transmit;
use crate::manager::storage::{Map, Octets, Owner, Storage};
use crate::session::SecureSession;
use crate::time::Instant;
use crate::wire::MessageBuf;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    pub(in crate::manager) fn add_session(
        &mut self,
        session: SecureSession<C>,
        address: PeerAddress,
        now: Instant,
    ) -> Option<SessionHandle> {
        self.sessions.add(session, address, now, &mut self.delivery, &self.node)
    }

    pub(in crate::manager) fn end_session(
        &mut self,
        session: SessionHandle,
        reason: CloseReason,
        now: Instant,
    ) {
        self.sessions.end(session, reason, now, &mut self.delivery);
    }

    pub(in crate::manager) fn update(&mut self, source: Source) {
        match source {
            Source::Exchange(key) => self.sessions.update(key, &mut self.delivery, &self.node),
            Source::Handshake(id) => self.update_handshake(id),
        }
    }

    pub(super) fn handshake_output(
        &mut self,
        id: HandshakeId,
        now: Instant,
        buf: &mut [u8],
    ) -> Option<Output> {
        let output = self.next_handshake_output(id, now, buf);
        if output.is_none() {
            let slot = self.handshakes.slots.get_mut(&id);
            slot.map(|slot| &mut slot.filed).into_iter().for_each(Filed::idle);
            self.delivery.schedule.idle(Source::Handshake(id));
        }
        self.update_handshake(id);
        output
    }

    fn next_handshake_output(
        &mut self,
        id: HandshakeId,
        now: Instant,
        buf: &mut [u8],
    ) -> Option<Output> {
        let slot = self.handshakes.slots.get_mut(&id)?;
        if let Some(header) = slot.exchange.next_ack() {
            slot.exchange.sent(&header, now);
            let message = MessageBuf::new(buf).ok()?;
            let counter = &mut self.delivery.unsecured_counter;
            let range = slot.unsecured.encode(counter, &header, message, now).ok()?.range();
            return Some(Output::Ack { to: slot.peer, range });
        }
        let (wait, interval) = (self.node.retry_wait(), slot.unsecured.base_interval(now));
        slot.exchange.take_transmission(now, |n| wait(interval, n)).then_some(Output::InFlight)
    }

    pub(super) fn handshake_in_flight(&self, id: HandshakeId) -> Option<Transmit<'_>> {
        let slot = self.handshakes.slots.get(&id)?;
        let (held, datagram) = slot.exchange.message()?;
        let octets = self.delivery.octets.get(Owner::Message(Source::Handshake(id)), held);
        Some(Transmit { to: slot.peer, datagram: octets.get(datagram)? })
    }

    pub(super) fn handshakes_are_settled(&self) -> bool {
        let mut slots = self.handshakes.slots.iter();
        slots.all(|(_, slot)| slot.ended.is_some() && slot.exchange.is_settled())
    }

    pub(super) fn handshakes_use(&self, connection: PeerAddress) -> bool {
        let mut slots = self.handshakes.slots.iter();
        slots.any(|(_, slot)| slot.ended.is_none() && slot.peer == connection)
    }
}
