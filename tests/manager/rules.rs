//! Single rules of the protocol that are easy to miss.

use core::time::Duration;

use matter_session::crypto::Passcode;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{MessageType, NodeId, Peer, ProtocolId, VendorId};
use matter_session::manager::{Config, Dropped, PeerAddress};
use matter_session::wire::ProtocolHeader;
use matter_session_testing::twin::{Plan, answer, header};

use crate::net::{Fate, Net, PASSCODE, index, udp};

const CHANNEL: ProtocolId = ProtocolId::SECURE_CHANNEL;

fn members(a: PeerAddress, b: PeerAddress) -> Net {
    Net::members_with(vec![(a, Config::default()), (b, Config::default())])
}

/// What a responder says on the exchange that the first datagram of an initiator began.
fn reply_to(first: &[u8], flags: u8, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![1, 0, 0, 0, 9, 9, 9, 0];
    octets.extend(&first[8..16]);
    octets.extend([flags, opcode, first[18], first[19], 0, 0]);
    octets.extend(&first[4..8]);
    octets.extend(payload);
    octets
}

#[test]
fn an_answer_on_a_forgotten_exchange_is_acknowledged_and_not_delivered() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.say(0, a, 2);
    net.run(500);
    net.close_exchange(0, exchange);
    net.run(100);
    let theirs = net.node(1).got[0].exchange;
    net.answer(1, theirs, 3);
    net.run(100);
    assert!(net.node(1).acknowledged(theirs));
    assert_eq!(net.node(0).dropped, [Dropped::Unsolicited]);
    assert!(net.node(0).got.is_empty());
}

#[test]
fn busy_goes_out_without_a_request_for_acknowledgement_and_is_acknowledged_if_it_has_one() {
    let mut net = members(udp(1), udp(2));
    net.node(1).manager.handshakes().set_busy(Some(Duration::from_secs(9)));
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let busy = net.sent.iter().find(|d| d.handshake_opcode() == Some(0x40)).unwrap();
    assert_eq!(busy.octets[16] & 6, 2);

    let mut net = members(udp(1), udp(2));
    net.on_send(|_| Fate::Lost);
    net.dial_case(0, 1, 1, 200);
    net.pump();
    let report = [8, 0, 0, 0, 0, 0, 4, 0, 0x88, 0x13];
    let reply = reply_to(&net.sent[0].octets, 6, 0x40, &report);
    net.hand(0, udp(2), &reply).unwrap();
    net.run(300);
    let wait = Duration::from_secs(5);
    assert_eq!(net.node(0).failures(), [HandshakeError::Refused(Refusal::Busy { wait })]);
    assert_eq!(net.sent.last().unwrap().handshake_opcode(), Some(0x10));
}

#[test]
fn a_pase_that_takes_too_long_is_told_invalid_parameter() {
    let tcp = PeerAddress::Tcp;
    let mut net = members(tcp(1), tcp(2));
    net.open_window(1);
    net.on_send(|d| if d.handshake_opcode() == Some(0x22) { Fate::Lost } else { Fate::Arrives });
    net.dial_pase(0, 1, PASSCODE);
    net.run(60_000);
    let reports = net.sent_by(1, 0);
    let report = reports.iter().find(|d| d.handshake_opcode() == Some(0x40)).unwrap();
    assert!(report.octets.ends_with(&[1, 0, 0, 0, 0, 0, 2, 0]));
}

#[test]
fn an_initiator_whose_request_is_only_acknowledged_gives_up_by_its_timer() {
    let mut net = members(udp(1), udp(2));
    net.on_send(|_| Fate::Lost);
    net.dial_pase(0, 1, PASSCODE);
    net.pump();
    let ack = reply_to(&net.sent[0].octets, 2, 0x10, &[]);
    net.hand(0, udp(2), &ack).unwrap();
    net.run(59_000);
    assert_eq!(net.sent.len(), 1, "acknowledged, so not repeated");
    assert!(net.node(0).failures().is_empty());
    net.run(2000);
    assert_eq!(net.node(0).failures(), [HandshakeError::TimedOut]);
}

