//! The tables of a manager.
//!
//! [`Storage`] is the one parameter that decides it. `Heap` grows on demand up to the limits of
//! [`Config`](super::Config); [`Fixed`] is all arrays. Both behave alike within their limits.

use super::handle::{ExchangeKey, HandshakeId, Source};
use crate::ids::{FabricIndex, LocalSessionId, Peer};
use crate::session::ResumptionId;
use crate::time::Instant;

mod arena;
#[cfg(feature = "alloc")]
mod boxed;
#[cfg(feature = "alloc")]
mod chained;
mod chains;
mod connections;
mod fixed;
mod groups;
#[cfg(feature = "alloc")]
mod hashed;
#[cfg(feature = "alloc")]
mod heap;
mod holders;
#[cfg(feature = "alloc")]
mod pages;
mod place;
#[cfg(feature = "alloc")]
mod record_indices;
pub mod sizes;
#[cfg(feature = "alloc")]
mod slab;
mod slots;
#[cfg(feature = "alloc")]
mod sorted;
#[cfg(feature = "alloc")]
mod tree;
mod use_list;

pub(super) use self::chains::Chains;
pub(super) use self::connections::ConnectionIndex;
pub use self::fixed::{Fixed, WithGroups};
pub(super) use self::groups::{Absent, Empty, GroupTables, KeyRef, Optional, Present, Sender};
#[cfg(feature = "alloc")]
pub use self::heap::Heap;
pub(super) use self::holders::{Holder, Holders};
pub(super) use self::place::{Place, SecretPlace};
pub(super) use self::slots::{SlotNumber, Slots};
pub(super) use self::use_list::{Ends, FabricOrPase, Link, Rank, Seat};

/// There is no room for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// An ordered map with a capacity.
pub trait Map<K: Copy + Ord, V> {
    /// An empty map that takes nothing in before its [`limit`](Self::limit) is set.
    const EMPTY: Self;
    /// Takes in at most `limit` entries from now on, or fewer if the storage is smaller; what is
    /// in it stays.
    fn limit(&mut self, limit: usize);
    /// How many entries fit.
    fn capacity(&self) -> usize;
    /// How many entries there are.
    fn len(&self) -> usize;
    /// The value of a key.
    fn get(&self, key: &K) -> Option<&V>;
    /// The value of a key, to be changed.
    fn get_mut(&mut self, key: &K) -> Option<&mut V>;
    /// Adds or replaces.
    ///
    /// # Errors
    /// [`Full`] if the key is new and the map is at its capacity.
    fn insert(&mut self, key: K, value: V) -> Result<(), Full>;
    /// Drops a value where it stands; false if there was none.
    fn discard(&mut self, key: &K) -> bool;
    /// How many keys there are that `which` picks, of those from `first` on that are `within` a
    /// range.
    fn count(&self, first: K, within: impl Fn(&K) -> bool, which: impl Fn(&K) -> bool) -> usize {
        self.from(first).take_while(|(key, _)| within(key)).filter(|(key, _)| which(key)).count()
    }
    /// Entries in ascending order of keys.
    fn iter<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a;
    /// The smallest key.
    fn first(&self) -> Option<K> {
        let first = self.iter().next();
        first.map(|(key, _)| *key)
    }
    /// The smallest key that is not below `first`.
    fn first_from(&self, first: K) -> Option<K> {
        let found = self.from(first).next();
        found.map(|(key, _)| *key)
    }
    /// Entries in ascending order of keys, from `first` on.
    fn from<'a>(&'a self, first: K) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a;
}

/// Exchanges of secure sessions.
pub trait ExchangeTable<V>: Map<ExchangeKey, V> {
    /// Takes an exchange out. A move leaves a copy behind, but an exchange holds no secrets. Values
    /// that do are [discarded](Map::discard) in their place.
    fn take(&mut self, key: &ExchangeKey) -> Option<V>;
    /// The exchanges of a session in ascending order of keys.
    fn of_session<'a>(
        &'a self,
        session: LocalSessionId,
    ) -> impl Iterator<Item = (&'a ExchangeKey, &'a V)>
    where
        V: 'a,
    {
        let first = ExchangeKey::first_of(session);
        self.from(first).take_while(move |(key, _)| key.session == session)
    }
}

/// A queue with a capacity.
pub trait Queue<V> {
    /// An empty queue that takes nothing in before its [`limit`](Self::limit) is set.
    const EMPTY: Self;
    /// Takes in at most `limit` entries from now on, or fewer if the storage is smaller; what is
    /// in it stays.
    fn limit(&mut self, limit: usize);
    /// How many entries there are.
    fn len(&self) -> usize;
    /// How many entries fit.
    fn capacity(&self) -> usize;
    /// Appends.
    ///
    /// # Errors
    /// [`Full`].
    fn push(&mut self, value: V) -> Result<(), Full>;
    /// Removes the oldest.
    fn pop(&mut self) -> Option<V>;
    /// Entries, the oldest first.
    fn iter<'a>(&'a self) -> impl Iterator<Item = &'a V>
    where
        V: 'a;
}

