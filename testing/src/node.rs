//! A node's surroundings, and a handshake of any role in them.

use matter_session::cert::{NoCache, Profile};
use matter_session::context::{Context, Services};
use matter_session::context::PeerPolicy;
use matter_session::crypto::{
    Crypto, OperationalKey, Passcode, PbkdfParameters, PublicKey, Secret, Signature, SigningKey,
    Verifier,
};
use matter_session::fabric::{FabricBuf, FabricCredentials, Ipk};
use matter_session::handshake::case::Presented;
use matter_session::handshake::{
    CaseClient, CaseEnv, CaseServer, CaseStart, Established, Failure, HandshakeError, Incoming,
    MAX_MESSAGE_LEN, Outgoing, PaseClient, PaseServer, PaseStart, SignRequest, Signed, Step,
};
use matter_session::ids::{FabricIndex, LocalSessionId, NodeId, Peer};
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, ResumptionId, SecureSession, SessionKind, SessionParameters, SessionRole,
    SessionSetup,
};
use matter_session::time::{Instant, WallClock};
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{MessageBuf, Packet, ProtocolHeader};

use crate::{Backend, Script};

/// A message on its way.
pub type Message = (Opcode, Vec<u8>);

/// The present of all tests that do not say otherwise.
pub const NOW: Instant = Instant::from_millis(1_000_000);

pub fn session_id(value: u16) -> LocalSessionId {
    LocalSessionId::new(value).unwrap()
}

pub fn index(value: u8) -> FabricIndex {
    FabricIndex::new(value).unwrap()
}

/// What CASE needs to know of a node.
#[derive(Clone)]
pub struct Node {
    pub fabrics: Vec<FabricBuf>,
    pub records: Vec<ResumptionRecord>,
    pub parameters: SessionParameters,
    pub profile: Profile,
    pub wall: WallClock,
}

impl Node {
    pub fn new(fabrics: Vec<FabricBuf>) -> Self {
        Self {
            fabrics,
            records: Vec::new(),
            parameters: SessionParameters::matter_1_6(),
            profile: Profile::default(),
            wall: WallClock::Unknown,
        }
    }

    pub fn env<R>(
        &self,
        certificates: &mut Kept,
        run: impl FnOnce(&mut CaseEnv<'_>) -> R,
    ) -> R {
        let (fabrics, mut resumption) = (self.fabrics.as_slice(), Records(&self.records));
        let mut env = CaseEnv {
            fabrics: &fabrics,
            resumption: &mut resumption,
            verified: &mut NoCache,
            certificates: Presented::new(&mut certificates.room),
            profile: self.profile,
            record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
            parameters: &self.parameters,
        };
        let result = run(&mut env);
        if let Some(kept) = env.certificates.certificates() {
            let icac = kept.icac().map(<[u8]>::to_vec);
            certificates.kept.push((kept.noc().to_vec(), icac, *kept.public_key()));
        }
        result
    }
}

/// What peers have presented, and what was verified of it: NOC, ICAC, public key.
pub struct Kept {
    pub room: [u8; Presented::LEN],
    pub kept: Vec<(Vec<u8>, Option<Vec<u8>>, PublicKey)>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { room: [0; Presented::LEN], kept: Vec::new() }
    }
}

/// The records of a node; handshakes alone do not change them.
pub struct Records<'a>(pub &'a [ResumptionRecord]);

impl ResumptionStore for Records<'_> {
    fn by_id(
        &mut self,
        fabric: FabricIndex,
        id: &ResumptionId,
        n: usize,
    ) -> Option<ResumptionRecord> {
        let found = |record: &&ResumptionRecord| (record.fabric, record.id) == (fabric, *id);
        self.0.iter().filter(found).nth(n).cloned()
    }

    fn by_peer(&mut self, Peer { fabric, node: peer }: Peer) -> Option<ResumptionRecord> {
        let of_peer = |record: &&ResumptionRecord| (record.fabric, record.peer) == (fabric, peer);
        self.0.iter().find(of_peer).cloned()
    }

    fn claim(&mut self, _: Peer, _: &ResumptionId) -> Claim {
        Claim::Granted
    }

    fn save(&mut self, _: &ResumptionRecord) {
        unreachable!("a handshake alone does not save")
    }

    fn remove(&mut self, _: Peer) {
        unreachable!("a handshake alone removes no record")
    }

    fn remove_fabric(&mut self, _: FabricIndex) {
        unreachable!("a handshake alone removes no fabric")
    }
}

