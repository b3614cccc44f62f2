//! One end of an exchange, by itself.

use core::time::Duration;

use matter_session::exchange::{
    Exchange, MRP_MAX_TRANSMISSIONS, Receipt, backoff, max_transmission_time,
};
use matter_session::ids::{ExchangeId, MessageCounter, MessageType, ProtocolId};
use matter_session::time::Instant;
use matter_session::wire::ProtocolHeader;
use matter_session_testing::{chip, list, matterjs};

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn counter(value: u32) -> MessageCounter {
    MessageCounter::new(value)
}

/// A message of the peer, which began the exchange.
fn message(needs_ack: bool, ack: Option<u32>) -> ProtocolHeader {
    ProtocolHeader {
        exchange: ExchangeId::new(5),
        protocol: ProtocolId::INTERACTION_MODEL,
        opcode: 2,
        initiator: true,
        needs_ack,
        ack: ack.map(counter),
    }
}

fn exchange() -> Exchange<Vec<u8>> {
    Exchange::new(ExchangeId::new(5), false, at(0))
}

fn settle(exchange: &mut Exchange<Vec<u8>>, now: u64) -> Vec<u32> {
    let mut acks = Vec::new();
    while let Some(header) = exchange.next_ack() {
        assert!(!header.needs_ack);
        acks.push(header.ack.unwrap().get());
        exchange.sent(&header, at(now));
    }
    acks
}

const DELIVERED: Receipt = Receipt { deliver: true, acknowledged: false };

#[test]
fn an_acknowledgement_waits_200_ms_for_a_ride() {
    let mut exchange = exchange();
    assert_eq!(exchange.receive(&message(true, None), counter(7), false, at(0)), DELIVERED);
    assert_eq!(exchange.poll_timeout(), Some(at(200)));
    assert!(!exchange.has_output());
    assert!(!exchange.handle_timeout(at(199)));
    assert!(exchange.next_ack().is_none());
    assert!(!exchange.handle_timeout(at(200)));
    assert_eq!(settle(&mut exchange, 200), [7]);
    assert!(exchange.is_settled());
}

#[test]
fn a_message_carries_the_acknowledgement_and_later_ones_repeat_it() {
    let mut exchange = exchange();
    let _ = exchange.receive(&message(true, None), counter(7), false, at(0));
    for opcode in 3..6 {
        let header = exchange.header(ProtocolId::INTERACTION_MODEL, opcode, true);
        assert_eq!(header.ack, Some(counter(7)));
        assert!(!header.initiator && header.needs_ack);
        exchange.sent(&header, at(1));
        assert!(exchange.is_settled());
    }
}

#[test]
fn a_second_reliable_message_flushes_the_acknowledgement_of_the_first() {
    let mut exchange = exchange();
    let _ = exchange.receive(&message(true, None), counter(7), false, at(0));
    let _ = exchange.receive(&message(true, None), counter(8), false, at(10));
    assert_eq!(settle(&mut exchange, 10), [7]);
    assert_eq!(exchange.poll_timeout(), Some(at(210)));
    exchange.flush_ack();
    assert_eq!(settle(&mut exchange, 10), [8]);
}

#[test]
fn a_duplicate_is_answered_at_once_and_its_acknowledgement_is_not_looked_at() {
    let mut exchange = exchange();
    let _ = exchange.receive(&message(true, None), counter(6), false, at(0));
    let _ = exchange.receive(&message(true, None), counter(7), false, at(0));
    assert_eq!(settle(&mut exchange, 0), [6]);
    let header = exchange.header(ProtocolId::INTERACTION_MODEL, 3, true);
    exchange.sent(&header, at(0));
    exchange.launch(vec![1, 2, 3], 0..3, counter(50), true, Instant::ZERO);
    let receipt = exchange.receive(&message(true, Some(50)), counter(6), true, at(5));
    assert_eq!(receipt, Receipt { deliver: false, acknowledged: false });
    assert_eq!(settle(&mut exchange, 5), [6]);
    assert!(exchange.is_in_flight());
    let quiet = exchange.receive(&message(false, None), counter(6), true, at(5));
    assert!(!quiet.deliver && exchange.next_ack().is_none());
    let receipt = exchange.receive(&message(false, Some(50)), counter(9), false, at(6));
    assert_eq!(receipt, Receipt { deliver: true, acknowledged: true });
    assert!(exchange.is_settled());
}

