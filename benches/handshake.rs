//! Handshakes, by side: PASE with and without the stretching of the passcode, CASE with and
//! without an intermediate certificate, CASE resumed.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that panics has failed")]

mod authority;

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant as Clock;

use authority::members;
use criterion::{Criterion, criterion_group, criterion_main};
use matter_session::cert::{NoCache, Profile};
use matter_session::crypto::{
    Crypto, CryptoError, HASH_LEN, KEY_LEN, Passcode, PbkdfParameters, PublicKey, RustCrypto,
    Secret, Signature, SigningKey, SpakeSecrets, Verifier,
};
use matter_session::fabric::FabricBuf;
use matter_session::handshake::case::KeepNone;
use matter_session::handshake::{
    CaseClient, CaseEnv, CaseServer, Context, Failure, Incoming, MAX_MESSAGE_LEN, Outgoing,
    PaseClient, PaseServer, Step,
};
use matter_session::ids::{FabricIndex, LocalSessionId, NodeId};
use matter_session::rand_core::{CryptoRng, UnwrapErr};
use matter_session::resumption::{ResumptionRecord, ResumptionStore};
use matter_session::session::{ResumptionId, SessionParameters};
use matter_session::time::Instant;
use matter_session::wire::secure_channel::Opcode;

const NOW: Instant = Instant::ZERO;
const PARAMETERS: SessionParameters = SessionParameters::matter_1_6();
const INITIATOR: NodeId = NodeId::new(1);
const RESPONDER: NodeId = NodeId::new(2);

/// What a handshake took of each side's time.
#[derive(Default)]
struct Spent {
    initiator: Duration,
    responder: Duration,
}

/// What a side does when a message has arrived.
enum Next {
    Send(Message),
    Established(Option<Message>, Option<ResumptionRecord>),
}

type Message = (Opcode, Vec<u8>);

fn owned(message: Outgoing<'_>) -> Message {
    (message.opcode, message.payload.to_vec())
}

fn next<C: Crypto>(step: Result<Step<'_>, Failure<'_>>, crypto: &C, cx: &mut Context<'_>) -> Next {
    match step.unwrap() {
        Step::Send(message) => Next::Send(owned(message)),
        Step::Established { reply, established } => {
            black_box(established.session.begin(crypto, cx));
            Next::Established(reply.map(owned), established.record)
        }
        Step::Sign(_) => unreachable!("signed by the caller"),
    }
}

fn timed<R>(spent: &mut Duration, work: impl FnOnce() -> R) -> R {
    let begin = Clock::now();
    let result = work();
    *spent += begin.elapsed();
    result
}

/// Runs a handshake to its end; also returns the resumption record of the side that ends it.
fn run(
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

fn local(id: u16) -> LocalSessionId {
    LocalSessionId::new(id).unwrap()
}

fn pase<C: Crypto>(crypto: &C, verifier: &Verifier, pbkdf: PbkdfParameters) -> Spent {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut own_rng = UnwrapErr(getrandom::SysRng);
    let mut cx = Context::new(NOW, &mut rng);
    let mut own_cx = Context::new(NOW, &mut own_rng);
    let mut spent = Spent::default();
    let (mut out, mut own_out) = ([0; MAX_MESSAGE_LEN], [0; MAX_MESSAGE_LEN]);
    let passcode = Passcode::new(20_202_021).unwrap();
    let mut server = PaseServer::new(verifier.clone(), pbkdf, local(2), &PARAMETERS, NOW);
    let (mut client, first) = timed(&mut spent.initiator, || {
        let (client, first) =
            PaseClient::start(passcode, None, local(1), &PARAMETERS, &mut cx, crypto, &mut out)
                .unwrap();
        (client, owned(first))
    });
    run(
        spent,
        first,
        |message| {
            let step = server.handle(message, &mut own_cx, crypto, &mut own_out);
            next(step, crypto, &mut own_cx)
        },
        |message| {
            let step = client.handle(message, &mut cx, crypto, &mut out);
            next(step, crypto, &mut cx)
        },
    )
    .0
}

/// A node of a fabric.
struct Node {
    fabrics: [FabricBuf; 1],
    key: SigningKey,
    record: Option<ResumptionRecord>,
}

/// A store of one record.
struct One(Option<ResumptionRecord>);

impl ResumptionStore for One {
    fn by_id(&mut self, id: &ResumptionId) -> Option<ResumptionRecord> {
        self.0.clone().filter(|record| record.id == *id)
    }

    fn by_peer(&mut self, fabric: FabricIndex, peer: NodeId) -> Option<ResumptionRecord> {
        self.0.clone().filter(|record| (record.fabric, record.peer) == (fabric, peer))
    }

    fn claim(&mut self, _: &ResumptionId) -> bool {
        true
    }

    fn save(&mut self, record: &ResumptionRecord) {
        self.0 = Some(record.clone());
    }

    fn remove(&mut self, _: FabricIndex, _: NodeId) {
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
            verified: &mut NoCache,
            certificates: &mut KeepNone,
            profile: Profile::default(),
            parameters: &PARAMETERS,
        })
    }
}

