//! Recorded CASE handshakes, replayed octet for octet by both roles.

use matter_session::crypto::{Cipher, Hashing, Secret};
use matter_session::handshake::case::messages::{Sigma1, Sigma2, Sigma2Resume};
use matter_session::ids::NodeId;
use matter_session::resumption::ResumptionRecord;
use matter_session::session::{ResumptionId, SessionParameters};
use serde_json::Value;

use super::{REPORT, SIGMA1, SIGMA2, SIGMA2_RESUME, SIGMA3, SUCCESS};
use matter_session_testing::node::{
    End, Machine, Node, Party, Sign, check_keys, fabric, index, open, seal, signing_key,
};
use matter_session_testing::{
    BACKEND, Backend, Script, array, chip, hex, id, list, matterjs, number, tlv,
};

/// One side of a recorded fabric.
struct Side {
    node: Node,
    id: NodeId,
    key: [u8; 32],
}

impl Side {
    fn matterjs(case: &Value, side: &str) -> Self {
        let v = &case[side];
        let icac = v["icac"].as_str().map(|_| hex(&v["icac"]));
        let (root, noc) = (hex(&case["rootCert"]), hex(&v["noc"]));
        let ipk = array(&case["ipkEpochKey"]);
        let node = Node::new(vec![fabric(&BACKEND, 1, &root, icac.as_deref(), &noc, &[ipk])]);
        Self { node, id: NodeId::new(id(&v["nodeId"])), key: array(&v["opPrivateKey"]) }
    }

    fn sign(&self) -> Sign {
        Sign::Key(signing_key(self.key))
    }
}

#[test]
fn matterjs_handshakes_replay_in_both_roles() {
    let mut runs = [0, 0];
    for case in list(&matterjs()["case"], 3) {
        let initiator = Side::matterjs(case, "initiator");
        let mut responder = Side::matterjs(case, "responder");
        let forgetful = case["name"].as_str().unwrap().contains("refused");
        let mut record = None;
        for run in case["runs"].as_array().unwrap() {
            let resumed = run["path"] == "resumed";
            assert_eq!(run["offeredResumption"], record.is_some());
            runs[usize::from(resumed)] += 1;
            let [mut client, mut server] = replay(run, &initiator, &responder, record, resumed);

            let keys = &run["sessionKeys"];
            let block = || ["i2r", "r2i", "attestationChallenge"].map(|part| hex(&keys[part]));
            check_keys(&BACKEND, &mut client.session, block());
            check_keys(&BACKEND, &mut server.session, block());
            let first = hex(&run["firstSecureMessage"]["packet"]);
            assert_eq!(open(&mut server.session, &first), b"Hello");
            let (peer, own) = (server.session.identity(), client.session.identity());
            assert_eq!((peer.peer_node(), peer.local_node()), (initiator.id, responder.id));
            assert_eq!((own.peer_node(), own.local_node()), (responder.id, initiator.id));

            let (of_client, of_server) = (client.record.unwrap(), server.record.unwrap());
            assert_eq!(of_client.id, of_server.id);
            assert_eq!(client.session.resumption_id(), Some(&of_client.id));
            let secret = of_client.shared_secret.as_bytes();
            assert_eq!(secret, of_server.shared_secret.as_bytes());
            if !resumed {
                assert_eq!(secret[..], hex(&run["ecdhSharedSecret"]));
            }
            responder.node.records = if forgetful { vec![] } else { vec![of_server] };
            record = Some(of_client);
        }
    }
    assert_eq!(runs, [4, 2]);
}

