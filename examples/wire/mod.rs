//! What carries messages between two nodes in one process, and prints them.
//!
//! Shared by the examples; not an example itself.

#[macro_use]
#[path = "../say/mod.rs"]
mod say;

use matter_session::describe::MessageName;
use matter_session::ids::{ExchangeId, MessageType};
use matter_session::rand_core::CryptoRng;
use matter_session::session::{Session, UnsecuredCounter};
use matter_session::time::Instant;
use matter_session::wire::{MessageBuf, Packet, ProtocolHeader};

/// Examples fail with whatever error comes first.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn core::error::Error>>;

/// The wire between two nodes: 0, which sends first, and 1.
pub(crate) struct Wire {
    /// Each node's counter of unsecured messages.
    counters: [UnsecuredCounter; 2],
}

impl Wire {
    pub(crate) fn new(rng: &mut dyn CryptoRng) -> Self {
        Self { counters: [(); 2].map(|()| UnsecuredCounter::random(rng)) }
    }

    /// Encodes a message at one end of a session and decodes it at the other. The session may be
    /// unsecured, as during a handshake, or secure. Returns the received payload.
    pub(crate) fn carry(
        &mut self,
        from: usize,
        ends: [&mut dyn Session; 2],
        MessageType { protocol, opcode }: MessageType,
        payload: &[u8],
    ) -> Outcome<Vec<u8>> {
        let [zero, one] = ends;
        let (sender, receiver) = if from == 0 { (zero, one) } else { (one, zero) };
        let (exchange, initiator) = (ExchangeId::new(1), from == 0);
        // Nothing gets lost here, so nothing needs to be acknowledged.
        let header =
            ProtocolHeader { exchange, protocol, opcode, initiator, needs_ack: false, ack: None };
        let (now, mut buf) = (Instant::ZERO, [0; 1280]);
        let message = MessageBuf::with_payload(&mut buf, payload)?;
        let counter = self.counters.get_mut(from).ok_or("there are two nodes")?;
        let mut datagram = sender.encode(counter, &header, message, now)?.as_bytes().to_vec();
        print(from, &*sender, &header, &datagram);
        let received = receiver.decode(Packet::parse(&mut datagram)?, now)?;
        assert!(!received.is_duplicate() && received.header() == &header);
        Ok(received.into_payload().to_vec())
    }
}

/// The name of the message, its length, and its first bytes as they cross the wire.
fn print(from: usize, session: &dyn Session, header: &ProtocolHeader, datagram: &[u8]) {
    let name = MessageName(MessageType::new(header.protocol, header.opcode));
    let seal = if session.is_secure() { "encrypted" } else { "in clear" };
    let first: String = datagram.iter().take(16).map(|byte| format!("{byte:02x} ")).collect();
    let arrow = if from == 0 { "──▶" } else { "◀──" };
    say!("{arrow} {name:<20} {:>4} bytes {seal}: {first}..", datagram.len());
}
