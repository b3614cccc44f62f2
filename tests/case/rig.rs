//! Honest CASE handshakes to be disturbed, and forged messages.

use std::sync::OnceLock;

use matter_session::crypto::{
    Aead, Cipher, Curve, Hashing, KeyPair, OperationalKey, PublicKey, SealNonce, Secret, Sha256,
    SigningKey,
};
use matter_session::handshake::HandshakeError;
use matter_session::ids::NodeId;
use matter_session::resumption::ResumptionRecord;
use matter_session::wire::secure_channel::Opcode;
use serde_json::Value;

use matter_session_testing::node::{
    Did, Machine, Message, Node, Party, Sign, fabric, index, signing_key, transcript,
};
use matter_session_testing::tlv::structure;
use matter_session_testing::{BACKEND, Script, array, hex, id, matterjs};

/// One node's recorded credentials.
#[derive(Clone)]
pub struct Credentials {
    pub root: Vec<u8>,
    pub icac: Option<Vec<u8>>,
    pub noc: Vec<u8>,
    pub epoch: [u8; 16],
    pub ipk: Secret<16>,
    pub key: [u8; 32],
    pub id: NodeId,
}

impl Credentials {
    /// Of the fabric `A` (0) or `B` (1); they have the same fabric id and node ids.
    pub fn of(fabric: usize, side: &str) -> Self {
        static ALL: OnceLock<Value> = OnceLock::new();
        let case = &ALL.get_or_init(matterjs)["case"][fabric];
        let v = &case[side];
        Self {
            root: hex(&case["rootCert"]),
            icac: v["icac"].as_str().map(|_| hex(&v["icac"])),
            noc: hex(&v["noc"]),
            epoch: array(&case["ipkEpochKey"]),
            ipk: Secret::new(array(&case["operationalIpk"])),
            key: array(&v["opPrivateKey"]),
            id: NodeId::new(id(&v["nodeId"])),
        }
    }

    pub fn fabric(&self, at: u8) -> matter_session::fabric::FabricBuf {
        self.fabric_with(at, &[self.epoch])
    }

    pub fn fabric_with(&self, at: u8, epochs: &[[u8; 16]]) -> matter_session::fabric::FabricBuf {
        fabric(&BACKEND, at, &self.root, self.icac.as_deref(), &self.noc, epochs)
    }

    pub fn key(&self) -> SigningKey {
        signing_key(self.key)
    }

    pub fn sign(&self) -> Sign {
        Sign::Key(self.key())
    }
}

/// An honest handshake, always the same: both nodes, and the messages in their order.
pub struct Rig {
    pub credentials: [Credentials; 2],
    pub nodes: [Node; 2],
    pub record: Option<ResumptionRecord>,
    pub messages: Vec<Message>,
}

