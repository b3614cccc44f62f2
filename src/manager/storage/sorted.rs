//! A table that is read much more often than it changes.

use alloc::vec::Vec;

use super::{Full, Map};

/// A row in the order of its keys: found by bisection, which a row in one piece makes cheap.
#[derive(Debug)]
pub struct Sorted<K, V> {
    entries: Vec<(K, V)>,
    capacity: usize,
}

impl<K: Copy + Ord, V> Sorted<K, V> {
    /// Where a key is, or where it would be.
    fn position(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(found, _)| found.cmp(key))
    }
}

impl<K: Copy + Ord, V> Map<K, V> for Sorted<K, V> {
    const EMPTY: Self = Self { entries: Vec::new(), capacity: 0 };

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
        let place = self.position(key).ok()?;
        self.entries.get(place).map(|(_, value)| value)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.position(key).ok()?;
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    fn insert(&mut self, key: K, value: V) -> Result<(), Full> {
        match self.position(&key) {
            Ok(place) => {
                if let Some((_, old)) = self.entries.get_mut(place) {
                    *old = value;
                }
            }
            Err(_) if self.entries.len() >= self.capacity => return Err(Full),
            Err(place) => self.entries.insert(place, (key, value)),
        }
        Ok(())
    }

    fn discard(&mut self, key: &K) -> bool {
        let place = self.position(key);
        place.is_ok_and(|place| {
            self.entries.remove(place);
            true
        })
    }

    fn iter<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    fn from<'a>(&'a self, first: K) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        let place = self.position(&first).unwrap_or_else(|place| place);
        let rest = self.entries.get(place..).unwrap_or_default();
        rest.iter().map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_map(
            steps in proptest::collection::vec((0..3_u8, 0..20_u8, any::<u8>()), 0..100),
            limit in 0..12_usize,
        ) {
            let (mut row, mut model) = (Sorted::EMPTY, BTreeMap::new());
            row.limit(limit);
            for (what, key, value) in steps {
                match what {
                    0 => {
                        let fits = model.contains_key(&key) || model.len() < limit;
                        prop_assert_eq!(row.insert(key, value), if fits { Ok(()) } else { Err(Full) });
                        if fits {
                            model.insert(key, value);
                        }
                    }
                    1 => prop_assert_eq!(row.discard(&key), model.remove(&key).is_some()),
                    _ => {
                        prop_assert_eq!(row.get(&key), model.get(&key));
                        prop_assert_eq!(row.get_mut(&key), model.get_mut(&key));
                        prop_assert!(row.from(key).eq(model.range(key..)));
                    }
                }
                prop_assert!(row.iter().eq(model.iter()));
                prop_assert_eq!((row.len(), row.capacity()), (model.len(), limit));
            }
        }
    }
}
