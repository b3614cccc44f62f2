//! Recorded messages of silent senders keep nobody from being heard.

use matter_session::ids::{Group, GroupId, GroupKeySetId, MessageType};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Dropped, Fixed, Heap, Storage, WithGroups};

use crate::forged::{Holder, counter_of};
use crate::groups::{ASK, ATTACKER, Small, TRUST, hand, home};
use crate::net::{Datagram, Fate, IM, Net, index, udp};

const KEY: u8 = 7;

/// Recorded messages of so many nodes that have gone.
fn recordings<S: Storage>(net: &mut Net<S>, fabric: u8, count: u64, len: usize) -> Vec<Vec<u8>> {
    let key = Holder::of(net, fabric, KEY);
    (0..count).map(|n| key.tell(1000 + n, 50, 1, &vec![0; len])).collect()
}

/// The tables of the receiver by size.
fn tables<S: Storage>(net: &mut Net<S>) -> String {
    net.call(1, |manager, _| format!("{manager:?}"))
}

/// A live sender sends once a second, and four recordings a second come from elsewhere.
fn a_live_sender_is_heard<S: Storage>(count: u64, len: usize, fabric: u8) {
    let mut net = home::<S>(ASK, &Config::default());
    let recorded = recordings(&mut net, fabric, count, len);
    let mut next = recorded.iter().cycle();
    for datagram in recorded.iter().take(12) {
        let _ = hand(&mut net, udp(ATTACKER), datagram);
    }
    for second in 0..12 {
        for quarter in 0..4 {
            let _ = hand(&mut net, udp(ATTACKER), next.next().unwrap());
            net.run(125);
            if quarter == 2 {
                net.multicast(0, index(1), 1, &[second]);
            }
            net.run(125);
        }
    }
    net.run(3000);
    let heard = net.heard(1);
    assert!(heard.len() >= 10, "{count} recordings of {len} bytes: {heard:?}");
    assert!(heard.is_sorted(), "each once, in order: {heard:?}");
}

#[test]
fn a_live_sender_is_heard_among_recordings_of_silent_ones() {
    for fabric in 1..=2 {
        for count in [1, 2, 3, 4, 5, 40, 200] {
            for len in [0, 1100] {
                a_live_sender_is_heard::<Small>(count, len, fabric);
            }
        }
        for count in [2, 31, 32, 33, 200] {
            a_live_sender_is_heard::<Heap>(count, 0, fabric);
        }
    }
}

/// Long messages of invented senders do not take the bytes that sessions count on.
#[test]
fn group_messages_that_wait_leave_room_for_long_messages_of_sessions() {
    type Tables = WithGroups<
        Fixed<
            Sessions<8>,
            Exchanges<8>,
            Handshakes<2>,
            Fabrics<2>,
            Records<4>,
            MessageBytes<{ 1243 + 4 * 1265 }>,
        >,
    >;
    let mut net = home::<Tables>(ASK, &Config::default());
    net.case(101);
    net.dial_case(1, 0, 2, 100);
    net.run(1000);
    let recorded = recordings(&mut net, 1, 20, 1100);
    for datagram in &recorded {
        let _ = hand(&mut net, udp(ATTACKER), datagram);
    }
    let sessions: Vec<_> = net.node(1).manager.sessions().iter().map(|s| s.handle()).collect();
    assert_eq!(sessions.len(), 2);
    for session in sessions {
        let exchange = net.call(1, |m, cx| m.open_exchange(cx, session)).unwrap();
        let kind = MessageType::new(IM, 1);
        assert_eq!(net.call(1, |m, cx| m.send(cx, exchange, kind, &[7; 1190])), Ok(()));
    }
}

#[test]
fn a_silent_sender_is_asked_seldom_for_the_same_message() {
    let mut net = home::<Small>(ASK, &Config::default());
    let recorded = recordings(&mut net, 1, 2, 0);
    for _ in 0..240 {
        for datagram in &recorded {
            let _ = hand(&mut net, udp(ATTACKER), datagram);
        }
        net.run(250);
    }
    assert!(net.sent.len() <= 14, "{} requests in a minute", net.sent.len());
    net.run(15_000);
    let state = tables(&mut net);
    assert!(state.contains("syncs: 0") && state.contains("waiting: 0"), "{state}");
    assert_eq!(net.call(1, |manager, _| manager.poll_timeout()), None);
}

/// How often one key set makes a node ask, whoever the recordings are of.
#[test]
fn requests_for_counters_have_a_limit_for_each_key_set() {
    let mut net = home::<Heap>(ASK, &Config::default());
    let recorded = recordings(&mut net, 1, 2000, 0);
    for chunk in recorded.chunks(20) {
        for datagram in chunk {
            let _ = hand(&mut net, udp(ATTACKER), datagram);
        }
        net.run(100);
    }
    assert!(net.sent.len() <= 115, "{} requests in ten seconds", net.sent.len());
}