pub fn fabric<C: Crypto>(
    crypto: &C,
    at: u8,
    root: &[u8],
    icac: Option<&[u8]>,
    noc: &[u8],
    epoch_keys: &[[u8; 16]],
) -> FabricBuf {
    let ipks: Vec<_> = epoch_keys.iter().map(|key| Ipk::EpochKey(Secret::from(key))).collect();
    let credentials = FabricCredentials { root, icac, noc, ipks: &ipks };
    FabricBuf::new(crypto, index(at), &credentials).unwrap()
}

pub fn signing_key(octets: [u8; 32]) -> SigningKey {
    SigningKey::from_bytes(&Secret::new(octets)).unwrap()
}

/// How a party answers a request to sign.
pub enum Sign {
    Key(SigningKey),
    Recorded(Signature),
    /// Not at once: the request is handed out.
    Later,
}

pub enum Machine<C: Crypto> {
    PaseClient(PaseClient<C>),
    PaseServer(PaseServer<C>),
    CaseClient(CaseClient<C>),
    CaseServer(CaseServer<C>),
}

impl<C: Crypto> Machine<C> {
    /// Hands a message over; CASE needs its surroundings.
    pub fn handle(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: Option<&mut CaseEnv<'_>>,
        incoming: Incoming<'_>,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        match (self, env) {
            (Self::PaseClient(m), _) => m.handle(crypto, cx, incoming, out),
            (Self::PaseServer(m), _) => m.handle(crypto, cx, incoming, out),
            (Self::CaseClient(m), Some(env)) => m.handle(crypto, cx, env, incoming, out),
            (Self::CaseServer(m), Some(env)) => m.handle(crypto, cx, env, incoming, out),
            _ => unreachable!("CASE without its surroundings"),
        }
    }

    pub fn proceed(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: Option<&mut CaseEnv<'_>>,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        match (self, env) {
            (Self::PaseClient(m), _) => m.proceed(crypto, cx, out),
            (Self::PaseServer(m), _) => m.proceed(crypto, cx, out),
            (Self::CaseClient(m), Some(env)) => m.proceed(crypto, cx, env, out),
            (Self::CaseServer(m), Some(env)) => m.proceed(crypto, cx, env, out),
            _ => unreachable!("CASE without its surroundings"),
        }
    }

    pub fn resume(
        &mut self,
        crypto: &C,
        cx: &Context<'_>,
        env: &CaseEnv<'_>,
        signed: &Signed,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        match self {
            Self::CaseClient(m) => m.resume(crypto, cx, env, signed, out),
            Self::CaseServer(m) => m.resume(crypto, cx, env, signed, out),
            _ => unreachable!("PASE signs nothing"),
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::PaseClient(m) => m.poll_timeout(),
            Self::PaseServer(m) => m.poll_timeout(),
            Self::CaseClient(m) => m.poll_timeout(),
            Self::CaseServer(m) => m.poll_timeout(),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant, out: &mut [u8]) -> Result<(), Failure> {
        match self {
            Self::PaseClient(m) => m.handle_timeout(now, out),
            Self::PaseServer(m) => m.handle_timeout(now, out),
            Self::CaseClient(m) => m.handle_timeout(now, out),
            Self::CaseServer(m) => m.handle_timeout(now, out),
        }
    }
}

/// One side of a handshake with all it needs.
pub struct Party<'a, C: Crypto = Backend> {
    pub crypto: &'a C,
    pub machine: Machine<C>,
    pub node: Option<&'a Node>,
    pub rng: Script,
    pub sign: Sign,
    pub now: Instant,
    pub policy: Option<&'a dyn PeerPolicy>,
    pub kept: Kept,
    /// The length of the output buffer.
    pub room: usize,
}

