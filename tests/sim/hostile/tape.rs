//! Every datagram that an honest node has ever sent.

use super::unsecured::begins_handshake;
use crate::ledger::is_control;
use crate::wire::Datagram;
use matter_session::manager::PeerAddress;
use matter_session_testing::rng::Dice;

#[derive(Default)]
pub struct Tape {
    datagrams: Vec<Datagram>,
    /// Those that begin a handshake.
    first: Vec<usize>,
}

/// So many are recent.
const RECENT: usize = 200;

impl Tape {
    pub fn record(&mut self, datagram: Datagram) {
        if begins_handshake(&datagram.octets) {
            self.first.push(self.datagrams.len());
        }
        self.datagrams.push(datagram);
    }

    /// One of all, or one of the recent ones.
    pub fn pick(&self, dice: &mut Dice) -> Option<Datagram> {
        let all = self.datagrams.len();
        let among = if dice.below(2) == 0 { all } else { all.min(RECENT) };
        let back = dice.roll().checked_rem(among as u64)? as usize;
        self.datagrams.get(all - 1 - back).cloned()
    }

    /// A first message of a handshake: the newest one, or any.
    pub fn beginning(&self, dice: &mut Dice) -> Option<Datagram> {
        let (all, back) = (self.first.len(), dice.below(2) * dice.roll());
        let back = back.checked_rem(all as u64)? as usize;
        self.datagrams.get(self.first[all - 1 - back]).cloned()
    }

    /// The first messages with an opcode that were sent to one of these places.
    pub fn beginnings(&self, opcode: u8, to: &[PeerAddress]) -> Vec<Vec<u8>> {
        let first = self.first.iter().map(|n| &self.datagrams[*n]);
        let meant = first.filter(|d| d.octets[17] == opcode && to.contains(&d.to));
        meant.map(|datagram| datagram.octets.clone()).collect()
    }

    /// A request for a counter, or an answer: the newest first.
    pub fn controls(&self) -> impl Iterator<Item = &Datagram> {
        self.datagrams.iter().rev().take(RECENT).filter(|datagram| is_control(&datagram.octets))
    }
}
