//! Callers that come late, and nodes at rest.

use matter_session::manager::Event;

use crate::net::{Fate, Net};

const DAY: u64 = 24 * 3600 * 1000;

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
    net.call(0, |m, cx| m.records_mut().forget_all(cx));
    net.pump();
    assert_eq!(net.nodes[0].manager.poll_timeout(), None);
    assert!(matches!(net.node(0).events[..], [Event::RecordChanged { .. }]));
}

#[test]
fn an_exchange_of_which_nobody_speaks_is_closed_after_five_minutes() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.say(0, a, 2);
    net.run(299_000);
    assert_eq!(net.node(1).manager.sessions().exchange_count(), 1);
    net.answer(0, exchange, 4);
    net.run(299_000);
    assert_eq!(net.node(1).manager.sessions().exchange_count(), 1);
    net.run(3_000);
    // Here it has begun when the response was overdue.
    assert_eq!(net.node(0).manager.sessions().exchange_count(), 1);
    net.run(10_000);
    assert_eq!(net.node(0).manager.sessions().exchange_count(), 0);
    assert_eq!(net.node(1).manager.sessions().exchange_count(), 0);
}
