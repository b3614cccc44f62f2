//! A manager with few, some thousand, and as many sessions as session ids can name: what its
//! calls cost, and how much memory a session takes.

mod establish;

use core::hint::black_box;
use core::time::Duration;
use std::alloc::System;
use std::time::Instant as Clock;

use criterion::{
    AxisScale, BatchSize, Bencher, BenchmarkId, Criterion, PlotConfiguration, criterion_group,
    criterion_main,
};
use establish::Dialer;
use matter_session::context::{Context, Services};
use matter_session::crypto::{CompactRustCrypto, Crypto, RustCrypto};
use matter_session::ids::{
    CaseAuthTags, ExchangeId, FabricIndex, LocalSessionId, MessageCounter, MessageType, NodeId,
    Peer, PeerSessionId, ProtocolId,
};
use matter_session::manager::{
    Config, ExchangeHandle, Heap, HeapSessionManager, PeerAddress, Received, SessionHandle,
    SessionManager,
};
use matter_session::rand_core::{Rng, UnwrapErr};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, SecureSession, SessionKeys, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::time::Instant;
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{HEADROOM, MessageBuf, ProtocolHeader, TAILROOM};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many CASE sessions the manager has; the largest number leaves one id to PASE.
const SESSIONS: [usize; 3] = [64, 4096, 65_534];
/// How many calls are timed together, on sessions picked at random.
const BATCH: usize = 256;
const PAYLOAD: [u8; 64] = [0x5A; 64];
const THIS: NodeId = NodeId::new(1);
const IM: ProtocolId = ProtocolId::INTERACTION_MODEL;

fn fabric() -> FabricIndex {
    FabricIndex::new(1).unwrap()
}

fn address() -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], 5540).into())
}

fn peer(n: usize) -> NodeId {
    NodeId::new(1000 + n as u64)
}

fn keys() -> SessionKeys {
    hazmat::session_keys(&[7; 48])
}

/// Agreed between `here` and `there`, with session ids that the manager has given out.
fn setup(role: SessionRole, (here, there): (NodeId, NodeId), id: u16) -> SessionSetup {
    SessionSetup {
        role,
        local_session_id: LocalSessionId::new(id).unwrap(),
        peer_session_id: PeerSessionId::new(id).unwrap(),
        identity: Identity::case(fabric(), here, there, CaseAuthTags::NONE),
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    }
}

fn add<C: Crypto>(
    manager: &mut SessionManager<C, Heap>,
    cx: &mut Context<'_>,
    n: usize,
) -> SessionHandle {
    let setup = setup(SessionRole::Responder, (THIS, peer(n)), 1);
    manager.dangerous_add_session(cx, address(), &keys(), setup).unwrap()
}

fn manager_of<C: Crypto>(sessions: usize, crypto: C) -> SessionManager<C, Heap> {
    let config = Config::default().with_sessions(sessions).with_own_exchanges_per_session(BATCH);
    SessionManager::new(config, crypto, &mut UnwrapErr(getrandom::SysRng))
}

/// A manager with sessions, and the other ends of those.
struct World {
    manager: HeapSessionManager,
    handles: Vec<SessionHandle>,
    peers: Vec<SecureSession<RustCrypto>>,
    rng: UnwrapErr<getrandom::SysRng>,
    now: Instant,
}

impl World {
    fn new(sessions: usize) -> Self {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut manager = manager_of(sessions, RustCrypto);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(Instant::ZERO);
        let mut handles = Vec::new();
        let mut peers = Vec::new();
        for n in 0..sessions {
            let handle = add(&mut manager, &mut cx, n);
            let id = handle.local_session_id().get();
            let setup = setup(SessionRole::Initiator, (peer(n), THIS), id);
            let counter = Counters::starting_at(1);
            let now = Instant::ZERO;
            let session = hazmat::secure_session(&RustCrypto, &keys(), setup, counter, now);
            handles.push(handle);
            peers.push(session);
        }
        Self { manager, handles, peers, rng, now: Instant::ZERO }
    }

    fn random(&mut self) -> usize {
        self.rng.next_u64() as usize % self.handles.len()
    }

    /// What a peer sends.
    fn seal(&mut self, n: usize, header: &ProtocolHeader, payload: &[u8]) -> Vec<u8> {
        let mut buf = vec![0; HEADROOM + payload.len() + TAILROOM];
        let message = MessageBuf::with_payload(&mut buf, payload).unwrap();
        self.peers[n].encode(header, message, self.now).unwrap().as_bytes().to_vec()
    }

