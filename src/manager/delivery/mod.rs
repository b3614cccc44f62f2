//! What leaves this node and when: deadlines, messages in flight, short replies, events.

mod events;
mod outbox;
mod output;
mod schedule;
mod slot_table;

use core::ops::Range;

use rand_core::CryptoRng;

use self::events::Events;
use self::outbox::Outbox;
pub(super) use self::outbox::{SHORT_LEN, Short};
pub(super) use self::output::Output;
pub(super) use self::schedule::{Filed, Schedule};
use super::config::Config;
use super::event::Event;
use super::handle::{PeerAddress, Source};
use super::received::{Dropped, Transmit};
use super::statistics::Statistics;
use super::storage::{ByteStore, Owner, Storage};
use super::trace;
use crate::ids::ExchangeId;
use crate::session::UnsecuredCounter;
use crate::time::Instant;
use crate::wire::MAX_UDP_PAYLOAD;

/// Room for any handshake message, in bytes.
pub(super) const HANDSHAKE_MESSAGE_LEN: usize = Config::buffer_len(MAX_UDP_PAYLOAD);

/// The deadlines and output of all exchanges and handshakes, and the numbers that every part
/// draws from.
pub(super) struct Delivery<S: Storage, T> {
    pub(super) schedule: Schedule<S>,
    /// The messages in flight, and the certificates of peers.
    pub(super) bytes: S::Bytes,
    outbox: Outbox<S>,
    /// Whether the outbox comes first when a datagram is polled.
    outbox_turn: bool,
    events: Events<S, T>,
    pub(super) unsecured_counter: UnsecuredCounter,
    pub(super) statistics: Statistics,
    /// The short datagram that was polled last.
    pub(super) scratch: [u8; SHORT_LEN],
    next_exchange: u16,
    next_serial: u64,
}

impl<S: Storage, T> Delivery<S, T> {
    pub(super) const EMPTY: Self = Self {
        schedule: Schedule::EMPTY,
        bytes: ByteStore::EMPTY,
        outbox: Outbox::EMPTY,
        outbox_turn: false,
        events: Events::EMPTY,
        unsecured_counter: UnsecuredCounter::unseeded(),
        statistics: Statistics::new(),
        scratch: [0; SHORT_LEN],
        next_exchange: 0,
        next_serial: 0,
    };

    /// Draws where exchange ids and the counter of unsecured messages start.
    pub(super) fn start(&mut self, last_exchange: u16, rng: &mut dyn CryptoRng) {
        self.next_exchange = last_exchange;
        self.unsecured_counter = UnsecuredCounter::random(rng);
    }

    /// Makes room for the events of the configuration above the `reserve` (in all, and for
    /// handshakes) that is kept for what is under way.
    pub(super) fn limit(&mut self, config: &Config, reserve: (usize, usize)) {
        self.outbox.limit(config);
        self.events.limit(config.max_events, reserve);
    }

    /// Queues an event. There is room for every event that existing sessions, exchanges and
    /// handshakes can still cause, and nothing new begins while the application
    /// [lags behind](Self::is_backlogged).
    pub(super) fn push_event(&mut self, event: Event<T>) {
        trace::event(&event);
        let queued = self.events.push(event);
        debug_assert!(queued, "room for events is kept free");
    }

    /// Takes the oldest event.
    pub(super) fn pop_event(&mut self) -> Option<Event<T>> {
        self.events.pop()
    }

    /// Returns how many events wait to be polled.
    pub(super) fn event_count(&self) -> usize {
        self.events.len()
    }

    /// Returns true if so many events are unpolled that nothing new may begin.
    #[inline(never)]
    pub(super) fn is_backlogged(&self) -> bool {
        self.events.is_backlogged()
    }

    /// Returns a number that no exchange, handshake or session had before.
    pub(super) fn serial(&mut self) -> u64 {
        self.next_serial = self.next_serial.wrapping_add(1);
        self.next_serial
    }

    /// Returns the next exchange id.
    pub(super) fn exchange_id(&mut self) -> ExchangeId {
        self.next_exchange = self.next_exchange.wrapping_add(1);
        ExchangeId::new(self.next_exchange)
    }

    /// Forgets the timer and the message of an exchange or handshake that has ended.
    pub(super) fn forget(&mut self, source: Source, filed: Filed) {
        self.schedule.forget(filed);
        self.bytes.release(Owner::Message(source));
        if let Source::Handshake(id) = source {
            self.bytes.release(Owner::Certificates(id));
        }
    }

    /// Queues a short datagram that anybody can cause. It is dropped if the outbox is full.
    pub(super) fn push_reply(&mut self, to: PeerAddress, datagram: &[u8]) {
        self.push_short(to, Short::Reply, datagram);
    }

    /// Queues a short datagram. When the outbox is full, this or an older one is dropped.
    pub(super) fn push_short(&mut self, to: PeerAddress, kind: Short, datagram: &[u8]) {
        let dropped = self.outbox.push(to, kind, datagram);
        let count = &mut self.statistics.replies_dropped;
        *count = count.wrapping_add(dropped);
    }

    /// Returns true if a short datagram of this kind waits to be sent.
    pub(super) fn has_short(&self, kind: Short) -> bool {
        self.outbox.has(kind)
    }

    /// Drops the short datagrams for a connection that is lost.
    pub(super) fn disconnected(&mut self, connection: PeerAddress) {
        self.outbox.disconnected(connection);
    }

    /// Removes the oldest short datagram, and lends it from the scratch buffer.
    pub(super) fn pop_short(&mut self) -> Option<Transmit<'_>> {
        let short = self.outbox.pop()?;
        let datagram = self.scratch.get_mut(..short.datagram().len())?;
        datagram.copy_from_slice(short.datagram());
        self.statistics.count_sent(false);
        Some(Transmit { to: short.to, datagram })
    }

    /// Lends an acknowledgement that was encoded into the scratch buffer.
    pub(super) fn lend_scratch(
        &self,
        to: &PeerAddress,
        range: Range<usize>,
    ) -> Option<Transmit<'_>> {
        Some(Transmit { to: *to, datagram: self.scratch.get(range)? })
    }

    /// Returns true if a short datagram goes next. Short datagrams and the messages of exchanges
    /// and handshakes take turns, so that neither waits for all of the other, even if only one
    /// datagram is polled for each that is received.
    pub(super) fn is_turn_of_shorts(&mut self) -> bool {
        self.outbox_turn = !self.outbox_turn;
        self.outbox_turn && !self.outbox.is_empty()
    }

    /// Returns true if no short datagram waits to be sent.
    pub(super) fn has_no_shorts(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Returns the first of all deadlines of exchanges and handshakes.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.next(!self.is_backlogged())
    }

    /// Returns true if a handshake has something to compute now. None does while the application
    /// lags behind: it can end in several events.
    pub(super) fn has_work(&self) -> bool {
        self.schedule.has_work() && !self.is_backlogged()
    }

    /// Counts a datagram that was dropped.
    pub(super) fn count_dropped(&mut self, from: PeerAddress, reason: Dropped) {
        trace::dropped(from, reason);
        self.statistics.count_dropped(reason);
    }
}
