//! Two nodes on loopback sockets, each with a manager and a thread of its own, establish three
//! sessions: by passcode (PASE), by certificates (CASE), and by resuming the second. On each session
//! the controller sends a request and the device answers. The program draws each message.
//!
//! ```text
//! cargo run --release --example demo              # UDP, over a network that loses some datagrams
//! cargo run --release --example demo -- --tcp     # TCP, a connection for each session
//! ```
//! Over UDP some messages are lost on purpose, and sent again. Over TCP no message is lost or
//! acknowledged, and each request is as long as the device accepts.

#[macro_use]
mod ladder;

use core::net::SocketAddr;
use core::time::Duration;
use std::thread;

use ladder::{Arrival, Authority, Direction, Link, Outcome, Tcp, Udp, Wire, system_rng};
use matter_session::context::Services;
use matter_session::crypto::{Passcode, RustCrypto, SigningKey};
use matter_session::ids::{
    CaseAuthTags, FabricId, FabricIndex, MessageType, NodeId, Peer, ProtocolId,
};
use matter_session::manager::{
    CloseReason, Config, Event, ExchangeHandle, Heap, PeerAddress, Received, SessionHandle,
    SessionManager,
};
use matter_session::session::{SessionParameters, Transports};
use matter_session::time::Instant;

const CONTROLLER_NODE: NodeId = NodeId::new(0xC0);
const DEVICE_NODE: NodeId = NodeId::new(0xDE);

/// The requests are of the interaction model, whose content this library does not know.
const PROTOCOL: ProtocolId = ProtocolId::INTERACTION_MODEL;
const INVOKE_REQUEST: u8 = 0x08;
const INVOKE_RESPONSE: u8 = 0x09;
const REQUEST: &[u8] = b"toggle the lamp";

/// The longest message in bytes that either node takes over TCP.
const TCP_LIMIT: u32 = 20_000;

/// The messages of which the first transmission gets lost.
const LOST: [(Direction, &str); 4] = [
    (Direction::ToDevice, "PASE Pake1"),
    (Direction::ToController, "encrypted message"),
    (Direction::ToController, "CASE Sigma2"),
    (Direction::ToController, "CASE Sigma2_Resume"),
];

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Outcome {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (wire, over_tcp) = match *arguments {
        [] => (Wire::losing(&LOST), false),
        ["--tcp"] => (Wire::losing(&[]), true),
        _ => return Err("demo [--tcp]".into()),
    };
    let node = |direction| -> Outcome<Node<'_>> {
        let parameters = SessionParameters::matter_1_6();
        Ok(if over_tcp {
            let both = Transports::TCP_CLIENT.or(Transports::TCP_SERVER);
            let link = Tcp::bind(direction, &wire, TCP_LIMIT)?;
            Node::new(Box::new(link), parameters.with_tcp(both, TCP_LIMIT), &wire)
        } else {
            Node::new(Box::new(Udp::bind(direction, &wire)?), parameters, &wire)
        })
    };
    let (mut controller, mut device) = (node(Direction::ToDevice)?, node(Direction::ToController)?);
    let address = device.link.address()?;
    let mut rng = system_rng();

    // What a commissioner does: both nodes become members of one fabric.
    let mut authority = Authority::found(FabricId::new(0x2906).ok_or("zero")?, &mut rng)?;
    let fabric = controller.join(&mut authority, CONTROLLER_NODE)?;
    device.join(&mut authority, DEVICE_NODE)?;
    let passcode = Passcode::new(20_202_021)?;
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(wire.now());
    device.manager.window().open_for(&mut cx, &passcode, None)?;

    draw_legend(over_tcp);
    let summary = thread::scope(|scope| {
        let device = scope.spawn(|| device.serve(3).map_err(|error| error.to_string()));
        let summary = controller.visit(address, passcode, fabric);
        device.join().map_err(|_| "the device panicked")??;
        summary
    })?;

    say!("\nSummary\n");
    say!("{:60} {:>9} {:>9} {:>11}", "session", "handshake", "response", "sent again");
    say!("{}", summary.join("\n"));
    assert!(wire.has_lost_all(), "a message that should be lost was not sent");
    say!("\nShown: a session by passcode, one by certificates, and the same one resumed. Each");
    if over_tcp {
        say!("request was answered. TCP lost nothing, so nothing was acknowledged or sent again.");
    } else {
        say!("request was answered. {} messages were lost, and sent again unchanged.", LOST.len());
    }
    Ok(())
}

