//! Datagrams that were read from the socket together.

use core::fmt;

use super::event::{Dropped, Received};
use super::handle::{PeerAddress, SessionHandle};
use super::storage::Storage;
use super::{SessionManager, SessionTable};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::session::{SHORTEST_TOGETHER, SecureSession, TOGETHER, Unopened, open_together};
use crate::wire::{
    MIN_MESSAGE_HEADER, MIN_PROTOCOL_HEADER, MessageHeader, Packet, SessionRoute, TAILROOM,
};

/// One of many datagrams for [`SessionManager::handle_datagrams`], and what becomes of it.
pub struct Datagram<'b> {
    from: PeerAddress,
    state: State<'b>,
}

enum State<'b> {
    /// As it was read.
    Read(&'b mut [u8]),
    /// A message for this session, opened along with others.
    Opened(SessionHandle, Unopened<'b>),
    Handled(Received<'b>),
    /// The caller has the result.
    Taken,
}

impl<'b> Datagram<'b> {
    /// A datagram, cut to what was read, and where it came from.
    #[must_use]
    pub const fn new(from: PeerAddress, octets: &'b mut [u8]) -> Self {
        Self { from, state: State::Read(octets) }
    }

    /// Where it came from.
    #[must_use]
    pub const fn from(&self) -> PeerAddress {
        self.from
    }

    /// What [`handle_datagram`](SessionManager::handle_datagram) would have returned. `None`
    /// before it was handled, and from the second call on.
    pub fn take(&mut self) -> Option<Received<'b>> {
        match core::mem::replace(&mut self.state, State::Taken) {
            State::Handled(received) => Some(received),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn is_unsecured(&self) -> bool {
        match &self.state {
            State::Read(octets) => {
                Packet::peek(octets).is_ok_and(|clear| clear.route() == SessionRoute::Unsecured)
            }
            _ => false,
        }
    }

    /// The message and its session, if it gains by being opened along with others and there is no
    /// doubt about that: a session that lives and may be used from there. Anything else stays as it
    /// was read.
    fn opening<'m, C: Crypto, S: Storage, T: Default>(
        &'m mut self,
        sessions: &'m SessionTable<C, S, T>,
    ) -> Option<(&'m SecureSession<C>, &'m mut Unopened<'b>)> {
        let State::Read(octets) = &self.state else { return None };
        if octets.len() < SHORTEST {
            return None;
        }
        let (header, header_len) = MessageHeader::parse(octets).ok()?;
        let SessionRoute::Unicast(local) = header.route else { return None };
        let entry = sessions.by_local(local)?;
        let body_len = octets.len().saturating_sub(header_len);
        if !entry.address.shares_sessions(&self.from) || !entry.session.may_open(&header, body_len)
        {
            return None;
        }
        let State::Read(octets) = core::mem::replace(&mut self.state, State::Taken) else {
            return None;
        };
        let message = entry.session.unopened(Packet::of(header, header_len, octets)).ok()?;
        self.state = State::Opened(entry.handle(), message);
        match &mut self.state {
            State::Opened(_, message) => Some((&entry.session, message)),
            _ => None,
        }
    }
}

/// Datagrams of fewer octets are handled as they come.
const SHORTEST: usize = MIN_MESSAGE_HEADER + MIN_PROTOCOL_HEADER + SHORTEST_TOGETHER + TAILROOM;

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

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Takes in many datagrams in their order: what comes of each, what is told and what is sent
    /// are what [`handle_datagram`](Self::handle_datagram) one after the other would make of them.
    /// But messages of secure sessions that have 256 octets of payload or more are decrypted
    /// together ([`Crypto::open_batch`]), which takes less time.
    ///
    /// For callers that read many datagrams at once, with `recvmmsg` or from a ring:
    ///
    #[cfg_attr(all(feature = "alloc", feature = "rustcrypto"), doc = "```")]
    #[cfg_attr(not(all(feature = "alloc", feature = "rustcrypto")), doc = "```ignore")]
    /// use core::net::SocketAddr;
    ///
    /// use matter_session::manager::Datagram;
    /// use matter_session::{Context, Services, HeapSessionManager, Received};
    ///
    /// /// What one system call has read: buffers, and what stands in each from whom.
    /// struct Ring {
    ///     buffers: [[u8; 1280]; 32],
    ///     read: Vec<(usize, SocketAddr)>,
    /// }
    ///
    /// fn take_in(node: &mut HeapSessionManager, cx: &mut Context<'_>, ring: &mut Ring) {
    ///     let read = ring.buffers.iter_mut().zip(&ring.read);
    ///     let mut batch: Vec<_> = read
    ///         .map(|(buffer, (len, from))| Datagram::new((*from).into(), &mut buffer[..*len]))
    ///         .collect();
    ///     node.handle_datagrams(cx, &mut batch);
    ///     for datagram in &mut batch {
    ///         if let Some(Received::Message(message)) = datagram.take() {
    ///             println!("{} octets from {}", message.payload.len(), datagram.from());
    ///             node.close_exchange(message.exchange);
    ///         }
    ///     }
    /// }
    /// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
    /// # let (config, crypto) = (matter_session::Config::default(), matter_session::RustCrypto);
    /// # let mut node = HeapSessionManager::new(config, crypto, &mut rng);
    /// # let mut services = Services::new(&mut rng);
    /// # let mut cx = services.at(matter_session::Instant::ZERO);
    /// # let mut ring = Ring { buffers: [[0; 1280]; 32], read: vec![(9, ([0; 4], 1).into())] };
    /// # take_in(&mut node, &mut cx, &mut ring);
    /// # assert_eq!(node.statistics().dropped_in_all(), 1);
    /// ```
    pub fn handle_datagrams(&mut self, cx: &mut Context<'_>, batch: &mut [Datagram<'_>]) {
        let mut later = batch;
        while !later.is_empty() {
            let len = self.open_ahead(later);
            let Some((run, rest)) = later.split_at_mut_checked(len) else { return };
            for datagram in run {
                self.handle_opened(cx, datagram);
            }
            later = rest;
        }
    }

    /// Opens the messages of the first few datagrams, which are to be handled then; how many they
    /// are.
    ///
    /// No handshake is among them but in the end: a session that ends may give its id to one that
    /// begins, and its messages must not be spoilt by the old key.
    fn open_ahead(&self, batch: &mut [Datagram<'_>]) -> usize {
        let most = batch.len().min(TOGETHER);
        let unsecured = batch.iter().take(most).position(Datagram::is_unsecured);
        let len = unsecured.map_or(most, |last| last.saturating_add(1));
        let run = batch.iter_mut().take(len);
        let messages = run.filter_map(|datagram| datagram.opening(&self.sessions));
        open_together(&self.crypto, messages);
        len
    }

    fn handle_opened(&mut self, cx: &mut Context<'_>, datagram: &mut Datagram<'_>) {
        let from = datagram.from;
        let received = match core::mem::replace(&mut datagram.state, State::Taken) {
            State::Read(octets) => self.handle_datagram(cx, from, octets),
            State::Opened(session, message) => {
                let received = self.receive_secure(cx, from, session.local, |entry| {
                    // A datagram before it may have ended the session.
                    let lives = entry.serial == session.serial;
                    if lives { Ok(message) } else { Err(Dropped::UnknownSession) }
                });
                self.counted(from, received)
            }
            other => return datagram.state = other,
        };
        datagram.state = State::Handled(received);
    }
}
