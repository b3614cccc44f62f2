//! Nodes: one that answers, and others that ask it.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Instant as Clock;

use matter_session::context::{Context, Services};
use matter_session::crypto::{RustCrypto, SigningKey};
use matter_session::ids::{MessageType, Peer};
use matter_session::manager::{
    BatchMessage, Config, Datagram, Event, ExchangeHandle, HeapSessionManager, Message,
    PeerAddress, Received, SessionHandle,
};
use matter_session::rand_core::UnwrapErr;
use matter_session::time::Instant;
use matter_session_testing::fabric_file::{FabricFile, Role};
use matter_session_testing::program::Result;
use matter_session_testing::protocols::{ECHO_REQUEST, ECHO_WITHOUT_VENDOR, echo_payload};
use mio::{Events, Poll, Token};

use crate::drive::Load;
use crate::process::ready;
use crate::udp::{Inbox, Outbox, Socket};

/// What a message has beside its payload: headers, an acknowledgement, a tag.
pub(crate) const OVERHEAD: usize = 8 + 6 + 4 + 16;
/// A request after whose answer the exchange stays open. Its answer is the next opcode.
const KEPT_REQUEST: u8 = 3;

struct Node {
    manager: HeapSessionManager,
    key: SigningKey,
    peer: Peer,
    started: Clock,
    outbox: Outbox,
}

impl Node {
    fn new(fabric: &str, role: Role) -> Result<Self> {
        let config = Config::default().with_sessions_per_peer(u8::MAX).with_exchanges(65_536);
        let mut manager = HeapSessionManager::new(config, RustCrypto, &mut rng());
        let file = FabricFile::read(fabric, role)?;
        let index = manager.fabrics_mut().add(&file.credentials())?;
        let peer = Peer::new(index, file.peer);
        Ok(Self { manager, key: file.key, peer, started: Clock::now(), outbox: Outbox::new() })
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.started.elapsed().as_millis().try_into().unwrap_or(u64::MAX))
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut HeapSessionManager, &mut Context<'_>) -> R) -> R {
        let mut rng = rng();
        let now = self.now();
        call(&mut self.manager, &mut Services::new(&mut rng).at(now))
    }

    fn patience(&self) -> Option<Duration> {
        self.manager.poll_timeout().map(|due| due.saturating_since(self.now()))
    }

    /// Does what is due and sends what is to be sent. Returns how many datagrams that were, and
    /// what happened.
    fn turn(&mut self, socket: &Socket) -> (usize, Vec<Event<()>>) {
        let mut rng = rng();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.now());
        self.manager.handle_timeout(&mut cx);
        let mut events = Vec::new();
        while let Some(event) = self.manager.poll_event() {
            match event {
                Event::SignRequest(request) => {
                    let signed = request.sign_with(&mut self.key);
                    let _ = self.manager.complete_signature(&mut cx, signed);
                }
                event => events.push(event),
            }
        }
        let sent = self.transmit(socket);
        self.outbox.flush(socket);
        (sent, events)
    }

    /// Puts what is to be sent in the outbox.
    fn transmit(&mut self, socket: &Socket) -> usize {
        let (now, mut sent) = (self.now(), 0);
        while let Some(transmit) = self.manager.poll_transmit(now) {
            if let PeerAddress::Udp(to) = transmit.to {
                self.outbox.push(socket, to, transmit.datagram);
                sent += 1;
            }
        }
        sent
    }

    /// Answers every request that was read.
    fn answer<'b>(&mut self, read: impl Iterator<Item = (SocketAddr, &'b mut [u8])>) {
        let mut datagrams = datagrams(read);
        self.with(|manager, cx| {
            manager.handle_datagrams(cx, &mut datagrams);
            let (mut answers, mut ended) = (Vec::new(), Vec::new());
            for Message { exchange, kind, payload, .. } in messages(&mut datagrams) {
                let answer = MessageType::new(kind.protocol, kind.opcode.wrapping_add(1));
                answers.push(BatchMessage::new(exchange, answer, payload));
                if kind.opcode != KEPT_REQUEST {
                    ended.push(exchange);
                }
            }
            manager.send_all(cx, &mut answers);
            for exchange in ended {
                manager.close_exchange(exchange);
            }
        });
    }
}

const fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

fn datagrams<'b>(read: impl Iterator<Item = (SocketAddr, &'b mut [u8])>) -> Vec<Datagram<'b>> {
    read.map(|(from, bytes)| Datagram::new(from.into(), bytes)).collect()
}

/// The messages for the application among what was handled.
fn messages<'b>(handled: &mut [Datagram<'b>]) -> impl Iterator<Item = Message<'b>> {
    handled.iter_mut().filter_map(|datagram| match datagram.take() {
        Some(Received::Message(message)) => Some(message),
        _ => None,
    })
}

