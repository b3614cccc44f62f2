//! When packets are acknowledged at the latest, and when a session ends.

use core::time::Duration;

use matter_session::btp::{
    BTP_ACK_TIMEOUT, BTP_CONN_IDLE_TIMEOUT, BTP_SEND_ACK_TIMEOUT, BtpConfig, BtpError, BtpSendError,
};
use matter_session::time::Instant;

use crate::{NOW, Session, message, next, next_at, open, take};

#[test]
fn what_is_received_is_acknowledged_before_half_of_the_timeout() {
    assert!(2 * BTP_SEND_ACK_TIMEOUT < BTP_ACK_TIMEOUT);
    let [mut client, mut server] = open(6, 244);
    client.send(&[1]).unwrap();
    take(&mut server, &next(&mut client).unwrap()).unwrap();
    let due = NOW + BTP_SEND_ACK_TIMEOUT;
    assert_eq!(server.poll_timeout(), Some(due));
    assert_eq!(server.handle_timeout(Instant::from_millis(due.as_millis() - 1)), Ok(()));
    assert_eq!(next(&mut server), None);
    assert_eq!(server.handle_timeout(due), Ok(()));
    assert_eq!(next_at(&mut server, due).unwrap(), [0x08, 0, 1]);
}

#[test]
fn a_client_acknowledges_the_response() {
    let [mut client, mut server] = open(6, 244);
    let due = NOW + BTP_SEND_ACK_TIMEOUT;
    assert_eq!(client.poll_timeout(), Some(due));
    client.handle_timeout(due).unwrap();
    let ack = next_at(&mut client, due).unwrap();
    assert_eq!(ack, [0x08, 0, 0]);
    assert_eq!(server.handle_packet(&ack, due), Ok(None));
}

#[test]
fn a_packet_that_is_not_acknowledged_ends_the_session_after_fifteen_seconds() {
    for role in 0..2 {
        let mut ends = open(6, 244);
        let end = &mut ends[role];
        let first = NOW + Duration::from_secs(2 * role as u64);
        if role == 0 {
            end.send(&[1]).unwrap();
            next(end).unwrap();
        }
        // More packets do not postpone it.
        end.send(&[2]).unwrap();
        next_at(end, first).unwrap();
        let over = NOW + BTP_ACK_TIMEOUT;
        assert_eq!(end.poll_timeout(), Some(over));
        assert_eq!(end.handle_timeout(Instant::from_millis(over.as_millis() - 1)), Ok(()));
        assert_eq!(end.handle_timeout(over), Err(BtpError::AckTimeout));
        assert_eq!(end.send(&[1]), Err(BtpSendError::Closed(BtpError::AckTimeout)));
        assert_eq!(end.poll_timeout(), None);
    }
}

#[test]
fn an_acknowledgement_of_some_packets_starts_the_timer_anew() {
    let [mut client, _] = open(6, 20);
    client.send(&message(45)).unwrap();
    assert_eq!(core::iter::from_fn(|| next(&mut client)).count(), 3);
    let later = NOW + Duration::from_secs(10);
    client.handle_packet(&[0x08, 1, 1], later).unwrap();
    client.handle_timeout(NOW + BTP_ACK_TIMEOUT).unwrap();
    assert_eq!(client.handle_timeout(later + BTP_ACK_TIMEOUT), Err(BtpError::AckTimeout));
}

/// Lets time pass for two ends whose packets arrive at once, until it is so late or one has ended.
fn idle(ends: &mut [Session; 2], from: Instant, until: Instant) -> (Result<(), BtpError>, usize) {
    let (mut packets, mut now) = (0, from);
    loop {
        for end in 0..2 {
            while let Some(packet) = next_at(&mut ends[end], now) {
                ends[1 - end].handle_packet(&packet, now).unwrap();
                packets += 1;
            }
        }
        let next = ends.iter().filter_map(Session::poll_timeout).min().unwrap();
        assert!(next > now, "a timer that has fired is off");
        if next > until {
            return (Ok(()), packets);
        }
        now = next;
        for end in &mut *ends {
            if let Err(error) = end.handle_timeout(now) {
                return (Err(error), packets);
            }
        }
    }
}

