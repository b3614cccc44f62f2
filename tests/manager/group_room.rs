//! Room in the tables of groups: how much there is, and that all of it comes back.

use matter_session::context::Services;
use matter_session::ids::{Group, GroupId, GroupKeySetId, NodeId};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Groups, Handshakes, KeySets, MessageBytes, Records, Senders, Sessions,
};
use matter_session::manager::{
    Config, Dropped, Event, Fixed, GroupSettings, Heap, Storage, WithGroups,
};
use matter_session_testing::forged::Holder;

use crate::groups::{ASK, ONE, Small, hand, lights, lights_with};
use crate::net::groups::key_set;
use crate::net::{Authority, Fate, Net, index, udp};

/// Few senders under a key set.
fn few() -> Config {
    Config::default().with_group_senders(3, 8).with_less_than_specified()
}

fn sizes<S: Storage>(net: &mut Net<S>, n: usize) -> String {
    net.call(n, |manager, _| format!("{manager:?}"))
}

fn keys_that_are_replaced_leave_their_room<S: Storage>() {
    let mut net = lights::<S>(1, ONE);
    let manager = &mut net.node(0).manager;
    for seed in 0..100 {
        let seeds = [seed, seed + 1, seed + 2];
        let kept = key_set(1, ONE, &seeds, |set| manager.groups_mut().set_key_set(index(1), set));
        assert_eq!(kept, Ok(()), "{seed}");
        if seed % 5 == 0 {
            assert!(manager.groups_mut().remove_key_set(index(1), GroupKeySetId::new(1)));
        }
    }
}

#[test]
fn keys_that_are_replaced_or_removed_leave_their_room_to_others() {
    keys_that_are_replaced_leave_their_room::<Heap>();
    keys_that_are_replaced_leave_their_room::<Small>();
}

#[test]
fn a_full_table_is_told_of_again_after_its_key_set_or_fabric_was_removed() {
    type Remove = fn(&mut Net);
    let removals: [Remove; 2] = [
        |net| {
            let id = GroupKeySetId::new(1);
            assert!(net.node(5).manager.groups_mut().remove_key_set(index(1), id));
        },
        |net| {
            assert!(net.call(5, |manager, cx| manager.fabrics_mut().remove(cx, index(1))));
            Authority::new(1, false).join(net, 5, 105);
        },
    ];
    for remove in removals {
        let mut net = lights_with::<Heap>(6, ONE, &few());
        for told in 1..=2 {
            for n in 0..5 {
                let datagram = net.group_datagram(n, index(1), 1, b"on");
                let _ = hand(&mut net, 5, &datagram);
            }
            net.pump();
            let full = |event: &&Event<u32>| matches!(event, Event::GroupSendersFull { .. });
            assert_eq!(net.node(5).events.iter().filter(full).count(), told);
            remove(&mut net);
            net.join_group(5, index(1), 1, ONE, &[7]);
        }
    }
}

/// Twelve places for the senders of each key set.
type Twelve = WithGroups<
    Fixed<Sessions<7>, Exchanges<4>, Handshakes<1>, Fabrics<2>, Records<3>, MessageBytes<2500>>,
    KeySets<4>,
    Groups<4>,
    Senders<48>,
>;

#[test]
fn of_twelve_places_for_senders_two_are_for_control_messages() {
    let mut net = lights_with::<Twelve>(14, ONE, &Config::default().with_group_senders(12, 4));
    let member = Holder::of(&mut net, 1, 7);
    let mut answered = 0;
    for asker in 200..205 {
        answered += usize::from(hand(&mut net, 13, &member.ask(asker, 1, 113)).is_ok());
    }
    assert_eq!(answered, 2);
    let mut known = 0;
    for n in 0..13 {
        let datagram = net.group_datagram(n, index(1), 1, b"on");
        known += usize::from(hand(&mut net, 13, &datagram).is_ok());
    }
    assert_eq!(known, 10);
}

/// All are asked while there is room, and more of them answer than there is room for.
#[test]
fn of_senders_that_answer_so_many_are_known_as_there_is_room_for() {
    let mut net = lights_with::<Heap>(6, ASK, &few());
    for n in 0..5 {
        let datagram = net.group_datagram(n, index(1), 1, b"on");
        assert_eq!(net.hand(5, udp(n as u16 + 1), &datagram), Ok(()));
    }
    net.run(2400);
    assert_eq!(net.heard(5).len(), 3);
    let state = sizes(&mut net, 5);
    assert!(state.contains("senders: 3") && state.contains("waiting: 0"), "{state}");
    assert_eq!(net.call(5, |manager, _| manager.poll_timeout()), None);
    // Now another one is not even asked.
    let sent = net.sent.len();
    let datagrams: Vec<_> = (0..5).map(|n| net.group_datagram(n, index(1), 1, b"off")).collect();
    let mut refused = 0;
    for datagram in &datagrams {
        let no_room = Err(Dropped::GroupSender);
        refused += usize::from(net.hand(5, udp(66), datagram) == no_room);
    }
    assert_eq!(refused, 2);
    net.run(3000);
    assert_eq!(net.sent.len(), sent);
}

