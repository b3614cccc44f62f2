//! Handshakes of every role before a peer whose messages the input changes.

use std::sync::OnceLock;

use matter_session::Peer;
use matter_session::cert::{NoCache, Profile};
use matter_session::context::Services;
use matter_session::crypto::{Passcode, PbkdfParameters, Secret, Verifier};
use matter_session::fabric::FabricBuf;
use matter_session::handshake::case::Presented;
use matter_session::handshake::pase::messages::{Pake1, Pake2, Pake3};
use matter_session::handshake::{
    CaseClient, CaseEnv, CaseServer, CaseStart, Established, Failure, HandshakeError, Incoming,
    MAX_MESSAGE_LEN, Outgoing, PaseClient, PaseServer, PaseStart, Step,
};
use matter_session::ids::{CaseAuthTags, FabricIndex, LocalSessionId, NodeId};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::{ResumptionId, SessionKind, SessionParameters};
use matter_session::time::Instant;
use matter_session::wire::StatusReport;
use matter_session::wire::secure_channel::Opcode;

use crate::Input;
use matter_session_testing::node::{Machine, Message, Records};
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyAuthority, ToyKey};

const NODES: [NodeId; 2] = [NodeId::new(100), NodeId::new(101)];
const IDS: [u16; 2] = [11, 22];

/// What the two nodes are, which is the same every time.
struct Facts {
    fabrics: [FabricBuf; 2],
    keys: [ToyKey; 2],
    /// Each node's record of the other.
    records: [ResumptionRecord; 2],
}

impl Facts {
    fn all() -> &'static Self {
        static FACTS: OnceLock<Facts> = OnceLock::new();
        FACTS.get_or_init(|| {
            let mut rng = Dice::new(1);
            let mut authority = ToyAuthority::new(1, true, &mut rng);
            let members = NODES.map(|node| authority.admit(node.get(), &mut rng));
            let fabric = |n: usize| {
                FabricBuf::new(&Toy::<false>, FabricIndex::MIN, &members[n].credentials()).unwrap()
            };
            let record = |peer| ResumptionRecord {
                id: ResumptionId::new([7; 16]),
                fabric: FabricIndex::MIN,
                compressed_fabric: fabric(0).view().compressed_id(),
                peer,
                cats: CaseAuthTags::NONE,
                shared_secret: Secret::new([0x5A; 32]),
                valid_until: None,
                authenticated: None,
                age_seconds: 0,
                parameters: matter_session::session::SessionParameters::default(),
            };
            Self {
                fabrics: [fabric(0), fabric(1)],
                records: [record(NODES[1]), record(NODES[0])],
                keys: members.map(|member| member.key),
            }
        })
    }
}

struct Party<const LAX: bool> {
    machine: Machine<Toy<LAX>>,
    rng: Dice,
    node: usize,
    record: bool,
    now: Instant,
}

enum Did {
    Sent(Message),
    Established(Option<Message>, Box<Established>),
    Failed(HandshakeError, Option<Message>),
}

fn own(message: Outgoing, out: &[u8]) -> Message {
    assert!(message.len <= MAX_MESSAGE_LEN);
    (message.opcode, message.payload(out).to_vec())
}

fn failed(failure: Failure, out: &[u8]) -> Did {
    Did::Failed(failure.error, failure.reply.map(|reply| own(reply, out)))
}

impl<const LAX: bool> Party<LAX> {
    fn new(machine: Machine<Toy<LAX>>, node: usize, rng: Dice) -> Self {
        Self { machine, rng, node, record: false, now: NOW }
    }

