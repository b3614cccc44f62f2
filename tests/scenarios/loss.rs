//! Handshakes over a network that loses, repeats and reorders.

use crate::net::{Authority, Dice, Fate, Net, PASSCODE};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Pase,
    Case,
    Resumed,
}

const KINDS: [Kind; 3] = [Kind::Pase, Kind::Case, Kind::Resumed];

fn prepared(kind: Kind) -> Net {
    let mut net = Net::pair();
    if let Kind::Pase = kind {
        net.open_window(1);
        return net;
    }
    let mut authority = Authority::new(1, true);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    if let Kind::Resumed = kind {
        net.case(200);
        net.run(20_000);
    }
    net.sent.clear();
    net
}

fn dial(net: &mut Net, kind: Kind) {
    match kind {
        Kind::Pase => net.dial_pase(0, 1, PASSCODE),
        Kind::Case | Kind::Resumed => net.dial_case(0, 1, 1, 200),
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

#[test]
fn any_one_datagram_of_a_handshake_may_get_lost() {
    for kind in KINDS {
        let mut net = prepared(kind);
        dial(&mut net, kind);
        let count = net.sent.len();
        assert_established(&mut net, "undisturbed");
        for lost in 0..count {
            let mut net = prepared(kind);
            net.lose(&[lost]);
            dial(&mut net, kind);
            assert_established(&mut net, &format!("{kind:?} without {lost}"));
        }
    }
}

#[test]
fn any_two_datagrams_in_a_row_may_get_lost() {
    for kind in KINDS {
        for lost in 0..6 {
            let mut net = prepared(kind);
            net.lose(&[lost, lost + 1]);
            dial(&mut net, kind);
            assert_established(&mut net, &format!("{kind:?} without {lost} and the next"));
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
