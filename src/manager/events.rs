//! Events that wait to be polled.

use super::event::{CloseReason, Event, WindowCloseReason};
use super::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
use super::storage::{Queue, Storage};
use crate::handshake::{HandshakeError, SignRequest};
use crate::ids::Peer;

/// Events in the order in which they happened. What handshakes tell takes much more room than
/// anything else, and is rarer: it has a queue of its own.
pub(super) struct Events<S: Storage, T> {
    told: S::Events<Told<T>>,
    handshakes: S::HandshakeEvents<OfHandshake>,
}

enum Told<T> {
    /// The next one of the other queue.
    OfHandshake,
    Acknowledged(ExchangeHandle),
    Undelivered(ExchangeHandle),
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
    pub(super) const EMPTY: Self = Self { told: Queue::EMPTY, handshakes: Queue::EMPTY };

    /// Keeps at most `events`, of which so many tell of handshakes.
    pub(super) fn limit(&mut self, events: usize, of_handshakes: usize) {
        self.told.limit(events);
        self.handshakes.limit(of_handshakes);
    }

    pub(super) fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether less is free than such a reserve, of which so many tell of handshakes. Of either
    /// queue one place can always be taken.
    pub(super) fn is_backlogged(&self, reserve: usize, of_handshakes: usize) -> bool {
        let most = self.told.capacity().saturating_sub(reserve);
        let most_of_handshakes = self.handshakes.capacity().saturating_sub(of_handshakes);
        self.told.len() >= most.max(1) || self.handshakes.len() >= most_of_handshakes.max(1)
    }

    /// Appends; false if there is no room.
    pub(super) fn push(&mut self, event: Event<T>) -> bool {
        let told = match event {
            Event::Acknowledged { exchange } => Told::Acknowledged(exchange),
            Event::Undelivered { exchange } => Told::Undelivered(exchange),
            Event::Closed { session, data, reason } => Told::Closed(session, data, reason),
            Event::CounterLow { session } => Told::CounterLow(session),
            Event::WindowClosed { reason } => Told::WindowClosed(reason),
            Event::RecordChanged { peer } => Told::RecordChanged(peer),
            Event::Established { session, handshake, resumed } => {
                return self.push_bulky(OfHandshake::Established(session, handshake, resumed));
            }
            Event::HandshakeFailed { handshake, address: peer, error } => {
                return self.push_bulky(OfHandshake::Failed(handshake, peer, error));
            }
            Event::SignRequest(request) => {
                return self.push_bulky(OfHandshake::SignRequest(request));
            }
            // What groups have to tell waits there.
            Event::GroupMessages | Event::GroupSendersFull { .. } => return false,
        };
        self.told.push(told).is_ok()
    }

    fn push_bulky(&mut self, event: OfHandshake) -> bool {
        // Into both queues or neither: they must not get out of step.
        self.told.len() < self.told.capacity()
            && self.handshakes.push(event).is_ok()
            && self.told.push(Told::OfHandshake).is_ok()
    }

    pub(super) fn pop(&mut self) -> Option<Event<T>> {
        Some(match self.told.pop()? {
            Told::OfHandshake => match self.handshakes.pop()? {
                OfHandshake::Established(session, handshake, resumed) => {
                    Event::Established { session, handshake, resumed }
                }
                OfHandshake::Failed(handshake, peer, error) => {
                    Event::HandshakeFailed { handshake, address: peer, error }
                }
                OfHandshake::SignRequest(request) => Event::SignRequest(request),
            },
            Told::Acknowledged(exchange) => Event::Acknowledged { exchange },
            Told::Undelivered(exchange) => Event::Undelivered { exchange },
            Told::Closed(session, data, reason) => Event::Closed { session, data, reason },
            Told::CounterLow(session) => Event::CounterLow { session },
            Told::WindowClosed(reason) => Event::WindowClosed { reason },
            Told::RecordChanged(peer) => Event::RecordChanged { peer },
        })
    }
}
