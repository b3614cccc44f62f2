//! Where a peer is: it moves with its newest authentic message, and with nothing else.

use core::net::{Ipv6Addr, SocketAddrV6};

use matter_session::manager::{Dropped, PeerAddress, SessionHandle};
use matter_session::session::DecodeError;

use crate::net::{Fate, Net, PASSCODE, udp};
use crate::raw::{ACK, PAKE1, PAKE3, REPORT, Raw, SIGMA1, SIGMA3, parts};
use crate::twin::{Plan, header};

/// A datagram that node 0 has sent and that did not arrive.
fn withheld(net: &mut Net, session: SessionHandle) -> Vec<u8> {
    let since = net.cut();
    let exchange = net.say(0, session, 2);
    net.pump();
    net.close_exchange(0, exchange);
    net.on_send(|_| Fate::Arrives);
    net.sent[since].octets.clone()
}

fn address(net: &Net, n: usize, session: SessionHandle) -> PeerAddress {
    net.nodes[n].manager.session(session).unwrap().peer_address()
}

#[test]
fn a_spoofed_source_address_with_a_bad_mic_moves_nothing() {
    let (mut net, a, b) = Net::with_case();
    let message = withheld(&mut net, a);
    let before = net.node(1).facts();
    for at in 3..message.len() {
        let mut octets = message.clone();
        octets[at] ^= 1;
        net.hand(1, udp(9), &octets).unwrap_err();
        assert_eq!(net.node(1).facts(), before, "octet {at}");
    }
    assert!(net.node(1).dropped.contains(&Dropped::Decode(DecodeError::Unauthentic)));
    assert_eq!(address(&net, 1, b), udp(1));
    net.assert_clean();
}

#[test]
fn a_peer_that_moves_is_followed_once_it_is_known_to_be_the_peer() {
    let (mut net, a, b) = Net::with_case();
    let since = net.sent.len();
    // Something is on its way to the peer when it moves.
    let exchange = net.say(1, b, 2);
    net.nodes[0].address = udp(9);
    net.pump();
    assert_eq!(net.sent_by(1, since)[0].to, udp(1));
    assert!(net.node(0).got.is_empty());
    let moved = withheld(&mut net, a);
    let mut spoiled = moved.clone();
    *spoiled.last_mut().unwrap() ^= 1;
    net.hand(1, udp(9), &spoiled).unwrap_err();
    assert_eq!(address(&net, 1, b), udp(1));
    net.hand(1, udp(9), &moved).unwrap();
    assert_eq!(address(&net, 1, b), udp(9));
    net.run(2000);
    // The repetition went after it: the same octets to another place.
    let sent = net.sent_by(1, since);
    let again = sent.iter().skip(1).find(|d| d.octets == sent[0].octets).unwrap();
    assert_eq!(again.to, udp(9));
    assert_eq!(net.node(0).got.len(), 1);
    assert!(net.node(1).acknowledged(exchange));
    net.assert_clean();
}

#[test]
fn a_recorded_datagram_replayed_from_another_address_does_not_move_the_address() {
    let (mut net, a, b) = Net::with_case();
    let mut recorded = Vec::new();
    for _ in 0..40 {
        let message = withheld(&mut net, a);
        net.hand(1, udp(1), &message).unwrap();
        recorded.push(message);
        for exchange in net.node(1).got.iter().map(|got| got.exchange).collect::<Vec<_>>() {
            net.close_exchange(1, exchange);
        }
        net.pump();
    }
    let since = net.sent.len();
    // The newest, some within the window, and some before it.
    for (n, message) in recorded.iter().enumerate() {
        net.hand(1, udp(9), message).unwrap();
        assert_eq!(address(&net, 1, b), udp(1), "message {n}");
    }
    net.pump();
    assert_eq!(net.node(1).got.len(), 40, "delivered once");
    assert_eq!(net.sent_by(1, since).len(), 40, "acknowledged again");
    let to = net.sent_by(1, since).iter().all(|sent| sent.to == udp(1));
    assert!(to, "whoever replays gets no answer");
    net.assert_clean();
}

