//! Tables in arrays.

use core::marker::PhantomData;
use core::ops::Bound;

use super::arena::Arena;
use super::use_list::{Ends, FabricOrPase as Group, Link, Rank};
use super::{
    Absent, Empty, Full, GroupTables, KeyRef, Links, Map, Peers, Place, Present, Queue,
    RecordIndex, RecordOrder, Seat, Seats, Sender, Storage,
};
use crate::group::MAX_EPOCHS;
use crate::ids::{FabricIndex, GroupId, GroupKeySetId, LocalSessionId, NodeId};
use crate::manager::handle::{ExchangeKey, HandshakeId, Peer, Source};
use crate::session::ResumptionId;
use crate::time::Instant;

/// Tables of fixed size, without an allocator: for devices.
///
/// The sizes are those of
/// - `SESSIONS`: secure sessions at once, the place for PASE among them: with one, CASE has none.
///   A node of `n` fabrics must be able to hold `3 * n + 1`.
/// - `EXCHANGES`: exchanges of secure sessions at once.
/// - `HANDSHAKES`: handshakes at once.
/// - `FABRICS`: fabrics. A node must support five at least. They share 800 octets each for their
///   certificates.
/// - `RECORDS`: resumption records, three for each fabric at least.
/// - `OCTETS`: octets of all messages in flight together, and of the certificates of peers whose
///   session the application has not heard of yet. 65,535 at most. A message takes 63 octets more
///   than its payload. A handshake is begun when there is room for the largest message, 1,243
///   octets (so there must be as many), and gives back what it does not need. What finds no room is
///   refused: [`SendError::NoRoom`](crate::manager::SendError::NoRoom), or a peer is told to come
///   back.
///
/// Beside that, four events may wait before nothing is begun that could cause more, and eight short
/// messages before one gives way, first those to strangers: goodbyes to more than eight sessions at
/// once are not all sent. Where [`Config`](crate::manager::Config) sets lower limits, those hold.
/// Lookups are linear.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<
    const SESSIONS: usize,
    const EXCHANGES: usize,
    const HANDSHAKES: usize,
    const FABRICS: usize,
    const RECORDS: usize,
    const OCTETS: usize,
>;

/// Room for events besides what everything that lives can still tell: four may wait before
/// nothing is begun that could cause more, and a call in progress can add eight (`STEP` of the
/// manager).
const EVENTS: usize = 12;

/// The same for those that tell of handshakes: four may wait, and a call in progress can add four.
const HANDSHAKE_EVENTS: usize = 8;

/// Octets for the certificates of a fabric, on average: all fabrics share them. Those of one may
/// take 1,200, but common ones take 780, the intermediate one included.
const CERTIFICATES: usize = 800;

/// Short messages that may wait: refusals, goodbyes, acknowledgements to strangers.
const REPLIES: usize = 8;

/// Places for so many values.
type Places<V, const N: usize> = [Place<V>; N];

impl<
    const SESSIONS: usize,
    const EXCHANGES: usize,
    const HANDSHAKES: usize,
    const FABRICS: usize,
    const RECORDS: usize,
    const OCTETS: usize,
