//! Groups of a manager: what members hear, what nobody can replay, how counters are asked for.

use matter_session::MessageType;
use matter_session::crypto::Secret;
use matter_session::fabric::GroupKey;
use matter_session::group::{
    EpochStart, GroupCounter, GroupEpoch, GroupKeySet, KeySetError, MulticastAddress,
    SecurityPolicy,
};
use matter_session::ids::{Group, GroupId, GroupKeySetId, NodeId, ProtocolId};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Groups, Handshakes, KeySets, MessageBytes, Records, Senders, Sessions,
};
use matter_session::manager::{
    Config, Dropped, Event, Fixed, GroupError, GroupSendError, GroupSettings, Heap, PeerAddress,
    Storage, WithGroups,
};
use matter_session::session::DecodeError;

use crate::net::groups::key_set;
use crate::net::{Authority, Bounds, IM, Manager, Net, index, udp};

pub const ONE: SecurityPolicy = SecurityPolicy::TrustFirst;
pub const ASK: SecurityPolicy = SecurityPolicy::CacheAndSync;

pub type Small = WithGroups<
    Fixed<Sessions<7>, Exchanges<4>, Handshakes<1>, Fabrics<2>, Records<3>, MessageBytes<2500>>,
    KeySets<4>,
    Groups<4>,
    Senders<48>,
>;

/// Nodes 100, 101, ... on one fabric, all in group 1 under one key.
pub fn lights<S: Storage>(count: usize, policy: SecurityPolicy) -> Net<S> {
    lights_with(count, policy, &Config::default())
}

pub fn lights_with<S: Storage>(count: usize, policy: SecurityPolicy, config: &Config) -> Net<S> {
    let addresses = (1..).take(count).map(udp);
    let mut net = Net::stored(addresses.map(|address| (address, config.clone())).collect());
    let mut authority = Authority::new(1, false);
    for n in 0..count {
        authority.join(&mut net, n, 100 + n as u64);
        net.join_group(n, index(1), 1, policy, &[7]);
    }
    net
}

/// One of [`lights`] as it is after a restart: its counters are all that it has kept.
fn restart(net: &mut Net, n: usize) {
    let bounds = net.node(n).bounds.clone();
    *net.node(n) = lights::<Heap>(n + 1, ASK).nodes.remove(n);
    net.node(n).bounds = bounds;
}

/// Hands a message to a node, and says why it was dropped.
pub fn hand<S: Storage>(net: &mut Net<S>, n: usize, datagram: &[u8]) -> Result<(), Dropped> {
    net.hand(n, udp(1), datagram)
}

fn all_members_hear_a_message_once<S: Storage>() {
    let mut net = lights::<S>(4, ONE);
    for privacy in [false, true] {
        let settings = GroupSettings::new(GroupKeySetId::new(1));
        let settings = if privacy { settings.with_privacy() } else { settings };
        net.node(0)
            .manager
            .groups_mut()
            .set(Group::new(index(1), GroupId::new(1)), settings)
            .unwrap();
        let datagram = net.group_datagram(0, index(1), 1, b"on");
        assert_eq!(datagram[3] & 0x80 != 0, privacy);
        for n in 1..4 {
            assert_eq!(hand(&mut net, n, &datagram), Ok(()));
            assert_eq!(hand(&mut net, n, &datagram), Err(Dropped::GroupReplay));
            let heard = net.node(n).heard.pop().unwrap();
            assert_eq!((heard.source, heard.group), (NodeId::new(100), GroupId::new(1)));
            assert_eq!((heard.fabric, &heard.payload[..]), (index(1), &b"on"[..]));
            assert_eq!(net.heard(n), [[0; 0]; 0], "once");
        }
        // Its own, looped back.
        assert_eq!(hand(&mut net, 0, &datagram), Err(Dropped::Group));
    }
    assert_eq!(net.node(0).manager.statistics().sent, 2, "one for each message to the group");
    net.run(10_000);
    assert!(net.sent.is_empty(), "nobody answers: {:?}", net.sent);
}

#[test]
fn all_members_hear_a_message_once_and_nobody_answers() {
    all_members_hear_a_message_once::<Heap>();
    all_members_hear_a_message_once::<Small>();
}

