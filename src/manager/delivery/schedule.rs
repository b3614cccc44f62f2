//! Which exchange or handshake is due when, and which has something to send.

use core::fmt;

use super::slot_table::SlotTable;
use crate::manager::handle::Source;
use crate::manager::storage::{SlotNumber, Storage};
use crate::time::Instant;

/// Where the schedule holds what is filed for an exchange or handshake.
#[derive(Clone, Copy, Debug)]
pub(in crate::manager) struct Filed {
    slot: Option<SlotNumber>,
    works: bool,
}

impl Filed {
    /// Nothing.
    pub(in crate::manager) const NONE: Self = Self { slot: None, works: false };

    /// Returns true if it is counted as one that has something to compute.
    pub(in crate::manager) const fn works(&self) -> bool {
        self.works
    }
}

/// Deadlines and readiness. Each source keeps the number of its slot.
pub(in crate::manager) struct Schedule<S: Storage> {
    slots: SlotTable<S>,
    /// How many handshakes have something to compute, which is due at once.
    working: usize,
    /// When one of them last began with that: a time that has come.
    work_since: Instant,
    /// The one that had its turn last, while it is ready.
    turn: Option<SlotNumber>,
}

impl<S: Storage> fmt::Debug for Schedule<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("deadlines", &self.slots.sorted())
            .field("ready", &self.slots.ready())
            .finish()
    }
}

impl<S: Storage> Schedule<S> {
    pub(in crate::manager) const EMPTY: Self =
        Self { slots: SlotTable::EMPTY, working: 0, work_since: Instant::ZERO, turn: None };

    /// Files `deadline` for `source` in place of what is `filed`, and whether it has output.
    pub(in crate::manager) fn file(
        &mut self,
        source: Source,
        filed: &mut Filed,
        deadline: Option<Instant>,
        has_output: bool,
    ) {
        if filed.slot.is_none() {
            if deadline.is_none() && !has_output {
                return;
            }
            filed.slot = self.slots.take(source);
            debug_assert!(filed.slot.is_some(), "one slot per source");
        }
        let Some(slot) = filed.slot else { return };
        self.slots.set_due(slot, deadline);
        match (self.slots.is_ready(slot), has_output) {
            (false, true) => self.slots.link(slot),
            (true, false) => self.unlink(slot),
            _ => {}
        }
    }

    /// Counts a handshake as one that has something to compute since a time that has come, or not.
    pub(in crate::manager) fn file_work(&mut self, filed: &mut Filed, since: Option<Instant>) {
        match (since, filed.works) {
            (Some(since), works) => {
                self.work_since = since;
                self.working = self.working.saturating_add(usize::from(!works));
            }
            (None, works) => self.working = self.working.saturating_sub(usize::from(works)),
        }
        filed.works = since.is_some();
    }

    /// Returns true if a handshake has something to compute.
    pub(in crate::manager) const fn has_work(&self) -> bool {
        self.working > 0
    }

    /// Forgets a source that is gone.
    pub(in crate::manager) fn forget(&mut self, mut filed: Filed) {
        self.file_work(&mut filed, None);
        if let Some(slot) = filed.slot {
            self.unlink(slot);
            self.slots.release(slot);
        }
    }

    /// Takes the readiness of the source back that had its turn last.
    pub(in crate::manager) fn idle(&mut self) {
        if let Some(slot) = self.turn {
            self.unlink(slot);
        }
    }

    fn unlink(&mut self, slot: SlotNumber) {
        self.slots.unlink(slot);
        self.turn = self.turn.filter(|turn| *turn != slot);
    }

    /// Returns the earliest deadline, or a time that has come if there is something to compute and
    /// that is done now.
    pub(in crate::manager) fn next(&self, computes: bool) -> Option<Instant> {
        let work = (computes && self.has_work()).then_some(self.work_since);
        let earliest = self.slots.first().map(|(due, _)| due);
        [earliest, work].into_iter().flatten().min()
    }

    /// Takes the earliest deadline if it has come. Its source must file its next one, or be
    /// forgotten.
    pub(in crate::manager) fn take_due(&mut self, now: Instant) -> Option<Source> {
        self.slots.settle();
        let (_, slot) = self.slots.first().filter(|(due, _)| *due <= now)?;
        self.slots.met(slot);
        self.slots.source(slot)
    }

