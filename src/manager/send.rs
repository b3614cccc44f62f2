//! Everything that leaves, and the exchanges that it leaves by.

use core::ops::Range;

use super::event::{OpenError, SendError, Transmit};
use super::exchanges::ExchangeEntry;
use super::handle::{ExchangeHandle, ExchangeKey, HandshakeId, SessionHandle, Source};
use super::schedule::Filed;
use super::storage::{Map, Octets, Owner, Storage};
use super::{Event, PeerAddress, SessionManager};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::exchange::Exchange;
use crate::ids::{MessageType, ProtocolId};
use crate::time::Instant;
use crate::wire::{EncodeError, MessageBuf};

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Opens an exchange on a session. Close it when the conversation is over: a node should not
    /// have more than five at a time on one session, as its peer may have no room for more.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_exchange(
        &mut self,
        cx: &mut Context<'_>,
        session: SessionHandle,
    ) -> Result<ExchangeHandle, OpenError> {
        if self.sessions.get(session).is_none() {
            return Err(OpenError::Closed);
        }
        let key = self.new_exchange_key(session.local).ok_or(OpenError::TooMany)?;
        let serial = self.serial();
        let exchange = Exchange::new(key.id, true, cx.now);
        self.exchanges
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
        kind: MessageType,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let backlogged = self.is_backlogged();
        let key = exchange.key;
        let entry = self.exchanges.get_mut(&key).ok_or(SendError::Closed)?;
        entry.may_send(exchange, backlogged)?;
        let message = (kind.protocol, kind.opcode, payload);
        let (sessions, octets) = (&mut self.sessions, &mut self.octets);
        let sent = entry.put_in_flight(key, message, sessions, octets, &self.node, cx.now);
        if sent.is_ok() {
            entry.file(&mut self.schedule, key, self.node.config.exchange_lifetime);
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
        cx: &mut Context<'_>,
        exchange: ExchangeHandle,
        kind: MessageType,
        payload: &[u8],
        buf: &'b mut [u8],
    ) -> Result<Transmit<'b>, SendError> {
        let entry = self.exchange(exchange).ok_or(SendError::Closed)?;
        let known = self.sessions.by_local(exchange.key.session).ok_or(SendError::Closed)?;
        let to = known.address;
        let header = entry.exchange.header(kind.protocol, kind.opcode, false);
        self.node.check_room(&header, known, payload.len())?;
        let session = self.sessions.in_use(exchange.key.session).ok_or(SendError::Closed)?;
        let message = MessageBuf::with_payload(buf, payload)?;
        let datagram = session.session.encode(&header, message, cx.now)?.as_bytes();
        if let Some(entry) = self.exchange_mut(exchange) {
            entry.exchange.sent(&header, cx.now);
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
        Some(self.node.room(&header, self.sessions.by_local(exchange.key.session)?))
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

    /// Returns the next datagram to send, or `None` if there is nothing more to send now.
    ///
    /// The datagram is lent from the manager. Send or copy it before the next call.
    #[must_use = "what is polled counts as sent"]
    #[inline(never)]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        // By turns: neither holds the other up, even if only one is polled per datagram received.
        self.outbox_turn = !self.outbox_turn;
        let shorts_first = self.outbox_turn && !self.outbox.is_empty();
        while let Some(source) = self.schedule.ready().filter(|_| !shorts_first) {
            match self.next_output(source, now) {
                Some(Output::Ack { to, range }) => {
                    return Some(Transmit { to, datagram: self.scratch.get(range)? });
                }
                Some(Output::InFlight) => return self.in_flight(source),
                None => {}
            }
        }
        let short = self.outbox.pop()?;
        let datagram = self.scratch.get_mut(..short.datagram().len())?;
        datagram.copy_from_slice(short.datagram());
        Some(Transmit { to: short.to, datagram })
    }

    /// Encodes the next acknowledgement of a source, or takes its transmission.
    #[inline(never)]
    fn next_output(&mut self, source: Source, now: Instant) -> Option<Output> {
        let output = match source {
            Source::Exchange(key) => self.exchange_output(key, now),
            Source::Handshake(id) => self.handshake_output(id, now),
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
        let filed = match source {
            Source::Exchange(key) => self.exchanges.get_mut(&key).map(|entry| &mut entry.filed),
            Source::Handshake(id) => self.handshakes.get_mut(&id).map(|slot| &mut slot.filed),
        };
        filed.into_iter().for_each(Filed::idle);
        self.schedule.idle(source);
    }

    fn exchange_output(&mut self, key: ExchangeKey, now: Instant) -> Option<Output> {
        let entry = self.exchanges.get_mut(&key)?;
        let session = self.sessions.in_use(key.session)?;
        if let Some(header) = entry.exchange.next_ack() {
            entry.exchange.sent(&header, now);
            let message = MessageBuf::new(&mut self.scratch).ok()?;
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
            entry.file(&mut self.schedule, key, self.node.config.exchange_lifetime);
        } else {
            let has_output = entry.exchange.has_output();
            self.schedule.file(Source::Exchange(key), &mut entry.filed, Some(now), has_output);
        }
        Some(Output::InFlight)
    }

    fn handshake_output(&mut self, id: HandshakeId, now: Instant) -> Option<Output> {
        let slot = self.handshakes.get_mut(&id)?;
        if let Some(header) = slot.exchange.next_ack() {
            slot.exchange.sent(&header, now);
            let message = MessageBuf::new(&mut self.scratch).ok()?;
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
        let Some(entry) = self.exchanges.get_mut(&key) else { return };
        if !entry.exchange.is_in_flight() {
            entry.exchange.ground();
            self.octets.release(Owner::Message(Source::Exchange(key)));
        }
        let lifetime = self.node.config.exchange_lifetime;
        if self.sessions.by_local(key.session).is_none()
            || !entry.file(&mut self.schedule, key, lifetime)
        {
            let filed = entry.filed;
            self.exchanges.discard(&key);
            self.forget(Source::Exchange(key), filed);
        }
    }

    /// Lets time pass for an exchange.
    #[inline(never)]
    pub(super) fn exchange_timeout(&mut self, key: ExchangeKey, cx: &mut Context<'_>) {
        let lifetime = self.node.config.exchange_lifetime;
        let Some(entry) = self.exchanges.get_mut(&key) else { return };
        entry.filed.came_due();
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
    /// An acknowledgement, which stands at `range` of the manager's buffer for short messages.
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
