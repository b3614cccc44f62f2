//! Messages that were refused because there was no room for their exchange.
//!
//! A refused message is not counted as received, so that the copy which the peer sends next is new.
//! But when very many newer messages have been received, the replay window takes every counter
//! before them for one that it has seen. This table remembers the counters that
//! were refused, a few for all sessions together.
//!
//! It has a limit, in number and in time. Each session remembers up to which counter something was
//! forgotten. A message up to there that is behind the window may have been refused: it is not
//! acknowledged, so its sender does not take it for delivered.

use core::time::Duration;

use crate::ids::{LocalSessionId, MessageCounter};
use crate::manager::storage::{Map, Storage};
use crate::time::Instant;

/// The refused messages of all sessions, with the time of the first refusal.
pub(super) struct Refused<S: Storage>(S::Refused);

/// A message: its session and its counter.
pub(in crate::manager) type RefusedKey = (LocalSessionId, u32);

/// How long a refused message is remembered. Its sender has given it up by then, unless it assumes
/// that this node sleeps for more than 15 s. A copy that comes later may be a recording.
const KEPT: Duration = Duration::from_secs(300);

/// How many a manager on the heap remembers.
const MOST: usize = 256;

impl<S: Storage> Refused<S> {
    pub(super) const EMPTY: Self = Self(Map::EMPTY);

    pub(super) fn start(&mut self) {
        self.0.limit(MOST);
    }

    /// Returns true if a message was refused, and the refusal is remembered. One that is too old is
    /// forgotten, which `forgotten` notes for the session.
    #[inline]
    pub(super) fn recall(
        &mut self,
        session: LocalSessionId,
        counter: MessageCounter,
        now: Instant,
        forgotten: &mut u32,
    ) -> bool {
        // Most often nothing was refused.
        if self.0.len() == 0 {
            return false;
        }
        let key = (session, counter.get());
        let Some(at) = self.0.get(&key) else { return false };
        if now.saturating_since(*at) <= KEPT {
            return true;
        }
        self.0.discard(&key);
        *forgotten = counter.get().max(*forgotten);
        false
    }

    /// Remembers a refusal. Returns the message that is forgotten for it, if there are too many:
    /// the oldest of the session with the most.
    #[inline(never)]
    pub(super) fn insert(&mut self, key: RefusedKey, now: Instant) -> Option<RefusedKey> {
        let full = self.0.len() >= self.0.capacity();
        let forgotten = if full { self.oldest_of_most() } else { None };
        if let Some(forgotten) = forgotten {
            self.0.discard(&forgotten);
        }
        match self.0.insert(key, now) {
            Ok(()) => forgotten,
            Err(_) => Some(key),
        }
    }

    /// Forgets a message, because it was delivered.
    pub(super) fn remove(&mut self, session: LocalSessionId, counter: MessageCounter) {
        self.0.discard(&(session, counter.get()));
    }

    /// Forgets the messages of a session that has ended.
    pub(super) fn end_session(&mut self, session: LocalSessionId) {
        while let Some(key) = self.0.first_from((session, 0)).filter(|key| key.0 == session) {
            self.0.discard(&key);
        }
    }

    fn oldest_of_most(&self) -> Option<RefusedKey> {
        let mut best: Option<(usize, RefusedKey)> = None;
        let mut run: Option<(usize, RefusedKey)> = None;
        // In the order of sessions and counters: those of a session follow each other.
        for (key, _) in self.0.iter() {
            run = match run {
                Some((count, first)) if first.0 == key.0 => Some((count.saturating_add(1), first)),
                _ => Some((1, *key)),
            };
            if run.map(|run| run.0) > best.map(|best| best.0) {
                best = run;
            }
        }
        best.map(|(_, first)| first)
    }
}
