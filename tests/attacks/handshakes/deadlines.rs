//! Deadlines hold although nobody has called `handle_timeout` in time.

use core::time::Duration;

use matter_session::crypto::OperationalKey;
use matter_session::handshake::HandshakeError;
use matter_session::manager::{Event, Heap, WindowCloseReason};

use super::{DEVICE, SENDER, members};
use crate::net::{Fate, Net, PASSCODE, index, window};
use crate::raw::{PAKE1, PAKE3, PBKDF_RESPONSE, REPORT, SIGMA2, SIGMA3};

/// Runs a handshake until a message with this opcode from this node is on its way, and delivers
/// that so many milliseconds later, without any timer.
fn late(net: &mut Net, from: usize, opcode: u8, millis: u64, dial: impl FnOnce(&mut Net)) {
    let (sender, to) = (net.nodes[from].address, 1 - from);
    net.on_send(move |sent| {
        let held = sent.from == sender && sent.handshake_opcode() == Some(opcode);
        if held { Fate::Lost } else { Fate::Arrives }
    });
    let since = net.sent.len();
    dial(net);
    net.pump();
    let held = net.sent[since..]
        .iter()
        .find(|sent| sent.from == sender && sent.handshake_opcode() == Some(opcode));
    let octets = held.expect("it was sent").octets.clone();
    net.on_send(|_| Fate::Arrives);
    net.now += millis;
    let _ = net.hand(to, sender, &octets);
    net.pump();
}

#[test]
fn messages_of_handshakes_after_the_deadline_are_refused_without_a_timer() {
    for (millis, in_time) in [(59_999, true), (60_000, false), (120_000, false)] {
        for (from, opcode) in
            [(SENDER, PAKE3), (SENDER, SIGMA3), (DEVICE, REPORT), (DEVICE, SIGMA2)]
        {
            let mut net = members::<Heap>(4);
            let to = 1 - from;
            late(&mut net, from, opcode, millis, |net| {
                if opcode == PAKE3 {
                    net.open_window(DEVICE);
                    net.dial_pase(SENDER, DEVICE, PASSCODE);
                } else {
                    net.dial_case(SENDER, DEVICE, 1, 200);
                }
            });
            let what = format!("{opcode:#x} after {millis}");
            if in_time {
                assert!(net.nodes[to].failures().is_empty(), "{what}");
            } else {
                assert_eq!(net.nodes[to].failures(), [HandshakeError::TimedOut], "{what}");
                assert!(net.nodes[to].try_established().is_none(), "{what}");
            }
        }
    }
}

#[test]
fn the_report_of_a_resumption_after_the_deadline_is_refused_without_a_timer() {
    for (millis, in_time) in [(59_999, true), (60_000, false)] {
        let mut net = members::<Heap>(4);
        net.case(200);
        net.settle();
        late(&mut net, SENDER, REPORT, millis, |net| net.dial_case(SENDER, DEVICE, 1, 200));
        assert_eq!(net.nodes[DEVICE].try_established().is_some(), in_time, "{millis}");
    }
}

#[test]
fn a_signature_after_the_deadline_sends_nothing_of_the_handshake_without_a_timer() {
    for (millis, in_time) in [(59_999, true), (60_000, false)] {
        let mut net = members::<Heap>(4);
        net.node(DEVICE).signs = false;
        net.dial_case(SENDER, DEVICE, 1, 200);
        net.pump();
        net.now += millis;
        let request = net.node(DEVICE).requests.remove(0);
        let key: &mut dyn OperationalKey = net.node(DEVICE).keys.get_mut(&index(1)).unwrap();
        let signed = request.sign_with(key);
        let since = net.sent.len();
        let _ = net.call(DEVICE, |m, cx| m.complete_signature(cx, signed));
        net.pump();
        let sigma2 = net.sent[since..].iter().any(|sent| sent.handshake_opcode() == Some(SIGMA2));
        assert_eq!(sigma2, in_time, "{millis}");
    }
}

fn expired(net: &Net) -> usize {
    let reason = WindowCloseReason::Expired;
    let closed =
        |e: &&Event<u32>| matches!(e, Event::WindowClosed { reason: r, .. } if *r == reason);
    net.nodes[DEVICE].events.iter().filter(closed).count()
}

fn open_for(net: &mut Net, seconds: u64) {
    let window = window().with_any_duration(Duration::from_secs(seconds));
    net.call(DEVICE, |m, cx| m.window().open(cx, window)).unwrap();
}

#[test]
fn a_window_serves_nobody_after_its_time_without_a_timer() {
    for (millis, serves) in [(179_999, true), (180_000, false), (86_400_000, false)] {
        let mut net = members::<Heap>(4);
        open_for(&mut net, 180);
        net.now += millis;
        net.dial_pase(SENDER, DEVICE, PASSCODE);
        net.pump();
        let answers = net.sent_by(DEVICE, 0);
        let response = answers.iter().any(|sent| sent.handshake_opcode() == Some(PBKDF_RESPONSE));
        assert_eq!(response, serves, "{millis}");
        assert_eq!(expired(&net), usize::from(!serves), "{millis}");
    }
}

/// A window closes amid a handshake that it serves.
#[test]
fn no_step_of_pase_is_made_after_the_time_of_the_window_without_a_timer() {
    for opcode in [PAKE1, PAKE3] {
        let mut net = members::<Heap>(4);
        open_for(&mut net, 30);
        late(&mut net, SENDER, opcode, 30_000, |net| net.dial_pase(SENDER, DEVICE, PASSCODE));
        assert_eq!(expired(&net), 1, "{opcode:#x}");
        assert!(net.nodes[DEVICE].try_established().is_none());
        assert_eq!(net.nodes[DEVICE].manager.sessions().len(), 0);
    }
}

#[test]
fn a_window_whose_time_is_over_can_be_opened_again_without_a_timer() {
    let mut net = members::<Heap>(4);
    open_for(&mut net, 180);
    net.now += 200_000;
    open_for(&mut net, 180);
    net.pump();
    assert_eq!(expired(&net), 1);
    net.dial_pase(SENDER, DEVICE, PASSCODE);
    net.run(100);
    net.node(DEVICE).established();
}
