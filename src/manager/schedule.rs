//! Which exchange or handshake is due when, and which has something to send.

use core::fmt;

use super::handle::Source;
use super::storage::{Map, Storage};
use crate::time::Instant;

/// Deadlines and readiness. Each source remembers the deadline that is filed for it.
pub(super) struct Schedule<S: Storage> {
    deadlines: S::Deadlines,
    /// The first of them, as it is asked for after every call.
    earliest: Option<Instant>,
    ready: S::Ready,
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
    pub(super) const EMPTY: Self =
        Self { deadlines: Map::EMPTY, earliest: None, ready: Map::EMPTY };

    /// Has room for so many exchanges and handshakes.
    pub(super) fn limit(&mut self, sources: usize) {
        self.deadlines.limit(sources);
        self.ready.limit(sources);
    }

    /// Files `deadline` for `source` in place of `filed`, and whether it has output.
    pub(super) fn file(
        &mut self,
        source: Source,
        filed: &mut Option<Instant>,
        deadline: Option<Instant>,
        has_output: bool,
    ) {
        if *filed != deadline {
            if let Some(old) = filed.take() {
                self.deadlines.remove(&(old, source));
            }
            if let Some(new) = deadline {
                let inserted = self.deadlines.insert((new, source), ());
                debug_assert!(inserted.is_ok(), "one deadline per source");
            }
            *filed = deadline;
            self.note_earliest();
        }
        if has_output {
            let inserted = self.ready.insert(source, ());
            debug_assert!(inserted.is_ok(), "one entry per source");
        } else {
            self.ready.remove(&source);
        }
    }

    /// Forgets a source that is gone.
    pub(super) fn forget(&mut self, source: Source, filed: Option<Instant>) {
        self.file(source, &mut { filed }, None, false);
    }

    /// Takes the readiness of a source back.
    pub(super) fn idle(&mut self, source: Source) {
        self.ready.remove(&source);
    }

    /// The earliest deadline.
    pub(super) const fn next(&self) -> Option<Instant> {
        self.earliest
    }

    fn note_earliest(&mut self) {
        self.earliest = self.deadlines.first().map(|(due, _)| due);
    }

    /// Takes the earliest deadline if it has come. Its source must take note that none is filed
    /// for it any more.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Source> {
        if self.earliest? > now {
            return None;
        }
        let (due, source) = self.deadlines.first()?;
        self.deadlines.remove(&(due, source));
        self.note_earliest();
        Some(source)
    }

    /// A source with output.
    pub(super) fn ready(&self) -> Option<Source> {
        self.ready.first()
    }
}
