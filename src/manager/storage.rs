//! Where a manager keeps its tables.
//!
//! [`Storage`] is the one parameter that decides it. [`Heap`] grows on demand up to the limits of
//! [`Config`](super::Config). Every table is an ordered map with a capacity, so that a storage of
//! fixed arrays can stand in for it.

use super::handle::{ExchangeKey, HandshakeId, PeerKey, Source};
use crate::ids::{FabricIndex, LocalSessionId, NodeId};
use crate::session::ResumptionId;
use crate::time::Instant;

#[cfg(feature = "alloc")]
mod heap;

#[cfg(feature = "alloc")]
pub use self::heap::Heap;

/// There is no room for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// An ordered map with a capacity.
pub trait Map<K: Copy + Ord, V> {
    /// An empty map for at most `capacity` entries, or fewer if the storage is smaller.
    fn with_capacity(capacity: usize) -> Self;
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
    /// Removes.
    fn remove(&mut self, key: &K) -> Option<V>;
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

/// A queue with a capacity.
pub trait Queue<V> {
    /// An empty queue for at most `capacity` entries, or fewer if the storage is smaller.
    fn with_capacity(capacity: usize) -> Self;
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
}

/// Room for one message.
pub trait MessageSlot: AsRef<[u8]> + AsMut<[u8]> + Sized {
    /// Room for `len` octets; `None` if there is not so much.
    fn allocate(len: usize) -> Option<Self>;
}

/// The tables of a manager. Sealed: [`Heap`] implements it.
pub trait Storage: sealed::Sealed {
    /// Secure sessions by their local id.
    type Sessions<V>: Map<LocalSessionId, V>;
    /// Sessions by peer: an index.
    type Peers: Map<PeerKey, ()>;
    /// Exchanges of secure sessions.
    type Exchanges<V>: Map<ExchangeKey, V>;
    /// Handshakes in flight.
    type Handshakes<V>: Map<HandshakeId, V>;
    /// Fabrics.
    type Fabrics<V>: Map<FabricIndex, V>;
    /// Resumption records by peer.
    type Records<V>: Map<(FabricIndex, NodeId), V>;
    /// Resumption records by id: an index.
    type RecordIds: Map<ResumptionId, (FabricIndex, NodeId)>;
    /// Deadlines of exchanges and handshakes.
    type Deadlines: Map<(Instant, Source), ()>;
    /// Exchanges and handshakes that have something to send.
    type Ready: Map<Source, ()>;
    /// Events and short messages.
    type Queue<V>: Queue<V>;
    /// A message in flight.
    type Message: MessageSlot;
}

mod sealed {
    pub trait Sealed {}

    #[cfg(feature = "alloc")]
    impl Sealed for super::Heap {}
}
