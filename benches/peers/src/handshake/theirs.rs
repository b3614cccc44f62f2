//! `matter-crypto`: its state machines for both sides, with certificates and a verifier of ours.

use std::time::{Duration, Instant};

use matter_cert::{MatterCertificate, MatterTime, TrustAnchor, TrustedRoots};
use matter_crypto::{
    CaseCredentials, CaseInitiator, CaseResponder, CaseSessionOutput, PasePbkdfParams, PaseProver,
    PaseVerifier, RingSigner, Sigma1Outcome,
};
use matter_session::crypto::Verifier;
use matter_session::ids::NodeId;
use matter_session_testing::net::{Membership, PASSCODE, members};
use p256::SecretKey;
use p256::pkcs8::EncodePrivateKey;

use super::{ITERATIONS, SALT};

const INITIATOR: u64 = 1;
const RESPONDER: u64 = 2;
/// That of `testing::net::Authority`.
const FABRIC: u64 = 1;
const NOW: MatterTime = MatterTime(800_000_000);

/// Two nodes of one fabric.
pub(super) struct Case {
    initiator: Identity,
    responder: Identity,
}

/// What a node has of its fabric, read already.
struct Identity {
    node: u64,
    root: MatterCertificate,
    icac: Option<MatterCertificate>,
    noc: MatterCertificate,
    key: Vec<u8>,
}

impl Identity {
    fn new(node: u64, member: &Membership) -> Self {
        let credentials = member.credentials();
        let read = |octets: &[u8]| MatterCertificate::from_tlv(octets).expect("a certificate");
        let key = SecretKey::from_slice(member.key.to_bytes().as_bytes()).expect("a key");
        Self {
            node,
            root: read(credentials.root),
            icac: credentials.icac.map(read),
            noc: read(credentials.noc),
            key: key.to_pkcs8_der().expect("is encoded").as_bytes().to_vec(),
        }
    }

    fn credentials(&self) -> (CaseCredentials, TrustedRoots) {
        let credentials = CaseCredentials {
            noc: self.noc.clone(),
            icac: self.icac.clone(),
            signer: Box::new(RingSigner::from_pkcs8(&self.key).expect("a key")),
            fabric_id: FABRIC,
            node_id: self.node,
            ipk: [3; 16],
            rcac_public_key: *self.root.public_key().as_bytes(),
        };
        let mut roots = TrustedRoots::new();
        roots.add(TrustAnchor::from_root_cert(&self.root));
        (credentials, roots)
    }
}

impl Case {
    pub(super) fn new(with_icac: bool) -> Self {
        let ids = [INITIATOR, RESPONDER];
        let [initiator, responder] = members(ids.map(NodeId::new), with_icac);
        Self {
            initiator: Identity::new(INITIATOR, &initiator),
            responder: Identity::new(RESPONDER, &responder),
        }
    }

    pub(super) fn shake_hands(&self) -> Duration {
        let (credentials, roots) = self.initiator.credentials();
        let (own_credentials, own_roots) = self.responder.credentials();
        let begin = Instant::now();
        let mut initiator =
            CaseInitiator::new(credentials, roots, RESPONDER, FABRIC, 1, NOW).expect("begins");
        let mut responder = CaseResponder::new(own_credentials, own_roots, 2, NOW).expect("begins");
        let sigma1 = initiator.start().expect("Sigma1");
        let outcome = responder.handle_sigma1(&sigma1).expect("takes Sigma1");
        assert_eq!(outcome, Sigma1Outcome::NewSession);
        let sigma2 = responder.next_message().expect("Sigma2");
        initiator.handle_sigma2(&sigma2).expect("takes Sigma2");
        let sigma3 = initiator.next_message().expect("Sigma3");
        responder.handle_sigma3(&sigma3).expect("takes Sigma3");
        let outputs = (initiator.finish(), responder.finish());
        let took = begin.elapsed();
        let key = |output: CaseSessionOutput| output.keys.i2r_key;
        assert_eq!(key(outputs.0.expect("a session")), key(outputs.1.expect("a session")));
        took
    }
}

/// A device that has a verifier, and a commissioner that knows the passcode.
pub(super) struct Pase {
    w0: [u8; 32],
    l: [u8; 65],
}

impl Pase {
    pub(super) fn new(verifier: &Verifier) -> Self {
        let octets = verifier.to_bytes();
        let (w0, l) = octets.as_bytes().split_at(32);
        Self { w0: w0.try_into().expect("32 octets"), l: l.try_into().expect("65 octets") }
    }

    pub(super) fn shake_hands(&self) -> Duration {
        let params = PasePbkdfParams { iterations: ITERATIONS, salt: SALT.to_vec() };
        let begin = Instant::now();
        let mut prover = PaseProver::new_with_negotiation(PASSCODE, 1).expect("begins");
        let mut verifier = PaseVerifier::new(self.w0, self.l, params, 2).expect("begins");
        let request = prover.start().expect("PBKDFParamRequest");
        verifier.handle_pbkdf_request(&request).expect("takes the request");
        let response = verifier.next_message().expect("PBKDFParamResponse");
        prover.handle_pbkdf_response(&response).expect("takes the response");
        let pake1 = prover.next_message().expect("Pake1");
        verifier.handle_pake1(&pake1).expect("takes Pake1");
        let pake2 = verifier.next_message().expect("Pake2");
        prover.handle_pake2(&pake2).expect("takes Pake2");
        let pake3 = prover.next_message().expect("Pake3");
        verifier.handle_pake3(&pake3).expect("takes Pake3");
        let keys = (prover.finish().expect("a session"), verifier.finish().expect("a session"));
        let took = begin.elapsed();
        assert_eq!(keys.0.i2r_key, keys.1.i2r_key);
        took
    }
}