fn replay(
    run: &Value,
    initiator: &Side,
    responder: &Side,
    record: Option<ResumptionRecord>,
    resumed: bool,
) -> [End<Backend>; 2] {
    let tlv = |message: &str| hex(&run[message]["tlv"]);
    let random = hex(&run["sigma1"]["decoded"]["initiatorRandom"]);
    let rng = Script::new(&[&random, &hex(&run["initiatorEphemeral"]["private"])]);
    let local = number(&run["sessionIds"]["initiator"]);
    let (client, first) =
        Party::case_client(&BACKEND, &initiator.node, responder.id, record, local, rng);
    let mut client = client.signing(initiator.sign());
    // matter.js says in each Sigma1 that it has no other transports. This library leaves that out.
    let sigma1 = tlv("sigma1");
    let none = [0x24, 8, 0, 0x18];
    let at = sigma1.windows(4).rposition(|window| window == none).unwrap();
    assert_eq!(first, (SIGMA1, [&sigma1[..at], &sigma1[at + 3..]].concat()));
    let Machine::CaseClient(machine) = &mut client.machine else { unreachable!() };
    machine.dangerous_replace_sigma1(&BACKEND, &sigma1);

    let rng = if resumed {
        Script::new(&[&hex(&run["sigma2Resume"]["decoded"]["resumptionId"])])
    } else {
        let random = hex(&run["sigma2"]["decoded"]["responderRandom"]);
        let ephemeral = hex(&run["responderEphemeral"]["private"]);
        Script::new(&[&random, &ephemeral, &hex(&run["resumptionId"])])
    };
    let local = number(&run["sessionIds"]["responder"]);
    let mut server =
        Party::case_server(&BACKEND, &responder.node, local, rng).signing(responder.sign());

    let ends = if resumed {
        let sigma2 = server.feed(SIGMA1, &tlv("sigma1")).sent(SIGMA2_RESUME);
        assert_eq!(sigma2, tlv("sigma2Resume"));
        let (report, end) = client.feed(SIGMA2_RESUME, &tlv("sigma2Resume")).established();
        assert_eq!(report, Some((REPORT, hex(&run["statusReport"]))));
        let (reply, server_end) = server.feed(REPORT, &SUCCESS).established();
        assert!(reply.is_none());
        [end, server_end]
    } else {
        let sigma2 = server.feed(SIGMA1, &tlv("sigma1")).sent(SIGMA2);
        assert_eq!(sigma2, tlv("sigma2"));
        let sigma3 = client.feed(SIGMA2, &tlv("sigma2")).sent(SIGMA3);
        assert_eq!(sigma3, tlv("sigma3"));
        let (report, server_end) = server.feed(SIGMA3, &tlv("sigma3")).established();
        assert_eq!(report, Some((REPORT, hex(&run["statusReport"]))));
        let (reply, end) = client.feed(REPORT, &SUCCESS).established();
        assert!(reply.is_none());
        [end, server_end]
    };
    assert!(client.rng.is_used_up() && server.rng.is_used_up());
    assert!(ends.iter().all(|end| end.resumed == resumed));
    ends
}

#[test]
fn matterjs_tags_of_the_peer_reach_session_and_record() {
    let all = matterjs();
    let case = &all["case"][1];
    let (initiator, responder) =
        (Side::matterjs(case, "initiator"), Side::matterjs(case, "responder"));
    let [client, server] = replay(&case["runs"][0], &initiator, &responder, None, false);
    let tags: Vec<_> = server.session.identity().tags().iter().map(|tag| tag.get()).collect();
    assert_eq!(tags, [0xABCD_0001, 0x0001_0002]);
    assert_eq!(server.record.unwrap().cats, *server.session.identity().tags());
    assert_eq!(client.session.identity().tags().iter().count(), 0);
}

/// The recording is of a node that declares version 1.4, so without member 8.
#[test]
fn chip_handshake_and_its_resumption_replay_in_both_roles() {
    let Some(chip) = chip() else { return };
    let (v, certs) = (&chip["generated_case_transcript"], &chip["certificates"]["certs"]);
    let side = |name: &str, icac: Option<&str>| {
        let icac = icac.map(|name| hex(&certs[name]["tlv"]));
        let (root, noc) = (hex(&certs["Root01"]["tlv"]), hex(&certs[name]["tlv"]));
        let fabric =
            fabric(&BACKEND, 1, &root, icac.as_deref(), &noc, &[array(&v["ipk_epoch_key"])]);
        assert_eq!(fabric.view().compressed_id().as_bytes()[..], hex(&v["compressed_fabric_id"]));
        let node = Node::new(vec![fabric]);
        let id = NodeId::new(id(&certs[name]["node_id"]));
        Side { node, id, key: array(&certs[name]["private_key"]) }
    };
    let mut responder = side("Node01_01", Some("ICA01"));
    let mut initiator = side("Node01_02", None);
    let messages = ["sigma1", "sigma2", "sigma3"].map(|message| hex(&v[message]));
    let [sigma1, sigma2, sigma3] = &messages;
    let of_sigma1 = Sigma1::parse(sigma1).unwrap();
    let of_sigma2 = Sigma2::parse(sigma2).unwrap();
    initiator.node.parameters = of_sigma1.session_parameters.unwrap();
    responder.node.parameters = of_sigma2.session_parameters.unwrap();

    let counter = |side: &str| {
        let header = hex(&v[format!("first_message_{side}")]["header"]);
        u32::from_le_bytes(header[4..8].try_into().unwrap())
    };
    let rng = Script::new(&[of_sigma1.initiator_random, &hex(&v["initiator_eph_private"])])
        .then_counter(counter("initiator"));
    let local = number(&v["initiator_session_id"]);
    let (client, first) =
        Party::case_client(&BACKEND, &initiator.node, responder.id, None, local, rng);
    let mut client = client.signing(initiator.sign());
    assert_eq!(&first.1, sigma1);
    let (random, new) = (of_sigma2.responder_random, hex(&v["resumption_id"]));
    let rng = Script::new(&[&random, &hex(&v["responder_eph_private"]), &new])
        .then_counter(counter("responder"));
    let local = number(&v["responder_session_id"]);
    let mut server =
        Party::case_server(&BACKEND, &responder.node, local, rng).signing(responder.sign());
    assert_eq!(&server.feed(SIGMA1, sigma1).sent(SIGMA2), sigma2);
    assert_eq!(&client.feed(SIGMA2, sigma2).sent(SIGMA3), sigma3);
    let (_, server_end) = server.feed(SIGMA3, sigma3).established();
    let (_, client_end) = client.feed(REPORT, &SUCCESS).established();

    let mut ends = [client_end, server_end];
    for (end, side) in ends.iter_mut().zip(["initiator", "responder"]) {
        let message = &v[format!("first_message_{side}")];
        let (header, payload) = (hex(&message["protocol_header"]), hex(&message["payload"]));
        assert_eq!(seal(&mut end.session, &header, &payload), hex(&message["wire"]));
        check_keys(&BACKEND, &mut end.session, block(v));
        let record = end.record.as_ref().unwrap();
        assert_eq!(record.shared_secret.as_bytes()[..], hex(&v["shared_secret"]));
        assert_eq!(record.id.as_bytes()[..], new);
    }

    let [client_end, server_end] = ends;
    responder.node.records = vec![server_end.record.unwrap()];
    resume(&chip["generated_case_resumption"], &initiator, responder, client_end.record);
}

