//! Which exchange or handshake is due when, and which has something to send.

use core::fmt;

use crate::manager::handle::Source;
use crate::manager::storage::{Map, Place, Storage};
use crate::time::Instant;

/// What the schedule holds for an exchange or handshake. Each keeps its own copy, so that the
/// schedule is searched only when something changes.
#[derive(Clone, Copy, Debug)]
pub(in crate::manager) struct Filed {
    deadline: Option<Instant>,
    ready: bool,
    works: bool,
}

impl Filed {
    /// Nothing.
    pub(in crate::manager) const NONE: Self = Self { deadline: None, ready: false, works: false };

    /// Returns true if it is counted as one that has something to compute.
    pub(in crate::manager) const fn works(&self) -> bool {
        self.works
    }

    /// Notes that the deadline has come, and is not filed any more.
    pub(in crate::manager) const fn came_due(&mut self) {
        self.deadline = None;
    }

    /// Notes that the readiness was taken back.
    pub(in crate::manager) const fn idle(&mut self) {
        self.ready = false;
    }
}

/// Deadlines and readiness. Each source remembers what is filed for it.
pub(in crate::manager) struct Schedule<S: Storage> {
    deadlines: S::Deadlines,
    /// The first of them, as it is asked for after every call.
    earliest: Option<Instant>,
    ready: S::Ready,
    /// How many handshakes have something to compute, which is due at once.
    working: usize,
    /// When one of them last began with that: a time that has come.
    work_since: Instant,
    /// The source that had its turn last.
    last: Place<Source>,
    /// The last source of this round. One that comes after it has its turn in the next round: a
    /// peer that begins new exchanges without end does not lengthen this one.
    end: Place<Source>,
}

impl<S: Storage> fmt::Debug for Schedule<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("deadlines", &self.deadlines.len())
            .field("ready", &self.ready.len())
            .finish()
    }
}

impl<S: Storage> Schedule<S> {
    pub(in crate::manager) const EMPTY: Self = Self {
        deadlines: Map::EMPTY,
        earliest: None,
        ready: Map::EMPTY,
        working: 0,
        work_since: Instant::ZERO,
        last: Place::VACANT,
        end: Place::VACANT,
    };

    /// Has room for so many exchanges and handshakes.
    pub(in crate::manager) fn limit(&mut self, sources: usize) {
        self.deadlines.limit(sources);
        self.ready.limit(sources);
    }

    /// Files `deadline` for `source` in place of what is `filed`, and whether it has output.
    pub(in crate::manager) fn file(
        &mut self,
        source: Source,
        filed: &mut Filed,
        deadline: Option<Instant>,
        has_output: bool,
    ) {
        if filed.deadline != deadline {
            let old = core::mem::replace(&mut filed.deadline, deadline);
            if let Some(old) = old {
                self.deadlines.discard(&(old, source));
            }
            if let Some(new) = deadline {
                let inserted = self.deadlines.insert((new, source), ());
                debug_assert!(inserted.is_ok(), "one deadline per source");
            }
            match (self.earliest, deadline) {
                (Some(earliest), Some(new)) if new <= earliest => self.earliest = deadline,
                (Some(_), _) if self.earliest == old => self.note_earliest(),
                (Some(_), _) => {}
                (None, _) => self.earliest = deadline,
            }
        }
        if filed.ready != has_output {
            filed.ready = has_output;
            if has_output {
                let inserted = self.ready.insert(source, ());
                debug_assert!(inserted.is_ok(), "one entry per source");
            } else {
                self.ready.discard(&source);
            }
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
    pub(in crate::manager) fn forget(&mut self, source: Source, mut filed: Filed) {
        self.file_work(&mut filed, None);
        self.file(source, &mut filed, None, false);
    }

    /// Takes the readiness of a source back. The source must note that with [`Filed::idle`].
    pub(in crate::manager) fn idle(&mut self, source: Source) {
        self.ready.discard(&source);
    }

    /// Returns the earliest deadline, or a time that has come if there is something to compute and
    /// that is done now.
    pub(in crate::manager) fn next(&self, computes: bool) -> Option<Instant> {
        let work = (computes && self.has_work()).then_some(self.work_since);
        [self.earliest, work].into_iter().flatten().min()
    }

    fn note_earliest(&mut self) {
        self.earliest = self.deadlines.first().map(|(due, _)| due);
    }

    /// Takes the earliest deadline if it has come. Its source must note that with
    /// [`Filed::came_due`].
    pub(in crate::manager) fn take_due(&mut self, now: Instant) -> Option<Source> {
        if self.earliest? > now {
            return None;
        }
        let (due, source) = self.deadlines.first()?;
        self.deadlines.discard(&(due, source));
        self.note_earliest();
        Some(source)
    }

    /// Returns a source with output. They take turns: each has one before another has two, so that
    /// none waits for ever, even if only one datagram is sent for each that is received.
    pub(in crate::manager) fn next_ready(&mut self) -> Option<Source> {
        let next = self.next_in_round().or_else(|| {
            self.end =
                self.ready.iter().last().map_or(Place::VACANT, |(end, ())| Place::Taken(*end));
            self.ready.first()
        })?;
        self.last = Place::Taken(next);
        Some(next)
    }

    fn next_in_round(&self) -> Option<Source> {
        let (last, end) = (self.last.get()?, self.end.get()?);
        let mut from_there = self.ready.from(*last).map(|(source, ())| *source);
        from_there.find(|source| source != last).filter(|source| source <= end)
    }
}

#[cfg(all(test, feature = "alloc"))]
#[allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "tests have std and panic")]
mod tests {
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::manager::storage::Heap;

    /// Sources that come after all others, one for each turn, do not take the turn of a former one.
    #[test]
    fn new_sources_without_end_take_no_turn_of_another() {
        let mut schedule = Schedule::<Heap>::EMPTY;
        schedule.limit(64);
        let mut filed = Filed::NONE;
        schedule.file(Source::Handshake(3), &mut filed, None, true);
        let mut turns = Vec::new();
        for id in 10..40 {
            let mut filed = Filed::NONE;
            schedule.file(Source::Handshake(id), &mut filed, None, true);
            let next = schedule.next_ready().unwrap();
            turns.push(next);
            if next != Source::Handshake(3) {
                schedule.idle(next);
            }
        }
        let own = turns.iter().filter(|turn| **turn == Source::Handshake(3)).count();
        assert!(own >= 5, "{turns:?}");
        let longest = turns.split(|turn| *turn == Source::Handshake(3)).map(<[_]>::len).max();
        assert!(longest <= Some(16), "no longer than a round: {turns:?}");
    }

    proptest! {
        /// Whatever becomes ready or idle meanwhile: a source that stays ready has its turn before
        /// any other has a third one.
        #[test]
        fn sources_with_output_take_turns(ops in prop::collection::vec((0..8_u64, 0..3_u8), 1..200)) {
            let mut schedule = Schedule::<Heap>::EMPTY;
            schedule.limit(8);
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