#[test]
fn messages_of_a_protocol_that_the_application_has_not_named_are_not_taken_from_groups() {
    const OTHERS: &[ProtocolId] = &[ProtocolId::BDX];
    let mut net = lights::<Heap>(2, ONE);
    let mut busy = lights_with::<Heap>(2, ONE, &Config::default().with_protocols(OTHERS));
    let datagram = net.group_datagram(0, index(1), 1, b"on");
    assert_eq!(hand(&mut busy, 1, &datagram), Err(Dropped::Unsolicited));
    assert!(busy.heard(1).is_empty());
    assert_eq!(hand(&mut net, 1, &datagram), Ok(()));
    assert_eq!(net.heard(1), [b"on"]);
}

#[test]
fn a_message_is_for_members_of_its_group_alone() {
    let mut net = lights::<Heap>(2, ONE);
    let to_one = net.group_datagram(0, index(1), 1, b"1");
    // Another group under the same key: the sender is in it, the receiver is not.
    let settings = GroupSettings::new(GroupKeySetId::new(1));
    net.node(0).manager.groups_mut().set(Group::new(index(1), GroupId::new(2)), settings).unwrap();
    for privacy in [false, true] {
        let settings = if privacy { settings.with_privacy() } else { settings };
        net.node(0)
            .manager
            .groups_mut()
            .set(Group::new(index(1), GroupId::new(2)), settings)
            .unwrap();
        let to_two = net.group_datagram(0, index(1), 2, b"2");
        assert_eq!(hand(&mut net, 1, &to_two), Err(Dropped::Group));
    }
    // The receiver is in group 3 with another key set: what opens under set 1 is not for it.
    net.join_group(1, index(1), 3, ONE, &[9]);
    net.node(0).manager.groups_mut().set(Group::new(index(1), GroupId::new(3)), settings).unwrap();
    let to_three = net.group_datagram(0, index(1), 3, b"3");
    assert_eq!(hand(&mut net, 1, &to_three), Err(Dropped::Group));
    // Left, the group is no more; the key may stay.
    assert!(net.node(1).manager.groups_mut().remove(Group::new(index(1), GroupId::new(1))));
    assert!(!net.node(1).manager.groups_mut().remove(Group::new(index(1), GroupId::new(1))));
    assert_eq!(hand(&mut net, 1, &to_one), Err(Dropped::Group));
    assert!(net.heard(1).is_empty());
}

#[test]
fn messages_that_are_not_authentic_or_want_an_answer_are_dropped() {
    let mut net = lights::<Heap>(2, ONE);
    let mut forged = net.group_datagram(0, index(1), 1, b"on");
    *forged.last_mut().unwrap() ^= 1;
    let unauthentic = Dropped::Decode(DecodeError::Unauthentic);
    assert_eq!(hand(&mut net, 1, &forged), Err(unauthentic));
    *forged.last_mut().unwrap() ^= 1;
    for len in 0..forged.len() {
        assert!(hand(&mut net, 1, &forged[..len]).is_err());
    }
    // Groups speak UDP.
    assert_eq!(net.hand(1, PeerAddress::Tcp(1), &forged), Err(Dropped::OtherTransport));
    // None of that has spent the counter.
    assert_eq!(hand(&mut net, 1, &forged), Ok(()));
    assert_eq!(net.heard(1), [b"on"]);
}

/// Node 0 sends with the second newest of its keys. Node 1 has two older ones besides.
#[test]
fn a_message_names_the_key_set_and_the_epoch_that_it_was_sealed_under() {
    for policy in [ONE, ASK] {
        let mut net = lights::<Heap>(2, policy);
        for (n, keys, epoch) in [(0, [7, 8].as_slice(), 0), (1, &[5, 6, 7], 2)] {
            let manager = &mut net.node(n).manager;
            key_set(1, policy, keys, |set| manager.groups_mut().set_key_set(index(1), set))
                .unwrap();
            if n == 0 {
                continue;
            }
            net.multicast(0, index(1), 1, b"on");
            net.run(3000);
            let heard = &net.nodes[1].heard[0];
            assert_eq!((heard.key_set, heard.epoch), (GroupKeySetId::new(1), epoch), "{policy:?}");
        }
    }
}

