//! CASE: recorded handshakes, replayed by both roles, and everything a peer can do wrong.

#[cfg(feature = "issue")]
mod icac;
mod identity;
mod parameters;
mod recorded;
mod rig;
mod secrets;

use core::time::Duration;

use matter_session::context::{PeerIdentity, PeerPolicy, Rejected};
use matter_session::crypto::CryptoError;
use matter_session::handshake::{HANDSHAKE_TIMEOUT, HandshakeError, Refusal};
use matter_session::tlv::TlvError;
use matter_session::wire::secure_channel::Opcode;
use matter_session_testing::node::{Did, NOW, Node, Party, converse, index};
use matter_session_testing::tlv::{self, Field};
use matter_session_testing::{BACKEND, Backend, Script};
use proptest::prelude::*;
use rig::{Credentials, OPCODES, Rig};

const SIGMA1: Opcode = Opcode::CASE_SIGMA1;
const SIGMA2: Opcode = Opcode::CASE_SIGMA2;
const SIGMA3: Opcode = Opcode::CASE_SIGMA3;
const SIGMA2_RESUME: Opcode = Opcode::CASE_SIGMA2_RESUME;
const REPORT: Opcode = Opcode::STATUS_REPORT;
const SUCCESS: [u8; 8] = [0; 8];

#[test]
fn messages_with_any_damaged_field_are_refused() {
    let cases = [
        (Rig::full(), 0, &[5][..]),
        (Rig::full(), 1, &[5]),
        (Rig::full(), 2, &[]),
        (Rig::resumed(), 0, &[5]),
        (Rig::resumed(), 1, &[4]),
    ];
    for (rig, n, optional) in cases {
        for (what, payload) in tlv::damaged(&rig.messages[n].1, optional) {
            rig.refused(n, &payload, &what);
        }
    }
    for (rig, n) in [(Rig::full(), 3), (Rig::resumed(), 2)] {
        for len in 0..8 {
            let error = rig.refused(n, &SUCCESS[..len], "short report");
            assert!(matches!(error, HandshakeError::MalformedReport(_)));
        }
    }
}

/// Flips each bit of message `n` and plays on; returns the bits that did no harm.
fn harmless_flips(rig: &Rig, n: usize) -> Vec<usize> {
    let (opcode, honest) = &rig.messages[n];
    let harmless = |bit: &usize| {
        let mut payload = honest.clone();
        payload[bit / 8] ^= 1 << (bit % 8);
        let mut receiver = rig.receiver(n);
        match receiver.feed(*opcode, &payload) {
            Did::Failed { .. } => {
                assert!(receiver.is_ended());
                false
            }
            Did::Sent(next) => converse(&mut rig.sender(n), &mut receiver, &next).is_ok(),
            Did::Established { reply: Some(last), .. } => {
                matches!(rig.sender(n).feed(last.0, &last.1), Did::Established { .. })
            }
            Did::Established { reply: None, .. } => true,
            Did::Sign(_) => unreachable!("signed at once"),
        }
    };
    (0..honest.len() * 8).filter(harmless).collect()
}

/// Refused at once, or (in session parameters, say) passed on and caught by the transcript.
#[test]
fn every_flipped_bit_of_a_full_handshake_spoils_it() {
    for n in 0..4 {
        assert_eq!(harmless_flips(Rig::full(), n), [0; 0], "message {n}");
    }
}

/// The MICs of a resumption cover the randoms and resumption ids alone. What else is flipped is
/// not noticed by the handshake: session ids, parameters and the ephemeral key, which is not used.
#[test]
fn flipped_bits_of_a_resumption_are_caught_where_its_mics_cover_them() {
    let rig = Rig::resumed();
    // Where the fields before session id and parameters end: random; new id and MIC.
    for (n, covered) in [(0, 3..35), (1, 3..38)] {
        for bit in harmless_flips(rig, n) {
            assert!(!covered.contains(&(bit / 8)), "message {n}, bit {bit}");
        }
    }
    assert_eq!(harmless_flips(rig, 2), [0; 0], "the report");
}

