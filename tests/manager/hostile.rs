//! What strangers and peers with bad intentions cannot do.

use core::time::Duration;

use matter_session::ids::MessageType;
use matter_session::manager::{Config, Dropped};
use matter_session::session::DecodeError;
use matter_session::wire::{StatusReport, WireError};

use crate::net::{Authority, Dice, Fate, Net, udp};

/// A datagram of node 0 that did not arrive.
fn withheld(net: &mut Net, opcode: u8) -> Vec<u8> {
    let session = net.nodes[0].manager.sessions().iter().next().unwrap().handle();
    let since = net.cut();
    let exchange = net.say(0, session, opcode);
    net.pump();
    net.close_exchange(0, exchange);
    net.on_send(|_| Fate::Arrives);
    net.sent[since].octets.clone()
}

#[test]
fn a_damaged_datagram_changes_nothing() {
    let (mut net, ..) = Net::with_case();
    let message = withheld(&mut net, 2);
    let before = net.node(1).facts();
    net.run(3);
    for at in 0..message.len() {
        for bit in 0..8 {
            let mut octets = message.clone();
            octets[at] ^= 1 << bit;
            net.hand(1, udp(9), &octets).unwrap_err();
        }
        net.hand(1, udp(9), &message[..at]).unwrap_err();
    }
    assert_eq!(net.node(1).facts(), before);
    let statistics = net.node(1).manager.statistics().clone();
    assert_eq!(statistics.dropped_in_all(), message.len() as u64 * 9);
    assert!(statistics.dropped(Dropped::Decode(DecodeError::Unauthentic)) > 100);
    assert!(net.sent_by(1, net.sent.len() - 1).is_empty());
    net.hand(1, udp(1), &message).unwrap();
    net.assert_clean();
}

#[test]
fn random_datagrams_change_nothing() {
    let (mut net, ..) = Net::with_case();
    let before = net.node(1).facts();
    let since = net.sent.len();
    let mut dice = Dice::new(5);
    for _ in 0..20_000 {
        let len = dice.below(80) as usize;
        let mut octets: Vec<u8> = (0..len).map(|_| dice.roll() as u8).collect();
        if let [flags, _, _, security, ..] = &mut octets[..] {
            *flags &= 0x07;
            *security &= 0x03;
        }
        let _ = net.hand(1, udp(9), &octets);
    }
    assert_eq!(net.node(1).facts(), before);
    net.pump();
    assert_eq!(net.sent.len(), since);
}

#[test]
fn a_group_message_is_dropped_and_counted() {
    let (mut net, ..) = Net::with_case();
    let message = withheld(&mut net, 2);
    let before = net.node(1).facts();
    for flags in [0x06, 0x86, 0x02] {
        let mut group = message.clone();
        group[0] = flags & 7;
        group[3] = flags & 0x80 | 1;
        assert_eq!(net.hand(1, udp(1), &group), Err(Dropped::GroupKey));
    }
    assert_eq!(net.node(1).manager.statistics().dropped(Dropped::GroupKey), 3);
    assert_eq!(net.node(1).facts(), before);
}

#[test]
fn privacy_and_reserved_session_types_are_refused() {
    let (mut net, ..) = Net::with_case();
    let message = withheld(&mut net, 2);
    for (security, reason) in [
        (0x80, Dropped::PrivateUnicast),
        (0x40, DecodeError::Shape.into()),
        (0x02, DecodeError::from(WireError::SessionType).into()),
    ] {
        let mut octets = message.clone();
        octets[3] = security;
        assert_eq!(net.hand(1, udp(1), &octets), Err(reason));
    }
}

/// Sends any message on a session: the application of the peer is hostile.
fn send_raw(net: &mut Net, protocol: matter_session::ids::ProtocolId, opcode: u8, data: &[u8]) {
    let session = net.nodes[0].manager.sessions().iter().next().unwrap().handle();
    net.call(0, |manager, cx| {
        let exchange = manager.open_exchange(cx, session).unwrap();
        manager.send(cx, exchange, MessageType::new(protocol, opcode), data).unwrap();
        manager.close_exchange(exchange);
    });
    net.pump();
}