#[test]
fn keys_rotate_without_a_gap() {
    let mut net = lights::<Heap>(3, ONE);
    // The administrator reaches the sender first, then node 1; node 2 has the old key alone.
    let manager = &mut net.node(0).manager;
    key_set(1, ONE, &[7, 8], |set| manager.groups_mut().set_key_set(index(1), set)).unwrap();
    net.multicast(0, index(1), 1, b"old");
    assert_eq!((net.heard(1), net.heard(2)), (vec![b"old".to_vec()], vec![b"old".to_vec()]));
    for n in [1, 2] {
        let manager = &mut net.node(n).manager;
        key_set(1, ONE, &[7, 8], |set| manager.groups_mut().set_key_set(index(1), set)).unwrap();
    }
    let manager = &mut net.node(0).manager;
    key_set(1, ONE, &[8, 9], |set| manager.groups_mut().set_key_set(index(1), set)).unwrap();
    net.multicast(0, index(1), 1, b"new");
    assert_eq!((net.heard(1), net.heard(2)), (vec![b"new".to_vec()], vec![b"new".to_vec()]));
    // A key that is gone opens nothing, and is not tried.
    let manager = &mut net.node(2).manager;
    key_set(1, ONE, &[9], |set| manager.groups_mut().set_key_set(index(1), set)).unwrap();
    let datagram = net.group_datagram(0, index(1), 1, b"late");
    assert_eq!(hand(&mut net, 2, &datagram), Err(Dropped::GroupKey));
    assert_eq!(hand(&mut net, 1, &datagram), Ok(()));
    assert!(net.node(2).manager.groups_mut().remove_key_set(index(1), GroupKeySetId::new(1)));
    assert!(!net.node(2).manager.groups().has_key_set(index(1), GroupKeySetId::new(1)));
    let (to, mut buf) = (Group::new(index(1), GroupId::new(1)), [0; 64]);
    let refused = net.call(2, |manager, cx| {
        manager.groups_mut().send(cx, to, MessageType::new(IM, 8), b"", &mut buf).map(|_| ())
    });
    assert_eq!(refused, Err(GroupSendError::NoKey));
}

#[test]
fn with_a_fabric_go_its_groups_keys_and_senders() {
    let mut net = lights::<Heap>(2, ONE);
    let mut other = Authority::new(2, false);
    for n in 0..2 {
        other.join(&mut net, n, 300 + n as u64);
        net.join_group(n, index(2), 1, ONE, &[7]);
    }
    let first = net.group_datagram(0, index(1), 1, b"first");
    let second = net.group_datagram(0, index(2), 1, b"second");
    assert_eq!(hand(&mut net, 1, &first), Ok(()));
    let senders = |net: &mut Net, fabric| net.node(1).manager.groups().senders(fabric).count();
    assert_eq!((senders(&mut net, index(1)), senders(&mut net, index(2))), (1, 0));
    assert!(net.call(1, |manager, cx| manager.fabrics_mut().remove(cx, index(1))));
    assert_eq!((senders(&mut net, index(1)), senders(&mut net, index(2))), (0, 0));
    assert_eq!(hand(&mut net, 1, &first), Err(Dropped::GroupKey));
    assert_eq!(hand(&mut net, 1, &second), Ok(()), "the same epoch key is another on each fabric");
    assert_eq!(net.node(1).manager.groups().iter(index(1)).count(), 0);
    assert_eq!(net.node(1).manager.groups().iter(index(2)).count(), 1);
    assert!(net.node(1).manager.groups().address(Group::new(index(1), GroupId::new(1))).is_none());
}

#[test]
fn a_node_that_gets_another_id_on_its_fabric_takes_what_is_for_that_one() {
    let mut net = Net::<Heap>::pair();
    let mut authority = Authority::new(1, false);
    for n in 0..2 {
        authority.join(&mut net, n, 100 + n as u64);
        net.join_group(n, index(1), 1, ASK, &[7]);
    }
    let member = authority.admit(300);
    net.call(1, |manager, cx| manager.fabrics_mut().update(cx, index(1), &member.credentials()))
        .unwrap();
    net.multicast(0, index(1), 1, b"on");
    net.run(3000);
    assert_eq!(net.heard(1), [b"on"], "it asks as node 300, and is answered as that");
    let datagram = net.group_datagram(1, index(1), 1, b"own");
    assert_eq!(hand(&mut net, 1, &datagram), Err(Dropped::Group));
}

