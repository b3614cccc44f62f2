//! The exchanges of secure sessions.

use core::ops::Range;
use core::time::Duration;

use crate::bytes::Cleartext;
use crate::crypto::Crypto;
use crate::exchange::Exchange;
use crate::ids::{LocalSessionId, MessageCounter, MessageType};
use crate::manager::config::Config;
use crate::manager::delivery::{Delivery, Filed, Schedule};
use crate::manager::error::SendError;
use crate::manager::event::Event;
use crate::manager::handle::{ExchangeHandle, ExchangeKey, Source};
use crate::manager::sessions::awaited::Awaited;
use crate::manager::sessions::entry::Entry;
use crate::manager::sessions::table::SessionTable;
use crate::manager::storage::{
    ByteStore, ExchangeTable, Full, Held, Holder, Holders, Map, Owner, Storage,
};
use crate::manager::trace::{self, Way};
use crate::time::Instant;
use crate::wire::{MessageBuf, ProtocolHeader};

/// The exchanges of all secure sessions.
pub(super) struct Exchanges<S: Storage> {
    entries: S::Exchanges<ExchangeEntry<S>>,
    /// How many of them each peer has begun.
    holders: S::Holders,
    begun_by_peers: usize,
    /// Whether an exchange has ended since the application was told that it can open one.
    pub(super) have_ended: bool,
}

/// An exchange of a secure session.
pub(super) struct ExchangeEntry<S: Storage> {
    pub(super) exchange: Exchange<Held<S>>,
    pub(super) serial: u64,
    pub(super) filed: Filed,
    /// The application has closed it. The entry is removed when nothing is left to do.
    pub(super) closing: bool,
    /// The response that the application waits for.
    pub(super) awaited: Option<Awaited>,
    /// The peer that it counts for.
    pub(super) holder: Holder,
}

/// What the application sends.
#[derive(Clone, Copy)]
pub(in crate::manager) struct Content<'p> {
    pub(in crate::manager) kind: MessageType,
    pub(in crate::manager) payload: &'p [u8],
}

/// Where a message is put together.
pub(super) struct Room<'a, S: Storage> {
    pub(super) bytes: &'a mut S::Bytes,
    /// How many of the bytes the message may take.
    pub(super) most: usize,
    /// Whether the message may be sealed now. If not, it waits.
    pub(super) may_seal: bool,
}

impl<S: Storage> Exchanges<S> {
    pub(super) const EMPTY: Self =
        Self { entries: Map::EMPTY, holders: Holders::EMPTY, begun_by_peers: 0, have_ended: false };

    pub(super) fn limit(&mut self, limit: usize) {
        self.entries.limit(limit);
    }

    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn get(&self, key: &ExchangeKey) -> Option<&ExchangeEntry<S>> {
        self.entries.get(key)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: &ExchangeKey) -> Option<&mut ExchangeEntry<S>> {
        self.entries.get_mut(key)
    }

    /// Returns an exchange, unless the application has closed it.
    pub(super) fn open(&self, exchange: ExchangeHandle) -> Option<&ExchangeEntry<S>> {
        self.get(&exchange.key).filter(|entry| entry.is_open_as(exchange))
    }

    /// Returns an exchange, unless the application has closed it, to be changed.
    pub(super) fn open_mut(&mut self, exchange: ExchangeHandle) -> Option<&mut ExchangeEntry<S>> {
        self.get_mut(&exchange.key).filter(|entry| entry.is_open_as(exchange))
    }

    pub(super) fn insert(&mut self, key: ExchangeKey, entry: ExchangeEntry<S>) -> Result<(), Full> {
        let holder = entry.holder;
        self.entries.insert(key, entry)?;
        if !key.initiator {
            self.holders.add(holder);
            self.begun_by_peers = self.begun_by_peers.saturating_add(1);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &ExchangeKey) -> Option<ExchangeEntry<S>> {
        let removed = self.entries.take(key)?;
        self.uncount(key, removed.holder);
        Some(removed)
    }

    fn uncount(&mut self, key: &ExchangeKey, holder: Holder) {
        self.have_ended = true;
        if !key.initiator {
            self.holders.remove(holder);
            self.begun_by_peers = self.begun_by_peers.saturating_sub(1);
        }
    }

    /// Returns how many exchanges peers have begun.
    pub(super) const fn begun_by_peers(&self) -> usize {
        self.begun_by_peers
    }

    /// Returns how many each of them has begun.
    pub(super) const fn holders(&self) -> &S::Holders {
        &self.holders
    }

    /// Returns all exchanges.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ExchangeKey, &ExchangeEntry<S>)> {
        self.entries.iter()
    }