/// What a machine did, owned.
#[derive(Debug)]
pub enum Did<C: Crypto> {
    Sent(Message),
    Sign(SignRequest),
    Established { reply: Option<Message>, established: Box<End<C>> },
    Failed { error: HandshakeError, reply: Option<Message> },
}

/// What a handshake has ended in, its session begun.
#[derive(Debug)]
pub struct End<C: Crypto> {
    pub session: SecureSession<C>,
    pub record: Option<ResumptionRecord>,
    pub resumed: bool,
    /// How the machine's own answer prints.
    pub printed: String,
}

impl<'a, C: Crypto> Party<'a, C> {
    pub fn new(crypto: &'a C, machine: Machine<C>, node: Option<&'a Node>, rng: Script) -> Self {
        let (sign, policy) = (Sign::Later, None);
        let (kept, room) = (Kept::default(), MAX_MESSAGE_LEN);
        Self { crypto, machine, node, rng, sign, now: NOW, policy, kept, room }
    }

    pub fn pase_client(
        crypto: &'a C,
        passcode: u32,
        known: Option<PbkdfParameters>,
        id: u16,
        parameters: &SessionParameters,
        mut rng: Script,
    ) -> (Self, Message) {
        let mut out = [0; MAX_MESSAGE_LEN];
        let passcode = Passcode::new(passcode).unwrap();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        let start = PaseStart::new(passcode, session_id(id), parameters).with_pbkdf(known);
        let (machine, message) = PaseClient::start(crypto, &mut cx, start, &mut out).unwrap();
        let message = own(message, &out);
        (Self::new(crypto, Machine::PaseClient(machine), None, rng), message)
    }

    pub fn pase_server(
        crypto: &'a C,
        passcode: u32,
        pbkdf: PbkdfParameters,
        id: u16,
        parameters: &SessionParameters,
        rng: Script,
    ) -> Self {
        let passcode = Passcode::new(passcode).unwrap();
        let verifier = Verifier::generate(crypto, &passcode, &pbkdf).unwrap();
        Self::pase_server_with(crypto, verifier, pbkdf, id, parameters, rng)
    }

    pub fn pase_server_with(
        crypto: &'a C,
        verifier: Verifier,
        pbkdf: PbkdfParameters,
        id: u16,
        parameters: &SessionParameters,
        rng: Script,
    ) -> Self {
        let machine = PaseServer::new(verifier, pbkdf, session_id(id), parameters, NOW);
        Self::new(crypto, Machine::PaseServer(machine), None, rng)
    }

    /// Dials `peer` on the fabric with index 1.
    pub fn case_client(
        crypto: &'a C,
        node: &'a Node,
        peer: NodeId,
        record: Option<ResumptionRecord>,
        id: u16,
        mut rng: Script,
    ) -> (Self, Message) {
        let mut out = [0; MAX_MESSAGE_LEN];
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        let (machine, message) = node
            .env(&mut Kept::default(), |env| {
                let start = CaseStart::new(Peer::new(index(1), peer), session_id(id)).with_record(record);
                CaseClient::start(crypto, &mut cx, env, start, &mut out)
            })
            .unwrap();
        let message = own(message, &out);
        (Self::new(crypto, Machine::CaseClient(machine), Some(node), rng), message)
    }

    pub fn case_server(crypto: &'a C, node: &'a Node, id: u16, rng: Script) -> Self {
        let machine = CaseServer::new(session_id(id), NOW);
        Self::new(crypto, Machine::CaseServer(machine), Some(node), rng)
    }

    pub fn signing(mut self, sign: Sign) -> Self {
        self.sign = sign;
        self
    }

