//! Handshakes between two state machines, each side's time taken apart.

use core::cell::RefCell;
use core::hint::black_box;
use core::time::Duration;
use std::time::Instant as Clock;

use matter_session::cert::{NoCache, Profile, VerifiedCache};
use matter_session::context::{Context, Services};
use matter_session::crypto::{Crypto, OperationalKey, RustCrypto, SigningKey};
use matter_session::fabric::FabricBuf;
use matter_session::handshake::case::KeepNone;
use matter_session::handshake::{
    CaseClient, CaseEnv, CaseServer, Failure, Incoming, MAX_MESSAGE_LEN, Outgoing, Step,
};
use matter_session::ids::{FabricIndex, LocalSessionId, NodeId, Peer};
use matter_session::rand_core::UnwrapErr;
use matter_session::resumption::{ResumptionRecord, ResumptionStore};
use matter_session::session::{ResumptionId, SessionParameters};
use matter_session::time::Instant;
use matter_session::wire::secure_channel::Opcode;

use crate::authority::members;

pub(crate) const NOW: Instant = Instant::ZERO;
pub(crate) const PARAMETERS: SessionParameters = SessionParameters::matter_1_6();
const INITIATOR: NodeId = NodeId::new(1);
const RESPONDER: NodeId = NodeId::new(2);

/// What a handshake took of each side's time.
#[derive(Default)]
pub(crate) struct Spent {
    pub(crate) initiator: Duration,
    pub(crate) responder: Duration,
}

/// What a side does when a message has arrived.
pub(crate) enum Next {
    Send(Message),
    Established(Option<Message>, Option<ResumptionRecord>),
}

pub(crate) type Message = (Opcode, Vec<u8>);

pub(crate) fn owned(message: Outgoing<'_>) -> Message {
    (message.opcode, message.payload.to_vec())
}

pub(crate) fn next<C: Crypto>(
    step: Result<Step<'_>, Failure<'_>>,
    crypto: &C,
    cx: &mut Context<'_>,
) -> Next {
    match step.unwrap() {
        Step::Send(message) => Next::Send(owned(message)),
        Step::Established { reply, established } => {
            black_box(established.session.begin(crypto, cx));
            Next::Established(reply.map(owned), established.record)
        }
        Step::Sign(_) => unreachable!("signed by the caller"),
    }
}

pub(crate) fn timed<R>(spent: &mut Duration, work: impl FnOnce() -> R) -> R {
    let begin = Clock::now();
    let result = work();
    *spent += begin.elapsed();
    result
}

/// Runs a handshake to its end; also returns the resumption record of the side that ends it.
pub(crate) fn run(
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

pub(crate) fn local(id: u16) -> LocalSessionId {
    LocalSessionId::new(id).unwrap()
}

/// A node of a fabric.
pub(crate) struct Node {
    fabrics: [FabricBuf; 1],
    key: SigningKey,
    /// What it remembers of certificates.
    pub(crate) verified: RefCell<Box<dyn VerifiedCache>>,
    pub(crate) record: Option<ResumptionRecord>,
}

/// A store of one record.
struct One(Option<ResumptionRecord>);

impl ResumptionStore for One {
    fn by_id(&mut self, id: &ResumptionId) -> Option<ResumptionRecord> {
        self.0.clone().filter(|record| record.id == *id)
    }

    fn by_peer(&mut self, Peer { fabric, node: peer }: Peer) -> Option<ResumptionRecord> {
        self.0.clone().filter(|record| (record.fabric, record.peer) == (fabric, peer))
    }

    fn claim(&mut self, _: &ResumptionId) -> bool {
        true
    }

    fn save(&mut self, record: &ResumptionRecord) {
        self.0 = Some(record.clone());
    }

    fn remove(&mut self, _: Peer) {
        self.0 = None;
    }

    fn remove_fabric(&mut self, _: FabricIndex) {
        self.0 = None;
    }
}

impl Node {
    /// Borrows what a step of CASE needs.
    fn with_env<R>(&self, step: impl FnOnce(&mut CaseEnv<'_>) -> R) -> R {
        step(&mut CaseEnv {
            fabrics: &self.fabrics.as_slice(),
            resumption: &mut One(self.record.clone()),
            verified: &mut **self.verified.borrow_mut(),
            certificates: &mut KeepNone,
            profile: Profile::default(),
            parameters: &PARAMETERS,
        })
    }
}

/// Two nodes of one fabric, initiator and responder, that remember no certificates.
pub(crate) fn nodes(with_icac: bool) -> (Node, Node) {
    let [initiator, responder] = members([INITIATOR, RESPONDER], with_icac).map(|member| {
        let fabric = FabricBuf::new(&RustCrypto, FabricIndex::MIN, &member.credentials()).unwrap();
        let verified = RefCell::new(Box::new(NoCache) as _);
        Node { fabrics: [fabric], key: member.key, verified, record: None }
    });
    (initiator, responder)
}

/// Gives both the record of a full handshake.
pub(crate) fn remember(initiator: &mut Node, responder: &mut Node) {
    // The initiator ends a full handshake, so its record is what is returned; the responder's
    // names the other node.
    let record = case(initiator, responder).1.unwrap();
    responder.record = Some(ResumptionRecord { peer: INITIATOR, ..record.clone() });
    initiator.record = Some(record);
}

/// Dials with the initiator's resumption record, if it has one.
pub(crate) fn case(initiator: &Node, responder: &Node) -> (Spent, Option<ResumptionRecord>) {
    let clone = |key: &SigningKey| SigningKey::from_bytes(&key.to_bytes()).unwrap();
    case_on(&RustCrypto, clone, initiator, responder)
}

/// The same on any backend; `signer` makes a key of its kind, which is not timed.
pub(crate) fn case_on<C: Crypto, K: OperationalKey>(
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
            let id = local(1);
            let (client, first) =
                CaseClient::start(fabric, RESPONDER, record, id, env, &mut cx, crypto, &mut out)
                    .unwrap();
            (client, owned(first))
        })
    });
    run(
        spent,
        first,
        |message| {
            responder.with_env(|env| {
                let cx = &mut own_cx;
                let signed = match server.handle(message, env, cx, crypto, &mut own_out) {
                    Ok(Step::Sign(request)) => request.sign_with(&mut own_key),
                    step => return next(step, crypto, cx),
                };
                next(server.resume(&signed, env, cx, crypto, &mut own_out), crypto, cx)
            })
        },
        |message| {
            initiator.with_env(|env| {
                let cx = &mut cx;
                let signed = match client.handle(message, env, cx, crypto, &mut out) {
                    Ok(Step::Sign(request)) => request.sign_with(&mut key),
                    step => return next(step, crypto, cx),
                };
                next(client.resume(&signed, env, cx, crypto, &mut out), crypto, cx)
            })
        },
    )
}
