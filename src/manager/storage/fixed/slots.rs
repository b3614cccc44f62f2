//! Slots of the schedule, in arrays.

use crate::manager::storage::slots::{Slot, SlotNumber, Slots};

/// Two rows, one after the other, as array lengths cannot be added up.
#[derive(Debug)]
pub struct SlotRows<const M: usize, const N: usize>([Slot; M], [Slot; N]);

impl<const M: usize, const N: usize> Slots for SlotRows<M, N> {
    const EMPTY: Self = Self([const { Slot::VACANT }; M], [const { Slot::VACANT }; N]);

    #[inline(never)]
    fn get(&self, number: SlotNumber) -> Option<&Slot> {
        let Self(first, second) = self;
        let index = number.index();
        index.checked_sub(M).map_or_else(|| first.get(index), |rest| second.get(rest))
    }

    #[inline(never)]
    fn get_mut(&mut self, number: SlotNumber) -> Option<&mut Slot> {
        let Self(first, second) = self;
        let index = number.index();
        match index.checked_sub(M) {
            None => first.get_mut(index),
            Some(rest) => second.get_mut(rest),
        }
    }

    fn add(&mut self, index: usize) -> Option<SlotNumber> {
        let number = SlotNumber::at(index)?;
        self.get(number).map(|_| number)
    }

    fn clear(&mut self) {}
}
