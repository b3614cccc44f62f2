//! Exchanges: conversations within a session, with acknowledgement and retransmission.
//!
//! ```text
//! received, R ──▶ owed ──200 ms, or another R──▶ due ──▶ sent as a standalone acknowledgement
//!                   └──any message sent carries it──▶ settled
//!
//! sent reliably ──▶ in flight ──acknowledged──▶ settled
//!                     │   ▲ └──after five transmissions──▶ given up
//!                     └───┘ retransmitted: the same bytes, never encrypted again
//! ```
//! An [`Exchange`] holds at most one message in flight, as sealed bytes. It neither encrypts nor
//! knows its session: its owner encodes the acknowledgements that it names and sends the bytes that
//! it lends. [Core, "Message Exchanges"]

mod mrp;

use core::ops::Range;
use core::time::Duration;

pub use self::mrp::{
    Jitter, MRP_MAX_TRANSMISSIONS, MRP_STANDALONE_ACK_TIMEOUT, backoff, max_transmission_time,
};
use crate::ids::{ExchangeId, MessageCounter, ProtocolId};
use crate::time::Instant;
use crate::wire::ProtocolHeader;
use crate::wire::secure_channel::Opcode;

/// The result of a received message for an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message is for the application.
    pub deliver: bool,
    /// The message acknowledged the one that was in flight.
    pub acknowledged: bool,
}

/// One end of a conversation. `M` holds the bytes of the message in flight.
#[derive(Debug)]
pub struct Exchange<M> {
    id: ExchangeId,
    initiator: bool,
    acks: Acks,
    flight: Option<Flight<M>>,
    last_used: Instant,
}

/// Acknowledgements that this end owes.
#[derive(Debug, Default)]
struct Acks {
    /// Waits for a message to travel on, until then.
    owed: Option<(MessageCounter, Instant)>,
    /// Leave on their own as soon as possible, oldest first.
    due: [Option<MessageCounter>; 2],
    /// Travels along with every further message, so that a lost one heals.
    last: Option<MessageCounter>,
}

#[derive(Debug)]
struct Flight<M> {
    message: M,
    datagram: Range<usize>,
    counter: MessageCounter,
    transmit: bool,
    /// `None` where the transport is reliable by itself: the message is sent once.
    retry: Option<Retry>,
}

/// Waits from the moment on in which a transmission is taken.
#[derive(Debug)]
struct Retry {
    transmissions: u8,
    next: Instant,
}

impl<M> Exchange<M> {
    /// Makes an exchange that this node begins (`initiator`), or that the peer began.
    #[must_use]
    pub fn new(id: ExchangeId, initiator: bool, now: Instant) -> Self {
        Self { id, initiator, acks: Acks::default(), flight: None, last_used: now }
    }

    /// Returns the exchange id.
    #[must_use]
    pub const fn id(&self) -> ExchangeId {
        self.id
    }

    /// Returns when a message was last sent or received.
    #[must_use]
    pub const fn last_used(&self) -> Instant {
        self.last_used
    }

    /// Returns true if a received header belongs to this exchange: same id, sent by the other role.
    #[must_use]
    pub fn matches(&self, header: &ProtocolHeader) -> bool {
        header.exchange == self.id && header.initiator != self.initiator
    }

    /// Processes a received message.
    ///
    /// A duplicate is acknowledged again at once if it asks for that and is never delivered; the
    /// acknowledgement that it carries is not looked at.
    pub fn receive(
        &mut self,
        header: &ProtocolHeader,
        counter: MessageCounter,
        duplicate: bool,
        now: Instant,
    ) -> Receipt {
        if duplicate {
            if wants_ack(header) {
                self.acks.answer_now(counter);
            }
            return Receipt { deliver: false, acknowledged: false };
        }
        self.last_used = self.last_used.max(now);
        let acknowledged =
            self.flight.as_ref().is_some_and(|flight| header.ack == Some(flight.counter));
        if acknowledged {
            self.flight = None;
        }
        let standalone = is_standalone_ack(header);
        if wants_ack(header) {
            self.acks.owe(counter, now);
        }
        Receipt { deliver: !standalone, acknowledged }
    }

