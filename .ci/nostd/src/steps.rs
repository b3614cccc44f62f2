//! Both handshakes and a message over each session, through the public interface.

use core::convert::Infallible;

use matter_session::Peer;
use matter_session::cert::{
    Certificate, CertificateBuf, CertificateRequest, Issuer, NoCache, Profile, SerialNumber,
    Validity,
};
use matter_session::context::Services;
use matter_session::crypto::{Passcode, PbkdfParameters, RustCrypto, Secret, SigningKey, Verifier};
use matter_session::fabric::{FabricBuf, FabricCredentials, Ipk};
use matter_session::handshake::case::Presented;
use matter_session::handshake::{
    CaseClient, CaseEnv, CaseServer, CaseStart, Incoming, MAX_MESSAGE_LEN, PaseClient, PaseServer,
    PaseStart, Step,
};
use matter_session::ids::{ExchangeId, FabricId, FabricIndex, LocalSessionId, NodeId, ProtocolId};
use matter_session::rand_core::{TryCryptoRng, TryRng};
use matter_session::resumption::NoRecords;
use matter_session::session::{
    SecureSession, SessionParameters, UnsecureSession, UnsecuredCounter,
};
use matter_session::time::{Instant, MatterTime};
use matter_session::wire::{MessageBuf, Packet, ProtocolHeader};

pub static STEPS: &[fn() -> Option<()>] =
    &[certificates, pase, case, crate::managers::run, crate::check_in::run, crate::btp::run];

pub const NOW: Instant = Instant::from_millis(1);

fn certificates() -> Option<()> {
    let chain = Chain::issue(&mut Sequence(1), NodeId::new(1))?;
    Certificate::parse(chain.noc.as_slice()).ok()?;
    Certificate::parse(&chain.noc.as_slice()[1..]).is_err().then_some(())
}

fn pase() -> Option<()> {
    let mut rng = Sequence(2);
    let parameters = SessionParameters::default();
    let pbkdf = PbkdfParameters::random(1000, &mut rng).ok()?;
    let verifier =
        Verifier::generate(&RustCrypto, &Passcode::new(20_202_021).ok()?, &pbkdf).ok()?;
    let (a, b) = (LocalSessionId::new(1)?, LocalSessionId::new(2)?);
    let mut link = Link::new(&mut rng)?;
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let mut out = [0; MAX_MESSAGE_LEN];
    let mut server = PaseServer::new(verifier, pbkdf, b, &parameters, NOW);
    let passcode = Passcode::new(20_202_021).ok()?;
    let start = PaseStart::new(passcode, a, &parameters);
    let (mut client, first) = PaseClient::start(&RustCrypto, &mut cx, start, &mut out).ok()?;
    link.to_responder.put(first.opcode.0, first.payload(&out))?;
    let (mut sessions, mut turn) = ((None, None), true);
    while sessions.0.is_none() || sessions.1.is_none() {
        let mut answer = [0; MAX_MESSAGE_LEN];
        let incoming = link.carry(turn)?;
        let mut step = if turn {
            server.handle(&RustCrypto, &mut cx, incoming, &mut answer)
        } else {
            client.handle(&RustCrypto, &mut cx, incoming, &mut answer)
        };
        while let Ok(Step::More) = step {
            step = if turn {
                server.proceed(&RustCrypto, &mut cx, &mut answer)
            } else {
                client.proceed(&RustCrypto, &mut cx, &mut answer)
            };
        }
        let reply = match step.ok()? {
            Step::Send(message) => Some(message),
            Step::Established { reply, established, .. } => {
                let end = if turn { &mut sessions.1 } else { &mut sessions.0 };
                *end = Some(established.session.begin(&RustCrypto, &mut cx));
                reply
            }
            _ => return None,
        };
        if let Some(message) = reply {
            link.post(!turn).put(message.opcode.0, message.payload(&answer))?;
        }
        turn = !turn;
    }
    talk(sessions.0?, sessions.1?)
}

