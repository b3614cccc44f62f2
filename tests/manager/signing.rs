//! Operational keys that take their time.

use core::time::Duration;

use matter_session::crypto::{OperationalKey, SignError};
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::Peer;
use matter_session::manager::{Config, Event};

use crate::net::{Net, index, udp};

fn slow_keys() -> Net {
    let mut net = Net::members();
    net.node(0).signs = false;
    net.node(1).signs = false;
    net
}

/// Signs what a node was asked to.
fn sign(net: &mut Net, n: usize) -> bool {
    let request = net.node(n).requests.remove(0);
    let key: &mut dyn OperationalKey = net.node(n).keys.get_mut(&index(1)).unwrap();
    let signed = request.sign_with(key);
    net.call(n, |manager, cx| manager.complete_signature(cx, signed).is_ok())
}

#[test]
fn a_signature_may_take_half_a_minute() {
    let mut net = slow_keys();
    net.dial_case(0, 1, 1, 200);
    net.run(30_000);
    // Meanwhile the responder has acknowledged, and the initiator is quiet.
    assert_eq!(net.sent_by(0, 0).len(), 1);
    assert!(sign(&mut net, 1));
    net.run(30_000);
    assert!(sign(&mut net, 0));
    net.run(1000);
    net.node(0).established();
    net.node(1).established();
    net.assert_clean();
}

#[test]
fn a_signature_that_comes_too_late_is_ignored() {
    let mut net = slow_keys();
    net.dial_case(0, 1, 1, 200);
    net.run(70_000);
    assert_eq!(net.node(0).failures(), [HandshakeError::TimedOut]);
    assert_eq!(net.node(1).failures(), [HandshakeError::SignatureOverdue]);
    assert!(!sign(&mut net, 1));
    net.assert_clean();
}

#[test]
fn a_handshake_says_when_it_has_ended_because_its_signature_did_not_come() {
    for slow in 0..2 {
        for late in [false, true] {
            let mut net = slow_keys();
            net.node(1 - slow).signs = true;
            net.dial_case(0, 1, 1, 200);
            if late {
                // The deadline passes without a timer, and the signature comes after it.
                net.pump();
                net.now += 70_000;
                assert!(sign(&mut net, slow));
            }
            net.run(70_000);
            assert_eq!(net.node(slow).failures(), [HandshakeError::SignatureOverdue], "{slow}");
            net.assert_clean();
        }
    }
}

#[test]
fn a_node_whose_only_slot_waits_for_its_own_key_asks_others_to_come_back_soon() {
    let config = Config::default().with_handshakes(1, Duration::from_secs(5));
    let mut net = Net::members_with(vec![(udp(1), config), (udp(2), Config::default())]);
    net.node(0).signs = false;
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert_eq!(net.node(0).requests.len(), 1);
    net.dial_case(1, 0, 1, 100);
    net.run(1000);
    let wait = Duration::from_secs(5);
    assert_eq!(net.node(1).failures(), [HandshakeError::Refused(Refusal::Busy { wait })]);
    // The key was slow, not lost.
    assert!(sign(&mut net, 0));
    net.run(1000);
    net.node(0).established();
}

#[test]
fn a_key_that_fails_ends_its_handshake_alone() {
    let mut net = slow_keys();
    net.dial_case(0, 1, 1, 200);
    net.dial_case(0, 1, 1, 200);
    net.run(500);
    let request = net.node(1).requests.remove(0);
    let failed = request.complete(Err(SignError));
    assert!(net.call(1, |manager, cx| manager.complete_signature(cx, failed).is_ok()));
    assert!(sign(&mut net, 1));
    net.run(500);
    assert!(sign(&mut net, 0));
    net.run(500);
    assert!(matches!(net.node(1).failures()[..], [HandshakeError::Sign(_)]));
    let refused = HandshakeError::Refused(Refusal::InvalidParameter);
    assert_eq!(net.node(0).failures(), [refused]);
    net.node(0).established();
    net.node(1).established();
    net.assert_clean();
}

#[test]
fn signatures_go_to_the_handshake_that_asked() {
    let mut net = slow_keys();
    for _ in 0..3 {
        net.dial_case(0, 1, 1, 200);
    }
    net.run(500);
    net.node(1).requests.reverse();
    for _ in 0..3 {
        assert!(sign(&mut net, 1));
    }
    net.run(500);
    net.node(0).requests.reverse();
    for _ in 0..3 {
        assert!(sign(&mut net, 0));
    }
    net.run(500);
    assert_eq!(net.node(0).manager.sessions().len(), 3);
    assert_eq!(net.node(1).manager.sessions().len(), 3);
    net.assert_clean();
}

#[test]
fn a_cancelled_handshake_makes_no_session_and_no_event() {
    let mut net = slow_keys();
    let (to, fabric) = (net.nodes[1].address, index(1));
    let peer = matter_session::ids::NodeId::new(200);
    let handshake = net.call(0, |m, cx| m.connect_case(cx, to, Peer::new(fabric, peer))).unwrap();
    net.run(500);
    assert!(net.node(0).manager.handshakes().cancel(handshake));
    assert!(!net.node(0).manager.handshakes().cancel(handshake));
    assert!(sign(&mut net, 1));
    net.run(60_000);
    assert!(net.node(0).events.is_empty());
    let refused = HandshakeError::Refused(Refusal::InvalidParameter);
    assert_eq!(net.node(1).failures(), [refused]);
    assert!(!net.nodes[1].events.iter().any(|e| matches!(e, Event::Established { .. })));
    net.assert_clean();
}
