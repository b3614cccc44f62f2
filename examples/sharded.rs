//! Several managers behind one UDP socket: a thread that reads and routes, a thread for each
//! shard, and one that makes load. Reports datagrams per second with one shard and with two.
//!
//! ```text
//! cargo run --release --example sharded
//! ```
//! The load shares the cores with the shards, so the figures say little about more of them.

mod ladder;

use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::net::UdpSocket;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant as Clock;

use ladder::{Authority, Outcome, system_rng};
use matter_session::context::Services;
use matter_session::crypto::{RustCrypto, Secret, SigningKey};
use matter_session::fabric::Fabric;
use matter_session::ids::{
    CaseAuthTags, FabricId, FabricIndex, MessageType, NodeId, Peer, ProtocolId,
};
use matter_session::manager::{
    Config, Event, HeapSessionManager, PeerAddress, Received, SessionHandle, Shards,
};
use matter_session::rand_core::Rng;
use matter_session::time::Instant;

const PROTOCOL: ProtocolId = ProtocolId::INTERACTION_MODEL;
const REQUEST: u8 = 0x02;
const REPORT: u8 = 0x05;
const NODE: NodeId = NodeId::new(0xDE);
const PEER: NodeId = NodeId::new(0xC0);

const SESSIONS: usize = 16;
/// How long each measurement takes.
const LOAD: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(5);
/// The longest wait for a session.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Outcome {
    for count in [1, 2] {
        let (datagrams, sessions) = measure(count)?;
        let rate = u128::from(datagrams) * 1000 / LOAD.as_millis();
        println!("{count} shard(s): {rate} datagrams/s received, sessions per shard {sessions:?}");
        assert!(datagrams > 0);
        assert_eq!(sessions.iter().sum::<usize>(), SESSIONS);
    }
    Ok(())
}

/// Datagrams received in the time of the load, and the sessions that each shard has in the end.
fn measure(count: usize) -> Outcome<(u64, Vec<usize>)> {
    let mut rng = system_rng();
    let mut key = [0; 16];
    rng.fill_bytes(&mut key);
    let shards = Shards::new(count, key).ok_or("too many shards")?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(TICK))?;
    let address = socket.local_addr()?;
    let mut authority = Authority::found(FabricId::new(1).ok_or("zero")?, &mut rng)?;
    let mut load = Node::new(Config::default(), UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
    load.join(&mut authority, PEER)?;

    let (mut nodes, mut inboxes) = (Vec::<Node>::new(), Vec::new());
    for shard in shards.iter() {
        let mut node = Node::new(Config::default().with_shard(shard), socket.try_clone()?);
        match nodes.first() {
            None => node.join(&mut authority, NODE)?,
            Some(first) => node.join_like(first)?,
        }
        nodes.push(node);
        inboxes.push(mpsc::channel());
    }
    let (outboxes, inboxes): (Vec<_>, Vec<_>) = inboxes.into_iter().unzip();

    let (over, received) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let outboxes = outboxes;
            let mut buffer = [0; 1280];
            while !over.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                received.fetch_add(1, Ordering::Relaxed);
                let datagram = buffer.get(..len).unwrap_or_default();
                if let Some(shard) = shards.of(datagram).and_then(|shard| outboxes.get(shard)) {
                    // A shard that has ended takes nothing in.
                    let _ = shard.send((datagram.to_vec(), from));
                }
            }
        });
        let serving: Vec<_> = nodes
            .iter_mut()
            .zip(inboxes)
            .map(|(node, inbox)| {
                let over = &over;
                scope.spawn(move || node.serve(&inbox, over).map_err(|error| error.to_string()))
            })
            .collect();
        let outcome = load.run(address, &received);
        over.store(true, Ordering::Relaxed);
        let mut sessions = Vec::new();
        for shard in serving {
            sessions.push(shard.join().map_err(|_| "a shard panicked")??);
        }
        Ok((outcome?, sessions))
    })
}

/// A manager, and what it sends through.
struct Node {
    manager: HeapSessionManager,
    socket: UdpSocket,
    key: Option<SigningKey>,
    started: Clock,
}

