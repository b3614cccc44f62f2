//! Several managers (shards) behind one UDP socket. A single shard reads, handles and answers on
//! one thread. Several shards have a thread each, and one more thread reads and routes for them.
//! Another thread makes the load. Prints datagrams per second with one shard and with two.
//!
//! ```text
//! cargo run --release --example sharded
//! ```
//! The load shares the cores with the shards, so the figures say little about more shards.
//!
//! To copy: `sharded/mailbox.rs` hands datagrams to the thread of a shard, and `udp/mod.rs` reads
//! and sends many datagrams in one system call. A product also needs what this program leaves out:
//!
//! - the calendar time (`Services::with_wall`): without it, no certificate is refused for its
//!   validity period;
//! - its own handling of events: the shards here ignore all but requests for signatures;
//! - a store that all shards share (`ResumptionStore`), if peers resume: each shard here resumes
//!   only from the records of its own handshakes.

#[macro_use]
mod ladder;
#[path = "sharded/mailbox.rs"]
mod mailbox;
mod udp;
#[cfg(test)]
#[path = "udp/tests.rs"]
mod udp_tests;

use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::thread;
use std::time::Instant as Clock;

use ladder::{Authority, Outcome, system_rng};
use mailbox::{Batch, Mailbox};
use matter_session::context::{Context, Services};
use matter_session::crypto::{RustCrypto, Secret, SigningKey};
use matter_session::fabric::Fabric;
use matter_session::ids::{
    CaseAuthTags, FabricId, FabricIndex, MessageType, NodeId, Peer, ProtocolId,
};
use matter_session::manager::{
    BatchMessage, Config, Datagram, Event, HeapSessionManager, Message, PeerAddress, Received,
    SessionHandle, Shards,
};
use matter_session::rand_core::Rng;
use matter_session::time::Instant;
use mio::{Events, Poll, Token};
use udp::{Inbox, Outbox, Socket};

const REQUEST: MessageType = MessageType::new(ProtocolId::INTERACTION_MODEL, 0x02);
const REPORT: MessageType = MessageType::new(ProtocolId::INTERACTION_MODEL, 0x05);
const PAYLOAD: [u8; 64] = [7; 64];
const NODE: NodeId = NodeId::new(0xDE);
const PEER: NodeId = NodeId::new(0xC0);

const SESSIONS: usize = 16;
/// How many requests the load has out on each session.
const REQUESTS: usize = 4;
/// As many exchanges: those of the requests, and as many that have still to be acknowledged.
const EXCHANGES: usize = 2 * REQUESTS;
/// How long each measurement takes.
const LOAD: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(5);
/// The longest wait for a session.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Outcome {
    for count in [1, 2] {
        let (datagrams, sessions) = measure(count)?;
        let rate = u128::from(datagrams) * 1000 / LOAD.as_millis();
        say!("{count} shard(s): {rate} datagrams/s received, sessions per shard {sessions:?}");
        assert!(datagrams > 0);
        assert_eq!(sessions.iter().sum::<usize>(), SESSIONS);
    }
    Ok(())
}

/// Returns the datagrams that were received under load, and the sessions of each shard at the end.
fn measure(count: usize) -> Outcome<(u64, Vec<usize>)> {
    let mut rng = system_rng();
    let mut key = [0; 16];
    rng.fill_bytes(&mut key);
    let shards = Shards::new(count, key).ok_or("too many shards")?;
    let mut authority = Authority::found(FabricId::new(1).ok_or("zero")?, &mut rng)?;
    let mut nodes = Vec::<Node>::new();
    for shard in shards.iter() {
        let config = Config::default().with_shard(shard).with_exchanges_per_session(EXCHANGES);
        let mut node = Node::new(config);
        match nodes.first() {
            None => node.join(&mut authority, NODE)?,
            Some(first) => node.join_like(first)?,
        }
        nodes.push(node);
    }
    let config = Config::default().with_own_exchanges_per_session(EXCHANGES);
    let mut load = Node::new(config);
    load.join(&mut authority, PEER)?;

    let (socket, mut port) = bind()?;
    let address = socket.local_addr()?;
    let state = State::default();
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let served = match nodes.as_mut_slice() {
                [node] => serve_alone(node, &socket, &mut port, &state),
                nodes => serve_together(nodes, shards, &socket, &mut port, &state),
            };
            served.map_err(|error| error.to_string())?;
            Ok::<_, String>(nodes.iter().map(|node| node.manager.sessions().len()).collect())
        });
        let outcome = load.run(address, &state);
        state.over.store(true, Ordering::Relaxed);
        let sessions = serving.join().map_err(|_| "a shard panicked")??;
        Ok((outcome?, sessions))
    })
}