/// It is authentic and it is new, but the peer sent it before it was heard from its new address.
#[test]
fn a_message_that_comes_late_from_another_address_is_delivered_and_moves_nothing() {
    let mut net = Net::pair();
    let (session, twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    let say = |net: &mut Net, counter, from| {
        let octets = twin.seal_at(counter, &header(1, false, None));
        net.hand(0, from, &octets).unwrap();
        address(net, 0, session)
    };
    assert_eq!(say(&mut net, 100, udp(8)), udp(8), "it has moved");
    for (n, late) in [99, 98, 70, 68].into_iter().enumerate() {
        assert_eq!(say(&mut net, late, udp(9)), udp(8), "counter {late}");
        assert_eq!(net.node(0).got.len(), n + 2, "delivered");
    }
    assert_eq!(say(&mut net, 101, udp(9)), udp(9), "and again");
    assert_eq!(say(&mut net, 95, udp(8)), udp(9), "the late one from where it was");
}

const INITIATOR: usize = 0;
const DEVICE: usize = 1;

/// Two members; node 0 begins a handshake with node 1, of either kind.
fn begin(pase: bool) -> Net {
    let mut net = Net::members();
    if pase {
        net.open_window(DEVICE);
        net.dial_pase(INITIATOR, DEVICE, PASSCODE);
    } else {
        net.dial_case(INITIATOR, DEVICE, 1, 200);
    }
    net
}

/// Withholds the messages of a handshake with this opcode. Returns the one that was withheld.
fn withheld_message(net: &mut Net, opcode: u8) -> Vec<u8> {
    net.on_send(move |d| match d.handshake_opcode() {
        Some(other) if other == opcode => Fate::Lost,
        _ => Fate::Arrives,
    });
    net.pump();
    let sent = net.sent.iter().rev().find(|d| d.handshake_opcode() == Some(opcode));
    sent.unwrap().octets.clone()
}

fn link_local(scope: u32, flow: u32) -> PeerAddress {
    let ip = Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, 1);
    PeerAddress::Udp(SocketAddrV6::new(ip, 5540, flow, scope).into())
}

#[test]
fn a_handshake_goes_on_from_whichever_address_its_initiator_sends_next() {
    for opcode in [SIGMA3, PAKE1, PAKE3] {
        let other_host = PeerAddress::Udp(([127, 0, 0, 9], 1).into());
        for moved in [udp(9), other_host, link_local(2, 0)] {
            let mut net = begin(opcode != SIGMA3);
            let message = withheld_message(&mut net, opcode);
            net.on_send(|_| Fate::Arrives);
            net.nodes[INITIATOR].address = moved;
            net.hand(DEVICE, moved, &message).unwrap();
            net.run(1000);
            let session = net.node(DEVICE).established();
            assert_eq!(address(&net, DEVICE, session), moved, "{opcode:x}");
            assert!(net.node(INITIATOR).try_established().is_some(), "{opcode:x}");
            net.assert_clean();
        }
    }
}

#[test]
fn scope_id_and_flow_label_are_no_identity() {
    for opcode in [SIGMA3, PAKE1, PAKE3] {
        let mut net = Net::members();
        net.nodes[INITIATOR].address = link_local(2, 0);
        net.open_window(DEVICE);
        if opcode == SIGMA3 {
            net.dial_case(INITIATOR, DEVICE, 1, 200);
        } else {
            net.dial_pase(INITIATOR, DEVICE, PASSCODE);
        }
        let message = withheld_message(&mut net, opcode);
        net.on_send(|_| Fate::Arrives);
        net.hand(DEVICE, link_local(0, 7), &message).unwrap();
        net.nodes[INITIATOR].address = link_local(0, 7);
        net.run(1000);
        assert!(net.node(INITIATOR).try_established().is_some(), "{opcode:x}");
        // The first message, repeated with another flow label, is the repetition that it is.
        let mut net = begin(opcode != SIGMA3);
        net.nodes[INITIATOR].address = link_local(2, 0);
        net.on_send(|d| if d.from == udp(2) { Fate::Lost } else { Fate::Arrives });
        net.pump();
        let first = net.sent[0].octets.clone();
        net.hand(DEVICE, link_local(2, 9), &first).unwrap();
        net.run(100);
        assert_eq!(net.node(DEVICE).manager.statistics().busy, 0, "{opcode:x}");
        assert_eq!(net.node(DEVICE).manager.handshakes().len(), 1, "{opcode:x}");
    }
}

