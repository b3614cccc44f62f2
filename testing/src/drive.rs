//! Handshakes between two state machines, each side's time taken apart.

use core::cell::RefCell;
use core::hint::black_box;
use core::time::Duration;
use std::time::Instant as Clock;

use matter_session::Peer;
use matter_session::cert::{NoCache, Profile, VerifiedCache};
use matter_session::context::{Context, Services};
use matter_session::crypto::{
    Crypto, OperationalKey, Passcode, PbkdfParameters, RustCrypto, SigningKey, Verifier,
};
use matter_session::fabric::FabricBuf;
use matter_session::handshake::case::Presented;
use matter_session::handshake::{
    CaseClient, CaseEnv, CaseServer, CaseStart, Failure, Incoming, MAX_MESSAGE_LEN, Outgoing,
    PaseClient, PaseServer, PaseStart, Step,
};
use matter_session::ids::{FabricIndex, LocalSessionId, NodeId};
use matter_session::rand_core::UnwrapErr;
use matter_session::resumption::ResumptionRecord;
use matter_session::session::SessionParameters;
use matter_session::time::Instant;

use crate::net::{PASSCODE, members};
use crate::node::{Message, Records};

pub const NOW: Instant = Instant::ZERO;
pub const PARAMETERS: SessionParameters = SessionParameters::matter_1_6();
const INITIATOR: NodeId = NodeId::new(1);
const RESPONDER: NodeId = NodeId::new(2);

/// What a handshake took of each side's time.
#[derive(Default)]
pub struct Spent {
    pub initiator: Duration,
    pub responder: Duration,
}

/// What a side does when a message has arrived.
pub enum Next {
    Send(Message),
    Established(Option<Message>, Option<ResumptionRecord>),
}

pub fn owned(message: Outgoing, out: &[u8]) -> Message {
    (message.opcode, message.payload(out).to_vec())
}

pub fn next<C: Crypto>(
    step: Result<Step, Failure>,
    out: &[u8],
    crypto: &C,
    cx: &mut Context<'_>,
) -> Next {
    match step.unwrap() {
        Step::Send(message) => Next::Send(owned(message, out)),
        Step::Established { reply, established, .. } => {
            black_box(established.session.begin(crypto, cx));
            Next::Established(reply.map(|reply| owned(reply, out)), established.record)
        }
        step => unreachable!("signed by the caller: {step:?}"),
    }
}

pub fn timed<R>(spent: &mut Duration, work: impl FnOnce() -> R) -> R {
    let begin = Clock::now();
    let result = work();
    *spent += begin.elapsed();
    result
}

