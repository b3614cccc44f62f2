//! Who has one group key can do nothing to messages under another.

use core::time::Duration;

use matter_session::crypto::Secret;
use matter_session::fabric::GroupKey;
use matter_session::group::{EpochStart, GroupEpoch, GroupKeySet, SecurityPolicy};
use matter_session::ids::{Group, GroupId, GroupKeySetId, NodeId};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Groups, Handshakes, KeySets, MessageBytes, Records, Senders, Sessions,
};
use matter_session::manager::{
    Config, Dropped, Fixed, GroupSettings, Heap, PeerAddress, Storage, WithGroups,
};

use crate::forged::{Holder, counter_of};
use crate::net::{Authority, Net, index, udp};

pub const TRUST: SecurityPolicy = SecurityPolicy::TrustFirst;
pub const ASK: SecurityPolicy = SecurityPolicy::CacheAndSync;
const POLICIES: [SecurityPolicy; 2] = [TRUST, ASK];

pub type Small = WithGroups<
    Fixed<Sessions<7>, Exchanges<4>, Handshakes<1>, Fabrics<2>, Records<3>, MessageBytes<2500>>,
    KeySets<4>,
    Groups<4>,
    Senders<48>,
>;

/// The key of the group that matters, and that of the group for guests.
pub const HOME: u8 = 7;
pub const GUESTS: u8 = 9;
/// The largest advance that the specification takes for one.
const HALF: u32 = (1 << 31) - 1;
pub const ATTACKER: u16 = 66;

/// Nodes 100 and 101 on two fabrics, in group 1 and, with the guests, in group 2.
pub fn home<S: Storage>(policy: SecurityPolicy, config: &Config) -> Net<S> {
    let mut net = Net::stored([1, 2].map(|n| (udp(n), config.clone())).to_vec());
    for fabric in 1..=2 {
        let mut authority = Authority::new(fabric, false);
        for n in 0..2 {
            authority.join(&mut net, n, 100 + n as u64);
            net.join_group(n, index(fabric as u8), 1, policy, &[HOME]);
            net.join_group(n, index(fabric as u8), 2, policy, &[GUESTS]);
        }
    }
    net
}

/// The receiver as it is after a restart: its counters are all that it has kept.
pub fn restart<S: Storage>(net: &mut Net<S>, policy: SecurityPolicy) {
    let bounds = net.node(1).bounds.clone();
    *net.node(1) = home::<S>(policy, &Config::default()).nodes.remove(1);
    net.node(1).bounds = bounds;
}

pub fn hand<S: Storage>(
    net: &mut Net<S>,
    from: PeerAddress,
    datagram: &[u8],
) -> Result<(), Dropped> {
    net.hand(1, from, datagram)
}

/// Sends messages to a group, of which all are heard. Returns the datagrams.
pub fn heard_messages<S: Storage>(net: &mut Net<S>, group: u16, count: usize) -> Vec<Vec<u8>> {
    let first = net.group_datagram(0, index(1), group, b"first");
    let _ = hand(net, udp(1), &first);
    net.run(3000);
    let mut datagrams = vec![first];
    for n in 1..count {
        datagrams.push(net.group_datagram(0, index(1), group, &[n as u8; 9]));
        assert_eq!(hand(net, udp(1), datagrams.last().unwrap()), Ok(()));
    }
    assert_eq!(net.heard(1).len(), count);
    datagrams
}

/// Replays what was recorded, twice, and lets time pass. Returns how much was delivered.
fn replayed<S: Storage>(net: &mut Net<S>, recorded: &[Vec<u8>]) -> usize {
    for datagram in recorded.iter().chain(recorded) {
        let _ = hand(net, udp(ATTACKER), datagram);
        net.run(50);
    }
    net.run(4000);
    net.heard(1).len()
}

