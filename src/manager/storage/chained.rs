//! Exchanges on the heap: a chain for each session.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::pages::Pages;
use super::{ExchangeTable, Full, Map, SlotNumber};
use crate::ids::LocalSessionId;
use crate::manager::handle::ExchangeKey;

/// Exchanges in slots. Those of a session are a ring in the order of their keys, found by the
/// session's id.
///
/// ```text
/// id of the session ──▶ last ──▶ first ──▶ second ─┐
///                         ▲                        │
///                         └────────────────────────┘
/// ```
/// Exchange ids ascend: a new exchange is most often the last of its session, and found to be new by
/// one look. A session has as many exchanges as the configuration allows, whatever keys peers choose.
#[derive(Debug)]
pub struct Chained<V> {
    /// The slot of the last exchange of each session that has any.
    last: Pages<SlotNumber>,
    slots: Vec<Chain<V>>,
    /// The first slot that is vacant.
    vacant: Option<SlotNumber>,
    /// The slot that was asked for last, to be changed: most often it is asked for again.
    recent: Option<SlotNumber>,
    len: usize,
    capacity: usize,
}

#[derive(Debug)]
struct Chain<V> {
    key: ExchangeKey,
    /// `None` in a vacant slot.
    value: Option<V>,
    /// The next exchange of the session, or the next vacant slot.
    next: Option<SlotNumber>,
}

/// How many slots an empty table keeps.
const QUIET: usize = 8;

impl<V> Chained<V> {
    #[inline]
    fn at(&self, slot: SlotNumber) -> Option<&Chain<V>> {
        self.slots.get(slot.index())
    }

    #[inline]
    fn at_mut(&mut self, slot: SlotNumber) -> Option<&mut Chain<V>> {
        self.slots.get_mut(slot.index())
    }

    #[inline]
    fn last_of(&self, session: LocalSessionId) -> Option<SlotNumber> {
        self.last.get(session.get())
    }

    /// The slot before this key in the ring of its session, and the slot with the key.
    fn around(&self, key: &ExchangeKey) -> (Option<SlotNumber>, Option<SlotNumber>) {
        let mut before = self.last_of(key.session);
        if before.and_then(|last| self.at(last)).is_some_and(|last| last.key < *key) {
            return (before, None);
        }
        // Where many are begun in a row, the former one is near.
        let near = self.recent.filter(|recent| {
            self.at(*recent).is_some_and(|recent| {
                recent.value.is_some() && recent.key.session == key.session && recent.key < *key
            })
        });
        before = near.or(before);
        while let Some(slot) = before.and_then(|before| self.at(before)?.next)
            && let Some(next) = self.at(slot)
        {
            match next.key.cmp(key) {
                Ordering::Less => before = Some(slot),
                Ordering::Equal => return (before, Some(slot)),
                Ordering::Greater => return (before, None),
            }
        }
        (before, None)
    }

    #[inline]
    fn find(&self, key: &ExchangeKey) -> Option<SlotNumber> {
        if let Some(recent) = self.recent
            && self.at(recent).is_some_and(|recent| recent.key == *key && recent.value.is_some())
        {
            return Some(recent);
        }
        let last = self.last_of(key.session)?;
        match self.at(last)?.key.cmp(key) {
            Ordering::Less => None,
            Ordering::Equal => Some(last),
            Ordering::Greater => self.around(key).1,
        }
    }

    /// Takes an exchange out of the ring of its session.
    fn unlink(&mut self, key: &ExchangeKey) -> Option<SlotNumber> {
        let (before, slot) = self.around(key);
        let (before, slot) = (before?, slot?);
        let next = self.at(slot)?.next;
        if before == slot {
            self.last.set(key.session.get(), None);
        } else if self.last_of(key.session) == Some(slot) {
            self.last.set(key.session.get(), Some(before));
        }
        self.at_mut(before)?.next = next;
        let vacant = self.vacant.replace(slot);
        self.at_mut(slot)?.next = vacant;
        self.len = self.len.saturating_sub(1);
        Some(slot)
    }

