//! Queues in arrays.

use core::marker::PhantomData;

use super::table::Row;
use crate::manager::storage::{Full, Place, Queue};

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

    fn iter<'a>(&'a self) -> impl Iterator<Item = &'a V>
    where
        V: 'a,
    {
        let places = (0..self.len).map(|n| wrapped::<V, R>(self.first.saturating_add(n)));
        places.filter_map(|n| self.places.at(n)?.get())
    }
}

/// A position below twice the length, brought below the length.
fn wrapped<V, R: Row<V>>(n: usize) -> usize {
    n.checked_sub(R::LEN).unwrap_or(n)
}
