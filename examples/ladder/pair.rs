//! A controller and a device, joined by a wire without loss and a clock that waits for nobody.

use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;

use matter_session::context::{Context, Services};
use matter_session::crypto::{RustCrypto, SigningKey};
use matter_session::handshake::{HandshakeError, SignRequest};
use matter_session::manager::{
    Config, Event, ExchangeHandle, HeapSessionManager, PeerAddress, Received, SessionHandle,
};
use matter_session::time::Instant;

use super::{Direction, Outcome, draw_datagram, draw_field, draw_gap, system_rng};

/// Where the controller is.
pub(crate) const CONTROLLER: PeerAddress = address(5541);
/// Where the device is.
pub(crate) const DEVICE: PeerAddress = address(5540);

const fn address(port: u16) -> PeerAddress {
    PeerAddress::Udp(SocketAddr::new(core::net::IpAddr::V6(Ipv6Addr::LOCALHOST), port))
}

/// A node, and what its application has not looked at yet.
pub(crate) struct Node {
    pub(crate) manager: HeapSessionManager,
    /// The operational key; without one, requests for signatures pile up in `unsigned`.
    pub(crate) key: Option<SigningKey>,
    pub(crate) unsigned: Vec<SignRequest>,
    pub(crate) inbox: Vec<Delivered>,
    sessions: Vec<(SessionHandle, bool)>,
    failures: Vec<HandshakeError>,
}

/// A message for the application.
pub(crate) struct Delivered {
    pub(crate) session: SessionHandle,
    pub(crate) exchange: ExchangeHandle,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Node {
    fn new() -> Self {
        Self {
            manager: HeapSessionManager::new(Config::default(), RustCrypto, &mut system_rng()),
            key: None,
            unsigned: Vec::new(),
            inbox: Vec::new(),
            sessions: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// The session established last, and whether it was resumed.
    pub(crate) fn established(&mut self) -> Outcome<(SessionHandle, bool)> {
        match (self.sessions.pop(), self.failures.pop()) {
            (Some(session), None) => Ok(session),
            (_, Some(error)) => Err(error.into()),
            (None, None) => Err("no session was established".into()),
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>, from: PeerAddress, datagram: &mut [u8]) -> Outcome {
        if let Received::Message(message) = self.manager.handle_datagram(cx, from, datagram) {
            let text = String::from_utf8_lossy(message.payload);
            draw_field(
                "decrypted",
                &format!("opcode 0x{:02x}, payload {text:?}", message.kind.opcode),
            );
            self.inbox.push(Delivered {
                session: message.session,
                exchange: message.exchange,
                opcode: message.kind.opcode,
                payload: message.payload.to_vec(),
            });
        }
        Ok(())
    }

    fn attend(&mut self, cx: &mut Context<'_>) {
        // A handshake computes a part in each call.
        while self.manager.handshakes().is_computing() {
            self.manager.handle_timeout(cx);
        }
        while let Some(event) = self.manager.poll_event() {
            match (event, &mut self.key) {
                (Event::SignRequest(request), Some(key)) => {
                    let _ = self.manager.complete_signature(cx, request.sign_with(key));
                }
                (Event::SignRequest(request), None) => self.unsigned.push(request),
                (Event::Established { session, resumed, .. }, _) => {
                    self.sessions.push((session, resumed));
                }
                (Event::HandshakeFailed { error, .. }, _) => self.failures.push(error),
                _ => {}
            }
        }
    }
}

/// Two nodes and the time.
pub(crate) struct Pair {
    pub(crate) controller: Node,
    pub(crate) device: Node,
    pub(crate) now: Instant,
    /// The datagrams that have crossed the wire.
    pub(crate) crossed: Vec<(Direction, Vec<u8>)>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self {
            controller: Node::new(),
            device: Node::new(),
            now: Instant::ZERO,
            crossed: Vec::new(),
        }
    }

    /// Carries datagrams to and fro, drawing each, until both nodes are silent.
    pub(crate) fn carry(&mut self) -> Outcome {
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.now);
        loop {
            let crossed = self.crossed.len();
            for direction in [Direction::ToDevice, Direction::ToController] {
                let (from, to, sender) = match direction {
                    Direction::ToDevice => (&mut self.controller, &mut self.device, CONTROLLER),
                    Direction::ToController => (&mut self.device, &mut self.controller, DEVICE),
                };
                from.attend(&mut cx);
                while let Some(transmit) = from.manager.poll_transmit(cx.now()) {
                    let mut datagram = transmit.datagram.to_vec();
                    draw_datagram(cx.now(), direction, &datagram);
                    self.crossed.push((direction, datagram.clone()));
                    to.receive(&mut cx, sender, &mut datagram)?;
                    draw_gap();
                }
                to.attend(&mut cx);
            }
            if self.crossed.len() == crossed {
                return Ok(());
            }
        }
    }

    /// Lets time pass; what becomes due meanwhile happens at its time.
    pub(crate) fn wait(&mut self, duration: Duration) -> Outcome {
        let end = self.now + duration;
        let mut rng = system_rng();
        loop {
            self.carry()?;
            let nodes = [&self.controller, &self.device];
            let due = nodes.iter().filter_map(|node| node.manager.poll_timeout()).min();
            self.now = due.unwrap_or(end).clamp(self.now, end);
            let mut services = Services::new(&mut rng);
            let mut cx = services.at(self.now);
            self.controller.manager.handle_timeout(&mut cx);
            self.device.manager.handle_timeout(&mut cx);
            if self.now == end {
                return self.carry();
            }
        }
    }
}