#[test]
fn handshake_messages_on_a_secure_session_are_misplaced() {
    let (mut net, ..) = Net::with_case();
    let channel = matter_session::ids::ProtocolId::SECURE_CHANNEL;
    for opcode in [0x20, 0x21, 0x22, 0x23, 0x24, 0x30, 0x31, 0x32, 0x33] {
        send_raw(&mut net, channel, opcode, &[0x15, 0x18]);
    }
    assert_eq!(net.node(1).dropped, [Dropped::Misplaced; 9]);
    // On an exchange that exists, too.
    let session = net.nodes[0].manager.sessions().iter().next().unwrap().handle();
    let exchange = net.say(0, session, 2);
    net.run(500);
    net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(channel, 0x30), &[0x15, 0x18]))
        .unwrap();
    net.run(500);
    assert_eq!(net.node(1).dropped, [Dropped::Misplaced; 10]);
    assert_eq!(net.node(1).got.len(), 1);
    assert_eq!(net.node(1).manager.handshakes().len(), 0);
    net.assert_clean();
}

#[test]
fn unsolicited_reports_close_nothing() {
    let (mut net, _, b) = Net::with_case();
    let channel = matter_session::ids::ProtocolId::SECURE_CHANNEL;
    let busy = StatusReport::busy(Duration::from_secs(1));
    for report in [StatusReport::success(), StatusReport::invalid_parameter(), busy] {
        let mut payload = [0; 16];
        let mut buffer = matter_session::bytes::Buffer::new(&mut payload);
        report.write(&mut buffer).unwrap();
        let written = buffer.into_written().to_vec();
        send_raw(&mut net, channel, 0x40, &written);
    }
    send_raw(&mut net, channel, 0x40, &[1, 0, 0]);
    assert_eq!(net.node(1).dropped, [Dropped::Unsolicited; 4]);
    assert!(net.nodes[1].manager.session(b).is_some());
    // Unsecured, a CloseSession means nothing.
    let mut unsecured = vec![4, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    unsecured.extend([1, 0x40, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]);
    assert_eq!(net.hand(1, udp(1), &unsecured), Err(Dropped::Unsolicited));
    assert!(net.nodes[1].manager.session(b).is_some());
    net.assert_clean();
}

#[test]
fn a_report_on_an_exchange_reaches_the_application() {
    let (mut net, a, _) = Net::with_case();
    let channel = matter_session::ids::ProtocolId::SECURE_CHANNEL;
    let exchange = net.say(0, a, 2);
    net.run(500);
    let theirs = net.node(1).got[0].exchange;
    let report = [1, 0, 1, 0, 0, 0, 5, 0];
    net.call(1, |m, cx| m.send(cx, theirs, MessageType::new(channel, 0x40), &report)).unwrap();
    net.run(500);
    assert_eq!(net.node(0).got[0].exchange, exchange);
    assert_eq!(net.node(0).got[0].payload, report);
    net.assert_clean();
}

/// A device of two slots, a stranger that names the longest intervals that there are and does not
/// hear its answers, and somebody who means well.
fn besieged() -> Net {
    const HOUR: u32 = 3_600_000;
    let slow = Config::default().parameters.with_intervals(HOUR, HOUR, u16::MAX);
    let device = Config::default().with_handshakes(2, Duration::from_millis(300));
    let mut net = Net::with(vec![
        (udp(1), Config::default().with_parameters(slow)),
        (udp(2), device),
        (udp(3), Config::default()),
    ]);
    let mut authority = Authority::new(1, false);
    for (n, node) in [100, 200, 300].into_iter().enumerate() {
        authority.join(&mut net, n, node);
    }
    net.on_send(|sent| if sent.to == udp(1) { Fate::Lost } else { Fate::Arrives });
    net
}

fn gets_through(net: &mut Net) -> bool {
    net.dial_case(2, 1, 1, 200);
    net.run(1000);
    net.node(2).try_established().is_some()
}

#[test]
fn a_commissioner_that_begins_again_and_again_holds_one_slot() {
    let mut net = besieged();
    net.open_window(1);
    for _ in 0..3 {
        net.dial_pase(0, 1, crate::net::PASSCODE);
        net.run(200);
        assert!(gets_through(&mut net));
        net.node(2).events.clear();
        net.run(61_000);
    }
}

#[test]
fn a_message_of_a_session_with_a_hidden_header_is_counted_by_a_reason_of_its_own() {
    let (mut net, ..) = Net::with_case();
    let mut message = withheld(&mut net, 2);
    message[3] |= 0x80;
    let before = net.node(1).facts();
    assert_eq!(net.hand(1, udp(1), &message), Err(Dropped::PrivateUnicast));
    // A handshake message that does so is another matter.
    message[1..3].fill(0);
    let private = Dropped::Decode(DecodeError::Privacy);
    assert_eq!(net.hand(1, udp(1), &message), Err(private));
    assert_eq!(net.node(1).facts(), before);
    let statistics = net.node(1).manager.statistics();
    assert_eq!(statistics.dropped(Dropped::PrivateUnicast), 1);
    assert_eq!(statistics.dropped(private), 1);
}