#[test]
fn group_counters_go_on_after_a_restart_and_never_come_twice() {
    let mut net = lights::<Heap>(2, ONE);
    let mut counters = Vec::new();
    for _restart in 0..4 {
        for _ in 0..700 {
            let datagram = net.group_datagram(0, index(1), 1, b"");
            counters.push(u32::from_le_bytes(datagram[4..8].try_into().unwrap()));
        }
        // The receiver was on all the time.
        net.multicast(0, index(1), 1, b"again");
        assert_eq!(net.heard(1), [b"again"]);
        restart(&mut net, 0);
    }
    let mut sorted = counters.clone();
    sorted.dedup();
    assert!(counters.is_sorted() && sorted.len() == counters.len());
    let written = &net.node(0).bounds.written;
    assert_eq!(written.len(), 4, "once a start, of blocks of a thousand: {written:?}");
    assert!(written.iter().all(|(counter, _)| *counter == GroupCounter::Data));
}

#[test]
fn nothing_is_sent_before_its_counter_is_stored() {
    let mut net = lights::<Heap>(2, ONE);
    let (to, mut buf) = (Group::new(index(1), GroupId::new(1)), [0; 64]);
    net.node(0).bounds.broken = true;
    let refused = net.call(0, |manager, cx| {
        manager.groups_mut().send(cx, to, MessageType::new(IM, 8), b"", &mut buf).map(|_| ())
    });
    assert!(matches!(refused, Err(GroupSendError::Store(_))), "{refused:?}");
    let refused = net.call(0, |manager, cx| {
        let now = cx.now();
        let mut services = matter_session::Services::new(cx.rng());
        let mut cx = services.at(now);
        manager.groups_mut().send(&mut cx, to, MessageType::new(IM, 8), b"", &mut buf).map(|_| ())
    });
    assert_eq!(refused, Err(GroupSendError::NoStore));
    net.node(0).bounds.broken = false;
    net.multicast(0, index(1), 1, b"on");
    assert_eq!(net.heard(1), [b"on"]);
    // Within the block the store is not needed.
    net.node(0).bounds.broken = true;
    net.multicast(0, index(1), 1, b"off");
    assert_eq!(net.heard(1), [b"off"]);
}

#[test]
fn ten_senders_are_known_under_a_key_set_whatever_the_limit() {
    for (limit, known) in [(0, 10), (3, 10), (10, 10), (11, 11)] {
        let config = Config::default().with_group_senders(limit, 4);
        let mut net = lights_with::<Heap>(13, ONE, &config);
        let heard = (0..12).filter(|n| {
            let datagram = net.group_datagram(*n, index(1), 1, b"on");
            hand(&mut net, 12, &datagram).is_ok()
        });
        assert_eq!(heard.count(), known, "{limit}");
    }
}

/// The switch for privacy belongs to a group: its receivers are what counts.
#[test]
fn each_group_hides_its_headers_or_does_not() {
    let mut net = lights::<Heap>(2, ONE);
    for n in 0..2 {
        net.join_group(n, index(1), 2, ONE, &[8]);
    }
    let hidden = GroupSettings::new(GroupKeySetId::new(2)).with_privacy();
    let group = Group::new(index(1), GroupId::new(2));
    net.node(0).manager.groups_mut().set(group, hidden).unwrap();
    for (group, hides) in [(1, false), (2, true)] {
        let datagram = net.group_datagram(0, index(1), group, b"on");
        assert_eq!(datagram[3] & 0x80 != 0, hides, "group {group}");
        assert_eq!(hand(&mut net, 1, &datagram), Ok(()), "a receiver needs no setting");
    }
}

#[test]
fn a_full_table_pushes_no_sender_out_and_says_so_once() {
    let config = Config::default().with_group_senders(3, 4).with_less_than_specified();
    let mut net = lights_with::<Heap>(6, ONE, &config);
    let from = |net: &mut Net, n| {
        let datagram = net.group_datagram(n, index(1), 1, &[n as u8]);
        hand(net, 5, &datagram)
    };
    for n in 0..3 {
        assert_eq!(from(&mut net, n), Ok(()));
    }
    for n in [3, 4, 3] {
        assert_eq!(from(&mut net, n), Err(Dropped::GroupSender));
    }
    for n in 0..3 {
        assert_eq!(from(&mut net, n), Ok(()), "known senders are heard");
    }
    net.pump();
    let full = |event: &&Event<u32>| matches!(event, Event::GroupSendersFull { fabric, .. } if *fabric == index(1));
    assert_eq!(net.node(5).events.iter().filter(full).count(), 1);
    assert!(net.node(5).manager.groups_mut().forget_sender(index(1), NodeId::new(101)));
    assert_eq!(from(&mut net, 4), Ok(()));
    assert_eq!(from(&mut net, 3), Err(Dropped::GroupSender));
    net.pump();
    assert_eq!(net.node(5).events.iter().filter(full).count(), 2, "after there was room again");
}