    /// Messages to random sessions, each the first of an exchange.
    fn receive(&mut self) -> Duration {
        let header = ProtocolHeader {
            exchange: ExchangeId::new(7),
            protocol: IM,
            opcode: 8,
            initiator: true,
            needs_ack: false,
            ack: None,
        };
        let mut datagrams = Vec::new();
        for exchange in 0..BATCH as u16 {
            let n = self.random();
            let header = ProtocolHeader { exchange: ExchangeId::new(exchange), ..header };
            datagrams.push(self.seal(n, &header, &PAYLOAD));
        }
        let mut exchanges = Vec::with_capacity(BATCH);
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(self.now);
        let begin = Clock::now();
        for datagram in &mut datagrams {
            match self.manager.handle_datagram(&mut cx, address(), datagram) {
                Received::Message(message) => exchanges.push(message.exchange),
                // More from one peer than it may begin at once: with few sessions, rarely.
                other => drop(black_box(other)),
            }
        }
        let spent = begin.elapsed();
        for exchange in exchanges {
            self.manager.close_exchange(exchange);
        }
        assert_eq!(self.manager.sessions().exchange_count(), 0);
        spent
    }

    /// Messages to random peers, which acknowledge them afterwards.
    fn send(&mut self) -> Duration {
        let mut exchanges: Vec<(usize, ExchangeHandle)> = Vec::new();
        let peers: Vec<_> = (0..BATCH).map(|_| self.random()).collect();
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(self.now);
        for n in peers {
            let exchange = self.manager.open_exchange(&mut cx, self.handles[n]).unwrap();
            exchanges.push((n, exchange));
        }
        let mut counters = Vec::with_capacity(BATCH);
        let begin = Clock::now();
        for (_, exchange) in &exchanges {
            self.manager.send(&mut cx, *exchange, MessageType::new(IM, 8), &PAYLOAD).unwrap();
            let transmit = self.manager.poll_transmit(self.now).unwrap();
            counters.push(<[u8; 4]>::try_from(&transmit.datagram[4..8]).unwrap());
        }
        let spent = begin.elapsed();
        for ((n, exchange), counter) in exchanges.into_iter().zip(counters) {
            let ack = ProtocolHeader {
                exchange: exchange.id(),
                protocol: ProtocolId::SECURE_CHANNEL,
                opcode: Opcode::MRP_STANDALONE_ACK.0,
                initiator: false,
                needs_ack: false,
                ack: Some(MessageCounter::new(u32::from_le_bytes(counter))),
            };
            let mut datagram = self.seal(n, &ack, &[]);
            let mut services = Services::new(&mut self.rng);
            let mut cx = services.at(self.now);
            let received = self.manager.handle_datagram(&mut cx, address(), &mut datagram);
            assert_eq!(received.dropped(), None);
            self.manager.close_exchange(exchange);
        }
        while self.manager.poll_event().is_some() {}
        assert_eq!(self.manager.sessions().exchange_count(), 0);
        spent
    }

    /// New sessions in a full table, each in place of the one that is idle longest.
    fn evict(&mut self) -> Duration {
        let newcomers: Vec<usize> = (0..BATCH).map(|_| self.random() + 1_000_000).collect();
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(self.now);
        let begin = Clock::now();
        for n in newcomers {
            black_box(add(&mut self.manager, &mut cx, n));
        }
        let spent = begin.elapsed();
        while self.manager.poll_transmit(self.now).is_some() {}
        while self.manager.poll_event().is_some() {}
        spent
    }

    fn let_pass(&mut self) {
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(self.now);
        self.manager.handle_timeout(&mut cx);
    }