> Storage for Fixed<SESSIONS, EXCHANGES, HANDSHAKES, FABRICS, RECORDS, OCTETS>
{
    type Sessions<V> = Table<LocalSessionId, V, Places<(LocalSessionId, V), SESSIONS>>;
    type Peers = Unhashed<SESSIONS>;
    type Links = [Link; SESSIONS];
    type UseLists = Table<(Group, Rank), Ends, Places<((Group, Rank), Ends), SESSIONS>>;
    type Counts = Table<Group, u16, Places<(Group, u16), SESSIONS>>;
    type Exchanges<V> = Table<ExchangeKey, V, Places<(ExchangeKey, V), EXCHANGES>>;
    type Handshakes<V> = Table<HandshakeId, V, Places<(HandshakeId, V), HANDSHAKES>>;
    type Fabrics<V> = Table<FabricIndex, V, Places<(FabricIndex, V), FABRICS>>;
    type Records<V> = Table<(FabricIndex, NodeId), V, Places<((FabricIndex, NodeId), V), RECORDS>>;
    type RecordIds = Unindexed;
    type RecordOrder = Unindexed;
    type Deadlines = Table<
        (Instant, Source),
        (),
        (Places<((Instant, Source), ()), EXCHANGES>, Places<((Instant, Source), ()), HANDSHAKES>),
    >;
    type Ready =
        Table<Source, (), (Places<(Source, ()), EXCHANGES>, Places<(Source, ()), HANDSHAKES>)>;
    // Whatever lives can tell its end.
    type Events<V> = Ring<
        V,
        (
            (Places<V, SESSIONS>, Places<V, EXCHANGES>),
            (Places<V, HANDSHAKES>, (Places<V, RECORDS>, Places<V, EVENTS>)),
        ),
    >;
    type HandshakeEvents<V> =
        Ring<V, ((Places<V, HANDSHAKES>, Places<V, HANDSHAKES>), Places<V, HANDSHAKE_EVENTS>)>;
    type Outbox<V> = Ring<V, Places<V, REPLIES>>;
    type Certificates = Arena<[[u8; CERTIFICATES]; FABRICS]>;
    type Octets = Arena<[u8; OCTETS]>;
    type Groups<V: Empty> = Absent;
    type GroupTables = GroupArrays<0, 0, 0>;
}

/// The tables of another storage, and tables of fixed size for groups: for devices that are in
/// groups, or send to them. [`Fixed`] alone has none.
///
/// The sizes are those of all fabrics together, of which each may have its part:
/// - `KEY_SETS`: group key sets. A node must support three keys for each.
/// - `GROUPS`: groups. A node must support four for each.
/// - `SENDERS`: senders to groups whose counters are remembered until a restart, those that take
///   part in counter synchronisation twice. A node must support 12 for each fabric.
///
/// Two senders are asked for their counters at once, and four messages wait for them: they take from
/// the octets of the messages in flight.
///
/// ```
/// use matter_session::manager::{Fixed, WithGroups};
///
/// /// Of a light on five fabrics.
/// type Tables = WithGroups<Fixed<16, 8, 2, 5, 15, 5120>, 15, 20, 60>;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithGroups<S, const KEY_SETS: usize, const GROUPS: usize, const SENDERS: usize>(
    PhantomData<S>,
);

impl<S: Storage, const KEY_SETS: usize, const GROUPS: usize, const SENDERS: usize> Storage
    for WithGroups<S, KEY_SETS, GROUPS, SENDERS>
{
    type Sessions<V> = S::Sessions<V>;
    type Peers = S::Peers;
    type Links = S::Links;
    type UseLists = S::UseLists;
    type Counts = S::Counts;
    type Exchanges<V> = S::Exchanges<V>;
    type Handshakes<V> = S::Handshakes<V>;
    type Fabrics<V> = S::Fabrics<V>;
    type Records<V> = S::Records<V>;
    type RecordIds = S::RecordIds;
    type RecordOrder = S::RecordOrder;
    type Deadlines = S::Deadlines;
    type Ready = S::Ready;
    type Events<V> = S::Events<V>;
    type HandshakeEvents<V> = S::HandshakeEvents<V>;
    type Outbox<V> = S::Outbox<V>;
    type Certificates = S::Certificates;
    type Octets = S::Octets;
    type Groups<V: Empty> = Present<V>;
    type GroupTables = GroupArrays<KEY_SETS, GROUPS, SENDERS>;
}

/// Tables for groups, in arrays.
#[derive(Clone, Copy, Debug)]
pub struct GroupArrays<const KEY_SETS: usize, const GROUPS: usize, const SENDERS: usize>;

/// Senders to groups that are asked for their counters at once.
const SYNCS: usize = 2;

/// Messages that wait for that.
const WAITING: usize = 4;

