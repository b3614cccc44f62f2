//! Tables on the heap.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::boxed::Boxed;
use super::chained::Chained;
use super::chains::KeptChains;
use super::connections::Connected;
use super::hashed::HashedPeers;
use super::holders::Counted;
use super::record_indices::{RecordsByAge, RecordsById, RecordsByUse};
use super::sealed::Sealed;
use super::slab::Slab;
use super::slots::Slot;
use super::sorted::Sorted;
use super::tree::Tree;
use super::use_list::{Ends, FabricOrPase, Link, Rank};
use super::{
    ByteStore, Empty, Full, GroupTables, KeyRef, Links, Owner, Present, Queue, Seat, Sender,
    SlotNumber, Slots, Storage,
};
use crate::ids::{FabricIndex, GroupId, GroupKeySetId, LocalSessionId, Peer};
use crate::manager::handle::HandshakeId;
use crate::time::Instant;

/// Tables that grow on demand, up to the limits of [`Config`](crate::manager::Config).
///
/// A session is found by its id in two steps, and by its peer through a keyed hash, however many
/// there are. An exchange is found among the few of its session. The other tables are B-trees: peers
/// choose some of the keys, and no choice of keys makes a B-tree slow. Values that hold secrets are
/// in boxes of their own: they are wiped there, and never move.
#[derive(Clone, Copy, Debug)]
pub struct Heap;

impl Sealed for Heap {}

impl Storage for Heap {
    const CHECK: () = ();

    type Sessions<V> = Slab<V>;
    type Peers = HashedPeers;
    type Links = LinkRow;
    type UseLists = Tree<(FabricOrPase, Rank), Ends>;
    type Counts = Tree<FabricOrPase, u16>;
    type Connections = Connected;
    type Chains<K: Ord> = KeptChains<K>;
    type Exchanges<V> = Chained<V>;
    type Holders = Counted;
    type Refused = Tree<(LocalSessionId, u32), Instant>;
    type Handshakes<V> = Boxed<HandshakeId, V>;
    type Fabrics<V> = Boxed<FabricIndex, V>;
    type Records<V> = Boxed<Peer, V>;
    type RecordIds = RecordsById;
    type RecordOrder = RecordsByAge;
    type RecordUse = RecordsByUse;
    type Slots = SlotRow;
    type Events<V> = Ring<V>;
    type HandshakeEvents<V> = Ring<V>;
    type Outbox<V> = Ring<V>;
    type Certificates = Boxes;
    type Bytes = Boxes;
    type Groups<V: Empty> = Present<V>;
    type GroupTables = Self;
}

impl GroupTables for Heap {
    type KeySets<V> = Boxed<(FabricIndex, GroupKeySetId), V>;
    type Keys = Sorted<KeyRef, ()>;
    type Groups<V> = Tree<(FabricIndex, GroupId), V>;
    type Senders<V> = Tree<Sender, V>;
    type Syncs<V> = Tree<Sender, V>;
    type Waiting<V> = Tree<u64, V>;
}

/// A ring buffer with a limit.
#[derive(Debug)]
pub struct Ring<V> {
    entries: VecDeque<V>,
    capacity: usize,
}

impl<V> Queue<V> for Ring<V> {
    const EMPTY: Self = Self { entries: VecDeque::new(), capacity: 0 };

    fn limit(&mut self, limit: usize) {
        self.capacity = limit.max(self.entries.len());
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn push(&mut self, value: V) -> Result<(), Full> {
        if self.entries.len() >= self.capacity {
            return Err(Full);
        }
        self.entries.push_back(value);
        Ok(())
    }

    fn pop(&mut self) -> Option<V> {
        let value = self.entries.pop_front();
        if self.entries.is_empty() && self.entries.capacity() > QUIET {
            self.entries.shrink_to(QUIET);
        }
        value
    }

    fn iter<'a>(&'a self) -> impl Iterator<Item = &'a V>
    where
        V: 'a,
    {
        self.entries.iter()
    }
}

/// How many entries an empty queue keeps room for.
const QUIET: usize = 64;

/// Links in one row, as long as the highest place in use.
#[derive(Debug)]
pub struct LinkRow(Vec<Link>);

impl Links for LinkRow {
    const EMPTY: Self = Self(Vec::new());

    #[inline]
    fn get(&self, seat: Seat) -> Link {
        self.0.get(seat.index()).copied().unwrap_or(Link::NONE)
    }

    #[inline]
    fn get_mut(&mut self, seat: Seat) -> Option<&mut Link> {
        if self.0.len() <= seat.index() {
            self.0.resize(seat.index().saturating_add(1), Link::NONE);
        }
        self.0.get_mut(seat.index())
    }

    fn clear(&mut self, seat: Seat) {
        if let Some(link) = self.0.get_mut(seat.index()) {
            *link = Link::NONE;
        }
        while self.0.last() == Some(&Link::NONE) {
            self.0.pop();
        }
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len().saturating_mul(2));
        }
    }
}

/// Slots in one row, as long as the highest in use since there was none.
#[derive(Debug)]
pub struct SlotRow(Vec<Slot>);

/// How many slots an empty row keeps.
const FEW: usize = 16;

impl Slots for SlotRow {
    const EMPTY: Self = Self(Vec::new());

    #[inline]
    fn get(&self, number: SlotNumber) -> Option<&Slot> {
        self.0.get(number.index())
    }

    #[inline]
    fn get_mut(&mut self, number: SlotNumber) -> Option<&mut Slot> {
        self.0.get_mut(number.index())
    }

    fn add(&mut self, index: usize) -> Option<SlotNumber> {
        let number = SlotNumber::at(index)?;
        if self.0.len() <= index {
            self.0.push(Slot::VACANT);
        }
        Some(number)
    }

    fn clear(&mut self) {
        self.0.clear();
        if self.0.capacity() > FEW {
            self.0.shrink_to(FEW);
        }
    }
}

/// Bytes that each owner keeps itself.
#[derive(Debug)]
pub struct Boxes;

impl ByteStore for Boxes {
    const EMPTY: Self = Self;
    const CAPACITY: Option<usize> = None;
    const OVERHEAD: usize = 0;

    type Held = Box<[u8]>;

    fn owners(&self) -> impl Iterator<Item = (Owner, usize)> {
        core::iter::empty()
    }

    fn room(&self, _: Owner) -> usize {
        usize::MAX
    }

    fn allocate(&mut self, _: Owner, len: usize) -> Option<Self::Held> {
        // Filled here: of short blocks an allocator has many at hand, but few that are zero.
        Some(core::iter::repeat_n(0, len).collect())
    }

    fn shrink(&mut self, _: Owner, _: usize) {}

    fn get<'a>(&'a self, _: Owner, held: &'a Self::Held) -> &'a [u8] {
        held
    }

    fn get_mut<'a>(&'a mut self, _: Owner, held: &'a mut Self::Held) -> &'a mut [u8] {
        held
    }

    fn get_many_mut<'a, const N: usize>(
        &'a mut self,
        owners: [Option<(Owner, &'a mut Self::Held)>; N],
    ) -> [&'a mut [u8]; N] {
        owners.map(|owner| owner.map(|(_, held)| &mut **held).unwrap_or_default())
    }

    fn release(&mut self, _: Owner) {}
}