/// Secure sessions by their local id. Each stays in its place, whose number leads to it without
/// a search.
pub trait Seats<V> {
    /// An empty table that takes nothing in before its [`limit`](Self::limit) is set.
    const EMPTY: Self;
    /// Takes in at most `limit` entries from now on, or fewer if the storage is smaller; what is
    /// in it stays.
    fn limit(&mut self, limit: usize);
    /// How many entries fit.
    fn capacity(&self) -> usize;
    /// How many entries there are.
    fn len(&self) -> usize;
    /// Where the session with this id is.
    fn find(&self, id: LocalSessionId) -> Option<Seat>;
    /// The session in a place.
    fn get(&self, seat: Seat) -> Option<&V>;
    /// The session in a place, to be changed.
    fn get_mut(&mut self, seat: Seat) -> Option<&mut V>;
    /// Adds a session under an id that is free.
    ///
    /// # Errors
    /// [`Full`].
    fn insert(&mut self, id: LocalSessionId, value: V) -> Result<Seat, Full>;
    /// Drops a session where it stands.
    fn discard(&mut self, id: LocalSessionId);
    /// The session with the lowest id that is not below `first`.
    fn next(&self, first: u16) -> Option<(LocalSessionId, Seat)>;
    /// The lowest free id in a range.
    fn next_free(&self, first: u16, last: u16) -> Option<LocalSessionId>;
    /// Sessions by ascending id.
    fn iter<'a>(&'a self) -> impl Iterator<Item = (Seat, &'a V)>
    where
        V: 'a,
    {
        let mut first = Some(0);
        core::iter::from_fn(move || {
            let (id, seat) = self.next(first?)?;
            first = id.get().checked_add(1);
            Some((seat, self.get(seat)?))
        })
    }
}

/// Links between sessions, by the number of their place.
pub trait Links {
    /// All links name none.
    const EMPTY: Self;
    /// The links of a session.
    fn get(&self, seat: Seat) -> Link;
    /// The links of a session, to be changed; `None` only for numbers that no session has.
    fn get_mut(&mut self, seat: Seat) -> Option<&mut Link>;
    /// Forgets the links of a session that is gone.
    fn clear(&mut self, seat: Seat);
}

/// Where the CASE sessions with a peer are.
pub trait Peers {
    /// No sessions.
    const EMPTY: Self;
    /// Sets a secret that peers cannot guess, as they choose their node ids. To be called before
    /// anything is added.
    fn seed(&mut self, seed: u64);
    /// Adds a session. `peer_of` knows the peer of every session that was added before.
    fn insert(&mut self, peer: Peer, seat: Seat, peer_of: impl Fn(Seat) -> Option<Peer>);
    /// Removes a session, as long as `peer_of` knows it.
    fn remove(&mut self, peer: Peer, seat: Seat, peer_of: impl Fn(Seat) -> Option<Peer>);
    /// Sessions among which all with this peer are.
    fn candidates(&self, peer: Peer) -> impl Iterator<Item = Seat>;
}

/// Where the resumption records with an id are.
pub trait RecordIndex {
    /// No records.
    const EMPTY: Self;
    /// Adds a record.
    fn insert(&mut self, id: ResumptionId, peer: Peer);
    /// Removes a record.
    fn remove(&mut self, id: ResumptionId, peer: Peer);
    /// The peer with number `n` of those on a fabric whose record has this id, in ascending order.
    /// `scan` looks through all records: for storage that spends no memory on an index.
    fn nth(
        &self,
        fabric: FabricIndex,
        id: &ResumptionId,
        n: usize,
        scan: impl FnOnce() -> Option<Peer>,
    ) -> Option<Peer>;
}

/// Resumption records in the order of some point in time.
pub trait RecordOrder {
    /// No records.
    const EMPTY: Self;
    /// Adds a record.
    fn insert(&mut self, at: Instant, peer: Peer);
    /// Removes a record.
    fn remove(&mut self, at: Instant, peer: Peer);
    /// The first record; of several with the same time that with the smallest key. `scan` looks
    /// through all records, as in [`RecordIndex::nth`].
    fn first(&self, scan: impl FnOnce() -> Option<(Instant, Peer)>) -> Option<(Instant, Peer)>;
}

/// Which resumption record to evict.
pub trait RecordUse {
    /// No records.
    const EMPTY: Self;
    /// Adds a record that was used at a time.
    fn insert(&mut self, at: Instant, peer: Peer);
    /// Removes a record.
    fn remove(&mut self, at: Instant, peer: Peer);
    /// The least recently used record of the fabric with most records; of several fabrics,
    /// `preferred` or that with the largest index. `scan` looks through all records, as in
    /// [`RecordIndex::nth`].
    fn first_to_evict(
        &self,
        preferred: FabricIndex,
        scan: impl FnOnce() -> Option<Peer>,
    ) -> Option<Peer>;
}

/// What bytes are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The message in flight of an exchange or handshake.
    Message(Source),
    /// The certificates that the peer of a handshake has presented.
    Certificates(HandshakeId),
    /// The certificates of a fabric.
    Fabric(FabricIndex),
    /// A message to a group that waits for its sender's counter.
    GroupMessage(u64),
}

