//! Exchanges: conversations within a session, with acknowledgement and retransmission.
//!
//! ```text
//! received, R ──▶ owed ──200 ms, or another R──▶ due ──▶ sent as a standalone acknowledgement
//!                   └──any message sent carries it──▶ settled
//!
//! sent reliably ──▶ in flight ──acknowledged──▶ settled
//!    └──▶ waits ──▶   │   ▲ └──after five transmissions──▶ given up
//!                     └───┘ retransmitted: the same bytes, never encrypted again
//! ```
//! An [`Exchange`] holds at most one message: in flight, as sealed bytes, or one that waits to be
//! sealed. It neither encrypts nor knows its session: its owner encodes the acknowledgements that
//! it names and sends the bytes that it lends. [Core, "Message Exchanges"]

mod acks;
mod mrp;
mod retry;

use core::ops::Range;
use core::time::Duration;

use self::acks::Acks;
pub use self::mrp::{
    Jitter, MRP_MAX_TRANSMISSIONS, MRP_STANDALONE_ACK_TIMEOUT, backoff, max_transmission_time,
};
pub(crate) use self::retry::Retry;
use crate::bytes::Cleartext;
use crate::ids::{ExchangeId, MessageCounter, MessageType, ProtocolId};
use crate::time::{Instant, rounded_up};
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

/// One end of a conversation. `M` holds the bytes of the message that is sent.
#[derive(Debug)]
pub struct Exchange<M: AsMut<[u8]>> {
    id: ExchangeId,
    initiator: bool,
    acks: Acks,
    sending: Sending<M>,
    last_used: Instant,
}

/// The message that is sent.
#[derive(Debug)]
enum Sending<M: AsMut<[u8]>> {
    Nothing,
    /// It is not sealed yet. It is wiped if it never is.
    Waiting(Cleartext<M>, MessageType),
    Sealed(Flight<M>),
}

#[derive(Debug)]
struct Flight<M> {
    message: M,
    datagram: Range<usize>,
    counter: MessageCounter,
    sealed: Instant,
    transmit: bool,
    /// Nothing new was received since it was sealed. So it carries the acknowledgement of the
    /// newest message.
    is_answer: bool,
    /// `None` where the transport is reliable by itself: the message is sent once.
    retry: Option<Retry>,
}

impl<M: AsMut<[u8]> + Default> Exchange<M> {
    /// Makes an exchange that this node begins (`initiator`), or that the peer began.
    #[must_use]
    pub fn new(id: ExchangeId, initiator: bool, now: Instant) -> Self {
        Self { id, initiator, acks: Acks::default(), sending: Sending::Nothing, last_used: now }
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

    /// Keeps an exchange for `more`, which has been idle for `lifetime` and is not to end yet.
    pub fn defer_idle(&mut self, now: Instant, lifetime: Duration, more: Duration) {
        let until = (now + more).as_millis();
        self.last_used = Instant::from_millis(until.saturating_sub(rounded_up(lifetime)));
    }

    /// Returns true if a received header belongs to this exchange: same id, sent by the other role.
    #[must_use]
    pub fn matches(&self, header: &ProtocolHeader) -> bool {
        header.exchange == self.id && header.initiator != self.initiator
    }

    /// Processes a received message.
    ///
    /// A duplicate is acknowledged again at once if it asks for that and is never delivered; the
    /// acknowledgement that it carries is not looked at. If the message in flight answers what is
    /// duplicated, this message is the acknowledgement: its next transmission is made now. The
    /// peer may have lost the answer, and some peers take an answer that comes after a newer
    /// acknowledgement for a duplicate. Of two transmissions in a row at most one is made ahead of
    /// its time, and the message is given up no sooner. So recorded messages that are sent again
    /// change little.
    pub fn receive(
        &mut self,
        header: &ProtocolHeader,
        counter: MessageCounter,
        duplicate: bool,
        now: Instant,
    ) -> Receipt {
        if duplicate {
            if wants_ack(header) && !self.answers_again(counter) {
                self.acks.answer_now(counter);
            }
            return Receipt { deliver: false, acknowledged: false };
        }
        self.last_used = self.last_used.max(now);
        let acknowledged = self.flight().is_some_and(|flight| header.ack == Some(flight.counter));
        if acknowledged {
            self.ground();
        }
        let standalone = is_standalone_ack(header);
        if wants_ack(header) {
            self.acks.owe(counter, now);
            if let Some(flight) = self.flight_mut() {
                flight.is_answer = false;
            }
        }
        Receipt { deliver: !standalone, acknowledged }
    }

    /// Makes the next transmission of the answer to this message due at once. Returns false if the
    /// message in flight is none, or if that was done for its last transmission already.
    fn answers_again(&mut self, counter: MessageCounter) -> bool {
        let is_newest = self.acks.last == Some(counter);
        let Some(flight) = self.flight_mut().filter(|flight| is_newest && flight.is_answer) else {
            return false;
        };
        if flight.transmit {
            return true;
        }
        flight.transmit = flight.retry.as_mut().is_some_and(Retry::repeat_ahead);
        flight.transmit
    }

    const fn flight(&self) -> Option<&Flight<M>> {
        match &self.sending {
            Sending::Sealed(flight) => Some(flight),
            _ => None,
        }
    }

    const fn flight_mut(&mut self) -> Option<&mut Flight<M>> {
        match &mut self.sending {
            Sending::Sealed(flight) => Some(flight),
            _ => None,
        }
    }

    /// Returns true if another message that asks for an acknowledgement may be received now. If
    /// not, send the [next acknowledgement](Self::next_ack) first, or leave the message unreceived:
    /// the peer repeats it. An acknowledgement would be lost otherwise.
    #[must_use]
    pub fn has_room_for_ack(&self) -> bool {
        self.acks.due.contains(&None)
    }

    /// Returns how many acknowledgements are owed, alone or along with a message.
    #[must_use]
    pub fn acks_owed(&self) -> usize {
        let due = self.acks.due.iter().flatten().count();
        due.saturating_add(self.acks.owed.is_some().into())
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
        sealed: Instant,
    ) {
        let retry = repeated.then_some(Retry::FIRST);
        let (transmit, is_answer) = (true, true);
        let flight = Flight { message, datagram, counter, sealed, transmit, is_answer, retry };
        self.sending = Sending::Sealed(flight);
    }

    /// Keeps a message that cannot be sealed yet. It counts as in flight. If it is given up before
    /// it is taken, its bytes are wiped.
    pub fn hold(&mut self, message: M, kind: MessageType, now: Instant) {
        self.last_used = self.last_used.max(now);
        self.sending = Sending::Waiting(Cleartext::new(message), kind);
    }

    /// Returns true if a message waits to be sealed.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.sending, Sending::Waiting(..))
    }

