//! Messages of an established session: sealed and opened by the session alone, and sent and
//! received through managers, one by one and in batches.

mod wire;

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant as Clock;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use matter_session::context::Services;
use matter_session::crypto::{Passcode, RustCrypto};
use matter_session::ids::{ExchangeId, LocalSessionId, MessageType, PeerSessionId, ProtocolId};
use matter_session::manager::{
    BatchMessage, Config, Datagram, Event, HeapSessionManager, Received, SessionHandle,
};
use matter_session::rand_core::UnwrapErr;
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, SecureSession, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::time::Instant;
use matter_session::wire::{HEADROOM, MessageBuf, Packet, ProtocolHeader, TAILROOM};
use wire::{address, carry};

/// Payload lengths in octets; 1,200 nearly fills a datagram.
const PAYLOADS: [usize; 5] = [16, 64, 256, 1024, 1200];

const NOW: Instant = Instant::ZERO;
const IM: ProtocolId = ProtocolId::INTERACTION_MODEL;

fn session(role: SessionRole) -> SecureSession<RustCrypto> {
    let setup = SessionSetup {
        role,
        local_session_id: LocalSessionId::new(1).unwrap(),
        peer_session_id: PeerSessionId::new(1).unwrap(),
        identity: Identity::pase(),
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    };
    let keys = hazmat::session_keys(&[7; 48]);
    hazmat::secure_session(&RustCrypto, &keys, setup, Counters::starting_at(1), NOW)
}

const HEADER: ProtocolHeader = ProtocolHeader {
    exchange: ExchangeId::new(1),
    protocol: ProtocolId::INTERACTION_MODEL,
    opcode: 8,
    initiator: true,
    needs_ack: true,
    ack: None,
};