#[derive(Default)]
struct State {
    /// Whether the load has ended.
    over: AtomicBool,
    /// How many datagrams the node has received.
    received: AtomicU64,
}

impl State {
    fn runs(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }
}

/// One shard: it needs no other thread.
fn serve_alone(node: &mut Node, socket: &Socket, port: &mut Port, state: &State) -> Outcome {
    while state.runs() {
        port.read(socket, node.patience())?;
        let count = node.answer(port.inbox.datagrams());
        state.received.fetch_add(count, Ordering::Relaxed);
        node.turn(socket);
    }
    Ok(())
}

/// Several shards: each has a thread, and this one reads for them.
fn serve_together(
    nodes: &mut [Node],
    shards: Shards,
    socket: &Socket,
    port: &mut Port,
    state: &State,
) -> Outcome {
    let mailboxes: Vec<_> = shards.iter().map(|_| Mailbox::default()).collect();
    let mut batches: Vec<_> = shards.iter().map(|_| Batch::default()).collect();
    thread::scope(|scope| {
        for (node, mailbox) in nodes.iter_mut().zip(&mailboxes) {
            scope.spawn(move || {
                let mut batch = Batch::default();
                while state.runs() {
                    mailbox.take(&mut batch, node.patience());
                    node.answer(batch.datagrams());
                    node.turn(socket);
                }
            });
        }
        while state.runs() {
            port.read(socket, TICK)?;
            for (from, datagram) in port.inbox.datagrams() {
                state.received.fetch_add(1, Ordering::Relaxed);
                if let Some(batch) = shards.of(datagram).and_then(|shard| batches.get_mut(shard)) {
                    batch.push(from, datagram);
                }
            }
            for (batch, mailbox) in batches.iter_mut().zip(&mailboxes) {
                if !batch.is_empty() {
                    mailbox.put(batch);
                }
            }
        }
        Ok(())
    })
}

/// The reading side of a socket: waits for datagrams, and has buffers for them.
struct Port {
    poll: Poll,
    events: Events,
    inbox: Inbox,
}

fn bind() -> Outcome<(Socket, Port)> {
    let poll = Poll::new()?;
    let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), &poll, Token(0))?;
    let inbox = Inbox::new(&socket);
    Ok((socket, Port { poll, events: Events::with_capacity(1), inbox }))
}

impl Port {
    /// Reads what has arrived. If that is nothing, waits until something arrives.
    fn read(&mut self, socket: &Socket, at_most: Duration) -> io::Result<()> {
        if socket.read(&mut self.inbox)? || at_most.is_zero() {
            return Ok(());
        }
        match self.poll.poll(&mut self.events, Some(at_most)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }
}

/// A manager, and what it sends through.
struct Node {
    manager: HeapSessionManager,
    key: Option<SigningKey>,
    started: Clock,
    outbox: Outbox,
}

impl Node {
    fn new(config: Config) -> Self {
        let manager = HeapSessionManager::new(config, RustCrypto, &mut system_rng());
        Self { manager, key: None, started: Clock::now(), outbox: Outbox::new() }
    }

    fn join(&mut self, authority: &mut Authority, node: NodeId) -> Outcome {
        let none = CaseAuthTags::NONE;
        let (_, key) = authority.admit(&mut self.manager, node, none, &mut system_rng())?;
        self.key = Some(key);
        Ok(())
    }

    /// Becomes the same node as another shard.
    fn join_like(&mut self, first: &Self) -> Outcome {
        for fabric in first.manager.fabrics().iter() {
            let mut bytes = Secret::<{ Fabric::ENCODED_MAX_LEN }>::zero();
            let len = fabric.encode(bytes.as_mut_bytes()).map_err(|_| "a fabric is too long")?;
            self.manager.fabrics_mut().restore(bytes.as_bytes().get(..len).unwrap_or_default())?;
        }
        let key = first.key.as_ref().map(SigningKey::to_bytes);
        self.key = key.as_ref().map(SigningKey::from_bytes).transpose()?;
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.started.elapsed().as_millis().try_into().unwrap_or(u64::MAX))
    }

