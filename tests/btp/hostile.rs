//! A peer that sends anything: the session does what a plain count does, and ends at the first
//! fault.

use matter_session::btp::{BTP_MAX_SEGMENT, BtpConfig, BtpError, BtpSendError, BtpSession};
use matter_session_testing::btp::Plain;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{NOW, message, open, take};

#[test]
fn every_fault_of_a_packet_ends_the_session() {
    let long = [&[0x0D, 0, 0, 0xFF, 0][..], &message(243)].concat();
    for (packet, error) in [
        (&[][..], BtpError::Malformed),
        (&[0x05], BtpError::Malformed),
        (&[0x08], BtpError::Malformed),
        (&[0x08, 0], BtpError::Malformed),
        (&[0x0D, 0, 0, 1], BtpError::Malformed),
        // It neither acknowledges nor carries anything.
        (&[0x00, 0], BtpError::Malformed),
        // Nothing behind the header.
        (&[0x05, 0, 1, 0], BtpError::Malformed),
        (&[0x05, 0, 0, 0], BtpError::Malformed),
        (&[0x0C, 0, 0], BtpError::Malformed),
        // Something behind an acknowledgement.
        (&[0x08, 0, 0, 1], BtpError::Malformed),
        // It begins and continues.
        (&[0x03, 0, 1, 0, 7], BtpError::Malformed),
        (&[0x40, 0, 1], BtpError::Handshake),
        (&[0x25, 0x6C, 0, 1, 0, 7], BtpError::Handshake),
        // It continues nothing.
        (&[0x02, 0, 7], BtpError::Segment),
        (&[0x04, 0, 7], BtpError::Segment),
        (&[0x06, 0, 7], BtpError::Segment),
        // It announces more or less than there is.
        (&[0x05, 0, 0, 0, 7], BtpError::Length { len: 0 }),
        (&[0x05, 0, 2, 0, 7], BtpError::Length { len: 2 }),
        (&[0x05, 0, 1, 0, 7, 7], BtpError::Length { len: 1 }),
        (&[0x01, 0, 1, 0, 7, 7], BtpError::Length { len: 1 }),
        (&[0x01, 0, 1, 5, 7], BtpError::MessageTooLarge { len: 1281, max: 1280 }),
        (&[0x01, 0, 255, 255, 7], BtpError::MessageTooLarge { len: 65_535, max: 1280 }),
        (&long, BtpError::PacketTooLong { len: 248, max: 247 }),
    ] {
        let [_, mut server] = open(6, 244);
        server.send(&[1]).unwrap();
        for _ in 0..2 {
            assert_eq!(server.handle_packet(packet, NOW), Err(error), "{packet:?}");
        }
        assert!(!server.is_open() && server.poll_timeout().is_none());
        assert_eq!(crate::next(&mut server), None);
        assert_eq!(server.send(&[1]), Err(BtpSendError::Closed(error)));
        assert_eq!(server.handle_timeout(NOW), Err(error));
        assert!(!server.has_room(1));
    }
}

#[test]
fn a_message_that_begins_inside_another_ends_the_session() {
    let [_, mut server] = open(6, 244);
    assert_eq!(take(&mut server, &[0x01, 0, 9, 0, 7]), None);
    assert_eq!(server.handle_packet(&[0x05, 1, 1, 0, 7], NOW), Err(BtpError::Segment));

    let [_, mut server] = open(6, 244);
    assert_eq!(take(&mut server, &[0x01, 0, 3, 0, 7]), None);
    assert_eq!(take(&mut server, &[0x02, 1, 8, 9]), None);
    // All bytes are there. What follows can only be too much.
    let error = BtpError::Length { len: 3 };
    assert_eq!(server.handle_packet(&[0x06, 2, 10], NOW), Err(error));
}

#[test]
fn a_value_of_the_whole_att_mtu_is_received() {
    let [_, mut server] = open(6, 244);
    let packet = [&[0x05, 0, 243, 0][..], &message(243)].concat();
    assert_eq!(take(&mut server, &packet), Some(message(243)));
}

/// What happens to a session that is open.
#[derive(Clone, Debug)]
enum Act {
    /// The peer sends these bytes.
    Bytes(Vec<u8>),
    /// The peer sends a packet that has the right number: flags, which of the packets in flight it
    /// acknowledges, the length that it announces, and its payload.
    Packet(u8, u8, u16, Vec<u8>),
    /// The application sends a message of this length.
    Send(usize),
    /// GATT takes packets, so many at most.
    Poll(usize),
}

