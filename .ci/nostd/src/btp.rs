//! A message over BTP, in packets of the shortest length.

use matter_session::btp::{BTP_MAX_SEGMENT, BtpConfig, BtpSession};

use crate::steps::NOW;

pub fn run() -> Option<()> {
    let config = BtpConfig::default().with_att_mtu(23);
    let mut central = BtpSession::client(config, [0; 0], [0; 64]);
    let mut peripheral = BtpSession::server(config, [0; 64], [0; 2]);
    central.send(b"a message of more bytes than a packet").ok()?;
    let mut value = [0; BTP_MAX_SEGMENT];
    for _ in 0..9 {
        if let Some(write) = central.poll_transmit(&mut value, NOW)
            && let Some(message) = peripheral.handle_packet(write, NOW).ok()?
        {
            return (message == b"a message of more bytes than a packet").then_some(());
        }
        peripheral.handle_subscription(NOW);
        if let Some(indication) = peripheral.poll_transmit(&mut value, NOW) {
            central.handle_packet(indication, NOW).ok()?;
        }
    }
    None
}
