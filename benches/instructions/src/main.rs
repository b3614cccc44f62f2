//! Encodes or decodes messages of a session, or sends or receives them through a manager, for
//! `run.sh`, which counts the instructions.
//!
//! ```text
//! matter-session-instructions WHAT BYTES MESSAGES
//! ```
//! WHAT is `encode`, `decode`, `send` or `receive`. However many messages are decoded or received,
//! the same number is encoded beforehand, and as many exchanges are opened however many messages are
//! sent: two runs with other numbers differ by these calls alone. Any allocation of `encode` or
//! `decode` is a failure.

mod manager;

use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;

use manager::World;
use matter_session::crypto::RustCrypto;
use matter_session::ids::{ExchangeId, LocalSessionId, PeerSessionId, ProtocolId};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, SecureSession, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::time::Instant;
use matter_session::wire::{HEADROOM, MessageBuf, Packet, ProtocolHeader, TAILROOM};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Instant = Instant::ZERO;

const HEADER: ProtocolHeader = ProtocolHeader {
    exchange: ExchangeId::new(1),
    protocol: ProtocolId::INTERACTION_MODEL,
    opcode: 8,
    initiator: true,
    needs_ack: true,
    ack: None,
};

/// The most that may be asked for.
const MESSAGES: usize = 1000;

fn session(role: SessionRole) -> SecureSession<RustCrypto> {
    let setup = SessionSetup {
        role,
        local_session_id: LocalSessionId::new(1).expect("is not 0"),
        peer_session_id: PeerSessionId::new(1).expect("is not 0"),
        identity: Identity::pase(),
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    };
    let keys = hazmat::session_keys(&[7; 48]);
    hazmat::secure_session(&RustCrypto, &keys, setup, Counters::starting_at(1), NOW)
}

/// One message into `buf`, as an application has it: the payload is copied into its place.
fn encode(session: &mut SecureSession<RustCrypto>, payload: &[u8], buf: &mut [u8]) -> usize {
    let message = MessageBuf::with_payload(buf, black_box(payload)).expect("fits");
    black_box(session.encode(&HEADER, message, NOW).expect("is sealed").as_bytes()).len()
}

fn decode(session: &mut SecureSession<RustCrypto>, datagram: &mut [u8]) {
    let packet = Packet::parse(black_box(datagram)).expect("has a header");
    black_box(session.decode(packet, NOW).expect("opens").payload.len());
}

fn run(what: &str, bytes: usize, messages: usize) -> Result<(), String> {
    let mut sender = session(SessionRole::Initiator);
    let payload = vec![0x5A; bytes];
    let mut buf = vec![0; HEADROOM + bytes + TAILROOM];
    let region;
    match what {
        "send" => {
            let mut world = World::new();
            let exchanges = world.exchanges();
            world.send(&exchanges[..messages], &payload);
            return Ok(());
        }
        "receive" => {
            let mut world = World::new();
            let mut datagrams = world.datagrams(&payload);
            world.receive(&mut datagrams[..messages]);
            return Ok(());
        }
        "encode" => {
            region = Region::new(ALLOCATOR);
            for _ in 0..messages {
                encode(&mut sender, &payload, &mut buf);
            }
        }
        "decode" => {
            let mut seal = || {
                let message = MessageBuf::with_payload(&mut buf, &payload).expect("fits");
                sender.encode(&HEADER, message, NOW).expect("is sealed").as_bytes().to_vec()
            };
            // Each is new to the receiver, and in order.
            let mut datagrams: Vec<_> = (0..MESSAGES).map(|_| seal()).collect();
            let mut receiver = session(SessionRole::Responder);
            region = Region::new(ALLOCATOR);
            for datagram in datagrams.iter_mut().take(messages) {
                decode(&mut receiver, datagram);
            }
        }
        _ => return Err(format!("{what}?")),
    }
    let change = region.change();
    let allocations = change.allocations + change.reallocations;
    println!("{allocations} allocations");
    if allocations == 0 { Ok(()) } else { Err("a message allocates".into()) }
}

/// Whether AES instructions are found here: with another path other figures are counted.
#[cfg(target_arch = "x86_64")]
fn has_aes() -> bool {
    std::is_x86_feature_detected!("aes")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_aes() -> bool {
    false
}

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().collect();
    let outcome = match &args[..] {
        [_, what, bytes, messages] => match (bytes.parse(), messages.parse()) {
            (Ok(bytes), Ok(messages)) if messages <= MESSAGES => run(what, bytes, messages),
            _ => Err(format!("two numbers are wanted, the second {MESSAGES} at the most")),
        },
        [_, what] if what == "path" => {
            println!("{}", if has_aes() { "aes" } else { "soft" });
            Ok(())
        }
        _ => {
            Err("usage: matter-session-instructions encode|decode|send|receive BYTES MESSAGES"
                .into())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