    /// Hands a message over, and signs if that is what it leads to and the party can.
    pub fn feed(&mut self, opcode: Opcode, payload: &[u8]) -> Did<C> {
        let mut payload = payload.to_vec();
        let mut out = vec![0; self.room];
        let wall = self.wall();
        let mut services = Services::new(&mut self.rng).with_wall(wall);
        if let Some(policy) = self.policy {
            services = services.with_policy(policy);
        }
        let mut cx = services.at(self.now);
        let incoming = Incoming::new(opcode, &mut payload);
        let (crypto, out) = (self.crypto, &mut out[..]);
        let (machine, node, kept) = (&mut self.machine, self.node, &mut self.kept);
        let mut step = match node {
            None => machine.handle(crypto, &mut cx, None, incoming, out),
            Some(node) => {
                node.env(kept, |env| machine.handle(crypto, &mut cx, Some(env), incoming, out))
            }
        };
        while let Ok(Step::More) = step {
            step = match node {
                None => machine.proceed(crypto, &mut cx, None, out),
                Some(node) => {
                    node.env(kept, |env| machine.proceed(crypto, &mut cx, Some(env), out))
                }
            };
        }
        match (did(step, out, crypto, &mut cx), &mut self.sign) {
            (Did::Sign(request), Sign::Key(key)) => {
                let result = key.sign_digest(request.digest());
                self.resume(&request.complete(result))
            }
            (Did::Sign(request), Sign::Recorded(signature)) => {
                let signed = request.complete(Ok(*signature));
                self.resume(&signed)
            }
            (did, _) => did,
        }
    }

    pub fn resume(&mut self, signed: &Signed) -> Did<C> {
        let mut out = vec![0; self.room];
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(self.now);
        let (crypto, node, out) = (self.crypto, self.node.unwrap(), &mut out[..]);
        let (machine, kept) = (&mut self.machine, &mut self.kept);
        let step = node.env(kept, |env| machine.resume(crypto, &cx, env, signed, out));
        did(step, out, crypto, &mut cx)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        let mut out = [0; 64];
        let result = self.machine.handle_timeout(now, &mut out);
        result.map_err(|failure| failure.error)
    }

    pub fn is_ended(&mut self) -> bool {
        let ended = self.poll_timeout().is_none();
        let error = self.feed(Opcode::STATUS_REPORT, &[0; 8]).error();
        assert_eq!(ended, error == HandshakeError::Ended);
        ended
    }

    fn wall(&self) -> WallClock {
        self.node.map_or(WallClock::Unknown, |node| node.wall)
    }
}

pub fn own(message: Outgoing, out: &[u8]) -> Message {
    (message.opcode, message.payload(out).to_vec())
}

fn did<C: Crypto>(
    result: Result<Step, Failure>,
    out: &[u8],
    crypto: &C,
    cx: &mut Context<'_>,
) -> Did<C> {
    match result {
        Ok(Step::Send(message)) => Did::Sent(own(message, out)),
        Ok(Step::Sign(request)) => Did::Sign(request),
        Ok(Step::Established { reply, established, .. }) => {
            let printed = format!("{established:?}");
            let Established { session, record, resumed, .. } = established;
            let session = session.begin(crypto, cx);
            let end = End { session, record, resumed, printed };
            Did::Established {
                reply: reply.map(|reply| own(reply, out)),
                established: Box::new(end),
            }
        }
        Err(failure) => {
            let told = failure.error.status_report().is_some();
            assert!(told || failure.reply.is_none());
            let reply = failure.reply.map(|reply| own(reply, out));
            Did::Failed { error: failure.error, reply }
        }
        Ok(step) => panic!("{step:?}"),
    }
}

impl<C: Crypto> Did<C> {
    #[track_caller]
    pub fn sent(self, opcode: Opcode) -> Vec<u8> {
        match self {
            Self::Sent((sent, payload)) if sent == opcode => payload,
            other => panic!("{opcode} expected, but {}", other.name()),
        }
    }

    #[track_caller]
    pub fn request(self) -> SignRequest {
        match self {
            Self::Sign(request) => request,
            other => panic!("a request to sign expected, but {}", other.name()),
        }
    }

    #[track_caller]
    pub fn established(self) -> (Option<Message>, End<C>) {
        match self {
            Self::Established { reply, established } => (reply, *established),
            other => panic!("a session expected, but {}", other.name()),
        }
    }

    #[track_caller]
    pub fn error(self) -> HandshakeError {
        match self {
            Self::Failed { error, .. } => error,
            other => panic!("an error expected, but {}", other.name()),
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::Sent((opcode, _)) => format!("{opcode}"),
            Self::Sign(_) => "a request to sign".into(),
            Self::Established { .. } => "a session".into(),
            Self::Failed { error, .. } => format!("{error:?}"),
        }
    }
}

