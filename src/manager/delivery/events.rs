//! Events that the application has not polled yet.

use crate::handshake::{HandshakeError, SignRequest};
use crate::ids::Peer;
use crate::manager::event::{CloseReason, Event, WindowCloseReason};
use crate::manager::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
use crate::manager::storage::{Queue, Storage};

/// Events in the order in which they happened. Events of handshakes take much more room than
/// others, and are rarer: they have a queue of their own.
pub(super) struct Events<S: Storage, T> {
    queue: S::Events<Queued<T>>,
    handshakes: S::HandshakeEvents<OfHandshake>,
    /// The places that are kept for events of what exists, in all and for handshakes.
    reserve: (usize, usize),
}

enum Queued<T> {
    /// The next one of the queue of handshakes.
    OfHandshake,
    Acknowledged(ExchangeHandle),
    Undelivered(ExchangeHandle),
    NoResponse(ExchangeHandle),
    Expired(ExchangeHandle),
    Closed(SessionHandle, T, CloseReason),
    CounterLow(SessionHandle),
    WindowClosed(WindowCloseReason),
    RecordChanged(Peer),
}

enum OfHandshake {
    Established(SessionHandle, Option<HandshakeHandle>, bool),
    Failed(Option<HandshakeHandle>, PeerAddress, HandshakeError),
    SignRequest(SignRequest),
}

impl<S: Storage, T> Events<S, T> {
    pub(super) const EMPTY: Self =
        Self { queue: Queue::EMPTY, handshakes: Queue::EMPTY, reserve: (0, 0) };

    /// Makes room for `most` events (or those that are queued, if they are more) and for the
    /// `reserve`: in all, and of handshakes.
    pub(super) fn limit(&mut self, most: usize, reserve: (usize, usize)) {
        let most = most.max(self.len());
        self.queue.limit(most.saturating_add(reserve.0));
        self.handshakes.limit(most.saturating_add(reserve.1));
        self.reserve = reserve;
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns true if nothing but the reserve is free in either queue. One place of each can
    /// always be used.
    pub(super) fn is_backlogged(&self) -> bool {
        let most = self.queue.capacity().saturating_sub(self.reserve.0);
        let most_of_handshakes = self.handshakes.capacity().saturating_sub(self.reserve.1);
        self.queue.len() >= most.max(1) || self.handshakes.len() >= most_of_handshakes.max(1)
    }

    /// Appends; false if there is no room.
    pub(super) fn push(&mut self, event: Event<T>) -> bool {
        let queued = match event {
            Event::Acknowledged { exchange } => Queued::Acknowledged(exchange),
            Event::Undelivered { exchange } => Queued::Undelivered(exchange),
            Event::NoResponse { exchange } => Queued::NoResponse(exchange),
            Event::ExchangeExpired { exchange } => Queued::Expired(exchange),
            Event::Closed { session, data, reason } => Queued::Closed(session, data, reason),
            Event::CounterLow { session } => Queued::CounterLow(session),
            Event::WindowClosed { reason } => Queued::WindowClosed(reason),
            Event::RecordChanged { peer } => Queued::RecordChanged(peer),
            Event::Established { session, handshake, resumed } => {
                return self.push_bulky(OfHandshake::Established(session, handshake, resumed));
            }
            Event::HandshakeFailed { handshake, address, error } => {
                return self.push_bulky(OfHandshake::Failed(handshake, address, error));
            }
            Event::SignRequest(request) => {
                return self.push_bulky(OfHandshake::SignRequest(request));
            }
            // The other parts keep these themselves.
            Event::ClaimRequest(_)
            | Event::ExchangeAvailable { .. }
            | Event::PeerSilent { .. }
            | Event::GroupCounterLow { .. }
            | Event::GroupMessages
            | Event::GroupSendersFull { .. } => {
                return false;
            }
        };
        self.queue.push(queued).is_ok()
    }

    fn push_bulky(&mut self, event: OfHandshake) -> bool {
        // Into both queues or neither: they must not get out of step.
        self.queue.len() < self.queue.capacity()
            && self.handshakes.push(event).is_ok()
            && self.queue.push(Queued::OfHandshake).is_ok()
    }

    pub(super) fn pop(&mut self) -> Option<Event<T>> {
        Some(match self.queue.pop()? {
            Queued::OfHandshake => match self.handshakes.pop()? {
                OfHandshake::Established(session, handshake, resumed) => {
                    Event::Established { session, handshake, resumed }
                }
                OfHandshake::Failed(handshake, address, error) => {
                    Event::HandshakeFailed { handshake, address, error }
                }
                OfHandshake::SignRequest(request) => Event::SignRequest(request),
            },
            Queued::Acknowledged(exchange) => Event::Acknowledged { exchange },
            Queued::Undelivered(exchange) => Event::Undelivered { exchange },
            Queued::NoResponse(exchange) => Event::NoResponse { exchange },
            Queued::Expired(exchange) => Event::ExchangeExpired { exchange },
            Queued::Closed(session, data, reason) => Event::Closed { session, data, reason },
            Queued::CounterLow(session) => Event::CounterLow { session },
            Queued::WindowClosed(reason) => Event::WindowClosed { reason },
            Queued::RecordChanged(peer) => Event::RecordChanged { peer },
        })
    }
}
