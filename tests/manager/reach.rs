//! Where a peer is, whether it answers, how long it is waited for, and which session takes a long
//! message.

use core::time::Duration;

use matter_session::ids::{MessageType, NodeId, Peer, ProtocolId, VendorId};
use matter_session::manager::{
    Config, Event, ExchangeHandle, MoveError, PeerAddress, SendError, SessionHandle,
};
use matter_session::session::{SessionParameters, Transports};

use crate::net::{Fate, IM, Net, index, udp};

/// For which exchanges a node was told that its peer is silent.
fn silent(net: &Net, n: usize) -> Vec<(SessionHandle, ExchangeHandle)> {
    let silent = |event: &Event<u32>| match event {
        Event::PeerSilent { session, exchange, .. } => Some((*session, *exchange)),
        _ => None,
    };
    net.nodes[n].events.iter().filter_map(silent).collect()
}

fn move_session(net: &mut Net, session: SessionHandle, to: PeerAddress) -> Result<(), MoveError> {
    net.node(0).manager.sessions_mut().move_session(session, to)
}

fn peer_of_0() -> Peer {
    Peer::new(index(1), NodeId::new(200))
}

#[test]
fn a_message_that_is_not_acknowledged_in_time_is_told_once() {
    let (mut net, a, _) = Net::with_case();
    net.run(10_000);
    let since = net.cut();
    let begin = net.now;
    let exchange = net.say(0, a, 2);
    // The wait of an idle peer: 500 ms and a tenth, and up to a quarter of jitter.
    net.run(549);
    assert!(silent(&net, 0).is_empty());
    net.run(141);
    assert_eq!(silent(&net, 0), [(a, exchange)]);
    assert_eq!(net.sent_by(0, since).len(), 2);
    assert!((549..=690).contains(&(net.sent_by(0, since)[1].at - begin)));
    net.run(60_000);
    assert_eq!(silent(&net, 0), [(a, exchange)], "not for its other transmissions");
    assert!(net.node(0).undelivered(exchange));
    // A second message is another one.
    net.answer(0, exchange, 4);
    net.run(700);
    assert_eq!(silent(&net, 0), [(a, exchange); 2]);
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
}

#[test]
fn messages_of_many_exchanges_are_each_told_once() {
    let (mut net, a, _) = Net::with_case();
    net.cut();
    let mut said: Vec<_> = (0..5).map(|_| net.say(0, a, 2)).collect();
    net.run(60_000);
    let mut told: Vec<_> = silent(&net, 0).into_iter().map(|(_, exchange)| exchange).collect();
    said.sort();
    told.sort();
    assert_eq!(told, said);
}

#[test]
fn a_message_that_was_acknowledged_before_the_application_asks_is_not_told() {
    let (mut net, a, _) = Net::with_case();
    net.node(0).polls = false;
    net.lose(&[0]);
    let exchange = net.say(0, a, 2);
    net.run(5_000);
    net.node(0).polls = true;
    net.run(1);
    assert!(net.node(0).acknowledged(exchange));
    assert!(silent(&net, 0).is_empty());
    net.assert_clean();
}

#[test]
fn the_application_moves_a_silent_session_to_a_discovered_address() {
    let (mut net, a, b) = Net::with_case();
    net.nodes[1].address = udp(20);
    let since = net.sent.len();
    let exchange = net.say(0, a, 2);
    // An active peer: 300 ms and a tenth, and up to a quarter of jitter.
    net.run(430);
    assert_eq!(silent(&net, 0), [(a, exchange)]);
    assert_eq!(move_session(&mut net, a, udp(20)), Ok(()));
    assert_eq!(net.nodes[0].manager.session(a).unwrap().peer_address(), udp(20));
    net.run(2_000);
    assert!(net.node(0).acknowledged(exchange));
    let to: Vec<_> = net.sent_by(0, since).iter().map(|sent| sent.to).collect();
    assert_eq!(to[..2], [udp(2), udp(2)]);
    assert!(to[2..].iter().all(|to| *to == udp(20)));
    assert!(net.nodes[1].manager.session(b).is_some());
    net.assert_clean();
}

#[test]
fn authentic_messages_have_the_last_word_about_an_address() {
    let (mut net, a, b) = Net::with_case();
    net.say(1, b, 2);
    net.pump();
    let old = net.sent.last().unwrap().octets.clone();
    assert_eq!(move_session(&mut net, a, udp(9)), Ok(()));
    let at = |net: &Net| net.nodes[0].manager.session(a).unwrap().peer_address();
    // Neither a copy nor an altered message moves it back.
    net.hand(0, udp(2), &old).unwrap();
    let mut altered = old.clone();
    *altered.last_mut().unwrap() ^= 1;
    net.hand(0, udp(2), &altered).unwrap_err();
    assert_eq!(at(&net), udp(9));
    net.say(1, b, 4);
    net.pump();
    assert_eq!(at(&net), udp(2));
    net.run(1_000);
    net.assert_clean();
}

