//! Events that wait to be polled.

use crate::handshake::{HandshakeError, SignRequest};
use crate::ids::{FabricIndex, NodeId};
use crate::manager::event::{CloseReason, Event, WindowCloseReason};
use crate::manager::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
use crate::manager::storage::{Queue, Storage};

/// Events in the order in which they happened. What handshakes tell takes much more room than
/// anything else, and is rarer: it has a queue of its own.
pub(in crate::manager) struct Events<S: Storage, T> {
    told: S::Events<Told<T>>,
    handshakes: S::HandshakeEvents<OfHandshake>,
    /// The places that are kept for events of what exists, in all and for handshakes.
    reserve: (usize, usize),
}

enum Told<T> {
    /// The next one of the other queue.
    OfHandshake,
    Acknowledged(ExchangeHandle),
    Undelivered(ExchangeHandle),
    Closed(SessionHandle, T, CloseReason),
    CounterLow(SessionHandle),
    WindowClosed(WindowCloseReason),
    RecordChanged(FabricIndex, NodeId),
}

enum OfHandshake {
    Established(SessionHandle, Option<HandshakeHandle>, bool),
    Failed(Option<HandshakeHandle>, PeerAddress, HandshakeError),
    SignRequest(SignRequest),
}

impl<S: Storage, T> Events<S, T> {
    pub(in crate::manager) const EMPTY: Self =
        Self { told: Queue::EMPTY, handshakes: Queue::EMPTY, reserve: (0, 0) };

    /// Makes room for `most` events (or those that are queued, if they are more) and for the
    /// `reserve`: in all, and of handshakes.
    pub(in crate::manager) fn limit(&mut self, most: usize, reserve: (usize, usize)) {
        let most = most.max(self.len());
        self.told.limit(most.saturating_add(reserve.0));
        self.handshakes.limit(most.saturating_add(reserve.1));
        self.reserve = reserve;
    }

    pub(in crate::manager) fn len(&self) -> usize {
        self.told.len()
    }

    /// Returns true if nothing but the reserve is free in either queue. One place of each can
    /// always be used.
    pub(in crate::manager) fn is_backlogged(&self) -> bool {
        let most = self.told.capacity().saturating_sub(self.reserve.0);
        let most_of_handshakes = self.handshakes.capacity().saturating_sub(self.reserve.1);
        self.told.len() >= most.max(1) || self.handshakes.len() >= most_of_handshakes.max(1)
    }

    /// Appends; false if there is no room.
    pub(in crate::manager) fn push(&mut self, event: Event<T>) -> bool {
        let told = match event {
            Event::Acknowledged { exchange } => Told::Acknowledged(exchange),
            Event::Undelivered { exchange } => Told::Undelivered(exchange),
            Event::Closed { session, context, reason } => Told::Closed(session, context, reason),
            Event::CounterLow { session } => Told::CounterLow(session),
            Event::WindowClosed { reason } => Told::WindowClosed(reason),
            Event::RecordChanged { fabric, peer } => Told::RecordChanged(fabric, peer),
            Event::Established { session, handshake, resumed } => {
                return self.push_bulky(OfHandshake::Established(session, handshake, resumed));
            }
            Event::HandshakeFailed { handshake, peer, error } => {
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

    pub(in crate::manager) fn pop(&mut self) -> Option<Event<T>> {
        Some(match self.told.pop()? {
            Told::OfHandshake => match self.handshakes.pop()? {
                OfHandshake::Established(session, handshake, resumed) => {
                    Event::Established { session, handshake, resumed }
                }
                OfHandshake::Failed(handshake, peer, error) => {
                    Event::HandshakeFailed { handshake, peer, error }
                }
                OfHandshake::SignRequest(request) => Event::SignRequest(request),
            },
            Told::Acknowledged(exchange) => Event::Acknowledged { exchange },
            Told::Undelivered(exchange) => Event::Undelivered { exchange },
            Told::Closed(session, context, reason) => Event::Closed { session, context, reason },
            Told::CounterLow(session) => Event::CounterLow { session },
            Told::WindowClosed(reason) => Event::WindowClosed { reason },
            Told::RecordChanged(fabric, peer) => Event::RecordChanged { fabric, peer },
        })
    }
}
