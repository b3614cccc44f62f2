//! Messages of the application, and how they leave.

use crate::crypto::Crypto;
use crate::exchange::Exchange;
use crate::ids::{MessageType, ProtocolId};
use crate::manager::delivery::{Delivery, Output};
use crate::manager::error::{OpenError, SendError};
use crate::manager::handle::{ExchangeHandle, ExchangeKey, PeerAddress, SessionHandle, Source};
use crate::manager::node::Node;
use crate::manager::received::Transmit;
use crate::manager::sessions::exchanges::{Content, ExchangeEntry, Room, owner_of};
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::{ByteStore, Storage};
use crate::manager::trace::{self, Way};
use crate::time::Instant;
use crate::wire::MessageBuf;

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Opens an exchange on a session.
    pub(in crate::manager) fn open_exchange(
        &mut self,
        now: Instant,
        session: SessionHandle,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<ExchangeHandle, OpenError> {
        self.fail_safe_timeout(now, delivery);
        let known = self.table.get(session).filter(|known| known.closing.is_none());
        let holder = known.ok_or(OpenError::Closed)?.holder();
        self.check_own(session, &node.config)?;
        let key = self.exchanges.new_key(session.local, delivery).ok_or(OpenError::TooMany)?;
        let serial = delivery.serial();
        let exchange = Exchange::new(key.id, true, now);
        self.exchanges
            .insert(key, ExchangeEntry::new(exchange, serial, holder))
            .map_err(|_| OpenError::TooMany)?;
        self.update(key, delivery, node);
        Ok(ExchangeHandle { key, serial })
    }

    /// Closes an exchange; it is removed when it is settled.
    pub(in crate::manager) fn close_exchange(
        &mut self,
        exchange: ExchangeHandle,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        if let Some(entry) = self.exchanges.open_mut(exchange) {
            entry.closing = true;
            entry.awaited = None;
            entry.exchange.flush_ack();
            self.update(exchange.key, delivery, node);
        }
    }

    /// Seals a reliable message and puts it in flight, now or when others have arrived.
    #[inline(never)]
    pub(in crate::manager) fn send(
        &mut self,
        now: Instant,
        exchange: ExchangeHandle,
        content: Content<'_>,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(), SendError> {
        self.fail_safe_timeout(now, delivery);
        let backlogged = delivery.is_backlogged();
        let key = exchange.key;
        let most = self.room_for(key, &delivery.bytes);
        let may_seal = self.may_seal(key, || None);
        let entry = self.exchanges.get_mut(&key).ok_or(SendError::Closed)?;
        entry.may_send(exchange, backlogged)?;
        let room = Room { bytes: &mut delivery.bytes, most, may_seal };
        let sessions = &mut self.table;
        let sent = entry.put_in_flight(key, content, sessions, room, &node.config, now);
        if sent.is_ok() {
            entry.file(&mut delivery.schedule, key, node.config.exchange_lifetime);
        } else {
            // Gives back what was allocated for the message.
            self.update(key, delivery, node);
        }
        self.watch_counter(key.session, delivery);
        if sent == Err(SendError::CounterExhausted) {
            self.end_if_exhausted(key.session, now, delivery);
        } else if sent.is_ok() && !may_seal {
            self.holds_another(key.session);
            self.seal_waiting(key.session, now, delivery, node);
        }
        sent
    }

    /// Seals a message that is sent once into `buf`.
    pub(in crate::manager) fn send_unreliable<'b>(
        &mut self,
        now: Instant,
        exchange: ExchangeHandle,
        content: Content<'_>,
        buf: &'b mut [u8],
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<Transmit<'b>, SendError> {
        self.fail_safe_timeout(now, delivery);
        let Content { kind: MessageType { protocol, opcode }, payload } = content;
        let key = exchange.key;
        let entry = self.exchanges.open(exchange).ok_or(SendError::Closed)?;
        let known = self.table.by_local(key.session).ok_or(SendError::Closed)?;
        let to = known.address;
        let header = entry.exchange.header(protocol, opcode, false);
        known.check_payload(payload.len(), &header, &node.config)?;
        if known.is_exhausted() {
            self.end_if_exhausted(key.session, now, delivery);
            return Err(SendError::CounterExhausted);
        }
        let session = self.table.in_use(key.session).ok_or(SendError::Closed)?;
        let message = MessageBuf::with_payload(buf, payload)?;
        let sealed = session.session.encode(&header, message, now)?;
        trace::message(Way::Out, key.session.get(), &header, sealed.counter());
        session.statistics.count_sent(false);
        let datagram = sealed.as_bytes();
        if let Some(entry) = self.exchanges.open_mut(exchange) {
            entry.exchange.sent(&header, now);
        }
        delivery.statistics.count_sent(false);
        self.finish_send(key, delivery, node);
        Ok(Transmit { to, datagram })
    }

    /// Returns the longest payload in bytes that can be sent on an exchange now, with this
    /// protocol.
    pub(in crate::manager) fn max_payload(
        &self,
        exchange: ExchangeHandle,
        protocol: ProtocolId,
        node: &Node<S>,
    ) -> Option<usize> {
        let entry = self.exchanges.get(&exchange.key)?;
        if entry.serial != exchange.serial {
            return None;
        }
        let header = entry.exchange.header(protocol, 0, true);
        let session = self.table.by_local(exchange.key.session)?;
        Some(session.max_payload(header.encoded_len(), &node.config))
    }

    fn finish_send(&mut self, key: ExchangeKey, delivery: &mut Delivery<S, T>, node: &Node<S>) {
        self.watch_counter(key.session, delivery);
        self.update(key, delivery, node);
    }

    /// Encodes the next acknowledgement of an exchange into the scratch buffer of the delivery, or
    /// takes its transmission.
    pub(in crate::manager) fn output(
        &mut self,
        key: ExchangeKey,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Option<Output> {
        let output = self.next_output(key, now, delivery, node);
        match &output {
            Some(Output::InFlight { .. }) => {}
            Some(Output::Ack { .. }) => {
                self.watch_counter(key.session, delivery);
                if self.update_exchange(key, delivery, node) {
                    // The acknowledgement is yet to be lent, with the address of the session.
                    self.settled = Some(key.session);
                }
            }
            None => {
                // It has no output after all: it must not stay ready for ever.
                delivery.schedule.idle();
                self.update(key, delivery, node);
            }
        }
        output
    }

    fn next_output(
        &mut self,
        key: ExchangeKey,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &mut Node<S>,
    ) -> Option<Output> {
        let entry = self.exchanges.get_mut(&key)?;
        let session = self.table.in_use(key.session)?;
        // The message first: a recorded datagram can make an acknowledgement due at any time.
        let (known, sealed) = (&*session, entry.exchange.in_flight_since().unwrap_or(now));
        let mut repetitions = 0;
        let wait = |n| {
            repetitions = n;
            trace::in_flight(key.session.get(), key.id, n);
            known.retry_wait(now, node.retry_wait(), n)
        };
        if !entry.exchange.take_transmission(now, wait) {
            let header = entry.exchange.next_ack()?;
            entry.exchange.sent(&header, now);
            let message = MessageBuf::new(&mut delivery.scratch).ok()?;
            let sealed = session.session.encode(&header, message, now).ok()?;
            trace::message(Way::Out, key.session.get(), &header, sealed.counter());
            session.statistics.count_sent(false);
            return Some(Output::Ack(sealed.range()));
        }
        session.session.notify_activity(now);
        session.statistics.count_sent(repetitions > 0);
        // The message is kept while it is lent. The next call of `handle_timeout` releases one that
        // is sent once, and removes its exchange if nothing else is left to do.
        if entry.exchange.is_in_flight() {
            entry.file(&mut delivery.schedule, key, node.config.exchange_lifetime);
        } else {
            entry.request_arrived(session, sealed, now, &node.config);
            let has_output = entry.exchange.has_output();
            let source = Source::Exchange(key);
            delivery.schedule.file(source, &mut entry.filed, Some(now), has_output);
        }
        Some(Output::InFlight { repeated: repetitions > 0 })
    }

    /// Returns the address of the peer of an exchange.
    pub(in crate::manager) fn peer(&self, key: ExchangeKey) -> Option<&PeerAddress> {
        self.table.by_local(key.session).map(|session| &session.address)
    }

    /// Returns the message of an exchange that is in flight.
    pub(in crate::manager) fn in_flight<'a>(
        &'a self,
        key: ExchangeKey,
        delivery: &'a Delivery<S, T>,
    ) -> Option<&'a [u8]> {
        let (held, datagram) = self.exchanges.get(&key)?.exchange.message()?;
        delivery.bytes.get(owner_of(key), held).get(datagram)
    }
}
