//! Reliable transports: MRP is off.

use matter_session::handshake::HandshakeError;
use matter_session::ids::MessageType;
use matter_session::manager::PeerAddress::{self, Link, Tcp};
use matter_session::manager::{CloseReason, Config, Dropped, Heap, SendError};
use matter_session::session::{SessionParameters, Transports};
use matter_session::stream::StreamDecoder;
use matter_session::wire::GeneralCode;

use crate::net::{Fate, IM, Net, PASSCODE, udp};
use crate::twin::{Plan, header};

fn over(a: PeerAddress, b: PeerAddress) -> Net {
    Net::members_with(vec![(a, Config::default()), (b, Config::default())])
}

#[test]
fn tcp_and_links_carry_each_message_once_and_unacknowledged() {
    for (a, b) in [(Tcp(1), Tcp(2)), (Link(1), Link(2))] {
        let mut net = over(a, b);
        net.dial_case(0, 1, 1, 200);
        net.run(10_000);
        let opcodes: Vec<_> = net.sent.iter().filter_map(|d| d.handshake_opcode()).collect();
        assert_eq!(opcodes, [0x30, 0x31, 0x32, 0x40]);
        let flags = |d: &&crate::net::Datagram| d.octets[16] & 4;
        assert!(net.sent.iter().all(|d| flags(&d) == 0), "no message asks to be acknowledged");
        let session = net.node(0).established();
        net.node(1).answers = true;
        let since = net.sent.len();
        let exchange = net.say(0, session, 2);
        net.run(10_000);
        assert_eq!(net.sent.len() - since, 2);
        assert_eq!(net.node(0).got.len(), 1);
        assert!(!net.node(0).acknowledged(exchange));
        // The next message needs not wait for anything.
        net.answer(0, exchange, 4);
        net.run(1);
        net.answer(0, exchange, 6);
        net.run(10_000);
        net.assert_clean();
    }
}

#[test]
fn nothing_is_repeated_and_the_handshake_ends_by_its_own_timer() {
    let mut net = over(Tcp(1), Tcp(2));
    net.open_window(1);
    net.on_send(|d| if d.handshake_opcode() == Some(0x22) { Fate::Lost } else { Fate::Arrives });
    net.dial_pase(0, 1, PASSCODE);
    net.run(59_999);
    assert_eq!(net.sent.len(), 3);
    assert!(net.node(1).failures().is_empty());
    net.run(2);
    assert_eq!(net.node(1).failures(), [HandshakeError::TimedOut]);
    assert_eq!(net.node(0).failures().len(), 1);
    net.assert_clean();
}

#[test]
fn a_request_for_acknowledgement_is_met_even_there() {
    let mut net = over(Tcp(1), Tcp(2));
    net.open_window(1);
    net.on_send(|_| Fate::Lost);
    net.dial_pase(0, 1, PASSCODE);
    net.pump();
    let mut request = net.sent[0].octets.clone();
    request[16] |= 4;
    net.hand(1, Tcp(1), &request).unwrap();
    net.pump();
    let answer = net.sent.last().unwrap();
    assert_eq!(answer.handshake_opcode(), Some(0x21));
    assert_eq!(answer.octets[16] & 6, 2, "acknowledges, and asks for nothing");
}

#[test]
fn a_session_stays_on_its_connection() {
    let mut net = over(Tcp(1), Tcp(2));
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let session = net.node(0).established();
    net.on_send(|_| Fate::Lost);
    net.say(0, session, 2);
    net.pump();
    let message = net.sent.last().unwrap().octets.clone();
    let before = net.node(1).facts();
    for stranger in [Tcp(9), udp(1), Link(1)] {
        assert_eq!(net.hand(1, stranger, &message), Err(Dropped::OtherTransport));
    }
    assert_eq!(net.node(1).facts(), before);
    net.hand(1, Tcp(1), &message).unwrap();
    net.assert_clean();
}

#[test]
fn messages_over_a_link_are_as_long_as_over_udp() {
    let mut net = over(Link(1), Link(2));
    let (a, _) = net.case(200);
    let exchange = net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
    let max = net.node(0).manager.sessions().max_payload(exchange, IM).unwrap();
    net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), &vec![7; max])).unwrap();
    net.run(1000);
    assert_eq!(net.node(1).got[0].payload.len(), max);
    assert_eq!(net.sent.last().unwrap().octets.len(), 1232);
    let send =
        net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), &vec![7; max + 1]));
    assert_eq!(send, Err(SendError::TooLong { max }));
}