    /// Gives memory back when few of many slots are in use.
    fn shrink(&mut self) {
        if self.slots.len() > QUIET && self.len < self.slots.len() / 8 {
            let room = Vec::with_capacity(self.len.saturating_mul(2));
            let slots = core::mem::replace(&mut self.slots, room);
            (self.last, self.vacant, self.recent, self.len) = (Pages::EMPTY, None, None, 0);
            for Chain { key, value, .. } in slots {
                if let Some(value) = value {
                    let (before, _) = self.around(&key);
                    self.add(before, key, value);
                }
            }
        }
    }

    /// Adds an exchange that is new after the one before it.
    #[inline]
    fn add(&mut self, before: Option<SlotNumber>, key: ExchangeKey, value: V) -> Option<()> {
        let slot = match self.vacant {
            Some(slot) => {
                let chain = self.at_mut(slot)?;
                chain.key = key;
                chain.value = Some(value);
                self.vacant = chain.next;
                slot
            }
            None => {
                let slot = SlotNumber::at(self.slots.len())?;
                self.slots.push(Chain { key, value: Some(value), next: None });
                slot
            }
        };
        self.link(before, key, slot)
    }

    /// Puts an exchange into the ring of its session.
    fn link(
        &mut self,
        before: Option<SlotNumber>,
        key: ExchangeKey,
        slot: SlotNumber,
    ) -> Option<()> {
        let next = match before {
            Some(before) => self.at_mut(before)?.next.replace(slot),
            None => Some(slot),
        };
        self.at_mut(slot)?.next = next;
        // After the last one comes the first, or a new last one.
        let is_last = match before {
            Some(before) => self.last_of(key.session) == Some(before) && self.at(before)?.key < key,
            None => true,
        };
        if is_last {
            self.last.set(key.session.get(), Some(slot));
        }
        self.recent = Some(slot);
        self.len = self.len.saturating_add(1);
        Some(())
    }

    /// The first exchange of the first session that has any, of those whose id is not below this.
    fn first_of_sessions(&self, id: Option<u16>) -> Option<SlotNumber> {
        let (_, last) = self.last.next(id?)?;
        self.at(last)?.next
    }

    /// The first exchange of a session from a key on.
    fn first_of_session(&self, first: &ExchangeKey) -> Option<SlotNumber> {
        let last = self.last_of(first.session)?;
        if self.at(last)?.key < *first {
            return None;
        }
        self.around(first).0.and_then(|before| self.at(before)?.next)
    }

    /// Exchanges from this one on, to the end of its session.
    fn chain(&self, first: Option<SlotNumber>) -> impl Iterator<Item = (&ExchangeKey, &V)> {
        let mut next = first;
        core::iter::from_fn(move || {
            let slot = next.take()?;
            let Chain { key, value, next: after } = self.at(slot)?;
            next = after.filter(|_| self.last_of(key.session) != Some(slot));
            Some((key, value.as_ref()?))
        })
    }
}

impl<V> Chained<V> {
    /// Exchanges from this one on, to the end of the last session.
    fn walk(&self, first: Option<SlotNumber>) -> impl Iterator<Item = (&ExchangeKey, &V)> {
        let mut chain = self.chain(first);
        let mut session = None;
        core::iter::from_fn(move || {
            let next = chain.next().or_else(|| {
                let later = session.and_then(|id: LocalSessionId| id.get().checked_add(1));
                chain = self.chain(self.first_of_sessions(later));
                chain.next()
            })?;
            session = Some(next.0.session);
            Some(next)
        })
    }
}

impl<V> Map<ExchangeKey, V> for Chained<V> {
    const EMPTY: Self = Self {
        last: Pages::EMPTY,
        slots: Vec::new(),
        vacant: None,
        recent: None,
        len: 0,
        capacity: 0,
    };