/// Copies, acknowledgements and messages out of order are all that somebody can send who has seen
/// a handshake and does not know its secrets.
#[test]
fn only_the_next_message_of_a_handshake_moves_its_address() {
    let mut net = begin(false);
    let sigma3 = withheld_message(&mut net, SIGMA3);
    let sigma1 = net.sent[0].octets.clone();
    assert_eq!(net.sent[0].handshake_opcode(), Some(SIGMA1));
    let since = net.sent.len();
    let _ = net.hand(DEVICE, udp(9), &sigma1);
    let mut ack = Raw::like(&sigma1, ACK, b"");
    ack.flags = 1;
    let _ = net.hand(DEVICE, udp(9), &ack.octets());
    net.run(1000);
    assert!(net.sent[since..].iter().all(|sent| sent.to != udp(9)), "nothing is sent there");
    net.on_send(|_| Fate::Arrives);
    net.hand(DEVICE, udp(1), &sigma3).unwrap();
    net.run(1000);
    let session = net.node(DEVICE).established();
    assert_eq!(address(&net, DEVICE, session), udp(1));
    // A copy from elsewhere, afterwards: it may be acknowledged, as anything that asks for that.
    let since = net.sent.len();
    let _ = net.hand(DEVICE, udp(9), &sigma3);
    net.run(1000);
    let moved = net.sent[since..].iter().filter(|sent| sent.to == udp(9));
    assert!(moved.into_iter().all(|sent| sent.handshake_opcode() == Some(ACK)));
    assert_eq!(address(&net, DEVICE, session), udp(1));
}

/// Two initiators with one ephemeral node id and one exchange id: each goes on from its address.
#[test]
fn the_handshake_at_an_address_comes_before_one_elsewhere() {
    let mut net = begin(false);
    let sigma3 = withheld_message(&mut net, SIGMA3);
    // Somebody who has seen the node and exchange ids begins as the same, with a Sigma1 of its own.
    let mut sigma1 = net.sent[0].octets.clone();
    let random = 22 + 4;
    sigma1[random] ^= 1;
    let _ = net.hand(DEVICE, udp(8), &sigma1);
    net.on_send(|_| Fate::Arrives);
    net.hand(DEVICE, udp(1), &sigma3).unwrap();
    net.run(1000);
    assert!(net.node(DEVICE).try_established().is_some());
    assert!(net.node(INITIATOR).try_established().is_some());
}

/// What somebody sends from its own address who has seen a handshake, and does not know its secrets.
#[test]
fn a_forged_message_from_another_address_ends_no_handshake_and_moves_none() {
    for opcode in [SIGMA3, PAKE3] {
        let mut net = begin(opcode != SIGMA3);
        let genuine = withheld_message(&mut net, opcode);
        let since = net.sent.len();
        let payload = parts(&genuine).unwrap().1.len();
        for at in genuine.len() - payload..genuine.len() {
            let mut forged = genuine.clone();
            forged[at] ^= 1;
            let _ = net.hand(DEVICE, udp(9), &forged);
        }
        net.pump();
        assert!(net.nodes[DEVICE].failures().is_empty(), "{opcode:x}");
        let moved = net.sent[since..].iter().filter(|sent| sent.to == udp(9));
        assert!(moved.into_iter().all(|sent| sent.handshake_opcode() == Some(ACK)), "{opcode:x}");
        net.on_send(|_| Fate::Arrives);
        net.hand(DEVICE, udp(1), &genuine).unwrap();
        net.run(1000);
        let session = net.node(DEVICE).established();
        assert_eq!(address(&net, DEVICE, session), udp(1), "{opcode:x}");
        assert!(net.node(INITIATOR).try_established().is_some(), "{opcode:x}");
    }
}