#[test]
fn messages_out_of_order_end_the_handshake() {
    for (rig, len) in [(Rig::full(), 4), (Rig::resumed(), 3)] {
        for n in 0..len {
            for opcode in OPCODES {
                let is_answer = n == 1 && [SIGMA2, SIGMA2_RESUME].contains(&opcode);
                if opcode == rig.messages[n].0 || is_answer {
                    continue;
                }
                let mut party = rig.receiver(n);
                let error = party.feed(opcode, &rig.messages[n].1).error();
                assert_eq!(error, HandshakeError::UnexpectedMessage(opcode));
                assert!(party.is_ended());
            }
        }
    }
}

#[test]
fn success_reported_too_early_is_a_failure_without_reply() {
    for n in 0..3 {
        match Rig::full().receiver(n).feed(REPORT, &SUCCESS) {
            Did::Failed { error: HandshakeError::PrematureSuccess, reply: None } => {}
            other => panic!("message {n}: {}", other.name()),
        }
    }
}

#[test]
fn busy_is_understood_with_and_without_a_wait() {
    for (report, millis) in
        [(&[8, 0, 0, 0, 0, 0, 4, 0, 0x88, 0x13][..], 5000), (&[8, 0, 0, 0, 0, 0, 4, 0], 0)]
    {
        let wait = Duration::from_millis(millis);
        let error = Rig::full().receiver(1).feed(REPORT, report).error();
        assert_eq!(error, HandshakeError::Refused(Refusal::Busy { wait }));
    }
}

#[test]
fn a_destination_that_is_not_ours_is_answered_with_no_shared_trust_roots() {
    let sigma1 = tlv::with(&Rig::full().messages[0].1, 3, |field| field.body[9] ^= 1);
    match Rig::full().receiver(0).feed(SIGMA1, &sigma1) {
        Did::Failed {
            error: HandshakeError::NoSharedTrustRoots,
            reply: Some((REPORT, report)),
        } => {
            assert_eq!(report, [1, 0, 0, 0, 0, 0, 1, 0]);
        }
        other => panic!("{}", other.name()),
    }
    let refused = Rig::full().receiver(1).feed(REPORT, &[1, 0, 0, 0, 0, 0, 1, 0]).error();
    assert_eq!(refused, HandshakeError::Refused(Refusal::NoSharedTrustRoots));
}

#[test]
fn points_off_the_curve_or_compressed_are_refused() {
    let invalid = HandshakeError::Crypto(CryptoError::InvalidPoint);
    for (n, tag) in [(0, 4), (1, 3)] {
        let change =
            |at: usize, to: u8| tlv::with(&Rig::full().messages[n].1, tag, |f| f.body[at] = to);
        for payload in [change(1, 2), change(1, 6), change(1, 0)] {
            assert_eq!(Rig::full().refused(n, &payload, "form"), invalid);
        }
        for fill in [0, 0xFF] {
            let off = tlv::with(&Rig::full().messages[n].1, tag, |f| f.body[2..].fill(fill));
            assert_eq!(Rig::full().refused(n, &off, "curve"), invalid);
        }
        let compressed = tlv::with(&Rig::full().messages[n].1, tag, |f| {
            *f = Field::bytes(tag, &f.value()[..33]);
        });
        let error = Rig::full().refused(n, &compressed, "compressed");
        assert_eq!(error, HandshakeError::Malformed(TlvError::OutOfRange));
    }
}

#[test]
fn session_id_zero_is_refused() {
    for (rig, n, tag) in [(Rig::full(), 0, 2), (Rig::full(), 1, 2), (Rig::resumed(), 1, 3)] {
        let payload = tlv::with(&rig.messages[n].1, tag, |f| *f = Field::unsigned(tag, 0, 0));
        assert_eq!(rig.refused(n, &payload, "zero"), HandshakeError::InvalidSessionId);
    }
}

