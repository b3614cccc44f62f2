//! Short messages that belong to no exchange: refusals, CloseSession, acknowledgements of stray
//! messages.

use crate::ids::{LocalSessionId, MessageCounter};
use crate::manager::config::Config;
use crate::manager::handle::PeerAddress;
use crate::manager::storage::{KeyRef, Queue, Storage};

/// Room for one in bytes: a CloseSession with every header field takes 60.
pub(in crate::manager) const SHORT_LEN: usize = 64;

/// What a short message is. A full queue drops the kinds in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) enum Short {
    /// Anybody can cause it: a reply to an unauthenticated sender, or a message that is no
    /// session's.
    Reply,
    /// A counter request or its answer, sealed by this group key: its holders can cause any number.
    Group(KeyRef),
    /// Acknowledges this message of this session. Whoever has recorded the message can cause it
    /// again, and its sender asks for it again.
    Ack(LocalSessionId, MessageCounter),
    /// A status report of a session. It is sent once.
    Report,
}

impl Short {
    const KINDS: usize = 4;

    const fn rank(self) -> usize {
        match self {
            Self::Reply => 0,
            Self::Group(_) => 1,
            Self::Ack(..) => 2,
            Self::Report => 3,
        }
    }
}

#[derive(Debug)]
pub(super) struct Queued {
    pub(super) to: PeerAddress,
    bytes: [u8; SHORT_LEN],
    len: u8,
    kind: Short,
}

impl Queued {
    pub(super) fn datagram(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

/// The short messages that wait to be sent.
pub(super) struct Outbox<S: Storage> {
    queue: S::Outbox<Queued>,
    /// How many there are of each kind.
    counts: [usize; Short::KINDS],
    /// How many are for connections of reliable transports.
    over_connections: usize,
}

impl<S: Storage> Outbox<S> {
    pub(super) const EMPTY: Self =
        Self { queue: Queue::EMPTY, counts: [0; Short::KINDS], over_connections: 0 };

    pub(super) fn limit(&mut self, config: &Config) {
        self.queue.limit(config.max_replies.max(1));
    }

    /// Queues a datagram. Returns how many were dropped because there was no room, this one
    /// included.
    pub(super) fn push(&mut self, to: PeerAddress, kind: Short, datagram: &[u8]) -> u32 {
        let Ok(len) = u8::try_from(datagram.len()) else { return 1 };
        let mut queued = Queued { to, bytes: [0; SHORT_LEN], len, kind };
        let Some(bytes) = queued.bytes.get_mut(..datagram.len()) else { return 1 };
        bytes.copy_from_slice(datagram);
        let full = self.queue.len() >= self.queue.capacity();
        if full && !self.make_room(kind) {
            return 1;
        }
        self.put(queued);
        full.into()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    /// Returns true if a short message of this kind waits. Acknowledgements of different messages
    /// are different kinds.
    pub(super) fn has(&self, kind: Short) -> bool {
        self.counts.get(kind.rank()).is_some_and(|count| *count > 0)
            && self.queue.iter().any(|queued| queued.kind == kind)
    }

    pub(super) fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop()?;
        if let Some(count) = self.counts.get_mut(queued.kind.rank()) {
            *count = count.saturating_sub(1);
        }
        if queued.to.is_reliable() {
            self.over_connections = self.over_connections.saturating_sub(1);
        }
        Some(queued)
    }

    /// Drops what waits to be sent over a connection that is lost: the next connection may have
    /// the same number.
    pub(super) fn disconnected(&mut self, connection: PeerAddress) {
        if self.over_connections > 0 && connection.is_reliable() {
            self.discard(usize::MAX, |queued| queued.to.is(&connection));
        }
    }

    fn put(&mut self, queued: Queued) {
        let (rank, reliable) = (queued.kind.rank(), queued.to.is_reliable());
        if self.queue.push(queued).is_err() {
            return;
        }
        if let Some(count) = self.counts.get_mut(rank) {
            *count = count.saturating_add(1);
        }
        self.over_connections = self.over_connections.saturating_add(reliable.into());
    }

    /// Drops a short message so that there is room for one of this kind: the oldest of the first
    /// kind that there is. Returns false if the new one is to be dropped: replies and
    /// acknowledgements displace none of their own kind, and messages under a group key displace
    /// those under a key with more.
    fn make_room(&mut self, new: Short) -> bool {
        let first = self.counts.iter().position(|count| *count > 0).unwrap_or(0);
        if first < new.rank() || new == Short::Report {
            self.discard(1, |queued| queued.kind.rank() == first);
            return true;
        }
        let Short::Group(_) = new else { return false };
        let under = |kind| self.queue.iter().filter(|queued| queued.kind == kind).count();
        let of_groups = self.queue.iter().map(|queued| queued.kind);
        let of_groups = of_groups.filter(|kind| matches!(kind, Short::Group(_)));
        let most = of_groups.max_by_key(|kind| under(*kind));
        let Some(most) = most.filter(|most| under(*most) > under(new)) else { return false };
        self.discard(1, |queued| queued.kind == most);
        true
    }

    /// Drops the oldest `most` short messages that `which` returns true for.
    #[inline(never)]
    fn discard(&mut self, most: usize, which: impl Fn(&Queued) -> bool) {
        let mut left = most;
        for _ in 0..self.queue.len() {
            let Some(queued) = self.pop() else { return };
            if left > 0 && which(&queued) {
                left = left.saturating_sub(1);
            } else {
                self.put(queued);
            }
        }
    }
}
