//! The network between the nodes, and who listens there.

use std::collections::BTreeMap;

use matter_session::manager::PeerAddress;

use super::hostile::tape::Tape;
use super::hostile::unsecured::{altered, is_unsecured};
use matter_session_testing::rng::Dice;

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: PeerAddress,
    pub to: PeerAddress,
    pub octets: Vec<u8>,
}

pub fn udp(port: u16) -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], port).into())
}

/// The same place over TCP: the one connection to it has the number of its port.
pub fn over_tcp(address: PeerAddress) -> PeerAddress {
    match address {
        PeerAddress::Udp(at) => PeerAddress::Tcp(at.port().into()),
        other => other,
    }
}

/// The same place over UDP.
pub fn over_udp(address: PeerAddress) -> PeerAddress {
    match address {
        PeerAddress::Tcp(port) => udp(port as u16),
        other => other,
    }
}

/// How long everything takes over TCP, in ms: so it stays in order.
const OVER_TCP: u64 = 3;

pub struct Wire {
    queue: BTreeMap<(u64, u64), Datagram>,
    serial: u64,
    /// Of a hundred datagrams so many are lost, come twice, or come late.
    pub loss: u64,
    pub copies: u64,
    pub late: u64,
    /// How late, in ms.
    pub spread: u64,
    /// Addresses between which nothing passes.
    pub apart: Vec<(PeerAddress, PeerAddress)>,
    /// Of a hundred messages of handshakes so many are altered on their way.
    pub altered: u64,
    pub tape: Tape,
    pub count: u64,
}

impl Wire {
    pub fn new(dice: &mut Dice) -> Self {
        Self {
            queue: BTreeMap::new(),
            serial: 0,
            loss: [0, 2, 10, 30][dice.below(4) as usize],
            copies: [0, 5, 20][dice.below(3) as usize],
            late: [0, 10, 40][dice.below(3) as usize],
            spread: [1, 30, 400, 3000][dice.below(4) as usize],
            apart: Vec::new(),
            altered: 0,
            tape: Tape::default(),
            count: 0,
        }
    }

    /// Nothing is in the way any more. What is late already still comes.
    pub fn heal(&mut self) {
        (self.loss, self.copies, self.late, self.altered) = (0, 0, 0, 0);
        self.apart.clear();
    }

    /// Whether nothing passes between two addresses.
    fn are_apart(&self, a: PeerAddress, b: PeerAddress) -> bool {
        let (a, b) = (over_udp(a), over_udp(b));
        self.apart.iter().any(|apart| [(a, b), (b, a)].contains(apart))
    }

    /// Takes a datagram of a node. False if a connection cannot carry it.
    pub fn send(&mut self, now: u64, mut datagram: Datagram, dice: &mut Dice) -> bool {
        self.count += 1;
        let Datagram { from, to, octets } = datagram.clone();
        self.tape.record(Datagram { from: over_udp(from), to: over_udp(to), octets });
        if is_unsecured(&datagram.octets) && dice.below(100) < self.altered {
            datagram.octets = altered(&datagram.octets, dice);
        }
        let is_apart = self.are_apart(from, to);
        if to.is_reliable() {
            if !is_apart {
                self.put(now + OVER_TCP, datagram);
            }
            return !is_apart;
        }
        if dice.below(100) < self.loss || is_apart {
            return true;
        }
        let copies = if dice.below(100) < self.copies { 2 + dice.below(2) } else { 1 };
        for _ in 0..copies {
            let late = dice.below(100) < self.late;
            let delay = 1 + dice.below(5) + if late { dice.below(self.spread) } else { 0 };
            self.put(now + delay, datagram.clone());
        }
        true
    }

    /// A connection is lost with all that is under way on it.
    pub fn disconnect(&mut self, a: PeerAddress, b: PeerAddress) {
        let (a, b) = (over_tcp(a), over_tcp(b));
        self.queue.retain(|_, datagram| ![(a, b), (b, a)].contains(&(datagram.from, datagram.to)));
    }

    pub fn put(&mut self, at: u64, datagram: Datagram) {
        self.serial += 1;
        self.queue.insert((at, self.serial), datagram);
    }

    /// When the next datagram arrives.
    pub fn next(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next one that has arrived.
    pub fn take(&mut self, now: u64) -> Option<Datagram> {
        let entry = self.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}