    /// Returns the header for a message on this exchange; it carries the acknowledgement that is
    /// owed, or the last one again. Once encoded, [`sent`](Self::sent) settles it.
    #[must_use]
    pub fn header(&self, protocol: ProtocolId, opcode: u8, reliable: bool) -> ProtocolHeader {
        let owed = self.acks.owed.map(|(counter, _)| counter);
        ProtocolHeader {
            exchange: self.id,
            protocol,
            opcode,
            initiator: self.initiator,
            needs_ack: reliable,
            ack: owed.or(self.acks.last),
        }
    }

    /// Returns the header of the next standalone acknowledgement that must leave.
    #[must_use]
    pub fn next_ack(&self) -> Option<ProtocolHeader> {
        let ack = self.acks.due.iter().flatten().next().copied()?;
        let opcode = Opcode::MRP_STANDALONE_ACK.0;
        let header = self.header(ProtocolId::SECURE_CHANNEL, opcode, false);
        Some(ProtocolHeader { ack: Some(ack), ..header })
    }

    /// Settles the acknowledgement that a message with this header carried.
    pub fn sent(&mut self, header: &ProtocolHeader, now: Instant) {
        self.last_used = self.last_used.max(now);
        if self.acks.owed.is_some_and(|(counter, _)| header.ack == Some(counter)) {
            self.acks.owed = None;
        }
        if let Some(counter) = header.ack {
            self.acks.remember(counter);
        }
        for due in &mut self.acks.due {
            if due.is_some() && *due == header.ack {
                *due = None;
            }
        }
    }

    /// Puts a sealed message in flight, due at once: `message` holds its bytes at `datagram`.
    /// One that was in flight before is forgotten.
    ///
    /// With `repeated`, it is retransmitted until it is acknowledged; otherwise it is sent once.
    pub fn launch(
        &mut self,
        message: M,
        datagram: Range<usize>,
        counter: MessageCounter,
        repeated: bool,
    ) {
        let retry = repeated.then_some(Retry { transmissions: 1, next: Instant::ZERO });
        self.flight = Some(Flight { message, datagram, counter, retry, transmit: true });
    }

    /// Waits until `next` for the acknowledgement of the message in flight, unless a
    /// transmission is due anyway.
    pub fn postpone(&mut self, next: Instant) {
        if let Some(retry) = self.flight.as_mut().and_then(|flight| flight.retry.as_mut()) {
            retry.next = next;
        }
    }

    /// Returns true if a message waits for its acknowledgement or its first transmission. One that
    /// is sent once counts until the next is launched.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.transmit || flight.retry.is_some())
    }

    /// Forgets the message in flight, because the peer's answer supersedes it.
    pub fn ground(&mut self) {
        self.flight = None;
    }

    /// Returns true if nothing is left to do: no message in flight, no acknowledgement owed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.is_in_flight() && self.acks.owed.is_none() && !self.acks.is_due()
    }

    /// Makes an owed acknowledgement leave at once: no message will carry it.
    pub fn flush_ack(&mut self) {
        if let Some((counter, _)) = self.acks.owed.take() {
            self.acks.answer_now(counter);
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ack = self.acks.owed.map(|(_, due)| due);
        let flight = self.flight.as_ref().filter(|flight| !flight.transmit);
        let retry = flight.and_then(|flight| flight.retry.as_ref()).map(|retry| retry.next);
        [ack, retry].into_iter().flatten().min()
    }

    /// Lets time pass: acknowledgements and retransmissions become due. However late the call is,
    /// it causes one retransmission. Returns true if the message in flight was given up.
    #[must_use = "a message that was given up is told once"]
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.acks.owed.is_some_and(|(_, due)| now >= due) {
            self.flush_ack();
        }
        // While nobody has taken the last transmission, nothing is waited for.
        let Some(flight) = self.flight.as_mut().filter(|flight| !flight.transmit) else {
            return false;
        };
        let Some(retry) = flight.retry.as_mut().filter(|retry| now >= retry.next) else {
            return false;
        };
        if retry.transmissions >= MRP_MAX_TRANSMISSIONS {
            self.flight = None;
            return true;
        }
        retry.transmissions = retry.transmissions.saturating_add(1);
        flight.transmit = true;
        false
    }

    /// Returns true if there is something to send now.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.acks.is_due() || self.flight.as_ref().is_some_and(|flight| flight.transmit)
    }

    /// Takes the transmission that is due. Returns true if [`datagram`](Self::datagram) must be
    /// sent now.
    ///
    /// `wait`: how long to wait for an acknowledgement after so many repetitions, see
    /// [`backoff`]; asked anew each time, as the peer may have fallen asleep.
    #[must_use = "what is taken counts as sent"]
    pub fn take_transmission(&mut self, now: Instant, wait: impl FnOnce(u8) -> Duration) -> bool {
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.transmit) else {
            return false;
        };
        flight.transmit = false;
        if let Some(retry) = &mut flight.retry {
            retry.next = now + wait(retry.transmissions.saturating_sub(1));
        }
        true
    }

    /// Returns the message in flight, or sent once and not forgotten yet, and where its bytes
    /// stand.
    pub fn message(&self) -> Option<(&M, Range<usize>)> {
        self.flight.as_ref().map(|flight| (&flight.message, flight.datagram.clone()))
    }
}

