//! CASE between two state machines: `CaseClient` and `CaseServer` take bytes and return bytes, and
//! this program carries them from one to the other. Three times: in full, with certificates;
//! resumed, without; and in full again, as the responder has forgotten the record.
//!
//! ```text
//! cargo run --example case
//! ```

#[macro_use]
mod wire;

use matter_session::cert::{CertificateRequest, Issuer, NoCache, Profile, SerialNumber, Validity};
use matter_session::crypto::Secret;
use matter_session::fabric::FabricBuf;
use matter_session::handshake::MAX_MESSAGE_LEN;
use matter_session::handshake::case::Presented;
use matter_session::ids::FabricId;
use matter_session::rand_core::CryptoRng;
use matter_session::session::ResumptionId;
use matter_session::{
    CaseClient, CaseEnv, CaseServer, CaseStart, Claim, Context, FabricCredentials, FabricIndex,
    Incoming, Instant, Ipk, LocalSessionId, MatterTime, MessageType, NodeId, Peer, ProtocolId,
    ResumptionRecord, ResumptionStore, RustCrypto, SecureSession, Services, SessionParameters,
    SigningKey, Step, SystemRng, UnsecureSession, WallClock,
};
use wire::{Outcome, Wire};

const NODES: [NodeId; 2] = [NodeId::new(0xC0), NodeId::new(0xDE)];

fn main() -> Outcome {
    let mut rng = SystemRng;
    let mut wire = Wire::new(&mut rng);
    let today = MatterTime::from_seconds(800_000_000);
    let mut nodes = fabric(today, &mut rng)?;
    let mut services = Services::new(&mut rng).with_wall(WallClock::Known(today));
    let mut cx = services.at(Instant::ZERO);
    for (title, resumes) in [("in full", false), ("resumed", true), ("in full again", false)] {
        say!("\nCASE {title}");
        let ([mut controller, mut device], resumed) = handshake(&mut nodes, &mut cx, &mut wire)?;
        assert_eq!(resumed, resumes);
        assert_eq!(controller.attestation_challenge(), device.attestation_challenge());
        say!("the controller has a {controller}, the device a {device}");
        let received = wire.carry(
            0,
            [&mut controller, &mut device],
            MessageType::READ_REQUEST,
            b"on or off?",
        )?;
        assert_eq!(received, b"on or off?");
        assert_eq!(
            wire.carry(1, [&mut controller, &mut device], MessageType::REPORT_DATA, b"on")?,
            b"on"
        );
        if resumed {
            // The initiator does not know that, and offers to resume once more.
            nodes[1].record = None;
        }
    }
    Ok(())
}

/// A member of the fabric.
struct Node {
    fabrics: [FabricBuf; 1],
    /// The operational key. It may be in a secure element: a handshake asks for signatures.
    key: SigningKey,
    record: Option<ResumptionRecord>,
}

/// The handshake. Returns the sessions of both nodes, and whether they were resumed.
fn handshake(
    nodes: &mut [Node; 2],
    cx: &mut Context<'_>,
    wire: &mut Wire,
) -> Outcome<([SecureSession<RustCrypto>; 2], bool)> {
    let (crypto, mut out) = (RustCrypto, [0; MAX_MESSAGE_LEN]);
    let id = |id| LocalSessionId::new(id).ok_or("session ids are not 0");
    let mut server = CaseServer::new(id(22)?, cx.now());
    let start = CaseStart::new(Peer::new(FabricIndex::MIN, NODES[1]), id(11)?)
        .with_record(nodes[0].record.clone());
    let (mut client, mut message) =
        nodes[0].with_env(|env, _| CaseClient::start(&crypto, cx, env, start, &mut out))?;

    let now = cx.now();
    let mut ours = UnsecureSession::initiator(cx.rng(), now)?;
    let mut theirs = UnsecureSession::responder(ours.ephemeral_node_id(), now);
    let (mut sessions, mut was_resumed) = ([None, None], false);
    for from in [0, 1].into_iter().cycle() {
        let kind = MessageType::new(ProtocolId::SECURE_CHANNEL, message.opcode.0);
        let payload = message.payload(&out);
        let mut payload = wire.carry(from, [&mut ours, &mut theirs], kind, payload)?;
        let incoming = Incoming::new(message.opcode, &mut payload);
        let node = &mut nodes[1 - from];
        let step = node.with_env(|env, key| {
            let mut step = match from {
                0 => server.handle(&crypto, cx, env, incoming, &mut out)?,
                _ => client.handle(&crypto, cx, env, incoming, &mut out)?,
            };
            // Each part takes one operation on the curve. Other work may be done between two.
            while let Step::More = step {
                step = match from {
                    0 => server.proceed(&crypto, cx, env, &mut out)?,
                    _ => client.proceed(&crypto, cx, env, &mut out)?,
                };
            }
            let Step::Sign(request) = step else { return Ok(step) };
            // At once. The request may as well be signed later, or on another thread.
            let signed = request.sign_with(key);
            match from {
                0 => server.resume(&crypto, cx, env, &signed, &mut out),
                _ => client.resume(&crypto, cx, env, &signed, &mut out),
            }
        })?;
        let reply = step.message().copied();
        if let Step::Established { established, .. } = step {
            was_resumed = established.resumed;
            node.record = established.record;
            sessions[1 - from] = Some(established.session.begin(&crypto, cx));
        }
        let Some(reply) = reply else { break };
        message = reply;
    }
    let [Some(controller), Some(device)] = sessions else { return Err("no session".into()) };
    Ok(([controller, device], was_resumed))
}

