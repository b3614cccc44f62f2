//! Handshakes that peers begin and do not finish: what they can cost others.

mod copies;
mod deadlines;
mod ephemeral;
mod flood;
mod guesses;
mod held;
mod moved;
mod oneself;
mod randomness;
mod replies;
mod scarce;
mod turns;
mod unpolled;

use core::time::Duration;

use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{Config, PeerAddress, Storage};

use crate::net::{Authority, Fate, Net, index, udp};

const SENDER: usize = 0;
const DEVICE: usize = 1;
const HONEST: usize = 2;

/// The sender, a device with so many slots, and an honest node: members of one fabric. The sender
/// is at 127.0.0.1, the honest node at an address of its own.
fn members<S: Storage>(slots: usize) -> Net<S> {
    let device = Config::default().with_handshakes(slots, Duration::from_millis(300));
    joined(vec![(udp(1), Config::default()), (udp(2), device), (host(77), Config::default())])
}

fn joined<S: Storage>(nodes: Vec<(PeerAddress, Config)>) -> Net<S> {
    let mut net = Net::stored(nodes);
    let mut authority = Authority::new(1, false);
    for (n, node) in [100, 200, 300].into_iter().enumerate().take(net.nodes.len()) {
        authority.join(&mut net, n, node);
    }
    net
}

/// One of many hosts.
fn host(n: u64) -> PeerAddress {
    let [.., a, b] = n.to_be_bytes();
    PeerAddress::Udp(([10, 0, a, b], 5540).into())
}

/// Sigma1 messages of the sender that never arrived, each with a random of its own.
fn record<S: Storage>(net: &mut Net<S>, count: usize) -> Vec<Vec<u8>> {
    net.on_send(|_| Fate::Lost);
    let peer = Peer::new(index(1), NodeId::new(200));
    let recorded = (0..count).map(|_| {
        let since = net.sent.len();
        let handshake = net.call(SENDER, |m, cx| m.connect_case(cx, udp(2), peer)).unwrap();
        net.pump();
        assert!(net.node(SENDER).manager.handshakes().cancel(handshake));
        // The report of that gets lost, too.
        net.pump();
        net.sent[since].octets.clone()
    });
    let recorded = recorded.collect();
    net.on_send(|_| Fate::Arrives);
    recorded
}

/// The handshakes that run on the device.
fn running<S: Storage>(net: &mut Net<S>) -> usize {
    net.node(DEVICE).manager.handshakes().len()
}