#[test]
fn the_session_that_heard_last_is_offered() {
    let (mut net, older, theirs) = Net::with_case();
    net.run(100);
    let (newer, _) = net.case(200);
    let offered =
        |net: &Net| net.nodes[0].manager.session_with(Peer::new(index(1), NodeId::new(200)));
    assert_eq!(offered(&net), Some(newer));
    net.say(1, theirs, 2);
    net.run(100);
    assert_eq!(offered(&net), Some(older));
}

#[test]
fn local_session_ids_go_round_without_zero() {
    let mut net = Net::pair();
    let (mut ids, to) = (Vec::new(), udp(2));
    for _ in 0..65_536 {
        let octets = net.call(0, |manager, cx| {
            let passcode = Passcode::new(PASSCODE).unwrap();
            let handshake = manager.connect_pase(cx, to, passcode).unwrap();
            let sent = manager.poll_transmit(cx.now()).unwrap().datagram.to_vec();
            manager.handshakes().cancel(handshake);
            // The report for the peer.
            assert!(manager.poll_transmit(cx.now()).is_some());
            sent
        });
        // Behind the headers: a structure, 32 random octets under tag 1, the id under tag 2.
        let id = &octets[22 + 1 + 3 + 32..];
        ids.push(match id[0] {
            0x24 => u16::from(id[2]),
            0x25 => u16::from_le_bytes([id[2], id[3]]),
            other => panic!("{other}"),
        });
    }
    assert_eq!(ids[0], ids[65_535]);
    ids.pop();
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(1..=u16::MAX));
}

#[test]
fn a_signature_that_comes_right_after_the_end_sends_nothing() {
    let mut net = members(udp(1), udp(2));
    net.node(1).signs = false;
    net.dial_case(0, 1, 1, 200);
    net.run(61_000);
    assert_eq!(net.node(1).failures().len(), 1);
    let since = net.sent.len();
    let request = net.node(1).requests.remove(0);
    let signed = request.sign_with(net.node(1).keys.get_mut(&index(1)).unwrap());
    let waited = net.call(1, |manager, cx| manager.complete_signature(cx, signed).is_ok());
    net.pump();
    let opcodes: Vec<_> = net.sent[since..].iter().filter_map(|d| d.handshake_opcode()).collect();
    assert!(!opcodes.contains(&0x31), "a Sigma2 of a handshake that has ended");
    assert!(!waited);
    net.assert_clean();
}

#[test]
fn standalone_acknowledgements_are_never_acknowledged() {
    let (mut net, a, _) = Net::with_case();
    let since = net.cut();
    net.call(0, |manager, cx| {
        let exchange = manager.open_exchange(cx, a).unwrap();
        manager.send(cx, exchange, MessageType::new(CHANNEL, 0x10), &[]).unwrap();
    });
    net.pump();
    let octets = net.sent[since].octets.clone();
    for _ in 0..2 {
        let since = net.sent.len();
        let _ = net.hand(1, udp(1), &octets);
        net.run(300);
        assert!(net.sent_by(1, since).is_empty());
    }
}

#[test]
fn a_node_that_turns_handshakes_away_goes_on_with_the_one_it_has() {
    let mut net = members(udp(1), udp(2));
    net.on_send(|d| if d.handshake_opcode() == Some(0x31) { Fate::Lost } else { Fate::Arrives });
    net.dial_case(0, 1, 1, 200);
    net.pump();
    net.call(1, |manager, _| manager.handshakes().set_busy(Some(Duration::from_secs(1))));
    // The same initiator begins again: its next counter, another exchange.
    let mut again = net.sent[0].octets.clone();
    again[4] = again[4].wrapping_add(1);
    again[18] ^= 1;
    // Another random.
    again[22 + 4] ^= 1;
    net.hand(1, udp(1), &again).unwrap();
    assert_eq!(net.nodes[1].manager.handshakes().len(), 1);
    assert!(net.node(1).failures().is_empty());
    net.on_send(|_| Fate::Arrives);
    net.run(5000);
    assert_eq!(net.node(0).manager.sessions().len(), 1);
}

