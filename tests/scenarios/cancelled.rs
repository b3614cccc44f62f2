//! Handshakes that the application of the initiator cancels: the peer is told, and is free at once.

use core::time::Duration;

use matter_session::crypto::Passcode;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{Config, Dropped, Event, HandshakeHandle, WindowCloseReason};

use crate::net::{Authority, Datagram, Fate, Net, PASSCODE, index, udp};
use crate::raw::{PAKE1, PAKE3, PBKDF_REQUEST, REPORT, Raw, SIGMA1, SIGMA3, is_invalid_parameter};

const CANCELS: usize = 0;
const DEVICE: usize = 1;
const NEXT: usize = 2;
const REFUSED: HandshakeError = HandshakeError::Refused(Refusal::InvalidParameter);

/// A device with one slot for handshakes, and two controllers.
fn one_slot() -> Net {
    let device = Config::default().with_handshakes(1, Duration::from_secs(5));
    let nodes = [Config::default(), device, Config::default()];
    let mut net = Net::with((1..).map(udp).zip(nodes).collect());
    let mut authority = Authority::new(1, false);
    for (n, node) in [100, 200, 300].into_iter().enumerate() {
        authority.join(&mut net, n, node);
    }
    net
}

fn begin(net: &mut Net, n: usize, pase: bool) -> HandshakeHandle {
    net.call(n, |m, cx| match pase {
        true => m.connect_pase(cx, udp(2), Passcode::new(PASSCODE).unwrap()),
        false => m.connect_case(cx, udp(2), Peer::new(index(1), NodeId::new(200))),
    })
    .unwrap()
}

fn cancel(net: &mut Net, handshake: HandshakeHandle) {
    assert!(net.node(CANCELS).manager.handshakes().cancel(handshake));
}

/// Loses what the device sends to the one that cancels, from its answer to this message on.
fn hang_after(net: &mut Net, opcode: u8) {
    let mut sent = false;
    net.on_send(move |datagram: &Datagram| {
        sent |= datagram.from == udp(1) && datagram.handshake_opcode() == Some(opcode);
        if datagram.to == udp(1) && sent { Fate::Lost } else { Fate::Arrives }
    });
}

#[test]
fn a_device_whose_commissioner_cancels_serves_the_next_one_at_once() {
    for (hangs, attempted) in [(PBKDF_REQUEST, false), (PAKE1, true)] {
        let mut net = one_slot();
        net.open_window(DEVICE);
        hang_after(&mut net, hangs);
        let handshake = begin(&mut net, CANCELS, true);
        net.run(50);
        assert_eq!(net.node(DEVICE).manager.handshakes().len(), 1, "{hangs:#x}");
        cancel(&mut net, handshake);
        net.pump();
        assert_eq!(net.nodes[DEVICE].failures(), [REFUSED], "{hangs:#x}");
        begin(&mut net, NEXT, true);
        net.run(100);
        assert!(net.nodes[NEXT].try_established().is_some(), "{hangs:#x}");
        assert_eq!(net.nodes[NEXT].failures(), []);
        // The one that cancels is told nothing more.
        assert!(net.nodes[CANCELS].events.is_empty());
        // One that could test a passcode counts as an attempt: nineteen more close the window.
        let session = net.node(DEVICE).established();
        net.call(DEVICE, |m, cx| m.close_session(cx, session));
        for _ in 0..19 {
            net.dial_pase(NEXT, DEVICE, PASSCODE + 1);
            net.settle();
        }
        let closed = net.nodes[DEVICE].events.iter().filter(|event| {
            matches!(event, Event::WindowClosed { reason: WindowCloseReason::TooManyFailures, .. })
        });
        assert_eq!(closed.count(), usize::from(attempted), "{hangs:#x}");
        net.assert_clean();
    }
}

#[test]
fn a_responder_of_case_whose_initiator_cancels_has_its_slot_free_at_once() {
    for resumed in [false, true] {
        let mut net = one_slot();
        if resumed {
            net.case(200);
            net.run(20_000);
        }
        hang_after(&mut net, SIGMA1);
        let handshake = begin(&mut net, CANCELS, false);
        net.run(50);
        assert_eq!(net.node(DEVICE).manager.handshakes().len(), 1);
        cancel(&mut net, handshake);
        net.pump();
        assert_eq!(net.nodes[DEVICE].failures(), [REFUSED], "resumed: {resumed}");
        begin(&mut net, NEXT, false);
        net.run(100);
        assert!(net.nodes[NEXT].try_established().is_some(), "resumed: {resumed}");
        net.on_send(|_| Fate::Arrives);
        net.assert_clean();
    }
}

/// Once, encrypted by nothing, on the exchange of the handshake, without asking for an
/// acknowledgement; and nothing else.
#[test]
fn the_report_of_a_cancelled_handshake_is_sent_once() {
    for (pase, hangs) in
        [(true, PBKDF_REQUEST), (true, PAKE1), (true, PAKE3), (false, SIGMA1), (false, SIGMA3)]
    {
        let mut net = one_slot();
        net.open_window(DEVICE);
        hang_after(&mut net, hangs);
        let handshake = begin(&mut net, CANCELS, pase);
        net.run(50);
        let first = net.sent_by(CANCELS, 0)[0].octets.clone();
        let since = net.sent.len();
        cancel(&mut net, handshake);
        net.run(60_000);
        let [report] = net.sent_by(CANCELS, since)[..] else { panic!("{hangs:#x}") };
        assert_eq!(report.handshake_opcode(), Some(REPORT));
        assert!(is_invalid_parameter(&report.octets), "{hangs:#x}");
        assert_eq!(report.octets[8..16], first[8..16], "the ephemeral node id");
        assert_eq!(report.octets[18..20], first[18..20], "the exchange");
        assert_eq!(report.octets[16] & 5, 1, "of the initiator, without a request");
        assert!(report.octets.len() <= 34);
    }
}

