//! The Bluetooth Transport Protocol: both roles, against packets written by hand, a plain count,
//! hostile peers, and matter.js.

mod handshake;
mod hostile;
mod live;
mod matterjs;
mod properties;
mod segments;
mod timers;
mod windows;

use matter_session::btp::{BTP_MAX_SEGMENT, BtpConfig, BtpSession};
use matter_session::time::Instant;

/// Length of the buffers.
const ROOM: usize = 1280;

/// When most tests take place.
const NOW: Instant = Instant::from_millis(1000);

type Session = BtpSession<Vec<u8>, Vec<u8>>;

fn client(config: BtpConfig) -> Session {
    BtpSession::client(config, vec![0; ROOM], vec![0; ROOM])
}

fn server(config: BtpConfig) -> Session {
    BtpSession::server(config, vec![0; ROOM], vec![0; ROOM])
}

/// What a session sends next.
fn next_at(session: &mut Session, now: Instant) -> Option<Vec<u8>> {
    let mut packet = [0; BTP_MAX_SEGMENT];
    session.poll_transmit(&mut packet, now).map(<[u8]>::to_vec)
}

fn next(session: &mut Session) -> Option<Vec<u8>> {
    next_at(session, NOW)
}

/// Hands a packet over that is in order. Returns the message that it completes.
fn take(session: &mut Session, packet: &[u8]) -> Option<Vec<u8>> {
    session.handle_packet(packet, NOW).unwrap().map(|message| message.to_vec())
}

/// A client and a server after their handshake, with this window and packets of this length.
fn open(window: u8, segment: u16) -> [Session; 2] {
    let config = BtpConfig::default().with_window(window).with_att_mtu(segment + 3);
    let [mut client, mut server] = [client(config), server(config)];
    take(&mut server, &next(&mut client).unwrap());
    server.handle_subscription(NOW);
    take(&mut client, &next(&mut server).unwrap());
    assert!(client.is_open() && server.is_open());
    [client, server]
}

/// `N` bytes, all different from their neighbours.
fn message(len: usize) -> Vec<u8> {
    (0..len).map(|n| n as u8).collect()
}