fn acts() -> impl Strategy<Value = Act> {
    let flags = prop_oneof![
        8 => prop::sample::select(vec![1_u8, 2, 4, 5, 6, 8, 9, 10, 13, 14]),
        1 => any::<u8>(),
    ];
    let len = prop_oneof![5 => 1..40_u16, 1 => any::<u16>()];
    let payload = prop_oneof![1 => Just(Vec::new()), 6 => vec(any::<u8>(), 1..24)];
    prop_oneof![
        1 => vec(any::<u8>(), 0..30).prop_map(Act::Bytes),
        12 => (flags, any::<u8>(), len, payload)
            .prop_map(|(flags, ack, len, payload)| Act::Packet(flags, ack, len, payload)),
        2 => (0..90_usize).prop_map(Act::Send),
        5 => (0..4_usize).prop_map(Act::Poll),
    ]
}

/// A packet that has the right number, and mostly a right acknowledgement.
fn numbered(plain: &Plain, flags: u8, which: u8, len: u16, payload: &[u8]) -> Vec<u8> {
    let right = plain.may_be_acknowledged();
    let ack = right.get(usize::from(which) % right.len().max(1)).copied();
    // What is not in flight is acknowledged now and then.
    let flags = if ack.is_none() && which < 250 { flags & !8 } else { flags };
    let mut packet = vec![flags];
    if flags & 8 != 0 {
        packet.push(ack.unwrap_or(which));
    }
    packet.push(plain.next_from_peer());
    if flags & 1 != 0 {
        packet.extend(len.to_le_bytes());
    }
    packet.extend(payload);
    packet
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_packets_are_received_as_a_plain_count_receives_them(
        is_client: bool,
        window in prop_oneof![1..7_u8, any::<u8>()],
        honest_lengths: bool,
        acts in vec(acts(), 0..60),
    ) {
        let window = window.max(1);
        let [mut client, mut server] = open(window, 20);
        let (session, mut plain) = if is_client {
            (&mut client, Plain::client(window, (20, 20), crate::ROOM))
        } else {
            (&mut server, Plain::server(window, (20, 20), crate::ROOM))
        };
        let mut left = 0_usize;
        for act in acts {
            let packet = match act {
                Act::Bytes(bytes) => bytes,
                Act::Packet(flags, which, len, payload) if honest_lengths => {
                    // Messages have the length that they announce.
                    let (middle, end) = if left == 0 { (1, 5) } else { (2, 6) };
                    let total = if left == 0 { usize::from(len) } else { left };
                    let payload = &payload[..payload.len().min(total)];
                    left = total - payload.len();
                    let segment = if left == 0 { end } else { middle };
                    numbered(&plain, (flags & !7) | segment, which, len, payload)
                }
                Act::Packet(flags, which, len, payload) => {
                    numbered(&plain, flags, which, len, &payload)
                }
                Act::Send(len) => {
                    let _ = session.send(&message(len));
                    continue;
                }
                Act::Poll(most) => {
                    let mut packet = [0; BTP_MAX_SEGMENT];
                    for _ in 0..most {
                        let Some(sent) = session.poll_transmit(&mut packet, NOW) else { break };
                        plain.send(sent);
                    }
                    continue;
                }
            };
            let expected = plain.receive(&packet);
            let result = session.handle_packet(&packet, NOW);
            let result = result.map(|message| message.map(|bytes| bytes.to_vec()));
            prop_assert_eq!(&result, &expected);
            if let Err(error) = expected {
                prop_assert_eq!(session.handle_packet(&packet, NOW), Err(error));
                let mut packet = [0; BTP_MAX_SEGMENT];
                prop_assert_eq!(session.poll_transmit(&mut packet, NOW), None);
                return Ok(());
            }
        }
    }

    #[test]
    fn any_first_packets_are_a_handshake_or_end_the_session(
        packets in vec(vec(any::<u8>(), 0..12), 1..4),
        prefix: bool,
        is_client: bool,
    ) {
        let config = BtpConfig::default();
        let mut session: BtpSession<[u8; 64], [u8; 64]> = if is_client {
            BtpSession::client(config, [0; 64], [0; 64])
        } else {
            BtpSession::server(config, [0; 64], [0; 64])
        };
        let mut value = [0; BTP_MAX_SEGMENT];
        let mut has_ended = None;
        session.poll_transmit(&mut value, NOW);
        for packet in packets {
            let packet = if prefix { [&[0x65, 0x6C, 4][..], &packet].concat() } else { packet };
            let result = session.handle_packet(&packet, NOW).map(|message| message.is_some());
            prop_assert_ne!(result, Ok(true), "no message without a segment that has the flags");
            if let Some(error) = has_ended {
                prop_assert_eq!(result, Err(error));
            }
            has_ended = result.err();
            session.handle_subscription(NOW);
            if session.poll_transmit(&mut value, NOW).is_some() {
                prop_assert!(session.is_open());
            }
        }
        if session.is_open() {
            prop_assert!((20..=244).contains(&session.segment_size().unwrap()));
            prop_assert!((1..=6).contains(&session.window_size().unwrap()));
        }
    }
}
