//! What the applications of a world say and hear.

use std::collections::BTreeMap;

use matter_session::context::Services;
use matter_session::ids::MessageType;
use matter_session::manager::{
    Dropped, Event, ExchangeHandle, PeerAddress, Received, SessionHandle, Storage,
};

use super::book::{Reception, Said};
use super::lab::Lab;
use super::node::{Datagram, Node, members, peer};
use crate::net::{IM, compute};

impl<S: Storage> Lab<S> {
    /// A node begins CASE with another one. Returns false if its manager refuses.
    pub fn connect(&mut self, n: usize, to: usize) -> bool {
        self.note(n, ("connects", to));
        let address = self.nodes[to].address;
        let begun = self.call(n, |m, cx| m.connect_case(cx, address, peer(to)));
        self.nodes[n].waits.extend(begun.ok());
        begun.is_ok()
    }

    /// A node says something, on an exchange that it has open or on a new one.
    pub fn say(&mut self, n: usize, session: SessionHandle, on: Option<ExchangeHandle>) -> bool {
        self.note(n, ("says", session, on));
        let exchange = match on {
            Some(exchange) => exchange,
            None => match self.call(n, |m, cx| m.open_exchange(cx, session)) {
                Ok(exchange) => {
                    self.nodes[n].open.push(exchange);
                    exchange
                }
                Err(_) => return false,
            },
        };
        self.send(n, exchange, 2)
    }

    /// A node sends its next message. Returns false if the manager refuses that.
    fn send(&mut self, n: usize, exchange: ExchangeHandle, opcode: u8) -> bool {
        let number = self.said.len() as u16;
        let mut payload = [0; 20];
        payload[..2].copy_from_slice(&number.to_le_bytes());
        let kind = MessageType::new(IM, opcode);
        if self.call(n, |m, cx| m.send(cx, exchange, kind, &payload)).is_err() {
            return false;
        }
        self.said.push(Said { by: n, ..Said::default() });
        self.nodes[n].in_flight.insert(exchange, number);
        let since = self.tape.len();
        self.drain_node(n);
        let carries = |d: &&Datagram| d.opcode().is_none() && d.bytes.len() >= 14 + 20 + 16;
        if let Some(datagram) = self.tape[since..].iter().find(carries) {
            self.said[usize::from(number)].datagram = datagram.bytes.clone();
        }
        true
    }

    /// Its peer gets 40 short messages of a node at once, which ask for no acknowledgement.
    pub fn burst(&mut self, n: usize, to: usize, exchange: ExchangeHandle) {
        self.note(n, ("bursts", exchange));
        for _ in 0..40 {
            let mut buf = [0; 100];
            let sealed = self.call(n, |m, cx| {
                let kind = MessageType::new(IM, 3);
                let sent = m.send_unreliable(cx, exchange, kind, &[0xFF, 0xFF], &mut buf);
                sent.map(|transmit| transmit.datagram.to_vec())
            });
            let Ok(bytes) = sealed else { return };
            let from = self.nodes[n].address;
            self.hand(to, from, &bytes);
        }
    }

    /// Answers the request of an exchange, and closes it.
    pub fn answer(&mut self, n: usize, exchange: ExchangeHandle) {
        self.note(n, ("answers", exchange));
        self.send(n, exchange, 5);
        self.close_exchange(n, exchange);
    }

    pub fn close_exchange(&mut self, n: usize, exchange: ExchangeHandle) {
        self.note(n, ("closes", exchange));
        self.nodes[n].open.retain(|other| *other != exchange);
        self.nodes[n].manager.close_exchange(exchange);
    }

