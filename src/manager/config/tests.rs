//! Each setting, and the correction of impossible limits.

use super::*;
use crate::manager::shard::Shards;
use crate::session::Transports;

const TIME: Duration = Duration::from_secs(77);

#[test]
fn each_setting_is_what_was_set() {
    let parameters = SessionParameters::default().with_tcp(Transports::TCP_SERVER, 70_000);
    let profile = Profile::default().with_validity(crate::cert::ValidityPolicy::All);
    let protocols = &[ProtocolId::BDX];
    let config = Config::default()
        .with_parameters(parameters)
        .with_sessions(1)
        .with_sessions_per_peer(2)
        .with_exchanges(3)
        .with_exchanges_per_session(4)
        .with_own_exchanges_per_session(5)
        .with_events(6)
        .with_replies(7)
        .with_handshakes(8, TIME)
        .with_records(9, TIME * 2)
        .with_claim_wait(TIME * 3)
        .with_max_message(10)
        .with_fabrics(11)
        .with_groups(12, 13)
        .with_group_senders(14, 15)
        .with_exchange_lifetime(TIME * 4)
        .with_retransmission_boost(TIME * 5)
        .with_longest_interval(TIME * 6)
        .with_certificate_profile(profile)
        .with_remembered_certificates()
        .with_less_than_specified()
        .with_protocols(protocols);
    assert_eq!(config.parameters, parameters);
    assert_eq!((config.max_sessions, config.max_sessions_per_peer), (1, 2));
    assert_eq!((config.max_exchanges, config.max_exchanges_per_session), (3, 4));
    assert_eq!(config.max_own_exchanges_per_session, 5);
    assert_eq!((config.max_events, config.max_replies), (6, 7));
    assert_eq!((config.max_handshakes, config.busy_wait), (8, TIME));
    assert_eq!((config.max_records, config.record_lifetime), (9, TIME * 2));
    assert_eq!((config.claim_wait, config.max_message), (TIME * 3, 10));
    assert_eq!(config.max_fabrics, 11);
    assert_eq!((config.max_group_key_sets, config.max_groups), (12, 13));
    assert_eq!((config.max_group_senders, config.max_waiting_group_messages), (14, 15));
    assert_eq!(config.exchange_lifetime, TIME * 4);
    assert_eq!((config.retransmission_boost, config.longest_interval), (TIME * 5, TIME * 6));
    assert_eq!(config.certificate_profile, profile);
    assert_ne!(profile, Profile::default());
    assert!(config.remember_certificates && config.below_specification);
    assert_eq!(config.protocols, Some(&protocols[..]));
    assert!(config.serves(ProtocolId::BDX));
    assert!(!config.serves(ProtocolId::INTERACTION_MODEL));
    assert!(!config.serves(ProtocolId::SECURE_CHANNEL));
    assert!(Config::default().serves(ProtocolId::INTERACTION_MODEL));
    assert!(!Config::default().serves(ProtocolId::SECURE_CHANNEL));
}

#[test]
fn limits_beyond_any_use_are_bounded() {
    let most = usize::MAX;
    let config = Config::default()
        .with_exchanges(most)
        .with_handshakes(most, TIME)
        .with_records(most, TIME)
        .with_groups(most, most)
        .with_group_senders(most, 4)
        .with_fabrics(most)
        .usable();
    let limits = [
        config.max_exchanges,
        config.max_handshakes,
        config.max_records,
        config.max_group_key_sets,
        config.max_groups,
        config.max_group_senders,
    ];
    assert_eq!(limits, [1 << 20; 6]);
    assert_eq!(config.max_fabrics, 254);
}

#[test]
fn limits_that_would_make_a_node_useless_are_raised() {
    let least = Config::default()
        .with_exchange_lifetime(Duration::ZERO)
        .with_longest_interval(Duration::ZERO)
        .with_group_senders(3, 4)
        .usable();
    assert_eq!(least.exchange_lifetime, Duration::from_millis(1));
    assert_eq!(least.longest_interval, Duration::from_millis(100));
    assert_eq!(least.max_group_senders, 10, "as the specification demands");
    let fewer = Config::default().with_group_senders(3, 4).with_less_than_specified();
    assert_eq!(fewer.usable().max_group_senders, 3);
}

#[test]
fn some_session_ids_are_left_for_handshakes_where_ids_are_few() {
    let most = |sessions, handshakes, shards| {
        let shard = Shards::new(shards, [0; 16]).unwrap().shard(0).unwrap();
        let ids = shard.session_ids().len();
        let config = Config::default().with_shard(shard).with_sessions(sessions);
        (ids, config.with_handshakes(handshakes, TIME).sessions())
    };
    assert_eq!(most(1024, 32, 1), (65_535, 1024));
    assert_eq!(most(usize::MAX, 32, 1), (65_535, 65_534));
    assert_eq!(most(0, 32, 1).1, 1);
    let (ids, sessions) = most(usize::MAX, 32, 256);
    assert_eq!(sessions, ids - 32 - 1);
    let (ids, sessions) = most(usize::MAX, usize::MAX, 256);
    assert_eq!(sessions, ids - ids / 2 - 1);
}

#[test]
fn each_fabric_has_three_sessions() {
    let fabrics = |sessions| Config::default().fabrics(sessions);
    assert_eq!([0, 2, 3, 47, 48, 1000].map(fabrics), [0, 0, 1, 15, 16, 16]);
    assert_eq!(Config::default().with_less_than_specified().fabrics(2), 16);
}

#[test]
fn groups_are_for_the_first_shard() {
    let shards = Shards::new(2, [0; 16]).unwrap();
    let has_groups = |n| Config::default().with_shard(shards.shard(n).unwrap()).has_groups();
    assert_eq!([has_groups(0), has_groups(1)], [true, false]);
}
