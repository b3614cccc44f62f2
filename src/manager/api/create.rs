//! Making a manager, and what it was made of.

use rand_core::CryptoRng;

use crate::crypto::Crypto;
use crate::manager::SessionManager;
use crate::manager::config::Config;
use crate::manager::statistics::Statistics;
use crate::manager::storage::Storage;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Makes a manager without fabrics, sessions or an open commissioning window.
    ///
    /// `rng` draws the first counters and identifiers, and the jitter of retransmissions.
    pub fn new(config: Config, crypto: C, rng: &mut dyn CryptoRng) -> Self {
        const { S::CHECK };
        let mut manager = Self::unstarted(crypto);
        manager.start(config, rng);
        manager
    }

    /// Returns the settings as they were given. The tables of [`Fixed`](crate::manager::Fixed) can
    /// be smaller than these limits.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.node.config
    }

    /// Returns the counters: datagrams dropped, by reason, and more.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.delivery.statistics
    }
}
