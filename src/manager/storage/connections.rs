//! Sessions by the connection of a reliable transport that they run over.

#[cfg(feature = "alloc")]
use alloc::collections::BTreeSet;

use crate::ids::LocalSessionId;
use crate::manager::handle::PeerAddress;

/// Which sessions run over a connection.
pub trait ConnectionIndex {
    /// No sessions.
    const EMPTY: Self;
    /// Adds a session. Those over UDP have no connection and are not added.
    fn insert(&mut self, connection: PeerAddress, session: LocalSessionId);
    /// Removes a session.
    fn remove(&mut self, connection: PeerAddress, session: LocalSessionId);
    /// The session over a connection with the lowest id that is not below `first`. `scan` looks
    /// through all sessions: for addresses and for storage without an index.
    fn next(
        &self,
        connection: PeerAddress,
        first: u16,
        scan: impl FnOnce() -> Option<LocalSessionId>,
    ) -> Option<LocalSessionId>;
}

/// Sessions in the order of their connections: the kind of transport, the number, the id.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct Connected(BTreeSet<(bool, u32, u16)>);

#[cfg(feature = "alloc")]
impl Connected {
    const fn number(connection: PeerAddress) -> Option<(bool, u32)> {
        match connection {
            PeerAddress::Udp(_) => None,
            PeerAddress::Tcp(number) => Some((false, number)),
            PeerAddress::Link(number) => Some((true, number)),
        }
    }
}

#[cfg(feature = "alloc")]
impl ConnectionIndex for Connected {
    const EMPTY: Self = Self(BTreeSet::new());

    fn insert(&mut self, connection: PeerAddress, session: LocalSessionId) {
        if let Some((kind, number)) = Self::number(connection) {
            self.0.insert((kind, number, session.get()));
        }
    }

    fn remove(&mut self, connection: PeerAddress, session: LocalSessionId) {
        if let Some((kind, number)) = Self::number(connection) {
            self.0.remove(&(kind, number, session.get()));
        }
    }

    fn next(
        &self,
        connection: PeerAddress,
        first: u16,
        scan: impl FnOnce() -> Option<LocalSessionId>,
    ) -> Option<LocalSessionId> {
        let Some((kind, number)) = Self::number(connection) else { return scan() };
        let over = (kind, number, first)..=(kind, number, u16::MAX);
        self.0.range(over).next().and_then(|(_, _, session)| LocalSessionId::new(*session))
    }
}

/// No index: a device has few sessions.
#[derive(Debug)]
pub struct Unconnected;

impl ConnectionIndex for Unconnected {
    const EMPTY: Self = Self;

    fn insert(&mut self, _: PeerAddress, _: LocalSessionId) {}

    fn remove(&mut self, _: PeerAddress, _: LocalSessionId) {}

    fn next(
        &self,
        _: PeerAddress,
        _: u16,
        scan: impl FnOnce() -> Option<LocalSessionId>,
    ) -> Option<LocalSessionId> {
        scan()
    }
}
