//! A secure session as the manager holds it.

use core::fmt;
use core::time::Duration;

use crate::crypto::Crypto;
use crate::ids::Peer;
use crate::manager::config::Config;
use crate::manager::error::SendError;
use crate::manager::event::CloseReason;
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::sessions::statistics::SessionStatistics;
use crate::manager::storage::{FabricOrPase, Holder};
use crate::session::{Identity, SecureSession, SessionKind};
use crate::time::{Instant, from_millis};
use crate::wire::{MIN_MESSAGE_HEADER, ProtocolHeader, TAILROOM};

/// A secure session with the address of its peer and the data of the application.
pub(in crate::manager) struct Entry<C: Crypto, T> {
    pub(in crate::manager) session: SecureSession<C>,
    pub(in crate::manager) address: PeerAddress,
    pub(in crate::manager) serial: u64,
    /// Whether the application was warned that the counter runs out.
    pub(super) warned: bool,
    /// Set once the session only waits until it is settled: why it closes then. No exchange begins
    /// on it.
    pub(super) closing: Option<CloseReason>,
    /// The session was resumed, and the peer was not heard on it yet. The peer may have other keys.
    pub(super) is_unheard: bool,
    /// The session was resumed.
    pub(super) is_resumed: bool,
    /// Up to this counter, messages may have been refused that the manager has forgotten.
    pub(super) forgotten: u32,
    /// No message in flight has a counter below this one.
    pub(super) oldest: u32,
    /// How many messages wait to be sealed.
    pub(super) waiting: u16,
    /// The time that is added to every wait for an acknowledgement here, in milliseconds.
    pub(super) boost: u16,
    /// Whether the application was refused an exchange, and is to be told when it can have one.
    pub(super) wants_exchange: bool,
    /// When the peer presented its certificates, and the earliest end of their validity: seconds
    /// since 2000, 0 if unknown or never. No `Option`, as there are tens of thousands.
    pub(super) authenticated: u32,
    pub(super) valid_until: u32,
    pub(super) statistics: SessionStatistics,
    pub(super) data: T,
}

impl<C: Crypto, T> Entry<C, T> {
    pub(super) fn new(session: SecureSession<C>, address: PeerAddress, serial: u64) -> Self
    where
        T: Default,
    {
        Self {
            session,
            address,
            serial,
            warned: false,
            closing: None,
            is_unheard: false,
            is_resumed: false,
            forgotten: 0,
            oldest: 0,
            waiting: 0,
            boost: 0,
            wants_exchange: false,
            authenticated: 0,
            valid_until: 0,
            statistics: SessionStatistics::EMPTY,
            data: T::default(),
        }
    }

    pub(in crate::manager) const fn handle(&self) -> SessionHandle {
        SessionHandle { local: self.session.local_session_id(), serial: self.serial }
    }

    pub(super) fn peer(&self) -> Option<Peer> {
        peer_of(self.session.identity())
    }

    /// Returns the peer that exchanges of the session count for.
    pub(super) fn holder(&self) -> Holder {
        match self.peer() {
            Some(Peer { fabric, node }) => Holder { fabric: Some(fabric), peer: node.get() },
            None => Holder { fabric: PASE, peer: self.session.local_session_id().get().into() },
        }
    }

    /// Returns how long to wait for an acknowledgement after so many repetitions. `wait` says how
    /// long that is on any session.
    pub(super) fn retry_wait(
        &self,
        now: Instant,
        wait: impl FnOnce(Duration, u8) -> Duration,
        repetitions: u8,
    ) -> Duration {
        let wait = wait(self.session.base_interval(now), repetitions);
        wait.saturating_add(from_millis(self.boost.into()))
    }

    /// Returns true if the counters are used up but for those that are kept for acknowledgements
    /// and for the end of the session.
    pub(super) const fn is_exhausted(&self) -> bool {
        /// A full window, and as many again.
        const KEPT: u32 = 64;
        self.session.remaining_messages() <= KEPT
    }

    /// Returns the longest payload in bytes of a message with a protocol header of this length.
    pub(super) fn max_payload(&self, header_len: usize, config: &Config) -> usize {
        /// What the cipher takes, with the protocol header.
        const CIPHER_LIMIT: usize = 0xFFFF;
        let message = match self.address {
            PeerAddress::Udp(_) | PeerAddress::Link(_) => config.max_message,
            PeerAddress::Tcp(_) => {
                let declared = self.session.peer_parameters().max_tcp_message;
                usize::try_from(declared).unwrap_or(usize::MAX)
            }
        };
        let sealed = message.saturating_sub(MIN_MESSAGE_HEADER + TAILROOM);
        sealed.min(CIPHER_LIMIT).saturating_sub(header_len)
    }

    /// Checks that a payload of `len` bytes fits a message with this header.
    pub(super) fn check_payload(
        &self,
        len: usize,
        header: &ProtocolHeader,
        config: &Config,
    ) -> Result<(), SendError> {
        let max = self.max_payload(header.encoded_len(), config);
        if len > max { Err(SendError::TooLong { max }) } else { Ok(()) }
    }
}

impl<C: Crypto, T> fmt::Debug for Entry<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Returns the peer of a CASE session.
pub(super) fn peer_of(identity: &Identity) -> Option<Peer> {
    let fabric = listed_under(identity)?;
    Some(Peer { fabric, node: identity.peer_node() })
}

/// Returns what a session is listed under in the order of use.
pub(super) fn listed_under(identity: &Identity) -> FabricOrPase {
    match identity.kind() {
        SessionKind::Case => identity.fabric(),
        // The fabric that was added over it has no claim to it.
        SessionKind::Pase => PASE,
    }
}

/// What PASE sessions are listed under.
pub(super) const PASE: FabricOrPase = None;
