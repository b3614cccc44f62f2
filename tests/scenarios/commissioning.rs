//! Commissioning: who is served, what counts as an attempt, and what ends it.

use core::time::Duration;

use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::manager::{Config, Event, WindowCloseReason};

use crate::net::{Datagram, Fate, Net, PASSCODE, udp};
use crate::raw::{PAKE1, PAKE3, PBKDF_REQUEST, PBKDF_RESPONSE, REPORT, disguised, parts};

const DEVICE: usize = 1;

fn open() -> Net {
    let mut net = Net::with((1..=3).map(|port| (udp(port), Config::default())).collect());
    net.open_window(DEVICE);
    net
}

fn is_open(net: &mut Net) -> bool {
    net.nodes[DEVICE].manager.window().is_open()
}

fn closed_by_failures(net: &Net) -> usize {
    let reason = WindowCloseReason::TooManyFailures;
    let closed =
        |e: &&Event<u32>| matches!(e, Event::WindowClosed { reason: r, .. } if *r == reason);
    net.nodes[DEVICE].events.iter().filter(closed).count()
}

/// So many attempts with a wrong passcode.
fn guess(net: &mut Net, times: usize) {
    for _ in 0..times {
        net.dial_pase(0, DEVICE, PASSCODE + 1);
        net.settle();
    }
}

#[test]
fn a_second_commissioner_is_told_to_wait_at_every_step_and_the_first_goes_on() {
    for step in 0..8 {
        let mut net = open();
        net.on_send(|_| Fate::Late(10));
        net.dial_pase(0, DEVICE, PASSCODE);
        net.run(10 * step);
        let serves = net.nodes[DEVICE].manager.handshakes().len() == 1
            || net.nodes[DEVICE].manager.sessions().len() == 1;
        net.dial_pase(2, DEVICE, PASSCODE);
        net.run(5000);
        let winner = if serves { 0 } else { 2 };
        let busy = |e: &HandshakeError| matches!(e, HandshakeError::Refused(Refusal::Busy { .. }));
        if serves {
            assert_eq!(net.nodes[2].failures().len(), 1, "{step}");
            assert_eq!(net.nodes[DEVICE].manager.statistics().busy, 1, "{step}");
            assert!(busy(&net.nodes[2].failures()[0]), "{step}");
        }
        let served = [0, 2].iter().filter(|n| net.nodes[**n].try_established().is_some()).count();
        assert_eq!(served, 1, "{step}");
        if serves {
            assert!(net.nodes[winner].try_established().is_some(), "{step}");
        }
        assert!(net.nodes[DEVICE].failures().is_empty(), "{step}");
        assert!(is_open(&mut net));
        net.on_send(|_| Fate::Arrives);
        net.assert_clean();
    }
}

#[test]
fn twenty_wrong_passcodes_close_the_window_and_nineteen_do_not() {
    let mut net = open();
    guess(&mut net, 19);
    assert!(is_open(&mut net));
    guess(&mut net, 1);
    assert!(!is_open(&mut net));
    assert_eq!(closed_by_failures(&net), 1);
    assert_eq!(net.node(0).failures(), [HandshakeError::WrongPasscode; 20]);
    // The right one comes too late.
    net.node(0).events.clear();
    net.dial_pase(0, DEVICE, PASSCODE);
    net.settle();
    let refused = HandshakeError::Refused(Refusal::InvalidParameter);
    assert_eq!(net.node(0).failures(), [refused]);
    // A new window counts from the beginning.
    net.open_window(DEVICE);
    guess(&mut net, 19);
    net.dial_pase(0, DEVICE, PASSCODE);
    net.settle();
    net.node(0).established();
    net.assert_clean();
}

#[test]
fn success_does_not_make_former_failures_forgotten() {
    let mut net = open();
    guess(&mut net, 19);
    net.dial_pase(0, DEVICE, PASSCODE);
    net.settle();
    let session = net.node(DEVICE).established();
    assert!(is_open(&mut net));
    net.call(DEVICE, |manager, cx| manager.close_session(cx, session));
    guess(&mut net, 1);
    assert!(!is_open(&mut net));
    net.assert_clean();
}