#[test]
fn messages_are_as_long_as_the_transport_and_the_peer_allow() {
    let tcp_node = SessionParameters::matter_1_6().with_tcp(Transports::TCP_SERVER, 10_000);
    let config = Config::default().with_parameters(tcp_node);
    let mut net = Net::members_with(vec![(Tcp(1), Config::default()), (Tcp(2), config)]);
    let (a, _) = net.case(200);
    let exchange = net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
    let max = net.node(0).manager.sessions().max_payload(exchange, IM).unwrap();
    assert_eq!(max, 10_000 - 8 - 6 - 16);
    let long = vec![7; max + 1];
    let send = net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), &long));
    assert_eq!(send, Err(SendError::TooLong { max }));
    net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), &long[1..])).unwrap();
    net.run(1000);
    assert_eq!(net.node(1).got[0].payload.len(), max);
    assert_eq!(net.sent.last().unwrap().octets.len(), 10_000);

    let (mut net, a, _) = Net::with_case();
    let exchange = net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
    let max = net.node(0).manager.sessions().max_payload(exchange, IM).unwrap();
    net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), &vec![7; max])).unwrap();
    net.run(1000);
    assert_eq!(net.sent[net.sent.len() - 2].octets.len(), 1232);
    net.assert_clean();
}

#[test]
fn a_lost_connection_ends_its_sessions_and_handshakes_without_a_word() {
    let mut net = over(Tcp(1), Tcp(2));
    net.dial_case(0, 1, 1, 200);
    net.run(10_000);
    let session = net.node(0).established();
    net.say(0, session, 2);
    net.dial_case(0, 1, 1, 200);
    let since = net.sent.len();
    net.on_send(|_| Fate::Lost);
    net.call(0, |manager, cx| manager.connections().handle_disconnect(cx, Tcp(9)));
    assert_eq!(net.node(0).manager.sessions().len(), 1, "another connection");
    net.call(0, |manager, cx| manager.connections().handle_disconnect(cx, Tcp(2)));
    net.run(100_000);
    assert_eq!(net.node(0).closed(), [(session, 0, CloseReason::Disconnected)]);
    assert_eq!(net.node(0).failures(), [HandshakeError::Disconnected]);
    assert_eq!(net.sent.len(), since, "nothing goes to a connection that is lost");
    assert_eq!(net.node(0).manager.handshakes().len(), 0);
}

/// What a peer takes that names no size: as much as the oldest nodes.
#[test]
fn a_peer_that_names_no_size_gets_messages_that_older_nodes_take() {
    let mut net = over(Tcp(1), Tcp(2));
    let (a, _) = net.case(200);
    let exchange = net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
    let max = net.node(0).manager.sessions().max_payload(exchange, IM).unwrap();
    assert_eq!(max, 64_000 - 4 - 8 - 6 - 16);
    net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), &vec![7; max])).unwrap();
    net.run(1000);
    assert_eq!(net.node(1).got[0].payload.len(), max);
    let long = vec![7; max + 1];
    let send = net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), &long));
    assert_eq!(send, Err(SendError::TooLong { max }));
    net.assert_clean();
}

#[test]
fn a_connection_is_in_use_from_the_first_handshake_to_the_end_of_the_last_session() {
    let mut net = over(Tcp(1), Tcp(2));
    let in_use =
        |net: &mut Net, n: usize| net.nodes[n].manager.connections().is_in_use(Tcp(2 - n as u32));
    assert!(!in_use(&mut net, 0) && !in_use(&mut net, 1));
    net.dial_case(0, 1, 1, 200);
    assert!(in_use(&mut net, 0) && !in_use(&mut net, 1));
    net.run(1000);
    let first = net.node(0).established();
    net.node(0).events.clear();
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let second = net.node(0).established();
    net.call(0, |m, cx| m.close_session(cx, first));
    net.run(1000);
    assert!(in_use(&mut net, 0) && in_use(&mut net, 1));
    assert!(
        !net.node(0).manager.connections().is_in_use(Tcp(9))
            && !net.node(0).manager.connections().is_in_use(Link(2))
    );
    net.call(0, |m, cx| m.close_session(cx, second));
    assert!(!in_use(&mut net, 0));
    net.pump();
    assert!(!in_use(&mut net, 1), "the goodbye has arrived");
    // A handshake that fails leaves nothing behind either, though its slot lingers.
    net.dial_case(0, 1, 1, 300);
    assert!(in_use(&mut net, 0));
    net.pump();
    assert!(!in_use(&mut net, 0) && !in_use(&mut net, 1));
    net.assert_clean();
}

