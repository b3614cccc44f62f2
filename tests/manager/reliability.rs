//! The Message Reliability Protocol between two sessions.

use matter_session::ids::MessageType;
use matter_session::manager::{Config, SendError};
use matter_session::session::SessionParameters;

use crate::net::{Fate, IM, Net, udp};

#[test]
fn an_answer_carries_the_acknowledgement() {
    let (mut net, a, _) = Net::with_case();
    net.node(1).answers = true;
    let since = net.sent.len();
    let exchange = net.say(0, a, 2);
    net.run(150);
    assert!(net.node(0).acknowledged(exchange));
    assert_eq!(net.node(0).got[0].opcode, 3);
    assert_eq!(net.sent.len() - since, 2, "no standalone acknowledgement yet");
    net.run(1000);
    assert_eq!(net.sent.len() - since, 3, "that of the answer");
    assert_eq!(net.node(1).events.len(), 1);
    net.assert_clean();
}

#[test]
fn without_an_answer_a_standalone_acknowledgement_leaves_after_200_ms() {
    let (mut net, a, _) = Net::with_case();
    let since = net.sent.len();
    let start = net.now;
    let exchange = net.say(0, a, 2);
    net.run(1000);
    assert!(net.node(0).acknowledged(exchange));
    let sent: Vec<_> = net.sent[since..].iter().map(|d| (d.from, d.at - start)).collect();
    assert_eq!(sent, [(udp(1), 0), (udp(2), 200)]);
    assert_eq!(net.sent.last().unwrap().octets.len(), 8 + 6 + 4 + 16);
    net.assert_clean();
}

#[test]
fn one_reliable_message_at_a_time() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.say(0, a, 2);
    let again =
        net.call(0, |manager, cx| manager.send(cx, exchange, MessageType::new(IM, 4), b"x"));
    assert_eq!(again, Err(SendError::InFlight));
    net.run(1000);
    net.answer(0, exchange, 4);
    net.run(1000);
    assert_eq!(net.node(1).got.len(), 2);
    assert!(!net.node(1).got[1].first);
    net.assert_clean();
}

#[test]
fn an_unreliable_message_needs_no_acknowledgement_and_carries_one() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.say(0, a, 2);
    net.pump();
    let theirs = net.node(1).got[0].exchange;
    let mut buf = [0; 128];
    let sent = net
        .call(1, |m, cx| m.send_unreliable(cx, theirs, MessageType::new(IM, 3), b"once", &mut buf));
    let transmit = sent.unwrap();
    let datagram = transmit.datagram.to_vec();
    let since = net.sent.len();
    net.hand(0, udp(2), &datagram).unwrap();
    net.run(1000);
    assert!(net.node(0).acknowledged(exchange));
    assert_eq!(net.node(0).got[0].payload, b"once");
    assert_eq!(net.sent.len(), since);
    net.assert_clean();
}

#[test]
fn a_duplicate_is_acknowledged_again_even_when_the_exchange_is_closed() {
    let (mut net, a, _) = Net::with_case();
    let since = net.sent.len();
    let exchange = net.say(0, a, 2);
    net.run(500);
    let message = net.sent[since].octets.clone();
    let theirs = net.node(1).got[0].exchange;
    net.close_exchange(1, theirs);
    net.close_exchange(0, exchange);
    net.run(10);
    assert_eq!(net.node(1).manager.sessions().exchange_count(), 0);
    for _ in 0..40 {
        let since = net.sent.len();
        net.hand(1, udp(1), &message).unwrap();
        net.pump();
        assert_eq!(net.sent.len() - since, 1);
    }
    assert_eq!(net.node(1).got.len(), 1, "delivered once");
    assert_eq!(net.node(1).manager.sessions().exchange_count(), 0);
    net.assert_clean();
}

