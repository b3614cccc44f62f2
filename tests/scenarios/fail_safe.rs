//! A commissioner that dies after PASE: the fail-safe frees the device for the next one.

use core::time::Duration;

use matter_session::ids::MessageType;
use matter_session::manager::{
    CloseReason, CommissioningWindow, Config, Datagram, Dropped, NoPaseSession, OpenError,
    SendError, SessionHandle,
};

use crate::net::{Fate, IM, Net, PASSCODE, udp, window};

const DEVICE: usize = 1;

fn net() -> Net {
    opened(window())
}

fn opened(window: CommissioningWindow) -> Net {
    let mut net = Net::with((1..=3).map(|port| (udp(port), Config::default())).collect());
    net.call(DEVICE, |m, cx| m.window().open(cx, window)).unwrap();
    net
}

/// Node 0 connects by PASE. Returns the session on the device.
fn commission(net: &mut Net) -> SessionHandle {
    net.dial_pase(0, DEVICE, PASSCODE);
    net.pump();
    net.node(DEVICE).established()
}

/// Whether another commissioner gets a session now.
fn serves(net: &mut Net) -> bool {
    net.node(2).events.clear();
    net.dial_pase(2, DEVICE, PASSCODE);
    net.pump();
    net.node(2).try_established().is_some()
}

fn arm(net: &mut Net, duration: Option<u64>) -> Result<(), NoPaseSession> {
    let duration = duration.map(Duration::from_secs);
    net.call(DEVICE, |m, cx| m.window().arm_fail_safe(cx, duration))
}

#[test]
fn a_device_serves_another_commissioner_a_minute_after_the_first_has_died() {
    let mut net = net();
    let session = commission(&mut net);
    net.run(59_999);
    assert!(!serves(&mut net), "the first may still come back");
    net.run(1);
    assert_eq!(net.node(DEVICE).closed(), [(session, 0, CloseReason::FailSafeExpired)]);
    assert!(serves(&mut net));
}

#[test]
fn an_expired_fail_safe_frees_the_device_without_a_timer() {
    let mut net = net();
    let session = commission(&mut net);
    net.now += 60_000;
    assert!(serves(&mut net));
    assert!(net.nodes[DEVICE].manager.session(session).is_none());
}

/// A message that has waited in the socket while the device slept: no timer was handled before it.
#[test]
fn a_message_over_the_session_of_an_expired_fail_safe_is_not_delivered() {
    for batched in [false, true] {
        for (late, delivered) in [(0, true), (1, false)] {
            let mut net = net();
            let session = commission(&mut net);
            let theirs = net.node(0).established();
            net.on_send(|_| Fate::Lost);
            net.say(0, theirs, 2);
            net.pump();
            let mut message = net.sent.last().unwrap().octets.clone();
            net.now += 59_999 + late;
            let received = net.call(DEVICE, |m, cx| {
                if !batched {
                    return m.handle_datagram(cx, udp(1), &mut message).dropped();
                }
                let mut batch = [Datagram::new(udp(1), &mut message)];
                m.handle_datagrams(cx, &mut batch);
                let [datagram] = &mut batch;
                datagram.take().unwrap().dropped()
            });
            let unknown = Dropped::UnknownSession(session.local_session_id());
            assert_eq!(received, (!delivered).then_some(unknown));
            assert_eq!(net.nodes[DEVICE].manager.session(session).is_some(), delivered);
            net.pump();
            let ended = [(session, 0, CloseReason::FailSafeExpired)];
            assert_eq!(net.node(DEVICE).closed(), if delivered { &[] } else { &ended[..] });
        }
    }
}

