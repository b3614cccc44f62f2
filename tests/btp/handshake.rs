//! Versions, packet lengths and windows; the two handshake packets.

use matter_session::btp::{BTP_CONN_RSP_TIMEOUT, BTP_SEND_ACK_TIMEOUT, BtpConfig, BtpError};

use crate::{NOW, client, message, next, next_at, open, server, take};

/// The response of a server with this configuration to a request.
fn response(config: BtpConfig, request: &[u8]) -> Result<Vec<u8>, BtpError> {
    let mut server = server(config);
    assert_eq!(server.handle_packet(request, NOW)?, None);
    server.handle_subscription(NOW);
    Ok(next(&mut server).expect("a response"))
}

/// A request for version 4 with this ATT_MTU and window.
fn request(att_mtu: u16, window: u8) -> [u8; 9] {
    let [low, high] = att_mtu.to_le_bytes();
    [0x65, 0x6C, 4, 0, 0, 0, low, high, window]
}

/// What a client with this configuration makes of a response: the lengths of its packets, and the
/// window.
fn accepted(config: BtpConfig, response: &[u8]) -> Result<(Option<u16>, Option<u8>), BtpError> {
    let mut client = client(config);
    next(&mut client).expect("a request");
    assert_eq!(client.handle_packet(response, NOW)?, None);
    Ok((client.segment_size(), client.window_size()))
}

/// A node that knows its ATT_MTU.
fn known() -> BtpConfig {
    BtpConfig::default().with_att_mtu(247)
}

#[test]
fn a_request_names_the_version_the_packet_length_and_the_window() {
    assert_eq!(next(&mut client(known())).unwrap(), [0x65, 0x6C, 4, 0, 0, 0, 244, 0, 6]);
    let unknown = BtpConfig::default().with_window(9);
    assert_eq!(next(&mut client(unknown)).unwrap(), [0x65, 0x6C, 4, 0, 0, 0, 23, 0, 9]);
    let mut client = client(known());
    next(&mut client).unwrap();
    assert_eq!(next(&mut client), None, "it is sent once");
}

#[test]
fn a_server_grants_the_least_of_both_sides() {
    let at = |att_mtu, window| BtpConfig::default().with_att_mtu(att_mtu).with_window(window);
    // Its own ATT_MTU and window, what the client asks for, what is granted.
    for (own, asked, granted) in [
        (at(247, 6), (244, 6), (244, 6)),
        (at(247, 6), (182, 4), (182, 4)),
        (at(100, 6), (244, 9), (97, 6)),
        (at(517, 200), (514, 255), (244, 200)),
        (at(247, 6), (0, 6), (244, 6)),
        (at(247, 6), (5, 1), (20, 1)),
        (at(0, 0), (244, 6), (20, 1)),
        // A server that does not know its ATT_MTU takes what a client names for the whole.
        (BtpConfig::default(), (185, 6), (182, 6)),
        (BtpConfig::default(), (u16::MAX, 6), (244, 6)),
        (BtpConfig::default(), (23, 6), (20, 6)),
        (BtpConfig::default(), (1, 6), (20, 6)),
        (BtpConfig::default(), (0, 6), (20, 6)),
    ] {
        let [low, high] = u16::to_le_bytes(granted.0);
        let expected = vec![0x65, 0x6C, 4, low, high, granted.1];
        assert_eq!(response(own, &request(asked.0, asked.1)), Ok(expected), "{own:?} {asked:?}");
    }
}

#[test]
fn a_version_in_common_is_found_in_any_place() {
    let expected = Ok(vec![0x65, 0x6C, 4, 185, 0, 6]);
    for versions in [
        [0x04, 0, 0, 0],
        [0x40, 0, 0, 0],
        [0x56, 0x04, 0, 0],
        [0x04, 0x56, 0, 0],
        [0x76, 0x85, 0x9A, 0x4B],
    ] {
        let [a, b, c, d] = versions;
        assert_eq!(response(known(), &[0x65, 0x6C, a, b, c, d, 185, 0, 6]), expected);
    }
    for versions in [[0; 4], [0x03, 0, 0, 0], [0x56, 0x78, 0x9A, 0xBC]] {
        let [a, b, c, d] = versions;
        let refused = response(known(), &[0x65, 0x6C, a, b, c, d, 185, 0, 6]);
        assert_eq!(refused, Err(BtpError::Version));
    }
}