#[test]
fn a_client_ends_a_session_over_which_no_message_is_sent_for_thirty_seconds() {
    let mut ends = open(6, 244);
    let over = NOW + BTP_CONN_IDLE_TIMEOUT;
    assert_eq!(idle(&mut ends, NOW, Instant::from_millis(over.as_millis() - 1)).0, Ok(()));
    assert_eq!(ends[0].handle_timeout(over), Err(BtpError::IdleTimeout));

    // A message in either direction postpones it.
    for role in 0..2 {
        let mut ends = open(6, 244);
        let later = NOW + Duration::from_secs(20);
        assert_eq!(idle(&mut ends, NOW, later).0, Ok(()));
        ends[role].send(&[1]).unwrap();
        let over = later + BTP_CONN_IDLE_TIMEOUT;
        let before = Instant::from_millis(over.as_millis() - 1);
        assert_eq!(idle(&mut ends, later, before).0, Ok(()));
        assert_eq!(ends[0].handle_timeout(over), Err(BtpError::IdleTimeout));
        assert_eq!(ends[1].handle_timeout(over), Ok(()));
    }
}

#[test]
fn an_idle_session_keeps_itself_alive_for_as_long_as_the_client_wants() {
    for window in [1, 2, 3, 4, 255] {
        let hour = Duration::from_secs(3600);
        let config = BtpConfig::default().with_window(window).with_idle_timeout(2 * hour);
        let mut ends = [crate::client(config), crate::server(config)];
        let request = next(&mut ends[0]).unwrap();
        take(&mut ends[1], &request);
        ends[1].handle_subscription(NOW);
        let (result, packets) = idle(&mut ends, NOW, NOW + hour);
        assert_eq!(result, Ok(()));
        // The response, and one acknowledgement every 2.5 s.
        assert_eq!(packets, 1 + 3600 * 2 / 5);
    }
}

#[test]
fn an_acknowledgement_for_which_the_window_has_no_place_waits_for_one() {
    let [mut client, _] = open(4, 20);
    client.send(&message(1000)).unwrap();
    take(&mut client, &[0x05, 1, 1, 0, 9]).unwrap();
    assert_eq!(core::iter::from_fn(|| next(&mut client)).count(), 3);
    take(&mut client, &[0x05, 2, 1, 0, 9]).unwrap();
    assert_eq!(next(&mut client).unwrap()[0], 0x0A, "the last place");
    take(&mut client, &[0x05, 3, 1, 0, 9]).unwrap();
    let due = NOW + BTP_SEND_ACK_TIMEOUT;
    client.handle_timeout(due).unwrap();
    assert_eq!(next_at(&mut client, due), None);
    assert_eq!(client.poll_timeout(), Some(NOW + BTP_ACK_TIMEOUT), "not again and again");
    take(&mut client, &[0x08, 0, 4]);
    assert_eq!(next_at(&mut client, due).unwrap()[..2], [0x0A, 4]);
}

#[test]
fn a_session_is_settled_when_its_messages_have_arrived() {
    let [mut client, mut server] = open(6, 20);
    assert!(client.is_settled() && server.is_settled());
    client.send(&message(20)).unwrap();
    assert!(!client.is_settled());
    take(&mut server, &next(&mut client).unwrap());
    take(&mut server, &next(&mut client).unwrap()).unwrap();
    assert!(!client.is_settled());
    let due = NOW + BTP_SEND_ACK_TIMEOUT;
    server.handle_timeout(due).unwrap();
    let ack = next_at(&mut server, due).unwrap();
    assert!(server.is_settled(), "an acknowledgement is no message");
    client.handle_packet(&ack, due).unwrap();
    assert!(client.is_settled());
}
