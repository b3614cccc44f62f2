//! The random number generator, the policy and the stores of a node, named once.

use core::fmt;

use rand_core::CryptoRng;

use super::{AcceptAll, Context, PeerPolicy};
use crate::group::CounterStore;
use crate::keylog::KeyHook;
#[cfg(feature = "keylog")]
use crate::keylog::KeyLog;
use crate::resumption::ResumptionStore;
use crate::time::{Instant, WallClock};

/// What a node uses in every call: randomness, policy, stores and calendar time.
///
/// Name them once, and derive a [`Context`] for each round of the loop with [`at`](Self::at).
///
#[cfg_attr(all(feature = "alloc", feature = "rustcrypto"), doc = "```")]
#[cfg_attr(not(all(feature = "alloc", feature = "rustcrypto")), doc = "```ignore")]
/// use matter_session::{Config, HeapSessionManager, Instant, RustCrypto, Services};
///
/// let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
/// let mut node = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
/// let mut services = Services::new(&mut rng);
/// node.handle_timeout(&mut services.at(Instant::from_millis(5)));
/// ```
pub struct Services<'a> {
    wall: WallClock,
    rng: &'a mut dyn CryptoRng,
    policy: &'a dyn PeerPolicy,
    resumption: Option<&'a mut dyn ResumptionStore>,
    counters: Option<&'a mut dyn CounterStore>,
    keys: KeyHook<'a>,
}

impl<'a> Services<'a> {
    /// Makes services without calendar time and without stores, which accept every authenticated
    /// peer.
    pub const fn new(rng: &'a mut dyn CryptoRng) -> Self {
        Self {
            wall: WallClock::Unknown,
            rng,
            policy: &AcceptAll,
            resumption: None,
            counters: None,
            keys: KeyHook::NONE,
        }
    }

    /// Adds a policy, which decides on every peer that CASE has authenticated: a revocation list,
    /// for example.
    #[must_use]
    pub const fn with_policy(mut self, policy: &'a dyn PeerPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Adds a store for resumption records, which the manager then uses instead of its own table.
    #[must_use]
    pub fn with_resumption(mut self, store: &'a mut dyn ResumptionStore) -> Self {
        self.resumption = Some(store);
        self
    }

    /// Adds a store for the counters of group messages. A node without one sends nothing to
    /// groups, and neither asks for a group counter nor answers with its own.
    #[must_use]
    pub fn with_counters(mut self, store: &'a mut dyn CounterStore) -> Self {
        self.counters = Some(store);
        self
    }

    /// Adds a log of keys. **It discloses every session and every group of the node**: see
    /// [`keylog`](crate::keylog).
    ///
    /// The keys of a session are logged when it begins, those of groups in the next call of
    /// [`handle_timeout`](crate::SessionManager::handle_timeout).
    #[cfg(feature = "keylog")]
    #[must_use]
    pub const fn with_hazmat_key_log(mut self, log: &'a dyn KeyLog) -> Self {
        self.keys = KeyHook::to(log);
        self
    }

    /// Sets what is known of the calendar time. Without it, certificates that have expired are
    /// accepted, and resumption does not end with the certificates.
    #[must_use]
    pub const fn with_wall(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }

    /// Replaces what is known of the calendar time, once the node has learnt it or as it passes.
    pub const fn set_wall(&mut self, wall: WallClock) {
        self.wall = wall;
    }

    /// Lends the services to a call that is made at this time.
    pub fn at(&mut self, now: Instant) -> Context<'_> {
        Context {
            now,
            wall: self.wall,
            rng: &mut *self.rng,
            policy: self.policy,
            resumption: match &mut self.resumption {
                Some(store) => Some(&mut **store),
                None => None,
            },
            counters: match &mut self.counters {
                Some(store) => Some(&mut **store),
                None => None,
            },
            keys: self.keys,
        }
    }
}

impl fmt::Debug for Services<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("wall", &self.wall).finish_non_exhaustive()
    }
}