/// Whoever hears a request answers it in the sender's name.
fn answer_requests<S: Storage>(net: &mut Net<S>, holder: &Holder, told: u32) -> usize {
    net.run(600);
    let requests: Vec<_> = net.sent.drain(..).filter(|sent| sent.to == udp(ATTACKER)).collect();
    let answers = requests.iter().filter_map(|sent| holder.answer(&sent.octets, 100, 101, told));
    let answers: Vec<_> = answers.collect();
    for answer in &answers {
        assert_eq!(hand(net, udp(ATTACKER), answer), Ok(()));
    }
    net.pump();
    answers.len()
}

fn a_key_set_does_nothing_to_messages_of_another<S: Storage>() {
    for policy in POLICIES {
        for restarts in [false, true] {
            let mut net = home::<S>(policy, &Config::default());
            let guest = Holder::of(&mut net, 1, GUESTS);
            let mut recorded = heard_messages(&mut net, 1, 100);
            heard_messages(&mut net, 2, 1);
            if restarts {
                restart(&mut net, policy);
                recorded.extend(heard_messages(&mut net, 1, 1));
            }
            let last = counter_of(recorded.last().unwrap());
            for jump in [HALF, HALF.wrapping_mul(2), HALF.wrapping_mul(3)] {
                let forged = guest.tell(100, last.wrapping_add(jump), 2, b"forged");
                let _ = hand(&mut net, udp(ATTACKER), &forged);
                answer_requests(&mut net, &guest, counter_of(&forged));
                net.heard(1);
                assert_eq!(replayed(&mut net, &recorded), 0, "{policy:?} {restarts}");
            }
            net.multicast(0, index(1), 1, b"honest");
            assert_eq!(net.heard(1), [b"honest"], "{policy:?} {restarts}");
        }
    }
}

#[test]
fn counters_claimed_under_one_key_set_do_nothing_to_messages_of_another() {
    a_key_set_does_nothing_to_messages_of_another::<Heap>();
    a_key_set_does_nothing_to_messages_of_another::<Small>();
}

fn an_answer_under_one_key_set_says_nothing_about_another<S: Storage>() {
    let mut net = home::<S>(ASK, &Config::default());
    let guest = Holder::of(&mut net, 1, GUESTS);
    let recorded = heard_messages(&mut net, 1, 60);
    restart(&mut net, ASK);
    let before = counter_of(&recorded[0]).wrapping_sub(1);
    // A recording of the home's and a message of the guest's: each asks for the sender's counter.
    assert_eq!(hand(&mut net, udp(ATTACKER), &recorded[0]), Ok(()));
    assert_eq!(hand(&mut net, udp(ATTACKER), &guest.tell(100, before, 2, b"forged")), Ok(()));
    assert_eq!(answer_requests(&mut net, &guest, before), 1, "to that under its own key");
    let _forged = net.heard(1);
    assert_eq!(replayed(&mut net, &recorded), 0);
    net.multicast(0, index(1), 1, b"honest");
    net.run(3000);
    assert_eq!(net.heard(1), [b"honest"]);
    assert_eq!(replayed(&mut net, &recorded[..28]), 0);
}

#[test]
fn after_a_restart_an_answer_under_one_key_set_says_nothing_about_another() {
    an_answer_under_one_key_set_says_nothing_about_another::<Heap>();
    an_answer_under_one_key_set_says_nothing_about_another::<Small>();
}

fn nothing_comes_twice_whatever_is_claimed<S: Storage>() {
    for policy in POLICIES {
        let mut net = home::<S>(policy, &Config::default());
        let member = Holder::of(&mut net, 1, HOME);
        let recorded = heard_messages(&mut net, 1, 100);
        let (first, last) = (counter_of(&recorded[0]), counter_of(recorded.last().unwrap()));
        // Around the circle in two steps or in many, from both sides.
        let steps = [1, 2, 3, 4].map(|n| last.wrapping_add(HALF.wrapping_mul(n)));
        let steps = steps.into_iter().chain([first.wrapping_sub(1), first.wrapping_sub(40)]);
        let small = (1..40_u32).map(|n| last.wrapping_add(n << 27));
        for claimed in steps.chain(small) {
            let _ = hand(&mut net, udp(ATTACKER), &member.tell(100, claimed, 1, b"forged"));
            net.run(10);
            net.heard(1);
            for datagram in &recorded {
                assert_eq!(hand(&mut net, udp(ATTACKER), datagram), Err(Dropped::GroupReplay));
            }
        }
    }
}