    fn handle(&mut self, (opcode, payload): &Message) -> Did {
        let (mut payload, mut out) = (payload.clone(), vec![0; MAX_MESSAGE_LEN]);
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(self.now);
        let message = Incoming::new(*opcode, &mut payload);
        let mut request = None;
        let facts = Facts::all();
        let fabrics = &facts.fabrics[self.node..=self.node];
        let records = if self.record { &facts.records[self.node..=self.node] } else { &[] };
        let mut room = [0; Presented::LEN];
        let mut env = CaseEnv {
            fabrics: &fabrics,
            resumption: &mut Records(records),
            verified: &mut NoCache,
            certificates: Presented::new(&mut room),
            profile: Profile::default(),
            record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
            parameters: &SessionParameters::matter_1_6(),
        };
        let mut step = self.machine.handle(&Toy, &mut cx, Some(&mut env), message, &mut out);
        while let Ok(Step::More) = step {
            step = self.machine.proceed(&Toy, &mut cx, Some(&mut env), &mut out);
        }
        let did = Self::did(step, &out, &mut request);
        let Some(request) = request else { return did };
        let signed = request.sign_with(&mut facts.keys[self.node].clone());
        let step = self.machine.resume(&Toy, &cx, &env, &signed, &mut out);
        Self::did(step, &out, &mut None)
    }

    fn did(
        step: Result<Step, Failure>,
        out: &[u8],
        request: &mut Option<matter_session::SignRequest>,
    ) -> Did {
        match step {
            Ok(Step::Send(message)) => Did::Sent(own(message, out)),
            Ok(Step::Sign(wanted)) => {
                *request = Some(wanted);
                Did::Failed(HandshakeError::Ended, None)
            }
            Ok(Step::Established { reply, established, .. }) => {
                Did::Established(reply.map(|reply| own(reply, out)), Box::new(established))
            }
            Ok(step) => panic!("{step:?}"),
            Err(failure) => failed(failure, out),
        }
    }

    fn handle_timeout(&mut self) -> Option<HandshakeError> {
        let (now, mut out) = (self.now, [0; MAX_MESSAGE_LEN]);
        let result = self.machine.handle_timeout(now, &mut out);
        result.err().map(|failure| failure.error)
    }
}

const NOW: Instant = Instant::from_millis(1_000);

fn id(n: usize) -> LocalSessionId {
    LocalSessionId::new(IDS[n]).unwrap()
}

/// Two honest nodes, and the initiator's first message.
fn pase<const LAX: bool>() -> ([Party<LAX>; 2], Message) {
    let (mut rngs, mut out) = ([2, 3].map(Dice::new), [0; MAX_MESSAGE_LEN]);
    let (passcode, parameters) = (Passcode::new(20_202_021).unwrap(), SessionParameters::default());
    let pbkdf = PbkdfParameters::new(1000, &[9; 16]).unwrap();
    let verifier = Verifier::generate(&Toy::<LAX>, &passcode, &pbkdf).unwrap();
    let server = PaseServer::new(verifier, pbkdf, id(1), &parameters, NOW);
    let mut services = Services::new(&mut rngs[0]);
    let mut cx = services.at(NOW);
    let (client, first) =
        PaseClient::start(&Toy, &mut cx, PaseStart::new(passcode, id(0), &parameters), &mut out)
            .unwrap();
    let first = own(first, &out);
    let [a, b] = rngs;
    let parties = [
        Party::new(Machine::PaseClient(client), 0, a),
        Party::new(Machine::PaseServer(server), 1, b),
    ];
    (parties, first)
}

fn case<const LAX: bool>(records: [bool; 2]) -> ([Party<LAX>; 2], Message) {
    let (mut rngs, mut out) = ([2, 3].map(Dice::new), [0; MAX_MESSAGE_LEN]);
    let facts = Facts::all();
    let env = CaseEnv {
        fabrics: &&facts.fabrics[..1],
        resumption: &mut Records(&[]),
        verified: &mut NoCache,
        certificates: Presented::none(),
        profile: Profile::default(),
        record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
        parameters: &SessionParameters::matter_1_6(),
    };
    let record = records[0].then(|| facts.records[0].clone());
    let mut services = Services::new(&mut rngs[0]);
    let mut cx = services.at(NOW);
    let start = CaseStart::new(Peer::new(FabricIndex::MIN, NODES[1]), id(0)).with_record(record);
    let (client, first) = CaseClient::start(&Toy, &mut cx, &env, start, &mut out).unwrap();
    let first = own(first, &out);
    let [a, b] = rngs;
    let mut parties = [
        Party::new(Machine::CaseClient(client), 0, a),
        Party::new(Machine::CaseServer(CaseServer::new(id(1), NOW)), 1, b),
    ];
    (parties[0].record, parties[1].record) = (records[0], records[1]);
    (parties, first)
}

