//! Values that nodes store and compare: there and back, and beside plain models.

use matter_session::bytes::{Buffer, Counter, Overflow, Sink};
use matter_session::context::Services;
use matter_session::crypto::{PbkdfParameters, Secret, Verifier};
use matter_session::fabric::CompressedFabricId;
use matter_session::ids::{CaseAuthTag, CaseAuthTags, FabricIndex, NodeId, ProtocolId, VendorId};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::{ResumptionId, SessionParameters, Transports};
use matter_session::time::{Instant, MatterTime, WallClock};
use matter_session_testing::Script;
use proptest::prelude::*;

/// Tags of few identifiers, so that they meet.
fn tag() -> impl Strategy<Value = CaseAuthTag> {
    (0..4_u32, 1..4_u32).prop_map(|(id, version)| CaseAuthTag::new(id << 16 | version).unwrap())
}

fn tags() -> impl Strategy<Value = CaseAuthTags> {
    prop::collection::vec(tag(), 0..4).prop_map(|list| {
        let mut tags = CaseAuthTags::NONE;
        for tag in list {
            // Those that do not fit are left out.
            let _ = tags.insert(tag);
        }
        tags
    })
}

fn record() -> impl Strategy<Value = ResumptionRecord> {
    let node = 1..=0xFFFF_FFEF_FFFF_FFFF_u64;
    let times = any::<([Option<u32>; 2], u32)>();
    let secrets = (any::<[u8; 16]>(), any::<[u8; 32]>());
    (secrets, 1..=254_u8, any::<[u8; 8]>(), node, tags(), times, parameters()).prop_map(
        |((id, secret), fabric, compressed, peer, cats, (times, age_seconds), parameters)| {
            ResumptionRecord {
                id: ResumptionId::new(id),
                fabric: FabricIndex::new(fabric).unwrap(),
                compressed_fabric: CompressedFabricId::from_bytes(compressed),
                peer: NodeId::new(peer),
                cats,
                shared_secret: Secret::new(secret),
                valid_until: times[0].map(MatterTime::from_seconds),
                authenticated: times[1].map(MatterTime::from_seconds),
                parameters,
                age_seconds,
            }
        },
    )
}

fn parameters() -> impl Strategy<Value = SessionParameters> {
    let intervals = any::<(u32, u32, u16)>();
    let revisions = any::<(Option<u16>, Option<u16>, Option<u32>)>();
    (intervals, revisions, any::<(u16, u32)>(), 0..4_usize).prop_map(
        |((idle, active, threshold), revisions, (paths, tcp), transports)| {
            let transports = [
                Transports::NONE,
                Transports::TCP_CLIENT,
                Transports::TCP_SERVER,
                Transports::TCP_CLIENT.or(Transports::TCP_SERVER),
            ][transports];
            let mut parameters = SessionParameters::default()
                .with_intervals(idle, active, threshold)
                .with_max_paths_per_invoke(paths)
                .with_tcp(transports, tcp);
            parameters.data_model_revision = revisions.0;
            parameters.interaction_model_revision = revisions.1;
            parameters.specification_version = revisions.2;
            parameters
        },
    )
}

#[test]
fn sinks_count_what_is_put() {
    fn fill(mut sink: impl Sink) -> Result<(), Overflow> {
        sink.put(&[1, 2])?;
        sink.put(&[3])
    }
    let (mut octets, mut counter) = ([0; 4], Counter::default());
    let mut buffer = Buffer::new(&mut octets);
    assert!(buffer.is_empty() && counter.is_empty());
    assert_eq!((fill(&mut buffer), fill(&mut counter)), (Ok(()), Ok(())));
    assert_eq!((buffer.len(), counter.len()), (3, 3));
    assert!(!buffer.is_empty() && !counter.is_empty());
    assert_eq!(buffer.put(&[4, 5]), Err(Overflow));
    assert_eq!(buffer.into_written(), [1, 2, 3]);
}

#[test]
fn verifiers_are_equal_if_both_parts_are() {
    let verifier = |w0: u8, l: u8| {
        let mut octets = [w0; Verifier::LEN];
        octets[32..].fill(l);
        octets[32] = 4;
        Verifier::from_bytes(&octets).unwrap()
    };
    assert!(verifier(1, 2) == verifier(1, 2));
    for other in [verifier(3, 2), verifier(1, 3), verifier(3, 3)] {
        assert!(verifier(1, 2) != other);
    }
}

#[test]
fn a_random_salt_is_all_that_the_source_yields() {
    let parameters = PbkdfParameters::random(1000, &mut Script::new(&[&[7; 32]])).unwrap();
    assert_eq!((parameters.iterations(), parameters.salt()), (1000, &[7; 32][..]));
}

#[test]
fn a_context_has_the_calendar_time_that_was_set_last() {
    let [one, two, three] = [1, 2, 3].map(|n| WallClock::Known(MatterTime::from_seconds(n)));
    let mut rng = Script::seeded(1);
    let mut services = Services::new(&mut rng).with_wall(one);
    assert_eq!(services.at(Instant::ZERO).wall(), one);
    services.set_wall(two);
    assert_eq!(services.at(Instant::ZERO).wall(), two);
    assert_eq!(services.at(Instant::ZERO).with_wall(three).wall(), three);
    assert_eq!(services.at(Instant::ZERO).wall(), two);
}

