//! Frames over the UART, in both directions.

use core::net::SocketAddr;

#[cfg(feature = "persistent")]
use firmware::commissioning::Persistent;
use firmware::device::{Board, Happening, Stored};
use firmware::element::Number;
use firmware::frame::{self, HEADER, MAX_BODY, kind};
#[cfg(feature = "persistent")]
use flash_store::memory::Memory;
use matter_session::fabric::Fabric;
use matter_session::ids::{FabricIndex, Peer};
use matter_session::session::{ResumptionId, SessionKind};
use matter_session::time::Instant;

use crate::clock::Clock;
#[cfg(feature = "persistent")]
use crate::flash::Flash;
use crate::uart::Uart;

/// What the node's board consists of.
pub struct Line {
    pub uart: Uart,
    pub clock: Clock,
    #[cfg(feature = "persistent")]
    pub memory: Option<Memory<Flash>>,
}

impl Line {
    pub fn send(&mut self, kind: u8, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum();
        self.uart.send(&frame::header(kind, len));
        parts.iter().for_each(|part| self.uart.send(part));
    }

    /// Tells the host what came of its request.
    pub fn done(&mut self, request: u8, worked: bool) {
        self.send(kind::DONE, &[&[request, u8::from(worked)]]);
    }
}

impl Board for Line {
    fn now(&mut self) -> Instant {
        self.clock.now()
    }

    fn seconds(&mut self) -> u32 {
        self.clock.seconds()
    }

    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        Self::send(self, kind::DATAGRAM, &[&frame::write_address(to), datagram]);
    }

    fn tell(&mut self, happening: Happening<'_>) {
        match happening {
            Happening::Established { session, resumed } => {
                let what = match (session.kind(), resumed) {
                    (SessionKind::Pase, _) => 0,
                    (_, false) => 1,
                    (_, true) => 2,
                };
                let local = session.local_session_id().get().to_le_bytes();
                let peer = session.peer_session_id().get().to_le_bytes();
                let challenge = session.attestation_challenge();
                Self::send(self, kind::SESSION, &[&[what], &local, &peer, challenge]);
            }
            Happening::Failed => Self::send(self, kind::FAILED, &[]),
            Happening::NotKept => Self::send(self, kind::NOT_KEPT, &[]),
            Happening::Closed { local } => {
                Self::send(self, kind::CLOSED, &[&local.get().to_le_bytes()]);
            }
        }
    }

    fn sign(&mut self, number: Number, fabric: FabricIndex, digest: &[u8; 32]) {
        Self::send(self, kind::SIGN, &[&number.to_le_bytes(), &[fabric.get()], digest]);
    }

    #[cfg(feature = "persistent")]
    fn keep_fabric(&mut self, fabric: Fabric<'_>) -> bool {
        self.memory.as_mut().is_some_and(|memory| memory.keep_added(fabric))
    }

    #[cfg(not(feature = "persistent"))]
    fn keep_fabric(&mut self, _: Fabric<'_>) -> bool {
        true
    }

    #[cfg(feature = "persistent")]
    fn keep(&mut self, peer: Peer, record: Option<&Stored>) -> bool {
        self.memory.as_mut().is_some_and(|memory| memory.keep_record(peer, record))
    }

    #[cfg(feature = "persistent")]
    fn retain(&mut self, is_current: impl Fn(Peer, &ResumptionId) -> bool) -> bool {
        self.memory.as_mut().is_some_and(|memory| memory.retain_records(is_current))
    }

    /// Nothing is kept, so nothing can come back.
    #[cfg(not(feature = "persistent"))]
    fn keep(&mut self, _: Peer, _: Option<&Stored>) -> bool {
        true
    }

    /// Nothing is kept, so nothing can come back.
    #[cfg(not(feature = "persistent"))]
    fn retain(&mut self, _: impl Fn(Peer, &ResumptionId) -> bool) -> bool {
        true
    }
}

#[cfg(feature = "persistent")]
impl Persistent for Line {
    type Flash = Flash;

    fn memory(&mut self) -> Option<&mut Memory<Flash>> {
        self.memory.as_mut()
    }
}

/// A frame as it arrives, octet by octet.
pub struct Arriving {
    header: [u8; HEADER],
    body: [u8; MAX_BODY],
    filled: usize,
}

impl Arriving {
    pub const fn new() -> Self {
        Self { header: [0; HEADER], body: [0; MAX_BODY], filled: 0 }
    }

    /// Reads what has arrived; returns a frame when it is whole: its kind and body. A length that
    /// no frame has is skipped, octet by octet.
    pub fn poll(&mut self, uart: &mut Uart) -> Option<(u8, &mut [u8])> {
        let len = loop {
            if self.filled >= HEADER {
                match frame::body_len(self.header) {
                    Some(len) if self.filled - HEADER == len => break len,
                    Some(_) => {}
                    None => {
                        self.header.rotate_left(1);
                        self.filled = HEADER - 1;
                    }
                }
            }
            let octet = uart.receive()?;
            let place = match self.filled.checked_sub(HEADER) {
                None => self.header.get_mut(self.filled),
                Some(at) => self.body.get_mut(at),
            };
            *place? = octet;
            self.filled += 1;
        };
        self.filled = 0;
        let [_, _, kind] = self.header;
        Some((kind, self.body.get_mut(..len)?))
    }
}
