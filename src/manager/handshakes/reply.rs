//! Short unsecured messages that are sent once, beside the message in flight of a handshake or
//! without one: refusals, acknowledgements, and the report that a handshake was cancelled.

use crate::bytes::Buffer;
use crate::manager::delivery::{Delivery, SHORT_LEN};
use crate::manager::handle::PeerAddress;
use crate::manager::storage::Storage;
use crate::manager::trace::{self, Way};
use crate::session::{EphemeralNodeId, SessionRole, UnsecureSession};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageBuf, ProtocolHeader, StatusReport};

/// The peer that a reply goes to, and the header of the reply.
pub(in crate::manager) struct ReplyTo {
    pub(in crate::manager) peer: PeerAddress,
    /// The id of the initiator, and whether this node is the initiator.
    pub(in crate::manager) node: EphemeralNodeId,
    pub(in crate::manager) role: SessionRole,
    pub(in crate::manager) header: ProtocolHeader,
}

impl ReplyTo {
    /// Queues a report that refuses or ends a handshake: once, without asking for an
    /// acknowledgement.
    pub(in crate::manager) fn push_report<S: Storage, T>(
        &self,
        report: &StatusReport<'_>,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let mut payload = [0; 10];
        let mut buffer = Buffer::new(&mut payload);
        if report.write(&mut buffer).is_ok() {
            let header = ProtocolHeader { opcode: Opcode::STATUS_REPORT.0, ..self.header };
            self.push(&header, buffer.into_written(), now, delivery);
        }
    }

    /// Queues the message that the header alone makes.
    pub(in crate::manager) fn push_header<S: Storage, T>(
        &self,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        self.push(&self.header, &[], now, delivery);
    }

    #[inline(never)]
    fn push<S: Storage, T>(
        &self,
        header: &ProtocolHeader,
        payload: &[u8],
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) {
        let mut buf = [0; SHORT_LEN];
        let Ok(message) = MessageBuf::with_payload(&mut buf, payload) else { return };
        let mut unsecured = UnsecureSession::new(self.role, self.node, now);
        let counter = &mut delivery.unsecured_counter;
        if let Ok(encoded) = unsecured.encode(counter, header, message, now) {
            trace::message(Way::Out, 0, header, encoded.counter());
            delivery.push_reply(self.peer, encoded.as_bytes());
        }
    }
}
