//! Who a peer is, who signs, and which fabric is meant.

use matter_session::Peer;
use matter_session::cert::Position;
use matter_session::context::Services;
use matter_session::context::{PeerIdentity, PeerPolicy, Rejected};
use matter_session::crypto::SignError;
use matter_session::handshake::{
    CaseClient, CaseStart, HANDSHAKE_TIMEOUT, HandshakeError, Signed, Step,
};
use matter_session::time::{MatterTime, WallClock};
use matter_session::tlv::TlvError;

use super::rig::{Credentials, Rig, Tbe, forge_sigma2, forge_sigma3};
use super::{REPORT, SIGMA1, SIGMA2, SIGMA3, SUCCESS};
use matter_session_testing::node::{
    Did, Kept, Machine, NOW, Node, Party, Sign, converse, index, session_id,
};
use matter_session_testing::tlv::{self, Field, structure};
use matter_session_testing::{BACKEND, Backend, Script};

/// The private key that the initiator of the full rig draws behind its random.
pub(super) fn initiator_ephemeral() -> [u8; 32] {
    use matter_session::rand_core::Rng;
    let mut octets = [0; 64];
    Script::seeded(3).fill_bytes(&mut octets);
    octets[32..].try_into().unwrap()
}

/// What the honest initiator makes of a forged Sigma2.
pub(super) fn on_sigma2(tbe: &Tbe) -> Did<Backend> {
    let rig = Rig::full();
    let sigma2 = forge_sigma2(&rig.credentials[1].ipk, &rig.messages[0].1, tbe);
    rig.receiver(1).feed(SIGMA2, &sigma2)
}

/// What the honest responder makes of a forged Sigma3.
pub(super) fn on_sigma3(tbe: &Tbe) -> Did<Backend> {
    let rig = Rig::full();
    let sigma = [&rig.messages[0].1[..], &rig.messages[1].1];
    let sigma3 = forge_sigma3(rig, &initiator_ephemeral(), sigma, tbe);
    rig.receiver(2).feed(SIGMA3, &sigma3)
}

/// The honest content of Sigma2 and Sigma3, to be changed.
fn honest() -> [Tbe; 2] {
    let [initiator, responder] = &Rig::full().credentials;
    [Tbe::honest(responder), Tbe::honest(initiator)]
}

fn both(change: impl Fn(&mut Tbe)) -> [Did<Backend>; 2] {
    let [mut of2, mut of3] = honest();
    change(&mut of2);
    change(&mut of3);
    [on_sigma2(&of2), on_sigma3(&of3)]
}

fn both_fail(error: HandshakeError, change: impl Fn(&mut Tbe)) {
    assert_eq!(both(change).map(Did::error), [error; 2]);
}

#[track_caller]
fn both_pass(change: impl Fn(&mut Tbe)) {
    let [of2, of3] = both(change);
    of2.sent(SIGMA3);
    of3.established();
}

#[test]
fn unknown_fields_and_an_empty_icac_in_the_encrypted_part_are_accepted() {
    both_pass(|_| {});
    both_pass(|tbe| tbe.more.push((9, vec![1; 9])));
    // Present but empty counts as absent, in what is signed too.
    both_pass(|tbe| tbe.icac = Some(vec![]));
    both_fail(HandshakeError::WrongSignature, |tbe| {
        (tbe.icac, tbe.signed_icac) = (Some(vec![]), Some(vec![]));
    });
}

#[test]
fn a_damaged_encrypted_part_is_refused() {
    let [of2, of3] = honest();
    let undamaged = structure(&[(1, &of3.noc), (3, &[0; 64])]);
    for which in 0..tlv::damaged(&undamaged, &[2]).len() {
        let mut tbe = of3.clone();
        tbe.damage = Some(which);
        on_sigma3(&tbe).error();
    }
    let undamaged = structure(&[(1, &of2.noc), (3, &[0; 64]), (4, &[0; 16])]);
    for which in 0..tlv::damaged(&undamaged, &[2]).len() {
        let mut tbe = of2.clone();
        tbe.damage = Some(which);
        on_sigma2(&tbe).error();
    }
}

#[test]
fn encrypted_parts_and_certificates_have_limits() {
    let rig = Rig::full();
    for (n, tag, max) in [(1, 4, 1030), (2, 1, 1010)] {
        let of = |len: usize| {
            let field = Field::bytes(tag, &vec![1; len]);
            tlv::with(&rig.messages[n].1, tag, |f| *f = field)
        };
        for len in [0, 16, max + 1, 60_000] {
            let error = rig.refused(n, &of(len), "length");
            assert_eq!(error, HandshakeError::Malformed(TlvError::OutOfRange));
        }
        for len in [17, max] {
            assert_eq!(rig.refused(n, &of(len), "noise"), HandshakeError::Undecryptable);
        }
    }
    let too_long = HandshakeError::Malformed(TlvError::OutOfRange);
    both_fail(too_long, |tbe| tbe.noc = vec![0; 401]);
    both_fail(too_long, |tbe| tbe.icac = Some(vec![0; 401]));
    for did in both(|tbe| tbe.noc.clear()) {
        assert!(matches!(did.error(), HandshakeError::Certificate(Position::Noc, _)));
    }
}