#[test]
fn nothing_is_sent_over_the_session_of_an_expired_fail_safe() {
    let mut net = net();
    let session = commission(&mut net);
    let exchange = net.call(DEVICE, |m, cx| m.open_exchange(cx, session)).unwrap();
    let kind = MessageType::new(IM, 2);
    net.now += 60_000;
    let since = net.sent.len();
    net.call(DEVICE, |m, cx| {
        let mut buf = [0; 200];
        let unreliable = m.send_unreliable(cx, exchange, kind, b"x", &mut buf).map(drop);
        assert_eq!(unreliable, Err(SendError::Closed));
        assert_eq!(m.send(cx, exchange, kind, b"x"), Err(SendError::Closed));
        assert_eq!(m.open_exchange(cx, session), Err(OpenError::Closed));
    });
    net.pump();
    assert_eq!(net.sent_by(DEVICE, since).len(), 1, "its end is reported");
    assert_eq!(net.node(DEVICE).closed(), [(session, 0, CloseReason::FailSafeExpired)]);
}

#[test]
fn the_commissioner_is_told_that_its_session_has_ended() {
    let mut net = net();
    commission(&mut net);
    let theirs = net.node(0).established();
    net.run(61_000);
    assert_eq!(net.node(0).closed(), [(theirs, 0, CloseReason::Peer)]);
}

#[test]
fn a_commissioner_that_arms_its_fail_safe_again_and_again_keeps_its_session() {
    let mut net = net();
    let session = commission(&mut net);
    for _ in 0..10 {
        net.run(50_000);
        arm(&mut net, Some(60)).unwrap();
    }
    assert!(net.nodes[DEVICE].manager.session(session).is_some());
    net.run(59_999);
    assert!(net.nodes[DEVICE].manager.session(session).is_some());
    net.run(1);
    assert!(net.nodes[DEVICE].manager.session(session).is_none());
    assert_eq!(arm(&mut net, Some(60)), Err(NoPaseSession));
}

#[test]
fn a_fail_safe_of_no_time_ends_the_session_at_once() {
    let mut net = net();
    let session = commission(&mut net);
    arm(&mut net, Some(0)).unwrap();
    net.pump();
    assert_eq!(net.node(DEVICE).closed(), [(session, 0, CloseReason::FailSafeExpired)]);
    assert_eq!(arm(&mut net, None), Err(NoPaseSession));
}

#[test]
fn without_a_fail_safe_the_session_stays_until_it_is_closed() {
    let minutes = 15 * 60_000;
    let mut taken_over = net();
    commission(&mut taken_over);
    arm(&mut taken_over, None).unwrap();
    let mut never = opened(window().with_fail_safe(None));
    commission(&mut never);
    for mut net in [taken_over, never] {
        net.run(minutes);
        assert_eq!(net.nodes[DEVICE].manager.sessions().len(), 1);
        assert!(!serves(&mut net));
    }
}

#[test]
fn a_window_can_have_another_fail_safe() {
    let mut net = opened(window().with_fail_safe(Some(Duration::from_secs(7))));
    let session = commission(&mut net);
    net.run(6_999);
    assert!(net.nodes[DEVICE].manager.session(session).is_some());
    net.run(1);
    assert!(net.nodes[DEVICE].manager.session(session).is_none());
}

/// The end of one session says nothing about the next.
#[test]
fn the_fail_safe_ends_with_its_session() {
    let mut net = net();
    let first = commission(&mut net);
    net.run(30_000);
    net.call(DEVICE, |m, cx| m.close_session(cx, first));
    assert_eq!(arm(&mut net, Some(60)), Err(NoPaseSession));
    net.pump();
    net.node(0).events.clear();
    let second = commission(&mut net);
    net.run(59_999);
    assert!(net.nodes[DEVICE].manager.session(second).is_some());
    net.node(DEVICE).events.clear();
    net.call(DEVICE, |m, cx| m.close_session(cx, second));
    net.assert_clean();
    assert_eq!(net.nodes[DEVICE].manager.poll_timeout(), None, "nothing is due");
}

/// An initiator has no window: a fail-safe is the device's.
#[test]
fn the_session_of_a_commissioner_has_no_fail_safe() {
    let mut net = net();
    commission(&mut net);
    arm(&mut net, None).unwrap();
    net.run(300_000);
    assert_eq!(net.nodes[0].manager.sessions().len(), 1);
}