/// The messages of an honest handshake, from the first on.
pub fn transcript<'a, C: Crypto>(
    (mut client, first): (Party<'a, C>, Message),
    mut server: Party<'a, C>,
) -> Vec<Message> {
    let mut messages = vec![first];
    loop {
        let (opcode, payload) = messages.last().unwrap();
        let party = if messages.len() % 2 == 1 { &mut server } else { &mut client };
        match party.feed(*opcode, payload) {
            Did::Sent(next) => messages.push(next),
            Did::Established { reply: Some(last), .. } => messages.push(last),
            Did::Established { reply: None, .. } => return messages,
            other => panic!("{}", other.name()),
        }
    }
}

/// Passes messages on until one side fails or both have a session; says which.
pub fn converse<'a, C: Crypto>(
    receiver: &mut Party<'a, C>,
    sender: &mut Party<'a, C>,
    message: &Message,
) -> Result<(), HandshakeError> {
    let (mut to, mut from) = (receiver, sender);
    let mut message = message.clone();
    for _ in 0..8 {
        match to.feed(message.0, &message.1) {
            Did::Sent(next) => message = next,
            Did::Established { reply: Some(last), .. } => {
                return match from.feed(last.0, &last.1) {
                    Did::Established { reply: None, .. } => Ok(()),
                    other => Err(other.error()),
                };
            }
            other => return Err(other.error()),
        }
        (to, from) = (from, to);
    }
    panic!("a handshake without an end");
}

/// Shows that the session has these keys: its peer, made from them, understands it and is
/// understood.
pub fn check_keys<C: Crypto>(crypto: &C, session: &mut SecureSession<C>, block: [Vec<u8>; 3]) {
    assert_eq!(session.attestation_challenge()[..], block[2]);
    let mut peer = mirror(crypto, session, block.concat().try_into().unwrap());
    let header = ProtocolHeader::parse(&[5, 2, 7, 0, 1, 0]).unwrap().0;
    for (from, to) in [(0, 1), (1, 0)] {
        let sides = [&mut *session, &mut peer];
        let mut buf = [0; 128];
        let msg = MessageBuf::with_payload(&mut buf, b"both ways").unwrap();
        let mut wire = sides[from].encode(&header, msg, NOW).unwrap().as_bytes().to_vec();
        let packet = Packet::parse(&mut wire).unwrap();
        assert_eq!(sides[to].decode(packet, NOW).unwrap().payload, b"both ways");
    }
}

fn mirror<C: Crypto>(crypto: &C, session: &SecureSession<C>, keys: [u8; 48]) -> SecureSession<C> {
    let own = session.identity();
    let identity = match own.kind() {
        SessionKind::Pase => Identity::pase(),
        _ => {
            let fabric = own.fabric().unwrap();
            Identity::case(fabric, own.peer_node(), own.local_node(), *own.tags())
        }
    };
    let setup = SessionSetup {
        role: match session.role() {
            SessionRole::Initiator => SessionRole::Responder,
            SessionRole::Responder => SessionRole::Initiator,
        },
        local_session_id: session_id(session.peer_session_id().get()),
        peer_session_id: session.local_session_id().as_seen_by_peer(),
        identity,
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    };
    let keys = hazmat::session_keys(&keys);
    let counter = Counters::starting_at(77);
    hazmat::secure_session(crypto, &keys, setup, counter, NOW)
}

/// Opens a recorded message of the peer; returns its payload.
pub fn open<C: Crypto>(session: &mut SecureSession<C>, wire: &[u8]) -> Vec<u8> {
    let mut wire = wire.to_vec();
    let opened = session.decode(Packet::parse(&mut wire).unwrap(), NOW).unwrap();
    opened.payload.to_vec()
}

/// Seals a message with this protocol header.
pub fn seal<C: Crypto>(session: &mut SecureSession<C>, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut buf = [0; 256];
    let msg = MessageBuf::with_payload(&mut buf, payload).unwrap();
    let header = ProtocolHeader::parse(header).unwrap().0;
    session.encode(&header, msg, NOW).unwrap().as_bytes().to_vec()
}
