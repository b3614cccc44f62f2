//! Identity protection keys that change: which one is used, and which are accepted.

use matter_session::crypto::Secret;
use matter_session::fabric::{Fabric, FabricCredentials, FabricError, GroupKey};
use matter_session::group::{EpochStart, GroupEpoch};
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::manager::{Config, FabricTableError, Heap};

use crate::net::{Authority, Net, index, udp};

/// Seconds since 2000 at which the keys of these tests start.
const STARTS: [u64; 3] = [1000, 2000, 3000];
const NOBODY: HandshakeError = HandshakeError::Refused(Refusal::NoSharedTrustRoots);

/// A key by its number and its start in seconds.
fn epoch(key: u8, start: u64) -> GroupEpoch {
    let key = GroupKey::EpochKey(Secret::new([key; 16]));
    GroupEpoch { key, start: EpochStart::from_micros(start * 1_000_000) }
}

fn set(net: &mut Net, n: usize, epochs: &[GroupEpoch]) {
    net.node(n).manager.fabrics_mut().set_ipks(index(1), epochs).unwrap();
}

/// Node 0 has the three keys, and node 1 has only this one. Whether they connect shows which key
/// node 0 uses.
fn uses(key: u8, now: Option<u32>) -> bool {
    let mut net = Net::members();
    set(&mut net, 0, &[epoch(0, STARTS[0]), epoch(1, STARTS[1]), epoch(2, STARTS[2])]);
    set(&mut net, 1, &[epoch(key, 0)]);
    net.node(0).epoch = now.map(|now| now - u32::try_from(net.now / 1000).unwrap());
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let established = net.node(0).try_established().is_some();
    assert!(established || net.node(0).failures() == [NOBODY]);
    established
}

#[test]
fn the_key_for_own_handshakes_follows_the_clock_or_is_the_second_newest() {
    let cases = [
        (None, 1),
        (Some(1001), 0),
        (Some(1999), 0),
        (Some(2000), 1),
        (Some(2999), 1),
        (Some(3000), 2),
        (Some(1_000_000), 2),
    ];
    for (now, used) in cases {
        for key in 0..3 {
            assert_eq!(uses(key, now), key == used, "{now:?}: key {key}");
        }
    }
}

#[test]
fn each_key_is_accepted_before_and_after_its_start_and_a_disabled_one_is_not() {
    for key in 0..4 {
        let mut net = Net::members();
        set(&mut net, 0, &[epoch(key, 0)]);
        let disabled = GroupEpoch { start: EpochStart::DISABLED, ..epoch(2, 0) };
        set(&mut net, 1, &[epoch(0, 1), epoch(1, 4_000_000_000), disabled]);
        net.node(1).epoch = Some(10_000);
        net.dial_case(0, 1, 1, 200);
        net.run(1000);
        assert_eq!(net.node(1).try_established().is_some(), key < 2, "{key}");
    }
}

#[test]
fn a_rotation_ends_no_session_and_no_handshake_and_keeps_the_records() {
    let (mut net, a, b) = Net::with_case();
    net.node(1).signs = false;
    for n in 0..2 {
        net.call(n, |m, cx| m.records_mut().forget_all(cx));
    }
    net.dial_case(0, 1, 1, 200);
    net.run(100);
    for n in 0..2 {
        set(&mut net, n, &[epoch(7, 1), epoch(8, 2)]);
    }
    net.node(1).signs = true;
    let request = net.node(1).requests.remove(0);
    let signed = request.sign_with(net.node(1).keys.get_mut(&index(1)).unwrap());
    net.call(1, |m, cx| m.complete_signature(cx, signed)).unwrap();
    net.run(1000);
    assert!(net.node(0).try_established().is_some(), "the one under way");
    for (n, session) in [(0, a), (1, b)] {
        assert!(net.nodes[n].manager.session(session).is_some());
    }
    assert_eq!(net.nodes[0].manager.records().len(), 1);
    net.case(200);
}