    /// Hands a datagram to a node.
    pub fn hand(&mut self, n: usize, from: PeerAddress, bytes: &[u8]) {
        let reception = Self::receives(&mut self.receptions, n, bytes);
        let mut octets = bytes.to_vec();
        let now = self.instant();
        let Node { manager, rng, bounds, .. } = &mut self.nodes[n];
        let mut services = Services::new(rng).with_counters(bounds);
        let mut heard = None;
        let mut cx = services.at(now);
        let received = manager.handle_datagram(&mut cx, from, &mut octets);
        compute(manager, &mut cx);
        let dropped = match received {
            Received::Message(message) => {
                let number = message.payload.first_chunk().copied().map(u16::from_le_bytes);
                heard = Some((message.exchange, message.first, message.kind.opcode, number));
                None
            }
            Received::Group(message) => {
                let number = message.payload.first_chunk().copied().map(u16::from_le_bytes);
                let number = number.expect("a number");
                self.delivered(n, number);
                None
            }
            received => received.dropped(),
        };
        if self.traces {
            let head = &bytes[..bytes.len().min(20)];
            eprintln!("{:>8} node {n} gets {head:02x?}: {heard:?} {dropped:?}", self.now);
        }
        // What cannot be read, or belongs to nothing, changes nothing.
        let is_nothing = matches!(
            dropped,
            Some(
                Dropped::Decode(_)
                    | Dropped::UnknownSession(_)
                    | Dropped::UnknownHandshake
                    | Dropped::OtherTransport
                    | Dropped::Group
                    | Dropped::GroupKey
            )
        );
        if !is_nothing {
            self.note(n, (from, bytes));
            if let Some(counter) = reception {
                self.receptions.entry((n, [bytes[1], bytes[2]])).or_default().receive(counter);
            }
        }
        if matches!(dropped, Some(Dropped::Unsolicited | Dropped::Misplaced))
            && let Some(said) = self.said.iter_mut().find(|said| said.datagram == bytes)
        {
            said.reported = true;
        }
        if let Some((exchange, first, opcode, number)) = heard {
            self.hears(n, exchange, first, opcode, number.expect("a number"));
        }
    }

    /// The counter of a message on a secure session.
    fn receives(
        receptions: &mut BTreeMap<(usize, [u8; 2]), Reception>,
        n: usize,
        bytes: &[u8],
    ) -> Option<u32> {
        let [0, s0, s1, 0, counter @ ..] = bytes else { return None };
        if (*s0, *s1) == (0, 0) {
            return None;
        }
        receptions.entry((n, [*s0, *s1])).or_default();
        counter.first_chunk().copied().map(u32::from_le_bytes)
    }

    fn hears(&mut self, n: usize, on: ExchangeHandle, first: bool, opcode: u8, number: u16) {
        // Of a burst.
        if opcode == 3 {
            return;
        }
        if first {
            self.nodes[n].open.push(on);
        }
        self.delivered(n, number);
        if opcode == 2 && first && self.nodes[n].answers {
            self.answer(n, on);
        } else if !first {
            self.close_exchange(n, on);
        }
    }

    pub(super) fn event(&mut self, n: usize, event: Event<()>) {
        match event {
            Event::SignRequest(request) => {
                let mut key = members()[self.nodes[n].member].key.clone();
                let signed = request.sign_with(&mut key);
                let _ = self.call(n, |m, cx| m.complete_signature(cx, signed));
            }
            Event::Established { session, handshake, .. } => {
                let node = &mut self.nodes[n];
                node.established += 1;
                node.sessions.push(session);
                if let Some(handshake) = handshake {
                    node.waits.remove(&handshake);
                    for _ in 0..node.says {
                        self.say(n, session, None);
                    }
                }
            }
            Event::HandshakeFailed { handshake: Some(handshake), .. } => {
                self.nodes[n].waits.remove(&handshake);
                self.nodes[n].failed += 1;
            }
            Event::Acknowledged { exchange, .. } => {
                if let Some(number) = self.nodes[n].in_flight.remove(&exchange) {
                    self.acknowledged(number);
                }
            }
            Event::Undelivered { exchange, .. } => {
                self.nodes[n].in_flight.remove(&exchange);
                self.close_exchange(n, exchange);
            }
            Event::Closed { session, .. } => {
                self.nodes[n].sessions.retain(|other| *other != session);
            }
            Event::ClaimRequest(request) => {
                let is_gone = self.nodes[n].store.claim(request.id());
                let claimed = request.complete(is_gone);
                let _ = self.call(n, |m, cx| m.records_mut().complete_claim(cx, claimed));
            }
            Event::RecordChanged { peer, .. } => {
                let node = &mut self.nodes[n];
                node.store.record_changed(&mut node.manager, peer);
            }
            Event::GroupMessages => {
                let mut numbers = Vec::new();
                while let Some(message) = self.nodes[n].manager.groups_mut().poll_message() {
                    numbers.push(u16::from_le_bytes(*message.payload.first_chunk().unwrap()));
                }
                for number in numbers {
                    self.delivered(n, number);
                }
            }
            _ => {}
        }
    }
}