    /// Returns the exchanges from a key on.
    pub(super) fn from(
        &self,
        first: ExchangeKey,
    ) -> impl Iterator<Item = (&ExchangeKey, &ExchangeEntry<S>)> {
        self.entries.from(first)
    }

    /// Returns the exchanges of a session in ascending order of keys.
    pub(super) fn of_session(
        &self,
        session: LocalSessionId,
    ) -> impl Iterator<Item = (&ExchangeKey, &ExchangeEntry<S>)> {
        self.entries.of_session(session)
    }

    /// Returns the first exchange of a session.
    pub(super) fn first_of(&self, session: LocalSessionId) -> Option<ExchangeKey> {
        let first = self.of_session(session).next();
        first.map(|(key, _)| *key)
    }

    /// Returns the key of a new exchange that this node begins on a session; `None` when every
    /// exchange id is in use there.
    pub(super) fn new_key<T>(
        &self,
        session: LocalSessionId,
        delivery: &mut Delivery<S, T>,
    ) -> Option<ExchangeKey> {
        let next = |delivery: &mut Delivery<S, T>| {
            let key = ExchangeKey { session, id: delivery.exchange_id(), initiator: true };
            self.get(&key).is_none().then_some(key)
        };
        // Most often the first is free. If all are used, none is looked for.
        next(delivery).or_else(|| {
            let own = self.of_session(session).filter(|(key, _)| key.initiator).count();
            if own > u16::MAX.into() {
                return None;
            }
            (0..u16::MAX).find_map(|_| next(delivery))
        })
    }

    /// Returns true if no message is in flight and no acknowledgement is owed.
    pub(super) fn are_settled(&self) -> bool {
        self.entries.iter().all(|(_, entry)| entry.exchange.is_settled())
    }

    /// Files what an exchange waits for, and releases a message that is no longer in flight.
    /// Removes the exchange when it has nothing left to do, or when its session has ended.
    pub(super) fn update<T>(
        &mut self,
        key: ExchangeKey,
        session_lives: bool,
        lifetime: Duration,
        delivery: &mut Delivery<S, T>,
    ) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if !entry.exchange.is_in_flight() {
            entry.exchange.ground();
            delivery.bytes.release(owner_of(key));
        }
        if !session_lives || !entry.file(&mut delivery.schedule, key, lifetime) {
            let (filed, holder) = (entry.filed, entry.holder);
            self.entries.discard(&key);
            self.uncount(&key, holder);
            delivery.forget(Source::Exchange(key), filed);
        }
    }
}

impl<S: Storage> ExchangeEntry<S> {
    pub(super) const fn new(exchange: Exchange<Held<S>>, serial: u64, holder: Holder) -> Self {
        Self { exchange, serial, filed: Filed::NONE, closing: false, awaited: None, holder }
    }

    const fn is_open_as(&self, exchange: ExchangeHandle) -> bool {
        self.serial == exchange.serial && !self.closing
    }

    /// Files what the exchange waits for, and whether it has output. Returns false if it has
    /// nothing left to do and must be removed.
    pub(super) fn file(
        &mut self,
        schedule: &mut Schedule<S>,
        key: ExchangeKey,
        lifetime: Duration,
    ) -> bool {
        let is_settled = self.exchange.is_settled();
        if self.closing && is_settled {
            return false;
        }
        // A settled exchange waits for a response, or for nothing but its own end.
        let idle = is_settled.then(|| self.exchange.last_used() + lifetime);
        let deadlines = [self.exchange.poll_timeout(), self.response_due()];
        let deadline = deadlines.into_iter().flatten().min().or(idle);
        let has_output = self.exchange.has_output();
        schedule.file(Source::Exchange(key), &mut self.filed, deadline, has_output);
        true
    }

    /// Reports the message in flight, because the exchange ends.
    pub(super) fn report_undelivered<T>(&self, key: ExchangeKey, delivery: &mut Delivery<S, T>) {
        if self.exchange.is_in_flight() {
            let exchange = ExchangeHandle { key, serial: self.serial };
            delivery.push_event(Event::Undelivered { exchange });
        }
    }

