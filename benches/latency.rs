//! How long a message waits at a node that handshakes keep busy: one manager with 1,000 sessions in
//! traffic, to which other nodes connect by full CASE handshakes, by certificates of three levels.
//!
//! Datagrams arrive in virtual time, at random; what a call takes is measured and passes as virtual
//! time. A latency is the time from the arrival of a message until its answer is ready to be sent.
//! Other nodes compute in no time, and a datagram takes 1 ms to them or from them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use matter_session::context::Services;
use matter_session::crypto::{CompactRustCrypto, Crypto, RustCrypto, SigningKey};
use matter_session::ids::{
    CaseAuthTags, ExchangeId, FabricIndex, LocalSessionId, MessageType, NodeId, Peer,
    PeerSessionId, ProtocolId,
};
use matter_session::manager::{
    Config, Event, Heap, HeapSessionManager, PeerAddress, Received, SessionManager,
};
use matter_session::rand_core::{Rng, UnwrapErr};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, SecureSession, SessionKeys, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::time::Instant;
use matter_session::wire::{HEADROOM, MessageBuf, ProtocolHeader, TAILROOM};
use matter_session_testing::net::{Membership, members};

const SESSIONS: usize = 1000;
/// Messages per second, of all sessions together.
const MESSAGES: u64 = 10_000;
const SECONDS: u64 = 10;
const PAYLOAD: [u8; 64] = [0x5A; 64];
const THIS: NodeId = NodeId::new(1);
const FABRIC: FabricIndex = FabricIndex::MIN;
const ON_THE_WAY: Duration = Duration::from_millis(1);
/// How many nodes connect, by turns.
const NODES: usize = 16;

/// How the loop of the node computes the parts of handshakes.
#[derive(Clone, Copy)]
enum Order {
    /// Reads all datagrams that are there, then computes one part: as the examples do.
    ReadFirst,
    /// Computes all parts at once, after each datagram.
    ComputeAll,
}

enum Arrival {
    /// On a session.
    Message(usize),
    /// Of the handshake with this number.
    Handshake(usize, Vec<u8>),
    /// A node begins a handshake.
    Connect,
}

/// A node that connects once.
struct Dialer {
    manager: HeapSessionManager,
    member: usize,
}

struct World<C: Crypto> {
    node: SessionManager<C, Heap>,
    key: SigningKey,
    peers: Vec<SecureSession<RustCrypto>>,
    members: Vec<Membership>,
    dialers: Vec<Dialer>,
    /// What arrives, the earliest first. Arrivals are in the list, by their number.
    queue: BinaryHeap<Reverse<(Duration, usize)>>,
    arrivals: Vec<Option<Arrival>>,
    rng: UnwrapErr<getrandom::SysRng>,
    now: Duration,
    exchange: u16,
    latencies: Vec<Duration>,
    longest_call: Duration,
    established: usize,
}

fn peer(n: usize) -> NodeId {
    NodeId::new(1000 + n as u64)
}

fn address(dialer: Option<usize>) -> PeerAddress {
    let port = dialer.map_or(5540, |dialer| 10_000 + dialer as u16);
    PeerAddress::Udp(([127, 0, 0, 1], port).into())
}

fn at(now: Duration) -> Instant {
    Instant::from_millis(now.as_millis() as u64)
}

fn keys() -> SessionKeys {
    hazmat::session_keys(&[7; 48])
}

fn setup(role: SessionRole, (here, there): (NodeId, NodeId), id: u16) -> SessionSetup {
    SessionSetup {
        role,
        local_session_id: LocalSessionId::new(id).unwrap(),
        peer_session_id: PeerSessionId::new(id).unwrap(),
        identity: Identity::case(FABRIC, here, there, CaseAuthTags::NONE),
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    }
}

