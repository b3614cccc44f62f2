//! How a message of a secure session is received.

use crate::crypto::Crypto;
use crate::exchange::{Exchange, acknowledgement, is_standalone_ack, wants_ack};
use crate::ids::{LocalSessionId, MessageCounter, MessageType, ProtocolId};
use crate::manager::config::Config;
use crate::manager::delivery::Delivery;
use crate::manager::event::{CloseReason, Event};
use crate::manager::handle::{ExchangeHandle, ExchangeKey, PeerAddress, SessionHandle, Source};
use crate::manager::node::Node;
use crate::manager::received::{Dropped, Message, Received};
use crate::manager::sessions::entry::Entry;
use crate::manager::sessions::exchanges::{ExchangeEntry, owner_of};
use crate::manager::sessions::shares::Place;
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::{ByteStore, Storage};
use crate::manager::trace::{self, Way};
use crate::session::{Opened, Unopened};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{Packet, ProtocolHeader, StatusReport};

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Receives a packet for the session with this id.
    #[inline]
    pub(in crate::manager) fn receive<'b>(
        &mut self,
        now: Instant,
        from: PeerAddress,
        local: LocalSessionId,
        packet: Packet<'b>,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<Received<'b>, Dropped> {
        let unopened = |entry: &Entry<C, T>| {
            if !entry.address.shares_sessions(&from) {
                return Err(Dropped::OtherTransport);
            }
            Ok(entry.session.unopened(packet)?)
        };
        self.receive_for(local, unopened, now, from, delivery, node)
    }

    /// Receives a message that was opened along with others for this session.
    #[inline]
    pub(in crate::manager) fn receive_opened_ahead<'b>(
        &mut self,
        now: Instant,
        from: PeerAddress,
        session: SessionHandle,
        message: Unopened<'b>,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<Received<'b>, Dropped> {
        let unopened = |entry: &Entry<C, T>| {
            // A datagram before it may have ended the session.
            let lives = entry.serial == session.serial;
            if lives { Ok(message) } else { Err(Dropped::UnknownSession(session.local)) }
        };
        self.receive_for(session.local, unopened, now, from, delivery, node)
    }

    /// Receives a message for the session with this id, if `unopened` makes one of that session.
    #[inline(never)]
    fn receive_for<'b>(
        &mut self,
        local: LocalSessionId,
        unopened: impl FnOnce(&Entry<C, T>) -> Result<Unopened<'b>, Dropped>,
        now: Instant,
        from: PeerAddress,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<Received<'b>, Dropped> {
        // The message may have waited in the socket while no timer was handled.
        self.fail_safe_timeout(now, delivery);
        let entry = self.table.by_local_mut(local).ok_or(Dropped::UnknownSession(local))?;
        let session = SessionHandle { local, serial: entry.serial };
        let message = unopened(entry)?;
        let (holder, counter) = (entry.holder(), message.counter());
        let closing = entry.closing.is_some();
        // The peer asked for the end of its rights here: it may acknowledge the answer to that, and
        // no more.
        let has_no_say = entry.closing.is_some_and(|reason| reason != CloseReason::Local);
        let is_exhausted = entry.is_exhausted();
        let was_refused = self.refused.recall(local, counter, now, &mut entry.forgotten);
        let is_unsure =
            (1..=entry.forgotten).contains(&counter.get()) && entry.session.is_behind(counter);
        let exchanges = &self.exchanges;
        let most = node.config.max_exchanges_per_session;
        // A message that asks for an acknowledgement must not be accepted unless it will be
        // delivered: the peer would not send it again.
        let (mut first, mut place, mut refusal) = (false, None, None);
        let opened = entry.session.decode_unopened(message, was_refused, now, |header| {
            let exchange = exchanges.get(&key_of(local, header));
            first = begins_exchange(header, &node.config) && exchange.is_none();
            place = if first && !closing { exchanges.place_for(local, holder, most) } else { None };
            let owes = exchange.is_some_and(|entry| !entry.exchange.has_room_for_ack());
            refusal = if first && place.is_none()
                || has_no_say && header.protocol != ProtocolId::SECURE_CHANNEL
            {
                Some(Dropped::NoExchange)
            } else if owes && wants_ack(header) {
                Some(Dropped::Backlog)
            } else {
                None
            };
            refusal.is_none()
        })?;
        if let Some(refusal) = refusal {
            if !was_refused {
                self.remember_refused(local, counter, now);
            }
            return Err(refusal);
        }
        if was_refused {
            self.refused.remove(local, counter);
        }
        if opened.duplicate && is_unsure && begins_exchange(&opened.header, &node.config) {
            // It may be one that was refused, and forgotten. Its sender must not take it for
            // delivered.
            return Err(Dropped::NoExchange);
        }
        entry.statistics.count_received(opened.duplicate);
        if !opened.duplicate {
            // A message that is not the newest may have been delayed, or held back and sent on: its
            // address is where the peer was.
            self.table.received_from(local, opened.newest.then_some(from));
        }
        if let Some(Place::Of(holder)) = place {
            self.displace(holder, now, delivery, node);
        }
        let received = self.receive_opened(now, session, opened, first, delivery, node);
        if is_exhausted {
            self.end_if_exhausted(local, now, delivery);
        }
        received
    }

    /// Remembers that a message was refused: its copy is to be delivered, however many newer ones
    /// are received before.
    #[inline(never)]
    fn remember_refused(&mut self, local: LocalSessionId, counter: MessageCounter, now: Instant) {
        let Some((session, counter)) = self.refused.insert((local, counter.get()), now) else {
            return;
        };
        if let Some(entry) = self.table.by_local_mut(session) {
            entry.forgotten = entry.forgotten.max(counter);
        }
    }

    /// Receives a message that is authentic. `first`: it is new and begins an exchange, for which
    /// there is room.
    #[inline(never)]
    fn receive_opened<'b>(
        &mut self,
        now: Instant,
        session: SessionHandle,
        opened: Opened<'b>,
        first: bool,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<Received<'b>, Dropped> {
        let Opened { header, counter, payload, duplicate, .. } = opened;
        if duplicate {
            delivery.statistics.count_duplicate();
        }
        let key = key_of(session.local, &header);
        let way = if duplicate { Way::InAgain } else { Way::In };
        trace::message(way, session.local.get(), &header, counter);
        if !duplicate && is_close_session(&header, payload) {
            self.end(session, CloseReason::Peer, now, delivery);
            return Ok(Received::Handled);
        }
        let exchange = if first {
            self.begin_exchange(key, &header, counter, now, delivery, node)?
        } else {
            let Some(entry) = self.exchanges.get_mut(&key) else {
                return self.receive_stray(session, &header, counter, duplicate, now, delivery);
            };
            let exchange = ExchangeHandle { key, serial: entry.serial };
            let closing = entry.closing;
            let sealed = entry.exchange.in_flight_since().unwrap_or(now);
            let receipt = entry.exchange.receive(&header, counter, duplicate, now);
            if closing {
                // The application has closed the exchange: no message of its own will carry the
                // acknowledgement.
                entry.exchange.flush_ack();
            }
            let known = match receipt.acknowledged {
                true => self.table.by_local(key.session),
                false => None,
            };
            let has_arrived = known.is_some_and(|known| known.has_delivered(key, &header));
            let delivers = receipt.deliver && !closing && is_for_application(&header);
            if delivers && !entry.exchange.is_in_flight() {
                entry.awaited = None;
            } else if let Some(session) = known {
                match has_arrived {
                    true => entry.request_arrived(session, sealed, now, &node.config),
                    false => entry.awaited = None,
                }
            }
            let holds = receipt.acknowledged || entry.exchange.message().is_some();
            if holds && !entry.exchange.is_in_flight() {
                entry.exchange.ground();
                delivery.bytes.release(owner_of(key));
            }
            let goes_on = entry.file(&mut delivery.schedule, key, node.config.exchange_lifetime);
            // Before the end of the session that may follow.
            if receipt.acknowledged {
                delivery.statistics.acknowledged.note(sealed, now);
                if let Some(session) = self.table.by_local_mut(key.session) {
                    session.statistics.count_acknowledged(sealed, now);
                }
                delivery.push_event(match has_arrived {
                    true => Event::Acknowledged { exchange },
                    false => Event::Undelivered { exchange },
                });
            }
            if !goes_on {
                self.update(key, delivery, node);
            }
            if receipt.acknowledged {
                self.seal_waiting(key.session, now, delivery, node);
            }
            if is_handshake(&header) && !duplicate {
                return Err(Dropped::Misplaced);
            }
            if !delivers {
                return Ok(Received::Handled);
            }
            exchange
        };
        Ok(Received::Message(Message {
            session,
            exchange,
            first,
            kind: MessageType::new(header.protocol, header.opcode),
            needs_ack: header.needs_ack,
            counter,
            payload,
        }))
    }

    /// Begins the exchange of a message of the peer. The message is for the application, as those
    /// of the secure channel protocol begin none.
    fn begin_exchange(
        &mut self,
        key: ExchangeKey,
        header: &ProtocolHeader,
        counter: MessageCounter,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<ExchangeHandle, Dropped> {
        let session = self.table.by_local(key.session);
        let holder = session.ok_or(Dropped::UnknownSession(key.session))?.holder();
        let serial = delivery.serial();
        let exchange = Exchange::new(header.exchange, false, now);
        let mut entry = ExchangeEntry::new(exchange, serial, holder);
        entry.exchange.receive(header, counter, false, now);
        entry.file(&mut delivery.schedule, key, node.config.exchange_lifetime);
        let filed = entry.filed;
        if self.exchanges.insert(key, entry).is_err() {
            delivery.forget(Source::Exchange(key), filed);
            return Err(Dropped::NoExchange);
        }
        Ok(ExchangeHandle { key, serial })
    }

    /// Acknowledges a message that belongs to no exchange and begins none.
    #[inline(never)]
    fn receive_stray<'b>(
        &mut self,
        session: SessionHandle,
        header: &ProtocolHeader,
        counter: MessageCounter,
        duplicate: bool,
        now: Instant,
        delivery: &mut Delivery<S, T>,
    ) -> Result<Received<'b>, Dropped> {
        if wants_ack(header) {
            let ack = acknowledgement(header, counter);
            self.push_ack(session, &ack, now, delivery);
        }
        match duplicate {
            true => Ok(Received::Handled),
            false if is_handshake(header) => Err(Dropped::Misplaced),
            false => Err(Dropped::Unsolicited),
        }
    }
}