    /// Checks that a reliable message can be sent now on the exchange of this handle.
    pub(super) fn may_send(
        &mut self,
        exchange: ExchangeHandle,
        backlogged: bool,
    ) -> Result<(), SendError> {
        if !self.is_open_as(exchange) {
            return Err(SendError::Closed);
        }
        if self.exchange.is_in_flight() {
            return Err(SendError::InFlight);
        }
        // A message that was sent over a reliable transport may still be held.
        self.exchange.ground();
        if backlogged { Err(SendError::Backlog) } else { Ok(()) }
    }

    /// Returns the header of a reliable message, and what holds the message.
    pub(super) fn reserve<C: Crypto, T>(
        &self,
        key: ExchangeKey,
        content: Content<'_>,
        sessions: &SessionTable<C, S, T>,
        room: &mut Room<'_, S>,
        config: &Config,
    ) -> Result<(ProtocolHeader, Cleartext<Held<S>>), SendError> {
        let Content { kind: MessageType { protocol, opcode }, payload } = content;
        let session = sessions.by_local(key.session).ok_or(SendError::Closed)?;
        if session.is_exhausted() {
            return Err(SendError::CounterExhausted);
        }
        let header = self.exchange.header(protocol, opcode, !session.address.is_reliable());
        session.check_payload(payload.len(), &header, config)?;
        let len = Config::buffer_len(payload.len());
        let fits = len <= room.most;
        let held = if fits { room.bytes.allocate(owner_of(key), len) } else { None };
        Ok((header, Cleartext::new(held.ok_or(SendError::NoRoom)?)))
    }

    /// Seals the message that waits, and puts it in flight.
    #[inline(never)]
    pub(super) fn seal_waiting<C: Crypto, T>(
        &mut self,
        key: ExchangeKey,
        session: &mut Entry<C, T>,
        bytes: &mut S::Bytes,
        now: Instant,
    ) -> Result<(), SendError> {
        let (held, kind) = self.exchange.take_waiting().ok_or(SendError::Closed)?;
        let mut held = Cleartext::new(held);
        if session.is_exhausted() {
            return Err(SendError::CounterExhausted);
        }
        let header = self.exchange.header(kind.protocol, kind.opcode, true);
        let mut message = MessageBuf::new(bytes.get_mut(owner_of(key), held.get_mut()))?;
        // The payload is in its place, and has all of it.
        message.set_payload_len(message.payload_capacity())?;
        let sealed = session.session.encode(&header, message, now)?;
        let (datagram, counter) = (sealed.range(), sealed.counter());
        self.launch(&header, held.take(), datagram, counter, now);
        trace::message(Way::Out, key.session.get(), &header, counter);
        Ok(())
    }

    /// Seals a reliable message and puts it in flight, or keeps it if it may not be sealed yet.
    #[inline(never)]
    pub(super) fn put_in_flight<C: Crypto, T>(
        &mut self,
        key: ExchangeKey,
        content: Content<'_>,
        sessions: &mut SessionTable<C, S, T>,
        mut room: Room<'_, S>,
        config: &Config,
        now: Instant,
    ) -> Result<(), SendError> {
        let (header, mut held) = self.reserve(key, content, sessions, &mut room, config)?;
        let place = room.bytes.get_mut(owner_of(key), held.get_mut());
        let message = MessageBuf::with_payload(place, content.payload)?;
        if !room.may_seal {
            let session = sessions.by_local(key.session).ok_or(SendError::Closed)?;
            self.exchange.hold(held.take(), content.kind, now);
            self.await_next(key, session, now, config);
            return Ok(());
        }
        let session = sessions.in_use(key.session).ok_or(SendError::Closed)?;
        let sealed = session.session.encode(&header, message, now)?;
        let (datagram, counter) = (sealed.range(), sealed.counter());
        self.launch(&header, held.take(), datagram, counter, now);
        self.await_next(key, session, now, config);
        trace::message(Way::Out, key.session.get(), &header, counter);
        Ok(())
    }

    /// Puts a sealed message in flight.
    pub(super) fn launch(
        &mut self,
        header: &ProtocolHeader,
        held: Held<S>,
        datagram: Range<usize>,
        counter: MessageCounter,
        now: Instant,
    ) {
        self.exchange.sent(header, now);
        self.exchange.launch(held, datagram, counter, header.needs_ack, now);
    }
}

/// Returns what the bytes of an exchange's message in flight are kept under.
pub(super) const fn owner_of(key: ExchangeKey) -> Owner {
    Owner::Message(Source::Exchange(key))
}