fn an_unknown_sender_is_asked_for_its_counter_first<S: Storage>() {
    for privacy in [false, true] {
        let mut net = lights::<S>(2, ASK);
        if privacy {
            let settings = GroupSettings::new(GroupKeySetId::new(1)).with_privacy();
            net.node(0)
                .manager
                .groups_mut()
                .set(Group::new(index(1), GroupId::new(1)), settings)
                .unwrap();
        }
        let old = net.group_datagram(0, index(1), 1, b"old");
        let first = net.group_datagram(0, index(1), 1, b"first");
        let second = net.group_datagram(0, index(1), 1, b"second");
        for datagram in [&first, &second] {
            assert_eq!(hand(&mut net, 1, datagram), Ok(()));
            assert_eq!(hand(&mut net, 1, datagram), Err(Dropped::GroupReplay), "waits already");
        }
        assert!(net.heard(1).is_empty(), "not before the answer");
        net.run(3000);
        assert_eq!(net.heard(1), [&b"first"[..], b"second"], "in order, once");
        assert_eq!(net.sent.len(), 2, "a request and an answer: {:?}", net.sent);
        for datagram in &net.sent {
            assert_eq!(datagram.octets[3] & 0x41, 0x41, "control messages of the group's session");
            assert_eq!(datagram.octets[3] & 0x80 != 0, privacy);
        }
        for datagram in [&old, &first, &second] {
            assert_eq!(hand(&mut net, 1, datagram), Err(Dropped::GroupReplay));
        }
        net.multicast(0, index(1), 1, b"third");
        assert_eq!(net.heard(1), [b"third"], "the sender is known");
        assert_eq!(net.sent.len(), 2);
        // The counters of control messages are others than those of data.
        assert!(net.node(1).bounds.stored[GroupCounter::Data as usize].is_none());
        assert!(net.node(1).bounds.stored[GroupCounter::Control as usize].is_some());
    }
}

#[test]
fn with_cache_and_sync_an_unknown_sender_is_asked_for_its_counter_first() {
    an_unknown_sender_is_asked_for_its_counter_first::<Heap>();
    an_unknown_sender_is_asked_for_its_counter_first::<Small>();
}

#[test]
fn a_recorded_message_is_not_taken_after_a_restart_with_cache_and_sync() {
    let mut net = lights::<Heap>(2, ASK);
    let recorded = net.group_datagram(0, index(1), 1, b"unlock");
    for _ in 0..40 {
        net.multicast(0, index(1), 1, b"lock");
    }
    net.run(3000);
    // The receiver restarts, and somebody replays what it has recorded.
    restart(&mut net, 1);
    assert_eq!(hand(&mut net, 1, &recorded), Ok(()));
    net.run(3000);
    assert!(net.heard(1).is_empty());
    assert_eq!(hand(&mut net, 1, &recorded), Err(Dropped::GroupReplay));
}

#[test]
fn whoever_replays_from_elsewhere_does_not_keep_a_sender_from_being_asked() {
    for asked_already in [false, true] {
        let mut net = lights::<Heap>(2, ASK);
        let recorded = net.group_datagram(0, index(1), 1, b"recorded");
        for _ in 0..40 {
            let _ = net.group_datagram(0, index(1), 1, b"");
        }
        assert_eq!(net.hand(1, udp(66), &recorded), Ok(()));
        net.run(if asked_already { 1000 } else { 0 });
        net.multicast(0, index(1), 1, b"honest");
        for _ in 0..50 {
            assert_eq!(net.hand(1, udp(66), &recorded), Err(Dropped::GroupReplay));
        }
        net.run(3000);
        assert_eq!(net.heard(1), [b"honest"], "asked before: {asked_already}");
    }
}

#[test]
fn that_a_sender_was_trusted_for_one_group_proves_nothing_for_another() {
    let mut net = lights::<Heap>(2, ASK);
    for n in 0..2 {
        net.join_group(n, index(1), 2, ONE, &[9]);
    }
    let light = net.group_datagram(0, index(1), 2, b"light");
    let unlock = net.group_datagram(0, index(1), 1, b"unlock");
    for _ in 0..40 {
        let _ = net.group_datagram(0, index(1), 2, b"");
    }
    // Both are recordings: the light's is trusted.
    assert_eq!(hand(&mut net, 1, &light), Ok(()));
    assert_eq!(net.heard(1), [b"light"]);
    assert_eq!(hand(&mut net, 1, &unlock), Ok(()));
    net.run(3000);
    assert!(net.heard(1).is_empty(), "the sender has told its counter");
    net.multicast(0, index(1), 1, b"lock");
    net.multicast(0, index(1), 2, b"dim");
    assert_eq!(net.heard(1), [&b"lock"[..], b"dim"], "it is known for both now");
}

