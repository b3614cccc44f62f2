//! Rows of places, and tables in them.

use core::marker::PhantomData;
use core::ops::Bound;

use crate::ids::LocalSessionId;
use crate::manager::handle::ExchangeKey;
use crate::manager::storage::{ExchangeTable, Full, Map, Place, Seat, Seats, SecretPlace};

/// Places for so many values.
pub(super) type Places<V, const N: usize> = [Place<V>; N];

/// The same for values that hold secrets.
pub(super) type SecretPlaces<V, const N: usize> = [SecretPlace<V>; N];

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
    /// Drops the value in a place where it is.
    fn clear(&mut self, n: usize) {
        if let Some(place) = self.at_mut(n) {
            *place = Place::VACANT;
        }
    }
}

impl<V, const N: usize> Row<V> for Places<V, N> {
    const VACANT: Self = [const { Place::VACANT }; N];
    const LEN: usize = N;

    fn at(&self, n: usize) -> Option<&Place<V>> {
        self.get(n)
    }

    fn at_mut(&mut self, n: usize) -> Option<&mut Place<V>> {
        self.get_mut(n)
    }
}

impl<V, const N: usize> Row<V> for SecretPlaces<V, N> {
    const VACANT: Self = [const { SecretPlace::VACANT }; N];
    const LEN: usize = N;

    fn at(&self, n: usize) -> Option<&Place<V>> {
        self.get(n).map(SecretPlace::place)
    }

    fn at_mut(&mut self, n: usize) -> Option<&mut Place<V>> {
        self.get_mut(n).map(SecretPlace::place_mut)
    }

    fn clear(&mut self, n: usize) {
        if let Some(place) = self.get_mut(n) {
            place.clear();
        }
    }
}

impl<V, const M: usize, const N: usize> Row<V> for [Places<V, M>; N] {
    const VACANT: Self = [const { [const { Place::VACANT }; M] }; N];
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
        let (place, len) = match self.position(&key) {
            Some(own) => (own, self.len),
            None if self.len >= self.limit => return Err(Full),
            None => {
                let vacant = (0..R::LEN).find(|n| self.entry(*n).is_none()).ok_or(Full)?;
                (vacant, self.len.saturating_add(1))
            }
        };
        // One assignment for both: each kind of entry has a copy of this function, and assigning
        // to the value alone can bring `memmove` into the image, 1,600 bytes.
        *self.places.at_mut(place).ok_or(Full)? = Place::Taken((key, value));
        self.len = len;
        Ok(())
    }

    fn discard(&mut self, key: &K) -> bool {
        let Some(n) = self.position(key) else { return false };
        self.places.clear(n);
        self.len = self.len.saturating_sub(1);
        true
    }

    // In any order: each step to the next key searches all places.
    fn count(&self, _first: K, within: impl Fn(&K) -> bool, which: impl Fn(&K) -> bool) -> usize {
        let is_counted = |(key, _): &(K, V)| within(key) && which(key);
        (0..R::LEN).filter(|n| self.entry(*n).is_some_and(is_counted)).count()
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

impl<V, R: Row<(ExchangeKey, V)>> ExchangeTable<V> for Table<ExchangeKey, V, R> {
    #[inline(never)]
    fn take(&mut self, key: &ExchangeKey) -> Option<V> {
        let n = self.position(key)?;
        let (_, value) = self.places.at_mut(n)?.take()?;
        self.len = self.len.saturating_sub(1);
        Some(value)
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

/// One comparison for all tables of a kind: it is more code than a call.
#[inline(never)]
fn is_below<K: Ord>(a: &K, b: &K) -> bool {
    a < b
}
