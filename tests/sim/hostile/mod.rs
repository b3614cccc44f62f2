//! The hostile node: it is on the path, has recorded all that was ever sent, and is a guest in
//! groups. It has no key of a session and no certificate.

mod guests;
mod siege;
pub mod tape;
pub mod unsecured;

use core::cell::RefCell;
use std::rc::Rc;

use matter_session::manager::PeerAddress;

use self::guests::Guests;
use self::unsecured::{altered, forged_success, is_unsecured};
use crate::ledger::Ledger;
use crate::suite::Suite;
use crate::wire::{Datagram, udp};
use crate::world::World;
use matter_session_testing::raw::disguised;

/// Where it is, if not everywhere.
const HOSTILE: u16 = 9;
/// The number of its first TCP connection.
const CONNECTION: u32 = 20_000;

/// Whether it has opened this connection.
pub const fn is_at(address: PeerAddress) -> bool {
    matches!(address, PeerAddress::Tcp(connection) if connection >= CONNECTION)
}

pub struct Hostile<X: Suite> {
    guests: Guests<X>,
    /// How many addresses it has had.
    hosts: u64,
}

impl<X: Suite> Hostile<X> {
    pub fn new(ledger: &Rc<RefCell<Ledger>>) -> Self {
        Self { guests: Guests::new(ledger), hosts: 0 }
    }

    /// An address that it has not had, and what it sends from there as a new initiator.
    fn disguised(&mut self, octets: &[u8], over_tcp: bool) -> (PeerAddress, Vec<u8>) {
        self.hosts += 1;
        let [.., a, b] = self.hosts.to_be_bytes();
        let from = if over_tcp {
            PeerAddress::Tcp(CONNECTION + self.hosts as u32)
        } else {
            PeerAddress::Udp(([10, 0, a, b], 5540).into())
        };
        (from, disguised(octets, self.hosts))
    }
}

impl<X: Suite> World<X> {
    /// The hostile node does something. Says what.
    pub fn harass(&mut self) -> Option<String> {
        match self.dice.below(24) {
            0..3 => return self.impersonate(),
            3 => return self.flood(),
            4..8 => {
                let (what, to, octets) = self.forge_as_guest()?;
                let from = self.addresses[self.dice.below(self.nodes.len() as u64) as usize];
                let from = if self.dice.below(2) == 0 { udp(HOSTILE) } else { from };
                let datagram = Datagram { from, to: self.addresses[to], octets };
                self.wire.tape.record(datagram.clone());
                self.wire.put(self.now + self.dice.below(3), datagram);
                return Some(format!("a guest {what}: node {to}"));
            }
            _ => {}
        }
        let dice = &mut self.dice;
        let mut datagram = self.wire.tape.pick(dice)?;
        let anybody = self.addresses[dice.below(self.addresses.len() as u64) as usize];
        let what = match dice.below(12) {
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
            8..10 => {
                let is_first = dice.below(2) == 0;
                let first = is_first.then(|| self.wire.tape.beginning(dice)).flatten();
                datagram = first.unwrap_or(datagram);
                if !is_unsecured(&datagram.octets) {
                    return None;
                }
                datagram.octets = altered(&datagram.octets, dice);
                if dice.below(2) == 0 {
                    datagram.from = udp(HOSTILE);
                }
                "alters"
            }
            _ => {
                datagram.octets = forged_success(&datagram.octets, dice)?;
                "reports success"
            }
        };
        let what = format!("somebody {what}: {} to {}", datagram.from, datagram.to);
        self.wire.put(self.now + dice.below(3), datagram);
        Some(what)
    }

    /// Begins a handshake of others once more, and says that it has succeeded.
    fn impersonate(&mut self) -> Option<String> {
        let mut first = self.wire.tape.beginning(&mut self.dice)?;
        // The receiver may have moved.
        if let Some(n) = self.homes.iter().position(|homes| homes.contains(&first.to)) {
            first.to = self.addresses[n];
        }
        if self.dice.below(2) == 0 {
            first.octets = altered(&first.octets, &mut self.dice);
        }
        let octets = forged_success(&first.octets, &mut self.dice)?;
        let first = Datagram { from: udp(HOSTILE), ..first };
        let what = format!("somebody begins a handshake of others with {}", first.to);
        self.wire.put(self.now, first.clone());
        let later = self.now + 1 + self.dice.below(20);
        self.wire.put(later, Datagram { octets, ..first });
        Some(what)
    }

    /// Begins recorded handshakes with a node, from many addresses.
    fn flood(&mut self) -> Option<String> {
        let to = self.addresses[self.dice.below(self.nodes.len() as u64) as usize];
        let (count, over_tcp) = (1 + self.dice.below(40), self.dice.below(4) == 0);
        for _ in 0..count {
            let mut octets = self.wire.tape.beginning(&mut self.dice)?.octets;
            if self.dice.below(2) == 0 {
                octets = altered(&octets, &mut self.dice);
            }
            let (from, octets) = self.hostile.disguised(&octets, over_tcp);
            self.wire.put(self.now + self.dice.below(1_000), Datagram { from, to, octets });
        }
        Some(format!("somebody floods {to} with {count} first messages"))
    }
}
