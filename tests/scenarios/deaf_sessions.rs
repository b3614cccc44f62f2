//! Resumed sessions that nobody hears: the peer has other keys, by a defect of its own.

use matter_session::ids::{NodeId, Peer};
use matter_session::manager::Event;

use crate::net::{Fate, Net, index};

fn peer() -> Peer {
    Peer::new(index(1), NodeId::new(200))
}

/// Two nodes, of which the second was resumed with.
fn resumed() -> Net {
    let (mut net, ..) = Net::with_case();
    net.case(200);
    net
}

fn was_resumed(net: &Net) -> bool {
    let resumed = |event: &Event<u32>| match event {
        Event::Established { resumed, .. } => Some(*resumed),
        _ => None,
    };
    net.nodes[0].events.iter().rev().find_map(resumed).unwrap()
}

fn connect_again(net: &mut Net) -> bool {
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    was_resumed(net)
}

#[test]
fn the_record_of_a_resumed_session_on_which_the_peer_is_never_heard_is_forgotten() {
    let mut net = resumed();
    let session = net.nodes[0].manager.session_with(peer()).unwrap();
    // All datagrams of sessions are lost, as if they could not be opened there.
    net.on_send(|d| if d.handshake_opcode().is_some() { Fate::Arrives } else { Fate::Lost });
    let exchange = net.say(0, session, 2);
    net.run(20_000);
    assert!(net.node(0).undelivered(exchange));
    assert!(net.node(0).manager.dangerous_record(peer()).is_none());
    let changed =
        |e: &Event<u32>| matches!(e, Event::RecordChanged { peer: p, .. } if *p == peer());
    assert!(net.node(0).events.iter().any(changed), "the application is told");
    assert!(!connect_again(&mut net), "the next handshake is a full one");
    assert!(connect_again(&mut net), "and the one after it resumes");
}

#[test]
fn a_session_on_which_the_peer_was_heard_once_keeps_its_record() {
    let mut net = resumed();
    let session = net.nodes[0].manager.session_with(peer()).unwrap();
    net.say(0, session, 2);
    net.run(1000);
    net.on_send(|_| Fate::Lost);
    let exchange = net.say(0, session, 2);
    net.run(20_000);
    assert!(net.node(0).undelivered(exchange));
    net.on_send(|_| Fate::Arrives);
    assert!(connect_again(&mut net));
}

#[test]
fn a_session_of_a_full_handshake_keeps_its_record() {
    let (mut net, session, _) = Net::with_case();
    net.on_send(|_| Fate::Lost);
    net.say(0, session, 2);
    net.run(20_000);
    net.on_send(|_| Fate::Arrives);
    assert!(connect_again(&mut net));
}

/// The record of a later handshake is another one.
#[test]
fn a_session_that_is_given_up_costs_no_later_record() {
    let mut net = resumed();
    let session = net.nodes[0].manager.session_with(peer()).unwrap();
    net.on_send(|d| if d.handshake_opcode().is_some() { Fate::Arrives } else { Fate::Lost });
    net.say(0, session, 2);
    net.run(500);
    assert!(connect_again(&mut net));
    net.run(20_000);
    assert!(net.nodes[0].manager.session(session).unwrap().is_defunct());
    assert!(connect_again(&mut net));
}