/// Answers requests as `examples/sharded.rs` does with one shard.
pub(crate) fn serve(fabric: &str) -> Result<()> {
    let mut node = Node::new(fabric, Role::Responder)?;
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1));
    let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), &poll, Token(0))?;
    ready(socket.local_addr()?);
    let mut inbox = Inbox::new(&socket);
    loop {
        if socket.read(&mut inbox)? {
            node.answer(inbox.datagrams());
        } else {
            match poll.poll(&mut events, node.patience()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
        }
        node.turn(&socket);
    }
}

/// How requests use exchanges.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchanges {
    Kept,
    Each,
}

/// Sessions with the server, and so many requests out on each.
pub(crate) struct NodeLoad {
    node: Node,
    server: SocketAddr,
    exchanges: Exchanges,
    /// How many sessions are still to be made.
    wanted: usize,
    window: usize,
    payload: Vec<u8>,
    /// Sessions, or open exchanges of them, on which nothing is asked at the moment.
    idle: Vec<(SessionHandle, Option<ExchangeHandle>)>,
    running: bool,
    out: usize,
    answered: u64,
}

impl NodeLoad {
    pub(crate) fn new(
        server: SocketAddr,
        fabric: &Path,
        exchanges: Exchanges,
        sessions: usize,
        window: usize,
        size: usize,
    ) -> Result<Self> {
        Ok(Self {
            node: Node::new(&fabric.to_string_lossy(), Role::Initiator)?,
            server,
            exchanges,
            wanted: sessions,
            window,
            payload: echo_payload(size),
            idle: Vec::new(),
            running: false,
            out: 0,
            answered: 0,
        })
    }

    /// Asks wherever nothing is asked at the moment.
    fn ask(&mut self) -> Result<()> {
        let (payload, kept) = (&self.payload, self.exchanges == Exchanges::Kept);
        let opcode = if kept { KEPT_REQUEST } else { ECHO_REQUEST };
        let idle = &mut self.idle;
        self.out += self.node.with(|manager, cx| -> Result<usize> {
            let mut requests = Vec::new();
            for (session, exchange) in idle.drain(..) {
                let exchange = match exchange {
                    Some(exchange) => exchange,
                    None => manager.open_exchange(cx, session)?,
                };
                let kind = MessageType::new(ECHO_WITHOUT_VENDOR, opcode);
                requests.push(BatchMessage::new(exchange, kind, payload));
            }
            manager.send_all(cx, &mut requests);
            let failed = requests.iter().find_map(|request| request.result()?.err());
            failed.map_or(Ok(requests.len()), |error| Err(error.into()))
        })?;
        Ok(())
    }
}

impl Load for NodeLoad {
    fn connect(&mut self) -> Result<()> {
        let (server, peer) = (PeerAddress::Udp(self.server), self.node.peer);
        if self.wanted > 0 {
            self.node.with(|manager, cx| manager.connect_case(cx, server, peer))?;
        }
        Ok(())
    }

    fn set_running(&mut self, running: bool) {
        self.running = running;
    }

    fn handle<'b>(&mut self, read: impl Iterator<Item = (SocketAddr, &'b mut [u8])>) -> usize {
        let mut datagrams = datagrams(read);
        let kept = self.exchanges == Exchanges::Kept;
        let before = self.idle.len();
        let idle = &mut self.idle;
        self.node.with(|manager, cx| {
            manager.handle_datagrams(cx, &mut datagrams);
            for Message { session, exchange, .. } in messages(&mut datagrams) {
                if !kept {
                    manager.close_exchange(exchange);
                }
                idle.push((session, kept.then_some(exchange)));
            }
        });
        let answered = self.idle.len() - before;
        self.out = self.out.saturating_sub(answered);
        self.answered += answered as u64;
        datagrams.len()
    }

    fn turn(&mut self, socket: &Socket) -> Result<usize> {
        // An exchange that was closed ends when its acknowledgement is taken out.
        let mut sent = self.node.transmit(socket);
        if self.running {
            self.ask()?;
        }
        let (more, events) = self.node.turn(socket);
        sent += more;
        for event in events {
            match event {
                Event::Established { session, .. } => {
                    self.idle.extend((0..self.window).map(|_| (session, None)));
                    self.wanted -= 1;
                    self.connect()?;
                    sent += self.node.transmit(socket);
                    self.node.outbox.flush(socket);
                }
                Event::HandshakeFailed { error, .. } => return Err(error.into()),
                _ => {}
            }
        }
        Ok(sent)
    }

    fn patience(&self) -> Duration {
        self.node.patience().unwrap_or(Duration::MAX)
    }

    fn answered(&self) -> u64 {
        self.answered
    }

    fn is_settled(&self) -> bool {
        self.wanted == 0 && self.out == 0 && self.node.manager.is_settled()
    }
}