#[test]
fn many_receivers_are_answered_and_learn() {
    let mut net = lights::<Heap>(12, ASK);
    net.multicast(0, index(1), 1, b"on");
    net.run(3000);
    let heard: Vec<_> = (1..12).map(|n| net.heard(n).len()).collect();
    // Ten are answered at once, and one more each tenth of a second.
    assert_eq!(heard, [1; 11]);
    for sender in 1..12 {
        net.multicast(sender, index(1), 1, &[sender as u8]);
    }
    net.run(3000);
    assert_eq!(net.heard(0).len(), 11);
}

#[test]
fn a_fabric_leaves_others_their_part_of_the_tables() {
    let mut net = Net::<Small>::stored(vec![(udp(1), Config::default())]);
    for fabric in 1..=2 {
        Authority::new(fabric, false).join(&mut net, 0, 100);
    }
    let manager = &mut net.node(0).manager;
    for fabric in 1..=2 {
        let mut sets = (1..=4).map(|id| {
            key_set(id, ONE, &[id as u8], |set| {
                manager.groups_mut().set_key_set(index(fabric), set)
            })
        });
        assert_eq!(sets.by_ref().filter(Result::is_ok).count(), 2, "of four");
    }
}

#[test]
fn without_an_answer_what_waits_is_dropped_and_asked_for_again_later() {
    let mut net = lights::<Heap>(2, ASK);
    net.on_send(|_| crate::net::Fate::Lost);
    net.multicast(0, index(1), 1, b"lost");
    net.run(3000);
    assert_eq!(net.sent.len(), 1, "one request");
    let state = format!("{:?}", net.node(1).manager);
    assert!(state.contains("waiting: 0"), "{state}");
    net.on_send(|_| crate::net::Fate::Arrives);
    net.multicast(0, index(1), 1, b"heard");
    net.run(3000);
    assert_eq!(net.heard(1), [b"heard"]);
    let state = format!("{:?}", net.node(1).manager);
    assert!(state.contains("syncs: 0") && state.contains("waiting: 0"), "{state}");
}

#[test]
fn the_oldest_message_that_waits_makes_room() {
    let config = Config::default().with_group_senders(10, 3);
    let mut net = lights_with::<Heap>(2, ASK, &config);
    for n in 0..5 {
        net.multicast(0, index(1), 1, &[n]);
    }
    net.run(3000);
    assert_eq!(net.heard(1), [[2], [3], [4]]);
}

#[test]
fn what_waits_for_a_group_is_not_delivered_after_it_was_left() {
    type Leave = fn(&mut Manager<Heap>);
    let leaves: [Leave; 3] = [
        |manager| assert!(manager.groups_mut().remove(Group::new(index(1), GroupId::new(1)))),
        |manager| assert!(manager.groups_mut().remove_key_set(index(1), GroupKeySetId::new(1))),
        |manager| {
            let settings = GroupSettings::new(GroupKeySetId::new(2));
            manager.groups_mut().set(Group::new(index(1), GroupId::new(1)), settings).unwrap();
        },
    ];
    for leave in leaves {
        // Before the answer, and after it.
        for millis in [0, 3000] {
            let mut net = lights::<Heap>(2, ASK);
            net.node(1).polls = false;
            net.multicast(0, index(1), 1, b"late");
            net.run(millis);
            leave(&mut net.node(1).manager);
            net.node(1).polls = true;
            net.run(3000);
            assert!(net.heard(1).is_empty());
            let state = format!("{:?}", net.node(1).manager);
            assert!(state.contains("waiting: 0"), "{state}");
        }
    }
}

