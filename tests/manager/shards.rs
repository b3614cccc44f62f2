//! Several managers behind one address: each datagram reaches the one that it is for.

use matter_session::Group;
use matter_session::crypto::SigningKey;
use matter_session::fabric::Fabric;
use matter_session::group::SecurityPolicy;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{GroupId, GroupKeySetId};
use matter_session::manager::{
    Config, Dropped, Event, GroupError, GroupSettings, Shards, WindowCloseReason,
};
use proptest::prelude::*;

use crate::net::groups::key_set;
use crate::net::{Authority, Net, PASSCODE, index, udp};

const KEY: [u8; 16] = [5; 16];
const CONTROLLER: u64 = 100;

/// Node 0, and behind one address the shards of another node, all configured alike.
fn sharded(count: usize, with: impl Fn(Config) -> Config) -> (Net, Shards) {
    let shards = Shards::new(count, KEY).unwrap();
    let mut nodes = vec![(udp(1), with(Config::default()))];
    nodes.extend(shards.iter().map(|shard| (udp(2), with(Config::default().with_shard(shard)))));
    let mut net = Net::with(nodes);
    net.route_by(move |datagram| match datagram.to {
        to if to == udp(1) => Some(0),
        to if to == udp(2) => shards.of(&datagram.octets).map(|shard| shard + 1),
        _ => None,
    });
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, CONTROLLER);
    let member = authority.admit(200);
    // One shard joins, the others take in what it stores.
    net.node(1).manager.fabrics_mut().add(&member.credentials()).unwrap();
    let mut bytes = [0; Fabric::ENCODED_MAX_LEN];
    let len = net.nodes[1].manager.fabrics().get(index(1)).unwrap().encode(&mut bytes).unwrap();
    for n in 2..=count {
        assert_eq!(net.node(n).manager.fabrics_mut().restore(&bytes[..len]), Ok(index(1)));
    }
    for n in 1..=count {
        let key = SigningKey::from_bytes(&member.key.to_bytes()).unwrap();
        net.node(n).keys.insert(index(1), key);
    }
    (net, shards)
}

fn established(net: &mut Net, n: usize) -> Vec<bool> {
    let events = core::mem::take(&mut net.node(n).events);
    let resumed = |event| match event {
        Event::Established { resumed, .. } => Some(resumed),
        _ => None,
    };
    events.into_iter().filter_map(resumed).collect()
}

/// Whoever dials, whichever shard answers: the handshake ends in a session of that shard, and
/// what is sent on it reaches it.
#[test]
fn handshakes_and_sessions_stay_with_one_shard() {
    let (mut net, shards) = sharded(4, |config| config);
    let mut served = [0; 4];
    for _ in 0..40 {
        net.dial_case(0, 1, 1, 200);
        net.settle();
        let a = net.node(0).established();
        net.call(0, |m, cx| m.records_mut().forget_all(cx));
        let serving: Vec<_> = (1..=4).filter(|n| established(&mut net, *n).len() == 1).collect();
        assert_eq!(serving.len(), 1);
        let shard = serving[0];
        served[shard - 1] += 1;
        net.node(shard).answers = true;
        net.say(0, a, 2);
        net.settle();
        assert_eq!(net.node(shard).got.len(), served[shard - 1]);
        assert_eq!(net.node(0).got.pop().unwrap().opcode, 3);
    }
    assert!(served.iter().all(|served| *served > 0), "all have their share: {served:?}");
    for (n, shard) in (1..).zip(shards.iter()) {
        let ids = shard.session_ids();
        let own = |id: u16| ids.contains(&id);
        assert!(
            net.nodes[n]
                .manager
                .sessions()
                .iter()
                .all(|s| own(s.handle().local_session_id().get()))
        );
        assert_eq!(net.nodes[n].dropped, []);
    }
    net.assert_clean();
}