fn case() -> Option<()> {
    let mut rng = Sequence(3);
    let parameters = SessionParameters::default();
    let chain = Chain::issue(&mut rng, NodeId::new(7))?;
    let fabric = chain.fabric()?;
    let index = fabric.view().index();
    let fabrics: &[FabricBuf] = &[fabric];
    let mut cache = NoCache;
    let mut room = [0; Presented::LEN];
    let mut env = CaseEnv {
        fabrics: &fabrics,
        resumption: &mut NoRecords,
        verified: &mut cache,
        certificates: Presented::new(&mut room),
        profile: Profile::default(),
        record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
        parameters: &parameters,
    };
    let (a, b) = (LocalSessionId::new(3)?, LocalSessionId::new(4)?);
    let mut key = SigningKey::from_bytes(&chain.key).ok()?;
    let mut link = Link::new(&mut rng)?;
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let mut out = [0; MAX_MESSAGE_LEN];
    // The node connects to itself: one fabric is enough for both ends.
    let start = CaseStart::new(Peer::new(index, NodeId::new(7)), a);
    let (mut client, first) =
        CaseClient::start(&RustCrypto, &mut cx, &env, start, &mut out).ok()?;
    let mut server = CaseServer::new(b, NOW);
    link.to_responder.put(first.opcode.0, first.payload(&out))?;
    let (mut sessions, mut turn) = ((None, None), true);
    while sessions.0.is_none() || sessions.1.is_none() {
        let mut answer = [0; MAX_MESSAGE_LEN];
        let incoming = link.carry(turn)?;
        let mut step = if turn {
            server.handle(&RustCrypto, &mut cx, &mut env, incoming, &mut answer)
        } else {
            client.handle(&RustCrypto, &mut cx, &mut env, incoming, &mut answer)
        }
        .ok()?;
        while let Step::More = step {
            step = if turn {
                server.proceed(&RustCrypto, &mut cx, &mut env, &mut answer)
            } else {
                client.proceed(&RustCrypto, &mut cx, &mut env, &mut answer)
            }
            .ok()?;
        }
        if let Step::Sign(request) = step {
            let signed = request.sign_with(&mut key);
            step = if turn {
                server.resume(&RustCrypto, &cx, &env, &signed, &mut answer)
            } else {
                client.resume(&RustCrypto, &cx, &env, &signed, &mut answer)
            }
            .ok()?;
        }
        let reply = match step {
            Step::Send(message) => Some(message),
            Step::Established { reply, established, .. } => {
                let end = if turn { &mut sessions.1 } else { &mut sessions.0 };
                *end = Some(established.session.begin(&RustCrypto, &mut cx));
                reply
            }
            _ => return None,
        };
        if let Some(message) = reply {
            link.post(!turn).put(message.opcode.0, message.payload(&answer))?;
        }
        turn = !turn;
    }
    talk(sessions.0?, sessions.1?)
}

/// One message over the new session, there; its repetition is a duplicate, its forgery refused.
fn talk(mut a: SecureSession<RustCrypto>, mut b: SecureSession<RustCrypto>) -> Option<()> {
    let mut buf = [0; 128];
    let msg = MessageBuf::with_payload(&mut buf, b"octets").ok()?;
    let range = a.encode(&header(0x42), msg, NOW).ok()?.range();
    let datagram = buf.get(range)?;
    let (mut first, mut again, mut forged) = ([0; 128], [0; 128], [0; 128]);
    for copy in [&mut first, &mut again, &mut forged] {
        copy.get_mut(..datagram.len())?.copy_from_slice(datagram);
    }
    *forged.get_mut(datagram.len() - 1)? ^= 1;
    let mut open = |copy: &mut [u8; 128], expected: Option<bool>| {
        let packet = Packet::parse(copy.get_mut(..datagram.len())?).ok()?;
        let opened = b.decode(packet, NOW).ok();
        let right = opened.as_ref().is_none_or(|opened| *opened.payload == *b"octets");
        (right && opened.map(|opened| opened.duplicate) == expected).then_some(())
    };
    open(&mut forged, None)?;
    open(&mut first, Some(false))?;
    open(&mut again, Some(true))
}