/// Two nodes of one fabric: initiator and responder.
fn nodes(with_icac: bool) -> (Node, Node) {
    let [initiator, responder] = members([INITIATOR, RESPONDER], with_icac).map(|member| {
        let fabric = FabricBuf::new(&RustCrypto, FabricIndex::MIN, &member.credentials()).unwrap();
        Node { fabrics: [fabric], key: member.key, record: None }
    });
    (initiator, responder)
}

/// Dials with the initiator's resumption record, if it has one.
fn case(initiator: &Node, responder: &Node) -> (Spent, Option<ResumptionRecord>) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut own_rng = UnwrapErr(getrandom::SysRng);
    let mut cx = Context::new(NOW, &mut rng);
    let mut own_cx = Context::new(NOW, &mut own_rng);
    let (mut out, mut own_out) = ([0; MAX_MESSAGE_LEN], [0; MAX_MESSAGE_LEN]);
    let (mut key, mut own_key) = (clone(&initiator.key), clone(&responder.key));
    let mut spent = Spent::default();
    let fabric = FabricIndex::MIN;
    let mut server = CaseServer::new(local(2), NOW);
    let (mut client, first) = timed(&mut spent.initiator, || {
        initiator.with_env(|env| {
            let record = initiator.record.clone();
            let id = local(1);
            let (client, first) = CaseClient::start(
                fabric,
                RESPONDER,
                record,
                id,
                env,
                &mut cx,
                &RustCrypto,
                &mut out,
            )
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
                let signed = match server.handle(message, env, cx, &RustCrypto, &mut own_out) {
                    Ok(Step::Sign(request)) => request.sign_with(&mut own_key),
                    step => return next(step, &RustCrypto, cx),
                };
                next(server.resume(&signed, env, cx, &RustCrypto, &mut own_out), &RustCrypto, cx)
            })
        },
        |message| {
            initiator.with_env(|env| {
                let cx = &mut cx;
                let signed = match client.handle(message, env, cx, &RustCrypto, &mut out) {
                    Ok(Step::Sign(request)) => request.sign_with(&mut key),
                    step => return next(step, &RustCrypto, cx),
                };
                next(client.resume(&signed, env, cx, &RustCrypto, &mut out), &RustCrypto, cx)
            })
        },
    )
}

fn clone(key: &SigningKey) -> SigningKey {
    SigningKey::from_bytes(&key.to_bytes()).unwrap()
}

