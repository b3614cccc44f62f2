//! What crosses the parts of a manager: a datagram, a deadline, a transmission, an event.
//!
//! The parts do not know each other. The files of this folder alone know two of them: they choose
//! the part for what has come, and apply what one part asks of another.

mod handshakes;
mod membership;

use crate::context::Context;
use crate::crypto::Crypto;
use crate::manager::SessionManager;
use crate::manager::delivery::Output;
use crate::manager::event::Event;
use crate::manager::groups::Groups;
use crate::manager::handle::{PeerAddress, Source};
use crate::manager::received::{Dropped, Received, Transmit};
use crate::manager::sessions::{Datagram, NotHandled};
use crate::manager::statistics::increment;
use crate::manager::storage::{Optional, Storage};
use crate::manager::trace;
use crate::session::DecodeError;
use crate::time::Instant;
use crate::wire::{Packet, SessionRoute, WireError};

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Receives a datagram, and counts it if it is dropped.
    #[inline(never)]
    pub(in crate::manager) fn receive<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        datagram: &'b mut [u8],
    ) -> Received<'b> {
        let received = self.route(cx, from, datagram);
        self.counted(from, received)
    }

    #[inline]
    fn counted<'b>(
        &mut self,
        from: PeerAddress,
        received: Result<Received<'b>, Dropped>,
    ) -> Received<'b> {
        match received {
            Ok(received) => {
                increment(&mut self.delivery.statistics.received);
                received
            }
            Err(reason) => {
                self.delivery.count_dropped(from, reason);
                Received::Dropped(reason)
            }
        }
    }

    /// Hands a datagram to the part that its session belongs to.
    #[inline(never)]
    fn route<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Dropped> {
        match Packet::peek(datagram).map_err(DecodeError::from)?.route() {
            SessionRoute::Group(session) => {
                let Self { groups, delivery, node, .. } = self;
                let groups = groups.get_mut().ok_or(Dropped::GroupKey)?;
                groups.receive(cx, from, session, datagram, delivery, node)
            }
            SessionRoute::Unicast(local) => {
                let packet = Packet::parse(datagram).map_err(|error| match error {
                    WireError::Privacy => Dropped::PrivateUnicast,
                    other => DecodeError::from(other).into(),
                })?;
                let Self { sessions, delivery, node, .. } = self;
                sessions.receive(cx.now, from, local, packet, delivery, node)
            }
            SessionRoute::Unsecured => {
                let packet = Packet::parse(datagram).map_err(DecodeError::from)?;
                self.receive_unsecured(cx, from, packet)
            }
        }
    }

    /// Receives many datagrams in their order. Messages of secure sessions are opened together
    /// where that is faster.
    pub(in crate::manager) fn receive_all(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut [Datagram<'_>],
    ) {
        let mut later = batch;
        while !later.is_empty() {
            let len = self.sessions.open_ahead(&self.crypto, later);
            let Some((run, rest)) = later.split_at_mut_checked(len) else { return };
            for datagram in run {
                self.receive_one(cx, datagram);
            }
            later = rest;
        }
    }

    fn receive_one(&mut self, cx: &mut Context<'_>, datagram: &mut Datagram<'_>) {
        let from = datagram.from();
        let received = match datagram.start() {
            Some(NotHandled::Read(bytes)) => self.receive(cx, from, bytes),
            Some(NotHandled::Opened(session, message)) => {
                let Self { sessions, delivery, node, .. } = self;
                let received =
                    sessions.receive_opened_ahead(cx.now, from, session, message, delivery, node);
                self.counted(from, received)
            }
            None => return,
        };
        datagram.finish(received);
    }

    /// Returns the first of all deadlines.
    pub(in crate::manager) fn next_deadline(&self) -> Option<Instant> {
        let window = self.handshakes.poll_timeout();
        let fail_safe = self.sessions.poll_timeout();
        let records = self.node.records.expiry();
        let groups = self.groups.get().and_then(Groups::poll_timeout);
        [self.delivery.poll_timeout(), window, fail_safe, records, groups]
            .into_iter()
            .flatten()
            .min()
    }

    /// Handles every deadline that has come. Then one handshake computes its next part: nowhere else
    /// does one compute on the curve, so that no call takes longer than one operation on it.
    #[inline(never)]
    pub(in crate::manager) fn handle_deadlines(&mut self, cx: &mut Context<'_>) {
        self.sessions.fail_safe_timeout(cx.now, &mut self.delivery);
        while let Some(source) = self.delivery.schedule.take_due(cx.now) {
            match source {
                Source::Exchange(key) => {
                    let Self { sessions, delivery, node, .. } = self;
                    if let Some((peer, id)) = sessions.timeout(key, cx.now, delivery, node) {
                        self.forget_unserved(cx, peer, &id);
                    }
                }
                Source::Handshake(id) => {
                    let (delivery, node) = (&mut self.delivery, &mut self.node);
                    self.handshakes.timeout(&self.crypto, cx, id, delivery, node);
                }
            }
        }
        self.handshakes.window_timeout(cx.now, &mut self.delivery);
        self.expire_records(cx.now);
        if let Some(groups) = self.groups.get_mut() {
            #[cfg(feature = "keylog")]
            groups.log_keys(cx.keys, &self.node);
            groups.timeout(cx, &mut self.delivery, &self.node);
        }
        if self.delivery.has_work() {
            self.compute(cx);
        }
    }

    /// Returns the next datagram to send.
    #[inline(never)]
    pub(in crate::manager) fn transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.sessions.end_settled(&mut self.delivery);
        let shorts_first = self.delivery.is_turn_of_shorts();
        while !shorts_first && let Some(source) = self.delivery.schedule.next_ready() {
            match self.output(source, now) {
                Some(Output::Ack(range)) => {
                    self.delivery.statistics.count_sent(false);
                    return self.delivery.lend_scratch(self.peer(source)?, range);
                }
                Some(Output::InFlight { repeated }) => {
                    self.delivery.statistics.count_sent(repeated);
                    return self.in_flight(source);
                }
                None => {}
            }
        }
        self.delivery.pop_short()
    }

    /// Encodes the next acknowledgement of an exchange or handshake into the scratch buffer of the
    /// delivery, or takes its transmission.
    #[inline(never)]
    fn output(&mut self, source: Source, now: Instant) -> Option<Output> {
        let Self { sessions, handshakes, delivery, node, .. } = self;
        match source {
            Source::Exchange(key) => sessions.output(key, now, delivery, node),
            Source::Handshake(id) => handshakes.output(id, now, delivery, node),
        }
    }

    /// Returns the message in flight. Not inlined: its caller would copy the address by `memmove`,
    /// which nothing else in a device needs.
    #[inline(never)]
    fn in_flight(&self, source: Source) -> Option<Transmit<'_>> {
        let datagram = match source {
            Source::Exchange(key) => self.sessions.in_flight(key, &self.delivery)?,
            Source::Handshake(id) => self.handshakes.in_flight(id, &self.delivery)?,
        };
        self.peer(source).map(|to| Transmit { to: *to, datagram })
    }

    fn peer(&self, source: Source) -> Option<&PeerAddress> {
        match source {
            Source::Exchange(key) => self.sessions.peer(key),
            Source::Handshake(id) => self.handshakes.peer(id),
        }
    }

    /// Returns the next event, oldest first. Ends the loan of certificates that the event before it
    /// began.
    #[inline(never)]
    pub(in crate::manager) fn next_event(&mut self) -> Option<Event<T>> {
        self.handshakes.end_lending(&mut self.delivery);
        let event = self.delivery.pop_event();
        let event = event.or_else(|| self.next_claim());
        let event = event.or_else(|| self.next_silent());
        let event = event.or_else(|| self.next_available());
        let event = event.or_else(|| self.groups.get_mut()?.next_event());
        if let Some(Event::Established { session, .. }) = &event {
            self.handshakes.begin_lending(*session);
        }
        event
    }

    fn next_claim(&mut self) -> Option<Event<T>> {
        let event = Event::ClaimRequest(self.handshakes.next_claim()?);
        trace::event(&event);
        Some(event)
    }

    fn next_silent(&mut self) -> Option<Event<T>> {
        let (session, exchange) = self.sessions.next_silent()?;
        let event = Event::PeerSilent { session, exchange };
        trace::event(&event);
        Some(event)
    }

    fn next_available(&mut self) -> Option<Event<T>> {
        let session = self.sessions.next_available(&self.node.config)?;
        let event = Event::ExchangeAvailable { session };
        trace::event(&event);
        Some(event)
    }

    /// Returns true if nothing is left to send or to be acknowledged, and no handshake is running.
    pub(in crate::manager) fn has_settled(&self) -> bool {
        self.delivery.has_no_shorts() && self.sessions.are_settled() && self.handshakes.is_settled()
    }

    /// Ends the sessions and handshakes over a connection that is lost.
    pub(in crate::manager) fn end_connection(
        &mut self,
        cx: &mut Context<'_>,
        connection: PeerAddress,
    ) {
        self.sessions.end_over(connection, cx.now, &mut self.delivery);
        self.handshakes.disconnected(connection, cx.now, &mut self.delivery);
        self.delivery.disconnected(connection);
    }

    /// Returns true if a session or a running handshake uses a connection.
    pub(in crate::manager) fn uses(&self, connection: PeerAddress) -> bool {
        self.sessions.first_over(connection).is_some() || self.handshakes.uses(connection)
    }
}
