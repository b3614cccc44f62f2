//! How many exchanges each peer has begun.

#[cfg(feature = "alloc")]
use alloc::collections::{BTreeMap, BTreeSet, btree_map::Entry};
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use core::cmp::Ordering;

use super::FabricOrPase;
#[cfg(feature = "alloc")]
use crate::ids::FabricIndex;

/// The peer that an exchange counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its fabric, or `None` over PASE.
    pub fabric: FabricOrPase,
    /// Its node id. Over PASE, where nobody has a name, the local session id.
    pub peer: u64,
}

impl Holder {
    /// The fabric and the peer in their order as one number: what is compared at every look into a
    /// tree.
    #[inline]
    const fn number(self) -> u128 {
        let fabric = match self.fabric {
            Some(fabric) => fabric.get(),
            None => 0,
        };
        (fabric as u128) << 64 | self.peer as u128
    }
}

impl Ord for Holder {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Holder {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How many exchanges each peer has begun, and which has most.
///
/// `all` yields the peer of every exchange: for storage that keeps no index.
pub trait Holders {
    /// No exchanges.
    const EMPTY: Self;
    /// Counts another exchange of a peer.
    fn add(&mut self, holder: Holder);
    /// Counts one exchange of a peer less.
    fn remove(&mut self, holder: Holder);
    /// How many a fabric has.
    fn of_fabric(&self, fabric: FabricOrPase, all: impl Iterator<Item = Holder>) -> usize;
    /// How many a peer has.
    fn of_peer(&self, holder: Holder, all: impl Iterator<Item = Holder>) -> usize;
    /// The fabric with most, and how many; of several that with the largest index.
    fn largest_fabric<I: Iterator<Item = Holder>>(
        &self,
        all: impl Fn() -> I,
    ) -> Option<(FabricOrPase, usize)>;
    /// The peer with most of a fabric, and how many; of several that with the largest node id.
    fn largest_peer<I: Iterator<Item = Holder>>(
        &self,
        fabric: FabricOrPase,
        all: impl Fn() -> I,
    ) -> Option<(Holder, usize)>;
}

/// Counts in a row and in trees: no look takes longer because of many exchanges.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct Counted {
    /// By the index of the fabric, 0 for PASE. As long as the highest with exchanges.
    fabrics: Vec<usize>,
    peers: BTreeMap<Holder, usize>,
    /// The peers that have more than one, by fabric and number: most have one at a time.
    by_size: BTreeSet<(FabricOrPase, usize, u64)>,
}

#[cfg(feature = "alloc")]
impl Counted {
    fn of_fabric_mut(&mut self, fabric: FabricOrPase) -> Option<&mut usize> {
        let index = index_of(fabric);
        if self.fabrics.len() <= index {
            self.fabrics.resize(index.saturating_add(1), 0);
        }
        self.fabrics.get_mut(index)
    }

    fn resize(&mut self, holder: Holder, old: usize, new: usize) {
        let Holder { fabric, peer } = holder;
        if old > 1 {
            self.by_size.remove(&(fabric, old, peer));
        }
        if new > 1 {
            self.by_size.insert((fabric, new, peer));
        }
    }
}

#[cfg(feature = "alloc")]
fn index_of(fabric: FabricOrPase) -> usize {
    fabric.map_or(0, |fabric| fabric.get().into())
}

#[cfg(feature = "alloc")]
impl Holders for Counted {
    const EMPTY: Self =
        Self { fabrics: Vec::new(), peers: BTreeMap::new(), by_size: BTreeSet::new() };

    fn add(&mut self, holder: Holder) {
        if let Some(count) = self.of_fabric_mut(holder.fabric) {
            *count = count.saturating_add(1);
        }
        let count = self.peers.entry(holder).or_insert(0);
        let old = *count;
        let new = old.saturating_add(1);
        *count = new;
        self.resize(holder, old, new);
    }

    fn remove(&mut self, holder: Holder) {
        let Entry::Occupied(mut entry) = self.peers.entry(holder) else { return };
        let old = *entry.get();
        let new = old.saturating_sub(1);
        if new == 0 {
            entry.remove();
        } else {
            *entry.get_mut() = new;
        }
        self.resize(holder, old, new);
        if let Some(count) = self.of_fabric_mut(holder.fabric) {
            *count = count.saturating_sub(1);
        }
        let empty = self.fabrics.iter().rev().take_while(|count| **count == 0).count();
        self.fabrics.truncate(self.fabrics.len().saturating_sub(empty));
    }