#[test]
fn a_request_that_is_none_is_refused() {
    for broken in [
        &[][..],
        &[0x65],
        &request(185, 6)[..8],
        &[0x0D, 0x6C, 4, 0, 0, 0, 185, 0, 6],
        &[0x65, 0x6D, 4, 0, 0, 0, 185, 0, 6],
        &[0x6E, 0x6C, 4, 0, 0, 0, 185, 0, 6],
        &[0x05, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    ] {
        assert_eq!(response(known(), broken), Err(BtpError::Handshake), "{broken:?}");
    }
    assert_eq!(response(known(), &request(185, 0)), Err(BtpError::Window { size: 0 }));
}

#[test]
fn a_client_takes_what_it_is_granted_up_to_what_it_can() {
    let window = |size| [0x65, 0x6C, 4, 244, 0, size];
    assert_eq!(accepted(known(), &window(6)), Ok((Some(244), Some(6))));
    assert_eq!(accepted(known(), &window(1)), Ok((Some(244), Some(1))));
    for size in [0, 7, 255] {
        assert_eq!(accepted(known(), &window(size)), Err(BtpError::Window { size }));
    }
    let segment = |size: u16| {
        let [low, high] = size.to_le_bytes();
        [0x65, 0x6C, 4, low, high, 6]
    };
    let small = BtpConfig::default().with_att_mtu(100);
    assert_eq!(accepted(small, &segment(244)), Ok((Some(97), Some(6))));
    assert_eq!(accepted(small, &segment(60)), Ok((Some(60), Some(6))));
    assert_eq!(accepted(BtpConfig::default(), &segment(u16::MAX)), Ok((Some(244), Some(6))));
    assert_eq!(accepted(known(), &segment(20)), Ok((Some(20), Some(6))));
    assert_eq!(accepted(known(), &segment(17)), Ok((Some(17), Some(6))));
    for size in [0, 1, 16] {
        assert_eq!(accepted(known(), &segment(size)), Err(BtpError::SegmentSize { size }));
    }
}

/// A server that takes what is asked for as the whole ATT_MTU, and grants it less the header.
#[test]
fn a_client_of_any_att_mtu_takes_packets_without_the_header_twice() {
    for att_mtu in 0..300 {
        let config = BtpConfig::default().with_att_mtu(att_mtu);
        let [mut client, mut server] = [client(config), server(BtpConfig::default())];
        let asked = next(&mut client).unwrap();
        let granted = u16::from_le_bytes([asked[6], asked[7]]) - 3;
        take(&mut server, &asked);
        server.handle_subscription(NOW);
        let [low, high] = granted.to_le_bytes();
        next(&mut server).unwrap();
        let response = [0x65, 0x6C, 4, low, high, 6];
        assert_eq!(client.handle_packet(&response, NOW), Ok(None), "ATT_MTU {att_mtu}");
        assert_eq!(client.segment_size(), Some(granted));
        client.send(&message(100)).unwrap();
        // The server holds packets of 20 bytes or more, so that these fit.
        let mut arrived = None;
        while let Some(packet) = next(&mut client) {
            assert!(packet.len() <= usize::from(granted));
            arrived = take(&mut server, &packet);
            // Acknowledgements open the window again.
            let later = NOW + BTP_SEND_ACK_TIMEOUT;
            if let Some(ack) = next_at(&mut server, later) {
                take(&mut client, &ack);
            }
        }
        assert_eq!(arrived, Some(message(100)), "ATT_MTU {att_mtu}");
    }
}

#[test]
fn a_client_refuses_another_version_and_what_is_no_response() {
    for version in [0, 3, 5, 0x0F] {
        let refused = accepted(known(), &[0x65, 0x6C, version, 244, 0, 6]);
        assert_eq!(refused, Err(BtpError::Version));
    }
    for broken in [&[][..], &[0x65, 0x6C, 4, 244, 0], &[0x08, 0, 0], &[0x65, 0x6D, 4, 244, 0, 6]] {
        assert_eq!(accepted(known(), broken), Err(BtpError::Handshake));
    }
}

#[test]
fn a_server_answers_when_it_has_the_request_and_the_subscription() {
    let expected = [0x65, 0x6C, 4, 244, 0, 6];
    for subscribes_first in [true, false] {
        let mut server = server(known());
        if subscribes_first {
            server.handle_subscription(NOW);
        } else {
            take(&mut server, &request(244, 6));
        }
        assert_eq!(next(&mut server), None);
        assert!(!server.is_open());
        if subscribes_first {
            take(&mut server, &request(244, 6));
        } else {
            server.handle_subscription(NOW);
            server.handle_subscription(NOW);
        }
        assert_eq!(server.poll_timeout(), None, "it is this node's turn");
        assert_eq!(next(&mut server).unwrap(), expected);
        assert!(server.is_open());
        server.handle_subscription(NOW);
        assert_eq!(next(&mut server), None);
    }
}

#[test]
fn handshake_packets_at_any_other_time_end_the_session() {
    let response = [0x65, 0x6C, 4, 244, 0, 6];
    let mut early = client(known());
    assert_eq!(early.handle_packet(&response, NOW), Err(BtpError::Handshake));
    assert_eq!(next(&mut early), None, "nothing is sent after an error");

    let mut twice = server(known());
    take(&mut twice, &request(244, 6));
    assert_eq!(twice.handle_packet(&request(244, 6), NOW), Err(BtpError::Handshake));

    let [mut client, mut server] = open(6, 244);
    assert_eq!(server.handle_packet(&request(244, 6), NOW), Err(BtpError::Handshake));
    assert_eq!(client.handle_packet(&response, NOW), Err(BtpError::Handshake));
    assert!(!client.is_open() && !server.is_open());
    assert_eq!((client.segment_size(), client.window_size()), (None, None));
}

#[test]
fn a_client_that_gets_no_response_gives_up_after_five_seconds() {
    let mut client = client(known());
    assert_eq!(client.poll_timeout(), None, "nothing was sent yet");
    assert_eq!(client.handle_timeout(NOW + 10 * BTP_CONN_RSP_TIMEOUT), Ok(()));
    next(&mut client).unwrap();
    let end = NOW + BTP_CONN_RSP_TIMEOUT;
    assert_eq!((client.poll_timeout(), end.as_millis()), (Some(end), 6000));
    assert_eq!(client.handle_timeout(matter_session::Instant::from_millis(5999)), Ok(()));
    for _ in 0..2 {
        assert_eq!(client.handle_timeout(end), Err(BtpError::ResponseTimeout));
    }
    assert_eq!(client.poll_timeout(), None);
    let late = client.handle_packet(&[0x65, 0x6C, 4, 244, 0, 6], end);
    assert_eq!(late, Err(BtpError::ResponseTimeout));
}

#[test]
fn a_server_without_a_subscription_or_a_request_gives_up_after_five_seconds() {
    for subscribes in [true, false] {
        let mut server = server(known());
        assert_eq!(server.poll_timeout(), None);
        if subscribes {
            server.handle_subscription(NOW);
        } else {
            take(&mut server, &request(244, 6));
        }
        let end = NOW + BTP_CONN_RSP_TIMEOUT;
        assert_eq!(server.poll_timeout(), Some(end));
        assert_eq!(server.handle_timeout(end), Err(BtpError::ResponseTimeout));
        server.handle_subscription(end);
        assert_eq!(next_at(&mut server, end), None);
    }
}

#[test]
fn messages_may_be_queued_before_the_handshake_is_complete() {
    let [mut client, mut server] = [client(known()), server(known())];
    client.send(&message(50)).unwrap();
    server.send(&message(60)).unwrap();
    assert!(!client.is_settled());
    take(&mut server, &next(&mut client).unwrap());
    assert_eq!(next(&mut client), None);
    server.handle_subscription(NOW);
    take(&mut client, &next(&mut server).unwrap());
    assert_eq!(take(&mut client, &next(&mut server).unwrap()), Some(message(60)));
    assert_eq!(take(&mut server, &next(&mut client).unwrap()), Some(message(50)));
}