/// Says what the lines that follow mean.
fn draw_legend(over_tcp: bool) {
    say!("A controller and a device in one process, each with a socket and a thread of its own.");
    say!("Each line is one message, at the time when it is sent.\n");
    if !over_tcp {
        say!("  lost               this network loses some messages on purpose");
        say!("  again              a retransmission: the same bytes once more");
    }
    say!("  encrypted message  on an established session. In this order: the request, its");
    if over_tcp {
        say!(
            "                     response, and a short one that closes the session (CloseSession)"
        );
    } else {
        say!(
            "                     response, and two short ones: the acknowledgement of the response,"
        );
        say!("                     and CloseSession, which closes the session");
    }
}

/// Begins a part of the drawing.
fn draw_part(title: &str) {
    say!("\n{title}\n");
    say!("           controller{:>52}", "device");
}

/// The application keeps the connection of each session with it, if there is one.
type Manager = SessionManager<RustCrypto, Heap, Option<PeerAddress>>;

/// A node: a manager behind its sockets.
struct Node<'w> {
    manager: Manager,
    link: Box<dyn Link + 'w>,
    /// A connection that nothing runs over any more.
    unused: Option<PeerAddress>,
    key: Option<SigningKey>,
    wire: &'w Wire,
}

/// What a turn of the loop brought.
enum News {
    Nothing,
    Event(Event<Option<PeerAddress>>),
    Message(ExchangeHandle, Vec<u8>),
}

impl<'w> Node<'w> {
    fn new(link: Box<dyn Link + 'w>, parameters: SessionParameters, wire: &'w Wire) -> Self {
        let config = Config::default().with_parameters(parameters);
        let manager = Manager::new(config, RustCrypto, &mut system_rng());
        Self { manager, link, unused: None, key: None, wire }
    }

    fn join(&mut self, authority: &mut Authority, node: NodeId) -> Outcome<FabricIndex> {
        let none = CaseAuthTags::NONE;
        let (fabric, key) = authority.admit(&mut self.manager, node, none, &mut system_rng())?;
        self.key = Some(key);
        Ok(fabric)
    }

    /// One round of the loop that every node runs: sends, handles an event, or waits for a datagram
    /// or for the next timer, whichever comes first.
    fn turn(&mut self) -> Outcome<News> {
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.wire.now());

        while let Some(transmit) = self.manager.poll_transmit(cx.now()) {
            self.link.send(&transmit)?;
        }
        if let Some(connection) = self.unused.take() {
            self.link.close(connection);
        }

        match (self.manager.poll_event(), &mut self.key) {
            (Some(Event::SignRequest(request)), Some(key)) => {
                let _ = self.manager.complete_signature(&mut cx, request.sign_with(key));
                return Ok(News::Nothing);
            }
            (Some(event), _) => {
                self.track_connections(&event);
                return Ok(News::Event(event));
            }
            (None, _) => {}
        }

