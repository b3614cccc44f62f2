//! The hostile node as a guest: it has all keys of one key set of each fabric.

use core::cell::RefCell;
use std::rc::Rc;

use matter_session::crypto::Secret;
use matter_session::fabric::{CompressedFabricId, GroupKey};
use matter_session::group::GroupSession;

use crate::group_book::{EPOCHS, GUEST_GROUP, GUESTS, Told};
use crate::ledger::{self, Ledger, Watched, watched};
use crate::suite::{FABRICS, NODES, Suite, node_id};
use crate::world::{AnyNode, World, each};
use matter_session_testing::forged::Holder;
use matter_session_testing::rng::Dice;

/// The keys of the guests, by fabric and epoch.
pub struct Guests<X: Suite> {
    keys: Vec<[Holder<Watched<X::Crypto>>; EPOCHS]>,
    /// The counter that it has used last.
    counter: u32,
}

impl<X: Suite> Guests<X> {
    pub fn new(ledger: &Rc<RefCell<Ledger>>) -> Self {
        let crypto = watched(X::crypto(), Rc::clone(ledger), ledger::HOSTILE);
        let holder = |fabric, epoch| {
            let key = Secret::new(X::pool().group_key(fabric, GUESTS, epoch));
            let none = CompressedFabricId::from_bytes([0; 8]);
            let session = GroupSession::new(&crypto, &GroupKey::OperationalKey(key), none);
            Holder::with_session(session.unwrap())
        };
        let keys = (0..FABRICS).map(|fabric| core::array::from_fn(|epoch| holder(fabric, epoch)));
        Self { keys: keys.collect(), counter: 0 }
    }

    /// A counter that is far off, or a little ahead of the last one.
    fn counter(&mut self, dice: &mut Dice) -> u32 {
        self.counter = match dice.below(8) {
            0 => dice.roll() as u32,
            1 => self.counter.wrapping_add((1 << 31) - 1),
            _ => self.counter.wrapping_add(1 + dice.below(40) as u32),
        };
        self.counter
    }
}

impl<X: Suite> World<X> {
    /// A message to a group, a request or an answer, in the name of others. Says what, and returns
    /// the datagram and to whom.
    pub(super) fn forge_as_guest(&mut self) -> Option<(&'static str, usize, Vec<u8>)> {
        if self.dice.below(3) == 0 {
            return self.answer_as_guest();
        }
        // Nodes that are guests, too, with the keys that they have.
        let nodes = self.nodes.iter().enumerate();
        let hosts = nodes.flat_map(|(n, node)| {
            each!(node, node => {
                let sets = node.app.key_sets.iter().filter(|((_, set), _)| *set == GUESTS);
                let keys = sets.map(|((index, _), epochs)| {
                    (n, node.app.fabrics[index].0, epochs.clone())
                });
                keys.collect::<Vec<_>>()
            })
        });
        let hosts: Vec<_> = hosts.collect();
        let host = self.dice.roll().checked_rem(hosts.len() as u64)?;
        let (to, fabric, epochs) = hosts[host as usize].clone();
        let epoch = epochs.start + self.dice.below(epochs.len() as u64) as usize;
        // Now and then it invents a node.
        let node = self.dice.below(NODES as u64) as usize;
        let node = if self.dice.below(4) == 0 { 100 + node * 10 } else { node };
        let (guests, source) = (&mut self.hostile.guests, node_id(fabric, node).get());
        let counter = guests.counter(&mut self.dice);
        let key = &guests.keys[fabric][epoch];
        if self.dice.below(3) == 0 {
            return Some(("asks", to, key.ask(source, counter, node_id(fabric, to).get())));
        }
        // Also to groups that are not of that key set.
        let group = match self.dice.below(4) {
            0 => 1 + self.dice.below(3) as u16,
            _ => GUEST_GROUP,
        };
        let payload = self.book.groups.compose(self.dice.below(60) as usize);
        let octets = key.tell(source, counter, group, &payload);
        let is_forged = true;
        self.book.groups.tell(Told { node, fabric, group, set: GUESTS, epoch, payload, is_forged });
        Some(("tells", to, octets))
    }

    /// Answers a request for a counter, with some counter.
    fn answer_as_guest(&mut self) -> Option<(&'static str, usize, Vec<u8>)> {
        let counter = self.hostile.guests.counter(&mut self.dice);
        let ids = |octets: &[u8]| -> Option<[u64; 2]> {
            let (ids, _) = octets.get(8..24)?.as_chunks::<8>();
            Some([u64::from_le_bytes(*ids.first()?), u64::from_le_bytes(*ids.last()?)])
        };
        let keys = &self.hostile.guests.keys;
        self.wire.tape.controls().find_map(|request| {
            let [asker, asked] = ids(&request.octets)?;
            let to = self.addresses.iter().position(|address| *address == request.from)?;
            let mut keys = keys.iter().flatten();
            let answer = keys.find_map(|key| key.answer(&request.octets, asked, asker, counter))?;
            Some(("answers", to, answer))
        })
    }
}