pub fn pase_client(data: &[u8]) {
    let (parties, first) = pase::<true>();
    play(Input(data), parties, first, 0);
}

pub fn pase_server(data: &[u8]) {
    let (parties, first) = pase::<true>();
    play(Input(data), parties, first, 1);
}

pub fn case_client(data: &[u8]) {
    case_either(data, 0);
}

pub fn case_server(data: &[u8]) {
    case_either(data, 1);
}

/// The first octet says who has a record, and whether the backend is lax.
fn case_either(data: &[u8], tested: usize) {
    let mut input = Input(data);
    let flags = input.octet();
    let records = [flags & 1 != 0, flags & 2 != 0];
    if flags & 4 != 0 {
        let (parties, first) = case::<false>(records);
        play(input, parties, first, tested);
    } else {
        let (parties, first) = case::<true>(records);
        play(input, parties, first, tested);
    }
}

/// The party under test gets what the input makes of the other's messages.
fn play<const LAX: bool>(
    mut input: Input<'_>,
    parties: [Party<LAX>; 2],
    first: Message,
    tested: usize,
) {
    let [client, server] = parties;
    let (mut party, mut other) = if tested == 0 { (client, server) } else { (server, client) };
    let mut honest = if tested == 1 { Some(first) } else { answer(&mut other, &first) };
    let (mut altered, mut ended, mut sent) = (false, false, 0);
    while !input.is_empty() {
        let message = match input.octet() % 4 {
            0 => honest.clone(),
            1 => Some((Opcode(input.octet()), input.octets().to_vec())),
            2 => edited(&mut input, honest.clone()),
            _ => {
                party.now = party.now + core::time::Duration::from_millis(u64::from(input.word()));
                let due = party.machine.poll_timeout().is_some_and(|due| due <= party.now);
                let error = party.handle_timeout();
                assert_eq!(error, due.then_some(HandshakeError::TimedOut));
                ended |= due;
                altered |= due;
                None
            }
        };
        let Some(message) = message else { continue };
        altered |= !means(&message, honest.as_ref());
        let did = party.handle(&message);
        if ended {
            assert!(matches!(did, Did::Failed(HandshakeError::Ended, _)), "over is over");
            continue;
        }
        match did {
            Did::Sent(message) => {
                sent += 1;
                assert!(sent <= 3, "no handshake has more messages");
                honest = answer(&mut other, &message);
            }
            Did::Established(reply, established) => {
                ended = true;
                check(&party, *established, altered);
                if let Some(reply) = reply {
                    honest = answer(&mut other, &reply);
                }
            }
            Did::Failed(error, reply) => {
                assert!(altered, "an honest handshake failed: {error}");
                ended = true;
                assert!(reply.is_none_or(|(opcode, payload)| {
                    opcode == Opcode::STATUS_REPORT && payload.len() <= 10
                }));
            }
        }
        assert_eq!(party.machine.poll_timeout().is_none(), ended);
    }
}

/// The honest party's next message.
fn answer<const LAX: bool>(other: &mut Party<LAX>, message: &Message) -> Option<Message> {
    match other.handle(message) {
        Did::Sent(next) | Did::Established(Some(next), _) | Did::Failed(_, Some(next)) => {
            Some(next)
        }
        Did::Established(None, _) | Did::Failed(_, None) => None,
    }
}