    /// How long the node may wait for datagrams: zero while a handshake has a part to compute.
    fn patience(&self) -> Duration {
        let due = self.manager.poll_timeout();
        due.map_or(TICK, |due| due.saturating_since(self.now()).min(TICK))
    }

    /// Handles timeouts and signatures, sends, and returns the other events.
    fn turn(&mut self, socket: &Socket) -> Vec<Event<()>> {
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.now());
        self.manager.handle_timeout(&mut cx);
        let mut events = Vec::new();
        while let Some(event) = self.manager.poll_event() {
            match (event, &mut self.key) {
                (Event::SignRequest(request), Some(key)) => {
                    let _ = self.manager.complete_signature(&mut cx, request.sign_with(key));
                }
                (event, _) => events.push(event),
            }
        }
        while let Some(transmit) = self.manager.poll_transmit(cx.now()) {
            if let PeerAddress::Udp(to) = transmit.to {
                self.outbox.push(socket, to, transmit.datagram);
            }
        }
        self.outbox.flush(socket);
        events
    }

    /// Handles the datagrams and answers every request. Returns the number of datagrams.
    fn answer<'b>(&mut self, read: impl Iterator<Item = (SocketAddr, &'b mut [u8])>) -> u64 {
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.now());
        let mut datagrams = datagrams(read);
        self.manager.handle_datagrams(&mut cx, &mut datagrams);
        let mut answers: Vec<_> = messages(&mut datagrams)
            .map(|request| BatchMessage::new(request.exchange, REPORT, request.payload))
            .collect();
        // A peer that cannot be answered is no reason to end.
        self.manager.send_all(&mut cx, &mut answers);
        for answer in &answers {
            self.manager.close_exchange(answer.exchange());
        }
        datagrams.len() as u64
    }

    /// The load: handles what was read, and asks again on every session that has an answer.
    fn ask_again<'b>(&mut self, read: impl Iterator<Item = (SocketAddr, &'b mut [u8])>) -> Outcome {
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.now());
        let mut datagrams = datagrams(read);
        self.manager.handle_datagrams(&mut cx, &mut datagrams);
        let mut answered = Vec::new();
        for answer in messages(&mut datagrams) {
            self.manager.close_exchange(answer.exchange);
            answered.push(answer.session);
        }
        self.ask(&mut cx, &answered)
    }

    fn ask(&mut self, cx: &mut Context<'_>, sessions: &[SessionHandle]) -> Outcome {
        let mut requests = Vec::new();
        for session in sessions {
            let exchange = self.manager.open_exchange(cx, *session)?;
            requests.push(BatchMessage::new(exchange, REQUEST, &PAYLOAD));
        }
        self.manager.send_all(cx, &mut requests);
        Ok(())
    }

    /// The load: sessions with the node, and on each a request as soon as one is answered.
    /// Returns how many datagrams the node has received meanwhile.
    fn run(&mut self, node: SocketAddr, state: &State) -> Outcome<u64> {
        let (socket, mut port) = bind()?;
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng);
        let mut sessions = Vec::new();
        let begin = Clock::now();
        while sessions.len() < SESSIONS {
            // Full handshakes and resumed ones, as it happens.
            self.manager.connect_case(
                &mut services.at(self.now()),
                PeerAddress::Udp(node),
                Peer::new(FabricIndex::MIN, NODE),
            )?;
            let wanted = sessions.len() + 1;
            while sessions.len() < wanted {
                for event in self.turn(&socket) {
                    match event {
                        Event::Established { session, .. } => sessions.push(session),
                        Event::HandshakeFailed { error, .. } => return Err(error.into()),
                        _ => {}
                    }
                }
                port.read(&socket, self.patience())?;
                self.ask_again(port.inbox.datagrams())?;
                if begin.elapsed() > PATIENCE {
                    return Err("no session".into());
                }
            }
        }
        for _ in 0..REQUESTS {
            self.ask(&mut services.at(self.now()), &sessions)?;
        }
        let (begin, before) = (Clock::now(), state.received.load(Ordering::Relaxed));
        while begin.elapsed() < LOAD {
            self.turn(&socket);
            port.read(&socket, self.patience())?;
            self.ask_again(port.inbox.datagrams())?;
        }
        Ok(state.received.load(Ordering::Relaxed) - before)
    }
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