#[test]
fn nothing_is_delivered_twice_whatever_counters_a_holder_of_the_same_key_claims() {
    nothing_comes_twice_whatever_is_claimed::<Heap>();
    nothing_comes_twice_whatever_is_claimed::<Small>();
}

/// Two epoch keys of one session id, which messages name in clear.
fn keys_of_one_session_id<S: Storage>(net: &mut Net<S>) -> [[u8; 16]; 2] {
    let mut known = std::collections::BTreeMap::new();
    (0_u128..)
        .map(u128::to_be_bytes)
        .find_map(|key| {
            let session = Holder::with_key(net, 1, key).session();
            known.insert(session.get(), key).map(|other| [key, other])
        })
        .unwrap()
}

/// Installs the keys as those of sets 1 and 2, on both nodes.
fn set_keys<S: Storage>(net: &mut Net<S>, policy: SecurityPolicy, keys: [[u8; 16]; 2]) {
    for n in 0..2 {
        let manager = &mut net.node(n).manager;
        for (id, key) in (1..).zip(keys) {
            let key = GroupKey::EpochKey(Secret::new(key));
            let epochs = [GroupEpoch { key, start: EpochStart::default() }];
            let id = GroupKeySetId::new(id);
            let set = GroupKeySet { id, policy, epochs: &epochs };
            manager.groups_mut().set_key_set(index(1), &set).unwrap();
            // Headers are hidden: only the key tells whose they are.
            let group = Group::new(index(1), GroupId::new(id.get()));
            let settings = GroupSettings::new(id).with_privacy();
            manager.groups_mut().set(group, settings).unwrap();
        }
    }
}

fn keys_of_one_session_id_do_nothing_to_each_other<S: Storage>() {
    for policy in POLICIES {
        let mut net = home::<S>(policy, &Config::default());
        let keys = keys_of_one_session_id(&mut net);
        set_keys(&mut net, policy, keys);
        let [member, guest] = keys.map(|key| Holder::with_key(&mut net, 1, key));
        let recorded = heard_messages(&mut net, 1, 100);
        for n in 1..4 {
            let last = member.counter(recorded.last().unwrap());
            let claimed = last.wrapping_add(HALF.wrapping_mul(n));
            let _ = hand(&mut net, udp(ATTACKER), &guest.tell(100, claimed, 2, b"forged"));
            answer_requests(&mut net, &guest, claimed);
            let _forged = net.heard(1);
            assert_eq!(replayed(&mut net, &recorded), 0);
        }
        net.multicast(0, index(1), 1, b"honest");
        assert_eq!(net.heard(1), [b"honest"]);
    }
}

#[test]
fn keys_with_one_session_id_do_nothing_to_messages_of_each_other() {
    keys_of_one_session_id_do_nothing_to_each_other::<Heap>();
    keys_of_one_session_id_do_nothing_to_each_other::<Small>();
}

#[test]
fn of_two_keys_with_one_session_id_a_request_is_sealed_with_that_of_the_message() {
    let mut net = home::<Heap>(ASK, &Config::default());
    let keys = keys_of_one_session_id(&mut net);
    set_keys(&mut net, ASK, keys);
    for group in [2, 1] {
        net.multicast(0, index(1), group, b"on");
        net.run(3000);
        assert_eq!(net.heard(1), [b"on"], "{group}");
    }
}