/// Runs a handshake to its end; also returns the resumption record of the side that ends it.
pub fn run(
    mut spent: Spent,
    first: Message,
    mut responder: impl FnMut(Incoming<'_>) -> Next,
    mut initiator: impl FnMut(Incoming<'_>) -> Next,
) -> (Spent, Option<ResumptionRecord>) {
    let (mut opcode, mut payload) = first;
    for to_responder in [true, false].into_iter().cycle() {
        let message = Incoming::new(opcode, &mut payload);
        let next = if to_responder {
            timed(&mut spent.responder, || responder(message))
        } else {
            timed(&mut spent.initiator, || initiator(message))
        };
        (opcode, payload) = match next {
            Next::Send(message) | Next::Established(Some(message), _) => message,
            Next::Established(None, record) => return (spent, record),
        };
    }
    unreachable!("handshakes end")
}

pub fn local(id: u16) -> LocalSessionId {
    LocalSessionId::new(id).unwrap()
}

/// A node of a fabric.
pub struct Node {
    fabrics: [FabricBuf; 1],
    key: SigningKey,
    /// What it remembers of certificates.
    pub verified: RefCell<Box<dyn VerifiedCache>>,
    pub record: Option<ResumptionRecord>,
    /// Where the certificates of its peer stay while they are verified.
    room: RefCell<[u8; Presented::LEN]>,
}

impl Node {
    /// Borrows what a step of CASE needs.
    fn with_env<R>(&self, step: impl FnOnce(&mut CaseEnv<'_>) -> R) -> R {
        step(&mut CaseEnv {
            fabrics: &self.fabrics.as_slice(),
            resumption: &mut Records(self.record.as_slice()),
            verified: &mut **self.verified.borrow_mut(),
            certificates: Presented::new(&mut *self.room.borrow_mut()),
            profile: Profile::default(),
            record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
            parameters: &PARAMETERS,
        })
    }
}

/// Two nodes of one fabric, initiator and responder, that remember no certificates.
pub fn nodes(with_icac: bool) -> (Node, Node) {
    let [initiator, responder] = members([INITIATOR, RESPONDER], with_icac).map(|member| {
        let fabric = FabricBuf::new(&RustCrypto, FabricIndex::MIN, &member.credentials()).unwrap();
        let verified = RefCell::new(Box::new(NoCache) as _);
        Node { fabrics: [fabric], key: member.key, verified, record: None, room: RefCell::new([0; Presented::LEN]) }
    });
    (initiator, responder)
}

/// Gives both the record of a full handshake.
pub fn remember(initiator: &mut Node, responder: &mut Node) {
    // The initiator ends a full handshake, so its record is what is returned; the responder's
    // names the other node.
    let record = case(initiator, responder).1.unwrap();
    responder.record = Some(ResumptionRecord { peer: INITIATOR, ..record.clone() });
    initiator.record = Some(record);
}

/// Dials with the initiator's resumption record, if it has one.
pub fn case(initiator: &Node, responder: &Node) -> (Spent, Option<ResumptionRecord>) {
    let clone = |key: &SigningKey| SigningKey::from_bytes(&key.to_bytes()).unwrap();
    case_on(&RustCrypto, clone, initiator, responder)
}

/// The same on any backend; `signer` makes a key of its kind, which is not timed.
pub fn case_on<C: Crypto, K: OperationalKey>(
    crypto: &C,
    signer: impl Fn(&SigningKey) -> K,
    initiator: &Node,
    responder: &Node,
) -> (Spent, Option<ResumptionRecord>) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut own_rng = UnwrapErr(getrandom::SysRng);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let mut services = Services::new(&mut own_rng);
    let mut own_cx = services.at(NOW);
    let (mut out, mut own_out) = ([0; MAX_MESSAGE_LEN], [0; MAX_MESSAGE_LEN]);
    let (mut key, mut own_key) = (signer(&initiator.key), signer(&responder.key));
    let mut spent = Spent::default();
    let fabric = FabricIndex::MIN;
    let mut server = CaseServer::new(local(2), NOW);
    let (mut client, first) = timed(&mut spent.initiator, || {
        initiator.with_env(|env| {
            let record = initiator.record.clone();
            let start = CaseStart::new(Peer::new(fabric, RESPONDER), local(1)).with_record(record);
            let (client, first) = CaseClient::start(crypto, &mut cx, env, start, &mut out).unwrap();
            (client, owned(first, &out))
        })
    });
    run(
        spent,
        first,
        |message| {
            responder.with_env(|env| {
                let cx = &mut own_cx;
                let mut step = server.handle(crypto, cx, env, message, &mut own_out);
                while let Ok(Step::More) = step {
                    step = server.proceed(crypto, cx, env, &mut own_out);
                }
                let signed = match step {
                    Ok(Step::Sign(request)) => request.sign_with(&mut own_key),
                    step => return next(step, &own_out, crypto, cx),
                };
                let step = server.resume(crypto, cx, env, &signed, &mut own_out);
                next(step, &own_out, crypto, cx)
            })
        },
        |message| {
            initiator.with_env(|env| {
                let cx = &mut cx;
                let mut step = client.handle(crypto, cx, env, message, &mut out);
                while let Ok(Step::More) = step {
                    step = client.proceed(crypto, cx, env, &mut out);
                }
                let signed = match step {
                    Ok(Step::Sign(request)) => request.sign_with(&mut key),
                    step => return next(step, &out, crypto, cx),
                };
                let step = client.resume(crypto, cx, env, &signed, &mut out);
                next(step, &out, crypto, cx)
            })
        },
    )
}

/// Runs PASE, the verifier given.
pub fn pase<C: Crypto>(crypto: &C, verifier: &Verifier, pbkdf: PbkdfParameters) -> Spent {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut own_rng = UnwrapErr(getrandom::SysRng);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let mut services = Services::new(&mut own_rng);
    let mut own_cx = services.at(NOW);
    let mut spent = Spent::default();
    let (mut out, mut own_out) = ([0; MAX_MESSAGE_LEN], [0; MAX_MESSAGE_LEN]);
    let passcode = Passcode::new(PASSCODE).unwrap();
    let mut server = PaseServer::new(verifier.clone(), pbkdf, local(2), &PARAMETERS, NOW);
    let (mut client, first) = timed(&mut spent.initiator, || {
        let start = PaseStart::new(passcode, local(1), &PARAMETERS);
        let (client, first) = PaseClient::start(crypto, &mut cx, start, &mut out).unwrap();
        (client, owned(first, &out))
    });
    run(
        spent,
        first,
        |message| {
            let mut step = server.handle(crypto, &mut own_cx, message, &mut own_out);
            while let Ok(Step::More) = step {
                step = server.proceed(crypto, &mut own_cx, &mut own_out);
            }
            next(step, &own_out, crypto, &mut own_cx)
        },
        |message| {
            let mut step = client.handle(crypto, &mut cx, message, &mut out);
            while let Ok(Step::More) = step {
                step = client.proceed(crypto, &mut cx, &mut out);
            }
            next(step, &out, crypto, &mut cx)
        },
    )
    .0
}
