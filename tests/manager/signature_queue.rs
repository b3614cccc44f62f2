//! The queue of signature requests that `guide::firmware` shows and the firmware uses.

use matter_session::crypto::{OperationalKey, SignError, Signature};
use matter_session::handshake::{HandshakeError, SignRequest, Signed};
use matter_session::manager::Config;
use matter_session_testing::net::Authority;

use crate::net::{Net, index, udp};

include!("../../src/guide/signatures.rs");

const DEVICE: usize = 0;

/// Two peers dial a device whose secure element is slow.
fn two_handshakes(queue: &mut Signatures<2>) -> Net {
    let mut net = Net::with((1..=3).map(|n| (udp(n), Config::default())).collect());
    let mut authority = Authority::new(1, false);
    for (n, id) in [(DEVICE, 100), (1, 200), (2, 300)] {
        authority.join(&mut net, n, id);
    }
    net.node(DEVICE).signs = false;
    for peer in 1..3 {
        net.dial_case(peer, DEVICE, 1, 100);
        net.run(10);
    }
    take_requests(&mut net, queue);
    net
}

fn take_requests(net: &mut Net, queue: &mut Signatures<2>) {
    for request in core::mem::take(&mut net.node(DEVICE).requests) {
        queue.push(request, |request| is_awaited(net, request));
    }
}

fn is_awaited(net: &mut Net, request: &SignRequest) -> bool {
    net.node(DEVICE).manager.handshakes().is_awaited(request)
}

/// Gives the element its next digest. Returns the number, and what it will answer.
fn begin(net: &mut Net, queue: &mut Signatures<2>) -> Option<(Number, Signature)> {
    let (number, digest) = {
        let (number, request) = queue.next(|request| is_awaited(net, request))?;
        (number, *request.digest())
    };
    let key: &mut dyn OperationalKey = net.node(DEVICE).keys.get_mut(&index(1)).unwrap();
    Some((number, key.sign_digest(&digest).unwrap()))
}

/// Returns whether a handshake took the answer.
fn answer(net: &mut Net, signed: Option<Signed>) -> bool {
    signed.is_some_and(|signed| {
        net.call(DEVICE, |manager, cx| manager.complete_signature(cx, signed).is_ok())
    })
}

#[test]
fn the_element_gets_one_digest_at_a_time_the_oldest_first() {
    let mut queue = Signatures::default();
    let mut net = two_handshakes(&mut queue);
    let (first, signature) = begin(&mut net, &mut queue).unwrap();
    assert_eq!(begin(&mut net, &mut queue), None, "it is busy");
    let signed = queue.complete(first, Some(signature));
    assert!(answer(&mut net, signed));
    net.run(1000);
    net.node(1).established();
    let (second, signature) = begin(&mut net, &mut queue).unwrap();
    assert_ne!(first, second);
    assert!(queue.complete(first, Some(signature)).is_none(), "an answer counts once");
    assert_eq!(begin(&mut net, &mut queue), None, "that was not its answer");
    let signed = queue.complete(second, Some(signature));
    assert!(answer(&mut net, signed));
    net.run(1000);
    net.node(2).established();
    assert_eq!(begin(&mut net, &mut queue), None);
}

#[test]
fn an_answer_to_a_request_that_is_gone_completes_no_other() {
    let mut queue = Signatures::default();
    let mut net = two_handshakes(&mut queue);
    let (dead, signature) = begin(&mut net, &mut queue).unwrap();
    // Both handshakes end, and their peers dial again.
    net.run(70_000);
    for peer in 1..3 {
        assert!(!net.node(peer).failures().is_empty());
        net.dial_case(peer, DEVICE, 1, 100);
        net.run(10);
    }
    // There is room for both, although the element has not answered.
    take_requests(&mut net, &mut queue);
    assert_eq!(queue.requests.iter().flatten().count(), 2);
    assert_eq!(begin(&mut net, &mut queue), None, "the element still works on the old one");
    assert!(queue.complete(dead, Some(signature)).is_none());
    for peer in 1..3 {
        let (number, signature) = begin(&mut net, &mut queue).unwrap();
        let signed = queue.complete(number, Some(signature));
        assert!(answer(&mut net, signed));
        net.run(1000);
        net.node(peer).established();
    }
}

#[test]
fn an_element_that_fails_ends_one_handshake_and_gets_the_next_digest() {
    let mut queue = Signatures::default();
    let mut net = two_handshakes(&mut queue);
    let (number, _) = begin(&mut net, &mut queue).unwrap();
    let signed = queue.complete(number, None);
    assert!(answer(&mut net, signed));
    net.run(1000);
    assert_eq!(net.node(DEVICE).failures(), [HandshakeError::Sign(SignError)]);
    let (number, signature) = begin(&mut net, &mut queue).unwrap();
    let signed = queue.complete(number, Some(signature));
    assert!(answer(&mut net, signed));
    net.run(1000);
    net.node(2).established();
}

#[test]
fn numbers_wrap_and_the_oldest_request_is_still_first() {
    let mut queue = Signatures { last: Number::MAX - 1, ..Default::default() };
    let mut net = two_handshakes(&mut queue);
    let (first, signature) = begin(&mut net, &mut queue).unwrap();
    assert_eq!(first, Number::MAX);
    assert!(queue.complete(first, Some(signature)).is_some());
    assert_eq!(begin(&mut net, &mut queue).unwrap().0, 0);
}