impl<M: AsRef<[u8]>> Exchange<M> {
    /// Returns the bytes of the message in flight.
    #[must_use]
    pub fn datagram(&self) -> &[u8] {
        let bytes = self.message().and_then(|(message, range)| message.as_ref().get(range));
        bytes.unwrap_or_default()
    }
}

impl Acks {
    fn owe(&mut self, counter: MessageCounter, now: Instant) {
        if let Some((older, _)) = self.owed.take() {
            self.answer_now(older);
        }
        self.owed = Some((counter, now + MRP_STANDALONE_ACK_TIMEOUT));
    }

    /// Queues a standalone acknowledgement. When two wait already the older one is dropped: the
    /// peer will ask again.
    fn answer_now(&mut self, counter: MessageCounter) {
        if self.owed.is_some_and(|(owed, _)| owed == counter) {
            self.owed = None;
        }
        self.remember(counter);
        if self.due.contains(&Some(counter)) {
            return;
        }
        self.due = match self.due {
            [None, None] => [Some(counter), None],
            [first, None] => [first, Some(counter)],
            [_, second] => [second, Some(counter)],
        };
    }

    /// Keeps the newest counter that was acknowledged; counters of unsecured messages wrap.
    fn remember(&mut self, counter: MessageCounter) {
        let newer = |last: MessageCounter| {
            counter.get().wrapping_sub(last.get()).cast_signed().is_positive()
        };
        if self.last.is_none_or(newer) {
            self.last = Some(counter);
        }
    }

    fn is_due(&self) -> bool {
        self.due.iter().any(Option::is_some)
    }
}

/// Returns true if a header is that of a standalone acknowledgement.
#[must_use]
pub fn is_standalone_ack(header: &ProtocolHeader) -> bool {
    header.protocol == ProtocolId::SECURE_CHANNEL && header.opcode == Opcode::MRP_STANDALONE_ACK.0
}

/// Returns true if a message is to be acknowledged: an acknowledgement never is, whatever it asks
/// for.
pub(crate) fn wants_ack(header: &ProtocolHeader) -> bool {
    header.needs_ack && !is_standalone_ack(header)
}

/// Returns the header of an acknowledgement on an exchange that is not kept.
pub(crate) const fn acknowledgement(
    header: &ProtocolHeader,
    counter: MessageCounter,
) -> ProtocolHeader {
    ProtocolHeader {
        exchange: header.exchange,
        protocol: ProtocolId::SECURE_CHANNEL,
        opcode: Opcode::MRP_STANDALONE_ACK.0,
        initiator: !header.initiator,
        needs_ack: false,
        ack: Some(counter),
    }
}
