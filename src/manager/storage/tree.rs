//! An ordered map on the heap.

use alloc::collections::BTreeMap;

use super::{Full, Map};

/// A B-tree with a limit.
#[derive(Debug)]
pub struct Tree<K, V> {
    entries: BTreeMap<K, V>,
    capacity: usize,
}

impl<K: Copy + Ord, V> Map<K, V> for Tree<K, V> {
    const EMPTY: Self = Self { entries: BTreeMap::new(), capacity: 0 };

    fn limit(&mut self, limit: usize) {
        self.capacity = limit.max(self.entries.len());
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    fn insert(&mut self, key: K, value: V) -> Result<(), Full> {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            return Err(Full);
        }
        self.entries.insert(key, value);
        Ok(())
    }

    fn discard(&mut self, key: &K) -> bool {
        self.entries.remove(key).is_some()
    }

    fn iter<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        self.entries.iter()
    }

    fn from<'a>(&'a self, first: K) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        self.entries.range(first..)
    }
}