impl Rig {
    /// Sigma1, Sigma2, Sigma3, report.
    pub fn full() -> &'static Self {
        static FULL: OnceLock<Rig> = OnceLock::new();
        FULL.get_or_init(|| Self::new(None))
    }

    /// Sigma1, Sigma2Resume, report.
    pub fn resumed() -> &'static Self {
        static RESUMED: OnceLock<Rig> = OnceLock::new();
        RESUMED.get_or_init(|| Self::new(Some([7; 16])))
    }

    fn new(resumption: Option<[u8; 16]>) -> Self {
        let credentials = ["initiator", "responder"].map(|side| Credentials::of(0, side));
        let mut nodes = [0, 1].map(|side| Node::new(vec![credentials[side].fabric(1)]));
        let record = resumption.map(|id| record_of(id, &credentials[1]));
        nodes[1].records =
            resumption.map(|id| record_of(id, &credentials[0])).into_iter().collect();
        let mut rig = Self { credentials, nodes, record, messages: Vec::new() };
        rig.messages = rig.play();
        rig
    }

    fn play(&self) -> Vec<Message> {
        transcript(self.client(), self.server())
    }

    pub fn client(&self) -> (Party<'_>, Message) {
        let (peer, rng) = (self.credentials[1].id, Script::seeded(3));
        let (client, first) =
            Party::case_client(&BACKEND, &self.nodes[0], peer, self.record.clone(), 11, rng);
        (client.signing(self.credentials[0].sign()), first)
    }

    pub fn server(&self) -> Party<'_> {
        Party::case_server(&BACKEND, &self.nodes[1], 22, Script::seeded(4))
            .signing(self.credentials[1].sign())
    }

    /// The receiver of message `n`, ready for it.
    pub fn receiver(&self, n: usize) -> Party<'_> {
        self.caught_up(if n % 2 == 1 { self.client().0 } else { self.server() }, n)
    }

    /// The sender of message `n`, which has just sent it.
    pub fn sender(&self, n: usize) -> Party<'_> {
        self.caught_up(if n.is_multiple_of(2) { self.client().0 } else { self.server() }, n)
    }

    fn caught_up<'a>(&self, mut party: Party<'a>, n: usize) -> Party<'a> {
        let is_client = matches!(party.machine, Machine::CaseClient(_));
        for (at, (opcode, payload)) in self.messages.iter().enumerate().take(n) {
            if (at % 2 == 1) == is_client {
                party.feed(*opcode, payload);
            }
        }
        party
    }

    /// Hands `payload` over in the place of message `n`. It must fail and end the handshake.
    #[track_caller]
    pub fn refused(&self, n: usize, payload: &[u8], what: &str) -> HandshakeError {
        let mut party = self.receiver(n);
        match party.feed(self.messages[n].0, payload) {
            Did::Failed { error, .. } => {
                assert!(party.is_ended(), "{what}");
                error
            }
            other => panic!("message {n}, {what}: {}", other.name()),
        }
    }
}

/// The record of a former session with `peer`.
pub fn record_of(id: [u8; 16], peer: &Credentials) -> ResumptionRecord {
    let fabric = fabric(&BACKEND, 1, &peer.root, peer.icac.as_deref(), &peer.noc, &[peer.epoch]);
    ResumptionRecord {
        id: matter_session::session::ResumptionId::new(id),
        fabric: index(1),
        compressed_fabric: fabric.view().compressed_id(),
        peer: peer.id,
        cats: matter_session::ids::CaseAuthTags::NONE,
        shared_secret: Secret::new([0x5A; 32]),
        valid_until: None,
        authenticated: None,
        age_seconds: 0,
        parameters: matter_session::session::SessionParameters::default(),
    }
}

/// What a forger says of itself in the encrypted part.
#[derive(Clone)]
pub struct Tbe {
    pub noc: Vec<u8>,
    pub icac: Option<Vec<u8>>,
    /// Signs an ICAC, if it is not the one sent.
    pub signed_icac: Option<Vec<u8>>,
    pub key: [u8; 32],
    pub spoil_signature: bool,
    pub more: Vec<(u8, Vec<u8>)>,
    /// Which of the ways to damage it is taken.
    pub damage: Option<usize>,
}

impl Tbe {
    pub fn honest(own: &Credentials) -> Self {
        let (icac, signed_icac) = (own.icac.clone(), own.icac.clone());
        let (noc, key) = (own.noc.clone(), own.key);
        Self { noc, icac, signed_icac, key, spoil_signature: false, more: Vec::new(), damage: None }
    }