    /// Returns a source with output. They take turns: each has one before another has two, so that
    /// none waits for ever, even if only one datagram is sent for each that is received. One that
    /// becomes ready has its turn after all others: a peer that begins new exchanges without end
    /// takes no turn of another.
    pub(in crate::manager) fn next_ready(&mut self) -> Option<Source> {
        self.turn = self.slots.turn();
        self.slots.source(self.turn?)
    }
}

#[cfg(all(test, feature = "alloc"))]
#[allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "tests have std and panic")]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::manager::storage::Heap;

    /// Sources that come after all others, one for each turn, do not take the turn of a former one.
    #[test]
    fn new_sources_without_end_take_no_turn_of_another() {
        let mut schedule = Schedule::<Heap>::EMPTY;
        let mut filed = Filed::NONE;
        schedule.file(Source::Handshake(3), &mut filed, None, true);
        let mut turns = Vec::new();
        for id in 10..40 {
            let mut filed = Filed::NONE;
            schedule.file(Source::Handshake(id), &mut filed, None, true);
            let next = schedule.next_ready().unwrap();
            turns.push(next);
            if next != Source::Handshake(3) {
                schedule.idle();
            }
        }
        let own = turns.iter().filter(|turn| **turn == Source::Handshake(3)).count();
        assert!(own >= 5, "{turns:?}");
        let longest = turns.split(|turn| *turn == Source::Handshake(3)).map(<[_]>::len).max();
        assert!(longest <= Some(16), "no longer than a round: {turns:?}");
    }

    proptest! {
        /// Whatever deadlines are put off, brought forward, met or forgotten: the first is known,
        /// and each comes due in its order.
        #[test]
        fn deadlines_come_due_in_their_order(
            ops in prop::collection::vec((0..12_u64, 0..5_u8, 0..40_u64), 1..300),
        ) {
            let mut schedule = Schedule::<Heap>::EMPTY;
            let mut filed = [Filed::NONE; 12];
            let mut model = BTreeSet::<(u64, u64)>::new();
            for (id, op, time) in ops {
                let source = Source::Handshake(id);
                let place = filed.get_mut(usize::try_from(id).unwrap()).unwrap();
                let mut due = |schedule: &mut Schedule<Heap>, due: Option<u64>| {
                    schedule.file(source, place, due.map(Instant::from_millis), false);
                    model.retain(|(_, other)| *other != id);
                    model.extend(due.map(|due| (due, id)));
                };
                match op {
                    0..=2 => due(&mut schedule, Some(time)),
                    3 if time % 4 == 0 => {
                        schedule.forget(core::mem::replace(place, Filed::NONE));
                        model.retain(|(_, other)| *other != id);
                    }
                    3 => due(&mut schedule, None),
                    _ => {
                        let now = Instant::from_millis(time);
                        while let Some(taken) = schedule.take_due(now) {
                            let first = model.pop_first();
                            prop_assert!(first.is_some_and(|(due, _)| due <= time));
                            prop_assert_eq!(Some(taken), first.map(|(_, id)| Source::Handshake(id)));
                        }
                    }
                }
                let first = model.first().map(|(due, _)| Instant::from_millis(*due));
                prop_assert_eq!(schedule.next(false), first);
            }
        }

        /// Whatever becomes ready or idle meanwhile: a source that stays ready has its turn before
        /// any other has a third one.
        #[test]
        fn sources_with_output_take_turns(ops in prop::collection::vec((0..8_u64, 0..3_u8), 1..200)) {
            let mut schedule = Schedule::<Heap>::EMPTY;
            let mut filed = [Filed::NONE; 8];
            // For each source that is ready, which others had how many turns since its own.
            let mut waiting = BTreeMap::<u64, Vec<u64>>::new();
            for (id, op) in ops {
                let source = Source::Handshake(id);
                let place = filed.get_mut(usize::try_from(id).unwrap()).unwrap();
                match op {
                    0 => {
                        schedule.file(source, place, None, true);
                        waiting.entry(id).or_default();
                    }
                    1 if id > 5 => {
                        schedule.file(source, place, None, false);
                        waiting.remove(&id);
                    }
                    _ => {
                        let next = schedule.next_ready();
                        prop_assert_eq!(next.is_some(), !waiting.is_empty());
                        let Some(Source::Handshake(next)) = next else { continue };
                        prop_assert!(waiting.contains_key(&next));
                        for (id, others) in &mut waiting {
                            if *id == next {
                                others.clear();
                            } else {
                                others.push(next);
                                let turns = others.iter().filter(|other| **other == next).count();
                                prop_assert!(turns <= 2, "{id} waits for {next}");
                            }
                        }
                    }
                }
            }
        }
    }
}
