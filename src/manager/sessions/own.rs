//! The exchanges that this node begins: how many on a session, and who is told of the next place.

use crate::crypto::Crypto;
use crate::ids::LocalSessionId;
use crate::manager::config::Config;
use crate::manager::error::OpenError;
use crate::manager::handle::SessionHandle;
use crate::manager::sessions::exchanges::Exchanges;
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::Storage;

impl<S: Storage> Exchanges<S> {
    /// Returns true if this node has begun fewer exchanges on a session than it may.
    fn is_session_free(&self, session: LocalSessionId, config: &Config) -> bool {
        let most = config.max_own_exchanges_per_session.max(1);
        // Where there are fewer in all, they need not be counted.
        self.len().saturating_sub(self.begun_by_peers()) < most || self.traffic(session).own < most
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Checks that this node may begin another exchange on a session. If not, the application is
    /// told when it may.
    pub(super) fn check_own(
        &mut self,
        session: SessionHandle,
        config: &Config,
    ) -> Result<(), OpenError> {
        let refusal = if !self.exchanges.is_session_free(session.local, config) {
            OpenError::SessionFull
        } else if !self.exchanges.has_room_for_own() {
            OpenError::TooMany
        } else {
            return Ok(());
        };
        if let Some(entry) = self.table.get_mut(session).filter(|entry| !entry.wants_exchange) {
            entry.wants_exchange = true;
            self.wanting = self.wanting.saturating_add(1);
        }
        Err(refusal)
    }

    /// Returns a session on which the application wanted to open an exchange, and now can.
    pub(in crate::manager) fn next_available(&mut self, config: &Config) -> Option<SessionHandle> {
        if self.wanting == 0 || !self.exchanges.have_ended || !self.exchanges.has_room_for_own() {
            return None;
        }
        let found = self.table.find(|entry| {
            entry.wants_exchange
                && entry.closing.is_none()
                && self.exchanges.is_session_free(entry.handle().local, config)
        });
        let Some(session) = found else {
            self.exchanges.have_ended = false;
            return None;
        };
        self.wants_none(session);
        Some(session)
    }

    /// Notes that nobody waits for an exchange on a session.
    pub(super) fn wants_none(&mut self, session: SessionHandle) {
        if let Some(entry) = self.table.get_mut(session).filter(|entry| entry.wants_exchange) {
            entry.wants_exchange = false;
            self.wanting = self.wanting.saturating_sub(1);
        }
    }
}
