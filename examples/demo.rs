//! Two nodes on loopback UDP sockets, each with a manager and a thread of its own, over a network
//! that loses some datagrams: PASE, CASE, CASE resumed, and on each session an encrypted request
//! and its response. All that is sent is drawn; so is what gets lost, and how it is sent again.
//!
//! ```text
//! cargo run --release --example demo
//! ```

mod ladder;

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::thread;

use ladder::{Authority, Direction, Outcome, Wire, system_rng};
use matter_session::crypto::{Passcode, RustCrypto, SigningKey};
use matter_session::handshake::Context;
use matter_session::ids::{CaseAuthTags, FabricId, FabricIndex, NodeId, ProtocolId};
use matter_session::manager::{
    CloseReason, Config, Event, ExchangeHandle, HeapSessionManager, PeerAddress, Received,
    TRANSMIT_BUFFER_LEN,
};
use matter_session::time::Instant;

const CONTROLLER_NODE: NodeId = NodeId::new(0xC0);
const DEVICE_NODE: NodeId = NodeId::new(0xDE);

/// The requests are of the interaction model, whose content this library does not know.
const PROTOCOL: ProtocolId = ProtocolId::INTERACTION_MODEL;
const INVOKE_REQUEST: u8 = 0x08;
const INVOKE_RESPONSE: u8 = 0x09;

/// The messages of which the first transmission gets lost.
const LOST: [(Direction, &str); 4] = [
    (Direction::ToDevice, "PASE Pake1"),
    (Direction::ToController, "encrypted message"),
    (Direction::ToController, "CASE Sigma2"),
    (Direction::ToController, "CASE Sigma2_Resume"),
];

/// Nothing takes as long as this; a demonstration that hangs helps nobody.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Outcome {
    let mut rng = system_rng();
    let wire = Wire::losing(&LOST);
    let mut controller = Node::bind(Direction::ToDevice, &wire)?;
    let mut device = Node::bind(Direction::ToController, &wire)?;
    let address = PeerAddress::Udp(device.socket.local_addr()?);

    // What a commissioner does: both nodes become members of one fabric.
    let mut authority = Authority::found(FabricId::new(0x2906).ok_or("zero")?, &mut rng)?;
    let fabric = controller.join(&mut authority, CONTROLLER_NODE)?;
    device.join(&mut authority, DEVICE_NODE)?;
    let passcode = Passcode::new(20_202_021)?;
    let mut cx = Context::new(wire.now(), &mut rng);
    device.manager.open_commissioning_window_for(&mut cx, &passcode, None)?;

    println!("           controller{:>52}", "device");
    let summary = thread::scope(|scope| {
        let device = scope.spawn(|| device.serve(3).map_err(|error| error.to_string()));
        let summary = controller.visit(address, passcode, fabric);
        device.join().map_err(|_| "the device panicked")??;
        summary
    })?;

    println!("\n{:60} {:>9} {:>9} {:>11}", "session", "handshake", "response", "sent again");
    println!("{}", summary.join("\n"));
    assert!(wire.has_lost_all(), "whatever got lost was sent again");
    Ok(())
}

/// A node: a manager behind a socket.
struct Node<'w> {
    manager: HeapSessionManager,
    socket: UdpSocket,
    key: Option<SigningKey>,
    wire: &'w Wire,
    direction: Direction,
}

/// What a turn of the loop brought.
enum News {
    Nothing,
    Event(Event<()>),
    Message(ExchangeHandle, Vec<u8>),
}