#[test]
fn resumption_with_one_of_its_two_fields_is_refused() {
    for missing in [6, 7] {
        let sigma1 = tlv::without(&Rig::resumed().messages[0].1, missing);
        let error = Rig::resumed().refused(0, &sigma1, "half");
        assert_eq!(error, HandshakeError::Malformed(TlvError::UnexpectedTag));
    }
}

#[test]
fn a_resumption_that_cannot_be_leads_to_the_full_handshake() {
    let rig = Rig::resumed();
    let spoilt = [6, 7].map(|tag| tlv::with(&rig.messages[0].1, tag, |f| f.body[3] ^= 1));
    for sigma1 in spoilt {
        rig.receiver(0).feed(SIGMA1, &sigma1).sent(SIGMA2);
    }
    // A record of another fabric, though its MIC is right.
    let mut node = rig.nodes[1].clone();
    node.fabrics.push(Credentials::of(1, "responder").fabric(2));
    node.records[0].fabric = index(2);
    assert_full(rig, &node, None);
    // A peer that the policy no longer wants to see resumed.
    struct NoResumption;
    impl PeerPolicy for NoResumption {
        fn authorize(&self, peer: &PeerIdentity<'_>) -> Result<(), Rejected> {
            peer.certificates.map(|_| ()).ok_or(Rejected)
        }
    }
    assert_full(rig, &rig.nodes[1], Some(&NoResumption));
}

/// The responder insists on the full handshake, which succeeds.
fn assert_full(rig: &Rig, node: &Node, policy: Option<&dyn PeerPolicy>) {
    let mut server = Party::case_server(&BACKEND, node, 22, Script::seeded(4))
        .signing(rig.credentials[1].sign());
    server.policy = policy;
    let (mut client, first) = rig.client();
    let sigma2 = server.feed(first.0, &first.1).sent(SIGMA2);
    let sigma3 = client.feed(SIGMA2, &sigma2).sent(SIGMA3);
    let (_, end) = server.feed(SIGMA3, &sigma3).established();
    assert!(!end.resumed && end.session.identity().fabric() == Some(index(1)));
}

#[test]
fn sigma2_resume_is_refused_unasked_and_with_a_wrong_mic() {
    let resume = &Rig::resumed().messages[1].1;
    let error = Rig::full().receiver(1).feed(SIGMA2_RESUME, resume).error();
    assert_eq!(error, HandshakeError::UnexpectedMessage(SIGMA2_RESUME));
    for tag in [1, 2] {
        let wrong = tlv::with(resume, tag, |field| field.body[3] ^= 1);
        assert_eq!(Rig::resumed().refused(1, &wrong, "MIC"), HandshakeError::WrongResumption);
    }
}

#[test]
fn a_record_of_another_peer_or_fabric_is_not_offered() {
    let rig = Rig::resumed();
    let mut other_peer = rig.record.clone().unwrap();
    other_peer.peer = rig.credentials[0].id;
    let mut other_fabric = rig.record.clone().unwrap();
    other_fabric.fabric = index(2);
    for record in [other_peer, other_fabric] {
        let (peer, rng) = (rig.credentials[1].id, Script::seeded(3));
        let (_, (_, sigma1)) =
            Party::case_client(&BACKEND, &rig.nodes[0], peer, Some(record), 11, rng);
        assert!(tlv::fields(&sigma1).iter().all(|field| field.tag < 6));
    }
}

#[test]
fn unknown_fields_wide_integers_and_sparse_parameters_are_accepted() {
    let accept = |rig: &Rig, n: usize, payload: &[u8]| {
        let mut party = rig.receiver(n);
        match party.feed(rig.messages[n].0, payload) {
            Did::Sent(_) | Did::Established { .. } => {}
            other => panic!("message {n}: {}", other.name()),
        }
    };
    let more = [Field::bytes(9, b"new"), Field { tag: 10, kind: 0x15, body: vec![0x18] }];
    let full = [(Rig::full(), 0, 2, 5), (Rig::resumed(), 0, 2, 5), (Rig::resumed(), 1, 3, 4)];
    for (rig, n, id, parameters) in full {
        let honest = &rig.messages[n].1;
        accept(rig, n, &tlv::and(honest, &more));
        accept(rig, n, &tlv::without(honest, parameters));
        accept(rig, n, &tlv::with(honest, parameters, |field| field.body = vec![0x18]));
        accept(rig, n, &tlv::with(honest, id, |f| *f = Field::unsigned(id, 0x1234, 3)));
        accept(rig, n, &[honest, &[1, 2, 3][..]].concat());
    }
}

