//! The network between the nodes, and who listens there.

use std::collections::{BTreeMap, VecDeque};

use matter_session::manager::PeerAddress;

use matter_session_testing::rng::Dice;

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: PeerAddress,
    pub to: PeerAddress,
    pub octets: Vec<u8>,
}

/// How many datagrams the hostile node remembers.
const MEMORY: usize = 200;

/// Where the hostile node is.
pub const HOSTILE: u16 = 9;

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
    overheard: VecDeque<Datagram>,
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
            overheard: VecDeque::new(),
            count: 0,
        }
    }

    /// Nothing is in the way any more. What is late already still comes.
    pub fn heal(&mut self) {
        (self.loss, self.copies, self.late) = (0, 0, 0);
        self.apart.clear();
    }

    /// Whether nothing passes between two addresses.
    fn are_apart(&self, a: PeerAddress, b: PeerAddress) -> bool {
        let (a, b) = (over_udp(a), over_udp(b));
        self.apart.iter().any(|apart| [(a, b), (b, a)].contains(apart))
    }

    /// Takes a datagram of a node. False if a connection cannot carry it.
    pub fn send(&mut self, now: u64, datagram: Datagram, dice: &mut Dice) -> bool {
        self.count += 1;
        if self.overheard.len() == MEMORY {
            self.overheard.pop_front();
        }
        let Datagram { from, to, octets } = datagram.clone();
        let heard = Datagram { from: over_udp(from), to: over_udp(to), octets };
        self.overheard.push_back(heard);
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

    fn put(&mut self, at: u64, datagram: Datagram) {
        self.serial += 1;
        self.queue.insert((at, self.serial), datagram);
    }

    /// The hostile node does something with what it has heard. Says what.
    pub fn harass(
        &mut self,
        now: u64,
        addresses: &[PeerAddress],
        dice: &mut Dice,
    ) -> Option<String> {
        if self.overheard.is_empty() {
            return None;
        }
        let n = dice.below(self.overheard.len() as u64) as usize;
        let mut datagram = self.overheard[n].clone();
        if dice.below(8) == 0 {
            return self.impersonate(now, dice);
        }
        let anybody = addresses[dice.below(addresses.len() as u64) as usize];
        let what = match dice.below(9) {
            0 | 1 => "repeats",
            2 => {
                datagram.to = anybody;
                "redirects"
            }
            3 => {
                datagram.from = anybody;
                "sends as somebody else"
            }
            4 => {
                datagram.from = udp(HOSTILE);
                "sends as itself"
            }
            5 => {
                (datagram.from, datagram.to) = (datagram.to, datagram.from);
                "reflects"
            }
            6 => {
                let len = datagram.octets.len() as u64;
                let _ = datagram.octets.drain(dice.below(len) as usize..);
                "cuts"
            }
            7 => {
                for _ in 0..=dice.below(2) {
                    let at = dice.below(datagram.octets.len() as u64) as usize;
                    datagram.octets[at] ^= 1 << dice.below(8);
                }
                "garbles"
            }
            _ => {
                datagram.octets = forged_success(&datagram.octets, dice)?;
                "reports success"
            }
        };
        let what = format!("somebody {what}: {} to {}", datagram.from, datagram.to);
        self.put(now + dice.below(3), datagram);
        Some(what)
    }

    /// The hostile node begins the newest handshake once more, and says that it has succeeded.
    fn impersonate(&mut self, now: u64, dice: &mut Dice) -> Option<String> {
        let mut newest = self.overheard.iter().rev();
        let first = newest.find(|datagram| begins_handshake(&datagram.octets))?.clone();
        let octets = forged_success(&first.octets, dice)?;
        let first = Datagram { from: udp(HOSTILE), ..first };
        let what = format!("somebody begins a handshake of others with {}", first.to);
        self.put(now, first.clone());
        self.put(now + 1 + dice.below(20), Datagram { octets, ..first });
        Some(what)
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

/// Whether a datagram is a Sigma1 or a PBKDFParamRequest.
fn begins_handshake(octets: &[u8]) -> bool {
    matches!(octets, [0x04, 0, 0, 0, ..]) && matches!(octets.get(17), Some(0x20 | 0x30))
}

/// A report of success in the handshake that an initiator's unsecured message belongs to.
fn forged_success(octets: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    // Flags (source node id present), session 0, counter, node id, exchange flags, opcode, exchange.
    let [0x04, 0, 0, 0, _, _, _, _, node @ ..] = octets else { return None };
    let (node, protocol) = node.split_first_chunk::<8>()?;
    let [_, _, e0, e1, 0, 0, ..] = protocol else { return None };
    let mut forged = vec![0x04, 0, 0, 0];
    forged.extend((dice.roll() as u32).to_le_bytes());
    forged.extend(node);
    forged.extend([0x01, 0x40, *e0, *e1, 0, 0]);
    forged.extend([0; 8]);
    Some(forged)
}
