//! Datagrams that were read from the socket together.

use core::fmt;

use crate::crypto::Crypto;
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::received::Received;
use crate::manager::sessions::table::SessionTable;
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::Storage;
use crate::session::{SecureSession, TOGETHER, Unopened, open_together};
use crate::wire::{MessageHeader, Packet, SessionRoute};

/// One of many datagrams for
/// [`SessionManager::handle_datagrams`](crate::SessionManager::handle_datagrams), and its result.
pub struct Datagram<'b> {
    from: PeerAddress,
    state: State<'b>,
}

enum State<'b> {
    NotHandled(NotHandled<'b>),
    Handled(Received<'b>),
    /// The caller has the result.
    Taken,
}

/// A datagram that is not handled yet.
pub(in crate::manager) enum NotHandled<'b> {
    /// The bytes that were read.
    Read(&'b mut [u8]),
    /// A message for this session, opened along with others.
    Opened(SessionHandle, Unopened<'b>),
}

impl<'b> Datagram<'b> {
    /// Makes a datagram, cut to the bytes that were read, and the address that it came from.
    #[must_use]
    pub const fn new(from: PeerAddress, bytes: &'b mut [u8]) -> Self {
        Self { from, state: State::NotHandled(NotHandled::Read(bytes)) }
    }

    /// Returns the address that it came from.
    #[must_use]
    pub const fn from(&self) -> PeerAddress {
        self.from
    }

    /// Returns what [`handle_datagram`](crate::SessionManager::handle_datagram) would have
    /// returned. `None` before the datagram was handled, and from the second call on.
    pub fn take(&mut self) -> Option<Received<'b>> {
        match core::mem::replace(&mut self.state, State::Taken) {
            State::Handled(received) => Some(received),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Takes the datagram out if it is not handled yet.
    pub(in crate::manager) const fn start(&mut self) -> Option<NotHandled<'b>> {
        match core::mem::replace(&mut self.state, State::Taken) {
            State::NotHandled(datagram) => Some(datagram),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Notes the result.
    pub(in crate::manager) fn finish(&mut self, received: Received<'b>) {
        self.state = State::Handled(received);
    }

    fn is_unsecured(&self) -> bool {
        match &self.state {
            State::NotHandled(NotHandled::Read(bytes)) => {
                Packet::peek(bytes).is_ok_and(|clear| clear.route() == SessionRoute::Unsecured)
            }
            _ => false,
        }
    }

    /// Returns the message and its session if the session lives and may be used from this address.
    /// Any other datagram stays as it was read.
    fn opening<'m, C: Crypto, S: Storage, T: Default>(
        &'m mut self,
        sessions: &'m SessionTable<C, S, T>,
    ) -> Option<(&'m SecureSession<C>, &'m mut Unopened<'b>)> {
        let State::NotHandled(NotHandled::Read(bytes)) = &self.state else { return None };
        let (header, header_len) = MessageHeader::parse(bytes).ok()?;
        let SessionRoute::Unicast(local) = header.route else { return None };
        let entry = sessions.by_local(local)?;
        let body_len = bytes.len().saturating_sub(header_len);
        if !entry.address.shares_sessions(&self.from) || !entry.session.may_open(&header, body_len)
        {
            return None;
        }
        let Some(NotHandled::Read(bytes)) = self.start() else { return None };
        let message = entry.session.unopened(Packet::of(header, header_len, bytes)).ok()?;
        self.state = State::NotHandled(NotHandled::Opened(entry.handle(), message));
        match &mut self.state {
            State::NotHandled(NotHandled::Opened(_, message)) => Some((&entry.session, message)),
            _ => None,
        }
    }
}

impl fmt::Debug for Datagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Datagram");
        debug.field("from", &self.from);
        if let State::Handled(received) = &self.state {
            debug.field("received", received);
        }
        debug.finish_non_exhaustive()
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Opens the messages of the first few datagrams together. Returns how many datagrams must be
    /// handled next.
    ///
    /// Only the last of them can be unsecured. A handshake can end a session and give its id to a
    /// new one, and the former key must not be used on messages of the new session.
    pub(in crate::manager) fn open_ahead(&self, crypto: &C, batch: &mut [Datagram<'_>]) -> usize {
        let most = batch.len().min(TOGETHER);
        let unsecured = batch.iter().take(most).position(Datagram::is_unsecured);
        let len = unsecured.map_or(most, |last| last.saturating_add(1));
        let run = batch.iter_mut().take(len);
        let messages = run.filter_map(|datagram| datagram.opening(&self.table));
        open_together(crypto, messages);
        len
    }
}