#[test]
fn handshakes_time_out_after_standing_still() {
    for (rig, len) in [(Rig::full(), 4), (Rig::resumed(), 3)] {
        for n in 0..len {
            let mut party = rig.receiver(n);
            let end = NOW + HANDSHAKE_TIMEOUT;
            assert_eq!(party.poll_timeout(), Some(end));
            assert_eq!(party.handle_timeout(NOW), Ok(()));
            assert_eq!(party.handle_timeout(end), Err(HandshakeError::TimedOut));
            assert_eq!(party.poll_timeout(), None);
            assert!(party.is_ended());
        }
    }
    let mut server = Rig::full().receiver(0);
    server.now = NOW + Duration::from_secs(50);
    server.feed(SIGMA1, &Rig::full().messages[0].1).sent(SIGMA2);
    assert_eq!(server.handle_timeout(NOW + HANDSHAKE_TIMEOUT), Ok(()), "it has moved since");
    let end = NOW + Duration::from_secs(110);
    assert_eq!(server.handle_timeout(end), Err(HandshakeError::TimedOut));
}

#[test]
fn buffers_too_small_are_typed_errors() {
    for (rig, len) in [(Rig::full(), 4), (Rig::resumed(), 3)] {
        for n in 0..len - 1 {
            let needed = rig.messages[n + 1].1.len();
            for room in [0, 1, 7, needed / 2, needed - 1] {
                let mut party = rig.receiver(n);
                party.room = room;
                let error = party.feed(rig.messages[n].0, &rig.messages[n].1).error();
                assert_eq!(error, HandshakeError::BufferTooSmall);
                assert!(party.is_ended());
            }
            let mut party = rig.receiver(n);
            party.room = needed;
            let did = party.feed(rig.messages[n].0, &rig.messages[n].1);
            assert!(!matches!(did, Did::Failed { .. }));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn random_octets_never_panic(
        n in 0..7_usize,
        opcode in prop_oneof![0x30..=0x33_u8, Just(0x40), any::<u8>()],
        as_expected: bool,
        payload in prop::collection::vec(any::<u8>(), 0..300),
        keep in 0..600_usize,
        room in prop_oneof![Just(1232_usize), 0..500_usize],
    ) {
        let (rig, n) = if n < 4 { (Rig::full(), n) } else { (Rig::resumed(), n - 4) };
        let (expected, honest) = &rig.messages[n];
        let opcode = if as_expected { *expected } else { Opcode(opcode) };
        let payload = [&honest[..keep.min(honest.len())], &payload[..]].concat();
        let mut party = rig.receiver(n);
        party.room = room;
        if matches!(party.feed(opcode, &payload), Did::Failed { .. }) {
            prop_assert!(party.is_ended());
        }
    }
}

/// What each handshake in flight takes of a device's memory, on a 64-bit machine.
#[test]
fn machines_are_small() {
    use matter_session::handshake::{CaseClient, CaseServer, PaseClient, PaseServer, Step};
    // With `std`, a verifier may point to what was computed ahead.
    let prepared = if cfg!(feature = "std") { 16 } else { 0 };
    let sizes = [
        (size_of::<CaseClient<Backend>>(), 752),
        (size_of::<CaseServer<Backend>>(), 488),
        (size_of::<PaseClient<Backend>>(), 488),
        (size_of::<PaseServer<Backend>>(), 424 + prepared),
        (size_of::<Step>(), 320),
    ];
    println!("CASE client and server, PASE client and server, step: {sizes:?}");
    assert!(sizes.iter().all(|(size, most)| size <= most), "{sizes:?}");
}
