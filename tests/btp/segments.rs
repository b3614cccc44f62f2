//! How messages are cut into packets, and put together.

use matter_session::btp::{BtpError, BtpSendError, BtpSession};
use matter_session_testing::hex;

use crate::{NOW, ROOM, message, next, open, take};

#[test]
fn a_message_that_fits_is_one_packet_with_both_ends() {
    let [mut client, mut server] = open(6, 244);
    // The first packet of a client acknowledges the response: flags, acknowledged, number, length.
    let payload = hex(&"0400000049b6a902a9a5773dbb8cafd90120a7c7000015300120cb0c120a3499327ddaec4\
                        ebe60889df0f1bf80d8a4dea1dd6ffef16ef58ecafe25028e17240300280418"
        .into());
    client.send(&payload).unwrap();
    let packet = next(&mut client).unwrap();
    assert_eq!(packet, [&[0x0D, 0, 0, 0x44, 0], &payload[..]].concat());
    assert_eq!(take(&mut server, &packet), Some(payload));
    // The first message of a server is packet 1.
    server.send(&[0xFF]).unwrap();
    let packet = next(&mut server).unwrap();
    assert_eq!(packet, [0x0D, 0, 1, 1, 0, 0xFF]);
    assert_eq!(take(&mut client, &packet), Some(vec![0xFF]));
    client.send(&[0xFE]).unwrap();
    assert_eq!(next(&mut client).unwrap(), [0x0D, 1, 1, 1, 0, 0xFE]);
    client.send(&[0xFD]).unwrap();
    assert_eq!(next(&mut client).unwrap(), [0x05, 2, 1, 0, 0xFD], "nothing to acknowledge");
}

#[test]
fn a_longer_message_is_cut_into_full_packets() {
    let [mut client, mut server] = open(6, 20);
    client.send(&message(1)).unwrap();
    take(&mut server, &next(&mut client).unwrap()).unwrap();
    // 40 bytes in packets of 20: 16 behind a header of 4, 18 and 6 behind headers of 2.
    let long = message(40);
    client.send(&long).unwrap();
    let packets: Vec<_> = core::iter::from_fn(|| next(&mut client)).collect();
    let expected = [
        [&[0x01, 1, 40, 0], &long[..16]].concat(),
        [&[0x02, 2], &long[16..34]].concat(),
        [&[0x06, 3], &long[34..]].concat(),
    ];
    assert_eq!(packets, expected);
    assert_eq!(take(&mut server, &packets[0]), None);
    assert_eq!(take(&mut server, &packets[1]), None);
    assert_eq!(take(&mut server, &packets[2]), Some(long));
}

#[test]
fn an_acknowledgement_takes_the_place_of_one_byte() {
    let [mut client, _] = open(6, 20);
    // 15 bytes behind a header of 5.
    client.send(&message(15)).unwrap();
    assert_eq!(next(&mut client).unwrap().len(), 20);
    let [mut client, _] = open(6, 20);
    client.send(&message(16)).unwrap();
    assert_eq!(next(&mut client).unwrap()[0], 0x09);
    assert_eq!(next(&mut client).unwrap(), [0x06, 1, 15]);
}

#[test]
fn an_end_without_the_flag_of_a_continuation_is_one() {
    let [_, mut server] = open(6, 244);
    assert_eq!(take(&mut server, &[0x09, 0, 0, 3, 0, 0xFD]), None);
    assert_eq!(take(&mut server, &[0x02, 1, 0xFE]), None);
    assert_eq!(take(&mut server, &[0x04, 2, 0xFF]), Some(vec![0xFD, 0xFE, 0xFF]));
}

#[test]
fn reserved_flags_are_ignored() {
    let [_, mut server] = open(6, 244);
    assert_eq!(take(&mut server, &[0x90 | 0x0D, 0, 0, 1, 0, 7]), Some(vec![7]));
}

