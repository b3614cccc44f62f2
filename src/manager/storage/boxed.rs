//! A table on the heap whose values hold secrets.

use alloc::boxed::Box;

use super::tree::Tree;
use super::{Full, Map, SecretPlace};

/// A B-tree with a box for each value.
///
/// The nodes of a B-tree move what they hold when entries come and go, and wipe nothing behind.
/// Here they move keys and pointers alone: a value stays where it was put until it is dropped
/// there.
#[derive(Debug)]
pub struct Boxed<K, V>(Tree<K, Box<SecretPlace<V>>>);

impl<K: Copy + Ord, V> Map<K, V> for Boxed<K, V> {
    const EMPTY: Self = Self(Map::EMPTY);

    fn limit(&mut self, limit: usize) {
        self.0.limit(limit);
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)?.get()
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)?.get_mut()
    }

    fn insert(&mut self, key: K, value: V) -> Result<(), Full> {
        self.0.insert(key, Box::new(SecretPlace::of(value)))
    }

    fn discard(&mut self, key: &K) -> bool {
        self.0.discard(key)
    }

    fn iter<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        // There is a value in every box.
        self.0.iter().filter_map(|(key, place)| Some((key, place.get()?)))
    }

    fn from<'a>(&'a self, first: K) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        self.0.from(first).filter_map(|(key, place)| Some((key, place.get()?)))
    }
}
