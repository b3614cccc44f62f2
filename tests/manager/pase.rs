//! PASE: the commissioning window and who gets through it.

use core::time::Duration;

use matter_session::crypto::Passcode;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::manager::{Config, Event, WindowCloseReason, WindowError};
use matter_session::session::SessionKind;

use crate::net::{Fate, Net, PASSCODE, udp, window};

#[test]
fn pase_makes_a_session_and_messages_pass() {
    let mut net = Net::pair();
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.settle();
    let (a, b) = (net.node(0).established(), net.node(1).established());
    let challenge = |net: &Net, n: usize, s| {
        let session = net.nodes[n].manager.session(s).unwrap();
        assert_eq!(session.session().kind(), SessionKind::Pase);
        *session.session().attestation_challenge()
    };
    assert_eq!(challenge(&net, 0, a), challenge(&net, 1, b));
    assert_eq!(net.node(0).manager.sessions().pase(), Some(a));
    let exchange = net.say(0, a, 2);
    net.settle();
    assert!(net.node(0).acknowledged(exchange));
    assert_eq!(net.node(1).got.len(), 1);
    assert!(net.node(1).got[0].first);
    net.close_exchange(0, exchange);
    let theirs = net.node(1).got[0].exchange;
    net.close_exchange(1, theirs);
    net.assert_clean();
}

#[test]
fn no_pase_is_served_while_a_pase_session_lives_even_in_a_new_window() {
    let mut net = Net::pair();
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.settle();
    let session = net.node(1).established();
    net.node(1).manager.window().close();
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.settle();
    assert!(matches!(net.node(0).failures()[..], [HandshakeError::Refused(Refusal::Busy { .. })]));
    net.call(1, |manager, cx| manager.close_session(cx, session));
    net.dial_pase(0, 1, PASSCODE);
    net.settle();
    assert_ne!(net.node(1).established(), session);
}

#[test]
fn the_window_closes_by_itself_and_tells_the_peer_being_served() {
    let mut net = Net::pair();
    let timed = window().with_duration(Duration::from_secs(180));
    net.call(1, |m, cx| m.window().open(cx, timed)).unwrap();
    let again = net.call(1, |m, cx| m.window().open(cx, window()));
    assert_eq!(again, Err(WindowError::Open));
    net.run(179_900);
    net.on_send(|datagram| match datagram.handshake_opcode() {
        Some(0x22) => Fate::Lost,
        _ => Fate::Arrives,
    });
    net.dial_pase(0, 1, PASSCODE);
    net.run(99);
    assert!(net.node(1).manager.window().is_open());
    net.run(1);
    assert!(matches!(
        net.node(1).events[..],
        [Event::WindowClosed { reason: WindowCloseReason::Expired, .. }]
    ));
    let refused = HandshakeError::Refused(Refusal::InvalidParameter);
    assert_eq!(net.node(0).failures(), [refused]);
    net.assert_clean();
}

#[test]
fn an_initiator_that_begins_again_as_the_same_node_is_not_locked_out() {
    let mut net = Net::pair();
    net.open_window(1);
    net.on_send(|datagram| if datagram.to == udp(1) { Fate::Lost } else { Fate::Arrives });
    net.dial_pase(0, 1, PASSCODE);
    net.pump();
    let request = net.sent[0].octets.clone();
    assert_eq!(net.node(1).manager.handshakes().len(), 1);
    net.run(1000);
    // The same ephemeral node id, the next counter, another exchange.
    let mut again = request.clone();
    again[4] = again[4].wrapping_add(1);
    again[18] ^= 0x55;
    assert_eq!(net.hand(1, udp(1), &again), Ok(()));
    net.pump();
    assert_eq!(net.node(1).manager.handshakes().len(), 1);
    assert_eq!(net.node(1).failures(), [HandshakeError::Superseded]);
    let answer = net.sent.last().unwrap();
    assert_eq!(answer.handshake_opcode(), Some(0x21));
    assert_eq!(answer.octets[18], again[18], "on the new exchange");
    // A late copy of the first request does not begin it a third time.
    assert_eq!(net.hand(1, udp(1), &request), Ok(()));
    net.pump();
    let ack = net.sent.last().unwrap();
    assert_eq!(ack.handshake_opcode(), Some(0x10));
    assert_eq!(net.node(1).manager.handshakes().len(), 1);
    net.assert_clean();
}

#[test]
fn a_full_node_can_be_commissioned() {
    let config = Config::default().with_sessions(1).with_exchanges(8).with_less_than_specified();
    let mut net = Net::with(vec![(udp(1), Config::default()), (udp(2), config)]);
    let mut authority = crate::net::Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    net.case(200);
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.settle();
    let pase = net.node(1).established();
    assert_eq!(net.node(1).manager.sessions().len(), 2);
    // The next CASE session takes the place of the former, not of commissioning.
    let (_, case) = net.case(200);
    assert_eq!(net.node(1).manager.sessions().len(), 2);
    assert!(net.node(1).manager.session(pase).is_some());
    assert!(net.node(1).manager.session(case).is_some());
    let exchange = net.say(0, net.nodes[0].manager.sessions().pase().unwrap(), 2);
    net.settle();
    assert!(net.node(0).acknowledged(exchange));
}

#[test]
fn a_window_is_open_for_three_to_fifteen_minutes_unless_told_otherwise() {
    for (seconds, usual) in [(0, false), (179, false), (180, true), (900, true), (901, false)] {
        let mut net = Net::pair();
        let duration = Duration::from_secs(seconds);
        let opened = net.call(1, |m, cx| m.window().open(cx, window().with_duration(duration)));
        assert_eq!(opened, if usual { Ok(()) } else { Err(WindowError::Duration) }, "{seconds}");
        assert_eq!(net.node(1).manager.window().is_open(), usual);
        net.node(1).manager.window().close();
        let passcode = Passcode::new(PASSCODE).unwrap();
        let opened = net.call(1, |m, cx| m.window().open_for(cx, &passcode, Some(duration)));
        assert_eq!(opened.is_ok(), usual, "{seconds}");
        net.node(1).manager.window().close();
        let any = window().with_any_duration(duration);
        assert_eq!(net.call(1, |m, cx| m.window().open(cx, any)), Ok(()), "{seconds}");
        net.run(seconds * 1000);
        assert!(!net.node(1).manager.window().is_open());
    }
}

#[test]
fn a_request_at_a_closed_window_is_counted() {
    let mut net = Net::pair();
    for n in 1..=3 {
        net.dial_pase(0, 1, PASSCODE);
        net.run(1000);
        let statistics = net.node(1).manager.statistics();
        assert_eq!((statistics.window_closed, statistics.busy), (n, 0));
    }
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.run(1000);
    assert_eq!(net.node(1).manager.statistics().window_closed, 3);
}
