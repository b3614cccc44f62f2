//! Where the peer of a session is, whether it listens, and whether it answers.

use core::time::Duration;

use crate::crypto::Crypto;
use crate::ids::Peer;
use crate::manager::delivery::Delivery;
use crate::manager::error::MoveError;
use crate::manager::handle::{ExchangeHandle, ExchangeKey, PeerAddress, SessionHandle};
use crate::manager::node::Node;
use crate::manager::sessions::exchanges::Exchanges;
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::Storage;
use crate::time::{Instant, as_millis};

impl<S: Storage> Exchanges<S> {
    /// Returns the exchange of a session that follows this one.
    fn next_of(&self, key: ExchangeKey) -> Option<ExchangeKey> {
        self.of_session(key.session).map(|(next, _)| *next).find(|next| *next > key)
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Sends messages to the address from now on. Whatever the peer sends from elsewhere moves the
    /// session again.
    pub(in crate::manager) fn move_to(
        &mut self,
        session: SessionHandle,
        address: PeerAddress,
    ) -> Result<(), MoveError> {
        let entry = self.table.get_mut(session).ok_or(MoveError::Closed)?;
        if !entry.address.shares_sessions(&address) {
            return Err(MoveError::OtherTransport);
        }
        entry.address = address;
        Ok(())
    }

    /// Adds this to every wait for an acknowledgement on a session.
    pub(in crate::manager) fn set_boost(&mut self, session: SessionHandle, boost: Duration) {
        if let Some(entry) = self.table.get_mut(session) {
            entry.boost = u16::try_from(as_millis(boost)).unwrap_or(u16::MAX);
        }
    }

    /// Counts a peer as active from now on, and transmits what waits for it.
    pub(in crate::manager) fn peer_is_awake(
        &mut self,
        peer: Peer,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        let mut next = self.table.next_of_peer(peer, 0);
        while let Some(local) = next {
            if let Some(entry) = self.table.by_local_mut(local) {
                entry.session.mark_peer_active(now);
                let entry = &*entry;
                let mut key = self.exchanges.first_of(local);
                while let Some(this) = key {
                    if let Some(ours) = self.exchanges.get_mut(&this) {
                        let wait = node.longest_wait();
                        ours.exchange.hasten(now, |n| entry.retry_wait(now, wait, n));
                        let lifetime = node.config.exchange_lifetime;
                        ours.file(&mut delivery.schedule, this, lifetime);
                    }
                    key = self.exchanges.next_of(this);
                }
            }
            next =
                local.get().checked_add(1).and_then(|first| self.table.next_of_peer(peer, first));
        }
    }

    /// Returns the next exchange whose message in flight was not acknowledged in time, with its
    /// session. Each message is returned once, and none that was acknowledged or given up since.
    pub(in crate::manager) fn next_silent(&mut self) -> Option<(SessionHandle, ExchangeHandle)> {
        let mut rest = self.exchanges.from(ExchangeKey::first_of(self.first_silent?));
        let found = rest.find(|(_, entry)| entry.exchange.is_silent()).map(|(key, _)| *key);
        drop(rest);
        self.first_silent = found.map(|key| key.session);
        let key = found?;
        let entry = self.exchanges.get_mut(&key)?;
        let _ = entry.exchange.take_silence();
        let exchange = ExchangeHandle { key, serial: entry.serial };
        Some((self.table.handle(key.session)?, exchange))
    }
}