impl Node {
    /// Lends a step of the handshake what it needs of the node.
    fn with_env<R>(&mut self, step: impl FnOnce(&mut CaseEnv<'_>, &mut SigningKey) -> R) -> R {
        // A node with several handshakes at once has this room for each of them.
        let mut room = [0; Presented::LEN];
        let mut env = CaseEnv {
            fabrics: &self.fabrics.as_slice(),
            resumption: &mut Store(self.record.as_ref()),
            verified: &mut NoCache,
            certificates: Presented::new(&mut room),
            profile: Profile::default(),
            record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
            parameters: &SessionParameters::matter_1_6(),
        };
        step(&mut env, &mut self.key)
    }
}

/// Two nodes of a fabric: an authority issues their certificates.
fn fabric(today: MatterTime, rng: &mut dyn CryptoRng) -> Outcome<[Node; 2]> {
    let validity = Validity::new(today, None).ok_or("empty validity")?;
    let fabric = FabricId::new(0x2906).ok_or("fabric id 0")?;
    let mut authority = SigningKey::generate(rng)?;
    let serial = SerialNumber::random(rng);
    let root = CertificateRequest::rcac(1, authority.public_key(), serial, validity)
        .self_sign(&RustCrypto, &mut authority)?;
    let ipks = [Ipk::EpochKey(Secret::new(*b"temporary ipk 01"))];
    let mut admit = |node| -> Outcome<Node> {
        let (key, serial) = (SigningKey::generate(rng)?, SerialNumber::random(rng));
        let noc = CertificateRequest::noc(node, fabric, key.public_key(), serial, validity)
            .sign(&RustCrypto, &mut Issuer::new(&root.certificate()?, &mut authority)?)?;
        let (root, noc, icac) = (root.as_slice(), noc.as_slice(), None);
        let credentials = FabricCredentials { root, icac, noc, ipks: &ipks };
        let fabrics = [FabricBuf::new(&RustCrypto, FabricIndex::MIN, &credentials)?];
        Ok(Node { fabrics, key, record: None })
    };
    Ok([admit(NODES[0])?, admit(NODES[1])?])
}

/// The one record that a node has. The handshake only looks it up.
struct Store<'a>(Option<&'a ResumptionRecord>);

impl ResumptionStore for Store<'_> {
    fn by_id(
        &mut self,
        fabric: FabricIndex,
        id: &ResumptionId,
        n: usize,
    ) -> Option<ResumptionRecord> {
        self.0.filter(|r| n == 0 && r.fabric == fabric && r.id == *id).cloned()
    }

    fn by_peer(&mut self, Peer { fabric, node: peer }: Peer) -> Option<ResumptionRecord> {
        self.0.filter(|record| record.fabric == fabric && record.peer == peer).cloned()
    }

    /// The record is in memory alone, and the session replaces it.
    fn claim(&mut self, _: Peer, _: &ResumptionId) -> Claim {
        Claim::Granted
    }

    fn save(&mut self, _: &ResumptionRecord) {}

    fn remove(&mut self, _: Peer) {}

    fn remove_fabric(&mut self, _: FabricIndex) {}
}