    fn octets(&self, own: &PublicKey, peer: &PublicKey) -> Vec<u8> {
        let mut tbs: Vec<(u8, &[u8])> = vec![(1, &self.noc)];
        if let Some(icac) = &self.signed_icac {
            tbs.push((2, icac));
        }
        tbs.extend([(3, &own.as_bytes()[..]), (4, &peer.as_bytes()[..])]);
        let mut digest = sha256(&[&structure(&tbs)]);
        digest[0] ^= u8::from(self.spoil_signature);
        let signature = signing_key(self.key).sign_digest(&digest).unwrap();
        let mut tbe: Vec<(u8, &[u8])> = vec![(1, &self.noc)];
        if let Some(icac) = &self.icac {
            tbe.push((2, icac));
        }
        tbe.push((3, signature.as_bytes()));
        tbe.extend(self.more.iter().map(|(tag, value)| (*tag, &value[..])));
        let tbe = structure(&tbe);
        match self.damage {
            Some(which) => matter_session_testing::tlv::damaged(&tbe, &[2]).swap_remove(which).1,
            None => tbe,
        }
    }
}

/// A Sigma2 that only a holder of the IPK can make; the rest of it is the forger's choice.
pub fn forge_sigma2(ipk: &Secret<16>, sigma1: &[u8], tbe: &Tbe) -> Vec<u8> {
    let peer = PublicKey::new(matter_session_testing::tlv::fields(sigma1)[3].value()).unwrap();
    let own = BACKEND.ephemeral(&mut Script::seeded(99)).unwrap();
    let public = own.public();
    let shared = own.agree(&peer).unwrap();
    let random = [0x77; 32];
    let hash = sha256(&[sigma1]);
    let salt = [&ipk.as_bytes()[..], &random, public.as_bytes(), &hash].concat();
    let mut tbe = tbe.clone();
    tbe.more.insert(0, (4, vec![0x33; 16]));
    let text = tbe.octets(&public, &peer);
    let encrypted = seal(&shared, &salt, b"Sigma2", b"NCASE_Sigma2N", text);
    let plain = structure(&[(1, &random), (3, public.as_bytes()), (4, &encrypted)]);
    let mut fields = matter_session_testing::tlv::fields(&plain);
    fields.insert(1, matter_session_testing::tlv::Field::unsigned(2, 22, 1));
    matter_session_testing::tlv::message(&fields)
}

/// The honest initiator's Sigma3 with another content: `private` is its ephemeral key.
pub fn forge_sigma3(rig: &Rig, private: &[u8], sigma: [&[u8]; 2], tbe: &Tbe) -> Vec<u8> {
    let own = BACKEND.ephemeral(&mut Script::new(&[private])).unwrap();
    let public = own.public();
    let peer = PublicKey::new(matter_session_testing::tlv::fields(sigma[1])[2].value()).unwrap();
    let shared = own.agree(&peer).unwrap();
    let salt = [&rig.credentials[0].ipk.as_bytes()[..], &sha256(&sigma)].concat();
    let text = tbe.octets(&public, &peer);
    structure(&[(1, &seal(&shared, &salt, b"Sigma3", b"NCASE_Sigma3N", text))])
}

fn seal(shared: &Secret<32>, salt: &[u8], info: &[u8], nonce: &[u8; 13], text: Vec<u8>) -> Vec<u8> {
    let (mut key, mut text) = (Secret::zero(), text);
    BACKEND.hkdf(shared.as_bytes(), salt, info, key.as_mut_bytes()).unwrap();
    let nonce = SealNonce::dangerous_from_bytes(nonce);
    let mic = BACKEND.aead(&key).seal(nonce, &[], &mut text).unwrap();
    text.extend(mic);
    text
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = BACKEND.sha256();
    parts.iter().for_each(|part| hash.update(part));
    hash.finish()
}

/// The opcodes of both handshakes, and others.
pub const OPCODES: [Opcode; 9] = [
    Opcode::CASE_SIGMA1,
    Opcode::CASE_SIGMA2,
    Opcode::CASE_SIGMA3,
    Opcode::CASE_SIGMA2_RESUME,
    Opcode::PBKDF_PARAM_REQUEST,
    Opcode::PASE_PAKE3,
    Opcode::MRP_STANDALONE_ACK,
    Opcode::ICD_CHECK_IN,
    Opcode(0xFF),
];
