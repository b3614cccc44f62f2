//! The slots of the schedule: a heap of deadlines and a ring of those that are ready, both through
//! the slots themselves.
//!
//! ```text
//! position  0   1   2   3 ...     each slot has its position, and the first has the earliest
//!           a   c   b   d         deadline: every slot is sorted before those at 2n + 1 and 2n + 2
//!
//! last ──▶ c ──▶ a ──▶ d ──┐      the next slot to have its turn is the one after the last
//!          ▲               │
//!          └───────────────┘
//! ```
//! A deadline that is put off is not sorted anew before it would be the first. Most deadlines are
//! put off, or met, long before that.

use crate::manager::handle::Source;
use crate::manager::storage::{Place, SlotNumber, Slots, Storage};
use crate::time::Instant;

/// The slots of exchanges and handshakes.
pub(super) struct SlotTable<S: Storage> {
    slots: S::Slots,
    /// How many slots the row has.
    len: usize,
    /// How many of them are in use.
    used: usize,
    /// The first vacant slot.
    vacant: Option<SlotNumber>,
    /// How many have a position in the order of deadlines.
    sorted: usize,
    /// The last of the ring of those that are ready.
    last: Option<SlotNumber>,
}

impl<S: Storage> SlotTable<S> {
    pub(super) const EMPTY: Self =
        Self { slots: Slots::EMPTY, len: 0, used: 0, vacant: None, sorted: 0, last: None };

    #[inline]
    pub(super) fn source(&self, number: SlotNumber) -> Option<Source> {
        self.slots.get(number)?.source.get().copied()
    }

    /// Takes a vacant slot.
    pub(super) fn take(&mut self, source: Source) -> Option<SlotNumber> {
        let number = match self.vacant {
            Some(number) => {
                self.vacant = self.slots.get(number)?.next;
                number
            }
            None => {
                let number = self.slots.add(self.len)?;
                self.len = self.len.saturating_add(1);
                number
            }
        };
        let slot = self.slots.get_mut(number)?;
        slot.source = Place::Taken(source);
        slot.next = None;
        self.used = self.used.saturating_add(1);
        Some(number)
    }

    /// Makes a slot vacant.
    pub(super) fn release(&mut self, number: SlotNumber) {
        self.unlink(number);
        self.unsort(number);
        if let Some(slot) = self.slots.get_mut(number) {
            (slot.source, slot.due, slot.next) = (Place::VACANT, None, self.vacant);
            self.vacant = Some(number);
            self.used = self.used.saturating_sub(1);
        }
        if self.used == 0 {
            self.slots.clear();
            (self.len, self.vacant) = (0, None);
        }
        self.settle();
    }
}

/// The order of deadlines.
impl<S: Storage> SlotTable<S> {
    /// Returns how many are sorted.
    pub(super) const fn sorted(&self) -> usize {
        self.sorted
    }

    /// Returns the earliest deadline, and whose it is.
    #[inline]
    pub(super) fn first(&self) -> Option<(Instant, SlotNumber)> {
        let first = self.sorted_at(0)?;
        Some((self.slots.get(first)?.due?, first))
    }