/// Two members that resume their session, and the report of success, which did not arrive.
fn resuming() -> (Net, Vec<u8>) {
    let mut net = Net::members();
    net.case(200);
    for node in &mut net.nodes {
        node.events.clear();
    }
    net.dial_case(INITIATOR, DEVICE, 1, 200);
    let report = withheld_message(&mut net, REPORT);
    assert_eq!(net.sent.last().unwrap().from, udp(1));
    (net, report)
}

#[test]
fn a_resumption_goes_on_from_whichever_address_its_initiator_reports_success() {
    let other_host = PeerAddress::Udp(([127, 0, 0, 9], 1).into());
    for moved in [udp(9), other_host, link_local(2, 0)] {
        let (mut net, report) = resuming();
        net.on_send(|_| Fate::Arrives);
        net.nodes[INITIATOR].address = moved;
        net.hand(DEVICE, moved, &report).unwrap();
        net.run(1000);
        let session = net.node(DEVICE).established();
        assert_eq!(address(&net, DEVICE, session), moved);
        assert!(net.node(INITIATOR).try_established().is_some());
        net.assert_clean();
    }
}

/// A report proves that its sender has received Sigma2Resume: it acknowledges that. One that does
/// not, or that reports a failure, can be of anybody who has seen a Sigma1.
#[test]
fn a_report_from_another_address_that_proves_nothing_or_no_success_ends_no_resumption() {
    let (ack, payload) = (22..26, 26..34);
    for at in ack.chain(payload) {
        let (mut net, report) = resuming();
        let since = net.sent.len();
        let mut forged = report.clone();
        forged[at] ^= 1;
        let _ = net.hand(DEVICE, udp(9), &forged);
        // Without an acknowledgement at all.
        let mut silent = report.clone();
        silent[16] &= !2;
        silent.drain(22..26);
        let _ = net.hand(DEVICE, udp(9), &silent);
        net.pump();
        assert!(net.node(DEVICE).try_established().is_none(), "byte {at}");
        assert!(net.nodes[DEVICE].failures().is_empty(), "byte {at}");
        let moved = net.sent[since..].iter().filter(|sent| sent.to == udp(9));
        assert!(moved.into_iter().all(|sent| sent.handshake_opcode() == Some(ACK)), "byte {at}");
        net.on_send(|_| Fate::Arrives);
        net.hand(DEVICE, udp(1), &report).unwrap();
        net.run(1000);
        let session = net.node(DEVICE).established();
        assert_eq!(address(&net, DEVICE, session), udp(1), "byte {at}");
        net.assert_clean();
    }
}

/// Somebody who has seen the Sigma2Resume can report success. The keys are not known to them.
#[test]
fn a_peer_gets_its_session_back_from_whoever_reported_success_for_it() {
    let (mut net, report) = resuming();
    let mut forged = report.clone();
    forged[4] ^= 1;
    net.hand(DEVICE, udp(9), &forged).unwrap();
    net.pump();
    let (a, b) = (net.node(INITIATOR).established(), net.node(DEVICE).established());
    assert_eq!(address(&net, DEVICE, b), udp(9));
    net.on_send(|_| Fate::Arrives);
    net.say(INITIATOR, a, 2);
    net.pump();
    assert_eq!(address(&net, DEVICE, b), udp(1));
    let since = net.sent.len();
    net.say(DEVICE, b, 4);
    net.run(2000);
    assert_eq!([net.node(DEVICE).got.len(), net.node(INITIATOR).got.len()], [1, 1]);
    let moved = net.sent[since..].iter().filter(|sent| sent.to == udp(9));
    assert_eq!(moved.count(), 0);
}
