//! What the protocol leaves open: a node that speaks to itself.

use matter_session::crypto::{Hashing, Passcode, Secret};
use matter_session::fabric::GroupKey;
use matter_session::ids::NodeId;
use matter_session::manager::{Config, Dropped, Event, Heap};
use matter_session_testing::BACKEND;

use super::{DEVICE, SENDER};
use crate::net::{Authority, Fate, Net, PASSCODE, index, udp};
use crate::raw::{REPORT, Raw, SIGMA2_RESUME, parts};

#[test]
fn a_node_that_connects_to_its_own_window_gets_a_session_with_itself() {
    let mut net = Net::<Heap>::stored(vec![(udp(1), Config::default())]);
    net.open_window(0);
    let passcode = Passcode::new(PASSCODE).unwrap();
    net.call(0, |m, cx| m.connect_pase(cx, udp(1), passcode)).unwrap();
    net.run(1000);
    let begun = net.nodes[0].events.iter().filter_map(|event| match event {
        Event::Established { handshake, .. } => Some(handshake.is_some()),
        _ => None,
    });
    let mut begun: Vec<_> = begun.collect();
    begun.sort_unstable();
    assert_eq!(begun, [false, true], "both ends");
    assert!(net.nodes[0].failures().is_empty());
}

/// Members of one fabric that have a record, and the Sigma1 with which the sender offers it.
fn offered() -> (Net, Vec<u8>) {
    let mut net = Net::<Heap>::stored([1, 2].map(|n| (udp(n), Config::default())).to_vec());
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, SENDER, 100);
    authority.join(&mut net, DEVICE, 200);
    net.case(200);
    net.settle();
    net.on_send(|_| Fate::Lost);
    let since = net.sent.len();
    net.dial_case(SENDER, DEVICE, 1, 200);
    net.pump();
    let sigma1 = net.sent[since].octets.clone();
    net.run(70_000);
    net.node(SENDER).events.clear();
    (net, sigma1)
}

/// The same Sigma1, addressed to another node: a member knows the key that this takes.
fn readdressed(net: &Net, sigma1: &[u8], to: u64) -> Vec<u8> {
    let fabric = net.nodes[SENDER].manager.fabrics().get(index(1)).unwrap();
    let member = Authority::new(1, false).admit(300);
    let ipk: &GroupKey = &member.credentials().ipks[0];
    let ipk: Secret<16> = ipk.operational(&BACKEND, fabric.compressed_id()).unwrap();
    let (_, payload) = parts(sigma1).unwrap();
    let random: [u8; 32] = payload[4..36].try_into().unwrap();
    let root = fabric.root_public_key();
    let id = |node: u64| {
        let parts: [&[u8]; 4] =
            [&random, root.as_bytes(), &fabric.id().get().to_le_bytes(), &node.to_le_bytes()];
        BACKEND.hmac(ipk.as_bytes(), &parts).unwrap()
    };
    let at = sigma1.windows(32).position(|window| window == id(200)).expect("the destination");
    let mut octets = sigma1.to_vec();
    octets[at..at + 32].copy_from_slice(&id(to));
    octets
}

#[test]
fn the_own_sigma1_sent_back_costs_the_record_and_makes_a_session_that_nobody_can_use() {
    let (mut net, sigma1) = offered();
    let me = readdressed(&net, &sigma1, 100);
    let since = net.sent.len();
    net.hand(SENDER, udp(66), &me).unwrap();
    net.pump();
    let answer = net.sent_by(SENDER, since)[0].clone();
    assert_eq!((answer.to, answer.handshake_opcode()), (udp(66), Some(SIGMA2_RESUME)));
    let counter_of = |octets: &[u8]| u32::from_le_bytes(octets[4..8].try_into().unwrap());
    let (counter, acked) = (counter_of(&me).wrapping_add(1), counter_of(&answer.octets));
    let report = Raw { counter, ack: Some(acked), ..Raw::like(&me, REPORT, &[0; 8]) };
    net.hand(SENDER, udp(66), &report.octets()).unwrap();
    net.pump();
    let session = net.node(SENDER).established();
    let peer = net.nodes[SENDER].manager.session(session).unwrap().session().identity().peer_node();
    assert_eq!(peer, NodeId::new(200), "it seems to be the peer");
    // What the attacker has recorded is of other keys, and what it invents is no message.
    let mut invented = vec![0; 60];
    invented[1..3].copy_from_slice(&session.local_session_id().get().to_le_bytes());
    let refused = net.hand(SENDER, udp(66), &invented);
    assert!(matches!(refused, Err(Dropped::Decode(_))), "{refused:?}");
    assert!(net.nodes[SENDER].got.is_empty());
    // The next handshake with the peer is a full one.
    net.on_send(|_| Fate::Arrives);
    net.node(SENDER).events.clear();
    net.dial_case(SENDER, DEVICE, 1, 200);
    net.run(2000);
    let resumed = net.nodes[SENDER].events.iter().find_map(|event| match event {
        Event::Established { resumed, .. } => Some(*resumed),
        _ => None,
    });
    assert_eq!(resumed, Some(false));
}
