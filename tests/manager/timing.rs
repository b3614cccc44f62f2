//! Clocks that go wrong, and callers that come late.

use matter_session::manager::Event;

use crate::net::{Fate, Net, PASSCODE, udp};

const DAY: u64 = 24 * 3600 * 1000;

#[test]
fn a_clock_that_goes_backwards_only_delays() {
    let (mut net, a, _) = Net::with_case();
    net.lose(&[0]);
    let exchange = net.say(0, a, 2);
    net.pump();
    net.now -= 500_000;
    for n in 0..2 {
        net.call(n, |manager, cx| manager.handle_timeout(cx));
    }
    net.run(600_000);
    assert!(net.node(0).acknowledged(exchange));
    assert_eq!(net.node(1).got.len(), 1);
    net.dial_pase(0, 1, PASSCODE);
    net.settle();
    net.assert_clean();
}

#[test]
fn a_clock_that_leaps_a_day_ends_what_was_running() {
    let (mut net, a, _) = Net::with_case();
    net.open_window(1);
    net.on_send(|d| if d.from == udp(2) { Fate::Lost } else { Fate::Arrives });
    // Exchanges that owe, that wait, that idle; handshakes in both roles.
    let exchange = net.say(0, a, 2);
    let idle = net.call(0, |m, cx| m.open_exchange(cx.now, a)).unwrap();
    net.dial_case(0, 1, 1, 200);
    net.dial_pase(0, 1, PASSCODE);
    net.pump();
    net.now += DAY;
    // With nobody polling what there is to send.
    for n in 0..2 {
        for _ in 0..10 {
            net.call(n, |manager, cx| manager.handle_timeout(cx));
        }
    }
    net.on_send(|_| Fate::Arrives);
    net.run(60_000);
    assert!(net.node(0).acknowledged(exchange) || net.node(0).undelivered(exchange));
    assert_eq!(net.node(0).manager.max_payload(idle, crate::net::IM), None);
    net.assert_clean();
}

#[test]
fn an_hour_without_a_call_to_handle_timeout_loses_nothing() {
    let (mut net, a, _) = Net::with_case();
    net.on_send(|_| Fate::Lost);
    let exchange = net.say(0, a, 2);
    net.pump();
    net.on_send(|_| Fate::Arrives);
    net.now += 3_600_000;
    // However late, it is sent again once, and counts as one transmission.
    let since = net.sent.len();
    net.call(0, |manager, cx| manager.handle_timeout(cx));
    net.pump();
    assert_eq!(net.sent_by(0, since).len(), 1);
    net.run(1000);
    assert!(net.node(0).acknowledged(exchange));
    net.assert_clean();
}

#[test]
fn transmissions_that_nobody_takes_do_not_count() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.say(0, a, 2);
    for _ in 0..100 {
        net.now += 10_000;
        net.call(0, |manager, cx| manager.handle_timeout(cx));
    }
    net.run(1000);
    assert!(net.node(0).acknowledged(exchange));
    assert!(!net.node(0).undelivered(exchange));
    net.assert_clean();
}

#[test]
fn early_and_spurious_timeouts_do_no_harm() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.say(0, a, 2);
    net.on_send(|_| Fate::Lost);
    for _ in 0..1000 {
        net.call(0, |manager, cx| manager.handle_timeout(cx));
        net.pump();
    }
    assert_eq!(net.sent_by(0, net.sent.len() - 1).len(), 1, "sent once");
    net.on_send(|_| Fate::Arrives);
    net.run(5000);
    assert!(net.node(0).acknowledged(exchange));
    net.assert_clean();
}

#[test]
fn nodes_at_rest_ask_for_no_wakeup_before_their_records_expire() {
    let (mut net, ..) = Net::with_case();
    net.assert_clean();
    let rest = net.nodes[0].manager.poll_timeout().unwrap().as_millis();
    assert!(rest - net.now > 29 * DAY);
    net.node(0).manager.forget_records();
    net.pump();
    assert_eq!(net.nodes[0].manager.poll_timeout(), None);
    assert!(matches!(net.node(0).events[..], [Event::RecordChanged { .. }]));
}

#[test]
fn an_exchange_of_which_nobody_speaks_is_closed_after_a_minute() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.say(0, a, 2);
    net.run(59_000);
    assert_eq!(net.node(1).manager.exchange_count(), 1);
    net.answer(0, exchange, 4);
    net.run(59_000);
    assert_eq!(net.node(1).manager.exchange_count(), 1);
    net.run(3_000);
    assert_eq!(net.node(0).manager.exchange_count(), 0);
    assert_eq!(net.node(1).manager.exchange_count(), 0);
}
