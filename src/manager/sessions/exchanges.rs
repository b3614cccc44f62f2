//! Exchanges of secure sessions as a manager holds them, and how a message gets into one.

use core::ops::Range;
use core::time::Duration;

use crate::crypto::Crypto;
use crate::exchange::Exchange;
use crate::ids::{MessageCounter, ProtocolId};
use crate::manager::delivery::{Filed, Schedule};
use crate::manager::event::SendError;
use crate::manager::handle::{ExchangeHandle, ExchangeKey, PeerAddress, Source};
use crate::manager::sessions::table::{Entry, SessionTable};
use crate::manager::storage::{Held, Octets, Owner, Storage};
use crate::manager::{Config, Node};
use crate::time::Instant;
use crate::wire::{MIN_MESSAGE_HEADER, MessageBuf, ProtocolHeader, TAILROOM};

/// An exchange of a secure session.
pub(in crate::manager) struct ExchangeEntry<S: Storage> {
    pub(in crate::manager) exchange: Exchange<Held<S>>,
    pub(in crate::manager) serial: u64,
    pub(in crate::manager) filed: Filed,
    /// The application is through with it; it goes when nothing is left to do.
    pub(in crate::manager) closing: bool,
}

impl<S: Storage> ExchangeEntry<S> {
    pub(in crate::manager) const fn new(exchange: Exchange<Held<S>>, serial: u64) -> Self {
        Self { exchange, serial, filed: Filed::NONE, closing: false }
    }

    /// Files what the exchange waits for, and whether it has output; false if it has nothing left
    /// to do and is to go.
    pub(in crate::manager) fn file(
        &mut self,
        schedule: &mut Schedule<S>,
        key: ExchangeKey,
        lifetime: Duration,
    ) -> bool {
        let is_settled = self.exchange.is_settled();
        if self.closing && is_settled {
            return false;
        }
        // What is closing waits for nothing but its own end.
        let idle = is_settled.then(|| self.exchange.last_used() + lifetime);
        let deadline = self.exchange.poll_timeout().or(idle);
        let has_output = self.exchange.has_output();
        schedule.file(Source::Exchange(key), &mut self.filed, deadline, has_output);
        true
    }

    /// Whether a reliable message can be sent on this exchange now, if it is the one that is meant.
    pub(in crate::manager) fn may_send(
        &mut self,
        meant: ExchangeHandle,
        backlogged: bool,
    ) -> Result<(), SendError> {
        if self.serial != meant.serial || self.closing {
            return Err(SendError::Closed);
        }
        if self.exchange.is_in_flight() {
            return Err(SendError::InFlight);
        }
        // One that was sent over a reliable transport may still be held.
        self.exchange.ground();
        if backlogged { Err(SendError::Backlog) } else { Ok(()) }
    }

    /// The header of a reliable message, and octets for it.
    pub(in crate::manager) fn reserve<C: Crypto, T>(
        &self,
        key: ExchangeKey,
        (protocol, opcode, payload): (ProtocolId, u8, &[u8]),
        sessions: &SessionTable<C, S, T>,
        octets: &mut S::Octets,
        node: &Node<S>,
    ) -> Result<(ProtocolHeader, Held<S>), SendError> {
        let session = sessions.by_local(key.session).ok_or(SendError::Closed)?;
        let header = self.exchange.header(protocol, opcode, !session.address.is_reliable());
        node.check_room(&header, session, payload.len())?;
        let owner = Owner::Message(Source::Exchange(key));
        let held = octets.allocate(owner, Config::buffer_len(payload.len()));
        Ok((header, held.ok_or(SendError::NoRoom)?))
    }

    #[inline(never)]
    pub(in crate::manager) fn put_in_flight<C: Crypto, T>(
        &mut self,
        key: ExchangeKey,
        message: (ProtocolId, u8, &[u8]),
        sessions: &mut SessionTable<C, S, T>,
        octets: &mut S::Octets,
        node: &Node<S>,
        now: Instant,
    ) -> Result<(), SendError> {
        let (header, mut held) = self.reserve(key, message, sessions, octets, node)?;
        let session = sessions.in_use(key.session).ok_or(SendError::Closed)?;
        let (.., payload) = message;
        let owner = Owner::Message(Source::Exchange(key));
        let buf = MessageBuf::with_payload(octets.get_mut(owner, &mut held), payload)?;
        let sealed = session.session.encode(&header, buf, now)?;
        let (datagram, counter) = (sealed.range(), sealed.counter());
        self.launch(&header, held, datagram, counter, now);
        log_trace!(
            "message {} sealed: session {}, exchange {}",
            counter,
            key.session,
            header.exchange
        );
        Ok(())
    }

    /// Puts a message in flight that is sealed.
    pub(in crate::manager) fn launch(
        &mut self,
        header: &ProtocolHeader,
        held: Held<S>,
        datagram: Range<usize>,
        counter: MessageCounter,
        now: Instant,
    ) {
        self.exchange.sent(header, now);
        self.exchange.launch(held, datagram, counter, header.needs_ack);
    }
}

impl<S: Storage> Node<S> {
    /// The payload that fits a message with this header on this session.
    pub(in crate::manager) fn room<C: Crypto, T>(
        &self,
        header: &ProtocolHeader,
        session: &Entry<C, T>,
    ) -> usize {
        /// What the cipher takes, with the protocol header.
        const CIPHER_LIMIT: usize = 0xFFFF;
        let message = match session.address {
            PeerAddress::Udp(_) => self.config.max_message,
            PeerAddress::Tcp(_) => {
                let declared = session.session.peer_parameters().max_tcp_message;
                usize::try_from(declared).unwrap_or(usize::MAX)
            }
            PeerAddress::Btp(_) => usize::MAX,
        };
        let sealed = message.saturating_sub(MIN_MESSAGE_HEADER + TAILROOM);
        sealed.min(CIPHER_LIMIT).saturating_sub(header.encoded_len())
    }

    pub(in crate::manager) fn check_room<C: Crypto, T>(
        &self,
        header: &ProtocolHeader,
        session: &Entry<C, T>,
        payload: usize,
    ) -> Result<(), SendError> {
        let max = self.room(header, session);
        if payload > max { Err(SendError::TooLong { max }) } else { Ok(()) }
    }
}
