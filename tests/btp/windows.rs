//! Who may send how much, and when packets are acknowledged.

use matter_session::btp::BtpError;

use crate::{NOW, message, next, open, take};

/// How many packets of a long message a session sends in a row.
fn in_a_row(session: &mut crate::Session) -> usize {
    session.send(&message(1000)).unwrap();
    core::iter::from_fn(|| next(session)).count()
}

#[test]
fn a_sender_stops_one_packet_before_the_window_is_full() {
    for window in [2, 3, 4, 6, 30] {
        // The first packet of a client has an acknowledgement; the others leave the last place.
        let [mut client, server] = open(window, 20);
        assert_eq!(in_a_row(&mut client), usize::from(window) - 1);
        // The response of a server waits for its acknowledgement.
        let mut server = server;
        assert_eq!(in_a_row(&mut server), usize::from(window) - 2);
    }
    let [mut client, mut server] = open(1, 20);
    assert_eq!(in_a_row(&mut client), 1, "with an acknowledgement");
    assert_eq!(in_a_row(&mut server), 0);
}

#[test]
fn the_last_place_is_for_a_packet_with_an_acknowledgement() {
    let [mut client, mut server] = open(4, 20);
    client.send(&message(100)).unwrap();
    let sent: Vec<_> = core::iter::from_fn(|| next(&mut client)).collect();
    assert_eq!(sent.len(), 3);
    // Something of the server, which acknowledges nothing: it has received nothing.
    server.send(&[1]).unwrap();
    assert_eq!(take(&mut client, &next(&mut server).unwrap()), Some(vec![1]));
    let last = next(&mut client).unwrap();
    assert_eq!(last[..3], [0x0A, 1, 3], "a segment that acknowledges packet 1");
    assert_eq!(next(&mut client), None);
    take(&mut client, &{
        for packet in sent.iter().chain([&last]) {
            take(&mut server, packet);
        }
        next(&mut server).unwrap()
    });
    assert_eq!(next(&mut client).unwrap()[..3], [0x0A, 2, 4]);
}

#[test]
fn two_free_places_are_acknowledged_at_once() {
    let [mut client, mut server] = open(6, 20);
    client.send(&message(100)).unwrap();
    for n in 0..3 {
        take(&mut server, &next(&mut client).unwrap());
        assert_eq!(next(&mut server), None, "packet {n} leaves three places or more");
    }
    take(&mut server, &next(&mut client).unwrap());
    // Flags, acknowledged, number.
    assert_eq!(next(&mut server).unwrap(), [0x08, 3, 1]);
    assert_eq!(next(&mut server), None);
}

#[test]
fn a_message_that_waits_takes_the_acknowledgement_along() {
    let [mut client, mut server] = open(6, 20);
    client.send(&message(100)).unwrap();
    for _ in 0..4 {
        take(&mut server, &next(&mut client).unwrap());
    }
    server.send(&[9]).unwrap();
    assert_eq!(next(&mut server).unwrap(), [0x0D, 3, 1, 1, 0, 9]);
    assert_eq!(next(&mut server), None);
}

#[test]
fn numbers_wrap_after_255() {
    let mut ends = open(6, 20);
    for round in 0..600_usize {
        let [client, server] = &mut ends;
        client.send(&[round as u8]).unwrap();
        let packet = next(client).unwrap();
        assert_eq!(packet[2], (round % 256) as u8);
        assert_eq!(take(server, &packet), Some(vec![round as u8]));
        server.send(&[7]).unwrap();
        let packet = next(server).unwrap();
        assert_eq!(packet[1..3], [(round % 256) as u8, ((round + 1) % 256) as u8]);
        take(client, &packet).unwrap();
    }
}

#[test]
fn only_packets_in_flight_can_be_acknowledged() {
    // The client sends packets 0 to 2, and 1 is acknowledged. Then each number is tried.
    for number in 0..=255 {
        let [mut client, _] = open(6, 20);
        client.send(&message(45)).unwrap();
        assert_eq!(core::iter::from_fn(|| next(&mut client)).count(), 3);
        assert_eq!(take(&mut client, &[0x08, 1, 1]), None);
        let result = client.handle_packet(&[0x08, number, 2], NOW);
        if number == 2 {
            assert_eq!(result, Ok(None));
            let again = client.handle_packet(&[0x08, number, 3], NOW);
            assert_eq!(again, Err(BtpError::Acknowledgement { number }));
        } else {
            assert_eq!(result, Err(BtpError::Acknowledgement { number }));
        }
    }
    let [_, mut server] = open(6, 20);
    let error = BtpError::Acknowledgement { number: 1 };
    assert_eq!(server.handle_packet(&[0x08, 1, 0], NOW), Err(error));
}

#[test]
fn only_the_next_number_is_received() {
    for received in 1..=255 {
        let [_, mut server] = open(6, 20);
        let error = BtpError::Sequence { expected: 0, received };
        assert_eq!(server.handle_packet(&[0x05, received, 1, 0, 9], NOW), Err(error));
    }
    let [_, mut server] = open(6, 20);
    take(&mut server, &[0x05, 0, 1, 0, 9]).unwrap();
    let error = BtpError::Sequence { expected: 1, received: 0 };
    assert_eq!(server.handle_packet(&[0x05, 0, 1, 0, 9], NOW), Err(error), "a repetition");
}

#[test]
fn a_peer_may_exceed_the_window_by_one_packet_and_no_more() {
    // connectedhomeip miscounts by one when its numbers wrap.
    for window in [1, 4, 6, 255] {
        let [_, mut server] = open(window, 20);
        // Nothing is polled, so nothing is acknowledged.
        for number in 0..=window {
            assert_eq!(take(&mut server, &[0x05, number, 1, 0, 9]), Some(vec![9]));
        }
        let last = [0x05, window.wrapping_add(1), 1, 0, 9];
        let error = BtpError::WindowExceeded { size: window };
        assert_eq!(server.handle_packet(&last, NOW), Err(error));
    }
}

#[test]
fn small_windows_do_not_answer_acknowledgements_at_once() {
    for window in 1..=6 {
        let [mut client, mut server] = open(window, 20);
        client.send(&[1]).unwrap();
        take(&mut server, &next(&mut client).unwrap()).unwrap();
        let Some(ack) = next(&mut server) else {
            assert!(window > 3);
            continue;
        };
        assert!(window <= 3, "one packet leaves two places");
        assert_eq!(take(&mut client, &ack), None);
        assert_eq!(next(&mut client), None, "window {window}");
    }
}
