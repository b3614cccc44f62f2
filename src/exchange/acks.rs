//! Which acknowledgements an exchange owes, and how each leaves.

use super::MRP_STANDALONE_ACK_TIMEOUT;
use crate::ids::MessageCounter;
use crate::time::Instant;

/// Acknowledgements that this end owes.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// Waits for a message to travel on, until then.
    pub(super) owed: Option<(MessageCounter, Instant)>,
    /// Leave on their own as soon as possible, oldest first.
    pub(super) due: [Option<MessageCounter>; 2],
    /// Travels along with every further message, so that a lost one heals.
    pub(super) last: Option<MessageCounter>,
}

impl Acks {
    pub(super) fn owe(&mut self, counter: MessageCounter, now: Instant) {
        if let Some((older, _)) = self.owed {
            self.answer_now(older);
        }
        self.owed = Some((counter, now + MRP_STANDALONE_ACK_TIMEOUT));
    }

    /// Queues a standalone acknowledgement. Nothing changes if others wait in all places: what is
    /// owed stays owed, and the sender of a duplicate will ask again.
    pub(super) fn answer_now(&mut self, counter: MessageCounter) {
        if !self.due.contains(&Some(counter)) {
            self.due = match self.due {
                [None, None] => [Some(counter), None],
                [Some(due), None] | [None, Some(due)] => [Some(due), Some(counter)],
                [Some(_), Some(_)] => return,
            };
        }
        if self.owed.is_some_and(|(owed, _)| owed == counter) {
            self.owed = None;
        }
        self.remember(counter);
    }

    /// Keeps the newest counter that was acknowledged; counters of unsecured messages wrap.
    pub(super) fn remember(&mut self, counter: MessageCounter) {
        let newer = |last: MessageCounter| {
            counter.get().wrapping_sub(last.get()).cast_signed().is_positive()
        };
        if self.last.is_none_or(newer) {
            self.last = Some(counter);
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.iter().any(Option::is_some)
    }
}