impl<C: Crypto> World<C> {
    fn new(crypto: C, connects: u64) -> Self {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let ids: [NodeId; NODES + 1] =
            core::array::from_fn(|n| if n == 0 { THIS } else { peer(10_000 + n) });
        let mut members = Vec::from(members(ids, true));
        let own = members.remove(0);
        // Room for the sessions that are established, which are closed at once.
        let config = Config::default().with_sessions(SESSIONS + 64);
        let mut node = SessionManager::new(config, crypto, &mut rng);
        assert_eq!(node.fabrics_mut().add(&own.credentials()), Ok(FABRIC));
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(Instant::ZERO);
        let peers = (0..SESSIONS).map(|n| {
            let setup_here = setup(SessionRole::Responder, (THIS, peer(n)), 1);
            let handle =
                node.dangerous_add_session(&mut cx, address(None), &keys(), setup_here).unwrap();
            let id = handle.local_session_id().get();
            let setup = setup(SessionRole::Initiator, (peer(n), THIS), id);
            let counter = Counters::starting_at(1);
            hazmat::secure_session(&RustCrypto, &keys(), setup, counter, Instant::ZERO)
        });
        let peers = peers.collect();
        let mut world = Self {
            node,
            key: own.key,
            peers,
            members,
            dialers: Vec::new(),
            queue: BinaryHeap::new(),
            arrivals: Vec::new(),
            rng,
            now: Duration::ZERO,
            exchange: 0,
            latencies: Vec::new(),
            longest_call: Duration::ZERO,
            established: 0,
        };
        for _ in 0..MESSAGES * SECONDS {
            let (when, n) = (world.any_time(), world.rng.next_u64() as usize % SESSIONS);
            world.arrives(when, Arrival::Message(n));
        }
        for _ in 0..connects * SECONDS {
            let when = world.any_time();
            world.arrives(when, Arrival::Connect);
        }
        world
    }

    fn any_time(&mut self) -> Duration {
        Duration::from_nanos(self.rng.next_u64() % (SECONDS * 1_000_000_000))
    }

    fn arrives(&mut self, when: Duration, arrival: Arrival) {
        self.queue.push(Reverse((when, self.arrivals.len())));
        self.arrivals.push(Some(arrival));
    }

    /// Runs to the end, and prints the latencies.
    fn run(mut self, what: &str, order: Order) {
        while let Some(Reverse((when, _))) = self.queue.peek() {
            self.now = self.now.max(*when);
            while let Some(Reverse((when, number))) = self.queue.peek().copied() {
                if when > self.now {
                    break;
                }
                self.queue.pop();
                let arrival = self.arrivals[number].take();
                self.handle(when, arrival.unwrap());
                if matches!(order, Order::ComputeAll) {
                    while self.node.handshakes().is_computing() {
                        self.compute();
                    }
                    self.after();
                }
            }
            // Until the next datagram arrives.
            loop {
                if self.node.poll_timeout().is_some_and(|due| due <= at(self.now)) {
                    self.compute();
                }
                self.after();
                let next = self.queue.peek().map(|Reverse((when, _))| *when);
                let read = next.is_some_and(|when| when <= self.now);
                if read || !self.node.handshakes().is_computing() {
                    break;
                }
            }
        }
        self.print(what);
    }