#[test]
fn the_newest_message_says_where_the_sender_is_and_no_recording_does() {
    for honest_first in [false, true] {
        let mut net = home::<Heap>(ASK, &Config::default());
        let recorded = net.group_datagram(0, index(1), 1, b"recorded");
        for _ in 0..40 {
            let _ = net.group_datagram(0, index(1), 1, b"");
        }
        let honest = net.group_datagram(0, index(1), 1, b"honest");
        let mut arrivals = [(udp(ATTACKER), &recorded), (udp(1), &honest)];
        if honest_first {
            arrivals.reverse();
        }
        for (from, datagram) in arrivals {
            assert_eq!(hand(&mut net, from, datagram), Ok(()));
        }
        net.run(3000);
        assert_eq!(net.heard(1), [b"honest"]);
        assert!(net.sent.iter().all(|sent| sent.to != udp(ATTACKER)), "{:?}", net.sent);
    }
}

/// A recording that is newer than the first one, and older than what the sender has sent.
#[test]
fn no_recording_moves_a_request_once_the_sender_was_heard() {
    let mut net = home::<Heap>(ASK, &Config::default());
    let [first, second, honest] =
        [b"1", b"2", b"3"].map(|payload| net.group_datagram(0, index(1), 1, payload));
    for (from, datagram) in [(ATTACKER, &first), (1, &honest), (ATTACKER, &second)] {
        assert_eq!(hand(&mut net, udp(from), datagram), Ok(()));
    }
    net.run(3000);
    assert!(net.heard(1).contains(&b"3".to_vec()));
    assert!(net.sent.iter().all(|sent| sent.to != udp(ATTACKER)), "{:?}", net.sent);
}

/// Of two keys of a fabric, and of two fabrics: a newcomer takes the place of one of its own key.
#[test]
fn who_has_as_much_of_a_full_table_as_another_takes_nothing_from_it() {
    let config = Config::default().with_group_senders(10, 3);
    for (fabric, seed, group) in [(1, 9, 2), (2, KEY, 1)] {
        let mut net = home::<Heap>(ASK, &config);
        let (key, other) = (Holder::of(&mut net, 1, KEY), Holder::of(&mut net, fabric, seed));
        for source in [1000, 1001] {
            assert_eq!(hand(&mut net, udp(ATTACKER), &key.tell(source, 50, 1, b"")), Ok(()));
        }
        for source in 2000..2010 {
            let told = other.tell(source, 50, group, b"");
            assert_eq!(hand(&mut net, udp(ATTACKER), &told), Ok(()));
        }
        net.run(3000);
        // The node that is asked stands behind the counter and the one that asks.
        let asked = |sent: &Datagram| u64::from_le_bytes(sent.octets[16..24].try_into().unwrap());
        let mut asked: Vec<u64> = net.sent.iter().map(asked).collect();
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked, [1000, 1001, 2009]);
    }
}

#[test]
fn a_message_that_waited_while_its_sender_was_trusted_comes_once() {
    // The key set trusts first, and asks from then on.
    let mut net = home::<Heap>(TRUST, &Config::default());
    net.multicast(0, index(1), 1, b"trusted");
    net.join_group(1, index(1), 1, ASK, &[KEY]);
    let waits = net.group_datagram(0, index(1), 1, b"waits");
    assert_eq!(hand(&mut net, udp(1), &waits), Ok(()));
    net.run(3000);
    assert_eq!(net.heard(1), [&b"trusted"[..], b"waits"]);
    for _ in 0..3 {
        assert_eq!(hand(&mut net, udp(1), &waits), Err(Dropped::GroupReplay));
        net.run(3000);
    }
    assert!(net.heard(1).is_empty());
}

/// Some messages were lost while the sender was trusted, and it has sent more when it answers.
#[test]
fn a_message_that_waited_comes_once_whatever_was_lost_before() {
    let mut net = home::<Heap>(TRUST, &Config::default());
    for payload in [b"1", b"2"] {
        net.multicast(0, index(1), 1, payload);
        for _ in 0..4 {
            let _ = net.group_datagram(0, index(1), 1, b"lost");
        }
    }
    net.join_group(1, index(1), 1, ASK, &[KEY]);
    let waits = net.group_datagram(0, index(1), 1, b"3");
    assert_eq!(hand(&mut net, udp(1), &waits), Ok(()));
    for _ in 0..3 {
        let _ = net.group_datagram(0, index(1), 1, b"lost");
    }
    net.run(3000);
    assert_eq!(net.heard(1), [b"1", b"2", b"3"]);
    assert_eq!(hand(&mut net, udp(1), &waits), Err(Dropped::GroupReplay));
    net.run(3000);
    assert!(net.heard(1).is_empty());
}

#[test]
fn an_answer_is_taken_within_seconds_and_not_later() {
    for (millis, heard) in [(1500, true), (5000, false)] {
        let mut net = home::<Heap>(ASK, &Config::default());
        net.on_send(move |sent| if sent.to == udp(2) { Fate::Late(millis) } else { Fate::Arrives });
        net.multicast(0, index(1), 1, b"first");
        net.run(7000);
        assert_eq!(!net.heard(1).is_empty(), heard);
        net.on_send(|_| Fate::Arrives);
        net.multicast(0, index(1), 1, b"second");
        net.run(3000);
        assert_eq!(net.heard(1), [b"second"]);
    }
}