#[test]
fn retransmissions_repeat_the_octets_five_times_then_the_session_is_defunct() {
    let (mut net, a, b) = Net::with_case();
    net.run(60_000);
    let since = net.sent.len();
    let start = net.now;
    net.on_send(|_| Fate::Lost);
    let exchange = net.say(0, a, 2);
    net.run(60_000);
    let sent = net.sent_by(0, since);
    assert_eq!(sent.len(), 5);
    assert!(sent.iter().all(|d| d.octets == sent[0].octets));
    let at: Vec<_> = sent.iter().map(|d| d.at - start).collect();
    // The peer was not heard for long: the idle interval of 500 ms.
    let waits: Vec<_> = at.windows(2).map(|w| w[1] - w[0]).collect();
    for (wait, (min, max)) in waits.iter().zip([(550, 688), (550, 688), (880, 1101), (1408, 1762)])
    {
        assert!((min..=max).contains(wait), "{waits:?}");
    }
    assert!(net.node(0).undelivered(exchange));
    assert!(net.nodes[0].manager.session(a).unwrap().is_defunct());
    // Heard again, it is active again.
    net.on_send(|_| Fate::Arrives);
    let theirs = net.say(1, b, 2);
    net.run(1000);
    assert!(net.node(1).acknowledged(theirs));
    assert!(!net.nodes[0].manager.session(a).unwrap().is_defunct());
    net.assert_clean();
}

#[test]
fn the_base_interval_is_chosen_anew_for_each_retransmission() {
    let sleepy = SessionParameters::matter_1_6().with_intervals(4000, 1000, 1500);
    let config = Config::default().with_parameters(sleepy);
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), config)]);
    net.dial_case(0, 1, 1, 200);
    net.pump();
    let a = net.node(0).established();
    let (since, start) = (net.sent.len(), net.now);
    net.on_send(|_| Fate::Lost);
    net.say(0, a, 2);
    net.run(120_000);
    let sent = net.sent_by(0, since);
    let at: Vec<_> = sent.iter().map(|d| d.at - start).collect();
    assert_eq!(at.len(), 5);
    // Active at first; after 1.5 s without a word the peer counts as idle.
    assert!((1100..=1376).contains(&at[1]), "{at:?}");
    assert!((1100..=1376).contains(&(at[2] - at[1])), "{at:?}");
    assert!((7040..=8806).contains(&(at[3] - at[2])), "{at:?}");
    assert!((11264..=14090).contains(&(at[4] - at[3])), "{at:?}");
    net.assert_clean();
}

#[test]
fn the_boost_is_added_to_every_wait() {
    let mut config = Config::default();
    config.retransmission_boost = core::time::Duration::from_secs(3);
    let mut net = Net::with(vec![(udp(1), config), (udp(2), Config::default())]);
    net.dial_pase(0, 1, crate::net::PASSCODE);
    net.on_send(|_| Fate::Lost);
    net.run(60_000);
    let at: Vec<_> = net.sent.iter().map(|d| d.at).collect();
    assert_eq!(at.len(), 5);
    assert!(at.windows(2).all(|w| w[1] - w[0] >= 3300), "{at:?}");
}

#[test]
fn a_boost_without_end_waits_for_ever() {
    let mut config = Config::default();
    config.retransmission_boost = core::time::Duration::MAX;
    let mut net = Net::with(vec![(udp(1), config), (udp(2), Config::default())]);
    net.dial_pase(0, 1, crate::net::PASSCODE);
    net.on_send(|_| Fate::Lost);
    net.run(50_000);
    assert_eq!(net.sent.len(), 1);
}

#[test]
fn a_closing_exchange_still_delivers_what_it_has_in_flight() {
    let (mut net, a, _) = Net::with_case();
    net.lose(&[0, 1]);
    let exchange = net.say(0, a, 2);
    net.close_exchange(0, exchange);
    let closed =
        net.call(0, |manager, cx| manager.send(cx, exchange, MessageType::new(IM, 4), b"x"));
    assert_eq!(closed, Err(SendError::Closed));
    net.run(5000);
    assert_eq!(net.node(1).got.len(), 1);
    assert_eq!(net.node(0).manager.sessions().exchange_count(), 0);
    assert!(net.node(0).acknowledged(exchange));
    // Undelivered is told even of an exchange that the application has closed.
    net.on_send(|_| Fate::Lost);
    let exchange = net.say(0, a, 2);
    net.close_exchange(0, exchange);
    net.run(10_000);
    assert!(net.node(0).undelivered(exchange));
    net.assert_clean();
}
