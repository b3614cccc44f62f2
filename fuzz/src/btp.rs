//! One end of a BTP session, against a plain count.

use std::time::Duration;

use matter_session::btp::{BTP_MAX_SEGMENT, BtpConfig, BtpError, BtpSession};
use matter_session::time::Instant;
use matter_session_testing::btp::Plain;

use crate::Input;

/// Length of the buffers: a long message is too long now and then.
const ROOM: usize = 1280;

/// A client or a server whose peer sends anything. The input says what the two handshake packets
/// are, what the peer sends, and when the application sends, polls and looks at the clock.
pub fn btp(data: &[u8]) {
    let mut input = Input(data);
    let (flags, window, att_mtu) = (input.octet(), input.octet(), u16::from(input.octet()));
    let config = BtpConfig::default().with_window(window);
    let config = if flags & 1 == 0 { config } else { config.with_att_mtu(att_mtu) };
    let mut now = Instant::ZERO;
    let mut value = [0; BTP_MAX_SEGMENT];
    let is_client = flags & 2 != 0;
    let mut session = if is_client {
        BtpSession::client(config, [0; ROOM], [0; ROOM])
    } else {
        BtpSession::server(config, [0; ROOM], [0; ROOM])
    };
    session.poll_transmit(&mut value, now);
    let first = input.octets();
    if let Err(error) = session.handle_packet(first, now) {
        return assert_closed(session, error, now);
    }
    session.handle_subscription(now);
    let response = session.poll_transmit(&mut value, now).map_or(first, |sent| sent).to_vec();
    let (Some(size), Some(window)) = (session.segment_size(), session.window_size()) else {
        panic!("both handshake packets were there");
    };
    let granted = u16::from_le_bytes([response[3], response[4]]).min(BTP_MAX_SEGMENT as u16);
    let longest = (size, granted);
    let plain = if is_client { Plain::client } else { Plain::server };
    let mut plain = plain(window, longest, ROOM);

    while !input.is_empty() {
        match input.octet() % 8 {
            0 => {
                let packet = input.octets();
                if let Err(error) = take(&mut session, &mut plain, packet, now) {
                    return assert_closed(session, error, now);
                }
            }
            1..=3 => {
                let packet = numbered(&mut input, &plain);
                if let Err(error) = take(&mut session, &mut plain, &packet, now) {
                    return assert_closed(session, error, now);
                }
            }
            4 => drop(session.send(&vec![7; input.word().into()])),
            5 => {
                for _ in 0..=input.octet() % 4 {
                    let Some(sent) = session.poll_transmit(&mut value, now) else { break };
                    plain.send(sent);
                }
            }
            _ => {
                now = now + Duration::from_millis(u64::from(input.octet()) * 100);
                if let Err(error) = session.handle_timeout(now) {
                    match error {
                        BtpError::AckTimeout => assert!(plain.in_flight() != 0),
                        BtpError::IdleTimeout => assert!(is_client),
                        _ => panic!("{error}"),
                    }
                    return assert_closed(session, error, now);
                }
                assert!(session.poll_timeout().is_none_or(|next| next > now));
            }
        }
    }
}

type Session = BtpSession<[u8; ROOM], [u8; ROOM]>;

/// A packet with the right number, and mostly with a right acknowledgement.
fn numbered(input: &mut Input<'_>, plain: &Plain) -> Vec<u8> {
    let (flags, which) = (input.octet(), usize::from(input.octet()));
    let mut packet = vec![flags & 0x0F];
    if flags & 8 != 0 {
        let right = plain.may_be_acknowledged();
        packet.push(right.get(which % right.len().max(1)).copied().unwrap_or(which as u8));
    }
    packet.push(plain.next_from_peer());
    if flags & 1 != 0 {
        packet.extend((input.word() % 2048).to_le_bytes());
    }
    packet.extend(input.octets());
    packet
}

fn take(
    session: &mut Session,
    plain: &mut Plain,
    packet: &[u8],
    now: Instant,
) -> Result<(), BtpError> {
    let expected = plain.receive(packet);
    let message = session.handle_packet(packet, now);
    assert_eq!(
        message.as_ref().map(|message| message.as_deref()),
        expected.as_ref().map(|message| message.as_deref())
    );
    // The application writes over it.
    message.map(|message| message.map_or((), |bytes| bytes.fill(0xFF)))
}

/// After an error there is nothing but the error.
fn assert_closed(mut session: Session, error: BtpError, now: Instant) {
    assert_eq!(session.handle_packet(&[8, 0, 0], now).err(), Some(error));
    assert_eq!(session.handle_timeout(now), Err(error));
    session.handle_subscription(now);
    assert!(session.send(&[1]).is_err() && !session.has_room(1));
    assert!(session.poll_timeout().is_none() && !session.is_open() && session.is_settled());
    assert!(session.poll_transmit(&mut [0; BTP_MAX_SEGMENT], now).is_none());
}