fn sessions(c: &mut Criterion) {
    let mut group = c.benchmark_group("session/encode");
    for len in PAYLOADS {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_with_input(BenchmarkId::from_parameter(len), &len, |b, &len| {
            let mut sender = session(SessionRole::Initiator);
            let payload = vec![0x5A; len];
            let mut buf = vec![0; HEADROOM + len + TAILROOM];
            b.iter(|| {
                let message = MessageBuf::with_payload(&mut buf, black_box(&payload)).unwrap();
                black_box(sender.encode(&HEADER, message, NOW).unwrap().as_bytes().len())
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("session/decode");
    for len in PAYLOADS {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_with_input(BenchmarkId::from_parameter(len), &len, |b, &len| {
            let mut sender = session(SessionRole::Initiator);
            let mut receiver = session(SessionRole::Responder);
            let payload = vec![0x5A; len];
            let mut buf = vec![0; HEADROOM + len + TAILROOM];
            // Every message is new: a batch is sealed beforehand, in the order of its opening.
            let mut seal = || {
                let message = MessageBuf::with_payload(&mut buf, &payload).unwrap();
                sender.encode(&HEADER, message, NOW).unwrap().as_bytes().to_vec()
            };
            b.iter_batched_ref(
                &mut seal,
                |datagram| {
                    let packet = Packet::parse(datagram).unwrap();
                    black_box(receiver.decode(packet, NOW).unwrap().payload.len())
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Two managers with a session between them.
struct Pair {
    a: HeapSessionManager,
    b: HeapSessionManager,
    session: SessionHandle,
}

/// How many exchanges a batch has, each for one message: as many as a peer may open by default.
const BATCH: usize = 16;

/// Where the time of a batch goes.
#[derive(Clone, Copy)]
enum Part {
    /// `send` and `poll_transmit`.
    Send,
    /// `handle_datagram`.
    Receive,
}

/// How the messages of a batch are handled.
#[derive(Clone, Copy)]
enum How {
    /// `send`, `handle_datagram`: one by one.
    Singly,
    /// `send_all`, `handle_datagrams`.
    Together,
}

/// The payloads of a batch.
struct Traffic {
    name: String,
    payloads: Vec<Vec<u8>>,
}

impl Traffic {
    fn of(len: usize) -> Self {
        Self { name: len.to_string(), payloads: vec![vec![0x5A; len]; BATCH] }
    }

    /// Short and long ones, as they come.
    fn mixed() -> Self {
        const LENS: [usize; 8] = [64, 1024, 20, 256, 700, 64, 300, 130];
        let lens = LENS.iter().cycle().take(BATCH);
        Self { name: "mixed".into(), payloads: lens.map(|len| vec![0x5A; *len]).collect() }
    }

    /// Octets of a message, on average.
    fn mean(&self) -> u64 {
        self.payloads.iter().map(|payload| payload.len() as u64).sum::<u64>() / BATCH as u64
    }
}

impl Pair {
    fn new() -> Self {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        let config = Config::default().with_own_exchanges_per_session(BATCH);
        let mut a = HeapSessionManager::new(config, RustCrypto, cx.rng());
        let mut b = HeapSessionManager::new(Config::default(), RustCrypto, cx.rng());
        let passcode = Passcode::new(20_202_021).unwrap();
        b.window().open_for(&mut cx, &passcode, None).unwrap();
        a.connect_pase(&mut cx, address(2), passcode).unwrap();
        while carry(&mut a, &mut b, 1, &mut cx) + carry(&mut b, &mut a, 2, &mut cx) > 0 {}
        let session = a.sessions().pase().unwrap();
        let mut this = Self { a, b, session };
        this.discard_events();
        this
    }

    /// Sends a message on each of many exchanges, and has all of them acknowledged. Returns how
    /// long `part` took.
    fn batch(&mut self, traffic: &Traffic, part: Part, how: How) -> Duration {
        let Self { a, b, session } = self;
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        let exchanges: Vec<_> =
            (0..BATCH).map(|_| a.open_exchange(&mut cx, *session).unwrap()).collect();
        let mut datagrams: Vec<_> = (0..BATCH).map(|_| Vec::with_capacity(1280)).collect();

        let begin = Clock::now();
        let messages = exchanges.iter().zip(&traffic.payloads);
        match how {
            How::Singly => {
                for ((exchange, payload), datagram) in messages.zip(&mut datagrams) {
                    a.send(&mut cx, *exchange, MessageType::new(IM, 8), payload).unwrap();
                    let transmit = a.poll_transmit(NOW).unwrap();
                    datagram.extend_from_slice(transmit.datagram);
                }
            }
            How::Together => {
                let mut messages: Vec<_> = messages
                    .map(|(on, payload)| BatchMessage::new(*on, MessageType::new(IM, 8), payload))
                    .collect();
                a.send_all(&mut cx, &mut messages);
                for datagram in &mut datagrams {
                    let transmit = a.poll_transmit(NOW).unwrap();
                    datagram.extend_from_slice(transmit.datagram);
                }
            }
        }
        let sending = begin.elapsed();

        let mut received = Vec::with_capacity(BATCH);
        let mut take = |one: Received<'_>| match one {
            Received::Message(message) => received.push(message.exchange),
            other => unreachable!("{other:?}"),
        };
        let begin = Clock::now();
        match how {
            How::Singly => {
                for datagram in &mut datagrams {
                    take(b.handle_datagram(&mut cx, address(1), datagram));
                }
            }
            How::Together => {
                let mut batch: Vec<_> =
                    datagrams.iter_mut().map(|octets| Datagram::new(address(1), octets)).collect();
                b.handle_datagrams(&mut cx, &mut batch);
                for datagram in &mut batch {
                    take(datagram.take().unwrap());
                }
            }
        }
        let receiving = begin.elapsed();

        for exchange in received {
            b.close_exchange(exchange);
        }
        carry(b, a, 2, &mut cx);
        for exchange in exchanges {
            a.close_exchange(exchange);
        }
        assert_eq!(
            (a.sessions().exchange_count(), b.sessions().exchange_count()),
            (0, 0),
            "all is acknowledged"
        );
        self.discard_events();
        match part {
            Part::Send => sending,
            Part::Receive => receiving,
        }
    }

    fn discard_events(&mut self) {
        while let Some(event) = self.a.poll_event() {
            assert!(!matches!(event, Event::Undelivered { .. }));
        }
        while self.b.poll_event().is_some() {}
    }
}

fn managers(c: &mut Criterion) {
    let rows = [
        ("manager/send", Part::Send, How::Singly),
        ("manager/send-all", Part::Send, How::Together),
        ("manager/receive", Part::Receive, How::Singly),
        ("manager/receive-all", Part::Receive, How::Together),
    ];
    for (name, part, how) in rows {
        let mut group = c.benchmark_group(name);
        let traffics = PAYLOADS.map(Traffic::of).into_iter().chain([Traffic::mixed()]);
        for traffic in traffics {
            group.throughput(Throughput::Bytes(traffic.mean()));
            group.bench_function(&traffic.name, |b| {
                let mut pair = Pair::new();
                b.iter_custom(|iterations| {
                    let batches = iterations.div_ceil(BATCH as u64);
                    let spent: Duration =
                        (0..batches).map(|_| pair.batch(&traffic, part, how)).sum();
                    spent.mul_f64(iterations as f64 / (batches * BATCH as u64) as f64)
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, sessions, managers);
criterion_main!(benches);