/// Benches a handshake as a whole and by side.
fn sides(c: &mut Criterion, name: &str, mut handshake: impl FnMut() -> Spent) {
    type Side = (&'static str, fn(&Spent) -> Duration);
    let sides: [Side; 3] = [
        ("both", |spent| spent.initiator + spent.responder),
        ("initiator", |spent| spent.initiator),
        ("responder", |spent| spent.responder),
    ];
    let mut group = c.benchmark_group(name);
    for (side, part) in sides {
        group.bench_function(side, |b| {
            b.iter_custom(|iterations| (0..iterations).map(|_| part(&handshake())).sum());
        });
    }
    group.finish();
}

fn handshakes(c: &mut Criterion) {
    let pbkdf = PbkdfParameters::new(1000, &[0x5A; 32]).unwrap();
    let passcode = Passcode::new(20_202_021).unwrap();
    let stretched = Stretched(RustCrypto);
    let verifier = Verifier::generate(&stretched, &passcode, &pbkdf).unwrap();
    sides(c, "pase/no-pbkdf2", || pase(&stretched, &verifier, pbkdf));
    let verifier = Verifier::generate(&RustCrypto, &passcode, &pbkdf).unwrap();
    sides(c, "pase/pbkdf2-1000", || pase(&RustCrypto, &verifier, pbkdf));
    c.bench_function("pbkdf2/1000", |b| {
        let mut out = [0; 80];
        b.iter(|| RustCrypto.pbkdf2(&20_202_021_u32.to_le_bytes(), &[0x5A; 32], 1000, &mut out));
    });

    let (initiator, responder) = nodes(false);
    sides(c, "case/full", || case(&initiator, &responder).0);
    let (mut initiator, mut responder) = nodes(true);
    sides(c, "case/full-icac", || case(&initiator, &responder).0);

    // The initiator ends a full handshake, so its record is what is returned; the responder's
    // names the other node.
    let record = case(&initiator, &responder).1.unwrap();
    responder.record = Some(ResumptionRecord { peer: INITIATOR, ..record.clone() });
    initiator.record = Some(record);
    sides(c, "case/resumed", || case(&initiator, &responder).0);
}

/// A backend for which stretching the passcode costs nothing: its result is a constant.
struct Stretched(RustCrypto);

impl Crypto for Stretched {
    type Aead = <RustCrypto as Crypto>::Aead;
    type Sha256 = <RustCrypto as Crypto>::Sha256;
    type Ephemeral = <RustCrypto as Crypto>::Ephemeral;

    fn pbkdf2(&self, _: &[u8], _: &[u8], _: u32, out: &mut [u8]) {
        out.fill(0x5A);
    }

    fn aead(&self, key: &Secret<KEY_LEN>) -> Self::Aead {
        self.0.aead(key)
    }

    fn sha256(&self) -> Self::Sha256 {
        self.0.sha256()
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> [u8; HASH_LEN] {
        self.0.hmac(key, parts)
    }

    fn hkdf(
        &self,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.0.hkdf(secret, salt, info, out)
    }

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<Self::Ephemeral, CryptoError> {
        self.0.ephemeral(rng)
    }

    fn ephemeral_public(&self, own: &Self::Ephemeral) -> PublicKey {
        self.0.ephemeral_public(own)
    }

    fn ecdh(&self, own: Self::Ephemeral, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        self.0.ecdh(own, peer)
    }

    fn verify(
        &self,
        key: &PublicKey,
        digest: &[u8; HASH_LEN],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        self.0.verify(key, digest, signature)
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        self.0.random_scalar(rng)
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        self.0.spake_reduce(wide)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        self.0.spake_l(w1)
    }

    fn spake_prover_share(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
    ) -> Result<PublicKey, CryptoError> {
        self.0.spake_prover_share(x, w0)
    }

    fn spake_prover_finish(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
        w1: &Secret<32>,
        y_share: &PublicKey,
    ) -> Result<SpakeSecrets, CryptoError> {
        self.0.spake_prover_finish(x, w0, w1, y_share)
    }

    fn spake_verifier(
        &self,
        y: &Secret<32>,
        w0: &Secret<32>,
        l: &PublicKey,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
        self.0.spake_verifier(y, w0, l, x_share)
    }
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