#[test]
fn a_connection_that_is_lost_amid_a_handshake_takes_it_along_and_its_number_serves_again() {
    let mut net = over(Tcp(1), Tcp(2));
    net.on_send(|d| if d.handshake_opcode() == Some(0x32) { Fate::Lost } else { Fate::Arrives });
    net.dial_case(0, 1, 1, 200);
    net.pump();
    let sigma3 = net.sent.last().unwrap().octets.clone();
    // Over another connection it is a stranger's.
    for stranger in [Tcp(9), Link(1), udp(1)] {
        assert_eq!(net.hand(1, stranger, &sigma3), Err(Dropped::Unsolicited));
    }
    assert!(net.node(1).manager.connections().is_in_use(Tcp(1)));
    let since = net.sent.len();
    net.call(1, |m, cx| m.connections().handle_disconnect(cx, Tcp(1)));
    net.call(0, |m, cx| m.connections().handle_disconnect(cx, Tcp(2)));
    assert!(!net.node(1).manager.connections().is_in_use(Tcp(1)));
    net.pump();
    assert_eq!(net.node(1).failures(), [HandshakeError::Disconnected]);
    assert_eq!(net.node(0).failures(), [HandshakeError::Disconnected]);
    // On a new connection of the same number nothing of the former goes on.
    assert_eq!(net.hand(1, Tcp(1), &sigma3), Err(Dropped::Unsolicited));
    assert_eq!(net.sent.len(), since);
    net.on_send(|_| Fate::Arrives);
    net.case(200);
    net.assert_clean();
}

#[test]
fn a_message_that_is_too_long_is_reported_on_a_session_before_its_connection_closes() {
    let mut net = over(Tcp(1), Tcp(2));
    let mut decoder = StreamDecoder::new([0; 1284]);
    decoder.handle_bytes(&1281_u32.to_le_bytes());
    let error = decoder.poll_message().unwrap_err();
    let report = error.report().unwrap();
    assert_eq!(report.general, GeneralCode::MESSAGE_TOO_LARGE);
    // Nobody has proven who he is.
    net.on_send(|d| if d.handshake_opcode() == Some(0x31) { Fate::Lost } else { Fate::Arrives });
    net.dial_case(0, 1, 1, 200);
    net.pump();
    assert!(!net.call(0, |m, cx| m.connections().send_status_report(cx, Tcp(2), &report).is_ok()));
    assert!(!net.call(1, |m, cx| m.connections().send_status_report(cx, Tcp(1), &report).is_ok()));
    net.on_send(|_| Fate::Arrives);
    net.run(100_000);
    net.node(0).events.clear();

    let (a, b) = net.case(200);
    let since = net.sent.len();
    assert!(!net.call(0, |m, cx| m.connections().send_status_report(cx, Tcp(9), &report).is_ok()));
    assert!(net.call(0, |m, cx| m.connections().send_status_report(cx, Tcp(2), &report).is_ok()));
    net.pump();
    net.call(0, |m, cx| m.connections().handle_disconnect(cx, Tcp(2)));
    net.pump();
    let sent: Vec<_> = net.sent[since..].iter().map(|d| (d.to, d.octets.len())).collect();
    assert_eq!(sent, [(Tcp(2), 8 + 6 + 8 + 16)], "the report, and no goodbye");
    assert_eq!(net.node(0).closed(), [(a, 0, CloseReason::Disconnected)]);
    // For the peer it is a failure of nothing that it knows.
    assert_eq!(net.node(1).dropped.last(), Some(&Dropped::Unsolicited));
    assert!(net.node(1).manager.session(b).is_some());
    net.call(1, |m, cx| m.connections().handle_disconnect(cx, Tcp(1)));
    net.pump();
    assert_eq!(net.node(1).closed(), [(b, 0, CloseReason::Disconnected)]);
    net.assert_clean();
}

/// A test case of older specifications wants it ignored.
#[test]
fn a_message_over_udp_of_more_than_1280_bytes_is_received_and_acknowledged() {
    let mut net = Net::<Heap>::stored(vec![(udp(1), Config::default())]);
    let (_, mut twin) = Plan::case(1, 5, udp(2)).begin(&mut net, 0).unwrap();
    let long = twin.seal_payload(&header(7, true, None), &[7; 1366]);
    assert_eq!(long.len(), 1396);
    net.hand(0, udp(2), &long).unwrap();
    net.run(1000);
    assert_eq!(net.node(0).got[0].payload, [7; 1366]);
    assert_eq!(twin.read_all(&net, 0).len(), 1, "the acknowledgement");
}

/// Nobody has to accept more: IPv6 guarantees packets of 1,280 bytes with its headers.
#[test]
fn no_message_over_udp_is_longer_than_ipv6_guarantees_whatever_is_configured() {
    for (configured, longest) in [(usize::MAX, 1232), (1400, 1232), (1232, 1232), (600, 600)] {
        let config = Config::default().with_max_message(configured);
        let mut net = Net::members_with(vec![(udp(1), config), (udp(2), Config::default())]);
        let (a, _) = net.case(200);
        let exchange = net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
        let max = net.node(0).manager.sessions().max_payload(exchange, IM).unwrap();
        let kind = MessageType::new(IM, 2);
        let refused = net.call(0, |m, cx| m.send(cx, exchange, kind, &vec![7; max + 1]));
        assert_eq!(refused, Err(SendError::TooLong { max }));
        let since = net.sent.len();
        net.call(0, |m, cx| m.send(cx, exchange, kind, &vec![7; max])).unwrap();
        net.run(1000);
        assert_eq!(net.sent[since].octets.len(), longest, "{configured}");
    }
}