#[test]
fn only_a_status_report_of_the_secure_channel_closes_a_session() {
    let goodbye = [0, 0, 0, 0, 0, 0, 3, 0];
    let mut net = Net::pair();
    let (session, mut peer) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    let report = |exchange| ProtocolHeader {
        protocol: CHANNEL,
        opcode: 0x40,
        ..header(exchange, false, None)
    };
    let others = [
        (ProtocolHeader { protocol: ProtocolId::INTERACTION_MODEL, ..report(1) }, goodbye),
        (ProtocolHeader { protocol: ProtocolId::standard(0x77), ..report(2) }, goodbye),
        (ProtocolHeader { opcode: 0x41, ..report(3) }, goodbye),
        // The session is established, the general code is not that of success, or another protocol
        // says so.
        (report(4), [0, 0, 0, 0, 0, 0, 0, 0]),
        (report(5), [1, 0, 0, 0, 0, 0, 3, 0]),
        (report(6), [0, 0, 1, 0, 0, 0, 3, 0]),
    ];
    for (header, payload) in others {
        let _ = net.hand(0, udp(7), &peer.seal_payload(&header, &payload));
        assert!(net.nodes[0].manager.session(session).is_some(), "{header:?} {payload:?}");
    }
    net.hand(0, udp(7), &peer.seal_payload(&report(7), &goodbye)).unwrap();
    assert!(net.nodes[0].manager.session(session).is_none());
}

#[test]
fn no_message_of_the_secure_channel_but_a_status_report_is_delivered() {
    for opcode in 0..=u8::MAX {
        let mut net = Net::pair();
        let (session, mut peer) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
        // Answers on an exchange of the node, on one of the peer, and a message that begins none.
        let own = net.say(0, session, 2);
        net.pump();
        let sent = peer.read_all(&net, 0)[0].header.exchange.get();
        net.hand(0, udp(7), &peer.seal(&header(9, true, None)).0).unwrap();
        assert_eq!(net.node(0).got.len(), 1);
        for header in [answer(sent, true, None), header(9, true, None), header(8, true, None)] {
            let header = ProtocolHeader { protocol: CHANNEL, opcode, ..header };
            let _ = net.hand(0, udp(7), &peer.seal(&header).0);
        }
        let got: Vec<_> = net.node(0).got.drain(1..).collect();
        if opcode == 0x40 {
            assert_eq!(got.len(), 2, "a report begins no exchange");
            assert_eq!(got[0].exchange, own);
        } else {
            assert_eq!(got, [], "opcode {opcode:#x}");
        }
        assert_eq!(net.node(0).manager.sessions().exchange_count(), 2);
    }
}

/// Of a peer's messages, only those of registered protocols begin exchanges. The secure channel
/// cannot be registered.
#[test]
fn a_protocol_that_the_application_has_not_named_begins_no_exchange() {
    const SERVED: &[ProtocolId] = &[ProtocolId::INTERACTION_MODEL, CHANNEL];
    let vendor = ProtocolId::vendor(VendorId::new(0xFFF1), 1);
    let config = Config::default().with_protocols(SERVED);
    let mut net = Net::with(vec![(udp(1), config)]);
    let (session, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    for (n, protocol) in (1..).zip([vendor, ProtocolId::BDX, CHANNEL]) {
        let first = ProtocolHeader { protocol, opcode: 0x55, ..header(n, true, None) };
        let (octets, counter) = twin.seal(&first);
        assert_eq!(net.hand(0, udp(7), &octets), Err(Dropped::Unsolicited), "{protocol:?}");
        let since = net.sent.len();
        net.pump();
        let sent = twin.read_all(&net, since);
        assert!(matches!(&sent[..], [ack] if ack.acknowledges(counter)), "{protocol:?}");
    }
    assert!(net.node(0).got.is_empty());
    net.hand(0, udp(7), &twin.seal(&header(9, true, None)).0).unwrap();
    assert_eq!(net.node(0).got.len(), 1);
    // On an exchange that exists, whoever began it, every protocol is delivered.
    let own = net.say(0, session, 2);
    for answer in [header(9, false, None), answer(own.id().get(), false, None)] {
        let octets = twin.seal(&ProtocolHeader { protocol: vendor, ..answer }).0;
        net.hand(0, udp(7), &octets).unwrap();
    }
    assert_eq!(net.node(0).got.len(), 3);
}
