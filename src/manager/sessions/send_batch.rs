//! Messages that are sent together.

use crate::bytes::{Cleartext, debug_lengths};
use crate::crypto::Crypto;
use crate::ids::{MessageCounter, MessageType};
use crate::manager::config::Config;
use crate::manager::delivery::Delivery;
use crate::manager::error::SendError;
use crate::manager::handle::{ExchangeHandle, ExchangeKey};
use crate::manager::node::Node;
use crate::manager::sessions::exchanges::{Content, ExchangeEntry, Room, owner_of};
use crate::manager::sessions::table::SessionTable;
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::{ByteStore, Held, Storage};
use crate::manager::trace::{self, Way};
use crate::session::{TOGETHER, Unsealed, seal_together};
use crate::time::Instant;
use crate::wire::{MessageBuf, ProtocolHeader};

/// One of many messages for [`SessionManager::send_all`](crate::SessionManager::send_all), and its
/// result.
pub struct BatchMessage<'p> {
    exchange: ExchangeHandle,
    kind: MessageType,
    payload: &'p [u8],
    sent: Option<Result<(), SendError>>,
}

debug_lengths!(BatchMessage[]['_]: exchange, kind, sent; payload);

impl<'p> BatchMessage<'p> {
    /// Makes a message to be sent reliably on an exchange.
    #[must_use]
    pub const fn new(exchange: ExchangeHandle, kind: MessageType, payload: &'p [u8]) -> Self {
        Self { exchange, kind, payload, sent: None }
    }

    /// Returns the exchange that it is sent on.
    #[must_use]
    pub const fn exchange(&self) -> ExchangeHandle {
        self.exchange
    }

    /// Returns what [`send`](crate::SessionManager::send) would have returned. `None` before it was
    /// tried.
    #[must_use]
    pub const fn result(&self) -> Option<Result<(), SendError>> {
        self.sent
    }

    const fn content(&self) -> Content<'p> {
        Content { kind: self.kind, payload: self.payload }
    }
}

/// A message whose headers and payload are written, and that is not sealed yet.
struct LaidOut<S: Storage> {
    /// Its index among the messages that are sent.
    number: usize,
    exchange: ExchangeHandle,
    header: ProtocolHeader,
    held: Cleartext<Held<S>>,
    message: Unsealed,
}

impl<S: Storage> ExchangeEntry<S> {
    fn lay_out<C: Crypto, T>(
        &self,
        number: usize,
        exchange: ExchangeHandle,
        content: Content<'_>,
        sessions: &mut SessionTable<C, S, T>,
        mut room: Room<'_, S>,
        config: &Config,
    ) -> Result<LaidOut<S>, SendError> {
        let key = exchange.key;
        let (header, mut held) = self.reserve(key, content, sessions, &mut room, config)?;
        let session = sessions.in_use(key.session).ok_or(SendError::Closed)?;
        let place = room.bytes.get_mut(owner_of(key), held.get_mut());
        let buf = MessageBuf::with_payload(place, content.payload)?;
        let message = session.session.lay_out(&header, buf)?;
        Ok(LaidOut { number, exchange, header, held, message })
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Sends many messages reliably. They are sealed together.
    pub(in crate::manager) fn send_all(
        &mut self,
        crypto: &C,
        now: Instant,
        messages: &mut [BatchMessage<'_>],
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        self.fail_safe_timeout(now, delivery);
        let mut later = messages;
        while !later.is_empty() {
            let len = self.send_together(crypto, now, later, delivery, node);
            let Some(rest) = later.get_mut(len..) else { return };
            later = rest;
        }
    }

    /// Sends the first few messages, in their order. Returns how many.
    #[inline(never)]
    fn send_together(
        &mut self,
        crypto: &C,
        now: Instant,
        messages: &mut [BatchMessage<'_>],
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> usize {
        let unsent = messages.iter().take(TOGETHER).filter(|message| message.sent.is_none());
        let together = unsent.count() > 1;
        let mut laid_out: [Option<LaidOut<S>>; TOGETHER] = [const { None }; TOGETHER];
        // Their exchanges and counters, which are looked through for each message.
        let mut counters: [Option<(ExchangeKey, MessageCounter)>; TOGETHER] = [None; TOGETHER];
        let (mut len, mut count) = (0_usize, 0_usize);
        for (n, message) in messages.iter_mut().enumerate().take(TOGETHER) {
            if message.sent.is_none() {
                let key = message.exchange.key;
                let before = || counters.iter().map_while(|before| *before);
                if before().any(|(other, _)| other == key) {
                    // Whether it may be sent depends on the result of the other.
                    break;
                }
                let oldest = || before().find(|(other, _)| other.session == key.session);
                let oldest = || oldest().map(|(_, counter)| counter);
                let tried = if together && self.may_seal(key, oldest) {
                    self.lay_out(n, message, delivery, node).map(Some)
                } else if count > 0 {
                    // It is sent after the others.
                    break;
                } else {
                    let (exchange, content) = (message.exchange, message.content());
                    self.send(now, exchange, content, delivery, node).map(|()| None)
                };
                match tried {
                    Ok(None) => message.sent = Some(Ok(())),
                    // One of the others may yet give its room back, and a session whose counter is used
                    // up ends when none of them is in flight.
                    Err(SendError::NoRoom | SendError::CounterExhausted) if count > 0 => break,
                    Err(error) => {
                        message.sent = Some(Err(error));
                        if error == SendError::CounterExhausted {
                            self.end_if_exhausted(key.session, now, delivery);
                        }
                    }
                    Ok(message) => {
                        let counter = message.as_ref().map(|message| message.message.counter());
                        let places = laid_out.get_mut(count).zip(counters.get_mut(count));
                        if let Some((place, before)) = places {
                            *before = counter.map(|counter| (key, counter));
                            *place = message;
                            count = count.saturating_add(1);
                        }
                    }
                }
            }
            len = n.saturating_add(1);
        }
        if together {
            self.seal(crypto, &mut laid_out, delivery);
            for laid_out in laid_out.into_iter().map_while(|laid_out| laid_out) {
                let n = laid_out.number;
                let sent = self.launch_sealed(laid_out, now, delivery, node);
                if let Some(message) = messages.get_mut(n) {
                    message.sent = Some(sent);
                }
            }
        }
        len
    }

    /// Writes headers and payload of a message into room of its own, if it may be sent.
    #[inline]
    fn lay_out(
        &mut self,
        number: usize,
        message: &BatchMessage<'_>,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<LaidOut<S>, SendError> {
        let exchange = message.exchange;
        let backlogged = delivery.is_backlogged();
        let most = self.room_for(exchange.key, &delivery.bytes);
        let entry = self.exchanges.get_mut(&exchange.key).ok_or(SendError::Closed)?;
        entry.may_send(exchange, backlogged)?;
        let room = Room { bytes: &mut delivery.bytes, most, may_seal: true };
        let (sessions, content) = (&mut self.table, message.content());
        let laid_out = entry.lay_out(number, exchange, content, sessions, room, &node.config);
        if laid_out.is_err() {
            // Gives back what was allocated for the message.
            self.update(exchange.key, delivery, node);
        }
        self.watch_counter(exchange.key.session, delivery);
        laid_out
    }

    /// Seals messages in place.
    fn seal(
        &self,
        crypto: &C,
        laid_out: &mut [Option<LaidOut<S>>; TOGETHER],
        delivery: &mut Delivery<S, T>,
    ) {
        let mut messages = [const { None }; TOGETHER];
        let mut places = messages.iter_mut();
        let owners = laid_out.each_mut().map(|laid_out| {
            let place = places.next()?;
            let LaidOut { exchange, held, message, .. } = laid_out.as_mut()?;
            *place = Some((exchange.key.session, message));
            Some((owner_of(exchange.key), held.get_mut()))
        });
        let bytes = delivery.bytes.get_many_mut(owners);
        let messages = messages.into_iter().zip(bytes).filter_map(|(message, bytes)| {
            let (local, message) = message?;
            Some((&self.table.by_local(local)?.session, message, bytes))
        });
        seal_together(crypto, messages);
    }

    /// Puts a sealed message in flight.
    fn launch_sealed(
        &mut self,
        laid_out: LaidOut<S>,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(), SendError> {
        let LaidOut { exchange: ExchangeHandle { key, .. }, header, mut held, message, .. } =
            laid_out;
        let sent = message.finish().map_err(SendError::from).and_then(|(datagram, counter)| {
            let session = self.table.by_local_mut(key.session).ok_or(SendError::Closed)?;
            let entry = self.exchanges.get_mut(&key).ok_or(SendError::Closed)?;
            session.session.notify_activity(now);
            session.oldest = session.oldest.min(counter.get());
            entry.launch(&header, held.take(), datagram, counter, now);
            entry.await_next(key, session, now, &node.config);
            trace::message(Way::Out, key.session.get(), &header, counter);
            entry.file(&mut delivery.schedule, key, node.config.exchange_lifetime);
            Ok(())
        });
        if sent.is_err() {
            // Gives back what was allocated for the message.
            self.update(key, delivery, node);
        }
        sent
    }
}