#[test]
fn after_an_answer_nothing_waits_for_one() {
    let mut net = lights::<Heap>(2, ASK);
    let old = net.group_datagram(0, index(1), 1, b"old");
    for _ in 0..40 {
        let _ = net.group_datagram(0, index(1), 1, b"");
    }
    let new = net.group_datagram(0, index(1), 1, b"new");
    for datagram in [&old, &new] {
        assert_eq!(hand(&mut net, 1, datagram), Ok(()));
    }
    while net.sent.len() < 2 {
        net.run(10);
    }
    net.run(10);
    assert_eq!(net.heard(1), [b"new"]);
    let state = sizes(&mut net, 1);
    assert!(state.contains("syncs: 0") && state.contains("waiting: 0"), "{state}");
    assert_eq!(net.call(1, |manager, _| manager.poll_timeout()), None);
}

#[test]
fn a_message_that_the_application_reads_comes_once_whatever_is_discarded_meanwhile() {
    // Which group the node leaves meanwhile, and whether another message is left to be read.
    for (left, next) in [(None, true), (Some(2), false), (Some(1), true)] {
        let mut net = lights::<Heap>(2, ASK);
        for n in 0..2 {
            net.join_group(n, index(1), 2, ASK, &[9]);
        }
        net.node(1).polls = false;
        net.multicast(0, index(1), 1, b"one");
        net.multicast(0, index(1), 2, b"two");
        net.run(3000);
        let manager = &mut net.node(1).manager;
        let mut poll = |left: Option<u16>| {
            if let Some(group) = left {
                assert!(manager.groups_mut().remove(Group::new(index(1), GroupId::new(group))));
            }
            manager.groups_mut().poll_message().map(|message| message.payload.to_vec())
        };
        assert_eq!(poll(None), Some(b"one".to_vec()));
        assert_eq!(poll(left), next.then_some(b"two".to_vec()), "{left:?}");
        assert_eq!(poll(None), None);
        let state = sizes(&mut net, 1);
        assert!(state.contains("waiting: 0"), "{state}");
    }
}

#[test]
fn a_node_without_a_store_for_its_counters_asks_nobody_and_holds_nothing() {
    let mut net = lights::<Heap>(2, ASK);
    let mut datagram = net.group_datagram(0, index(1), 1, b"on");
    let dropped = net.call(1, |manager, cx| {
        let now = cx.now();
        let mut services = Services::new(cx.rng());
        manager.handle_datagram(&mut services.at(now), udp(1), &mut datagram).dropped()
    });
    assert_eq!(dropped, Some(Dropped::GroupSender));
    let state = sizes(&mut net, 1);
    assert!(state.contains("syncs: 0") && state.contains("waiting: 0"), "{state}");
    assert_eq!(net.call(1, |manager, _| manager.poll_timeout()), None);
}

#[test]
fn messages_that_wait_take_a_quarter_of_the_bytes() {
    type Roomy = WithGroups<
        Fixed<
            Sessions<7>,
            Exchanges<4>,
            Handshakes<1>,
            Fabrics<2>,
            Records<3>,
            MessageBytes<{ 4 * 2 * (1100 + 11) }>,
        >,
        KeySets<4>,
        Groups<4>,
        Senders<48>,
    >;
    // Eleven bytes say whose a message is. Two of this length fill the quarter, longer ones do not
    // fit.
    for (len, heard) in [(1100, 2), (1101, 1)] {
        let mut net = lights::<Roomy>(2, ASK);
        for n in 0..3 {
            net.multicast(0, index(1), 1, &vec![n; len]);
        }
        net.run(3000);
        let newest: Vec<_> = (3 - heard..3).map(|n| vec![n; len]).collect();
        assert_eq!(net.heard(1), newest);
    }
}

