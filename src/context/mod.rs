//! What a call borrows from its surroundings: time, randomness, policy and stores.
//!
//! [`Services`] names the random number generator, the policy and the stores of a node once.
//! [`Services::at`] lends them to one call, together with the time: a [`Context`].

mod policy;
mod services;
#[cfg(feature = "getrandom")]
mod system_rng;

use core::fmt;

use rand_core::CryptoRng;

pub use self::policy::{AcceptAll, PeerCertificates, PeerIdentity, PeerPolicy, Rejected};
pub use self::services::Services;
#[cfg(feature = "getrandom")]
pub use self::system_rng::SystemRng;
use crate::group::CounterStore;
use crate::keylog::KeyHook;
use crate::resumption::ResumptionStore;
use crate::time::{Instant, WallClock};

/// What a call needs from its surroundings: time, randomness, policy and stores.
///
/// [`Services::at`] makes one. Make a new one for every round of the loop, and never hold one
/// across an `.await`: its time would be out of date.
pub struct Context<'a> {
    /// The present reading of the caller's monotonic clock.
    pub(crate) now: Instant,
    /// What is known of the calendar time, for certificate validity.
    pub(crate) wall: WallClock,
    /// A cryptographically secure source of randomness.
    pub(crate) rng: &'a mut dyn CryptoRng,
    /// Decides on peers that CASE has authenticated.
    pub(crate) policy: &'a dyn PeerPolicy,
    /// Where resumption records are kept; `None`: in the manager's own table.
    pub(crate) resumption: Option<&'a mut dyn ResumptionStore>,
    /// Where the bounds of group counters are kept. Without it nothing is sent to groups.
    pub(crate) counters: Option<&'a mut dyn CounterStore>,
    /// Where keys are logged; without the feature `keylog` nowhere.
    pub(crate) keys: KeyHook<'a>,
}

impl Context<'_> {
    /// Replaces the calendar time that [`Services::with_wall`] named.
    #[must_use]
    pub const fn with_wall(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }

    /// Returns the time of the caller's monotonic clock.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Returns what is known of the calendar time.
    #[must_use]
    pub const fn wall(&self) -> WallClock {
        self.wall
    }

    /// Returns the random number generator.
    pub const fn rng(&mut self) -> &mut dyn CryptoRng {
        self.rng
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