#[test]
fn a_duplicate_brings_the_next_transmission_of_its_answer_forward_and_none_of_the_later_ones() {
    let mut exchange = exchange();
    let wait = |n: u8| Duration::from_millis(100 * (u64::from(n) + 1));
    let _ = exchange.receive(&message(true, None), counter(7), false, at(0));
    let header = exchange.header(ProtocolId::INTERACTION_MODEL, 3, true);
    exchange.sent(&header, at(0));
    exchange.launch(vec![1], 0..1, counter(50), true, Instant::ZERO);
    let mut sent = Vec::new();
    let mut given_up = None;
    for now in 0..2000 {
        // A copy in each millisecond; the answer or an acknowledgement leaves for each.
        let _ = exchange.receive(&message(true, None), counter(7), true, at(now));
        assert!(exchange.has_output());
        if exchange.take_transmission(at(now), wait) {
            sent.push(now);
        }
        settle(&mut exchange, now);
        if exchange.handle_timeout(at(now)) {
            given_up = Some(now);
            break;
        }
    }
    assert_eq!(sent, [0, 1, 301, 302, 1002], "alone: 0, 100, 300, 600, 1000");
    assert_eq!(given_up, Some(1502));
}

#[test]
fn a_late_duplicate_does_not_turn_the_acknowledgement_back() {
    let mut exchange = exchange();
    for value in [u32::MAX, 0, 1] {
        let _ = exchange.receive(&message(true, None), counter(value), false, at(0));
        exchange.flush_ack();
        settle(&mut exchange, 0);
    }
    let _ = exchange.receive(&message(true, None), counter(u32::MAX), true, at(1));
    assert_eq!(settle(&mut exchange, 1), [u32::MAX]);
    let header = exchange.header(ProtocolId::INTERACTION_MODEL, 3, true);
    assert_eq!(header.ack, Some(counter(1)));
}

#[test]
fn a_foreign_or_old_acknowledgement_is_ignored() {
    let mut exchange = exchange();
    exchange.launch(vec![0; 8], 2..6, counter(50), true, Instant::ZERO);
    let _ = exchange.receive(&message(false, Some(49)), counter(1), false, at(1));
    assert!(exchange.is_in_flight());
}

#[test]
fn five_transmissions_of_the_same_octets_then_it_gives_up() {
    let mut exchange = exchange();
    let wait = |n: u8| Duration::from_millis(100 * (u64::from(n) + 1));
    exchange.launch(vec![9, 8, 7, 6], 1..4, counter(50), true, Instant::ZERO);
    let (mut sent, mut now) = (0, at(0));
    let given_up = loop {
        if exchange.take_transmission(now, wait) {
            assert_eq!(exchange.datagram(), [8, 7, 6]);
            sent += 1;
        }
        now = exchange.poll_timeout().unwrap();
        if exchange.handle_timeout(now) {
            break now;
        }
    };
    assert_eq!(sent, MRP_MAX_TRANSMISSIONS);
    assert_eq!(given_up.as_millis(), 100 + 200 + 300 + 400 + 500);
    assert!(exchange.is_settled() && exchange.datagram().is_empty());
}

#[test]
fn the_wait_begins_when_a_transmission_is_taken() {
    let mut exchange = exchange();
    let wait = |_| Duration::from_millis(300);
    exchange.launch(vec![1], 0..1, counter(50), true, Instant::ZERO);
    for (taken, due) in [(5000, 5300), (9000, 9300)] {
        assert_eq!(exchange.poll_timeout(), None, "nothing is waited for yet");
        assert!(!exchange.handle_timeout(at(taken)) && exchange.has_output());
        assert!(exchange.take_transmission(at(taken), wait));
        assert_eq!(exchange.poll_timeout(), Some(at(due)));
        assert!(!exchange.handle_timeout(at(due - 1)) && !exchange.has_output());
        assert!(!exchange.handle_timeout(at(due)) && exchange.has_output());
    }
}

