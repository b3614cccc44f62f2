//! Recorded PASE handshakes, replayed octet for octet by both roles.

use matter_session::crypto::PbkdfParameters;
use matter_session::session::SessionParameters;
use matter_session::wire::secure_channel::Opcode;

use super::{REPORT, REQUEST, RESPONSE};
use matter_session_testing::node::{Party, check_keys, open, seal};
use matter_session_testing::{BACKEND, Script, chip, hex, list, matterjs, number, tlv};

/// Both roles say what matter.js said, and end with its keys.
#[test]
fn matterjs_handshakes_replay_in_both_roles() {
    for v in list(&matterjs()["pase"], 2) {
        let m = &v["messages"];
        let message = |name: &str| hex(&m[name]);
        let pbkdf2 = &v["pbkdf2"];
        let pbkdf = PbkdfParameters::new(number(&pbkdf2["iterations"]), &hex(&pbkdf2["salt"]));
        let own = SessionParameters::matter_1_6();
        let code = number(&v["passcode"]);
        let id = |side: &str| number(&v["sessionIds"][side]);

        let rng = Script::new(&[&hex(&v["initiatorRandom"]), &hex(&v["x"])]);
        let (mut client, first) =
            Party::pase_client(&BACKEND, code, None, id("initiator"), &own, rng);
        assert_eq!(first, (REQUEST, message("pbkdfParamRequest")));
        let pake1 = client.feed(RESPONSE, &message("pbkdfParamResponse"));
        assert_eq!(pake1.sent(Opcode::PASE_PAKE1), message("pake1"));
        let pake3 = client.feed(Opcode::PASE_PAKE2, &message("pake2"));
        assert_eq!(pake3.sent(Opcode::PASE_PAKE3), message("pake3"));
        let (reply, mut client_end) = client.feed(REPORT, &message("statusReport")).established();
        assert!(reply.is_none());

        let rng = Script::new(&[&hex(&v["responderRandom"]), &hex(&v["y"])]);
        let pbkdf = pbkdf.unwrap();
        let mut server = Party::pase_server(&BACKEND, code, pbkdf, id("responder"), &own, rng);
        let response = server.feed(REQUEST, &message("pbkdfParamRequest"));
        assert_eq!(response.sent(RESPONSE), message("pbkdfParamResponse"));
        let pake2 = server.feed(Opcode::PASE_PAKE1, &message("pake1"));
        assert_eq!(pake2.sent(Opcode::PASE_PAKE2), message("pake2"));
        let end = server.feed(Opcode::PASE_PAKE3, &message("pake3"));
        let (reply, mut server_end) = end.established();
        assert_eq!(reply, Some((REPORT, message("statusReport"))));

        assert!(client.rng.is_used_up() && server.rng.is_used_up());
        let keys = &v["sessionKeys"];
        let block = || ["i2r", "r2i", "attestationChallenge"].map(|part| hex(&keys[part]));
        check_keys(&BACKEND, &mut client_end.session, block());
        check_keys(&BACKEND, &mut server_end.session, block());
        assert!(client_end.record.is_none() && !server_end.resumed);
        let first = hex(&v["firstSecureMessage"]["packet"]);
        assert_eq!(open(&mut server_end.session, &first), b"Hello");
    }
}

/// The recording is of a node that declares version 1.4, so without member 8.
#[test]
fn chip_handshake_replays_in_both_roles() {
    let Some(chip) = chip() else { return };
    let v = &chip["generated_pase_transcript"];
    let pbkdf = PbkdfParameters::new(number(&v["iterations"]), &hex(&v["salt"])).unwrap();
    let own = SessionParameters::matter_1_6().with_revisions(18, 12, 0x0104_0000);
    let code = number(&v["passcode"]);
    let request = hex(&v["pbkdf_param_request"]);
    let response = hex(&v["pbkdf_param_response"]);
    let first = |side: &str| v[format!("first_message_{side}")].clone();
    let counter = |side: &str| {
        let header = hex(&first(side)["header"]);
        u32::from_le_bytes(header[4..8].try_into().unwrap())
    };

    let random = |message: &[u8], tag: u8| {
        let all = tlv::fields(message);
        all.iter().find(|field| field.tag == tag).unwrap().value().to_vec()
    };
    let rng = Script::new(&[&random(&request, 1), &hex(&v["x"])]);
    let rng = rng.then_counter(counter("initiator"));
    let id = number(&v["initiator_session_id"]);
    let (mut client, sent) = Party::pase_client(&BACKEND, code, None, id, &own, rng);
    assert_eq!(sent.1, request);
    let pake1 = client.feed(RESPONSE, &response);
    assert_eq!(pake1.sent(Opcode::PASE_PAKE1), hex(&v["pake1"]));
    let pake3 = client.feed(Opcode::PASE_PAKE2, &hex(&v["pake2"]));
    assert_eq!(pake3.sent(Opcode::PASE_PAKE3), hex(&v["pake3"]));
    let (_, mut client_end) = client.feed(REPORT, &hex(&v["status_report"])).established();

    let rng = Script::new(&[&random(&response, 2), &hex(&v["y"])]);
    let rng = rng.then_counter(counter("responder"));
    let id = number(&v["responder_session_id"]);
    let params = own.with_max_paths_per_invoke(9);
    let mut server = Party::pase_server(&BACKEND, code, pbkdf, id, &params, rng);
    let sent = server.feed(REQUEST, &request).sent(RESPONSE);
    assert_eq!(sent, response);
    let pake2 = server.feed(Opcode::PASE_PAKE1, &hex(&v["pake1"]));
    assert_eq!(pake2.sent(Opcode::PASE_PAKE2), hex(&v["pake2"]));
    let end = server.feed(Opcode::PASE_PAKE3, &hex(&v["pake3"]));
    let (reply, mut server_end) = end.established();
    assert_eq!(reply, Some((REPORT, hex(&v["status_report"]))));
    assert_eq!(client_end.session.peer_parameters().max_paths_per_invoke, 9);

    let ends = [&mut client_end.session, &mut server_end.session];
    for (side, session) in ["initiator", "responder"].into_iter().zip(ends) {
        let message = first(side);
        let (header, payload) = (hex(&message["protocol_header"]), hex(&message["payload"]));
        assert_eq!(seal(session, &header, &payload), hex(&message["wire"]));
    }
    let block = || ["i2r_key", "r2i_key", "attestation_challenge"].map(|part| hex(&v[part]));
    check_keys(&BACKEND, &mut client_end.session, block());
    check_keys(&BACKEND, &mut server_end.session, block());
}