#[test]
fn a_sender_that_is_trusted_while_it_is_asked_is_heard_once() {
    let mut net = lights::<Heap>(2, ASK);
    for n in 0..2 {
        net.join_group(n, index(1), 2, ONE, &[9]);
    }
    let asked = net.group_datagram(0, index(1), 1, b"asked");
    assert_eq!(hand(&mut net, 1, &asked), Ok(()));
    // The answer is on its way.
    net.on_send(|_| crate::net::Fate::Late(500));
    while net.sent.len() < 2 {
        net.run(10);
    }
    let trusted = net.group_datagram(0, index(1), 2, b"trusted");
    let next = net.group_datagram(0, index(1), 1, b"next");
    for datagram in [&trusted, &next] {
        assert_eq!(hand(&mut net, 1, datagram), Ok(()));
    }
    net.run(3000);
    assert_eq!(net.heard(1), [&b"trusted"[..], b"asked", b"next"]);
    for datagram in [&asked, &trusted, &next] {
        assert_eq!(hand(&mut net, 1, datagram), Err(Dropped::GroupReplay));
    }
    // And one that comes once more while it waits, after its sender was trusted for another.
    let mut net = lights::<Heap>(2, ASK);
    for n in 0..2 {
        net.join_group(n, index(1), 2, ONE, &[9]);
    }
    let trusted = net.group_datagram(0, index(1), 2, b"trusted");
    let asked = net.group_datagram(0, index(1), 1, b"asked");
    for datagram in [&asked, &trusted] {
        assert_eq!(hand(&mut net, 1, datagram), Ok(()));
    }
    assert_eq!(hand(&mut net, 1, &asked), Err(Dropped::GroupReplay));
    net.run(3000);
    assert_eq!(net.heard(1), [b"trusted".to_vec(), b"asked".to_vec()]);
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut net = lights::<Heap>(3, ASK);
    net.multicast(0, index(1), 1, b"on");
    net.run(3000);
    let answer = net.sent.iter().find(|sent| sent.from == udp(1) && sent.to == udp(2));
    let answer = answer.unwrap().octets.clone();
    assert_eq!(net.heard(1), [b"on"]);
    // Again, and to another node that has asked as well.
    assert_eq!(hand(&mut net, 1, &answer), Err(Dropped::Unsolicited));
    assert_eq!(hand(&mut net, 2, &answer), Err(Dropped::Group), "it is for node 101");
    net.run(10_000);
    assert_eq!(net.sent.len(), 4);
}

#[test]
fn a_counter_that_was_told_is_stored_although_nothing_was_sent() {
    let mut net = lights::<Heap>(2, ASK);
    let recorded = net.group_datagram(0, index(1), 1, b"of before");
    // The sender is reset to factory state, and joins again: it has not sent anything since.
    net.node(0).bounds = Bounds::default();
    restart(&mut net, 0);
    assert_eq!(hand(&mut net, 1, &recorded), Ok(()));
    net.run(3000);
    assert_eq!(net.sent.len(), 2, "it was asked, and has answered");
    let stored = net.node(0).bounds.stored[GroupCounter::Data as usize];
    restart(&mut net, 0);
    let next = net.group_datagram(0, index(1), 1, b"next");
    let counter = u32::from_le_bytes(next[4..8].try_into().unwrap());
    assert_eq!(Some(counter.into()), stored, "where the block of before ends, and not below");
    assert_eq!(hand(&mut net, 1, &next), Ok(()));
}

#[test]
fn whoever_has_the_key_cannot_make_a_node_answer_without_end() {
    let mut net = lights::<Heap>(2, ASK);
    // Node 1 restarts again and again: each time it asks.
    let mut asked = 0;
    for _ in 0..30 {
        restart(&mut net, 1);
        let datagram = net.group_datagram(0, index(1), 1, b"");
        assert_eq!(hand(&mut net, 1, &datagram), Ok(()));
        let due = net.node(1).manager.poll_timeout().unwrap();
        assert!(due.saturating_since(net.instant()).as_millis() <= 500);
        let request = {
            let node = net.node(1);
            let services = matter_session::Services::new(&mut node.rng);
            let mut services = services.with_counters(&mut node.bounds);
            node.manager.handle_timeout(&mut services.at(due));
            node.manager.poll_transmit(due).unwrap().datagram.to_vec()
        };
        asked += usize::from(hand(&mut net, 0, &request).is_ok());
    }
    assert_eq!(asked, 10);
    assert_eq!(net.node(0).dropped.iter().filter(|r| **r == Dropped::GroupAnswer).count(), 20);
}