#[test]
fn over_a_reliable_transport_a_message_is_sent_once() {
    let mut exchange = exchange();
    exchange.launch(vec![1], 0..1, counter(50), false, Instant::ZERO);
    assert!(exchange.is_in_flight());
    assert_eq!(exchange.poll_timeout(), None);
    let never = |_| panic!("nothing to wait for");
    assert!(exchange.take_transmission(at(0), never));
    assert!(!exchange.take_transmission(at(0), never));
    assert!(exchange.is_settled());
}

#[test]
fn the_acknowledgements_that_wait_are_bounded_and_none_is_lost() {
    let mut exchange = exchange();
    let mut received = 0;
    while exchange.has_room_for_ack() {
        let _ = exchange.receive(&message(true, None), counter(received), false, at(0));
        received += 1;
    }
    // Nothing more is received, but copies are; and time passes.
    for value in 0..received {
        let _ = exchange.receive(&message(true, None), counter(value), true, at(0));
    }
    exchange.flush_ack();
    assert!(!exchange.handle_timeout(at(1000)));
    assert_eq!(exchange.poll_timeout(), Some(at(1200)), "later");
    assert_eq!(exchange.acks_owed(), 3);
    assert_eq!(settle(&mut exchange, 1000), [0, 1]);
    assert!(!exchange.handle_timeout(at(1200)));
    assert_eq!(settle(&mut exchange, 1200), [2]);
    assert!(exchange.is_settled());
}

#[test]
fn a_message_that_waits_to_be_sealed_counts_as_in_flight() {
    let mut exchange = exchange();
    exchange.hold(vec![1], MessageType::READ_REQUEST, at(5));
    assert!(exchange.is_waiting() && exchange.is_in_flight() && !exchange.has_output());
    assert_eq!((exchange.poll_timeout(), exchange.unacknowledged()), (None, None));
    let _ = exchange.receive(&message(false, Some(50)), counter(1), false, at(6));
    let (held, kind) = exchange.take_waiting().unwrap();
    assert_eq!((held, kind), (vec![1], MessageType::READ_REQUEST));
    exchange.launch(vec![1], 0..1, counter(50), true, Instant::ZERO);
    assert_eq!(exchange.unacknowledged(), Some(counter(50)));
    assert!(exchange.take_waiting().is_none() && exchange.has_output());
}

/// Both ends of a row: `backoff` with the least and the most jitter lies between them, give or
/// take the milliseconds that integer arithmetic cuts off.
fn check(base: u64, n: u8, min: u64, max: u64) {
    let wait = |jitter| backoff(Duration::from_millis(base), n, jitter).as_millis() as u64;
    let slack = 2 + max / 1000;
    assert!((min - slack..=max + slack).contains(&wait(0)), "{base} {n}: {}", wait(0));
    assert!((min..=max).contains(&wait(255)), "{base} {n}: {}", wait(255));
    assert!(wait(0).abs_diff(min) <= slack && wait(255).abs_diff(max) <= 2 + max / 200);
}

#[test]
fn backoff_matches_matter_js() {
    for row in list(&matterjs()["mrp"]["table"], 10) {
        let number = |name: &str| row[name].as_u64().unwrap();
        check(number("baseMs"), number("n") as u8, number("minMs"), number("maxMs"));
    }
}

#[test]
fn backoff_matches_connectedhomeip() {
    let Some(chip) = chip() else { return };
    for row in list(&chip["mrp_backoff"]["vectors"], 15) {
        let number = |name: &str| row[name].as_u64().unwrap();
        check(number("base_ms"), number("attempt") as u8, number("min_ms"), number("max_ms"));
    }
}

#[test]
fn the_longest_wait_is_the_sum_of_all() {
    let (idle, active) = (Duration::from_millis(500), Duration::from_millis(300));
    let total = max_transmission_time(idle, active, Duration::ZERO);
    let first = backoff(idle, 0, 255);
    let later: Duration = (1..5).map(|n| backoff(active, n, 255)).sum();
    assert_eq!(total, first + later);
}
