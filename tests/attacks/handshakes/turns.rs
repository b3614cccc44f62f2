//! Handshakes take turns to compute: what strangers begin without end delays others by a bounded
//! number of turns.

use core::time::Duration;

use matter_session::ids::{NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Event, Fixed, Heap, Storage};

use super::{DEVICE, HONEST, host, members, record};
use crate::net::{Fate, Net, index, udp};
use crate::raw::{ACK, PAKE1, Raw, SIGMA2, disguised, node_of};

const SLOTS: usize = 4;

type Arrays =
    Fixed<Sessions<4>, Exchanges<8>, Handshakes<SLOTS>, Fabrics<2>, Records<4>, MessageBytes<8000>>;

fn has_established<S: Storage>(net: &Net<S>, n: usize) -> bool {
    net.nodes[n].events.iter().any(|event| matches!(event, Event::Established { .. }))
}

/// A device that can compute one part for each Sigma1 of strangers, which come one after the other:
/// each of them ends its handshake, and begins another one. Returns the number of parts that the
/// device has computed when a handshake with the honest node is established.
fn turns_among_strangers<S: Storage>(device_begins: bool) -> Option<usize> {
    let mut net = members::<S>(SLOTS);
    let sigma1s = record(&mut net, 2 * SLOTS);
    net.nodes[DEVICE].computes = false;
    let (from, to, node) = match device_begins {
        true => (DEVICE, host(77), 300),
        false => (HONEST, udp(2), 200),
    };
    let peer = Peer::new(index(1), NodeId::new(node));
    net.call(from, |m, cx| m.connect_case(cx, to, peer)).unwrap();
    net.pump();
    for turns in 0..200 {
        if has_established(&net, DEVICE) && has_established(&net, HONEST) {
            return Some(turns);
        }
        let sigma1 = disguised(&sigma1s[turns % sigma1s.len()], turns as u64 + 1);
        let from = host(1000 + turns as u64);
        let _ = net.hand(DEVICE, from, &sigma1);
        net.call(DEVICE, |m, cx| m.handle_timeout(cx));
        net.pump();
        let _ = net.hand(DEVICE, from, &Raw::like(&sigma1, PAKE1, &[]).octets());
        net.now += 1;
        net.pump();
    }
    None
}

/// At most ten parts, and each other slot has a turn before each of them.
#[test]
fn handshakes_that_strangers_begin_without_end_take_no_turn_of_others() {
    for device_begins in [true, false] {
        let most = 10 * SLOTS;
        let turns = turns_among_strangers::<Heap>(device_begins);
        assert!(turns.is_some_and(|turns| turns <= most), "{turns:?}, own: {device_begins}");
        let turns = turns_among_strangers::<Arrays>(device_begins);
        assert!(turns.is_some_and(|turns| turns <= most), "{turns:?}, own: {device_begins}");
    }
}

/// Nobody is there, and a stranger answers when the last transmission is about to be given up.
#[test]
fn an_answer_that_is_refused_after_all_is_given_up_does_not_keep_the_handshake() {
    an_answer_keeps_nothing::<Heap>();
    an_answer_keeps_nothing::<Arrays>();
}

fn an_answer_keeps_nothing<S: Storage>() {
    let mut net = members::<S>(SLOTS);
    net.nodes[DEVICE].computes = false;
    let since = net.sent.len();
    let peer = Peer::new(index(1), NodeId::new(300));
    let nowhere = [host(500), host(501)];
    net.call(DEVICE, |m, cx| m.connect_case(cx, nowhere, peer)).unwrap();
    net.pump();
    let sigma1 = net.sent[since].octets.clone();
    // It is transmitted five times to each.
    while net.sent.len() < since + 10 {
        net.run(10);
    }
    let sigma2 = invented_sigma2(&sigma1);
    let due = |net: &Net<S>| net.nodes[DEVICE].manager.poll_timeout().unwrap().as_millis();
    // The first of the two is given up, the other one about to be.
    net.now = due(&net);
    net.call(DEVICE, |m, cx| m.handle_timeout(cx));
    net.pump();
    let gives_up = due(&net);
    net.now = gives_up - 1;
    net.hand(DEVICE, udp(99), &sigma2).unwrap();
    assert!(net.node(DEVICE).manager.handshakes().is_computing());
    net.now = gives_up;
    for _ in 0..10 {
        net.call(DEVICE, |m, cx| m.handle_timeout(cx));
        net.pump();
    }
    net.run(Duration::from_secs(2).as_millis() as u64);
    let failed = |event: &Event<u32>| matches!(event, Event::HandshakeFailed { .. });
    assert!(net.nodes[DEVICE].events.iter().any(failed), "it has failed");
}

/// The time limit is that of the own first message, whatever strangers answer.
#[test]
fn an_answer_that_proves_nothing_makes_no_handshake_last_longer() {
    an_answer_lengthens_nothing::<Heap>();
    an_answer_lengthens_nothing::<Arrays>();
}

fn an_answer_lengthens_nothing<S: Storage>() {
    let mut net = members::<S>(SLOTS);
    net.on_send(|_| Fate::Lost);
    let since = net.sent.len();
    let peer = Peer::new(index(1), NodeId::new(300));
    let nowhere = [host(500), host(501)];
    net.call(DEVICE, |m, cx| m.connect_case(cx, nowhere, peer)).unwrap();
    net.pump();
    let sigma1 = net.sent[since].octets.clone();
    // Nothing is transmitted there any more, and nothing given up before the time limit.
    net.hand(DEVICE, host(500), &answer(&sigma1, ACK, &[])).unwrap();
    net.run(50_000);
    for port in 90..93 {
        assert_eq!(net.node(DEVICE).manager.handshakes().len(), 1);
        net.hand(DEVICE, udp(port), &invented_sigma2(&sigma1)).unwrap();
        net.run(3_000);
    }
    net.run(1_100);
    let failed = |event: &Event<u32>| matches!(event, Event::HandshakeFailed { .. });
    assert!(net.nodes[DEVICE].events.iter().any(failed), "60 s are over");
}

/// What can be read as a Sigma2, and proves nothing.
fn invented_sigma2(sigma1: &[u8]) -> Vec<u8> {
    let key = *matter_session::crypto::spake2p::M.as_bytes();
    let mut payload = vec![0x15, 0x30, 1, 32];
    payload.extend([7; 32]);
    payload.extend([0x25, 2, 7, 7, 0x30, 3, 65]);
    payload.extend(key);
    payload.extend([0x31, 4, 44, 1]);
    payload.extend([7; 300]);
    payload.push(0x18);
    answer(sigma1, SIGMA2, &payload)
}

fn answer(sigma1: &[u8], opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![1, 0, 0, 0, 7, 7, 7, 7];
    octets.extend(node_of(sigma1).to_le_bytes());
    let reliable = if opcode == ACK { 0 } else { 4 };
    octets.extend([reliable | 2, opcode]);
    octets.extend(&sigma1[18..20]);
    octets.extend([0, 0]);
    octets.extend(&sigma1[4..8]);
    octets.extend(payload);
    octets
}
