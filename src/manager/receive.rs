//! Received datagrams: where they belong, and what comes of them.

use super::event::{Dropped, Message, Received};
use super::exchanges::ExchangeEntry;
use super::handle::{ExchangeHandle, ExchangeKey, PeerAddress, SessionHandle, Source};
use super::session_table::Entry;
use super::storage::{Map, Octets, Owner, Storage};
use super::{CloseReason, Event, SessionManager, trace};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::exchange::{Exchange, wants_ack};
use crate::ids::{LocalSessionId, MessageCounter, MessageType, ProtocolId};
use crate::session::{DecodeError, Opened, Unopened};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;
use crate::wire::{Packet, ProtocolHeader, SessionRoute, StatusReport};

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Handles a datagram, or a message of a reliable transport. It is decrypted in place; what
    /// is returned borrows the datagram alone, so an answer can be sent while it is read.
    ///
    /// A datagram that is not accepted is [`Received::Dropped`], and the
    /// [`statistics`](Self::statistics) count it. That is no error of the caller's, who has
    /// nothing to do about it.
    #[inline(never)]
    pub fn handle_datagram<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        datagram: &'b mut [u8],
    ) -> Received<'b> {
        let received = self.route(cx, from, datagram);
        self.counted(from, received)
    }

    /// Counts a datagram that is dropped.
    #[inline]
    pub(super) fn counted<'b>(
        &mut self,
        from: PeerAddress,
        received: Result<Received<'b>, Dropped>,
    ) -> Received<'b> {
        received.unwrap_or_else(|reason| {
            trace::dropped(from, reason);
            self.statistics.count(reason);
            Received::Dropped(reason)
        })
    }

    #[inline(never)]
    fn route<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Dropped> {
        match Packet::peek(datagram).map_err(DecodeError::from)?.route() {
            SessionRoute::Group(session) => self.receive_group(cx, from, session, datagram),
            SessionRoute::Unicast(local) => {
                let packet = Packet::parse(datagram).map_err(DecodeError::from)?;
                self.receive_secure(cx, from, local, |entry| {
                    if !entry.address.shares_sessions(&from) {
                        return Err(Dropped::OtherTransport);
                    }
                    Ok(entry.session.unopened(packet)?)
                })
            }
            SessionRoute::Unsecured => {
                let packet = Packet::parse(datagram).map_err(DecodeError::from)?;
                self.receive_unsecured(cx, from, packet)
            }
        }
    }

    /// Takes in a message for the session with this id, if `unopened` makes one of that session.
    #[inline(never)]
    pub(super) fn receive_secure<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        local: LocalSessionId,
        unopened: impl FnOnce(&Entry<C, T>) -> Result<Unopened<'b>, Dropped>,
    ) -> Result<Received<'b>, Dropped> {
        let entry = self.sessions.by_local_mut(local).ok_or(Dropped::UnknownSession)?;
        let session = SessionHandle { local, serial: entry.serial };
        let message = unopened(entry)?;
        let exchanges = &self.exchanges;
        let most = self.node.config.max_exchanges_per_session.min(share(exchanges.capacity()));
        // A message that asks for an acknowledgement must not be taken in unless it will be
        // delivered: the peer would not send it again.
        let (mut first, mut refused) = (false, false);
        let opened = entry.session.decode_unopened(message, cx.now, |header| {
            first = begins_exchange(header) && exchanges.get(&key_of(local, header)).is_none();
            refused = first && !has_room(exchanges, local, most);
            !refused
        })?;
        if refused {
            return Err(Dropped::NoExchange);
        }
        if !opened.duplicate {
            // A message that was held up and comes late, or is held back and sent on, tells where
            // the peer was.
            self.sessions.heard(local, opened.newest.then_some(from));
        }
        self.receive_opened(cx, session, opened, first)
    }

    /// `first`: the message is new and begins an exchange, for which there is room.
    #[inline(never)]
    fn receive_opened<'b>(
        &mut self,
        cx: &mut Context<'_>,
        session: SessionHandle,
        opened: Opened<'b>,
        first: bool,
    ) -> Result<Received<'b>, Dropped> {
        let Opened { header, counter, payload, duplicate, .. } = opened;
        let key = key_of(session.local, &header);
        if !duplicate && is_close_session(&header, payload) {
            self.end_session(session, CloseReason::Peer, cx.now);
            return Ok(Received::Handled);
        }
        let exchange = if first {
            self.begin_exchange(key, &header, counter, cx.now)?
        } else {
            let lifetime = self.node.config.exchange_lifetime;
            let Some(entry) = self.exchanges.get_mut(&key) else {
                return self.receive_stray(session, &header, counter, duplicate, cx.now);
            };
            let exchange = ExchangeHandle { key, serial: entry.serial };
            let closing = entry.closing;
            let receipt = entry.exchange.receive(&header, counter, duplicate, cx.now);
            if closing {
                // The application is through with it: no answer of its own will carry the
                // acknowledgement.
                entry.exchange.flush_ack();
            }
            let holds = receipt.acknowledged || entry.exchange.message().is_some();
            if holds && !entry.exchange.is_in_flight() {
                entry.exchange.ground();
                self.octets.release(Owner::Message(Source::Exchange(key)));
            }
            if !entry.file(&mut self.schedule, key, lifetime) {
                self.update_exchange(key);
            }
            if receipt.acknowledged {
                self.tell(Event::Acknowledged { exchange });
            }
            if is_handshake(&header) && !duplicate {
                return Err(Dropped::Misplaced);
            }
            if !receipt.deliver || closing || !is_for_application(&header) {
                return Ok(Received::Handled);
            }
            exchange
        };
        log_trace!("message {} received: session {}, exchange {}", counter, session.local, key.id);
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

    /// The exchange that a message of the peer begins. It is for the application, as those of the
    /// secure channel protocol begin none.
    fn begin_exchange(
        &mut self,
        key: ExchangeKey,
        header: &ProtocolHeader,
        counter: MessageCounter,
        now: Instant,
    ) -> Result<ExchangeHandle, Dropped> {
        let serial = self.serial();
        let mut entry = ExchangeEntry::new(Exchange::new(header.exchange, false, now), serial);
        entry.exchange.receive(header, counter, false, now);
        entry.file(&mut self.schedule, key, self.node.config.exchange_lifetime);
        let filed = entry.filed;
        if self.exchanges.insert(key, entry).is_err() {
            self.forget(Source::Exchange(key), filed);
            return Err(Dropped::NoExchange);
        }
        Ok(ExchangeHandle { key, serial })
    }

    /// A message of no exchange, which begins none.
    #[inline(never)]
    fn receive_stray<'b>(
        &mut self,
        session: SessionHandle,
        header: &ProtocolHeader,
        counter: MessageCounter,
        duplicate: bool,
        now: Instant,
    ) -> Result<Received<'b>, Dropped> {
        if wants_ack(header) {
            let ack = acknowledgement(header, counter);
            self.push_secure(session, &ack, &[], now);
        }
        match duplicate {
            true => Ok(Received::Handled),
            false if is_handshake(header) => Err(Dropped::Misplaced),
            false => Err(Dropped::Unsolicited),
        }
    }
}