#[test]
fn a_session_does_not_move_to_another_transport_or_connection() {
    let (mut net, a, _) = Net::with_case();
    for elsewhere in [PeerAddress::Tcp(1), PeerAddress::Link(1)] {
        assert_eq!(move_session(&mut net, a, elsewhere), Err(MoveError::OtherTransport));
    }
    assert_eq!(net.nodes[0].manager.session(a).unwrap().peer_address(), udp(2));
    net.call(0, |m, cx| m.close_session(cx, a));
    assert_eq!(move_session(&mut net, a, udp(3)), Err(MoveError::Closed));

    let [one, other] = [1, 2].map(|n| (PeerAddress::Tcp(n), Config::default()));
    let mut net = Net::members_with(vec![one, other]);
    let (a, _) = net.case(200);
    for elsewhere in [PeerAddress::Tcp(3), PeerAddress::Link(2), udp(2)] {
        assert_eq!(move_session(&mut net, a, elsewhere), Err(MoveError::OtherTransport));
    }
    assert_eq!(move_session(&mut net, a, PeerAddress::Tcp(2)), Ok(()), "it is there");
    net.call(0, |m, cx| m.connections().handle_disconnect(cx, PeerAddress::Tcp(2)));
    assert!(net.nodes[0].manager.session(a).is_none());
}

#[test]
fn a_session_of_a_slow_network_waits_longer_and_others_do_not() {
    let config = Config::default().with_retransmission_boost(Duration::from_millis(100));
    let mut net = Net::members_with(vec![(udp(1), config), (udp(2), Config::default())]);
    let (slow, _) = net.case(200);
    let (fast, _) = net.case(200);
    let boost = |net: &mut Net, session, millis| {
        let boost = Duration::from_millis(millis);
        net.node(0).manager.sessions_mut().set_retransmission_boost(session, boost);
    };
    boost(&mut net, slow, 1_500);
    net.run(10_000);
    for (session, added) in [(slow, 1_600), (fast, 100)] {
        let since = net.cut();
        net.say(0, session, 2);
        net.run(60_000);
        let at: Vec<_> = net.sent_by(0, since).iter().map(|sent| sent.at).collect();
        let waits: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (waited, interval) in waits.iter().zip([550, 550, 880, 1408]) {
            let waited = waited - added;
            assert!((interval - 2..=interval * 5 / 4 + 2).contains(&waited), "{waits:?}");
        }
        assert_eq!(waits.len(), 4);
    }
    // It has a limit, and a handle of a closed session changes nothing.
    boost(&mut net, slow, u64::MAX);
    let since = net.cut();
    net.say(0, slow, 2);
    net.run(66_000);
    assert_eq!(net.sent_by(0, since).len(), 1);
    net.run(300);
    assert_eq!(net.sent_by(0, since).len(), 2);
    net.call(0, |m, cx| m.close_session(cx, slow));
    boost(&mut net, slow, 1);
}

/// Node 0 with sessions over UDP and TCP with node 1, which takes messages of 10,000 bytes there.
fn over_both() -> (Net, SessionHandle, SessionHandle) {
    let tcp_node = SessionParameters::matter_1_6().with_tcp(Transports::TCP_SERVER, 10_000);
    let config = Config::default().with_parameters(tcp_node);
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), config)]);
    let (by_udp, _) = net.case(200);
    for n in 0..2 {
        net.nodes[n].address = PeerAddress::Tcp(1 + n as u32);
    }
    let (by_tcp, _) = net.case(200);
    (net, by_udp, by_tcp)
}

#[test]
fn a_long_payload_takes_the_session_over_tcp_and_a_short_one_the_last_used() {
    let (mut net, by_udp, by_tcp) = over_both();
    let chosen = |net: &Net, len| net.nodes[0].manager.sessions().for_payload(peer_of_0(), IM, len);
    assert_eq!(chosen(&net, 10), net.nodes[0].manager.session_with(peer_of_0()));
    assert_eq!(chosen(&net, 10), Some(by_tcp));
    assert_eq!(chosen(&net, 5_000), Some(by_tcp));
    assert_eq!(chosen(&net, 10_000), None);
    // A message over UDP makes that session the last used.
    for n in 0..2 {
        net.nodes[n].address = udp(1 + n as u16);
    }
    net.run(1);
    net.node(1).answers = true;
    net.say(0, by_udp, 2);
    net.run(1_000);
    assert_eq!(chosen(&net, 10), Some(by_udp));
    assert_eq!(chosen(&net, 5_000), Some(by_tcp));
    net.call(0, |m, cx| m.close_session(cx, by_tcp));
    assert_eq!(chosen(&net, 5_000), None);
}

#[test]
fn a_session_is_chosen_for_a_payload_if_and_only_if_that_can_be_sent() {
    let vendor = ProtocolId::vendor(VendorId::new(0xFFF1), 1);
    for protocol in [IM, vendor] {
        for over_tcp in [false, true] {
            let (mut net, by_udp, by_tcp) = over_both();
            let (session, other) = if over_tcp { (by_tcp, by_udp) } else { (by_udp, by_tcp) };
            net.call(0, |m, cx| m.close_session(cx, other));
            let exchange = net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
            let sessions = net.nodes[0].manager.sessions();
            let max = sessions.max_payload(exchange, protocol).unwrap();
            assert_eq!(sessions.for_payload(peer_of_0(), protocol, max), Some(session));
            assert_eq!(sessions.for_payload(peer_of_0(), protocol, max + 1), None);
            let (kind, payload) = (MessageType::new(protocol, 2), vec![1; max + 1]);
            let mut send = |len| net.call(0, |m, cx| m.send(cx, exchange, kind, &payload[..len]));
            assert_eq!(send(max + 1), Err(SendError::TooLong { max }));
            assert_eq!(send(max), Ok(()));
        }
    }
}