    /// Lets the time of some work pass.
    fn passes<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        let begin = Clock::now();
        let result = work(self);
        let spent = begin.elapsed();
        self.now += spent;
        self.longest_call = self.longest_call.max(spent);
        result
    }

    fn handle(&mut self, arrived: Duration, arrival: Arrival) {
        match arrival {
            Arrival::Message(n) => {
                let mut datagram = self.seal(n);
                self.passes(|world| {
                    let mut services = Services::new(&mut world.rng);
                    let mut cx = services.at(at(world.now));
                    let from = address(None);
                    let Received::Message(message) =
                        world.node.handle_datagram(&mut cx, from, &mut datagram)
                    else {
                        panic!("not received");
                    };
                    let (exchange, kind) =
                        (message.exchange, MessageType::new(ProtocolId::INTERACTION_MODEL, 9));
                    let mut buf = [0; HEADROOM + PAYLOAD.len() + TAILROOM];
                    let answer =
                        world.node.send_unreliable(&mut cx, exchange, kind, &PAYLOAD, &mut buf);
                    black_box(answer.unwrap().datagram);
                    world.node.close_exchange(exchange);
                });
                self.latencies.push(self.now - arrived);
            }
            Arrival::Handshake(dialer, mut datagram) => self.passes(|world| {
                let mut services = Services::new(&mut world.rng);
                let mut cx = services.at(at(world.now));
                let from = address(Some(dialer));
                let received = world.node.handle_datagram(&mut cx, from, &mut datagram);
                assert_eq!(received.dropped(), None);
            }),
            Arrival::Connect => self.connect(),
        }
    }

    /// What a peer sends.
    fn seal(&mut self, n: usize) -> Vec<u8> {
        self.exchange = self.exchange.wrapping_add(1);
        let header = ProtocolHeader {
            exchange: ExchangeId::new(self.exchange),
            protocol: ProtocolId::INTERACTION_MODEL,
            opcode: 8,
            initiator: true,
            needs_ack: false,
            ack: None,
        };
        let mut buf = [0; HEADROOM + PAYLOAD.len() + TAILROOM];
        let message = MessageBuf::with_payload(&mut buf, &PAYLOAD).unwrap();
        self.peers[n].encode(&header, message, at(self.now)).unwrap().as_bytes().to_vec()
    }

    fn connect(&mut self) {
        let member = self.dialers.len() % NODES;
        let mut manager = HeapSessionManager::new(Config::default(), RustCrypto, &mut self.rng);
        manager.fabrics_mut().add(&self.members[member].credentials()).unwrap();
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(at(self.now));
        manager.connect_case(&mut cx, address(None), Peer::new(FABRIC, THIS)).unwrap();
        self.dialers.push(Dialer { manager, member });
        self.transmit(self.dialers.len() - 1);
    }

    /// One call that may compute a part.
    fn compute(&mut self) {
        self.passes(|world| {
            let mut services = Services::new(&mut world.rng);
            world.node.handle_timeout(&mut services.at(at(world.now)));
        });
    }

    /// Events and what is to be sent.
    fn after(&mut self) {
        while let Some(event) = self.passes(|world| world.node.poll_event()) {
            self.passes(|world| {
                let mut services = Services::new(&mut world.rng);
                let mut cx = services.at(at(world.now));
                match event {
                    Event::SignRequest(request) => {
                        let signed = request.sign_with(&mut world.key);
                        let _ = world.node.complete_signature(&mut cx, signed);
                    }
                    Event::Established { session, resumed, .. } => {
                        assert!(!resumed);
                        world.established += 1;
                        world.node.close_session(&mut cx, session);
                    }
                    Event::HandshakeFailed { error, .. } => panic!("{error}"),
                    _ => {}
                }
            });
        }
        while let Some((to, datagram)) = self.passes(|world| {
            let transmit = world.node.poll_transmit(at(world.now))?;
            Some((transmit.to, transmit.datagram.to_vec()))
        }) {
            let dialer = (0..self.dialers.len()).rev().find(|dialer| address(Some(*dialer)) == to);
            if let Some(dialer) = dialer {
                self.at_dialer(dialer, datagram);
            }
        }
    }

    /// A datagram arrives at a node that connects, and its answers leave at once.
    fn at_dialer(&mut self, number: usize, mut datagram: Vec<u8>) {
        let dialer = &mut self.dialers[number];
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(at(self.now));
        let _ = dialer.manager.handle_datagram(&mut cx, address(None), &mut datagram);
        while dialer.manager.handshakes().is_computing() {
            dialer.manager.handle_timeout(&mut cx);
        }
        while let Some(event) = dialer.manager.poll_event() {
            match event {
                Event::SignRequest(request) => {
                    let signed = request.sign_with(&mut self.members[dialer.member].key);
                    let _ = dialer.manager.complete_signature(&mut cx, signed);
                }
                // Its acknowledgement of the last message leaves a while later, and ends the
                // handshake at the node.
                Event::Established { .. } => {
                    let later = at(self.now + Duration::from_secs(1));
                    let mut services = Services::new(&mut self.rng);
                    dialer.manager.handle_timeout(&mut services.at(later));
                    break;
                }
                Event::HandshakeFailed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
        self.transmit(number);
    }

    fn transmit(&mut self, number: usize) {
        let mut sent = Vec::new();
        while let Some(transmit) = self.dialers[number].manager.poll_transmit(at(self.now)) {
            sent.push(transmit.datagram.to_vec());
        }
        for datagram in sent {
            self.arrives(self.now + 2 * ON_THE_WAY, Arrival::Handshake(number, datagram));
        }
    }

    fn print(mut self, what: &str) {
        self.latencies.sort_unstable();
        let count = self.latencies.len();
        let us = |latency: Duration| latency.as_nanos() as f64 / 1000.0;
        let of = |share: f64| us(self.latencies[((count - 1) as f64 * share) as usize]);
        println!(
            "{what:44} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>14.1} {:>6}",
            of(0.5),
            of(0.99),
            of(0.999),
            of(1.0),
            us(self.longest_call),
            self.established,
        );
    }
}

fn main() {
    println!(
        "{:44} {:>10} {:>10} {:>10} {:>10} {:>14} {:>6}",
        "latency of a message, in µs", "p50", "p99", "p99.9", "worst", "longest call", "CASE"
    );
    World::new(RustCrypto, 0).run("no handshakes", Order::ReadFirst);
    for connects in [10, 100, 400] {
        let what = format!("{connects} handshakes a second, read first");
        World::new(RustCrypto, connects).run(&what, Order::ReadFirst);
    }
    World::new(RustCrypto, 100).run("100, all parts at once", Order::ComputeAll);
    World::new(CompactRustCrypto, 100).run("100, portable P-256, read first", Order::ReadFirst);
    World::new(CompactRustCrypto, 100).run("100, portable, all at once", Order::ComputeAll);
}