impl<const KEY_SETS: usize, const GROUPS: usize, const SENDERS: usize> GroupTables
    for GroupArrays<KEY_SETS, GROUPS, SENDERS>
{
    type KeySets<V> =
        Table<(FabricIndex, GroupKeySetId), V, Places<((FabricIndex, GroupKeySetId), V), KEY_SETS>>;
    type Keys = Table<KeyRef, (), [Places<(KeyRef, ()), MAX_EPOCHS>; KEY_SETS]>;
    type Groups<V> = Table<(FabricIndex, GroupId), V, Places<((FabricIndex, GroupId), V), GROUPS>>;
    type Senders<V> = Table<Sender, V, Places<(Sender, V), SENDERS>>;
    type Syncs<V> = Table<Sender, V, Places<(Sender, V), SYNCS>>;
    type Waiting<V> = Table<u64, V, Places<(u64, V), WAITING>>;
}

/// A row of places: an array, or two such rows one after the other, as array lengths cannot be
/// added up.
pub trait Row<V> {
    /// All places vacant.
    const VACANT: Self;
    /// How many places there are.
    const LEN: usize;
    /// A place.
    fn at(&self, n: usize) -> Option<&Place<V>>;
    /// A place, to be changed.
    fn at_mut(&mut self, n: usize) -> Option<&mut Place<V>>;
}

impl<V, const N: usize> Row<V> for Places<V, N> {
    const VACANT: Self = [const { Place::Vacant }; N];
    const LEN: usize = N;

    fn at(&self, n: usize) -> Option<&Place<V>> {
        self.get(n)
    }

    fn at_mut(&mut self, n: usize) -> Option<&mut Place<V>> {
        self.get_mut(n)
    }
}

impl<V, const M: usize, const N: usize> Row<V> for [Places<V, M>; N] {
    const VACANT: Self = [const { [const { Place::Vacant }; M] }; N];
    const LEN: usize = M * N;

    fn at(&self, n: usize) -> Option<&Place<V>> {
        self.as_flattened().get(n)
    }

    fn at_mut(&mut self, n: usize) -> Option<&mut Place<V>> {
        self.as_flattened_mut().get_mut(n)
    }
}

impl<V, A: Row<V>, B: Row<V>> Row<V> for (A, B) {
    const VACANT: Self = (A::VACANT, B::VACANT);
    const LEN: usize = A::LEN + B::LEN;

    fn at(&self, n: usize) -> Option<&Place<V>> {
        match n.checked_sub(A::LEN) {
            None => self.0.at(n),
            Some(n) => self.1.at(n),
        }
    }

    fn at_mut(&mut self, n: usize) -> Option<&mut Place<V>> {
        match n.checked_sub(A::LEN) {
            None => self.0.at_mut(n),
            Some(n) => self.1.at_mut(n),
        }
    }
}

// What searches a table or ring is not inlined: one copy for each kind of entry, not one for each
// of its callers.

/// An unsorted table: entries stay where they are put.
#[derive(Debug)]
pub struct Table<K, V, R> {
    places: R,
    len: usize,
    limit: usize,
    entries: PhantomData<(K, V)>,
}

impl<K: Copy + Ord, V, R: Row<(K, V)>> Table<K, V, R> {
    #[inline(never)]
    fn position(&self, key: &K) -> Option<usize> {
        (0..R::LEN).find(|n| self.entry(*n).is_some_and(|(found, _)| found == key))
    }

    fn entry(&self, n: usize) -> Option<&(K, V)> {
        self.places.at(n)?.get()
    }

    /// The entry with the smallest key within a lower bound.
    #[inline(never)]
    fn next(&self, bound: Bound<&K>) -> Option<&(K, V)> {
        let mut next: Option<&(K, V)> = None;
        for n in 0..R::LEN {
            let Some(entry) = self.entry(n) else { continue };
            let within = match bound {
                Bound::Unbounded => true,
                Bound::Included(first) => !is_below(&entry.0, first),
                Bound::Excluded(last) => is_below(last, &entry.0),
            };
            if within && next.is_none_or(|best| is_below(&entry.0, &best.0)) {
                next = Some(entry);
            }
        }
        next
    }