/// The policy of a key set changes while messages wait under the former one.
#[test]
fn a_message_that_waits_comes_once_if_its_copy_is_trusted_meanwhile() {
    let mut net = lights::<Heap>(2, ASK);
    let [one, two] = [b"one", b"two"].map(|payload| net.group_datagram(0, index(1), 1, payload));
    for datagram in [&one, &two] {
        assert_eq!(hand(&mut net, 1, datagram), Ok(()));
    }
    net.join_group(1, index(1), 1, ONE, &[7]);
    assert_eq!(hand(&mut net, 1, &one), Ok(()));
    assert_eq!(net.heard(1), [b"one"]);
    net.run(3000);
    assert_eq!(net.heard(1), [b"two"], "the other one waits on");
    for datagram in [&one, &two] {
        assert_eq!(hand(&mut net, 1, datagram), Err(Dropped::GroupReplay));
    }
}

#[test]
fn a_group_has_the_settings_that_were_set_last() {
    let mut net = lights::<Heap>(1, ONE);
    let group = Group::new(index(1), GroupId::new(1));
    let settings = GroupSettings::new(GroupKeySetId::new(1));
    let manager = &mut net.node(0).manager;
    assert_eq!(manager.groups().get(group), Some(settings));
    manager.groups_mut().set(group, settings.with_privacy()).unwrap();
    assert_eq!(manager.groups().get(group), Some(settings.with_privacy()));
    assert!(manager.groups().has_key_set(index(1), GroupKeySetId::new(1)));
    assert!(!manager.groups().has_key_set(index(1), GroupKeySetId::new(2)));
    assert!(manager.groups_mut().remove(group));
    assert_eq!(manager.groups().get(group), None);
}

#[test]
fn messages_that_have_waited_leave_their_bytes_to_others() {
    let mut net = lights::<Small>(2, ASK);
    for n in 0..50 {
        net.multicast(0, index(1), 1, &[n; 100]);
        net.run(3000);
        assert_eq!(net.heard(1), [[n; 100]]);
        assert!(net.node(1).manager.groups_mut().forget_sender(index(1), NodeId::new(100)));
    }
}

/// The sender answers, and sends a message that is trusted before the answer has come.
#[test]
fn what_was_trusted_meanwhile_comes_once_although_the_answer_says_less() {
    let mut net = lights::<Heap>(2, ASK);
    let one = net.group_datagram(0, index(1), 1, b"one");
    assert_eq!(hand(&mut net, 1, &one), Ok(()));
    net.on_send(|_| Fate::Late(500));
    while net.sent.len() < 2 {
        net.run(10);
    }
    let two = net.group_datagram(0, index(1), 1, b"two");
    net.join_group(1, index(1), 1, ONE, &[7]);
    assert_eq!(hand(&mut net, 1, &two), Ok(()));
    net.run(3000);
    assert_eq!(net.heard(1), [b"two", b"one"]);
    for policy in [ONE, ASK] {
        net.join_group(1, index(1), 1, policy, &[7]);
        for datagram in [&one, &two] {
            assert_eq!(hand(&mut net, 1, datagram), Err(Dropped::GroupReplay));
        }
    }
    net.multicast(0, index(1), 1, b"three");
    assert_eq!(net.heard(1), [b"three"]);
}

#[test]
fn a_sender_may_answer_for_two_seconds_before_its_older_messages_are_refused() {
    let mut net = lights::<Heap>(2, ASK);
    let mut datagrams: Vec<_> = (0..3).map(|n| net.group_datagram(0, index(1), 1, &[n])).collect();
    net.on_send(|_| Fate::Lost);
    assert_eq!(hand(&mut net, 1, &datagrams.pop().unwrap()), Ok(()));
    net.run(500);
    let asked = net.sent[0].at;
    net.run(asked + 2000 - net.now);
    assert_eq!(hand(&mut net, 1, &datagrams.pop().unwrap()), Ok(()));
    net.run(1);
    assert_eq!(hand(&mut net, 1, &datagrams.pop().unwrap()), Err(Dropped::GroupSender));
}

#[test]
fn a_request_hides_its_header_if_the_newest_message_did() {
    let mut net = lights::<Heap>(2, ASK);
    let group = Group::new(index(1), GroupId::new(1));
    let settings = GroupSettings::new(GroupKeySetId::new(1));
    for hidden in [false, true] {
        let settings = if hidden { settings.with_privacy() } else { settings };
        net.node(0).manager.groups_mut().set(group, settings).unwrap();
        let datagram = net.group_datagram(0, index(1), 1, b"on");
        assert_eq!(hand(&mut net, 1, &datagram), Ok(()));
    }
    net.run(3000);
    assert!(net.sent[0].octets[3] & 0x80 != 0);
    assert_eq!(net.heard(1).len(), 2);
}