#[test]
fn keys_that_are_no_set_are_refused_and_change_nothing() {
    let mut net = Net::members();
    let disabled = GroupEpoch { start: EpochStart::DISABLED, ..epoch(0, 1) };
    let sets: [&[GroupEpoch]; 5] = [
        &[],
        &[disabled],
        &[epoch(0, 1), epoch(1, 1)],
        &[epoch(0, 2), epoch(1, 1)],
        &[epoch(0, 1), epoch(1, 2), epoch(2, 3), epoch(3, 4)],
    ];
    let fabric = |net: &Net| {
        let mut bytes = vec![0; Fabric::ENCODED_MAX_LEN];
        let fabric = net.nodes[0].manager.fabrics().get(index(1)).unwrap();
        let len = fabric.encode(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    };
    let before = fabric(&net);
    for epochs in sets {
        let refused = net.node(0).manager.fabrics_mut().set_ipks(index(1), epochs);
        assert_eq!(refused, Err(FabricTableError::Credentials(FabricError::Ipks)));
        assert_eq!(fabric(&net), before);
    }
    let unknown = net.node(0).manager.fabrics_mut().set_ipks(index(2), &[epoch(0, 1)]);
    assert_eq!(unknown, Err(FabricTableError::Unknown));
}

#[test]
fn start_times_outlive_a_restart() {
    let mut net = Net::members();
    set(&mut net, 0, &[epoch(0, STARTS[0]), epoch(1, STARTS[1]), epoch(2, STARTS[2])]);
    let mut bytes = vec![0; Fabric::ENCODED_MAX_LEN];
    let len = net.nodes[0].manager.fabrics().get(index(1)).unwrap().encode(&mut bytes).unwrap();
    let fresh = Net::pair().nodes.remove(0);
    net.nodes[0].manager = fresh.manager;
    net.node(0).manager.fabrics_mut().restore(&bytes[..len]).unwrap();
    set(&mut net, 1, &[epoch(0, 1)]);
    net.node(0).epoch = Some(1500 - u32::try_from(net.now / 1000).unwrap());
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    net.node(0).established();
}

/// The fabric that a Sigma1 means is found before its offer to resume is looked at: whoever the
/// administrator has not given the present keys is out.
#[test]
fn a_peer_whose_key_has_been_removed_resumes_nothing() {
    let (mut net, ..) = Net::with_case();
    assert_eq!(net.nodes[0].manager.records().len(), 1);
    set(&mut net, 1, &[epoch(9, 1)]);
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert_eq!(net.node(0).failures(), [NOBODY]);
    // Once it has the key, its record serves: it is of this fabric all the same.
    set(&mut net, 0, &[epoch(9, 1)]);
    net.node(0).events.clear();
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let resumed = |event: &matter_session::manager::Event<u32>| {
        matches!(event, matter_session::manager::Event::Established { resumed: true, .. })
    };
    assert!(net.node(0).events.iter().any(resumed));
}

/// The command that updates a node's certificate brings no keys.
#[test]
fn an_update_without_keys_keeps_them_and_their_start_times() {
    let epochs = [epoch(0, STARTS[0]), epoch(1, STARTS[1]), epoch(2, STARTS[2])];
    let mut authority = Authority::new(1, false);
    for with_keys in [false, true] {
        let mut net =
            Net::<Heap>::stored(vec![(udp(1), Config::default()), (udp(2), Config::default())]);
        let members = [100, 200].map(|node| authority.admit(node));
        for (n, member) in members.into_iter().enumerate() {
            let index = net.node(n).manager.fabrics_mut().add(&member.credentials()).unwrap();
            net.node(n).keys.insert(index, member.key);
        }
        set(&mut net, 0, &epochs);
        // The oldest key, which only the clock leads to.
        set(&mut net, 1, &[epoch(0, 0)]);
        net.node(0).epoch = Some(1500 - u32::try_from(net.now / 1000).unwrap());
        let updated = authority.admit(101);
        let keys = [0, 1, 2].map(|key| epoch(key, 0).key);
        let ipks = if with_keys { &keys[..] } else { &[] };
        let credentials = FabricCredentials { ipks, ..updated.credentials() };
        net.call(0, |m, cx| m.fabrics_mut().update(cx, index(1), &credentials)).unwrap();
        net.node(0).keys.insert(index(1), updated.key);
        net.dial_case(0, 1, 1, 200);
        net.run(1000);
        // Keys of the credentials have no start times: the second newest is used.
        assert_eq!(net.node(0).try_established().is_some(), !with_keys);
        assert_eq!(net.node(0).failures() == [NOBODY], with_keys);
    }
}

#[test]
fn a_fabric_is_not_added_without_keys() {
    let mut net = Net::<Heap>::stored(vec![(udp(1), Config::default())]);
    let member = Authority::new(1, false).admit(100);
    let credentials = FabricCredentials { ipks: &[], ..member.credentials() };
    let added = net.node(0).manager.fabrics_mut().add(&credentials);
    assert_eq!(added, Err(FabricTableError::Credentials(FabricError::Ipks)));
}
