//! A record of sessions with matter.js, replayed: the same packets leave at the same points.

use matter_session::btp::{BTP_MAX_SEGMENT, BtpConfig};
use matter_session::time::Instant;
use matter_session_testing::hex;
use matter_session_testing::vectors::{matterjs_btp, number};

use crate::{client, message, server};

#[test]
fn every_packet_to_matter_js_and_every_message_from_it_is_as_recorded() {
    let vectors = matterjs_btp();
    let runs = vectors["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    for run in runs {
        let config = BtpConfig::default()
            .with_att_mtu(number::<u16>(&run["segment"]) + 3)
            .with_window(number(&run["window"]));
        let is_client = run["role"] == "client";
        let mut session = if is_client { client(config) } else { server(config) };
        let (mut value, mut arrived) = ([0; BTP_MAX_SEGMENT], None);
        let (mut packets, mut messages) = ([0, 0], 0);
        for event in run["events"].as_array().unwrap() {
            let now = Instant::from_millis(number(&event["at"]));
            session.handle_timeout(now).unwrap();
            if event["send"].is_number() {
                session.send(&message(number(&event["send"]))).unwrap();
            } else if event["out"].is_string() {
                let packet = session.poll_transmit(&mut value, now).expect("a packet");
                assert_eq!(packet, hex(&event["out"]), "{event}");
                packets[0] += 1;
            } else if event["in"].is_string() {
                assert_eq!(arrived, None, "each message is in the record");
                assert_eq!(session.poll_transmit(&mut value, now), None, "nothing was left");
                let lent = session.handle_packet(&hex(&event["in"]), now).unwrap();
                arrived = lent.map(|bytes| bytes.to_vec());
                packets[1] += 1;
                session.handle_subscription(now);
            } else {
                assert_eq!(arrived.take(), Some(message(number(&event["message"]))));
                messages += 1;
            }
        }
        assert_eq!((messages, arrived), (number(&run["messages"]), None));
        assert!(session.is_settled() && session.is_open());
        let are_short = number::<u16>(&run["segment"]) == 20;
        assert!(!are_short || packets.iter().all(|n| *n > 256), "numbers wrap: {packets:?}");
    }
}