/// Whoever left the group has the oldest of the three keys.
#[test]
fn an_old_key_of_a_set_does_nothing_to_messages_under_a_newer_one() {
    for policy in POLICIES {
        let mut net = home::<Heap>(policy, &Config::default());
        for n in 0..2 {
            net.join_group(n, index(1), 1, policy, &[6, HOME, 8]);
        }
        let former = Holder::of(&mut net, 1, 6);
        let recorded = heard_messages(&mut net, 1, 100);
        let last = counter_of(recorded.last().unwrap());
        for n in 1..5 {
            let claimed = last.wrapping_add(HALF.wrapping_mul(n));
            let _ = hand(&mut net, udp(ATTACKER), &former.tell(100, claimed, 1, b"forged"));
            answer_requests(&mut net, &former, claimed);
            net.heard(1);
            assert_eq!(replayed(&mut net, &recorded), 0);
        }
        net.multicast(0, index(1), 1, b"honest");
        assert_eq!(net.heard(1), [b"honest"]);
    }
}

fn what_an_administrator_does_lets_nothing_come_again<S: Storage>() {
    type Act<S> = fn(&mut Net<S>, SecurityPolicy);
    let acts: [(u16, Act<S>); 4] = [
        // The key set is removed and comes back.
        (1, |net, policy| {
            let id = GroupKeySetId::new(1);
            assert!(net.node(1).manager.groups_mut().remove_key_set(index(1), id));
            net.join_group(1, index(1), 1, policy, &[HOME]);
        }),
        // It moves to the second place of the set, beside an older key.
        (1, |net, policy| net.join_group(1, index(1), 1, policy, &[5, HOME])),
        // The group gets another set, which has the same key.
        (1, |net, policy| {
            let settings = GroupSettings::new(GroupKeySetId::new(2));
            net.join_group(1, index(1), 2, policy, &[HOME]);
            let group = Group::new(index(1), GroupId::new(1));
            net.node(1).manager.groups_mut().set(group, settings).unwrap();
        }),
        // The policy changes.
        (1, |net, policy| {
            net.join_group(1, index(1), 1, if policy == ASK { TRUST } else { ASK }, &[HOME]);
        }),
    ];
    for policy in POLICIES {
        for (group, act) in acts {
            let mut net = home::<S>(policy, &Config::default());
            let recorded = heard_messages(&mut net, group, 100);
            act(&mut net, policy);
            assert_eq!(replayed(&mut net, &recorded), 0);
        }
    }
}

#[test]
fn changes_of_sets_and_groups_let_no_message_come_twice() {
    what_an_administrator_does_lets_nothing_come_again::<Heap>();
    what_an_administrator_does_lets_nothing_come_again::<Small>();
}

/// Fills what it can with senders that it invents.
pub fn invent_senders<S: Storage>(net: &mut Net<S>, holder: &Holder) {
    for source in 1000..1200 {
        let _ = hand(net, udp(ATTACKER), &holder.tell(source, 5, 2, b"invented"));
        let _ = hand(net, udp(ATTACKER), &holder.ask(source, 5, 101));
        net.run(20);
    }
    net.heard(1);
}

fn invented_senders_take_room_of_their_own_key_set<S: Storage>() {
    let mut net = home::<S>(TRUST, &Config::default());
    let recorded = heard_messages(&mut net, 1, 100);
    for fabric in 1..=2 {
        let guest = Holder::of(&mut net, fabric, GUESTS);
        invent_senders(&mut net, &guest);
    }
    for fabric in 1..=2 {
        let member = Holder::of(&mut net, fabric, HOME);
        for source in 200..204 {
            let datagram = member.tell(source, 1, 1, b"member");
            assert_eq!(hand(&mut net, udp(3), &datagram), Ok(()), "{source} on {fabric}");
            assert_eq!(hand(&mut net, udp(3), &datagram), Err(Dropped::GroupReplay));
        }
        assert_eq!(net.heard(1), [b"member"; 4]);
        assert_eq!(hand(&mut net, udp(3), &member.ask(200, 1, 101)), Ok(()));
    }
    assert_eq!(replayed(&mut net, &recorded), 0);
}

