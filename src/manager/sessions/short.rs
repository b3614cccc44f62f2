//! Short messages of a session that belong to no conversation.

use crate::bytes::Buffer;
use crate::crypto::Crypto;
use crate::ids::{LocalSessionId, ProtocolId};
use crate::manager::delivery::{Delivery, SHORT_LEN, Short};
use crate::manager::error::NoSession;
use crate::manager::event::Event;
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::Storage;
use crate::manager::trace::{self, Way};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageBuf, ProtocolHeader, StatusReport};

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Reports to the peer of a connection, on one of the sessions there.
    pub(in crate::manager) fn report_over(
        &mut self,
        connection: PeerAddress,
        report: &StatusReport<'_>,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) -> Result<(), NoSession> {
        let session = self.first_over(connection).ok_or(NoSession)?;
        self.push_report(session, report, now, delivery);
        Ok(())
    }

    /// Queues a status report on an exchange of its own.
    #[inline(never)]
    pub(super) fn push_report(
        &mut self,
        session: SessionHandle,
        report: &StatusReport<'_>,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let mut payload = [0; 10];
        let mut buffer = Buffer::new(&mut payload);
        if report.write(&mut buffer).is_err() {
            return;
        }
        let header = ProtocolHeader {
            exchange: delivery.exchange_id(),
            protocol: ProtocolId::SECURE_CHANNEL,
            opcode: Opcode::STATUS_REPORT.0,
            initiator: true,
            needs_ack: false,
            ack: None,
        };
        let kind = Short::Report;
        self.push_short(session, kind, &header, buffer.into_written(), now, delivery);
    }

    /// Queues an acknowledgement, unless one of the same message waits to be sent: a recorded
    /// message, repeated, neither fills the outbox nor uses up counters.
    pub(super) fn push_ack(
        &mut self,
        session: SessionHandle,
        header: &ProtocolHeader,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let Some(counter) = header.ack else { return };
        let kind = Short::Ack(session.local, counter);
        if !delivery.has_short(kind) {
            self.push_short(session, kind, header, &[], now, delivery);
        }
    }

    /// Seals a short message into the outbox.
    #[inline(never)]
    fn push_short(
        &mut self,
        session: SessionHandle,
        kind: Short,
        header: &ProtocolHeader,
        payload: &[u8],
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let Some(entry) = self.table.in_use(session.local) else { return };
        if entry.serial != session.serial {
            return;
        }
        let mut buf = [0; SHORT_LEN];
        let Ok(message) = MessageBuf::with_payload(&mut buf, payload) else { return };
        if let Ok(sealed) = entry.session.encode(header, message, now) {
            let to = entry.address;
            trace::message(Way::Out, session.local.get(), header, sealed.counter());
            delivery.push_short(to, kind, sealed.as_bytes());
            entry.statistics.count_sent(false);
            self.watch_counter(session.local, delivery);
        }
    }

    /// Warns the application once when a session has few counters left; later if too many events
    /// wait.
    pub(super) fn watch_counter(&mut self, session: LocalSessionId, delivery: &mut Delivery<S, T>) {
        /// A month at one message a second.
        const FEW: u32 = 1 << 21;
        let Some(entry) = self.table.by_local_mut(session) else { return };
        if entry.session.remaining_messages() >= FEW || entry.warned {
            return;
        }
        if !delivery.is_backlogged() {
            entry.warned = true;
            delivery.push_event(Event::CounterLow { session: entry.handle() });
        }
    }
}