        let due = self.manager.poll_timeout().unwrap_or(cx.now() + PATIENCE);
        // A timeout of zero would mean to wait for ever.
        let wait = due.saturating_since(self.wire.now()).max(Duration::from_millis(1));
        let arrival = self.link.receive(wait)?;
        cx = services.at(self.wire.now());
        self.manager.handle_timeout(&mut cx);
        match arrival {
            Some(Arrival::Message(from, mut message)) => {
                let received = self.manager.handle_datagram(&mut cx, from, &mut message);
                if let Received::Message(message) = received {
                    return Ok(News::Message(message.exchange, message.payload.to_vec()));
                }
                // Handled, or dropped and counted: everybody can send to a socket.
            }
            Some(Arrival::Broken(connection, error)) => {
                if let Some(report) = error.report() {
                    let _ =
                        self.manager.connections().send_status_report(&mut cx, connection, &report);
                }
                self.manager.connections().handle_disconnect(&mut cx, connection);
                self.unused = Some(connection);
            }
            Some(Arrival::Lost(connection)) => {
                self.manager.connections().handle_disconnect(&mut cx, connection);
                self.link.close(connection);
            }
            None => {}
        }
        Ok(News::Nothing)
    }

    /// Closes a connection with the last session over it, after CloseSession was sent.
    fn track_connections(&mut self, event: &Event<Option<PeerAddress>>) {
        match event {
            Event::Established { session, .. } => {
                let facts = self.manager.session(*session);
                let peer = facts.map(|session| session.peer_address());
                if let Some(data) = self.manager.data_mut(*session) {
                    *data = peer.filter(PeerAddress::is_reliable);
                }
            }
            Event::Closed { data: Some(connection), .. }
                if !self.manager.connections().is_in_use(*connection) =>
            {
                self.unused = Some(*connection);
            }
            _ => {}
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
        Err("no answer in time".into())
    }

    /// The device: answers requests until its peer has closed so many sessions.
    fn serve(&mut self, mut sessions: usize) -> Outcome {
        self.run_until(|node, news| {
            match news {
                News::Message(exchange, request) => {
                    let mut rng = system_rng();
                    let mut services = Services::new(&mut rng);
                    let mut cx = services.at(node.wire.now());
                    let response = [b"done: ", request.trim_ascii_end()].concat();
                    node.manager.send(
                        &mut cx,
                        exchange,
                        MessageType::new(PROTOCOL, INVOKE_RESPONSE),
                        &response,
                    )?;
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
        address: SocketAddr,
        passcode: Passcode,
        fabric: FabricIndex,
    ) -> Outcome<Vec<String>> {
        let mut rng = system_rng();
        draw_part("1. A session by passcode (PASE), as for commissioning");
        let device = self.link.reach(address)?;
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.wire.now());
        self.manager.connect_pase(&mut cx, device, passcode)?;
        let pase = self.use_session(cx.now(), false)?;

        draw_part("2. A session by certificates (CASE), as members of one fabric");
        let device = self.link.reach(address)?;
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.wire.now());
        self.manager.connect_case(&mut cx, device, Peer::new(fabric, DEVICE_NODE))?;
        let case = self.use_session(cx.now(), false)?;

        draw_part("3. The second session resumed: no certificates and no signatures");
        let device = self.link.reach(address)?;
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.wire.now());
        self.manager.connect_case(&mut cx, device, Peer::new(fabric, DEVICE_NODE))?;
        let resumed = self.use_session(cx.now(), true)?;
        Ok(vec![pase, case, resumed])
    }

    /// Waits for the session that is being established, sends a request on it, waits for the
    /// response, and closes the session.
    fn use_session(&mut self, connected: Instant, expect_resumed: bool) -> Outcome<String> {
        let session = self.run_until(|_, news| match news {
            News::Event(Event::Established { session, resumed, .. }) => {
                assert_eq!(resumed, expect_resumed);
                Ok(Some(session))
            }
            _ => Ok(None),
        })?;
        let established = self.wire.now();

        let mut rng = system_rng();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(established);
        let exchange = self.manager.open_exchange(&mut cx, session)?;
        let request = self.request(session, exchange)?;
        self.manager.send(
            &mut cx,
            exchange,
            MessageType::new(PROTOCOL, INVOKE_REQUEST),
            &request,
        )?;
        let response = self.run_until(|node, news| match news {
            News::Message(exchange, response) => {
                node.manager.close_exchange(exchange);
                Ok(Some(response))
            }
            _ => Ok(None),
        })?;
        assert_eq!(response, [b"done: ", REQUEST].concat());
        let answered = self.wire.now();

        let facts = self.manager.session(session).ok_or("the session is gone")?;
        let name = format!("{}{}", if expect_resumed { "resumed " } else { "" }, facts.session());
        cx = services.at(answered);
        self.manager.close_session(&mut cx, session);
        self.run_until(|_, news| {
            Ok(matches!(news, News::Event(Event::Closed { .. })).then_some(()))
        })?;
        Ok(format!(
            "{name:60} {:>6} ms {:>6} ms {:>11}",
            established.saturating_since(connected).as_millis(),
            answered.saturating_since(established).as_millis(),
            self.wire.take_repeated(),
        ))
    }

    /// A request: over TCP as long as the peer takes it.
    fn request(&self, session: SessionHandle, exchange: ExchangeHandle) -> Outcome<Vec<u8>> {
        let mut request = REQUEST.to_vec();
        let facts = self.manager.session(session).ok_or("the session is gone")?;
        if facts.peer_address().is_reliable() {
            assert!(facts.session().peer_parameters().accepts_tcp());
            let max = self
                .manager
                .sessions()
                .max_payload(exchange, PROTOCOL)
                .ok_or("the session is gone")?;
            request.resize(max, b' ');
        }
        Ok(request)
    }
}