fn resume(v: &Value, initiator: &Side, mut responder: Side, record: Option<ResumptionRecord>) {
    let own = record.as_ref().unwrap();
    assert_eq!(own.id, ResumptionId::new(array(&v["old_resumption_id"])));
    assert_eq!(own.shared_secret, Secret::new(array(&v["shared_secret"])));
    assert_eq!(own.fabric, index(1));
    let (sigma1, sigma2) = (hex(&v["sigma1"]), hex(&v["sigma2_resume"]));
    let (of_sigma1, of_sigma2) = (Sigma1::parse(&sigma1), Sigma2Resume::parse(&sigma2));
    let (of_sigma1, of_sigma2) = (of_sigma1.unwrap(), of_sigma2.unwrap());
    responder.node.parameters = of_sigma2.session_parameters.unwrap();
    let initiator_parameters: SessionParameters = of_sigma1.session_parameters.unwrap();
    assert_eq!(initiator.node.parameters, initiator_parameters);

    let rng = Script::new(&[&hex(&v["initiator_random"]), &hex(&v["initiator_eph_private"])]);
    let local = of_sigma1.initiator_session_id.get();
    let (mut client, first) =
        Party::case_client(&BACKEND, &initiator.node, responder.id, record, local, rng);
    assert_eq!(first.1, sigma1);
    let rng = Script::new(&[&hex(&v["new_resumption_id"])]);
    let local = of_sigma2.responder_session_id.get();
    let mut server = Party::case_server(&BACKEND, &responder.node, local, rng);
    assert_eq!(server.feed(SIGMA1, &sigma1).sent(SIGMA2_RESUME), sigma2);
    let (report, client_end) = client.feed(SIGMA2_RESUME, &sigma2).established();
    assert_eq!(report, Some((REPORT, SUCCESS.to_vec())));
    let (_, server_end) = server.feed(REPORT, &SUCCESS).established();
    for mut end in [client_end, server_end] {
        assert!(end.resumed);
        let record = end.record.as_ref().unwrap();
        assert_eq!(record.id.as_bytes()[..], hex(&v["new_resumption_id"]));
        check_keys(&BACKEND, &mut end.session, block(v));
    }
}

fn block(v: &Value) -> [Vec<u8>; 3] {
    ["i2r_key", "r2i_key", "attestation_challenge"].map(|part| hex(&v[part]))
}

/// What the recorded key schedule has on the way, from the recorded secret.
#[test]
fn matterjs_intermediate_keys_and_encrypted_parts_follow_from_the_secret() {
    use matter_session::crypto::{Aead, SealNonce};
    for case in list(&matterjs()["case"], 3) {
        for run in case["runs"].as_array().unwrap().iter().filter(|run| run["path"] == "full") {
            for (sigma, salt, key) in [
                ("sigma2", "s2kSalt_ipk_random_pubkey_h1", "s2k"),
                ("sigma3", "s3kSalt_ipk_h12", "s3k"),
            ] {
                let v = &run[sigma];
                let mut derived = Secret::<16>::zero();
                let (secret, info) = (hex(&run["ecdhSharedSecret"]), v["info"].as_str().unwrap());
                let out = derived.as_mut_bytes();
                BACKEND.hkdf(&secret, &hex(&v[salt]), info.as_bytes(), out).unwrap();
                assert_eq!(out[..], hex(&v[key]));
                let mut text = hex(&v["tbePlaintext"]);
                let nonce = SealNonce::dangerous_from_bytes(&array(&v["tbeNonce"]));
                let mic = BACKEND.aead(&derived).seal(nonce, &[], &mut text).unwrap();
                assert_eq!([&text[..], &mic].concat(), hex(&v["encrypted"]));
                let tag = if sigma == "sigma2" { 4 } else { 1 };
                let message = tlv::fields(&hex(&v["tlv"]));
                let field = message.iter().find(|field| field.tag == tag).unwrap();
                assert_eq!(field.value(), hex(&v["encrypted"]));
            }
        }
    }
}
