//! What the fuzz targets do with their input. Each states properties; that nothing panics is only
//! the least of them.

mod certificates;
mod check_in;
mod groups;
mod handshakes;
mod managers;
mod messages;
#[allow(dead_code, reason = "tests use all of it")]
#[path = "../../tests/support/net/rng.rs"]
mod rng;
mod sessions;
mod stored;
mod stream;
#[path = "../../tests/support/toy.rs"]
mod toy;

pub use certificates::certificate;
pub use check_in::check_in;
pub use groups::group;
pub use handshakes::{case_client, case_server, honest, pase_client, pase_server};
pub use managers::manager;
pub use messages::{message_header, protocol_header, tlv};
pub use sessions::secure_session;
pub use stored::{chain_octets, fabric_and_verifier, fabric_octets, resumption_record};
pub use stream::stream_decoder;

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

    /// Octets behind their length.
    fn octets(&mut self) -> &'a [u8] {
        let len = self.word();
        self.take(len.into())
    }
}
