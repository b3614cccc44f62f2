//! The session parameters that a node announces, and which of them old peers can bear.

use std::collections::BTreeMap;

use matter_session::crypto::PbkdfParameters;
use matter_session::handshake::case::messages::{Sigma1, Sigma2, Sigma2Resume};
use matter_session::handshake::pase::messages::{PbkdfParamRequest, PbkdfParamResponse};
use matter_session::session::{SessionParameters, Transports};
use matter_session::wire::secure_channel::Opcode;
use matter_session_testing::node::Message;

use super::*;

/// The numbers in the structure with this tag of a message, in their order.
fn announced(payload: &[u8], tag: u8) -> BTreeMap<u8, u64> {
    let field = tlv::fields(payload).into_iter().find(|field| field.tag == tag).unwrap();
    // Unsigned integers: control, tag, value.
    let mut rest = &field.body[..field.body.len() - 1];
    let mut members = BTreeMap::new();
    while let [control, tag, value @ ..] = rest {
        let len = 1 << (control & 3);
        let (value, after) = value.split_at(len);
        assert!(members.last_key_value().is_none_or(|(last, _)| last < tag));
        let mut octets = [0; 8];
        octets[..len].copy_from_slice(value);
        members.insert(*tag, u64::from_le_bytes(octets));
        rest = after;
    }
    members
}

/// What releases 1.3 to 1.4.1 see of a wish to resume: they stop reading Sigma1 at a session
/// parameter with a tag above 7.
fn old_peer_sees_resumption(sigma1: &[u8]) -> bool {
    let fields = tlv::fields(sigma1);
    let tags: Vec<u8> = fields.iter().map(|field| field.tag).collect();
    announced(sigma1, 5).keys().all(|tag| *tag <= 7) && tags.contains(&6) && tags.contains(&7)
}

const BOTH: Transports = Transports::TCP_CLIENT.or(Transports::TCP_SERVER);

fn tcp() -> SessionParameters {
    SessionParameters::matter_1_6().with_tcp(BOTH, 20_000)
}

/// The first message to a peer that declared this version, with and without a record.
fn sigma1(own: &SessionParameters, version: Option<Option<u32>>) -> Vec<u8> {
    let rig = Rig::resumed();
    let mut node = rig.nodes[0].clone();
    node.parameters = *own;
    let record = version.map(|version| {
        let mut record = rig.record.clone().unwrap();
        record.parameters.specification_version = version;
        record
    });
    let (peer, rng) = (rig.credentials[1].id, Script::seeded(3));
    Party::case_client(&BACKEND, &node, peer, record, 11, rng).1.1
}

#[test]
fn releases_before_1_4_2_see_that_a_sigma1_resumes() {
    let versions = [None, Some(0x0103_0000), Some(0x0104_0000), Some(0x0104_0100)];
    for own in [SessionParameters::matter_1_6(), tcp()] {
        for version in versions {
            let sigma1 = sigma1(&own, Some(version));
            assert!(old_peer_sees_resumption(&sigma1), "{version:x?}");
            assert!(Sigma1::parse(&sigma1).unwrap().resumption.is_some());
        }
    }
}

#[test]
fn releases_from_1_4_2_on_learn_of_tcp_when_a_sigma1_resumes() {
    for version in [0x0104_0200, 0x0105_0000, 0x0106_0000] {
        let sigma1 = sigma1(&tcp(), Some(Some(version)));
        let read = Sigma1::parse(&sigma1).unwrap();
        assert!(read.resumption.is_some());
        assert_eq!(read.session_parameters, Some(tcp()), "{version:x?}");
    }
}

#[test]
fn a_full_sigma1_announces_tcp_to_every_peer() {
    let sigma1 = sigma1(&tcp(), None);
    assert_eq!(Sigma1::parse(&sigma1).unwrap().session_parameters, Some(tcp()));
}

