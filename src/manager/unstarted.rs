//! A manager in a `static`.

use core::fmt;

use rand_core::CryptoRng;

use super::storage::Storage;
use super::{Config, SessionManager};
use crate::crypto::Crypto;

/// A manager in the place where it stays, before it has its settings.
///
/// With [`Fixed`](super::Fixed) storage a manager takes tens of kilobytes: too much for the stack
/// of a device. This one is made at compile time, and all its bytes are zero (if those of the
/// backend are), so that a `static` of it costs no flash.
///
/// ```
/// use std::sync::{Mutex, PoisonError};
///
/// use matter_session::crypto::CompactRustCrypto;
/// use matter_session::manager::{Config, Fixed, Unstarted};
///
/// // 16 sessions, 8 exchanges, 2 handshakes, 5 fabrics, 15 records, 5,120 bytes of messages.
/// type Tables = Fixed;
///
/// // On a device: a `ConstStaticCell`, or what `cortex_m_rt::entry` makes of a `static mut`.
/// static NODE: Mutex<Unstarted<CompactRustCrypto, Tables>> =
///     Mutex::new(Unstarted::new(CompactRustCrypto));
///
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let mut place = NODE.lock().unwrap_or_else(PoisonError::into_inner);
/// let node = place.start(Config::default(), &mut rng);
/// assert_eq!(node.sessions().len(), 0);
/// ```
pub struct Unstarted<C: Crypto, S: Storage, T = ()>(SessionManager<C, S, T>);

impl<C: Crypto, S: Storage, T: Default> Unstarted<C, S, T> {
    /// Makes a manager that has a crypto backend and nothing else.
    #[must_use]
    pub const fn new(crypto: C) -> Self {
        const { S::CHECK };
        Self(SessionManager::unstarted(crypto))
    }

    /// Returns the manager, ready for use, as [`SessionManager::new`] makes it.
    ///
    /// Call it once. Another call changes the settings and draws new identifiers;
    /// fabrics, sessions and records stay.
    pub fn start(
        &mut self,
        config: Config,
        rng: &mut dyn CryptoRng,
    ) -> &mut SessionManager<C, S, T> {
        self.0.start(config, rng);
        &mut self.0
    }
}

impl<C: Crypto, S: Storage, T> fmt::Debug for Unstarted<C, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unstarted")
    }
}