    /// Takes the message that waits to be sealed. Seal it, and [`launch`](Self::launch) it.
    pub fn take_waiting(&mut self) -> Option<(M, MessageType)> {
        match core::mem::replace(&mut self.sending, Sending::Nothing) {
            Sending::Waiting(mut message, kind) => Some((message.take(), kind)),
            other => {
                self.sending = other;
                None
            }
        }
    }

    /// Returns the counter of the message that is repeated until it is acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> Option<MessageCounter> {
        self.flight().filter(|flight| flight.retry.is_some()).map(|flight| flight.counter)
    }

    /// Returns true if a message acknowledges the one that is repeated until it is acknowledged.
    pub(crate) fn is_answered_by(&self, header: &ProtocolHeader) -> bool {
        header.ack.is_some() && header.ack == self.unacknowledged()
    }

    /// Waits until `next` for the acknowledgement of the message in flight, unless a
    /// transmission is due anyway.
    pub fn postpone(&mut self, next: Instant) {
        if let Some(retry) = self.flight_mut().and_then(|flight| flight.retry.as_mut()) {
            retry.postpone(next);
        }
    }

    /// Notes that the peer listens from now on. `wait` returns the maximum wait after a number of
    /// repetitions. A message whose wait would be longer is transmitted at once, or given up after
    /// that wait if this was its last transmission. It is never transmitted more often.
    pub fn hasten(&mut self, now: Instant, wait: impl FnOnce(u8) -> Duration) {
        let Some(flight) = self.flight_mut().filter(|flight| !flight.transmit) else { return };
        if let Some(retry) = &mut flight.retry
            && retry.hasten(now, wait)
        {
            retry.repeat_for_sleeper();
            flight.transmit = true;
        }
    }

    /// Returns true if [`take_silence`](Self::take_silence) would.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let retry = self.flight().and_then(|flight| flight.retry.as_ref());
        retry.is_some_and(Retry::is_silent)
    }

    /// Returns true once for each message that is repeated until it is acknowledged: when the wait
    /// after a transmission has ended without an acknowledgement for the first time.
    #[must_use = "it is returned once"]
    pub fn take_silence(&mut self) -> bool {
        let retry = self.flight_mut().and_then(|flight| flight.retry.as_mut());
        retry.is_some_and(Retry::take_silence)
    }

    /// Returns the transmissions of the message in flight, while an acknowledgement is waited for
    /// and none is due.
    #[cfg(feature = "initiator")]
    pub(crate) const fn waiting(&self) -> Option<&Retry> {
        match self.flight() {
            Some(Flight { transmit: false, retry: Some(retry), .. }) => Some(retry),
            _ => None,
        }
    }

    /// Returns these transmissions, to be changed.
    #[cfg(feature = "initiator")]
    pub(crate) const fn waiting_mut(&mut self) -> Option<&mut Retry> {
        match self.flight_mut() {
            Some(Flight { transmit: false, retry: Some(retry), .. }) => Some(retry),
            _ => None,
        }
    }

    /// Stops the transmissions of the message in flight: it has arrived, but stays.
    #[cfg(feature = "initiator")]
    pub(crate) const fn stop(&mut self) {
        if let Some(flight) = self.flight_mut()
            && let Some(retry) = &mut flight.retry
        {
            flight.transmit = false;
            retry.stop();
        }
    }

    /// Goes on with other transmissions of the message in flight. If the first one is not made yet,
    /// it is due now.
    #[cfg(feature = "initiator")]
    pub(crate) fn go_on_with(&mut self, mut retry: Retry, now: Instant) {
        retry.start(now);
        if let Some(flight) = self.flight_mut() {
            flight.transmit = false;
            flight.retry = Some(retry);
        }
    }

    /// Returns true if a message waits for its acknowledgement, its first transmission, or to be
    /// sealed. One that is sent once counts until it is transmitted.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.is_waiting()
            || self.flight().is_some_and(|flight| flight.transmit || flight.retry.is_some())
    }

    /// Returns when the message in flight was sealed.
    #[must_use]
    pub fn in_flight_since(&self) -> Option<Instant> {
        self.flight().map(|flight| flight.sealed)
    }

    /// Returns true if the message in flight was transmitted, once at least.
    #[must_use]
    pub fn is_transmitted(&self) -> bool {
        self.flight().is_some_and(|flight| {
            !flight.transmit || flight.retry.as_ref().is_some_and(Retry::is_repeated)
        })
    }

    /// Forgets the message in flight, because the peer's answer supersedes it.
    pub fn ground(&mut self) {
        self.sending = Sending::Nothing;
    }

    /// Returns true if nothing is left to do: no message in flight, no acknowledgement owed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.is_in_flight() && self.acks.owed.is_none() && !self.acks.is_due()
    }

    /// Makes an owed acknowledgement leave at once: no message will carry it. It leaves later if
    /// others are due that nobody has taken.
    pub fn flush_ack(&mut self) {
        if let Some((counter, _)) = self.acks.owed {
            self.acks.answer_now(counter);
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ack = self.acks.owed.map(|(_, due)| due);
        let flight = self.flight().filter(|flight| !flight.transmit);
        let retry = flight.and_then(|flight| flight.retry.as_ref()).map(|retry| retry.next);
        [ack, retry].into_iter().flatten().min()
    }

    /// Lets time pass: acknowledgements and retransmissions become due. However late the call is,
    /// it causes one retransmission. Returns true if the message in flight was given up.
    #[must_use = "a message that was given up is told once"]
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.acks.owed.is_some_and(|(_, due)| now >= due) {
            self.flush_ack();
            if let Some((_, due)) = &mut self.acks.owed {
                *due = now + MRP_STANDALONE_ACK_TIMEOUT;
            }
        }
        // While nobody has taken the last transmission, nothing is waited for.
        let Some(flight) = self.flight_mut().filter(|flight| !flight.transmit) else {
            return false;
        };
        let Some(retry) = flight.retry.as_mut().filter(|retry| now >= retry.next) else {
            return false;
        };
        flight.transmit = retry.repeat();
        let gave_up = !flight.transmit;
        if gave_up {
            self.ground();
        }
        gave_up
    }

    /// Returns true if there is something to send now.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.acks.is_due() || self.flight().is_some_and(|flight| flight.transmit)
    }

    /// Takes the transmission that is due. Returns true if [`datagram`](Self::datagram) must be
    /// sent now.
    ///
    /// `wait`: how long to wait for an acknowledgement after so many repetitions, see
    /// [`backoff`]; asked anew each time, as the peer may have fallen asleep.
    #[must_use = "what is taken counts as sent"]
    pub fn take_transmission(&mut self, now: Instant, wait: impl FnOnce(u8) -> Duration) -> bool {
        let Some(flight) = self.flight_mut().filter(|flight| flight.transmit) else {
            return false;
        };
        flight.transmit = false;
        if let Some(retry) = &mut flight.retry {
            retry.taken(now, wait);
        }
        true
    }

    /// Returns the message in flight, or sent once and not forgotten yet, and where its bytes
    /// stand.
    pub fn message(&self) -> Option<(&M, Range<usize>)> {
        self.flight().map(|flight| (&flight.message, flight.datagram.clone()))
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]> + Default> Exchange<M> {
    /// Returns the bytes of the message in flight.
    #[must_use]
    pub fn datagram(&self) -> &[u8] {
        let bytes = self.message().and_then(|(message, range)| message.as_ref().get(range));
        bytes.unwrap_or_default()
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