    // Keys are kept track of where they stand: copying each brings `memmove` into the image.
    fn ascending<'a>(&'a self, first: Option<K>) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        let mut last = None;
        core::iter::from_fn(move || {
            let first = first.as_ref().map_or(Bound::Unbounded, Bound::Included);
            let (key, value) = self.next(last.map_or(first, Bound::Excluded))?;
            last = Some(key);
            Some((key, value))
        })
    }
}

impl<K: Copy + Ord, V, R: Row<(K, V)>> Map<K, V> for Table<K, V, R> {
    const EMPTY: Self = Self { places: R::VACANT, len: 0, limit: 0, entries: PhantomData };

    fn limit(&mut self, limit: usize) {
        self.limit = limit.max(self.len).min(R::LEN);
    }

    fn capacity(&self) -> usize {
        self.limit
    }

    fn len(&self) -> usize {
        self.len
    }

    #[inline(never)]
    fn get(&self, key: &K) -> Option<&V> {
        self.entry(self.position(key)?).map(|(_, value)| value)
    }

    #[inline(never)]
    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let n = self.position(key)?;
        self.places.at_mut(n)?.get_mut().map(|(_, value)| value)
    }

    #[inline(never)]
    fn insert(&mut self, key: K, value: V) -> Result<(), Full> {
        if let Some(old) = self.get_mut(&key) {
            *old = value;
            return Ok(());
        }
        if self.len >= self.limit {
            return Err(Full);
        }
        let vacant = (0..R::LEN).find(|n| self.entry(*n).is_none()).ok_or(Full)?;
        *self.places.at_mut(vacant).ok_or(Full)? = Place::Taken((key, value));
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    #[inline(never)]
    fn remove(&mut self, key: &K) -> Option<V> {
        let n = self.position(key)?;
        let (_, value) = self.places.at_mut(n)?.take()?;
        self.len = self.len.saturating_sub(1);
        Some(value)
    }

    fn discard(&mut self, key: &K) -> bool {
        let found = self.position(key).and_then(|n| self.places.at_mut(n));
        let Some(place) = found else { return false };
        *place = Place::Vacant;
        self.len = self.len.saturating_sub(1);
        true
    }

    #[inline(never)]
    fn first(&self) -> Option<K> {
        self.next(Bound::Unbounded).map(|(key, _)| *key)
    }

    fn iter<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        self.ascending(None)
    }

    fn from<'a>(&'a self, first: K) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        self.ascending(Some(first))
    }
}

impl<V, R: Row<(LocalSessionId, V)>> Seats<V> for Table<LocalSessionId, V, R> {
    const EMPTY: Self = Map::EMPTY;

    fn limit(&mut self, limit: usize) {
        Map::limit(self, limit);
    }

    fn capacity(&self) -> usize {
        self.limit
    }

    fn len(&self) -> usize {
        self.len
    }

    fn find(&self, id: LocalSessionId) -> Option<Seat> {
        Seat::at(self.position(&id)?)
    }

    fn get(&self, seat: Seat) -> Option<&V> {
        self.entry(seat.index()).map(|(_, value)| value)
    }

    fn get_mut(&mut self, seat: Seat) -> Option<&mut V> {
        self.places.at_mut(seat.index())?.get_mut().map(|(_, value)| value)
    }

    fn insert(&mut self, id: LocalSessionId, value: V) -> Result<Seat, Full> {
        if self.position(&id).is_some() {
            return Err(Full);
        }
        Map::insert(self, id, value)?;
        self.find(id).ok_or(Full)
    }

    fn discard(&mut self, id: LocalSessionId) {
        Map::discard(self, &id);
    }

    fn next(&self, first: u16) -> Option<(LocalSessionId, Seat)> {
        let first = LocalSessionId::new(first.max(1))?;
        let (id, _) = Self::next(self, Bound::Included(&first))?;
        Some((*id, self.find(*id)?))
    }

    fn next_free(&self, first: u16, last: u16) -> Option<LocalSessionId> {
        let mut ids = (first..=last).filter_map(LocalSessionId::new);
        ids.find(|id| self.position(id).is_none())
    }
}

impl<const N: usize> Links for [Link; N] {
    const EMPTY: Self = [Link::NONE; N];

