//! How many exchanges each peer has begun.

#[cfg(feature = "alloc")]
use alloc::collections::{BTreeMap, BTreeSet};

use super::FabricOrPase;

/// The peer that an exchange counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its fabric, or `None` over PASE.
    pub fabric: FabricOrPase,
    /// Its node id. Over PASE, where nobody has a name, the local session id.
    pub peer: u64,
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

/// Counts in trees: no look takes longer because of many exchanges.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct Counted {
    fabrics: BTreeMap<FabricOrPase, usize>,
    peers: BTreeMap<Holder, usize>,
    by_size: BTreeSet<(FabricOrPase, usize, u64)>,
}

#[cfg(feature = "alloc")]
impl Counted {
    fn change(&mut self, holder: Holder, change: impl Fn(usize) -> usize) {
        let Holder { fabric, peer } = holder;
        let of_fabric = change(self.fabrics.get(&fabric).copied().unwrap_or(0));
        let old = self.peers.get(&holder).copied().unwrap_or(0);
        let new = change(old);
        self.by_size.remove(&(fabric, old, peer));
        if of_fabric == 0 {
            self.fabrics.remove(&fabric);
        } else {
            self.fabrics.insert(fabric, of_fabric);
        }
        if new == 0 {
            self.peers.remove(&holder);
        } else {
            self.peers.insert(holder, new);
            self.by_size.insert((fabric, new, peer));
        }
    }
}

#[cfg(feature = "alloc")]
impl Holders for Counted {
    const EMPTY: Self =
        Self { fabrics: BTreeMap::new(), peers: BTreeMap::new(), by_size: BTreeSet::new() };

    fn add(&mut self, holder: Holder) {
        self.change(holder, |count| count.saturating_add(1));
    }

    fn remove(&mut self, holder: Holder) {
        self.change(holder, |count| count.saturating_sub(1));
    }

    fn of_fabric(&self, fabric: FabricOrPase, _: impl Iterator<Item = Holder>) -> usize {
        self.fabrics.get(&fabric).copied().unwrap_or(0)
    }

    fn of_peer(&self, holder: Holder, _: impl Iterator<Item = Holder>) -> usize {
        self.peers.get(&holder).copied().unwrap_or(0)
    }

    fn largest_fabric<I: Iterator<Item = Holder>>(
        &self,
        _: impl Fn() -> I,
    ) -> Option<(FabricOrPase, usize)> {
        let fabrics = self.fabrics.iter().map(|(fabric, count)| (*fabric, *count));
        fabrics.max_by_key(|(fabric, count)| (*count, *fabric))
    }

    fn largest_peer<I: Iterator<Item = Holder>>(
        &self,
        fabric: FabricOrPase,
        _: impl Fn() -> I,
    ) -> Option<(Holder, usize)> {
        let of_fabric = (fabric, 0, 0)..=(fabric, usize::MAX, u64::MAX);
        let (fabric, count, peer) = *self.by_size.range(of_fabric).next_back()?;
        Some((Holder { fabric, peer }, count))
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