    fn limit(&mut self, limit: usize) {
        self.capacity = limit.max(self.len);
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn get(&self, key: &ExchangeKey) -> Option<&V> {
        self.at(self.find(key)?)?.value.as_ref()
    }

    #[inline]
    fn get_mut(&mut self, key: &ExchangeKey) -> Option<&mut V> {
        let slot = self.find(key)?;
        self.recent = Some(slot);
        self.at_mut(slot)?.value.as_mut()
    }

    #[inline]
    fn insert(&mut self, key: ExchangeKey, value: V) -> Result<(), Full> {
        let (before, own) = self.around(&key);
        if let Some(own) = own.and_then(|own| self.at_mut(own)) {
            own.value = Some(value);
            return Ok(());
        }
        if self.len >= self.capacity {
            return Err(Full);
        }
        self.add(before, key, value).ok_or(Full)
    }

    fn discard(&mut self, key: &ExchangeKey) -> bool {
        let Some(slot) = self.unlink(key) else { return false };
        if let Some(chain) = self.at_mut(slot) {
            chain.value = None;
        }
        self.shrink();
        true
    }

    fn iter<'a>(&'a self) -> impl Iterator<Item = (&'a ExchangeKey, &'a V)>
    where
        V: 'a,
    {
        // No session has the id 0.
        self.walk(self.first_of_sessions(Some(1)))
    }

    fn from<'a>(&'a self, first: ExchangeKey) -> impl Iterator<Item = (&'a ExchangeKey, &'a V)>
    where
        V: 'a,
    {
        let later = || self.first_of_sessions(first.session.get().checked_add(1));
        self.walk(self.first_of_session(&first).or_else(later))
    }
}

impl<V> ExchangeTable<V> for Chained<V> {
    fn take(&mut self, key: &ExchangeKey) -> Option<V> {
        let slot = self.unlink(key)?;
        let value = self.at_mut(slot)?.value.take();
        self.shrink();
        value
    }

    fn of_session<'a>(
        &'a self,
        session: LocalSessionId,
    ) -> impl Iterator<Item = (&'a ExchangeKey, &'a V)>
    where
        V: 'a,
    {
        self.chain(self.last_of(session).and_then(|last| self.at(last)?.next))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::ExchangeId;

    fn key() -> impl Strategy<Value = ExchangeKey> {
        let session = prop_oneof![4 => 1..4_u16, 1 => Just(255), 1 => Just(256), 1 => Just(65_535)];
        let key = |(session, id, initiator)| ExchangeKey {
            session: LocalSessionId::new(session).unwrap(),
            id: ExchangeId::new(id),
            initiator,
        };
        (session, 0..40_u16, any::<bool>()).prop_map(key)
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(ops in prop::collection::vec((key(), 0..8_u8), 0..400)) {
            const LIMIT: usize = 120;
            let mut table = Chained::<usize>::EMPTY;
            table.limit(LIMIT);
            let mut model = BTreeMap::new();
            // At first exchanges come, then they go.
            let half = ops.len() / 2;
            for (n, (key, op)) in ops.into_iter().enumerate() {
                match op {
                    0 => prop_assert_eq!(table.discard(&key), model.remove(&key).is_some()),
                    1 => prop_assert_eq!(table.take(&key), model.remove(&key)),
                    2 => prop_assert_eq!(table.get_mut(&key), model.get_mut(&key)),
                    _ if n > half => {
                        let Some(first) = model.keys().next().copied() else { continue };
                        prop_assert_eq!(table.take(&first), model.remove(&first));
                    }
                    _ => {
                        let fits = model.contains_key(&key) || model.len() < LIMIT;
                        prop_assert_eq!(table.insert(key, n).is_ok(), fits);
                        if fits {
                            model.insert(key, n);
                        }
                    }
                }
                prop_assert_eq!(table.get(&key), model.get(&key));
                prop_assert!(table.iter().eq(&model));
                prop_assert!(table.from(key).eq(model.range(key..)));
                let of_session = model.iter().filter(|(other, _)| other.session == key.session);
                prop_assert!(table.of_session(key.session).eq(of_session));
                prop_assert_eq!((table.len(), table.capacity()), (model.len(), LIMIT));
                prop_assert!(table.slots.len() <= QUIET.max(8 * model.len() + 7));
            }
        }
    }
}