#[test]
fn of_a_handshake_that_is_cancelled_before_anything_was_sent_nothing_is_sent() {
    for pase in [true, false] {
        let mut net = one_slot();
        let handshake = begin(&mut net, CANCELS, pase);
        cancel(&mut net, handshake);
        net.run(60_000);
        assert!(net.sent_by(CANCELS, 0).is_empty());
        net.assert_clean();
    }
}

/// The peer's own timer ends it then, as if nobody had told it.
#[test]
fn a_report_of_a_cancelled_handshake_that_gets_lost_does_no_harm() {
    let mut net = one_slot();
    net.open_window(DEVICE);
    hang_after(&mut net, PBKDF_REQUEST);
    let handshake = begin(&mut net, CANCELS, true);
    net.run(50);
    net.on_send(|_| Fate::Lost);
    cancel(&mut net, handshake);
    net.run(59_000);
    assert_eq!(net.nodes[DEVICE].manager.handshakes().len(), 0);
    assert_eq!(net.nodes[DEVICE].failures(), [HandshakeError::TimedOut]);
    net.on_send(|_| Fate::Arrives);
    begin(&mut net, NEXT, true);
    net.run(1000);
    assert!(net.nodes[NEXT].try_established().is_some());
    net.assert_clean();
}

/// A device to which the first message did not get, or that has ended its side, is told nothing.
#[test]
fn a_report_to_a_device_without_the_handshake_changes_nothing() {
    let mut net = one_slot();
    net.open_window(DEVICE);
    net.on_send(|_| Fate::Lost);
    let handshake = begin(&mut net, CANCELS, true);
    net.run(50);
    net.on_send(|_| Fate::Arrives);
    let since = net.sent.len();
    cancel(&mut net, handshake);
    net.run(1000);
    assert_eq!(net.sent_by(CANCELS, since).len(), 1);
    assert!(net.sent_by(DEVICE, 0).is_empty(), "no answer");
    assert!(net.nodes[DEVICE].events.is_empty());
    net.assert_clean();
}

/// Nothing authenticates a report in a handshake. Who has seen the ids and forges the address of
/// the initiator can end its handshake, but nobody else's, and the device is free for the next one.
#[test]
fn a_report_ends_a_handshake_only_from_its_address_with_both_its_ids() {
    const INVALID: [u8; 8] = [1, 0, 0, 0, 0, 0, 2, 0];
    for pase in [true, false] {
        let mut net = one_slot();
        net.open_window(DEVICE);
        hang_after(&mut net, if pase { PBKDF_REQUEST } else { SIGMA1 });
        begin(&mut net, CANCELS, pase);
        net.run(50);
        let first = net.sent_by(CANCELS, 0)[0].octets.clone();
        let right = Raw { flags: 1, ..Raw::like(&first, REPORT, &INVALID) };
        let wrong = [
            (udp(9), right.clone()),
            (udp(1), Raw { node: right.node ^ 1, ..right.clone() }),
            (udp(1), Raw { exchange: right.exchange ^ 1, ..right.clone() }),
        ];
        for (from, report) in wrong {
            assert_eq!(net.hand(DEVICE, from, &report.octets()), Err(Dropped::Unsolicited));
            assert_eq!(net.node(DEVICE).manager.handshakes().len(), 1);
        }
        net.hand(DEVICE, udp(1), &right.octets()).unwrap();
        net.pump();
        assert_eq!(net.nodes[DEVICE].failures(), [REFUSED]);
        begin(&mut net, NEXT, pase);
        net.run(100);
        assert!(net.nodes[NEXT].try_established().is_some());
    }
}

/// Whichever of several addresses the device has, it is told.
#[test]
fn a_device_at_any_of_several_addresses_is_told_that_its_commissioner_cancels() {
    for at in 0..3 {
        let mut net = one_slot();
        net.open_window(DEVICE);
        hang_after(&mut net, PBKDF_REQUEST);
        let mut to = vec![udp(8), udp(9)];
        to.insert(at, udp(2));
        let passcode = Passcode::new(PASSCODE).unwrap();
        let handshake = net.call(CANCELS, |m, cx| m.connect_pase(cx, &to, passcode)).unwrap();
        net.run(550);
        assert_eq!(net.node(DEVICE).manager.handshakes().len(), 1, "place {at}");
        cancel(&mut net, handshake);
        net.pump();
        assert_eq!(net.nodes[DEVICE].failures(), [REFUSED], "place {at}");
        begin(&mut net, NEXT, true);
        net.run(100);
        assert!(net.nodes[NEXT].try_established().is_some(), "place {at}");
    }
}

/// Who was sent nothing yet is told nothing.
#[test]
fn an_address_to_which_nothing_was_sent_gets_no_report_of_a_cancelled_handshake() {
    let mut net = one_slot();
    let to = [udp(8), udp(9), udp(10)];
    let passcode = Passcode::new(PASSCODE).unwrap();
    let handshake = net.call(CANCELS, |m, cx| m.connect_pase(cx, to, passcode)).unwrap();
    net.run(300);
    let since = net.sent.len();
    cancel(&mut net, handshake);
    net.run(60_000);
    let mut told: Vec<_> = net.sent_by(CANCELS, since).iter().map(|sent| sent.to).collect();
    told.sort();
    assert_eq!(told, [udp(8), udp(9)]);
    net.assert_clean();
}