#[test]
fn the_certificate_of_another_node_is_not_whom_we_dialled() {
    let other = Tbe::honest(&Rig::full().credentials[0]);
    assert_eq!(on_sigma2(&other).error(), HandshakeError::WrongNode);
}

#[test]
fn the_same_fabric_id_under_another_root_is_another_fabric() {
    for side in ["initiator", "responder"] {
        let foreign = Tbe::honest(&Credentials::of(1, side));
        for error in [on_sigma2(&foreign).error(), on_sigma3(&foreign).error()] {
            assert!(matches!(error, HandshakeError::Chain(_)), "{error:?}");
        }
    }
    // A responder on both, which have the same fabric id and node id, finds the one that is meant.
    let fabrics = [0, 1].map(|of| Credentials::of(of, "responder").fabric(of as u8 + 1));
    let server_node = Node::new(fabrics.to_vec());
    for of in [0, 1] {
        let (own, peer) = (Credentials::of(of, "initiator"), Credentials::of(of, "responder"));
        let client_node = Node::new(vec![own.fabric(1)]);
        let rng = Script::seeded(5);
        let (client, first) = Party::case_client(&BACKEND, &client_node, peer.id, None, 11, rng);
        let mut client = client.signing(own.sign());
        let mut server =
            Party::case_server(&BACKEND, &server_node, 22, Script::seeded(6)).signing(peer.sign());
        assert_eq!(converse(&mut server, &mut client, &first), Ok(()));
        let Machine::CaseServer(machine) = &server.machine else { unreachable!() };
        assert_eq!(machine.fabric(), Some(index(of as u8 + 1)));
        let [(noc, icac, key)] = &server.kept.kept[..] else { panic!("kept once") };
        assert_eq!((noc, icac, *key), (&own.noc, &own.icac, own.key().public_key()));
    }
}

#[test]
fn a_signature_by_another_key_or_over_another_text_is_refused() {
    both_fail(HandshakeError::WrongSignature, |tbe| tbe.key = [9; 32]);
    both_fail(HandshakeError::WrongSignature, |tbe| tbe.spoil_signature = true);
    both_fail(HandshakeError::WrongSignature, |tbe| tbe.signed_icac = Some(vec![1]));
}

#[test]
fn expired_certificates_are_refused_when_the_time_is_known() {
    let rig = Rig::full();
    let mut nodes = rig.nodes.clone();
    for node in &mut nodes {
        node.wall = WallClock::Known(MatterTime::from_seconds(1_073_741_825));
    }
    for (n, node) in [(1, &nodes[0]), (2, &nodes[1])] {
        let mut party = rig.receiver(n);
        party.node = Some(node);
        let error = party.feed(rig.messages[n].0, &rig.messages[n].1).error();
        assert!(matches!(error, HandshakeError::Chain(_)), "{error:?}");
    }
}

/// A certificate of the right root for another fabric id.
#[cfg(feature = "issue")]
#[test]
fn a_certificate_of_another_fabric_under_our_root_is_refused() {
    use matter_session::cert::{Certificate, CertificateRequest, Issuer, SerialNumber, Validity};
    use matter_session::ids::FabricId;
    let root = Certificate::parse(&Rig::full().credentials[0].root).unwrap();
    let mut root_key =
        matter_session_testing::node::signing_key(matter_session_testing::root_key());
    let validity = Validity::new(root.not_before(), root.not_after()).unwrap();
    for (at, fabric, expected) in [
        (0, 0xFAB0_0000_0000_001D, None),
        (1, 0xFAB0_0000_0000_001D, None),
        (0, 0x0BAD, Some(HandshakeError::WrongFabric)),
        (1, 0x0BAD, Some(HandshakeError::WrongFabric)),
    ] {
        let own = &Rig::full().credentials[1 - at];
        let serial = SerialNumber::new(&[5]).unwrap();
        let (fabric, key) = (FabricId::new(fabric).unwrap(), own.key().public_key());
        let noc = CertificateRequest::noc(own.id, fabric, key, serial, validity)
            .sign(&BACKEND, &mut Issuer::new(&root, &mut root_key).unwrap())
            .unwrap();
        let mut tbe = Tbe::honest(own);
        tbe.noc = noc.as_slice().to_vec();
        let did = if at == 0 { on_sigma2(&tbe) } else { on_sigma3(&tbe) };
        assert_eq!(matches!(did, Did::Failed { .. }), expected.is_some());
        if let Some(expected) = expected {
            assert_eq!(did.error(), expected);
        }
    }
}

