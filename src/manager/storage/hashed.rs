//! Sessions by their peer, on the heap.

use crate::ids::Peer;
use core::hash::{Hash, Hasher};

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use super::{Peers, Seat};

/// Places by a hash of the peer that peers cannot foresee.
#[derive(Debug)]
pub struct HashedPeers {
    seats: HashTable<Seat>,
    seed: u64,
}

impl HashedPeers {
    fn hash(seed: u64, peer: Peer) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(seed, 0);
        peer.hash(&mut hasher);
        hasher.finish()
    }
}

impl Peers for HashedPeers {
    const EMPTY: Self = Self { seats: HashTable::new(), seed: 0 };

    fn seed(&mut self, seed: u64) {
        if self.seats.is_empty() {
            self.seed = seed;
        }
    }

    fn insert(&mut self, peer: Peer, seat: Seat, peer_of: impl Fn(Seat) -> Option<Peer>) {
        let seed = self.seed;
        let rehash = |seat: &Seat| peer_of(*seat).map_or(0, |peer| Self::hash(seed, peer));
        self.seats.insert_unique(Self::hash(seed, peer), seat, rehash);
    }

    fn remove(&mut self, peer: Peer, seat: Seat, peer_of: impl Fn(Seat) -> Option<Peer>) {
        let seed = self.seed;
        if let Ok(found) = self.seats.find_entry(Self::hash(seed, peer), |found| *found == seat) {
            found.remove();
        }
        if self.seats.len() < self.seats.capacity() / 8 {
            let rehash = |seat: &Seat| peer_of(*seat).map_or(0, |peer| Self::hash(seed, peer));
            self.seats.shrink_to(self.seats.len().saturating_mul(2), rehash);
        }
    }

    fn candidates(&self, peer: Peer) -> impl Iterator<Item = Seat> {
        self.seats.iter_hash(Self::hash(self.seed, peer)).copied()
    }
}
