//! An application that lets handshakes compute and polls no event meanwhile.

use core::time::Duration;

use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Event, Fixed, Storage};

use super::host;
use crate::net::{Authority, Fate, Net, udp};
use crate::raw::SIGMA3;

const PEERS: usize = 16;

type Arrays = Fixed<
    Sessions<4>,
    Exchanges<4>,
    Handshakes<PEERS>,
    Fabrics<1>,
    Records<2>,
    MessageBytes<40_000>,
>;

/// All peers prove who they are before the device computes anything. Each session evicts a session
/// and a record.
#[test]
fn no_event_is_lost_when_all_handshakes_compute_before_the_application_polls() {
    no_event_is_lost::<Arrays>();
}

fn no_event_is_lost<S: Storage>() {
    let config = || Config::default().with_less_than_specified();
    let device = config().with_handshakes(PEERS, Duration::from_millis(300));
    let mut nodes = vec![(udp(2), device)];
    nodes.extend((1..=PEERS).map(|n| (host(n as u64), config())));
    let mut net = Net::<S>::stored(nodes);
    let mut authority = Authority::new(1, false);
    for n in 0..=PEERS {
        authority.join(&mut net, n, 100 + n as u64);
    }
    net.on_send(|sent| match sent.handshake_opcode() {
        Some(SIGMA3) => Fate::Lost,
        _ => Fate::Arrives,
    });
    for n in 1..=PEERS {
        net.dial_case(n, 0, 1, 100);
        net.pump();
    }
    let sent = net.sent.iter().filter(|sent| sent.handshake_opcode() == Some(SIGMA3));
    let sigma3s: Vec<_> = sent.map(|sent| (sent.from, sent.octets.clone())).collect();
    assert_eq!(sigma3s.len(), PEERS);
    net.nodes[0].computes = false;
    net.nodes[0].polls = false;
    for (from, sigma3) in sigma3s {
        net.hand(0, from, &sigma3).unwrap();
    }
    for _ in 0..2 * PEERS {
        for _ in 0..200 {
            if !net.node(0).manager.handshakes().is_computing() {
                break;
            }
            net.call(0, |m, cx| m.handle_timeout(cx));
        }
        net.nodes[0].polls = true;
        net.pump();
        net.nodes[0].polls = false;
    }
    let count = |wanted: fn(&Event<u32>) -> bool| {
        net.nodes[0].events.iter().filter(|event| wanted(event)).count()
    };
    assert_eq!(count(|event| matches!(event, Event::Established { .. })), PEERS);
    assert_eq!(count(|event| matches!(event, Event::HandshakeFailed { .. })), 0);
    // One of the four places is for PASE.
    assert_eq!(count(|event| matches!(event, Event::Closed { .. })), PEERS - 3);
}
