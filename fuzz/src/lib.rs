//! What the fuzz targets do with their input. Each states properties; that nothing panics is only
//! the least of them.

mod btp;
mod certificates;
mod check_in;
mod describe;
mod groups;
mod handshakes;
mod managers;
mod messages;
mod restarts;
mod sessions;
mod stored;
mod stream;

pub use btp::btp;
pub use certificates::certificate;
pub use check_in::check_in;
pub use describe::describe;
pub use groups::group;
pub use handshakes::{case_client, case_server, honest, pase_client, pase_server};
pub use managers::manager;
pub use messages::{message_header, protocol_header, tlv};
pub use restarts::restarts;
pub use sessions::secure_session;
pub use stored::{chain_octets, fabric_and_verifier, fabric_octets, resumption_record};
pub use stream::stream_decoder;

use matter_session::ids::{ExchangeId, MessageCounter, ProtocolId};
use matter_session::wire::ProtocolHeader;

/// Takes numbers and octets from the start of an input; zeros behind its end.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.octet(), self.octet()])
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(len.min(self.0.len()));
        self.0 = tail;
        head
    }

    /// A header whose flags are read already.
    fn protocol_header(&mut self, flags: u8) -> ProtocolHeader {
        ProtocolHeader {
            exchange: ExchangeId::new(self.word()),
            protocol: ProtocolId::from_u32(u32::from(self.word()) << 8),
            opcode: self.octet(),
            initiator: flags & 1 != 0,
            needs_ack: flags & 2 != 0,
            ack: (flags & 4 != 0).then(|| MessageCounter::new(self.word().into())),
        }
    }

    /// `honest` with the changes that the rest of the input describes.
    fn altered(&mut self, honest: &[u8]) -> Vec<u8> {
        let mut octets = honest.to_vec();
        while !self.is_empty() {
            let at = usize::from(self.word());
            match self.octet() {
                0 => octets.truncate(at),
                1 => octets.push(at as u8),
                change => {
                    if let Some(octet) = octets.get_mut(at) {
                        *octet ^= change;
                    }
                }
            }
        }
        octets
    }

    /// Octets behind their length.
    fn octets(&mut self) -> &'a [u8] {
        let len = self.word();
        self.take(len.into())
    }
}