/// How an attempt breaks off, and whether it was one: whether the device has answered a share, which
/// can test a passcode, by whatever message.
#[test]
fn only_who_could_test_a_passcode_counts_as_an_attempt() {
    type Spoil = fn(&Datagram) -> Option<Vec<u8>>;
    let cases: [(&str, bool, Spoil); 7] = [
        ("falls silent after its request", false, |d| of(d, PAKE1).then(Vec::new)),
        ("asks for another passcode", false, |d| {
            of(d, PBKDF_REQUEST).then(|| passcode_id_one(&d.octets))
        }),
        ("sends a request that is cut short", false, |d| {
            of(d, PBKDF_REQUEST).then(|| d.octets[..d.octets.len() - 10].to_vec())
        }),
        ("sends a point that is not on the curve", true, |d| {
            of(d, PAKE1).then(|| flipped(&d.octets, 5))
        }),
        ("sends half a Pake1", false, |d| {
            of(d, PAKE1).then(|| d.octets[..d.octets.len() - 30].to_vec())
        }),
        ("falls silent after Pake2", true, |d| of(d, PAKE3).then(Vec::new)),
        ("sends half a Pake3", true, |d| {
            of(d, PAKE3).then(|| d.octets[..d.octets.len() - 20].to_vec())
        }),
    ];
    for (what, counts, spoil) in cases {
        let mut net = open();
        guess(&mut net, 19);
        // The same often, to see that none of it counts.
        for _ in 0..if counts { 1 } else { 3 } {
            assert!(is_open(&mut net), "{what}");
            attempt(&mut net, spoil);
            net.run(100_000);
        }
        assert_eq!(is_open(&mut net), !counts, "{what}");
        assert_eq!(closed_by_failures(&net), usize::from(counts), "{what}");
        net.on_send(|_| Fate::Arrives);
        if !counts {
            guess(&mut net, 1);
            assert!(!is_open(&mut net), "{what}: and none was forgotten");
        }
        net.assert_clean();
    }
}

fn of(datagram: &Datagram, opcode: u8) -> bool {
    datagram.handshake_opcode() == Some(opcode)
}

fn flipped(octets: &[u8], from_end: usize) -> Vec<u8> {
    let mut octets = octets.to_vec();
    let at = octets.len() - from_end;
    octets[at] ^= 1;
    octets
}

/// The same request for the passcode with the id 1: `24 03 00` becomes `24 03 01`.
fn passcode_id_one(octets: &[u8]) -> Vec<u8> {
    let at = octets.windows(3).position(|three| three == [0x24, 3, 0]).unwrap();
    let mut octets = octets.to_vec();
    octets[at + 2] = 1;
    octets
}

/// One PASE of which a datagram is replaced by what `spoil` makes of it, or lost.
fn attempt(net: &mut Net, spoil: fn(&Datagram) -> Option<Vec<u8>>) {
    net.on_send(
        move |d| {
            if d.from == udp(1) && spoil(d).is_some() { Fate::Lost } else { Fate::Arrives }
        },
    );
    let since = net.sent.len();
    net.dial_pase(0, DEVICE, PASSCODE);
    net.pump();
    let spoilt: Vec<_> = net.sent_by(0, since).into_iter().filter_map(spoil).collect();
    assert_eq!(spoilt.len(), 1);
    if !spoilt[0].is_empty() {
        let _ = net.hand(DEVICE, udp(1), &spoilt[0]);
    }
}

#[test]
fn what_bystanders_repeat_or_invent_is_no_attempt() {
    let mut net = open();
    guess(&mut net, 19);
    net.sent.clear();
    net.dial_pase(0, DEVICE, PASSCODE);
    net.settle();
    let handshake: Vec<_> = net.sent.iter().filter(|d| d.to == udp(2)).cloned().collect();
    let session = net.node(DEVICE).established();
    net.call(DEVICE, |manager, cx| manager.close_session(cx, session));
    net.settle();
    for n in 0..300 {
        for datagram in &handshake {
            let mut octets = disguised(&datagram.octets, n);
            if datagram.handshake_opcode() == Some(PBKDF_REQUEST) {
                octets.truncate(22 + n as usize % 40);
            }
            let _ = net.hand(DEVICE, udp(9), &octets);
        }
        net.run(1000);
    }
    assert!(is_open(&mut net));
    net.run(60_000);
    guess(&mut net, 1);
    assert!(!is_open(&mut net));
    net.assert_clean();
}