#[test]
fn a_shard_that_dials_gets_the_answers() {
    let (mut net, _) = sharded(16, |config| config);
    for n in 1..=16 {
        for _ in 0..3 {
            net.dial_case(n, 0, 1, CONTROLLER);
            net.settle();
        }
        // From the second on with the record of the first.
        assert_eq!(established(&mut net, n), [false, true, true]);
        net.call(n, |m, cx| m.records_mut().forget_all(cx));
        net.call(0, |m, cx| m.records_mut().forget_all(cx));
    }
    assert!(net.nodes.iter().all(|node| node.dropped.is_empty()));
    net.assert_clean();
}

#[test]
fn a_shard_without_the_record_makes_a_full_handshake() {
    let (mut net, _) = sharded(4, |config| config);
    for _ in 0..30 {
        net.dial_case(0, 1, 1, 200);
        net.settle();
    }
    let resumed = established(&mut net, 0);
    assert_eq!(resumed.len(), 30, "every handshake gave a session");
    assert!(resumed.contains(&true) && resumed[1..].contains(&false));
    net.assert_clean();
}

#[test]
fn pase_is_served_by_the_first_shard_whoever_asks() {
    let (mut net, _) = sharded(4, |config| config);
    for _ in 0..12 {
        net.open_window(1);
        net.dial_pase(0, 1, PASSCODE);
        net.settle();
        assert_eq!(established(&mut net, 0), [false]);
        let session = net.nodes[1].manager.sessions().pase().unwrap();
        net.call(1, |manager, cx| {
            manager.close_session(cx, session);
            manager.window().close();
        });
        // Until the last report of the handshake is no more repeated.
        net.run(90_000);
    }
    for n in 2..=4 {
        assert_eq!(net.nodes[n].manager.sessions().len(), 0);
    }
    net.assert_clean();
}

/// The reports of a commissioner that gives up go astray; its attempts are counted all the same,
/// all in one place.
#[test]
fn twenty_wrong_passcodes_close_the_window_of_all_shards() {
    let (mut net, _) = sharded(4, |config| config);
    net.open_window(1);
    for _ in 0..20 {
        net.dial_pase(0, 1, PASSCODE + 1);
        net.run(90_000);
    }
    let closed = |event: &Event<u32>| {
        matches!(event, Event::WindowClosed { reason: WindowCloseReason::TooManyFailures, .. })
    };
    assert!(net.node(1).events.iter().any(closed));
    net.node(0).events.clear();
    net.dial_pase(0, 1, PASSCODE);
    net.settle();
    let refused = HandshakeError::Refused(Refusal::InvalidParameter);
    assert_eq!(net.node(0).failures(), [refused]);
    net.assert_clean();
}

/// The report of a commissioner that gives up is acknowledged by whoever gets it, so it is sent
/// once; the first shard serves the next one when Pake2 has been repeated in vain.
#[test]
fn pase_that_ends_in_a_report_for_another_shard_holds_its_slot_for_seconds() {
    let (mut net, shards) = sharded(4, |config| config);
    net.open_window(1);
    let mut astray = 0;
    for _ in 0..12 {
        let since = net.sent.len();
        net.dial_pase(0, 1, PASSCODE + 1);
        net.run(2000);
        let sent = net.sent_by(0, since);
        let reports: Vec<_> =
            sent.into_iter().filter(|d| d.handshake_opcode() == Some(0x40)).collect();
        assert_eq!(reports.len(), 1);
        let is_astray = shards.of(&reports[0].octets) != Some(0);
        assert_eq!(net.nodes[1].manager.handshakes().len(), usize::from(is_astray));
        astray += usize::from(is_astray);
        net.run(8000);
        assert_eq!(net.nodes[1].manager.handshakes().len(), 0);
    }
    assert!((1..12).contains(&astray));
}

