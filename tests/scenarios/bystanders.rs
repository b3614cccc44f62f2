//! Strangers that talk into a running handshake.

use matter_session::manager::{Config, Event, WindowCloseReason};

use crate::net::{Authority, Fate, Net, PASSCODE, udp};
use crate::raw::{PAKE1, PAKE3, PBKDF_REQUEST, REPORT, Raw, SIGMA1, SIGMA3};

/// How long a datagram takes, in milliseconds.
const TRIP: u64 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pase,
    Case,
    Resumed,
}

fn prepared(kind: Kind) -> Net {
    let nodes = [udp(1), udp(2)].map(|address| (address, Config::default()));
    let mut net = Net::with(nodes.into());
    if kind == Kind::Pase {
        net.open_window(1);
        // One more failure closes the window.
        for _ in 0..19 {
            net.dial_pase(0, 1, PASSCODE + 1);
            net.run(15_000);
        }
    } else {
        let mut authority = Authority::new(1, true);
        authority.join(&mut net, 0, 100);
        authority.join(&mut net, 1, 200);
    }
    if kind == Kind::Resumed {
        net.case(200);
        net.settle();
    }
    for node in &mut net.nodes {
        node.events.clear();
    }
    net.on_send(|_| Fate::Late(TRIP));
    net
}

/// What a stranger sends, given the first datagram of the handshake: from its own address or from
/// that of the initiator, but never as the initiator's node on the initiator's exchange.
fn intrusions(first: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut datagrams = Vec::new();
    for opcode in [SIGMA1, SIGMA3, PBKDF_REQUEST, PAKE1, PAKE3, REPORT, 0x10, 0xFF] {
        for payload in [&[][..], &[0], &[0x15, 0x18]] {
            let same = Raw::like(first, opcode, payload);
            let other_exchange = Raw { exchange: same.exchange ^ 1, ..same.clone() };
            let other_node = Raw { node: same.node ^ 1, ..same.clone() };
            let neither = Raw { exchange: same.exchange ^ 1, ..other_node.clone() };
            datagrams.extend([
                (9, same.octets()),
                (9, neither.octets()),
                (1, other_exchange.octets()),
                (1, other_node.octets()),
                (1, neither.octets()),
            ]);
        }
    }
    datagrams
}

#[test]
fn one_octet_of_a_stranger_disturbs_no_handshake_at_any_step() {
    for kind in [Kind::Pase, Kind::Case, Kind::Resumed] {
        let mut net = prepared(kind);
        let since = net.sent.len();
        match kind {
            Kind::Pase => net.dial_pase(0, 1, PASSCODE),
            Kind::Case | Kind::Resumed => net.dial_case(0, 1, 1, 200),
        }
        net.pump();
        let intrusions = intrusions(&net.sent[since].octets.clone());
        let mut steps = 0;
        // Whatever is on its way has left; the device has not seen it yet.
        while net.node(0).try_established().is_none() || net.node(1).try_established().is_none() {
            assert!(steps < 100, "{kind:?}");
            for (from, octets) in &intrusions {
                let _ = net.hand(1, udp(*from), octets);
                // As an answer of somebody else, too.
                let _ = net.hand(0, udp(9), octets);
            }
            net.run(TRIP);
            steps += 1;
        }
        assert!(steps >= 3, "{kind:?}");
        let failed =
            |event: &Event<u32>| matches!(event, Event::HandshakeFailed { handshake: Some(_), .. });
        assert!(!net.nodes[0].events.iter().any(failed), "{kind:?}");
        let resumed = net.nodes[1]
            .events
            .iter()
            .any(|event| matches!(event, Event::Established { resumed: true, .. }));
        assert_eq!(resumed, kind == Kind::Resumed);
        if kind == Kind::Pase {
            let node = &mut net.nodes[1].manager;
            assert!(node.window().is_open(), "no attempt was counted");
            // And none forgotten.
            let session = net.nodes[1].established();
            net.call(1, |manager, cx| manager.close_session(cx, session));
            net.run(1000);
            net.dial_pase(0, 1, PASSCODE + 1);
            net.run(1000);
            let reason = WindowCloseReason::TooManyFailures;
            let closed =
                |e: &Event<u32>| matches!(e, Event::WindowClosed { reason: r, .. } if *r == reason);
            assert!(net.nodes[1].events.iter().any(closed));
        }
        net.run(100_000);
        net.assert_clean();
    }
}

/// A forged first message of the very same node: only one that can be read counts.
#[test]
fn a_first_message_that_cannot_be_read_ends_no_handshake_of_the_same_node() {
    for kind in [Kind::Pase, Kind::Case] {
        for payload in [&[][..], &[0x15], &[0x15, 0x18], &[0xFF; 100]] {
            let mut net = prepared(kind);
            let since = net.sent.len();
            let opcode = match kind {
                Kind::Pase => {
                    net.dial_pase(0, 1, PASSCODE);
                    PBKDF_REQUEST
                }
                Kind::Case | Kind::Resumed => {
                    net.dial_case(0, 1, 1, 200);
                    SIGMA1
                }
            };
            net.run(TRIP);
            assert_eq!(net.nodes[1].manager.handshakes().len(), 1);
            let first = net.sent[since].octets.clone();
            let same = Raw::like(&first, opcode, payload);
            let forged = Raw { exchange: same.exchange ^ 1, ..same };
            net.hand(1, udp(1), &forged.octets()).unwrap();
            assert_eq!(net.nodes[1].manager.handshakes().len(), 1, "{kind:?} {payload:?}");
            net.run(2000);
            assert!(net.node(0).try_established().is_some(), "{kind:?} {payload:?}");
            net.assert_clean();
        }
    }
}