#[test]
fn every_epoch_of_the_identity_protection_key_is_understood() {
    let [initiator, responder] = &Rig::full().credentials;
    let epochs = [[1; 16], [2; 16], [3; 16]];
    let try_with = |client: &[[u8; 16]], server: &[[u8; 16]]| {
        let client_node = Node::new(vec![initiator.fabric_with(1, client)]);
        let server_node = Node::new(vec![responder.fabric_with(1, server)]);
        let rng = Script::seeded(5);
        let (client, first) =
            Party::case_client(&BACKEND, &client_node, responder.id, None, 11, rng);
        let mut client = client.signing(initiator.sign());
        let mut server = Party::case_server(&BACKEND, &server_node, 22, Script::seeded(6))
            .signing(responder.sign());
        converse(&mut server, &mut client, &first)
    };
    for epoch in epochs {
        assert_eq!(try_with(&[epoch], &epochs), Ok(()));
    }
    // An initiator with several uses the second newest.
    assert_eq!(try_with(&epochs, &epochs[1..2]), Ok(()));
    assert_eq!(try_with(&epochs[..2], &epochs[..1]), Ok(()));
    assert_eq!(try_with(&epochs, &epochs[..1]), Err(HandshakeError::NoSharedTrustRoots));
    assert_eq!(try_with(&epochs, &epochs[2..]), Err(HandshakeError::NoSharedTrustRoots));
}

#[test]
fn the_policy_has_its_say() {
    struct Nobody;
    impl PeerPolicy for Nobody {
        fn authorize(&self, _: &PeerIdentity<'_>) -> Result<(), Rejected> {
            Err(Rejected)
        }
    }
    for (rig, n) in [(Rig::full(), 1), (Rig::full(), 2), (Rig::resumed(), 1)] {
        let mut party = rig.receiver(n);
        party.policy = Some(&Nobody);
        let error = party.feed(rig.messages[n].0, &rig.messages[n].1).error();
        assert_eq!(error, HandshakeError::Rejected);
        assert!(party.kept.kept.is_empty());
    }
}

#[test]
fn certificates_are_handed_out_once_and_not_in_a_resumption() {
    for (rig, n, times) in [(Rig::full(), 1, 1), (Rig::full(), 2, 1), (Rig::resumed(), 1, 0)] {
        let mut party = rig.receiver(n);
        let did = party.feed(rig.messages[n].0, &rig.messages[n].1);
        assert!(!matches!(did, Did::Failed { .. }));
        assert_eq!(party.kept.kept.len(), times);
        let own = &rig.credentials[usize::from(n == 1)];
        for (noc, icac, key) in &party.kept.kept {
            assert_eq!((noc, icac, *key), (&own.noc, &own.icac, own.key().public_key()));
        }
    }
}

#[test]
fn certificates_that_are_changed_while_they_are_verified_are_refused() {
    let rig = Rig::full();
    for (n, before) in [(1, 1), (2, 0), (2, 1)] {
        for change in [false, true] {
            let Party { crypto, mut machine, node, mut rng, mut kept, .. } = rig.receiver(n);
            let (opcode, mut payload) = rig.messages[n].clone();
            let (mut services, mut out) = (Services::new(&mut rng), [0; 1280]);
            let (mut cx, node) = (services.at(NOW), node.unwrap());
            let message = matter_session::Incoming::new(opcode, &mut payload);
            let mut step = node.env(&mut kept, |env| {
                machine.handle(crypto, &mut cx, Some(env), message, &mut out)
            });
            let mut proceed = |kept: &mut Kept| {
                node.env(kept, |env| machine.proceed(crypto, &mut cx, Some(env), &mut out))
            };
            for _ in 0..before {
                assert!(matches!(step, Ok(Step::More)));
                step = proceed(&mut kept);
            }
            assert!(matches!(step, Ok(Step::More)));
            if change {
                kept.room[60] ^= 1;
            }
            let step = proceed(&mut kept);
            let refused = step.is_err_and(|failed| failed.error == HandshakeError::RoomChanged);
            assert_eq!(refused, change, "message {n} after {before} parts");
        }
    }
}

