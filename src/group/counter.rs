//! The counters of a node's own group messages.

use core::marker::PhantomData;

use rand_core::CryptoRng;
use thiserror::Error;

use crate::crypto::{FreshCounter, PersistedCounter};
use crate::ids::{GroupId, MessageCounter, NodeId};

/// How many messages there are between two writes to the [`CounterStore`]. [Core, "Global Group
/// Encrypted Message Counters"]
pub const COUNTER_BLOCK: u32 = 1000;

/// One of the two counters of a node's group messages. Both belong to the node, not to a key or a
/// fabric, and last until a factory reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum GroupCounter {
    /// The counter of messages to groups.
    Data,
    /// The counter of control messages, by which counters are synchronised.
    Control,
}

/// The store failed to load or to store a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the counter store failed")]
pub struct StoreError;

/// No counter is left, or none could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CounterError {
    /// The counter store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Every value of the counter has been used. The next ones would repeat nonces under keys that
    /// are still installed.
    #[error("every value of the group counter has been used; reset the node")]
    Exhausted,
}

/// No value comes twice before this position: the first is not 0.
const END: u64 = 1 << 32;

/// A store that keeps the bounds of group counters over restarts. [`PersistedCounter`] says what it
/// promises. The manager calls it before the first message after a start, and every 1,000 messages.
///
/// A store belongs to one node. Managers that write to it in turns do not repeat counters; managers
/// that write at the same moment may. If a store forgets a bound, the node uses counters again, and
/// so nonces: keep bounds in memory in tests only.
///
/// Name it in [`Services::with_counters`](crate::context::Services::with_counters).
pub trait CounterStore {
    /// Loads the bound that was stored last; `None` if there never was one.
    ///
    /// # Errors
    /// [`StoreError`] if reading fails. Do not return `None` then: counters would be used again.
    fn load(&mut self, counter: GroupCounter) -> Result<Option<u64>, StoreError>;

    /// Stores a bound. It must be stored durably when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; no message is sent then.
    fn store(&mut self, counter: GroupCounter, bound: u64) -> Result<(), StoreError>;
}

/// A counter that has been used for nothing yet, for a message to a [`GroupId`] (data) or to a
/// [`NodeId`] (control): each kind has a counter of its own.
#[derive(Debug)]
pub struct Fresh<T>(FreshCounter, PhantomData<T>);

impl<T> Fresh<T> {
    const fn new(counter: FreshCounter) -> Self {
        Self(counter, PhantomData)
    }

    /// Makes a counter of the caller's choice, for tests of recorded traffic.
    #[cfg(any(test, feature = "_test-util"))]
    #[must_use]
    pub const fn dangerous(counter: FreshCounter) -> Self {
        Self::new(counter)
    }

    pub(super) fn into_counter(self) -> FreshCounter {
        self.0
    }
}

/// Both counters of a node's group messages, as far as they have been asked for.
#[derive(Debug, Default)]
pub struct GroupCounters {
    data: Option<PersistedCounter>,
    control: Option<PersistedCounter>,
}

impl GroupCounters {
    /// Knows none until the store is asked.
    #[must_use]
    pub const fn new() -> Self {
        Self { data: None, control: None }
    }

    /// Returns the counter of the next message to a group.
    ///
    /// # Errors
    /// [`CounterError`].
    pub fn take_data(
        &mut self,
        store: &mut dyn CounterStore,
        rng: &mut dyn CryptoRng,
    ) -> Result<Fresh<GroupId>, CounterError> {
        let counter = loaded(&mut self.data, GroupCounter::Data, store, rng)?;
        take(counter, GroupCounter::Data, store).map(Fresh::new)
    }

    /// Returns the counter of the next control message.
    ///
    /// # Errors
    /// [`CounterError`].
    pub fn take_control(
        &mut self,
        store: &mut dyn CounterStore,
        rng: &mut dyn CryptoRng,
    ) -> Result<Fresh<NodeId>, CounterError> {
        let counter = loaded(&mut self.control, GroupCounter::Control, store, rng)?;
        take(counter, GroupCounter::Control, store).map(Fresh::new)
    }

    /// Returns how many more messages a counter serves for. `None` before it was used since the
    /// start.
    #[must_use]
    pub fn remaining(&self, counter: GroupCounter) -> Option<u64> {
        let counter = match counter {
            GroupCounter::Data => self.data.as_ref(),
            GroupCounter::Control => self.control.as_ref(),
        };
        counter.map(|counter| END.saturating_sub(counter.position()))
    }

    /// Returns the counter of the last message to a group, which the node sends when it is asked
    /// for its counter. Every later message has a larger counter.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed.
    pub fn last_data(
        &mut self,
        store: &mut dyn CounterStore,
        rng: &mut dyn CryptoRng,
    ) -> Result<MessageCounter, StoreError> {
        let counter = loaded(&mut self.data, GroupCounter::Data, store, rng)?;
        let [a, b, c, d, ..] = counter.position().wrapping_sub(1).to_le_bytes();
        Ok(MessageCounter::new(u32::from_le_bytes([a, b, c, d])))
    }
}

/// A counter, fetched from the store if need be.
fn loaded<'a>(
    place: &'a mut Option<PersistedCounter>,
    kind: GroupCounter,
    store: &mut dyn CounterStore,
    rng: &mut dyn CryptoRng,
) -> Result<&'a mut PersistedCounter, StoreError> {
    if place.is_none() {
        *place = Some(match store.load(kind)? {
            Some(bound) => PersistedCounter::restored(bound, COUNTER_BLOCK),
            None => {
                let mut counter = PersistedCounter::random(COUNTER_BLOCK, rng);
                // Whoever is told of this start must not see a lower one after a restart.
                if let Some(bound) = counter.bound_to_store() {
                    store.store(kind, bound)?;
                    counter.stored(bound);
                }
                counter
            }
        });
    }
    place.as_mut().ok_or(StoreError)
}

fn take(
    counter: &mut PersistedCounter,
    kind: GroupCounter,
    store: &mut dyn CounterStore,
) -> Result<FreshCounter, CounterError> {
    check_end(counter)?;
    if let Ok(fresh) = counter.take() {
        return Ok(fresh);
    }
    // A write that was said to have failed may have landed, and another process may count, too:
    // what is used comes after whatever is stored.
    let stored = store.load(kind)?.filter(|stored| *stored >= counter.position());
    *counter = PersistedCounter::restored(stored.ok_or(StoreError)?, COUNTER_BLOCK);
    check_end(counter)?;
    if let Some(bound) = counter.bound_to_store() {
        store.store(kind, bound)?;
        counter.stored(bound);
    }
    counter.take().map_err(|_| StoreError.into())
}

const fn check_end(counter: &PersistedCounter) -> Result<(), CounterError> {
    if counter.position() < END { Ok(()) } else { Err(CounterError::Exhausted) }
}
