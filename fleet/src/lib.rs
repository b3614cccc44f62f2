//! Several controller processes that are one node of a fabric: they share its certificates, its
//! operational key and, in Redis, its resumption records. Any of them may be killed; the others
//! take over its devices. `docs/several-processes.md` says what must not be shared, which file to
//! read first, and what to change in a copy.

pub mod assignment;
#[path = "../../examples/ladder/authority.rs"]
mod authority;
pub mod controller;
pub mod demonstration;
pub mod devices;
pub mod identity;
pub mod node;
pub mod redis_server;
mod seal;
pub mod simulation;
pub mod store;

pub use self::seal::RowKey;

use std::time::{Instant as Clock, SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use matter_session::rand_core::UnwrapErr;
use matter_session::time::{Instant, MatterTime, WallClock};

/// A program fails with whatever error comes first.
pub type Outcome<T = ()> = Result<T, Box<dyn core::error::Error + Send + Sync>>;

/// Returns the operating system's source of randomness: no process may share the state of another.
#[must_use]
pub const fn system_rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// The time of a manager, from the start of its process.
#[derive(Clone, Copy, Debug)]
pub struct Uptime(Clock);

impl Uptime {
    /// Starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self(Clock::now())
    }

    /// Returns the time since then.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_millis(self.0.elapsed().as_millis().try_into().unwrap_or(u64::MAX))
    }
}

/// Returns the calendar time, by which all processes count the age of a record.
#[must_use]
pub fn wall() -> WallClock {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let now = passed.and_then(|passed| MatterTime::from_unix_seconds(passed.as_secs()));
    now.map_or(WallClock::Unknown, WallClock::Known)
}