    fn get(&self, seat: Seat) -> Link {
        <[Link]>::get(self, seat.index()).copied().unwrap_or(Link::NONE)
    }

    fn get_mut(&mut self, seat: Seat) -> Option<&mut Link> {
        <[Link]>::get_mut(self, seat.index())
    }

    fn clear(&mut self, seat: Seat) {
        if let Some(link) = Links::get_mut(self, seat) {
            *link = Link::NONE;
        }
    }
}

/// No index: a device has few sessions. Any of the places may be the one, also beyond a limit that
/// was lowered.
#[derive(Debug)]
pub struct Unhashed<const SESSIONS: usize>;

impl<const SESSIONS: usize> Peers for Unhashed<SESSIONS> {
    const EMPTY: Self = Self;

    fn seed(&mut self, _: u64) {}

    fn insert(&mut self, _: Peer, _: Seat, _: impl Fn(Seat) -> Option<Peer>) {}

    fn remove(&mut self, _: Peer, _: Seat, _: impl Fn(Seat) -> Option<Peer>) {}

    fn candidates(&self, _: Peer) -> impl Iterator<Item = Seat> {
        (0..SESSIONS).map_while(Seat::at)
    }
}

/// One comparison for all tables of a kind: it is more code than a call.
#[inline(never)]
fn is_below<K: Ord>(a: &K, b: &K) -> bool {
    a < b
}

/// No index: a device has few records.
#[derive(Debug)]
pub struct Unindexed;

impl RecordIndex for Unindexed {
    const EMPTY: Self = Self;

    fn limit(&mut self, _: usize) {}

    fn insert(&mut self, _: ResumptionId, _: (FabricIndex, NodeId)) -> Result<(), Full> {
        Ok(())
    }

    fn remove(&mut self, _: &ResumptionId) {}

    fn get(
        &self,
        _: &ResumptionId,
        scan: impl FnOnce() -> Option<(FabricIndex, NodeId)>,
    ) -> Option<(FabricIndex, NodeId)> {
        scan()
    }
}

impl RecordOrder for Unindexed {
    const EMPTY: Self = Self;

    fn limit(&mut self, _: usize) {}

    fn insert(&mut self, _: Instant, _: (FabricIndex, NodeId)) -> Result<(), Full> {
        Ok(())
    }

    fn remove(&mut self, _: Instant, _: (FabricIndex, NodeId)) {}

    fn first(
        &self,
        scan: impl FnOnce() -> Option<(Instant, (FabricIndex, NodeId))>,
    ) -> Option<(Instant, (FabricIndex, NodeId))> {
        scan()
    }
}

/// A ring buffer.
#[derive(Debug)]
pub struct Ring<V, R> {
    places: R,
    first: usize,
    len: usize,
    limit: usize,
    entries: PhantomData<V>,
}

impl<V, R: Row<V>> Queue<V> for Ring<V, R> {
    const EMPTY: Self =
        Self { places: R::VACANT, first: 0, len: 0, limit: 0, entries: PhantomData };

    fn limit(&mut self, limit: usize) {
        self.limit = limit.max(self.len).min(R::LEN);
    }

    fn len(&self) -> usize {
        self.len
    }

    fn capacity(&self) -> usize {
        self.limit
    }

    #[inline(never)]
    fn push(&mut self, value: V) -> Result<(), Full> {
        if self.len >= self.limit {
            return Err(Full);
        }
        let last = wrapped::<V, R>(self.first.saturating_add(self.len));
        *self.places.at_mut(last).ok_or(Full)? = Place::Taken(value);
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    #[inline(never)]
    fn pop(&mut self) -> Option<V> {
        let value = self.places.at_mut(self.first)?.take();
        if value.is_some() {
            self.first = wrapped::<V, R>(self.first.saturating_add(1));
            self.len = self.len.saturating_sub(1);
        }
        value
    }
}

/// A position below twice the length, brought below the length.
fn wrapped<V, R: Row<V>>(n: usize) -> usize {
    n.checked_sub(R::LEN).unwrap_or(n)
}