fn nothing_is_left_of_what_was_removed<S: Storage>() {
    type Act<S> = fn(&mut Net<S>);
    let acts: [(bool, Act<S>); 4] = [
        (false, |net| {
            assert!(net.call(1, |manager, cx| manager.fabrics_mut().remove(cx, index(1))));
        }),
        (false, |net| {
            let id = GroupKeySetId::new(1);
            assert!(net.node(1).manager.groups_mut().remove_key_set(index(1), id));
        }),
        // Another key under the same id.
        (false, |net| net.join_group(1, index(1), 1, ASK, &[8])),
        // The sender may be asked, and its message is not delivered.
        (true, |net| {
            let group = Group::new(index(1), GroupId::new(1));
            assert!(net.node(1).manager.groups_mut().remove(group));
        }),
    ];
    for (may_ask, act) in acts {
        for asked in [false, true] {
            let mut net = home::<S>(ASK, &Config::default());
            let datagram = net.group_datagram(0, index(1), 1, b"on");
            assert_eq!(hand(&mut net, udp(1), &datagram), Ok(()));
            if asked {
                net.on_send(|_| Fate::Late(700));
                net.run(600);
                assert_eq!(net.sent.len(), 1);
            }
            act(&mut net);
            let fabrics = net.call(1, |manager, _| manager.fabrics().len());
            let state = tables(&mut net);
            assert!(fabrics == 2 || state.contains("syncs: 0") && state.contains("waiting: 0"));
            assert!(fabrics == 2 || net.call(1, |manager, _| manager.poll_timeout()).is_none());
            net.run(600);
            let requests = net.sent.iter().filter(|sent| sent.from == udp(2)).count();
            assert!(may_ask || requests == usize::from(asked), "{:?}", net.sent);
            net.run(20_000);
            assert!(net.heard(1).is_empty());
            let state = tables(&mut net);
            assert!(state.contains("syncs: 0") && state.contains("waiting: 0"), "{state}");
            assert_eq!(net.call(1, |manager, _| manager.poll_timeout()), None);
        }
    }
}

#[test]
fn nothing_is_asked_or_kept_for_what_was_removed() {
    nothing_is_left_of_what_was_removed::<Heap>();
    nothing_is_left_of_what_was_removed::<Small>();
}

#[test]
fn a_request_is_sealed_with_the_key_of_the_message_wherever_that_is_in_its_set() {
    let mut net = home::<Heap>(ASK, &Config::default());
    for n in 0..2 {
        net.join_group(n, index(1), 1, ASK, &[KEY, 8]);
    }
    let key = Holder::of(&mut net, 1, KEY);
    let datagram = net.group_datagram(0, index(1), 1, b"on");
    assert!(key.has_sealed(&datagram));
    assert_eq!(hand(&mut net, udp(1), &datagram), Ok(()));
    net.join_group(1, index(1), 1, ASK, &[5, KEY]);
    net.run(3000);
    assert!(key.has_sealed(&net.sent[0].octets));
    assert_eq!(net.heard(1), [b"on"]);
}

fn one_fabric_leaves_others_their_part<S: Storage>() {
    let config = Config::default().with_group_senders(10, 4);
    // Recordings of another fabric, and of another key set.
    for (fabric, seed, group) in [(2, KEY, 1), (1, 9, 2)] {
        let mut net = home::<S>(ASK, &config);
        let key = Holder::of(&mut net, fabric, seed);
        // All in one moment: none of the senders has been asked yet.
        for source in 0..50 {
            let _ = hand(&mut net, udp(ATTACKER), &key.tell(1000 + source, 50, group, b"old"));
        }
        net.multicast(0, index(1), 1, b"live");
        for source in 50..100 {
            let _ = hand(&mut net, udp(ATTACKER), &key.tell(1000 + source, 50, group, b"old"));
        }
        net.run(3000);
        assert_eq!(net.heard(1), [b"live"]);
    }
}

#[test]
fn senders_asked_on_one_fabric_or_key_set_leave_others_their_part() {
    one_fabric_leaves_others_their_part::<Heap>();
    one_fabric_leaves_others_their_part::<Small>();
}

#[test]
fn recordings_of_a_live_sender_do_not_keep_it_from_being_heard() {
    let mut net = home::<Small>(ASK, &Config::default());
    let recorded: Vec<_> = (0..200).map(|_| net.group_datagram(0, index(1), 1, b"old")).collect();
    for (n, datagram) in recorded.iter().enumerate().take(60) {
        let _ = hand(&mut net, udp(ATTACKER), datagram);
        net.run(250);
        if n % 8 == 5 {
            let live = net.group_datagram(0, index(1), 1, b"live");
            assert!(counter_of(&live) > counter_of(recorded.last().unwrap()));
            let _ = hand(&mut net, udp(1), &live);
        }
    }
    net.run(3000);
    let heard = net.heard(1);
    assert!(heard.len() >= 7 && heard.iter().all(|payload| payload == b"live"), "{heard:?}");
}
