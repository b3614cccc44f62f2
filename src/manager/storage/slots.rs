//! What the schedule of exchanges and handshakes is made of.

use core::num::NonZeroU32;

use super::Place;
use crate::manager::handle::Source;
use crate::time::Instant;

/// The number of a slot. Counted from 1, so that a row of vacant slots is all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotNumber(NonZeroU32);

impl SlotNumber {
    /// Makes the `index`-th number, counted from 0.
    pub(in crate::manager) fn at(index: usize) -> Option<Self> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        NonZeroU32::new(number).map(Self)
    }

    /// Counted from 0.
    #[inline]
    pub(in crate::manager) const fn index(self) -> usize {
        (self.0.get() as usize).wrapping_sub(1)
    }
}

/// What the schedule holds for an exchange or handshake.
#[derive(Debug)]
pub struct Slot {
    /// Whose slot it is.
    pub(in crate::manager) source: Place<Source>,
    /// When it is due.
    pub(in crate::manager) due: Option<Instant>,
    /// What it is sorted by while it has a position. Never later than when it is due.
    pub(in crate::manager) sorted_by: Instant,
    /// Its position in the order of deadlines.
    pub(in crate::manager) position: Option<SlotNumber>,
    /// Which slot has the position with the number of this one.
    pub(in crate::manager) sorted: Option<SlotNumber>,
    /// Its neighbours among those that are ready. `next` of a vacant slot is another vacant one.
    pub(in crate::manager) next: Option<SlotNumber>,
    pub(in crate::manager) previous: Option<SlotNumber>,
}

impl Slot {
    /// Nobody's.
    pub const VACANT: Self = Self {
        source: Place::VACANT,
        due: None,
        sorted_by: Instant::ZERO,
        position: None,
        sorted: None,
        next: None,
        previous: None,
    };
}

/// A row of slots.
pub trait Slots {
    /// An empty row.
    const EMPTY: Self;
    /// Returns a slot.
    fn get(&self, number: SlotNumber) -> Option<&Slot>;
    /// Returns a slot, to be changed.
    fn get_mut(&mut self, number: SlotNumber) -> Option<&mut Slot>;
    /// Adds a slot with this index, the first that there is not. `None` if there is no room.
    fn add(&mut self, index: usize) -> Option<SlotNumber>;
    /// Removes all slots. They are vacant.
    fn clear(&mut self);
}
