//! Handshakes over a network that loses, repeats and reorders.

use crate::net::{Authority, Dice, Fate, Net, PASSCODE};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Pase,
    Case,
    /// With intermediate certificates.
    CaseWithIcac,
    Resumed,
}

const KINDS: [Kind; 4] = [Kind::Pase, Kind::Case, Kind::CaseWithIcac, Kind::Resumed];

/// What can become of a datagram: the last ones come behind those that follow, and behind their
/// own repetition.
const FATES: [Fate; 6] = [
    Fate::Copies(2, 0),
    Fate::Late(5000),
    Fate::Lost,
    Fate::Copies(2, 700),
    Fate::Late(5),
    Fate::Late(450),
];

fn prepared(kind: Kind) -> Net {
    let mut net = Net::pair();
    if let Kind::Pase = kind {
        net.open_window(1);
        return net;
    }
    let mut authority = Authority::new(1, matches!(kind, Kind::CaseWithIcac));
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    if let Kind::Resumed = kind {
        net.case(200);
        net.run(20_000);
    }
    net.sent.clear();
    net
}

/// The datagrams with these places in the order of sending meet with these fates.
fn befall(net: &mut Net, fates: Vec<(usize, Fate)>) {
    let mut n = 0;
    net.on_send(move |_| {
        n += 1;
        let fate = fates.iter().find(|(at, _)| *at + 1 == n);
        fate.map_or(Fate::Arrives, |(_, fate)| *fate)
    });
}

fn dial(net: &mut Net, kind: Kind) {
    match kind {
        Kind::Pase => net.dial_pase(0, 1, PASSCODE),
        _ => net.dial_case(0, 1, 1, 200),
    }
    net.run(60_000);
}

/// Both ends have the session, and it carries messages both ways.
fn assert_established(net: &mut Net, what: &str) {
    let a = net.node(0).try_established().unwrap_or_else(|| panic!("{what}: initiator"));
    let b = net.node(1).try_established().unwrap_or_else(|| panic!("{what}: responder"));
    for n in 0..2 {
        assert!(net.nodes[n].failures().is_empty(), "{what}: {:?}", net.nodes[n].failures());
    }
    net.on_send(|_| Fate::Arrives);
    for (n, session) in [(0, a), (1, b)] {
        let exchange = net.say(n, session, 2);
        net.run(1000);
        assert!(net.node(n).acknowledged(exchange), "{what}");
        assert_eq!(net.node(1 - n).got.len(), 1, "{what}");
    }
    net.assert_clean();
}

/// How many datagrams a handshake takes when nothing happens to them.
fn length(kind: Kind) -> usize {
    let mut net = prepared(kind);
    dial(&mut net, kind);
    let count = net.sent.len();
    assert_established(&mut net, "undisturbed");
    count
}

#[test]
fn any_one_datagram_of_a_handshake_may_get_lost_repeated_or_overtaken() {
    for kind in KINDS {
        let length = length(kind);
        assert!(length >= 4);
        for at in 0..length {
            for fate in FATES {
                let mut net = prepared(kind);
                befall(&mut net, vec![(at, fate)]);
                dial(&mut net, kind);
                assert_established(&mut net, &format!("{kind:?}, {fate:?} at {at}"));
            }
        }
    }
}

/// All pairs of places and of the most different fates.
fn any_two(kind: Kind) {
    let fates = &FATES[2..];
    // A repetition that a first fault has caused may be the second to suffer.
    let length = length(kind) + 1;
    for first in 0..length {
        for second in first + 1..length {
            for one in fates.iter().copied() {
                for other in fates.iter().copied() {
                    let mut net = prepared(kind);
                    befall(&mut net, vec![(first, one), (second, other)]);
                    dial(&mut net, kind);
                    let what = format!("{kind:?}, {one:?} at {first} and {other:?} at {second}");
                    assert_established(&mut net, &what);
                }
            }
        }
    }
}

#[test]
fn any_two_datagrams_of_pase_may_get_lost_repeated_or_overtaken() {
    any_two(Kind::Pase);
}

#[test]
fn any_two_datagrams_of_case_may_get_lost_repeated_or_overtaken() {
    any_two(Kind::Case);
}

#[test]
fn any_two_datagrams_of_case_with_an_intermediate_may_get_lost_repeated_or_overtaken() {
    any_two(Kind::CaseWithIcac);
}

#[test]
fn any_two_datagrams_of_a_resumption_may_get_lost_repeated_or_overtaken() {
    any_two(Kind::Resumed);
}

/// From some datagram on one direction is dead, or both.
#[test]
fn a_network_that_breaks_down_at_any_point_leaves_both_ends_clean_within_a_minute() {
    for kind in KINDS {
        for from in 0..length(kind) {
            for dead in [&[1][..], &[2], &[1, 2]] {
                let what = format!("{kind:?}, dead towards {dead:?} from {from} on");
                let mut net = prepared(kind);
                for node in &mut net.nodes {
                    node.events.clear();
                }
                let (mut n, dead) = (0, dead.to_vec());
                net.on_send(move |datagram| {
                    n += 1;
                    let towards = dead.iter().any(|port| datagram.to == crate::net::udp(*port));
                    if n > from && towards { Fate::Lost } else { Fate::Arrives }
                });
                match kind {
                    Kind::Pase => net.dial_pase(0, 1, PASSCODE),
                    _ => net.dial_case(0, 1, 1, 200),
                }
                net.run(61_000);
                for n in 0..2 {
                    assert_eq!(net.nodes[n].manager.handshakes().len(), 0, "{what}: {n}");
                }
                // The initiator knows how it ended.
                let node = &net.nodes[0];
                let ended = usize::from(node.try_established().is_some()) + node.failures().len();
                assert_eq!(ended, 1, "{what}");
                assert!(net.sent.len() <= 30, "{what}: {} datagrams", net.sent.len());
                net.on_send(|_| Fate::Arrives);
                net.assert_clean();
            }
        }
    }
}

#[test]
fn every_datagram_of_a_handshake_may_arrive_three_times() {
    for kind in KINDS {
        for apart in [0, 20, 700] {
            let mut net = prepared(kind);
            net.on_send(move |_| Fate::Copies(3, apart));
            dial(&mut net, kind);
            assert_established(&mut net, &format!("{kind:?}, copies {apart} ms apart"));
        }
    }
}

#[test]
fn datagrams_of_a_handshake_may_overtake_each_other() {
    for kind in KINDS {
        for seed in 0..20 {
            let mut net = prepared(kind);
            let mut dice = Dice::new(seed);
            net.on_send(move |_| match dice.below(4) {
                0 => Fate::Late(dice.below(900)),
                1 => Fate::Copies(2, dice.below(900)),
                _ => Fate::Arrives,
            });
            dial(&mut net, kind);
            assert_established(&mut net, &format!("{kind:?}, seed {seed}"));
        }
    }
}

#[test]
fn a_peer_that_is_not_there_ends_the_handshake() {
    for kind in KINDS {
        let mut net = prepared(kind);
        net.on_send(|_| Fate::Lost);
        dial(&mut net, kind);
        assert_eq!(net.node(0).failures().len(), 1);
        assert_eq!(net.sent.len(), 5);
        net.assert_clean();
    }
}