impl<C: Crypto, T> Entry<C, T> {
    /// Returns true if the message has arrived that a message with this header acknowledges: if the
    /// peer could tell it from a duplicate, or answers it.
    fn has_delivered(&self, key: ExchangeKey, header: &ProtocolHeader) -> bool {
        let is_answer = key.initiator && !is_standalone_ack(header);
        is_answer || header.ack.is_some_and(|ack| self.was_within_reach(ack))
    }
}

/// The exchange that a received message belongs to.
const fn key_of(session: LocalSessionId, header: &ProtocolHeader) -> ExchangeKey {
    ExchangeKey { session, id: header.exchange, initiator: !header.initiator }
}

/// Returns true if a message that belongs to no exchange may begin one: its sender says so, and the
/// application has the protocol.
fn begins_exchange(header: &ProtocolHeader, config: &Config) -> bool {
    header.initiator && config.serves(header.protocol)
}

/// Returns true if a message of an exchange is delivered to the application. Of the secure channel
/// protocol only status reports are.
fn is_for_application(header: &ProtocolHeader) -> bool {
    header.protocol != ProtocolId::SECURE_CHANNEL || header.opcode == Opcode::STATUS_REPORT.0
}

fn is_handshake(header: &ProtocolHeader) -> bool {
    header.protocol == ProtocolId::SECURE_CHANNEL
        && Opcode(header.opcode).is_session_establishment()
}

fn is_close_session(header: &ProtocolHeader, payload: &[u8]) -> bool {
    header.protocol == ProtocolId::SECURE_CHANNEL
        && header.opcode == Opcode::STATUS_REPORT.0
        && StatusReport::parse(payload).is_ok_and(|report| report.is_close_session())
}