impl Node {
    fn new(config: Config, socket: UdpSocket) -> Self {
        let manager = HeapSessionManager::new(config, RustCrypto, &mut system_rng());
        Self { manager, socket, key: None, started: Clock::now() }
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

    /// Sends what is to be sent and tells what happened.
    fn turn(&mut self) -> Outcome<Vec<Event<()>>> {
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
                // A datagram that the socket refuses counts as lost: it is retransmitted.
                let _ = self.socket.send_to(transmit.datagram, to);
            }
        }
        Ok(events)
    }

    /// A shard: answers every request. Returns how many sessions it has in the end.
    fn serve(
        &mut self,
        inbox: &Receiver<(Vec<u8>, SocketAddr)>,
        over: &AtomicBool,
    ) -> Outcome<usize> {
        let mut rng = system_rng();
        while !over.load(Ordering::Relaxed) {
            let computes = self.manager.handshakes().is_computing();
            match inbox.recv_timeout(if computes { Duration::ZERO } else { TICK }) {
                Ok((mut datagram, from)) => {
                    let mut services = Services::new(&mut rng);
                    let mut cx = services.at(self.now());
                    let received =
                        self.manager.handle_datagram(&mut cx, from.into(), &mut datagram);
                    if let Received::Message(message) = received {
                        let (exchange, payload) = (message.exchange, message.payload);
                        let report = MessageType::new(PROTOCOL, REPORT);
                        // A peer that cannot be answered is no reason to end.
                        let _ = self.manager.send(&mut cx, exchange, report, payload);
                        self.manager.close_exchange(exchange);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.turn()?;
        }
        Ok(self.manager.sessions().len())
    }

    /// The load: sessions with the node, and on each a request as soon as the last is answered.
    /// Returns how many datagrams the node has received meanwhile.
    fn run(&mut self, node: SocketAddr, received: &AtomicU64) -> Outcome<u64> {
        self.socket.set_read_timeout(Some(TICK))?;
        let mut rng = system_rng();
        let mut sessions = Vec::new();
        let begin = Clock::now();
        while sessions.len() < SESSIONS {
            let mut services = Services::new(&mut rng);
            let mut cx = services.at(self.now());
            // Full handshakes and resumed ones, as it happens.
            self.manager.connect_case(
                &mut cx,
                PeerAddress::Udp(node),
                Peer::new(FabricIndex::MIN, NODE),
            )?;
            let wanted = sessions.len() + 1;
            while sessions.len() < wanted {
                for event in self.turn()? {
                    match event {
                        Event::Established { session, .. } => sessions.push(session),
                        Event::HandshakeFailed { error, .. } => return Err(error.into()),
                        _ => {}
                    }
                }
                if !self.manager.handshakes().is_computing() {
                    self.hear()?;
                }
                if begin.elapsed() > PATIENCE {
                    return Err("no session".into());
                }
            }
        }
        for session in sessions {
            self.ask(session)?;
        }
        let (begin, before) = (Clock::now(), received.load(Ordering::Relaxed));
        while begin.elapsed() < LOAD {
            self.turn()?;
            if let Some(session) = self.hear()? {
                self.ask(session)?;
            }
        }
        Ok(received.load(Ordering::Relaxed) - before)
    }

    fn ask(&mut self, session: SessionHandle) -> Outcome {
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.now());
        let exchange = self.manager.open_exchange(&mut cx, session)?;
        Ok(self.manager.send(&mut cx, exchange, MessageType::new(PROTOCOL, REQUEST), &[7; 64])?)
    }

    /// Waits a moment for a datagram; the session of an answer.
    fn hear(&mut self) -> Outcome<Option<SessionHandle>> {
        let mut rng = system_rng();
        let mut buffer = [0; 1280];
        // An error is a timeout, or is caused by a peer: on some systems by a long datagram.
        let Ok((len, from)) = self.socket.recv_from(&mut buffer) else { return Ok(None) };
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.now());
        let datagram = buffer.get_mut(..len).unwrap_or_default();
        match self.manager.handle_datagram(&mut cx, from.into(), datagram) {
            Received::Message(message) => {
                self.manager.close_exchange(message.exchange);
                Ok(Some(message.session))
            }
            _ => Ok(None),
        }
    }
}