    fn of_fabric(&self, fabric: FabricOrPase, _: impl Iterator<Item = Holder>) -> usize {
        self.fabrics.get(index_of(fabric)).copied().unwrap_or(0)
    }

    fn of_peer(&self, holder: Holder, _: impl Iterator<Item = Holder>) -> usize {
        self.peers.get(&holder).copied().unwrap_or(0)
    }

    fn largest_fabric<I: Iterator<Item = Holder>>(
        &self,
        _: impl Fn() -> I,
    ) -> Option<(FabricOrPase, usize)> {
        let counts = (0_u8..=u8::MAX).map(FabricIndex::new).zip(self.fabrics.iter().copied());
        counts.filter(|(_, count)| *count > 0).max_by_key(|(fabric, count)| (*count, *fabric))
    }

    fn largest_peer<I: Iterator<Item = Holder>>(
        &self,
        fabric: FabricOrPase,
        _: impl Fn() -> I,
    ) -> Option<(Holder, usize)> {
        let several = (fabric, 0, 0)..=(fabric, usize::MAX, u64::MAX);
        let several = self.by_size.range(several).next_back();
        let several =
            several.map(|(fabric, count, peer)| (Holder { fabric: *fabric, peer: *peer }, *count));
        several.or_else(|| {
            let all = Holder { fabric, peer: 0 }..=Holder { fabric, peer: u64::MAX };
            self.peers.range(all).next_back().map(|(holder, count)| (*holder, *count))
        })
    }
}

/// No counts: a device has few exchanges.
#[derive(Debug)]
pub struct Uncounted;

impl Holders for Uncounted {
    const EMPTY: Self = Self;

    fn add(&mut self, _: Holder) {}

    fn remove(&mut self, _: Holder) {}

    fn of_fabric(&self, fabric: FabricOrPase, all: impl Iterator<Item = Holder>) -> usize {
        all.filter(|holder| holder.fabric == fabric).count()
    }

    fn of_peer(&self, holder: Holder, all: impl Iterator<Item = Holder>) -> usize {
        all.filter(|other| *other == holder).count()
    }

    fn largest_fabric<I: Iterator<Item = Holder>>(
        &self,
        all: impl Fn() -> I,
    ) -> Option<(FabricOrPase, usize)> {
        let counted = all().map(|holder| (holder.fabric, self.of_fabric(holder.fabric, all())));
        counted.max_by_key(|(fabric, count)| (*count, *fabric))
    }

    fn largest_peer<I: Iterator<Item = Holder>>(
        &self,
        fabric: FabricOrPase,
        all: impl Fn() -> I,
    ) -> Option<(Holder, usize)> {
        let of_fabric = all().filter(|holder| holder.fabric == fabric);
        let counted = of_fabric.map(|holder| (holder, self.of_peer(holder, all())));
        counted.max_by_key(|(holder, count)| (*count, *holder))
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a device counts anew each time, the counts say.
        #[test]
        fn counts_agree_with_a_list(
            ops in prop::collection::vec((0..4_u8, 0..4_u64, any::<bool>()), 0..120),
        ) {
            let (mut counted, mut list) = (Counted::EMPTY, Vec::new());
            for (fabric, peer, adds) in ops {
                let holder = Holder { fabric: FabricIndex::new(fabric), peer };
                let place = list.iter().position(|other| *other == holder);
                if adds {
                    counted.add(holder);
                    list.push(holder);
                } else if let Some(place) = place {
                    counted.remove(holder);
                    list.remove(place);
                }
                let all = || list.iter().copied();
                let fabric = holder.fabric;
                prop_assert_eq!(counted.of_fabric(fabric, all()), Uncounted.of_fabric(fabric, all()));
                prop_assert_eq!(counted.of_peer(holder, all()), Uncounted.of_peer(holder, all()));
                prop_assert_eq!(counted.largest_fabric(all), Uncounted.largest_fabric(all));
                prop_assert_eq!(
                    counted.largest_peer(fabric, all),
                    Uncounted.largest_peer(fabric, all)
                );
            }
        }
    }
}
