//! A board of RAM: datagrams wait in buffers, time passes when the test says so.

use core::net::SocketAddr;
use core::time::Duration;

use firmware::device::{Board, Happening, Stored};
use firmware::element::Number;
use matter_session::fabric::Fabric;
use matter_session::ids::{FabricIndex, Peer};
use matter_session::session::ResumptionId;
use matter_session::time::Instant;

/// As many datagrams as one call makes, and more.
const DATAGRAMS: usize = 4;
const LONGEST: usize = 1280;
/// How long a signature takes: what such chips need for one over their serial bus.
const SIGNING: Duration = Duration::from_millis(40);

/// Datagrams on their way to one node.
pub struct Post {
    datagrams: [[u8; LONGEST]; DATAGRAMS],
    lens: [usize; DATAGRAMS],
    count: usize,
}

impl Post {
    pub const fn new() -> Self {
        Self { datagrams: [[0; LONGEST]; DATAGRAMS], lens: [0; DATAGRAMS], count: 0 }
    }

    /// One more is lost when there is no room: MRP must cope.
    pub fn put(&mut self, datagram: &[u8]) {
        let place = self.datagrams.get_mut(self.count).zip(self.lens.get_mut(self.count));
        if let Some((place, len)) = place
            && let Some(place) = place.get_mut(..datagram.len())
        {
            place.copy_from_slice(datagram);
            *len = datagram.len();
            self.count += 1;
        }
    }

    /// Hands each over, and is empty then. Returns whether there was one.
    pub fn deliver(&mut self, mut to: impl FnMut(&mut [u8])) -> bool {
        let waiting = self.datagrams.iter_mut().zip(&self.lens).take(self.count);
        for (datagram, len) in waiting {
            to(datagram.get_mut(..*len).unwrap_or_default());
        }
        core::mem::take(&mut self.count) > 0
    }
}

/// The device's board.
pub struct Ram {
    pub now: Instant,
    pub out: &'static mut Post,
    /// The attestation challenge of the session established last, and whether it was resumed.
    pub established: Option<([u8; 16], bool)>,
    /// What the secure element works at, and until when.
    pub to_sign: Option<(Number, [u8; 32], Instant)>,
    pub failures: u32,
    pub records: u32,
}

impl Board for Ram {
    fn now(&mut self) -> Instant {
        self.now
    }

    fn seconds(&mut self) -> u32 {
        0
    }

    fn send(&mut self, _: SocketAddr, datagram: &[u8]) {
        self.out.put(datagram);
    }

    fn tell(&mut self, happening: Happening<'_>) {
        match happening {
            Happening::Established { session, resumed } => {
                self.established = Some((*session.attestation_challenge(), resumed));
            }
            Happening::Failed => self.failures += 1,
            Happening::Closed { .. } | Happening::NotKept => {}
        }
    }

    fn sign(&mut self, number: Number, _: FabricIndex, digest: &[u8; 32]) {
        self.to_sign = Some((number, *digest, self.now + SIGNING));
    }

    fn keep_fabric(&mut self, _: Fabric<'_>) -> bool {
        true
    }

    fn keep(&mut self, _: Peer, record: Option<&Stored>) -> bool {
        self.records += u32::from(record.is_some());
        true
    }

    fn retain(&mut self, _: impl Fn(Peer, &ResumptionId) -> bool) -> bool {
        true
    }
}
