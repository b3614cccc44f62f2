//! What a call borrows from its surroundings: time, randomness, policy and stores.

mod policy;

use core::fmt;

use rand_core::CryptoRng;

pub use self::policy::{AcceptAll, PeerCertificates, PeerIdentity, PeerPolicy, Rejected};
use crate::group::CounterStore;
use crate::resumption::ResumptionStore;
use crate::time::{Instant, WallClock};

/// What a call needs from its surroundings: time, randomness, policy. Borrowed, never kept.
pub struct Context<'a> {
    /// The present reading of the caller's monotonic clock.
    pub now: Instant,
    /// What is known of the calendar time, for certificate validity.
    pub wall: WallClock,
    /// A cryptographically secure source of randomness.
    pub rng: &'a mut dyn CryptoRng,
    /// The application's say on peers that CASE has authenticated.
    pub policy: &'a dyn PeerPolicy,
    /// Where resumption records are kept; `None`: in the manager's own table.
    pub resumption: Option<&'a mut dyn ResumptionStore>,
    /// Where the bounds of group counters are kept. Without it nothing is sent to groups.
    pub counters: Option<&'a mut dyn CounterStore>,
}

impl<'a> Context<'a> {
    /// A context without calendar time that accepts every authenticated peer: see
    /// [`with_wall`](Self::with_wall) and [`with_policy`](Self::with_policy).
    pub const fn new(now: Instant, rng: &'a mut dyn CryptoRng) -> Self {
        Self {
            now,
            wall: WallClock::Unknown,
            rng,
            policy: &AcceptAll,
            resumption: None,
            counters: None,
        }
    }

    /// The same with what is known of the calendar time: without it, certificates that have
    /// expired are accepted.
    #[must_use]
    pub const fn with_wall(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }

    /// The same with the application's say on peers: a revocation list, say.
    #[must_use]
    pub const fn with_policy(mut self, policy: &'a dyn PeerPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The same with a store for resumption records, which a manager then uses instead of its own
    /// table. To be given with every call or with none.
    #[must_use]
    pub fn with_resumption(mut self, store: &'a mut dyn ResumptionStore) -> Self {
        self.resumption = Some(store);
        self
    }

    /// The same with a store for the counters of group messages. To be given with every call that
    /// takes a context, as received messages may have this node ask for a counter, or tell its own.
    #[must_use]
    pub fn with_counters(mut self, store: &'a mut dyn CounterStore) -> Self {
        self.counters = Some(store);
        self
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now)
            .field("wall", &self.wall)
            .finish_non_exhaustive()
    }
}
