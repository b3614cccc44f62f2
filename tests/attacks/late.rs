//! Group messages and counter requests that come late: what the protocol leaves open, and its
//! bounds.

use matter_session::ids::GroupKeySetId;
use matter_session::manager::{Config, Dropped, Heap, Storage};

use crate::forged::Holder;
use crate::groups::{
    ASK, ATTACKER, GUESTS, HOME, Small, TRUST, hand, heard_messages, home, invent_senders, restart,
};
use crate::net::{Dice, Net, index, udp};

fn requests_are_answered_once_more<S: Storage>() {
    let mut net = home::<S>(ASK, &Config::default());
    let member = Holder::of(&mut net, 1, HOME);
    let requests: Vec<_> = (1..=15).map(|n| member.ask(400, n, 101)).collect();
    for request in &requests {
        net.run(200);
        assert_eq!(hand(&mut net, udp(4), request), Ok(()));
    }
    net.run(3000);
    assert_eq!(net.sent.len(), 15);
    restart(&mut net, ASK);
    // All at once: within the limit of the key set.
    for request in requests.iter().take(12) {
        let _ = hand(&mut net, udp(ATTACKER), request);
        net.pump();
    }
    net.run(3000);
    let answered = |net: &Net<S>| net.sent.iter().filter(|sent| sent.to == udp(ATTACKER)).count();
    assert_eq!(answered(&net), 10);
    // Later, and again and again: each once at most.
    for _ in 0..5 {
        for request in &requests {
            net.run(200);
            let _ = hand(&mut net, udp(ATTACKER), request);
        }
    }
    net.run(3000);
    assert_eq!(answered(&net), 13, "those that were never tried come on top");
}

#[test]
fn requests_recorded_before_a_restart_are_answered_once_more_within_their_limit() {
    requests_are_answered_once_more::<Heap>();
    requests_are_answered_once_more::<Small>();
}

fn withheld_messages_come_late<S: Storage>() {
    for policy in [TRUST, ASK] {
        let mut net = home::<S>(policy, &Config::default());
        heard_messages(&mut net, 1, 3);
        let withheld: Vec<_> =
            (0..100).map(|n| net.group_datagram(0, index(1), 1, &[n; 5])).collect();
        // Newer ones under the other key arrive.
        heard_messages(&mut net, 2, 100);
        net.run(3_600_000);
        for (n, datagram) in (0..).zip(&withheld) {
            assert_eq!(hand(&mut net, udp(ATTACKER), datagram), Ok(()));
            assert_eq!(net.heard(1), [[n; 5]]);
            for before in &withheld[..=n as usize] {
                assert_eq!(hand(&mut net, udp(ATTACKER), before), Err(Dropped::GroupReplay));
            }
        }
        net.run(3000);
        assert!(net.heard(1).is_empty());
        // Not out of their order: what is far behind the newest is lost.
        let more: Vec<_> = (0..100).map(|n| net.group_datagram(0, index(1), 1, &[n; 5])).collect();
        assert_eq!(hand(&mut net, udp(ATTACKER), &more[99]), Ok(()));
        for datagram in &more[..50] {
            assert_eq!(hand(&mut net, udp(ATTACKER), datagram), Err(Dropped::GroupReplay));
        }
    }
}

#[test]
fn messages_withheld_under_one_key_come_late_once_and_in_order_whatever_came_under_another() {
    withheld_messages_come_late::<Heap>();
    withheld_messages_come_late::<Small>();
}

