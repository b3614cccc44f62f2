//! Everything that leaves, and the exchanges that it leaves by.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::exchange::Exchange;
use crate::ids::ProtocolId;
use crate::manager::delivery::{Output, SHORT_LEN};
use crate::manager::event::{OpenError, SendError, Transmit};
use crate::manager::handle::{ExchangeHandle, ExchangeKey, SessionHandle, Source};
use crate::manager::sessions::exchanges::ExchangeEntry;
use crate::manager::storage::{Map, Octets, Owner, Storage};
use crate::manager::{Event, SessionManager};
use crate::time::Instant;
use crate::wire::{EncodeError, MessageBuf};

/// Length in octets of the scratch buffer for [`SessionManager::poll_transmit`].
pub const TRANSMIT_BUFFER_LEN: usize = SHORT_LEN;

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
        if self.sessions.table.get(session).is_none() {
            return Err(OpenError::Closed);
        }
        let key = self.new_exchange_key(session.local).ok_or(OpenError::TooMany)?;
        let serial = self.delivery.serial();
        let exchange = Exchange::new(key.id, true, now);
        self.sessions
            .exchanges
            .insert(key, ExchangeEntry::new(exchange, serial))
            .map_err(|_| OpenError::TooMany)?;
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
        self.sessions.exchanges.len()
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
        let backlogged = self.delivery.is_backlogged();
        let key = exchange.key;
        let entry = self.sessions.exchanges.get_mut(&key).ok_or(SendError::Closed)?;
        entry.may_send(exchange, backlogged)?;
        let message = (protocol, opcode, payload);
        let (sessions, octets) = (&mut self.sessions.table, &mut self.delivery.octets);
        let sent = entry.put_in_flight(key, message, sessions, octets, &self.node, cx.now);
        if sent.is_ok() {
            entry.file(&mut self.delivery.schedule, key, self.node.config.exchange_lifetime);
        } else {
            // What was allocated for the message is given back.
            self.update(Source::Exchange(key));
        }
        self.watch_counter(key.session);
        sent
    }

    /// Sends a message once, sealed straight into `buf`, which must hold the payload and
    /// [`HEADROOM`](crate::wire::HEADROOM) + [`TAILROOM`](crate::wire::TAILROOM) octets (52) more.
    /// Send what is returned.
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
        let entry = self.exchange(exchange).ok_or(SendError::Closed)?;
        let known = self.sessions.table.by_local(exchange.key.session).ok_or(SendError::Closed)?;
        let to = known.address;
        let header = entry.exchange.header(protocol, opcode, false);
        self.node.check_room(&header, known, payload.len())?;
        let session = self.sessions.table.in_use(exchange.key.session).ok_or(SendError::Closed)?;
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
        self.delivery.outbox.is_empty()
            && self.sessions.exchanges.iter().all(|(_, entry)| entry.exchange.is_settled())
            && self.handshakes.is_settled()
    }

    /// The longest payload in octets that can be sent on an exchange now, with this protocol.
    #[must_use]
    pub fn max_payload(&self, exchange: ExchangeHandle, protocol: ProtocolId) -> Option<usize> {
        let entry = self.sessions.exchanges.get(&exchange.key)?;
        if entry.serial != exchange.serial {
            return None;
        }
        let header = entry.exchange.header(protocol, 0, true);
        Some(self.node.room(&header, self.sessions.table.by_local(exchange.key.session)?))
    }

    pub(in crate::manager) fn finish_send(&mut self, key: ExchangeKey) {
        self.watch_counter(key.session);
        self.update(Source::Exchange(key));
    }

    /// An exchange, unless the application has closed it.
    fn exchange(&self, exchange: ExchangeHandle) -> Option<&ExchangeEntry<S>> {
        let entry = self.sessions.exchanges.get(&exchange.key)?;
        (entry.serial == exchange.serial && !entry.closing).then_some(entry)
    }

    pub(in crate::manager) fn exchange_mut(
        &mut self,
        exchange: ExchangeHandle,
    ) -> Option<&mut ExchangeEntry<S>> {
        self.sessions
            .exchanges
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
        self.delivery.outbox_turn = !self.delivery.outbox_turn;
        let shorts_first = self.delivery.outbox_turn && !self.delivery.outbox.is_empty();
        while let Some(source) = self.delivery.schedule.ready().filter(|_| !shorts_first) {
            match self.next_output(source, now, scratch) {
                Some(Output::Ack { to, range }) => {
                    return Some(Transmit { to, datagram: scratch.get(range)? });
                }
                Some(Output::InFlight) => return self.in_flight(source),
                None => {}
            }
        }
        let short = self.delivery.outbox.pop()?;
        let datagram = scratch.get_mut(..short.datagram().len())?;
        datagram.copy_from_slice(short.datagram());
        Some(Transmit { to: short.to, datagram })
    }

    /// Encodes the next acknowledgement of a source into `buf`, or takes its transmission.
    #[inline(never)]
    fn next_output(&mut self, source: Source, now: Instant, buf: &mut [u8]) -> Option<Output> {
        let output = match source {
            Source::Exchange(key) => self.exchange_output(key, now, buf),
            Source::Handshake(id) => {
                self.handshakes.output(id, now, buf, &mut self.delivery, &mut self.node)
            }
        };
        if output.is_none() {
            // Nothing could be made of it: it must not stay ready for ever.
            self.idle(source);
        }
        match (source, &output) {
            // That is filed already.
            (Source::Exchange(_), Some(Output::InFlight)) => {}
            (Source::Exchange(key), Some(Output::Ack { .. })) => self.finish_send(key),
            _ => self.update(source),
        }
        output
    }

    #[inline(never)]
    fn idle(&mut self, source: Source) {
        match source {
            Source::Exchange(key) => {
                if let Some(entry) = self.sessions.exchanges.get_mut(&key) {
                    entry.filed.idle();
                }
                self.delivery.schedule.idle(source);
            }
            Source::Handshake(id) => self.handshakes.idle(id, &mut self.delivery),
        }
    }

    fn exchange_output(
        &mut self,
        key: ExchangeKey,
        now: Instant,
        buf: &mut [u8],
    ) -> Option<Output> {
        let entry = self.sessions.exchanges.get_mut(&key)?;
        let session = self.sessions.table.in_use(key.session)?;
        if let Some(header) = entry.exchange.next_ack() {
            entry.exchange.sent(&header, now);
            let message = MessageBuf::new(buf).ok()?;
            let range = session.session.encode(&header, message, now).ok()?.range();
            return Some(Output::Ack { to: session.address, range });
        }
        session.session.notify_activity(now);
        let (wait, interval) = (self.node.retry_wait(), session.session.base_interval(now));
        if !entry.exchange.take_transmission(now, |n| wait(interval, n)) {
            return None;
        }
        // The message is kept while it is lent. One that is sent once goes with the next call of
        // `handle_timeout`, and so does its exchange if that was all it was there for.
        if entry.exchange.is_in_flight() {
            entry.file(&mut self.delivery.schedule, key, self.node.config.exchange_lifetime);
        } else {
            let has_output = entry.exchange.has_output();
            self.delivery.schedule.file(
                Source::Exchange(key),
                &mut entry.filed,
                Some(now),
                has_output,
            );
        }
        Some(Output::InFlight)
    }

    fn in_flight(&self, source: Source) -> Option<Transmit<'_>> {
        let (to, exchange) = match source {
            Source::Exchange(key) => {
                let to = self.sessions.table.by_local(key.session)?.address;
                (to, &self.sessions.exchanges.get(&key)?.exchange)
            }
            Source::Handshake(id) => self.handshakes.in_flight(id)?,
        };
        let (held, datagram) = exchange.message()?;
        let octets = self.delivery.octets.get(Owner::Message(source), held);
        Some(Transmit { to, datagram: octets.get(datagram)? })
    }

    pub(in crate::manager) fn update_exchange(&mut self, key: ExchangeKey) {
        let Some(entry) = self.sessions.exchanges.get_mut(&key) else { return };
        if !entry.exchange.is_in_flight() {
            entry.exchange.ground();
            self.delivery.octets.release(Owner::Message(Source::Exchange(key)));
        }
        let lifetime = self.node.config.exchange_lifetime;
        if self.sessions.table.by_local(key.session).is_none()
            || !entry.file(&mut self.delivery.schedule, key, lifetime)
        {
            let filed = entry.filed;
            self.sessions.exchanges.discard(&key);
            self.delivery.forget(Source::Exchange(key), filed);
        }
    }

    /// Lets time pass for an exchange.
    #[inline(never)]
    pub(in crate::manager) fn exchange_timeout(&mut self, key: ExchangeKey, cx: &mut Context<'_>) {
        let lifetime = self.node.config.exchange_lifetime;
        let Some(entry) = self.sessions.exchanges.get_mut(&key) else { return };
        entry.filed.came_due();
        if self.sessions.table.by_local(key.session).is_none() {
            return self.update(Source::Exchange(key));
        }
        let gave_up = entry.exchange.handle_timeout(cx.now);
        // An acknowledgement that is owed still leaves: a closed exchange ends when it is settled.
        if !entry.exchange.is_in_flight() && cx.now >= entry.exchange.last_used() + lifetime {
            entry.closing = true;
        }
        let exchange = ExchangeHandle { key, serial: entry.serial };
        if gave_up {
            self.sessions.table.unanswered(key.session);
            self.delivery.tell(Event::Undelivered { exchange });
        }
        self.update(Source::Exchange(key));
    }
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