fn header(opcode: u8) -> ProtocolHeader {
    ProtocolHeader {
        exchange: ExchangeId::new(1),
        protocol: ProtocolId::SECURE_CHANNEL,
        opcode,
        initiator: true,
        needs_ack: true,
        ack: None,
    }
}

/// Two unsecured sessions and what is on its way between them.
struct Link {
    initiator: UnsecureSession,
    responder: UnsecureSession,
    counter: UnsecuredCounter,
    to_responder: Post,
    to_initiator: Post,
    datagram: [u8; 1280],
}

/// A payload that waits to be carried.
struct Post {
    opcode: u8,
    payload: [u8; MAX_MESSAGE_LEN],
    len: usize,
}

impl Post {
    const EMPTY: Self = Self { opcode: 0, payload: [0; MAX_MESSAGE_LEN], len: 0 };

    fn put(&mut self, opcode: u8, payload: &[u8]) -> Option<()> {
        self.payload.get_mut(..payload.len())?.copy_from_slice(payload);
        (self.opcode, self.len) = (opcode, payload.len());
        Some(())
    }
}

impl Link {
    fn new(rng: &mut Sequence) -> Option<Self> {
        let initiator = UnsecureSession::initiator(rng, NOW).ok()?;
        Some(Self {
            responder: UnsecureSession::responder(initiator.ephemeral_node_id(), NOW),
            initiator,
            counter: UnsecuredCounter::random(rng),
            to_responder: Post::EMPTY,
            to_initiator: Post::EMPTY,
            datagram: [0; 1280],
        })
    }

    fn post(&mut self, to_responder: bool) -> &mut Post {
        if to_responder { &mut self.to_responder } else { &mut self.to_initiator }
    }

    /// Encodes what waits, and decodes it at the other end.
    fn carry(&mut self, to_responder: bool) -> Option<Incoming<'_>> {
        let (from, to, post) = if to_responder {
            (&mut self.initiator, &mut self.responder, &self.to_responder)
        } else {
            (&mut self.responder, &mut self.initiator, &self.to_initiator)
        };
        let payload = post.payload.get(..post.len)?;
        let msg = MessageBuf::with_payload(&mut self.datagram, payload).ok()?;
        let range = from.encode(&mut self.counter, &header(post.opcode), msg, NOW).ok()?.range();
        let packet = Packet::parse(self.datagram.get_mut(range)?).ok()?;
        to.decode(packet, NOW).ok().map(Incoming::from)
    }
}

/// A root and one node that it certified.
struct Chain {
    rcac: CertificateBuf,
    noc: CertificateBuf,
    key: Secret<32>,
}

impl Chain {
    fn issue(rng: &mut Sequence, node: NodeId) -> Option<Self> {
        let mut root_key = SigningKey::generate(rng).ok()?;
        let node_key = SigningKey::generate(rng).ok()?;
        let validity = Validity::new(MatterTime::from_seconds(1), None)?;
        let rcac =
            CertificateRequest::rcac(1, root_key.public_key(), SerialNumber::random(rng), validity)
                .self_sign(&RustCrypto, &mut root_key)
                .ok()?;
        let root = rcac.certificate().ok()?;
        let mut issuer = Issuer::new(&root, &mut root_key).ok()?;
        let fabric = FabricId::new(0x2906)?;
        let serial = SerialNumber::random(rng);
        let noc = CertificateRequest::noc(node, fabric, node_key.public_key(), serial, validity)
            .sign(&RustCrypto, &mut issuer)
            .ok()?;
        Some(Self { rcac, noc, key: node_key.to_bytes() })
    }

    fn fabric(&self) -> Option<FabricBuf> {
        let credentials = FabricCredentials {
            root: self.rcac.as_slice(),
            icac: None,
            noc: self.noc.as_slice(),
            ipks: &[Ipk::EpochKey(Secret::new([5; 16]))],
        };
        FabricBuf::new(&RustCrypto, FabricIndex::new(1)?, &credentials).ok()
    }
}

/// The same numbers every time (xorshift): no secret is made here.
pub struct Sequence(pub u64);

impl TryRng for Sequence {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| (word >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Ok(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for octet in dst {
            *octet = (self.try_next_u64()? >> 56) as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Sequence {}