/// The key comes back after its set was removed, and after others took the places or not.
fn forgotten_when_its_place_is_taken(taken: bool) -> usize {
    let mut net = home::<Small>(TRUST, &Config::default());
    let recorded = heard_messages(&mut net, 1, 5);
    let id = GroupKeySetId::new(1);
    assert!(net.node(1).manager.groups_mut().remove_key_set(index(1), id));
    if taken {
        for fabric in 1..=2 {
            let guest = Holder::of(&mut net, fabric, GUESTS);
            invent_senders(&mut net, &guest);
        }
        for seed in 20..60 {
            net.join_group(1, index(1), 2, TRUST, &[seed]);
            let guest = Holder::of(&mut net, 1, seed);
            invent_senders(&mut net, &guest);
            let id = GroupKeySetId::new(2);
            assert!(net.node(1).manager.groups_mut().remove_key_set(index(1), id));
        }
    }
    net.join_group(1, index(1), 1, TRUST, &[HOME]);
    for _ in 0..2 {
        for datagram in &recorded {
            let _ = hand(&mut net, udp(ATTACKER), datagram);
        }
    }
    net.heard(1).len()
}

#[test]
fn the_window_of_a_removed_key_is_forgotten_when_another_sender_takes_its_place_and_not_before() {
    assert_eq!(forgotten_when_its_place_is_taken(false), 0);
    assert_eq!(forgotten_when_its_place_is_taken(true), 5, "once more each");
}

/// There are no bytes for the message of an unknown sender, and the sender is asked.
#[test]
fn a_sender_is_asked_although_there_are_no_bytes_for_its_message() {
    let mut net = home::<Small>(ASK, &Config::default());
    let member = Holder::of(&mut net, 1, HOME);
    // Its one handshake has taken bytes.
    net.on_send(|_| crate::net::Fate::Lost);
    net.dial_case(1, 0, 1, 100);
    net.pump();
    let since = net.sent.len();
    let long = member.tell(1000, 50, 1, &[7; 1100]);
    assert_eq!(hand(&mut net, udp(ATTACKER), &long), Err(Dropped::GroupSender));
    net.run(600);
    let asked: Vec<_> = net.sent[since..].iter().filter(|sent| sent.to == udp(ATTACKER)).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].octets.len(), 54);
}

/// Recordings of so many senders a second. Returns how many messages, one a second at a random time,
/// a live sender sends until one is heard. An attacker who is `eager` sends the next recording the
/// moment it sees a request, when a place has become free, and the others at random times.
fn messages_until_heard(per_second: u64, eager: bool, seed: u64) -> usize {
    let mut net = home::<Heap>(ASK, &Config::default());
    net.node(1).rng = Dice::new(seed + 77);
    let key = Holder::of(&mut net, 1, HOME);
    let mut dice = Dice::new(seed);
    let mut source = 1000;
    let mut record = |net: &mut Net| {
        source += 1;
        let _ = hand(net, udp(ATTACKER), &key.tell(source, 50, 1, b"old"));
    };
    for second in 0..100_u8 {
        let live = dice.below(1000);
        let others = if eager { per_second - 10 } else { per_second };
        let mut times: Vec<_> = (0..others).map(|_| dice.below(1000)).collect();
        times.sort_unstable();
        let mut times = times.into_iter().peekable();
        for milli in 0..1000 {
            while times.next_if_eq(&milli).is_some() {
                record(&mut net);
            }
            // The first seconds use up the burst.
            if second >= 3 && milli == live {
                net.multicast(0, index(1), 1, &[second - 2]);
            }
            let since = net.sent.len();
            net.run(1);
            if eager {
                let asked = net.sent[since..].iter().filter(|sent| sent.to == udp(ATTACKER));
                (0..asked.count()).for_each(|_| record(&mut net));
            }
        }
        if let Some(first) = net.heard(1).first() {
            return first[0].into();
        }
    }
    panic!("it was never heard among {per_second} a second, eager: {eager}");
}

#[test]
fn twenty_recorded_senders_a_second_delay_a_live_one_by_a_few_messages() {
    for (per_second, eager, most) in [(5, false, 6), (20, false, 60), (20, true, 60)] {
        let heard = (0..6).map(|seed| messages_until_heard(per_second, eager, seed));
        let sum: usize = heard.sum();
        assert!(sum <= most, "{per_second} a second, eager: {eager}: {sum} messages in six runs");
    }
}