    /// Sets when a slot is due.
    #[inline]
    pub(super) fn set_due(&mut self, number: SlotNumber, due: Option<Instant>) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        if slot.due == due {
            return;
        }
        slot.due = due;
        if let Some(due) = due {
            match slot.position {
                Some(position) if due < slot.sorted_by => {
                    slot.sorted_by = due;
                    self.sift_up(position.index(), number);
                }
                Some(_) => {}
                None => {
                    slot.sorted_by = due;
                    let end = self.sorted;
                    self.sorted = self.sorted.saturating_add(1);
                    self.sift_up(end, number);
                }
            }
        }
        self.settle();
    }

    /// Takes the deadline of a slot that is due, the first. The order is settled with its next one.
    pub(super) fn met(&mut self, number: SlotNumber) {
        if let Some(slot) = self.slots.get_mut(number) {
            slot.due = None;
        }
    }

    /// Sorts the first slot anew until it is due when it is sorted.
    #[inline]
    pub(super) fn settle(&mut self) {
        while let Some(first) = self.sorted_at(0)
            && let Some(slot) = self.slots.get_mut(first)
            && slot.due != Some(slot.sorted_by)
        {
            match slot.due {
                Some(due) => {
                    slot.sorted_by = due;
                    self.sift_down(0, first);
                }
                None => self.unsort(first),
            }
        }
    }

    #[inline]
    fn sorted_at(&self, position: usize) -> Option<SlotNumber> {
        self.slots.get(SlotNumber::at(position)?)?.sorted
    }

    /// Returns true if one slot is sorted before the other. Slots that are due at once are sorted by
    /// their source.
    #[inline]
    fn is_before(&self, one: SlotNumber, other: SlotNumber) -> bool {
        let (Some(one), Some(other)) = (self.slots.get(one), self.slots.get(other)) else {
            return false;
        };
        one.sorted_by < other.sorted_by
            || one.sorted_by == other.sorted_by && one.source.get() < other.source.get()
    }

    #[inline]
    fn place(&mut self, position: usize, number: SlotNumber) {
        let Some(position) = SlotNumber::at(position) else { return };
        if let Some(slot) = self.slots.get_mut(position) {
            slot.sorted = Some(number);
        }
        if let Some(slot) = self.slots.get_mut(number) {
            slot.position = Some(position);
        }
    }

    /// Finds the position of a slot from this one on towards the first.
    #[inline(never)]
    fn sift_up(&mut self, from: usize, number: SlotNumber) {
        let mut position = from;
        while let Some(above) = position.checked_sub(1).map(|below| below / 2)
            && let Some(other) = self.sorted_at(above)
            && self.is_before(number, other)
        {
            self.place(position, other);
            position = above;
        }
        self.place(position, number);
    }

    /// Finds the position of a slot from this one on towards the last.
    #[inline(never)]
    fn sift_down(&mut self, from: usize, number: SlotNumber) {
        let mut position = from;
        loop {
            let left = position.saturating_mul(2).saturating_add(1);
            let right = left.saturating_add(1);
            let at =
                |position| if position < self.sorted { self.sorted_at(position) } else { None };
            let Some(other) = at(left) else { break };
            let (below, other) = match at(right) {
                Some(second) if self.is_before(second, other) => (right, second),
                _ => (left, other),
            };
            if !self.is_before(other, number) {
                break;
            }
            self.place(position, other);
            position = below;
        }
        self.place(position, number);
    }

    /// Takes a slot out of the order.
    fn unsort(&mut self, number: SlotNumber) {
        let Some(position) = self.slots.get_mut(number).and_then(|slot| slot.position.take())
        else {
            return;
        };
        self.sorted = self.sorted.saturating_sub(1);
        let last = SlotNumber::at(self.sorted).and_then(|last| self.slots.get_mut(last));
        let Some(last) = last.and_then(|last| last.sorted.take()).filter(|last| *last != number)
        else {
            return;
        };
        // The last one fills the gap.
        let gap = position.index();
        let above = gap.checked_sub(1).and_then(|below| self.sorted_at(below / 2));
        match above {
            Some(above) if self.is_before(last, above) => self.sift_up(gap, last),
            _ => self.sift_down(gap, last),
        }
    }
}

/// The ring of those that are ready.
impl<S: Storage> SlotTable<S> {
    /// Returns how many are ready.
    pub(super) fn ready(&self) -> usize {
        (0..self.len).filter_map(SlotNumber::at).filter(|slot| self.is_ready(*slot)).count()
    }

    /// Returns true if a slot is ready.
    #[inline]
    pub(super) fn is_ready(&self, number: SlotNumber) -> bool {
        self.slots.get(number).is_some_and(|slot| slot.previous.is_some())
    }

    /// Makes a slot ready, behind all others.
    pub(super) fn link(&mut self, number: SlotNumber) {
        let last = self.last.unwrap_or(number);
        let first = self.slots.get(last).and_then(|last| last.next).unwrap_or(number);
        self.join(last, number);
        self.join(number, first);
        self.last = Some(number);
    }

    /// Makes a slot not ready.
    pub(super) fn unlink(&mut self, number: SlotNumber) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let Some(previous) = slot.previous.take() else { return };
        let Some(next) = slot.next.take() else { return };
        if next == number {
            self.last = None;
            return;
        }
        self.join(previous, next);
        if self.last == Some(number) {
            self.last = Some(previous);
        }
    }

    /// Returns the first of those that are ready, which is the last one then.
    #[inline]
    pub(super) fn turn(&mut self) -> Option<SlotNumber> {
        let first = self.slots.get(self.last?)?.next?;
        self.last = Some(first);
        Some(first)
    }

    fn join(&mut self, previous: SlotNumber, next: SlotNumber) {
        if let Some(slot) = self.slots.get_mut(previous) {
            slot.next = Some(next);
        }
        if let Some(slot) = self.slots.get_mut(next) {
            slot.previous = Some(previous);
        }
    }
}