#[test]
fn groups_and_key_sets_that_cannot_be_are_refused() {
    let config = Config::default().with_groups(2, 2);
    let mut net = lights_with::<Heap>(1, ONE, &config);
    let manager = &mut net.node(0).manager;
    let settings = GroupSettings::new(GroupKeySetId::new(1));
    for id in [0, 0xFF00, 0xFFFC] {
        let refused = manager.groups_mut().set(Group::new(index(1), GroupId::new(id)), settings);
        assert_eq!(refused, Err(GroupError::InvalidGroup), "{id:x}");
    }
    let unknown = manager.groups_mut().set(Group::new(index(2), GroupId::new(1)), settings);
    assert_eq!(unknown, Err(GroupError::UnknownFabric));
    let unknown = key_set(1, ONE, &[1], |set| manager.groups_mut().set_key_set(index(2), set));
    assert_eq!(unknown, Err(GroupError::UnknownFabric));
    assert_eq!(
        manager.groups_mut().set(Group::new(index(1), GroupId::new(0xFFFF)), settings),
        Ok(())
    );
    let many = manager.groups_mut().set(Group::new(index(1), GroupId::new(3)), settings);
    assert_eq!(many, Err(GroupError::TooMany));
    assert_eq!(
        manager.groups_mut().set(Group::new(index(1), GroupId::new(1)), settings.with_privacy()),
        Ok(())
    );
    assert_eq!(
        key_set(2, ONE, &[1], |set| manager.groups_mut().set_key_set(index(1), set)),
        Ok(())
    );
    let many = key_set(3, ONE, &[1], |set| manager.groups_mut().set_key_set(index(1), set));
    assert_eq!(many, Err(GroupError::TooMany));
    assert_eq!(
        key_set(2, ONE, &[1, 2], |set| manager.groups_mut().set_key_set(index(1), set)),
        Ok(())
    );
    let reserved = key_set(0, ONE, &[1], |set| manager.groups_mut().set_key_set(index(1), set));
    assert_eq!(reserved, Err(GroupError::KeySet(KeySetError::Reserved)));
    let known: Vec<_> = manager.groups().iter(index(1)).map(|(group, _)| group.get()).collect();
    assert_eq!(known, [1, 0xFFFF]);

    let shared = settings.with_address(MulticastAddress::Shared);
    manager.groups_mut().set(Group::new(index(1), GroupId::new(1)), shared).unwrap();
    let address = manager.groups().address(Group::new(index(1), GroupId::new(1))).unwrap();
    assert_eq!(address.to_string(), "[ff05::fa]:5540");
    let (max, mut buf) = (manager.groups().max_payload(), vec![0; 1400]);
    let to = Group::new(index(1), GroupId::new(1));
    for (payload, fits) in [(max, true), (max + 1, false)] {
        let payload = vec![0; payload];
        net.call(0, |manager, cx| {
            let sent =
                manager.groups_mut().send(cx, to, MessageType::new(IM, 8), &payload, &mut buf);
            let len = sent.map(|sent| sent.datagram.len());
            assert_eq!(len, if fits { Ok(1232) } else { Err(GroupSendError::TooLong { max }) });
        });
    }
    let mut short = [0; 59];
    let refused = net.call(0, |manager, cx| {
        manager.groups_mut().send(cx, to, MessageType::new(IM, 8), &[0; 8], &mut short).map(|_| ())
    });
    assert_eq!(refused, Err(GroupSendError::BufferTooSmall { needed: 60 }));
}

#[test]
fn a_manager_without_tables_for_groups_has_none() {
    let mut net = Net::<
        Fixed<Sessions<7>, Exchanges<4>, Handshakes<1>, Fabrics<2>, Records<3>, MessageBytes<2500>>,
    >::stored(vec![(udp(1), Config::default())]);
    Authority::new(1, false).join(&mut net, 0, 100);
    let manager = &mut net.node(0).manager;
    let epochs = [GroupEpoch {
        key: GroupKey::EpochKey(Secret::new([1; 16])),
        start: EpochStart::default(),
    }];
    let set = GroupKeySet { id: GroupKeySetId::new(1), policy: ONE, epochs: &epochs };
    assert_eq!(manager.groups_mut().set_key_set(index(1), &set), Err(GroupError::Unsupported));
    let settings = GroupSettings::new(GroupKeySetId::new(1));
    let refused = manager.groups_mut().set(Group::new(index(1), GroupId::new(1)), settings);
    assert_eq!(refused, Err(GroupError::Unsupported));
    let datagram = lights::<Heap>(1, ONE).group_datagram(0, index(1), 1, b"on");
    assert_eq!(hand(&mut net, 0, &datagram), Err(Dropped::GroupKey));
}