#[test]
fn senders_invented_under_one_key_set_leave_room_for_those_of_another() {
    invented_senders_take_room_of_their_own_key_set::<Heap>();
    invented_senders_take_room_of_their_own_key_set::<Small>();
}

#[test]
fn keys_that_are_gone_leave_their_room_to_others() {
    let mut net = home::<Small>(TRUST, &Config::default());
    for seed in 20..60 {
        net.join_group(1, index(1), 2, TRUST, &[seed]);
        let guest = Holder::of(&mut net, 1, seed);
        invent_senders(&mut net, &guest);
        assert!(net.node(1).manager.groups_mut().remove_key_set(index(1), GroupKeySetId::new(2)));
    }
    heard_messages(&mut net, 1, 10);
    net.join_group(1, index(1), 2, TRUST, &[GUESTS]);
    heard_messages(&mut net, 2, 10);
}

fn requests_of_some_leave_answers_to_others<S: Storage>() {
    // A member of another fabric, and one of another key set.
    for (fabric, seed) in [(2, HOME), (1, GUESTS)] {
        let mut net = home::<S>(ASK, &Config::default());
        let (greedy, member) = (Holder::of(&mut net, fabric, seed), Holder::of(&mut net, 1, HOME));
        let mut answered = 0;
        for n in 0..30 {
            for k in 0..20 {
                let _ = hand(&mut net, udp(ATTACKER), &greedy.ask(300, 1 + 20 * n + k, 101));
            }
            assert_eq!(hand(&mut net, udp(4), &member.ask(400, 1 + n, 101)), Ok(()));
            net.run(1000);
            answered += net.sent.drain(..).filter(|sent| sent.to == udp(4)).count();
        }
        assert_eq!(answered, 30);
    }
}

#[test]
fn requests_for_counters_on_one_fabric_or_key_set_take_no_answers_from_others() {
    requests_of_some_leave_answers_to_others::<Heap>();
    requests_of_some_leave_answers_to_others::<Small>();
}

#[test]
fn a_repeated_request_for_a_counter_is_not_answered() {
    let mut net = home::<Heap>(ASK, &Config::default());
    let member = Holder::of(&mut net, 1, HOME);
    let request = member.ask(400, 5, 101);
    assert_eq!(hand(&mut net, udp(4), &request), Ok(()));
    for from in [4, ATTACKER] {
        assert_eq!(hand(&mut net, udp(from), &request), Err(Dropped::GroupReplay));
    }
    net.run(3000);
    assert_eq!(net.sent.len(), 1);
    assert_eq!(hand(&mut net, udp(4), &member.ask(400, 4, 101)), Err(Dropped::GroupReplay));
}

#[test]
fn a_forgotten_sender_is_forgotten_under_all_keys() {
    let mut net = home::<Heap>(TRUST, &Config::default());
    let first = heard_messages(&mut net, 1, 1);
    heard_messages(&mut net, 2, 1);
    let senders = |net: &mut Net| {
        net.call(1, |manager, _| manager.groups().senders(index(1)).collect::<Vec<_>>())
    };
    assert_eq!(senders(&mut net), [NodeId::new(100)], "named once");
    assert!(net.node(1).manager.groups_mut().forget_sender(index(1), NodeId::new(100)));
    assert!(senders(&mut net).is_empty());
    assert_eq!(hand(&mut net, udp(1), &first[0]), Ok(()));
}

/// Sums and shares of such limits do not overflow.
#[test]
fn limits_without_end_leave_a_node_that_works() {
    let most = usize::MAX;
    let configs = [
        Config::default().with_fabrics(most),
        Config::default().with_groups(most, most),
        Config::default().with_exchanges(most),
        Config::default()
            .with_records(most, Duration::from_secs(60))
            .with_handshakes(most, Duration::ZERO),
    ];
    for config in configs {
        let mut net = home::<Heap>(TRUST, &config);
        net.case(101);
        net.call(1, |m, _| assert!(m.poll_event().is_none()));
        heard_messages(&mut net, 1, 3);
        heard_messages(&mut net, 2, 3);
    }
}