#[test]
fn session_parameters_are_what_was_set() {
    let parameters = SessionParameters::default()
        .with_intervals(1, 2, 3)
        .with_revisions(4, 5, 6)
        .with_max_paths_per_invoke(7)
        .with_tcp(Transports::TCP_SERVER, 8);
    assert_eq!(
        (
            parameters.idle_interval_ms,
            parameters.active_interval_ms,
            parameters.active_threshold_ms,
        ),
        (1, 2, 3)
    );
    assert_eq!(parameters.data_model_revision, Some(4));
    assert_eq!(parameters.interaction_model_revision, Some(5));
    assert_eq!(parameters.specification_version, Some(6));
    assert_eq!(parameters.max_paths_per_invoke, 7);
    assert_eq!((parameters.transports, parameters.max_tcp_message), (Transports::TCP_SERVER, 8));
}

proptest! {
    #[test]
    fn records_come_back_as_they_were(record in record(), at: prop::sample::Index, change in 1..=u8::MAX) {
        let mut octets = *record.to_bytes().as_bytes();
        prop_assert_eq!(ResumptionRecord::from_bytes(&octets), Ok(record.clone()));
        prop_assert!(ResumptionRecord::from_bytes(&octets[1..]).is_err());
        prop_assert!(ResumptionRecord::from_bytes(&[&octets[..], &[0]].concat()).is_err());
        // No octet is without meaning.
        octets[at.index(octets.len())] ^= change;
        prop_assert_ne!(ResumptionRecord::from_bytes(&octets), Ok(record));
    }

    #[test]
    fn pbkdf_parameters_come_back_as_they_were(
        iterations: u32,
        salt in prop::collection::vec(any::<u8>(), 0..40),
        few: bool,
        at: prop::sample::Index,
        change in 1..=u8::MAX,
    ) {
        let iterations = if few { iterations % 110_000 } else { iterations };
        let fits = (1000..=100_000).contains(&iterations) && (16..=32).contains(&salt.len());
        let parameters = PbkdfParameters::new(iterations, &salt);
        prop_assert_eq!(parameters.is_ok(), fits);
        let Ok(parameters) = parameters else { return Ok(()) };
        prop_assert_eq!((parameters.iterations(), parameters.salt()), (iterations, &salt[..]));
        let mut octets = parameters.to_bytes();
        prop_assert_eq!(PbkdfParameters::from_bytes(&octets), Ok(parameters));
        prop_assert!(PbkdfParameters::from_bytes(&octets[1..]).is_err());
        octets[at.index(octets.len())] ^= change;
        prop_assert_ne!(PbkdfParameters::from_bytes(&octets), Ok(parameters));
    }

    #[test]
    fn verifiers_come_back_as_they_were(
        octets in prop::collection::vec(any::<u8>(), Verifier::LEN),
        uncompressed in prop::bool::weighted(0.9),
    ) {
        let mut octets: [u8; Verifier::LEN] = octets.try_into().unwrap();
        if uncompressed {
            octets[32] = 4;
        }
        let verifier = Verifier::from_bytes(&octets);
        prop_assert_eq!(verifier.is_ok(), octets[32] == 4);
        if let Ok(verifier) = verifier {
            prop_assert!(verifier.to_bytes() == Secret::new(octets));
        }
    }

    #[test]
    fn tags_agree_with_a_plain_list(
        inserted in prop::collection::vec(tag(), 0..8),
        wanted in tag(),
        value: u32,
    ) {
        let (mut tags, mut list) = (CaseAuthTags::NONE, Vec::new());
        for tag in inserted {
            let fits = list.len() < 3
                && list.iter().all(|other: &CaseAuthTag| other.get() >> 16 != tag.get() >> 16);
            prop_assert_eq!(tags.insert(tag), fits);
            if fits {
                list.push(tag);
            }
            prop_assert_eq!(tags.iter().collect::<Vec<_>>(), &list[..]);
        }
        // Same identifier, at least that version: with equal high halves the values compare so.
        let met = list.iter().any(|tag| {
            tag.get() >> 16 == wanted.get() >> 16 && tag.get() >= wanted.get()
        });
        prop_assert_eq!(tags.matches(wanted), met);
        prop_assert_eq!(CaseAuthTag::new(value).is_some(), value.to_le_bytes()[..2] != [0, 0]);
    }

    #[test]
    fn protocols_go_there_and_back(value: u32, vendor: u16, id: u16) {
        prop_assert_eq!(ProtocolId::from_u32(value).to_u32(), value);
        let protocol = ProtocolId::vendor(VendorId::new(vendor), id);
        prop_assert_eq!(ProtocolId::from_u32(protocol.to_u32()), protocol);
        prop_assert_eq!(protocol == ProtocolId::standard(id), vendor == 0);
    }

    #[test]
    fn node_ids_are_of_one_range(
        value in prop_oneof![any::<u64>(), 0xFFFF_FFEF_FFFF_FFF0..=u64::MAX, 0..3_u64],
    ) {
        let node = NodeId::new(value);
        prop_assert_eq!(node.is_operational(), (1..=0xFFFF_FFEF_FFFF_FFFF).contains(&value));
        prop_assert_eq!(node.group().is_some(), value >> 16 == 0xFFFF_FFFF_FFFF);
        if let Some(group) = node.group() {
            prop_assert_eq!(u64::from(group.get()), value & 0xFFFF);
        }
    }
}