fn edited(input: &mut Input<'_>, message: Option<Message>) -> Option<Message> {
    let (at, change) = (usize::from(input.word()), input.octet());
    let (opcode, mut payload) = message?;
    match change {
        0 => payload.truncate(at),
        1 => payload.insert(at.min(payload.len()), at as u8),
        _ => {
            if let Some(octet) = payload.get_mut(at) {
                *octet ^= change;
            }
        }
    }
    Some((opcode, payload))
}

/// Whether a message says the same as the honest one: nothing looks behind the end of a share,
/// confirmation or report, nor at fields of later revisions there.
fn means(message: &Message, honest: Option<&Message>) -> bool {
    let Some(honest) = honest else { return false };
    if message == honest {
        return true;
    }
    let (a, b) = (&message.1, &honest.1);
    message.0 == honest.0
        && match message.0 {
            Opcode::PASE_PAKE1 => match (Pake1::parse(a), Pake1::parse(b)) {
                (Ok(a), Ok(b)) => a.pa == b.pa,
                _ => false,
            },
            Opcode::PASE_PAKE2 => match (Pake2::parse(a), Pake2::parse(b)) {
                (Ok(a), Ok(b)) => (a.pb, a.cb) == (b.pb, b.cb),
                _ => false,
            },
            Opcode::PASE_PAKE3 => match (Pake3::parse(a), Pake3::parse(b)) {
                (Ok(a), Ok(b)) => a.ca == b.ca,
                _ => false,
            },
            Opcode::STATUS_REPORT => match (StatusReport::parse(a), StatusReport::parse(b)) {
                (Ok(a), Ok(b)) => a.is_success() && b.is_success(),
                _ => false,
            },
            _ => false,
        }
}

/// What an end in a session implies.
fn check<const LAX: bool>(party: &Party<LAX>, established: Established, altered: bool) {
    let mut rng = Dice::new(9);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(party.now);
    let session = established.session.begin(&Toy::<LAX>, &mut cx);
    assert_eq!(session.local_session_id(), id(party.node));
    assert_ne!(session.peer_session_id().get(), 0);
    let (is_client, is_pase) = match party.machine {
        Machine::PaseClient(_) => (true, true),
        Machine::PaseServer(_) => (false, true),
        Machine::CaseClient(_) => (true, false),
        Machine::CaseServer(_) => (false, false),
    };
    if is_pase {
        assert_eq!(session.kind(), SessionKind::Pase);
        assert!(!altered, "an altered handshake gave a session");
        assert!(established.record.is_none() && !established.resumed);
        return;
    }
    let (identity, record) = (session.identity(), established.record.unwrap());
    assert_eq!(identity.fabric(), Some(FabricIndex::MIN));
    assert_eq!(identity.local_node(), NODES[party.node]);
    assert!(identity.peer_node().is_operational());
    assert_eq!((record.peer, record.cats), (identity.peer_node(), *identity.tags()));
    assert!(party.record || !established.resumed);
    // Whoever is dialled is who answers; and without the lax backend nobody pretends.
    if is_client || !LAX || established.resumed {
        assert_eq!(identity.peer_node(), NODES[1 - party.node]);
    }
}

/// An input that carries both nodes' messages as they are, for the seeds: as such, and as the
/// octets that they have.
pub fn honest(role: &str, flags: u8) -> [Vec<u8>; 2] {
    let tested = usize::from(role.ends_with("server"));
    let is_pase = role.starts_with("pase");
    let (parties, first) =
        if is_pase { pase::<true>() } else { case::<true>([flags & 1 != 0, flags & 2 != 0]) };
    let [mut client, mut server] = parties;
    let head = if is_pase { vec![] } else { vec![flags] };
    let (mut as_such, mut octets) = (head.clone(), head);
    let (mut next, mut from) = (Some(first), 0);
    while let Some(message) = next {
        if from != tested {
            as_such.push(0);
            octets.extend([1, message.0.0]);
            octets.extend((message.1.len() as u16).to_le_bytes());
            octets.extend(&message.1);
        }
        next = answer(if from == 0 { &mut server } else { &mut client }, &message);
        from = 1 - from;
    }
    [as_such, octets]
}