#[test]
fn every_length_arrives_in_every_packet_length() {
    for segment in [20, 21, 97, 243, 244] {
        let mut ends = open(6, segment);
        for len in (1..70).chain(230..260).chain([ROOM - 2]) {
            let (from, to) = (len % 2, 1 - len % 2);
            ends[from].send(&message(len)).unwrap();
            let arrived = loop {
                let packet = next(&mut ends[from]).expect("windows are open");
                assert!(packet.len() <= segment.into());
                let arrived = take(&mut ends[to], &packet);
                // What the other side acknowledges at once.
                if let Some(ack) = next(&mut ends[to]) {
                    assert_eq!(take(&mut ends[from], &ack), None);
                }
                if let Some(arrived) = arrived {
                    break arrived;
                }
            };
            assert_eq!(arrived, message(len));
        }
    }
}

#[test]
fn messages_wait_in_their_order_and_the_queue_says_when_it_is_full() {
    let [mut client, mut server] = open(200, 244);
    for len in [600, 1, 600] {
        client.send(&message(len)).unwrap();
    }
    // 1,280 less three lengths of 2, less 1,201.
    assert!(client.has_room(71) && !client.has_room(72));
    assert_eq!(client.send(&message(72)), Err(BtpSendError::Full));
    client.send(&message(71)).unwrap();
    assert_eq!(client.send(&[1]), Err(BtpSendError::Full));
    assert_eq!(client.send(&message(1278)), Err(BtpSendError::Full));
    assert_eq!(client.send(&message(1279)), Err(BtpSendError::TooLarge { max: 1278 }));
    assert!(!client.is_settled());
    let mut lens = Vec::new();
    while let Some(packet) = next(&mut client) {
        lens.extend(take(&mut server, &packet).map(|arrived| arrived.len()));
    }
    assert_eq!(lens, [600, 1, 600, 71]);
    assert!(client.has_room(1278) && !client.has_room(1279));
}

#[test]
fn an_empty_message_is_not_queued() {
    let [mut client, _] = open(6, 244);
    assert_eq!(client.send(&[]), Err(BtpSendError::Empty));
    assert_eq!(next(&mut client), None);
}

#[test]
fn buffers_may_be_arrays_slices_boxes_and_vectors_even_of_no_bytes() {
    let config = matter_session::btp::BtpConfig::default();
    let (mut array, mut other) = ([0; 64], [0; 64]);
    let mut client = BtpSession::client(config, &mut array[..], vec![0; 1]);
    assert_eq!(client.send(&[1]), Err(BtpSendError::TooLarge { max: 0 }));
    let mut server = BtpSession::server(config, [0; 0], vec![0_u8; 64].into_boxed_slice());
    let mut packet = [0; 244];
    server.handle_packet(client.poll_transmit(&mut packet, NOW).unwrap(), NOW).unwrap();
    server.handle_subscription(NOW);
    client.handle_packet(server.poll_transmit(&mut packet, NOW).unwrap(), NOW).unwrap();
    server.send(b"to the client").unwrap();
    let sent = server.poll_transmit(&mut packet, NOW).unwrap();
    let arrived = client.handle_packet(sent, NOW).unwrap().unwrap();
    // The message may be decrypted in place.
    arrived[0] = b'T';
    assert_eq!(arrived, b"To the client");
    let error = BtpError::MessageTooLarge { len: 1, max: 0 };
    assert_eq!(server.handle_packet(&[0x0D, 1, 0, 1, 0, 9], NOW), Err(error));
    let mut huge = BtpSession::client(config, &mut other[..], vec![0; 70_000]);
    assert!(huge.has_room(65_535) && !huge.has_room(65_536));
    assert_eq!(huge.send(&vec![0; 65_536]), Err(BtpSendError::TooLarge { max: 65_535 }));
    huge.send(&vec![0; 65_535]).unwrap();
}

#[test]
fn nothing_of_a_message_is_printed() {
    let [mut client, _] = open(6, 244);
    client.send(b"a message").unwrap();
    let printed = format!("{client:?}");
    assert!(!printed.contains("97, 32"), "{printed}");
    assert!(printed.contains("end: 11"), "{printed}");
}