    /// Timers that are due: retransmissions of messages that nobody acknowledges.
    fn due(&mut self) -> Duration {
        let mut exchanges = Vec::new();
        for _ in 0..BATCH {
            let n = self.random();
            let mut services = Services::new(&mut self.rng);
            let mut cx = services.at(self.now);
            let exchange = self.manager.open_exchange(&mut cx, self.handles[n]).unwrap();
            self.manager.send(&mut cx, exchange, MessageType::new(IM, 8), &PAYLOAD).unwrap();
            exchanges.push(exchange);
        }
        while self.manager.poll_transmit(self.now).is_some() {}
        let later = self.now + Duration::from_secs(1);
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(later);
        let begin = Clock::now();
        self.manager.handle_timeout(&mut cx);
        let spent = begin.elapsed();
        let mut sent_again = 0;
        while self.manager.poll_transmit(later).is_some() {
            sent_again += 1;
        }
        assert_eq!(sent_again, BATCH);
        // Let them be given up, so that none is left.
        self.now = later;
        while self.manager.sessions().exchange_count() > 0 {
            for exchange in &exchanges {
                self.manager.close_exchange(*exchange);
            }
            self.now = self.now + Duration::from_secs(10);
            let mut services = Services::new(&mut self.rng);
            let mut cx = services.at(self.now);
            self.manager.handle_timeout(&mut cx);
            while self.manager.poll_transmit(self.now).is_some() {}
            while self.manager.poll_event().is_some() {}
        }
        spent
    }
}

/// Times a call by the batch.
fn batches(b: &mut Bencher<'_>, mut batch: impl FnMut() -> Duration) {
    b.iter_custom(|iterations| {
        let count = iterations.div_ceil(BATCH as u64);
        let spent: Duration = (0..count).map(|_| batch()).sum();
        spent.mul_f64(iterations as f64 / (count * BATCH as u64) as f64)
    });
}

fn calls(c: &mut Criterion) {
    let mut group = c.benchmark_group("sessions");
    group.plot_config(PlotConfiguration::default().summary_scale(AxisScale::Logarithmic));
    for sessions in SESSIONS {
        let id = |name| BenchmarkId::new(name, sessions);
        let mut world = World::new(sessions);
        group.bench_function(id("find by id"), |b| {
            let mut rng = UnwrapErr(getrandom::SysRng);
            let pick = || world.handles[rng.next_u64() as usize % sessions].local_session_id();
            let find = |id| black_box(world.manager.sessions().by_id(id)).is_some();
            b.iter_batched(pick, find, BatchSize::SmallInput);
        });
        group.bench_function(id("find by peer"), |b| {
            let mut rng = UnwrapErr(getrandom::SysRng);
            let pick = || peer(rng.next_u64() as usize % sessions);
            let find =
                |peer| black_box(world.manager.session_with(Peer::new(fabric(), peer))).is_some();
            b.iter_batched(pick, find, BatchSize::SmallInput);
        });
        group.bench_function(id("receive"), |b| batches(b, || world.receive()));
        group.bench_function(id("send"), |b| batches(b, || world.send()));
        group.bench_function(id("poll_timeout"), |b| {
            b.iter(|| black_box(&world.manager).poll_timeout());
        });
        group.bench_function(id("handle_timeout, none due"), |b| {
            let mut rng = UnwrapErr(getrandom::SysRng);
            let mut services = Services::new(&mut rng);
            let mut cx = services.at(world.now);
            b.iter(|| world.manager.handle_timeout(black_box(&mut cx)));
        });
        group.bench_function(id("handle_timeout, each due"), |b| batches(b, || world.due()));
        group.bench_function(id("evict and add"), |b| batches(b, || world.evict()));
        let mut dialer = Dialer::new(&mut world.manager);
        dialer.dial(&mut world.manager, world.now);
        group.bench_function(id("establish, resumed"), |b| {
            b.iter_custom(|iterations| {
                let handshakes = (0..iterations).map(|_| {
                    // What ends lingers a while, and would be asked to wait.
                    world.now = world.now + Duration::from_secs(60);
                    world.let_pass();
                    let (spent, resumed) = dialer.dial(&mut world.manager, world.now);
                    assert!(resumed);
                    spent
                });
                handshakes.sum()
            });
        });
    }
    group.finish();
}

/// Prints what a session takes of the heap, in octets, all tables included.
fn memory(_: &mut Criterion) {
    fn octets<C: Crypto>(sessions: usize, crypto: C) -> f64 {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(Instant::ZERO);
        let region = Region::new(ALLOCATOR);
        let mut manager = manager_of(sessions, crypto);
        for n in 0..sessions {
            add(&mut manager, &mut cx, n);
        }
        let change = region.change();
        assert_eq!(manager.sessions().len(), sessions);
        (change.bytes_allocated - change.bytes_deallocated) as f64 / sessions as f64
    }
    for sessions in SESSIONS {
        println!(
            "{sessions} idle sessions: {:.0} octets each, {:.0} without key schedules",
            octets(sessions, RustCrypto),
            octets(sessions, CompactRustCrypto),
        );
    }
}

criterion_group!(benches, memory, calls);
criterion_main!(benches);