#[test]
fn a_shard_has_no_more_sessions_than_ids() {
    let (mut net, shards) =
        sharded(256, |config| config.with_sessions(60_000).with_sessions_per_peer(u8::MAX));
    let ids = shards.shard(7).unwrap().session_ids().len();
    let handshakes = Config::default().max_handshakes;
    for _ in 0..ids + 2 {
        net.dial_case(8, 0, 1, CONTROLLER);
        // Until the handshake has given its slot back.
        net.run(11_000);
        established(&mut net, 0);
    }
    // One id is kept for PASE, and one for each handshake, after which a session gives way.
    assert_eq!(net.nodes[8].manager.sessions().len(), ids - 1 - handshakes);
    net.assert_clean();
}

#[test]
fn datagrams_that_no_manager_takes_in_are_for_none() {
    let (mut net, shards) = sharded(3, |config| config);
    // Nothing, an unknown version, a reserved session type, an unsecured message that names nobody.
    let none: [&[u8]; 5] =
        [&[], &[0; 3], &[0x10, 1, 0, 0, 0, 0, 0, 0], &[0, 1, 0, 2], &[0, 0, 0, 0, 0, 0, 0, 0]];
    for datagram in none {
        assert_eq!(shards.of(datagram), None);
        assert!(matches!(net.hand(1, udp(9), datagram), Err(Dropped::Decode(_))));
    }
    // Group messages, private or not, all in one place.
    assert_eq!(shards.of(&[4, 0x55, 0xAA, 1]), Some(0));
    assert_eq!(shards.of(&[4, 0x55, 0xAA, 0x81]), Some(0));
}

proptest! {
    #[test]
    fn any_octets_are_for_one_shard_or_none(
        count in 1..=Shards::MAX,
        octets in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let shards = Shards::new(count, KEY).unwrap();
        if let Some(shard) = shards.of(&octets) {
            prop_assert!(shard < count);
            let ids = shards.shard(shard).unwrap().session_ids();
            let id = u16::from_le_bytes([octets[1], octets[2]]);
            prop_assert!(id == 0 || octets[3] & 3 == 1 || ids.contains(&id));
        }
    }

    /// The answer to an initiator names it, and is for the same shard as what it sent in CASE.
    #[test]
    fn both_directions_of_a_handshake_are_for_one_shard(node: u64, opcode in 0x30..0x34_u8) {
        let shards = Shards::new(200, KEY).unwrap();
        let header = |flags| [&[flags, 0, 0, 0, 1, 2, 3, 4], &node.to_le_bytes()[..]].concat();
        let sent = [header(4), vec![1, opcode, 7, 7, 0, 0]].concat();
        let answered = [header(1), vec![0, opcode, 7, 7, 0, 0]].concat();
        prop_assert!(shards.of(&sent).is_some());
        prop_assert_eq!(shards.of(&sent), shards.of(&answered));
    }
}

/// Counters of messages to groups belong to the node: two shards would use the same ones.
#[test]
fn groups_are_for_the_first_shard_alone() {
    let (mut net, shards) = sharded(3, |config| config);
    net.join_group(0, index(1), 1, SecurityPolicy::TrustFirst, &[7]);
    net.join_group(1, index(1), 1, SecurityPolicy::TrustFirst, &[7]);
    let datagram = net.group_datagram(0, index(1), 1, b"on");
    assert_eq!(shards.of(&datagram), Some(0));
    assert_eq!(net.hand(1, udp(1), &datagram), Ok(()));
    for n in [2, 3] {
        assert_eq!(net.hand(n, udp(1), &datagram), Err(Dropped::GroupKey));
        let manager = &mut net.node(n).manager;
        let settings = GroupSettings::new(GroupKeySetId::new(1));
        let refused = manager.groups_mut().set(Group::new(index(1), GroupId::new(1)), settings);
        assert_eq!(refused, Err(GroupError::Unsupported));
        let refused = key_set(1, SecurityPolicy::TrustFirst, &[7], |set| {
            manager.groups_mut().set_key_set(index(1), set)
        });
        assert_eq!(refused, Err(GroupError::Unsupported));
    }
}