/// Bytes of many sizes. Each owner keeps what [`allocate`](Self::allocate) returned, and the
/// bytes until it allocates again or they are released.
pub trait ByteStore {
    /// No bytes.
    const EMPTY: Self;
    /// How many bytes there are in all, if there is a limit.
    const CAPACITY: Option<usize>;
    /// How many bytes each owner takes besides those that it asks for.
    const OVERHEAD: usize;
    /// The part that the owner keeps of them: the bytes themselves, or nothing.
    type Held: AsMut<[u8]> + Default;
    /// Who has how many bytes, with the overhead, if there is a limit.
    fn owners(&self) -> impl Iterator<Item = (Owner, usize)>;
    /// How many bytes there is room for, besides what this owner has.
    fn room(&self, owner: Owner) -> usize;
    /// Room for `len` bytes of any content, in place of what the owner had; `None` if there is
    /// not so much.
    fn allocate(&mut self, owner: Owner, len: usize) -> Option<Self::Held>;
    /// Gives back all but the first `len`.
    fn shrink(&mut self, owner: Owner, len: usize);
    /// The bytes of an owner.
    fn get<'a>(&'a self, owner: Owner, held: &'a Self::Held) -> &'a [u8];
    /// The bytes of an owner, to be written.
    fn get_mut<'a>(&'a mut self, owner: Owner, held: &'a mut Self::Held) -> &'a mut [u8];
    /// The bytes of several owners, to be written; none for one that holds nothing.
    fn get_many_mut<'a, const N: usize>(
        &'a mut self,
        owners: [Option<(Owner, &'a mut Self::Held)>; N],
    ) -> [&'a mut [u8]; N];
    /// Gives back what the owner has, if anything.
    fn release(&mut self, owner: Owner);
}

/// The tables of a manager. Sealed: `Heap` and [`Fixed`] implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no storage of a manager",
    note = "the sizes of `Fixed` stand in this order: Sessions, Exchanges, Handshakes, Fabrics, \
            Records, MessageBytes; those of `WithGroups` after another storage: KeySets, Groups, \
            Senders"
)]
pub trait Storage: sealed::Sealed {
    /// Fails to compile if a size is too small.
    #[doc(hidden)]
    const CHECK: ();
    /// Secure sessions by their local id.
    #[doc(hidden)]
    type Sessions<V>: Seats<V>;
    /// Sessions by peer: an index.
    #[doc(hidden)]
    type Peers: Peers;
    /// What puts sessions into the order of their use.
    #[doc(hidden)]
    type Links: Links;
    /// The lists of sessions of one rank.
    #[doc(hidden)]
    type UseLists: Map<(FabricOrPase, Rank), Ends>;
    /// How many sessions each fabric has.
    #[doc(hidden)]
    type Counts: Map<FabricOrPase, u16>;
    /// Sessions by connection: an index.
    #[doc(hidden)]
    type Connections: ConnectionIndex;
    /// Certificates of peers, by session or by record.
    #[doc(hidden)]
    type Chains<K: Ord>: Chains<K>;
    /// Exchanges of secure sessions.
    #[doc(hidden)]
    type Exchanges<V>: ExchangeTable<V>;
    /// How many of them each peer has begun.
    #[doc(hidden)]
    type Holders: Holders;
    /// Messages that were refused, by session and counter.
    #[doc(hidden)]
    type Refused: Map<(LocalSessionId, u32), Instant>;
    /// Handshakes in flight.
    #[doc(hidden)]
    type Handshakes<V>: Map<HandshakeId, V>;
    /// Fabrics.
    #[doc(hidden)]
    type Fabrics<V>: Map<FabricIndex, V>;
    /// Resumption records by peer.
    #[doc(hidden)]
    type Records<V>: Map<Peer, V>;
    /// Resumption records by id: an index.
    #[doc(hidden)]
    type RecordIds: RecordIndex;
    /// Resumption records by time: an index.
    #[doc(hidden)]
    type RecordOrder: RecordOrder;
    /// Resumption records by fabric and use: an index.
    #[doc(hidden)]
    type RecordUse: RecordUse;
    /// What the schedule of exchanges and handshakes is kept in.
    #[doc(hidden)]
    type Slots: Slots;
    /// Events.
    #[doc(hidden)]
    type Events<V>: Queue<V>;
    /// Those of handshakes.
    #[doc(hidden)]
    type HandshakeEvents<V>: Queue<V>;
    /// Short messages.
    #[doc(hidden)]
    type Outbox<V>: Queue<V>;
    /// Certificates of fabrics.
    #[doc(hidden)]
    type Certificates: ByteStore;
    /// Messages in flight, and certificates of peers.
    #[doc(hidden)]
    type Bytes: ByteStore;
    /// Groups, if this storage has tables for them.
    #[doc(hidden)]
    type Groups<V: Empty>: Optional<V>;
    /// Those tables.
    #[doc(hidden)]
    type GroupTables: GroupTables;
}

/// What an exchange or handshake keeps of its message in flight.
pub(super) type Held<S> = <<S as Storage>::Bytes as ByteStore>::Held;

mod sealed {
    pub trait Sealed {}
}
