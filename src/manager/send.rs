//! Exchanges of secure sessions, and everything that leaves.

use core::ops::Range;

use super::event::{OpenError, SendError, Transmit};
use super::handle::{ExchangeHandle, ExchangeKey, HandshakeId, SessionHandle, Source};
use super::outbox::SHORT_LEN;
use super::session_table::Entry;
use super::storage::{Held, Map, Octets, Owner, Storage};
use super::{Config, Event, PeerAddress, SessionManager};
use crate::crypto::Crypto;
use crate::exchange::Exchange;
use crate::handshake::Context;
use crate::ids::ProtocolId;
use crate::time::Instant;
use crate::wire::{EncodeError, MIN_MESSAGE_HEADER, MessageBuf, ProtocolHeader, TAILROOM};

/// Length in octets of the scratch buffer for [`SessionManager::poll_transmit`].
pub const TRANSMIT_BUFFER_LEN: usize = SHORT_LEN;

/// An exchange of a secure session.
pub(super) struct ExchangeEntry<S: Storage> {
    pub(super) exchange: Exchange<Held<S>>,
    pub(super) serial: u64,
    pub(super) filed: Option<Instant>,
    /// The application is through with it; it goes when nothing is left to do.
    pub(super) closing: bool,
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Opens an exchange on a session. Close it when the conversation is over: a node should not
    /// have more than five at a time on one session, as its peer may have no room for more.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_exchange(
        &mut self,
        now: Instant,
        session: SessionHandle,
    ) -> Result<ExchangeHandle, OpenError> {
        if self.sessions.get(session).is_none() {
            return Err(OpenError::Closed);
        }
        let key = self.new_exchange_key(session.local).ok_or(OpenError::TooMany)?;
        let serial = self.serial();
        let exchange = Exchange::new(key.id, true, now);
        let entry = ExchangeEntry { exchange, serial, filed: None, closing: false };
        self.exchanges.insert(key, entry).map_err(|_| OpenError::TooMany)?;
        self.update(Source::Exchange(key));
        Ok(ExchangeHandle { key, serial })
    }

    /// Says that the conversation is over. A message in flight is still repeated until it is
    /// acknowledged, an acknowledgement that is owed leaves at once.
    pub fn close_exchange(&mut self, exchange: ExchangeHandle) {
        if let Some(entry) = self.exchange_mut(exchange) {
            entry.closing = true;
            entry.exchange.flush_ack();
            self.update(Source::Exchange(exchange.key));
        }
    }

    /// How many exchanges are open.
    #[must_use]
    pub fn exchange_count(&self) -> usize {
        self.exchanges.len()
    }

    /// Sends a message reliably: encrypted once, here, and repeated until the peer acknowledges
    /// it ([`Event::Acknowledged`]) or five transmissions were in vain
    /// ([`Event::Undelivered`]). Over a reliable transport it is sent once, and neither event
    /// follows.
    ///
    /// # Errors
    /// [`SendError`]; nothing is sent then.
    #[inline(never)]
    pub fn send(
        &mut self,
        cx: &mut Context<'_>,
        exchange: ExchangeHandle,
        protocol: ProtocolId,
        opcode: u8,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.may_send(exchange)?;
        let sent = self.put_in_flight(exchange, protocol, opcode, payload, cx.now);
        // Also after an error: what was allocated for the message is given back.
        self.finish_send(exchange.key);
        sent
    }

    /// Whether a reliable message can be sent on an exchange now.
    pub(super) fn may_send(&mut self, exchange: ExchangeHandle) -> Result<(), SendError> {
        let entry = self.exchange_mut(exchange).ok_or(SendError::Closed)?;
        if entry.exchange.is_in_flight() {
            return Err(SendError::InFlight);
        }
        // One that was sent over a reliable transport may still be held.
        entry.exchange.ground();
        if self.is_backlogged() {
            return Err(SendError::Backlog);
        }
        Ok(())
    }

    /// The header of a reliable message, and octets for it.
    pub(super) fn reserve_octets(
        &mut self,
        exchange: ExchangeHandle,
        protocol: ProtocolId,
        opcode: u8,
        payload: usize,
    ) -> Result<(ProtocolHeader, Held<S>), SendError> {
        let (header, _) = self.header(exchange, protocol, opcode, payload, true)?;
        let owner = Owner::Message(Source::Exchange(exchange.key));
        let held = self.octets.allocate(owner, Config::buffer_len(payload));
        Ok((header, held.ok_or(SendError::NoRoom)?))
    }

    #[inline(never)]
    fn put_in_flight(
        &mut self,
        exchange: ExchangeHandle,
        protocol: ProtocolId,
        opcode: u8,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), SendError> {
        let (header, mut held) = self.reserve_octets(exchange, protocol, opcode, payload.len())?;
        let owner = Owner::Message(Source::Exchange(exchange.key));
        let session = self.sessions.in_use(exchange.key.session).ok_or(SendError::Closed)?;
        let buf = MessageBuf::with_payload(self.octets.get_mut(owner, &mut held), payload)?;
        let sealed = session.session.encode(&header, buf, now)?;
        let (datagram, counter) = (sealed.range(), sealed.counter());
        let entry = self.exchange_mut(exchange).ok_or(SendError::Closed)?;
        entry.exchange.sent(&header, now);
        entry.exchange.launch(held, datagram, counter, header.needs_ack);
        log_trace!(
            "message {} sealed: session {}, exchange {}",
            counter,
            exchange.key.session,
            header.exchange
        );
        Ok(())
    }

    /// Sends a message once, sealed straight into `buf`, which must hold the payload and
    /// [`HEADROOM`](crate::wire::HEADROOM) + [`TAILROOM`] octets (52) more. Send what is returned.
    ///
    /// # Errors
    /// [`SendError`]; nothing is to be sent then.
    pub fn send_unreliable<'b>(
        &mut self,
        now: Instant,
        exchange: ExchangeHandle,
        protocol: ProtocolId,
        opcode: u8,
        payload: &[u8],
        buf: &'b mut [u8],
    ) -> Result<Transmit<'b>, SendError> {
        let (header, to) = self.header(exchange, protocol, opcode, payload.len(), false)?;
        let session = self.sessions.in_use(exchange.key.session).ok_or(SendError::Closed)?;
        let message = MessageBuf::with_payload(buf, payload)?;
        let datagram = session.session.encode(&header, message, now)?.as_bytes();
        if let Some(entry) = self.exchange_mut(exchange) {
            entry.exchange.sent(&header, now);
        }
        self.finish_send(exchange.key);
        Ok(Transmit { to, datagram })
    }

    /// Whether nothing is left to send or to be acknowledged, and no handshake is running: a
    /// program may end now without leaving a peer in doubt.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.outbox.is_empty()
            && self.exchanges.iter().all(|(_, entry)| entry.exchange.is_settled())
            && self
                .handshakes
                .iter()
                .all(|(_, slot)| slot.ended.is_some() && slot.exchange.is_settled())
    }

    /// The longest payload in octets that can be sent on an exchange now, with this protocol.
    #[must_use]
    pub fn max_payload(&self, exchange: ExchangeHandle, protocol: ProtocolId) -> Option<usize> {
        let entry = self.exchanges.get(&exchange.key)?;
        if entry.serial != exchange.serial {
            return None;
        }
        let header = entry.exchange.header(protocol, 0, true);
        Some(self.room(&header, self.sessions.by_local(exchange.key.session)?))
    }

    /// The payload that fits a message with this header on this session.
    fn room(&self, header: &ProtocolHeader, session: &Entry<C, T>) -> usize {
        /// What the cipher takes, with the protocol header.
        const CIPHER_LIMIT: usize = 0xFFFF;
        let message = match session.address {
            PeerAddress::Udp(_) => self.node.config.max_message,
            PeerAddress::Tcp(_) => {
                let declared = session.session.peer_parameters().max_tcp_message;
                usize::try_from(declared).unwrap_or(usize::MAX)
            }
            PeerAddress::Btp(_) => usize::MAX,
        };
        let sealed = message.saturating_sub(MIN_MESSAGE_HEADER + TAILROOM);
        sealed.min(CIPHER_LIMIT).saturating_sub(header.encoded_len())
    }

    /// The header of a message to be sent, and where it goes, once it is known to fit.
    fn header(
        &self,
        exchange: ExchangeHandle,
        protocol: ProtocolId,
        opcode: u8,
        payload: usize,
        reliable: bool,
    ) -> Result<(ProtocolHeader, PeerAddress), SendError> {
        let entry = self.exchange(exchange).ok_or(SendError::Closed)?;
        let session = self.sessions.by_local(exchange.key.session).ok_or(SendError::Closed)?;
        let address = session.address;
        let reliable = reliable && !address.is_reliable();
        let header = entry.exchange.header(protocol, opcode, reliable);
        let max = self.room(&header, session);
        if payload > max {
            return Err(SendError::TooLong { max });
        }
        Ok((header, address))
    }

    pub(super) fn finish_send(&mut self, key: ExchangeKey) {
        self.watch_counter(key.session);
        self.update(Source::Exchange(key));
    }

    /// An exchange, unless the application has closed it.
    fn exchange(&self, exchange: ExchangeHandle) -> Option<&ExchangeEntry<S>> {
        let entry = self.exchanges.get(&exchange.key)?;
        (entry.serial == exchange.serial && !entry.closing).then_some(entry)
    }

    pub(super) fn exchange_mut(
        &mut self,
        exchange: ExchangeHandle,
    ) -> Option<&mut ExchangeEntry<S>> {
        self.exchanges
            .get_mut(&exchange.key)
            .filter(|entry| entry.serial == exchange.serial && !entry.closing)
    }

    /// The next datagram to send; `None` when there is nothing more. `scratch` takes short
    /// messages; long ones are lent from where they are kept for retransmission.
    #[must_use = "what is polled counts as sent"]
    #[inline(never)]
    pub fn poll_transmit<'a>(
        &'a mut self,
        now: Instant,
        scratch: &'a mut [u8; TRANSMIT_BUFFER_LEN],
    ) -> Option<Transmit<'a>> {
        // By turns: neither holds the other up, even if only one is polled per datagram received.
        self.outbox_turn = !self.outbox_turn;
        let shorts_first = self.outbox_turn && !self.outbox.is_empty();
        while let Some(source) = self.schedule.ready().filter(|_| !shorts_first) {
            match self.next_output(source, now, scratch) {
                Some(Output::Ack { to, range }) => {
                    return Some(Transmit { to, datagram: scratch.get(range)? });
                }
                Some(Output::InFlight) => return self.in_flight(source),
                None => {}
            }
        }
        let short = self.outbox.pop()?;
        let datagram = scratch.get_mut(..short.datagram().len())?;
        datagram.copy_from_slice(short.datagram());
        Some(Transmit { to: short.to, datagram })
    }

    /// Encodes the next acknowledgement of a source into `buf`, or takes its transmission.
    #[inline(never)]
    fn next_output(&mut self, source: Source, now: Instant, buf: &mut [u8]) -> Option<Output> {
        let output = match source {
            Source::Exchange(key) => self.exchange_output(key, now, buf),
            Source::Handshake(id) => self.handshake_output(id, now, buf),
        };
        if output.is_none() {
            // Nothing could be made of it: it must not stay ready for ever.
            self.schedule.idle(source);
        }
        match (source, &output) {
            (Source::Exchange(key), Some(Output::InFlight)) => self.lend_flight(key, now),
            (Source::Exchange(key), Some(Output::Ack { .. })) => self.finish_send(key),
            _ => self.update(source),
        }
        output
    }

    /// Keeps a message that is being lent. One that is sent once goes with the next call of
    /// [`handle_timeout`](Self::handle_timeout), and so does its exchange if that was all it was
    /// there for.
    fn lend_flight(&mut self, key: ExchangeKey, now: Instant) {
        match self.exchanges.get_mut(&key) {
            Some(entry) if !entry.exchange.is_in_flight() => {
                let has_output = entry.exchange.has_output();
                self.schedule.file(Source::Exchange(key), &mut entry.filed, Some(now), has_output);
            }
            _ => self.schedule_exchange(key),
        }
    }

    fn exchange_output(
        &mut self,
        key: ExchangeKey,
        now: Instant,
        buf: &mut [u8],
    ) -> Option<Output> {
        let entry = self.exchanges.get_mut(&key)?;
        let session = self.sessions.in_use(key.session)?;
        if let Some(header) = entry.exchange.next_ack() {
            entry.exchange.sent(&header, now);
            let message = MessageBuf::new(buf).ok()?;
            let range = session.session.encode(&header, message, now).ok()?.range();
            return Some(Output::Ack { to: session.address, range });
        }
        session.session.notify_activity(now);
        let (wait, interval) = (self.node.retry_wait(), session.session.base_interval(now));
        let taken = entry.exchange.take_transmission(now, |n| wait(interval, n));
        taken.then_some(Output::InFlight)
    }

    fn handshake_output(
        &mut self,
        id: HandshakeId,
        now: Instant,
        buf: &mut [u8],
    ) -> Option<Output> {
        let slot = self.handshakes.get_mut(&id)?;
        if let Some(header) = slot.exchange.next_ack() {
            slot.exchange.sent(&header, now);
            let message = MessageBuf::new(buf).ok()?;
            let counter = &mut self.unsecured_counter;
            let range = slot.unsecured.encode(counter, &header, message, now).ok()?.range();
            return Some(Output::Ack { to: slot.peer, range });
        }
        let (wait, interval) = (self.node.retry_wait(), slot.unsecured.base_interval(now));
        slot.exchange.take_transmission(now, |n| wait(interval, n)).then_some(Output::InFlight)
    }

    fn in_flight(&self, source: Source) -> Option<Transmit<'_>> {
        let (to, exchange) = match source {
            Source::Exchange(key) => {
                let to = self.sessions.by_local(key.session)?.address;
                (to, &self.exchanges.get(&key)?.exchange)
            }
            Source::Handshake(id) => {
                let slot = self.handshakes.get(&id)?;
                (slot.peer, &slot.exchange)
            }
        };
        let (held, datagram) = exchange.message()?;
        let octets = self.octets.get(Owner::Message(source), held);
        Some(Transmit { to, datagram: octets.get(datagram)? })
    }

    pub(super) fn update_exchange(&mut self, key: ExchangeKey) {
        if let Some(entry) = self.exchanges.get_mut(&key)
            && !entry.exchange.is_in_flight()
        {
            entry.exchange.ground();
            self.octets.release(Owner::Message(Source::Exchange(key)));
        }
        self.schedule_exchange(key);
    }

    fn schedule_exchange(&mut self, key: ExchangeKey) {
        let lifetime = self.node.config.exchange_lifetime;
        let Some(entry) = self.exchanges.get_mut(&key) else { return };
        let has_session = self.sessions.by_local(key.session).is_some();
        if !has_session || (entry.closing && entry.exchange.is_settled()) {
            let filed = entry.filed;
            self.exchanges.remove(&key);
            return self.forget(Source::Exchange(key), filed);
        }
        // What is closing waits for nothing but its own end.
        let waits = !entry.closing && entry.exchange.is_settled();
        let idle = waits.then(|| entry.exchange.last_used() + lifetime);
        let deadline = entry.exchange.poll_timeout().or(idle);
        let has_output = entry.exchange.has_output();
        self.schedule.file(Source::Exchange(key), &mut entry.filed, deadline, has_output);
    }

    /// Lets time pass for an exchange.
    #[inline(never)]
    pub(super) fn exchange_timeout(&mut self, key: ExchangeKey, cx: &mut Context<'_>) {
        let lifetime = self.node.config.exchange_lifetime;
        let Some(entry) = self.exchanges.get_mut(&key) else { return };
        entry.filed = None;
        if self.sessions.by_local(key.session).is_none() {
            return self.update(Source::Exchange(key));
        }
        let gave_up = entry.exchange.handle_timeout(cx.now);
        // An acknowledgement that is owed still leaves: a closed exchange ends when it is settled.
        if !entry.exchange.is_in_flight() && cx.now >= entry.exchange.last_used() + lifetime {
            entry.closing = true;
        }
        let exchange = ExchangeHandle { key, serial: entry.serial };
        if gave_up {
            self.sessions.unanswered(key.session);
            self.tell(Event::Undelivered { exchange });
        }
        self.update(Source::Exchange(key));
    }
}

/// What a source has to send.
enum Output {
    /// An acknowledgement, which stands at `range` of the scratch buffer.
    Ack { to: PeerAddress, range: Range<usize> },
    /// The message in flight.
    InFlight,
}

impl From<EncodeError> for SendError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::BufferTooSmall { needed } => Self::BufferTooSmall { needed },
            EncodeError::PayloadTooLong => Self::TooLong { max: 0xFFFF },
            EncodeError::CounterExhausted => Self::CounterExhausted,
            EncodeError::Crypto => Self::Crypto,
        }
    }
}