/// Each message that announces parameters, from a node with these: its name, and the parameters.
fn messages(own: &SessionParameters) -> Vec<(&'static str, BTreeMap<u8, u64>)> {
    let case = |rig: &Rig| -> Vec<Message> {
        let mut nodes = rig.nodes.clone();
        nodes.iter_mut().for_each(|node| node.parameters = *own);
        let (peer, rng) = (rig.credentials[1].id, Script::seeded(3));
        let (client, first) =
            Party::case_client(&BACKEND, &nodes[0], peer, rig.record.clone(), 11, rng);
        let client = client.signing(rig.credentials[0].sign());
        let server = Party::case_server(&BACKEND, &nodes[1], 22, Script::seeded(4))
            .signing(rig.credentials[1].sign());
        matter_session_testing::node::transcript((client, first), server)
    };
    let (full, resumed) = (case(Rig::full()), case(Rig::resumed()));
    let pbkdf = PbkdfParameters::new(1000, &[7; PbkdfParameters::MIN_SALT_LEN]).unwrap();
    let client =
        Party::<Backend>::pase_client(&BACKEND, 20_202_021, None, 11, own, Script::seeded(5));
    let server =
        Party::<Backend>::pase_server(&BACKEND, 20_202_021, pbkdf, 22, own, Script::seeded(6));
    let pase = matter_session_testing::node::transcript(client, server);
    assert!(Sigma1::parse(&full[0].1).is_ok() && Sigma2::parse(&full[1].1).is_ok());
    assert!(Sigma2Resume::parse(&resumed[1].1).is_ok());
    assert!(PbkdfParamRequest::parse(&pase[0].1).is_ok());
    assert!(PbkdfParamResponse::parse(&pase[1].1, false).is_ok());
    assert_eq!(resumed[1].0, Opcode::CASE_SIGMA2_RESUME);
    vec![
        ("Sigma1", announced(&full[0].1, 5)),
        ("Sigma1 that resumes", announced(&resumed[0].1, 5)),
        ("Sigma2", announced(&full[1].1, 5)),
        ("Sigma2Resume", announced(&resumed[1].1, 4)),
        ("PBKDFParamRequest", announced(&pase[0].1, 5)),
        ("PBKDFParamResponse", announced(&pase[1].1, 5)),
    ]
}

/// The last tag without TCP.
fn last(name: &str) -> u8 {
    if name.starts_with("Sigma1") { 7 } else { 8 }
}

#[test]
fn a_sigma1_announces_transports_if_there_are_any_and_all_other_messages_do_always() {
    for (name, members) in messages(&SessionParameters::matter_1_6()) {
        assert!(members.keys().copied().eq(1..=last(name)), "{name}: {members:?}");
        assert!(members.get(&8).is_none_or(|transports| *transports == 0));
    }
    for (name, members) in messages(&tcp()) {
        // The record of these nodes says nothing about the peer's version.
        let last = if name == "Sigma1 that resumes" { 7 } else { 9 };
        assert!(members.keys().copied().eq(1..=last), "{name}: {members:?}");
    }
}

#[test]
fn what_a_node_announces_is_conformant_whatever_it_was_given() {
    const HOUR: u64 = 3_600_000;
    let mut half = SessionParameters::default();
    half.specification_version = Some(0x0104_0000);
    for own in [
        SessionParameters::default(),
        half,
        SessionParameters::matter_1_6().with_max_paths_per_invoke(0),
        SessionParameters::matter_1_6().with_intervals(7_200_000, 7_200_000, u16::MAX),
        SessionParameters::default().with_intervals(u32::MAX, u32::MAX, 0),
    ] {
        for (name, members) in messages(&own) {
            assert!(members.keys().copied().eq(1..=last(name)), "{name}: {members:?}");
            assert_eq!(members[&1], u64::from(own.idle_interval_ms).min(HOUR), "{name}");
            assert_eq!(members[&2], u64::from(own.active_interval_ms).min(HOUR), "{name}");
            assert_eq!(members[&3], u64::from(own.active_threshold_ms), "{name}");
            assert_eq!(members[&7], 1, "{name}");
            // The three revisions belong together.
            assert_eq!([4, 5, 6].map(|tag| members[&tag]), [21, 12, 0x0106_0000], "{name}");
        }
    }
    let given = SessionParameters::default()
        .with_revisions(18, 12, 0x0104_0000)
        .with_intervals(5000, 0, 9)
        .with_max_paths_per_invoke(9);
    for (name, members) in messages(&given) {
        let members: Vec<u64> = members.into_values().collect();
        assert_eq!(members, [5000, 0, 9, 18, 12, 0x0104_0000, 9], "{name}");
    }
}