/// The exchange that a received message belongs to.
const fn key_of(session: LocalSessionId, header: &ProtocolHeader) -> ExchangeKey {
    ExchangeKey { session, id: header.exchange, initiator: !header.initiator }
}

/// Whether there is room for another exchange that the peer of this session begins, of which it
/// may have so many.
fn has_room<V>(exchanges: &impl Map<ExchangeKey, V>, session: LocalSessionId, most: usize) -> bool {
    let of_session = exchanges
        .from(ExchangeKey::first_of(session))
        .take_while(|(key, _)| key.session == session);
    // Where there are fewer in all, nobody counts.
    exchanges.len() < exchanges.capacity()
        && (exchanges.len() < most || of_session.filter(|(key, _)| !key.initiator).count() < most)
}

/// How many of so many exchanges the peer of one session may begin at most, so that another
/// session finds room.
const fn share(exchanges: usize) -> usize {
    match exchanges.saturating_sub(1) {
        0 => exchanges,
        others => others,
    }
}

/// Whether a message that belongs to no exchange may begin one: its sender says so, and it is
/// not of the secure channel protocol, all of whose messages answer others or belong elsewhere.
fn begins_exchange(header: &ProtocolHeader) -> bool {
    header.initiator && header.protocol != ProtocolId::SECURE_CHANNEL
}

/// Whether a message of an exchange is the application's: of the secure channel protocol only
/// status reports are, whatever the exchange is about.
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

/// The header of an acknowledgement on an exchange that is not kept.
pub(super) fn acknowledgement(header: &ProtocolHeader, counter: MessageCounter) -> ProtocolHeader {
    ProtocolHeader {
        exchange: header.exchange,
        protocol: ProtocolId::SECURE_CHANNEL,
        opcode: Opcode::MRP_STANDALONE_ACK.0,
        initiator: !header.initiator,
        needs_ack: false,
        ack: Some(counter),
    }
}