/// By the application, or by its own time.
#[test]
fn a_window_that_closes_at_any_step_ends_the_handshake_and_tells_the_peer_once() {
    for by_time in [false, true] {
        for step in 0..5 {
            let what = format!("step {step}, by time: {by_time}");
            let mut net = Net::with((1..=2).map(|port| (udp(port), Config::default())).collect());
            let mut window = crate::net::window();
            window.any_duration = true;
            window.duration = by_time.then_some(Duration::from_millis(10 * step + 5));
            net.call(DEVICE, |m, cx| m.window().open(cx, window)).unwrap();
            net.on_send(|_| Fate::Late(10));
            net.dial_pase(0, DEVICE, PASSCODE);
            net.run(10 * step + 5);
            if !by_time {
                net.node(DEVICE).manager.window().close();
            }
            assert!(!is_open(&mut net), "{what}");
            assert_eq!(net.nodes[DEVICE].manager.handshakes().len(), 0, "{what}");
            net.run(10_000);
            let established = net.node(DEVICE).try_established().is_some();
            let told = net.sent_by(DEVICE, 0);
            let reports = told.iter().filter_map(|d| parts(&d.octets));
            let reports = reports.filter(|(opcode, _)| *opcode == REPORT).count();
            if established {
                assert!(net.node(0).try_established().is_some(), "{what}: sessions stay");
            } else {
                let refused = HandshakeError::Refused(Refusal::InvalidParameter);
                assert_eq!(net.nodes[0].failures(), [refused], "{what}");
                assert_eq!(reports, 1, "{what}");
                assert!(net.nodes[0].manager.sessions().is_empty(), "{what}");
            }
            assert_eq!(net.nodes[DEVICE].manager.sessions().len(), usize::from(established));
            assert_eq!(closed_by_failures(&net), 0);
            net.on_send(|_| Fate::Arrives);
            net.run(10_000);
            net.assert_clean();
        }
    }
}

#[test]
fn a_closed_window_refuses_without_counting_and_says_so_in_36_octets() {
    let mut net = open();
    net.node(DEVICE).manager.window().close();
    for _ in 0..25 {
        net.dial_pase(0, DEVICE, PASSCODE);
        net.settle();
    }
    let refused = HandshakeError::Refused(Refusal::InvalidParameter);
    assert_eq!(net.node(0).failures(), [refused; 25]);
    assert!(net.sent_by(DEVICE, 0).iter().all(|datagram| datagram.octets.len() <= 36));
    assert!(net.node(DEVICE).events.is_empty());
    net.open_window(DEVICE);
    net.dial_pase(0, DEVICE, PASSCODE);
    net.settle();
    net.node(0).established();
}

/// Whoever begins and falls silent, again and again, holds the one place and costs no attempt.
#[test]
fn a_hundred_requests_of_strangers_that_fall_silent_leave_the_window_open() {
    let mut net = open();
    net.on_send(|_| Fate::Lost);
    net.dial_pase(0, DEVICE, PASSCODE);
    net.pump();
    let request = net.sent[0].octets.clone();
    let mut served = 0;
    for n in 0..100 {
        net.hand(DEVICE, udp(100 + n as u16), &disguised(&request, n)).unwrap();
        let since = net.sent.len();
        net.pump();
        let answers = net.sent_by(DEVICE, since);
        served += answers.iter().filter(|d| d.handshake_opcode() == Some(PBKDF_RESPONSE)).count();
        assert!(net.nodes[DEVICE].manager.handshakes().len() <= 1);
        net.run(2000);
    }
    assert!(served >= 10, "{served}");
    assert!(is_open(&mut net));
    assert_eq!(closed_by_failures(&net), 0);
    net.run(100_000);
    net.on_send(|_| Fate::Arrives);
    net.dial_pase(2, DEVICE, PASSCODE);
    net.run(2000);
    net.node(2).established();
    net.assert_clean();
}
