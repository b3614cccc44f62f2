//! Secure sessions on the heap: a place for each, found by its id in two steps.

use alloc::vec::Vec;

use super::pages::Pages;
use super::{Full, Seat, Seats, SecretPlace};
use crate::ids::LocalSessionId;

/// Sessions in chunks, which come and go with the sessions in them, and a map from ids to places
/// in pages.
#[derive(Debug)]
pub struct Slab<V> {
    pages: Pages<Seat>,
    chunks: Vec<Chunk<V>>,
    /// No chunk before this one has room.
    vacant: usize,
    len: usize,
    limit: usize,
}

/// 64 places.
#[derive(Debug)]
struct Chunk<V> {
    places: Vec<SecretPlace<V>>,
    /// A bit for each place.
    taken: u64,
}

const CHUNK: usize = 64;

impl<V> Chunk<V> {
    const EMPTY: Self = Self { places: Vec::new(), taken: 0 };
}

impl<V> Slab<V> {
    /// A place that is free.
    fn vacancy(&mut self) -> usize {
        let full = self.chunks.iter().skip(self.vacant).take_while(|chunk| chunk.taken == u64::MAX);
        self.vacant = self.vacant.saturating_add(full.count());
        if self.chunks.len() <= self.vacant {
            self.chunks.push(Chunk::EMPTY);
        }
        let taken = self.chunks.get(self.vacant).map_or(0, |chunk| chunk.taken);
        self.vacant * CHUNK + taken.trailing_ones() as usize
    }
}

impl<V> Seats<V> for Slab<V> {
    const EMPTY: Self =
        Self { pages: Pages::EMPTY, chunks: Vec::new(), vacant: 0, len: 0, limit: 0 };

    fn limit(&mut self, limit: usize) {
        self.limit = limit.max(self.len);
    }

    fn capacity(&self) -> usize {
        self.limit
    }

    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn find(&self, id: LocalSessionId) -> Option<Seat> {
        self.pages.get(id.get())
    }

    #[inline]
    fn get(&self, seat: Seat) -> Option<&V> {
        let n = seat.index();
        self.chunks.get(n / CHUNK)?.places.get(n % CHUNK)?.get()
    }

    #[inline]
    fn get_mut(&mut self, seat: Seat) -> Option<&mut V> {
        let n = seat.index();
        self.chunks.get_mut(n / CHUNK)?.places.get_mut(n % CHUNK)?.get_mut()
    }

    fn insert(&mut self, id: LocalSessionId, value: V) -> Result<Seat, Full> {
        if self.len >= self.limit || self.find(id).is_some() {
            return Err(Full);
        }
        let n = self.vacancy();
        let seat = Seat::at(n).ok_or(Full)?;
        let chunk = self.chunks.get_mut(n / CHUNK).ok_or(Full)?;
        if chunk.places.is_empty() {
            chunk.places = core::iter::repeat_with(|| SecretPlace::VACANT).take(CHUNK).collect();
        }
        chunk.places.get_mut(n % CHUNK).ok_or(Full)?.set(value);
        chunk.taken |= 1 << (n % CHUNK);
        self.pages.set(id.get(), Some(seat));
        self.len = self.len.saturating_add(1);
        Ok(seat)
    }

    fn discard(&mut self, id: LocalSessionId) {
        let Some(seat) = self.find(id) else { return };
        let n = seat.index();
        self.pages.set(id.get(), None);
        self.len = self.len.saturating_sub(1);
        if let Some(chunk) = self.chunks.get_mut(n / CHUNK) {
            if let Some(place) = chunk.places.get_mut(n % CHUNK) {
                place.clear();
            }
            chunk.taken &= !(1 << (n % CHUNK));
            if chunk.taken == 0 {
                *chunk = Chunk::EMPTY;
            }
        }
        self.vacant = self.vacant.min(n / CHUNK);
        if self.len == 0 {
            (self.pages, self.chunks) = (Pages::EMPTY, Vec::new());
        }
    }

    fn next(&self, first: u16) -> Option<(LocalSessionId, Seat)> {
        let (id, seat) = self.pages.next(first)?;
        Some((LocalSessionId::new(id)?, seat))
    }

    fn next_free(&self, first: u16, last: u16) -> Option<LocalSessionId> {
        LocalSessionId::new(self.pages.next_free(first.max(1), last)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(id: u16) -> LocalSessionId {
        LocalSessionId::new(id).unwrap()
    }

    /// Ids at the borders of pages and of the range, and some that fill a page.
    fn any_id() -> impl Strategy<Value = u16> {
        prop_oneof![1..400_u16, 65_200..=65_535_u16, Just(255), Just(256), Just(511)]
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(ops in prop::collection::vec((any_id(), 0..3_u8), 0..900)) {
            const LIMIT: usize = 300;
            let mut slab = Slab::<u32>::EMPTY;
            slab.limit(LIMIT);
            let mut model = BTreeMap::new();
            let mut places = BTreeMap::new();
            for (n, (local, op)) in (0_u32..).zip(ops) {
                if op > 0 {
                    let fits = model.len() < LIMIT && !model.contains_key(&local);
                    let inserted = slab.insert(id(local), n);
                    prop_assert_eq!(inserted.is_ok(), fits);
                    if let Ok(seat) = inserted {
                        model.insert(local, n);
                        places.insert(local, seat);
                    }
                } else {
                    slab.discard(id(local));
                    model.remove(&local);
                    places.remove(&local);
                }
                prop_assert_eq!(slab.len(), model.len());
                prop_assert_eq!(slab.find(id(local)), places.get(&local).copied());
                let free = (local..=65_535).find(|id| !model.contains_key(id));
                prop_assert_eq!(slab.next_free(local, 65_535).map(LocalSessionId::get), free);
                let next = model.range(local..).next().map(|(id, _)| *id);
                prop_assert_eq!(slab.next(local).map(|(id, _)| id.get()), next);
            }
            // Whoever came or went meanwhile, each stands where it was put.
            for (local, value) in &model {
                let seat = places.get(local).copied().unwrap();
                prop_assert_eq!(slab.get(seat), Some(value));
            }
            let values: Vec<u32> = slab.iter().map(|(_, value)| *value).collect();
            prop_assert_eq!(values, model.values().copied().collect::<Vec<_>>());
            for local in model.into_keys() {
                slab.discard(id(local));
            }
            prop_assert_eq!((slab.pages.capacity(), slab.chunks.capacity()), (0, 0));
        }
    }
}