/// Both roles, waiting for a signature.
fn waiting() -> [(Party<'static>, Signed); 2] {
    let rig = Rig::full();
    [(1, 0), (0, 1)].map(|(n, side)| {
        let mut party = rig.receiver(n);
        party.sign = Sign::Later;
        let request = party.feed(rig.messages[n].0, &rig.messages[n].1).request();
        assert_eq!(request.fabric(), index(1));
        (party, request.sign_with(&mut rig.credentials[side].key()))
    })
}

#[test]
fn a_stale_signature_is_refused_and_the_handshake_goes_on() {
    let [(mut client, for_client), (mut server, for_server)] = waiting();
    for (party, wrong) in [(&mut client, &for_server), (&mut server, &for_client)] {
        match party.resume(wrong) {
            Did::Failed { error: HandshakeError::StaleSignature, reply: None } => {}
            other => panic!("{}", other.name()),
        }
        assert_eq!(party.poll_timeout(), Some(NOW + HANDSHAKE_TIMEOUT));
    }
    let (Machine::CaseClient(waits), Machine::CaseServer(serves)) =
        (&client.machine, &server.machine)
    else {
        unreachable!()
    };
    assert!(waits.awaits(&for_client) && !waits.awaits(&for_server));
    assert!(serves.awaits(&for_server) && !serves.awaits(&for_client));
    client.resume(&for_client).sent(SIGMA3);
    server.resume(&for_server).sent(SIGMA2);
    // Answered once, the request is gone.
    for (party, again) in [(&mut client, &for_client), (&mut server, &for_server)] {
        assert_eq!(party.resume(again).error(), HandshakeError::StaleSignature);
        assert!(party.poll_timeout().is_some());
    }
    let [(mut client, for_client), _] = waiting();
    client.handle_timeout(NOW + HANDSHAKE_TIMEOUT).unwrap_err();
    assert_eq!(client.resume(&for_client).error(), HandshakeError::StaleSignature);
}

#[test]
fn a_key_that_does_not_sign_ends_the_handshake() {
    let rig = Rig::full();
    for n in [0, 1] {
        let mut party = rig.receiver(n);
        party.sign = Sign::Later;
        let request = party.feed(rig.messages[n].0, &rig.messages[n].1).request();
        let error = party.resume(&request.complete(Err(SignError))).error();
        assert_eq!(error, HandshakeError::Sign(SignError));
        assert!(party.is_ended());
    }
}

#[test]
fn messages_and_time_pass_badly_while_a_signature_is_pending() {
    for n in 0..2 {
        let (mut party, _) = waiting().into_iter().nth(n).unwrap();
        let error = party.feed(SIGMA1, &Rig::full().messages[0].1).error();
        assert_eq!(error, HandshakeError::UnexpectedMessage(SIGMA1));
        assert!(party.is_ended());
        let (mut party, _) = waiting().into_iter().nth(n).unwrap();
        assert_eq!(party.feed(REPORT, &SUCCESS).error(), HandshakeError::PrematureSuccess);
        let (mut party, signed) = waiting().into_iter().nth(n).unwrap();
        party.room = 100;
        assert_eq!(party.resume(&signed).error(), HandshakeError::BufferTooSmall);
        assert!(party.is_ended());
    }
}

/// Removed, replaced by another under the same index, or with renewed certificates: whatever was
/// agreed on holds no more.
#[test]
fn a_fabric_that_is_gone_or_changed_ends_the_handshake_in_every_state() {
    let none = Node::new(vec![]);
    let other = ["initiator", "responder"].map(|side| {
        let fabric = Credentials::of(1, side).fabric(1);
        Node::new(vec![fabric])
    });
    for (side, other) in other.iter().enumerate() {
        for node in [&none, other] {
            let (mut party, signed) = waiting().into_iter().nth(side).unwrap();
            party.node = Some(node);
            assert_eq!(party.resume(&signed).error(), HandshakeError::UnknownFabric);
            assert!(party.is_ended());
            for (rig, n) in [
                (Rig::full(), 1),
                (Rig::full(), 2),
                (Rig::full(), 3),
                (Rig::resumed(), 1),
                (Rig::resumed(), 2),
            ] {
                if (n + 1) % 2 != side {
                    let mut party = rig.receiver(n);
                    party.node = Some(node);
                    let error = party.feed(rig.messages[n].0, &rig.messages[n].1).error();
                    assert_eq!(error, HandshakeError::UnknownFabric, "message {n}");
                    assert!(party.is_ended());
                }
            }
        }
    }
}

#[test]
fn starting_needs_a_fabric_and_room() {
    let rig = Rig::full();
    let start = |at: u8, room: usize| {
        let (mut rng, mut out) = (Script::seeded(1), vec![0; room]);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        let (peer, id) = (rig.credentials[1].id, session_id(1));
        rig.nodes[0].env(&mut Kept::default(), |env| {
            let (crypto, out) = (&BACKEND, &mut out[..]);
            CaseClient::start(
                crypto,
                &mut cx,
                env,
                CaseStart::new(Peer::new(index(at), peer), id),
                out,
            )
            .err()
        })
    };
    assert_eq!(start(2, 1232), Some(HandshakeError::UnknownFabric));
    let needed = rig.messages[0].1.len();
    for room in [0, 100, needed - 1] {
        assert_eq!(start(1, room), Some(HandshakeError::BufferTooSmall));
    }
    assert_eq!(start(1, needed), None);
}