impl<'w> Node<'w> {
    fn bind(direction: Direction, wire: &'w Wire) -> Outcome<Self> {
        let manager = HeapSessionManager::new(Config::default(), RustCrypto, &mut system_rng());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self { manager, socket, key: None, wire, direction })
    }

    fn join(&mut self, authority: &mut Authority, node: NodeId) -> Outcome<FabricIndex> {
        let none = CaseAuthTags::NONE;
        let (fabric, key) = authority.admit(&mut self.manager, node, none, &mut system_rng())?;
        self.key = Some(key);
        Ok(fabric)
    }

    /// One turn of the loop that every node runs: send what is to be sent, hear what happened,
    /// else wait for a datagram or for the next timer, whichever comes first.
    fn turn(&mut self) -> Outcome<News> {
        let mut rng = system_rng();
        let mut cx = Context::new(self.wire.now(), &mut rng);

        let mut scratch = [0; TRANSMIT_BUFFER_LEN];
        while let Some(transmit) = self.manager.poll_transmit(cx.now, &mut scratch) {
            if let PeerAddress::Udp(to) = transmit.to {
                self.wire.send(self.direction, &self.socket, to, transmit.datagram)?;
            }
        }

        match (self.manager.poll_event(), &mut self.key) {
            (Some(Event::SignRequest(request)), Some(key)) => {
                self.manager.sign(&mut cx, request.sign_with(key));
                return Ok(News::Nothing);
            }
            (Some(event), _) => return Ok(News::Event(event)),
            (None, _) => {}
        }

        let due = self.manager.poll_timeout().unwrap_or(cx.now + PATIENCE);
        // A timeout of zero would mean to wait for ever.
        let wait = due.saturating_since(self.wire.now()).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(wait))?;
        let mut buffer = [0; 1280];
        let received = self.socket.recv_from(&mut buffer);
        cx.now = self.wire.now();
        self.manager.handle_timeout(&mut cx);
        let (len, from) = match received {
            Ok(received) => received,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(News::Nothing);
            }
            Err(error) => return Err(error.into()),
        };
        let datagram = buffer.get_mut(..len).unwrap_or_default();
        match self.manager.handle_datagram(&mut cx, from.into(), datagram) {
            Ok(Received::Message(message)) => {
                Ok(News::Message(message.exchange, message.payload.to_vec()))
            }
            // Dealt with, or dropped and counted: anybody can send anything to a socket.
            _ => Ok(News::Nothing),
        }
    }

    /// Runs the loop until something happens that `wanted` picks.
    fn run_until<R>(
        &mut self,
        mut wanted: impl FnMut(&mut Self, News) -> Outcome<Option<R>>,
    ) -> Outcome<R> {
        let end = self.wire.now() + PATIENCE;
        while self.wire.now() < end {
            let news = self.turn()?;
            if let News::Event(Event::HandshakeFailed { error, .. }) = news {
                return Err(error.into());
            }
            if let Some(result) = wanted(self, news)? {
                return Ok(result);
            }
        }
        Err("waited in vain".into())
    }

    /// The device: answers requests until its peer has closed so many sessions.
    fn serve(&mut self, mut sessions: usize) -> Outcome {
        self.run_until(|node, news| {
            match news {
                News::Message(exchange, request) => {
                    let mut rng = system_rng();
                    let mut cx = Context::new(node.wire.now(), &mut rng);
                    let response = [b"done: ", request.as_slice()].concat();
                    node.manager.send(&mut cx, exchange, PROTOCOL, INVOKE_RESPONSE, &response)?;
                    node.manager.close_exchange(exchange);
                }
                News::Event(Event::Closed { reason: CloseReason::Peer, .. }) => sessions -= 1,
                _ => {}
            }
            Ok((sessions == 0).then_some(()))
        })
    }

    /// The controller: three sessions, one after the other. Returns a line on each.
    fn visit(
        &mut self,
        device: PeerAddress,
        passcode: Passcode,
        fabric: FabricIndex,
    ) -> Outcome<Vec<String>> {
        let mut rng = system_rng();
        let mut cx = Context::new(self.wire.now(), &mut rng);
        self.manager.connect_pase(&mut cx, device, passcode)?;
        let pase = self.use_session(cx.now, false)?;

        let mut cx = Context::new(self.wire.now(), &mut rng);
        self.manager.connect_case(&mut cx, device, fabric, DEVICE_NODE)?;
        let case = self.use_session(cx.now, false)?;

        let mut cx = Context::new(self.wire.now(), &mut rng);
        self.manager.connect_case(&mut cx, device, fabric, DEVICE_NODE)?;
        let resumed = self.use_session(cx.now, true)?;
        Ok(vec![pase, case, resumed])
    }

    /// Awaits the session that was dialled, has a request answered on it, and closes it.
    fn use_session(&mut self, dialled: Instant, expect_resumed: bool) -> Outcome<String> {
        let session = self.run_until(|_, news| match news {
            News::Event(Event::Established { session, resumed, .. }) => {
                assert_eq!(resumed, expect_resumed);
                Ok(Some(session))
            }
            _ => Ok(None),
        })?;
        let established = self.wire.now();

        let mut rng = system_rng();
        let mut cx = Context::new(established, &mut rng);
        let exchange = self.manager.open_exchange(cx.now, session)?;
        self.manager.send(&mut cx, exchange, PROTOCOL, INVOKE_REQUEST, b"toggle the lamp")?;
        let response = self.run_until(|node, news| match news {
            News::Message(exchange, response) => {
                node.manager.close_exchange(exchange);
                Ok(Some(response))
            }
            _ => Ok(None),
        })?;
        assert_eq!(response, b"done: toggle the lamp");
        let answered = self.wire.now();

        let facts = self.manager.session(session).ok_or("the session is gone")?;
        let name = format!("{}{}", if expect_resumed { "resumed " } else { "" }, facts.session());
        cx.now = answered;
        self.manager.close(&mut cx, session);
        self.run_until(|_, news| {
            Ok(matches!(news, News::Event(Event::Closed { .. })).then_some(()))
        })?;
        Ok(format!(
            "{name:60} {:>6} ms {:>6} ms {:>11}",
            established.saturating_since(dialled).as_millis(),
            answered.saturating_since(established).as_millis(),
            self.wire.take_repeated(),
        ))
    }
}
