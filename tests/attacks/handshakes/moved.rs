//! Initiators that go on from another address.

use matter_session::handshake::HandshakeError;
use matter_session::manager::{Event, Heap, PeerAddress};

use super::{DEVICE, HONEST, host, members, record, running};
use crate::net::Fate;
use crate::raw::{SIGMA3, disguised};

/// Another port of a host.
fn beside(n: u64) -> PeerAddress {
    match host(n) {
        PeerAddress::Udp(socket) => PeerAddress::Udp((socket.ip(), 9).into()),
        other => other,
    }
}

/// Two handshakes fell silent, at the former host of the honest node and at its next one. When a
/// slot is needed, the source with two handshakes loses one.
#[test]
fn a_handshake_counts_at_the_address_from_which_its_initiator_goes_on() {
    let mut net = members::<Heap>(3);
    let sigma1 = record(&mut net, 3);
    for (n, sigma1) in (1..=2).zip(&sigma1) {
        net.hand(DEVICE, beside(n), &disguised(sigma1, n)).unwrap();
        net.pump();
    }
    net.nodes[HONEST].address = host(1);
    let withheld = |octets: &crate::net::Datagram| octets.handshake_opcode() == Some(SIGMA3);
    net.on_send(move |sent| if withheld(sent) { Fate::Lost } else { Fate::Arrives });
    net.dial_case(HONEST, DEVICE, 1, 200);
    net.pump();
    assert_eq!(running(&mut net), 3);
    let sigma3 = net.sent.iter().find(|sent| withheld(sent)).unwrap().octets.clone();
    // The report of success gets lost, so that its slot is not free.
    net.on_send(|_| Fate::Lost);
    net.hand(DEVICE, host(2), &sigma3).unwrap();
    net.pump();
    assert_eq!(running(&mut net), 2);
    net.hand(DEVICE, host(5), &disguised(&sigma1[2], 5)).unwrap();
    net.pump();
    let failed = net.nodes[DEVICE].events.iter().filter_map(|event| match event {
        Event::HandshakeFailed { address, error, .. } => Some((*address, *error)),
        _ => None,
    });
    assert_eq!(failed.collect::<Vec<_>>(), [(beside(2), HandshakeError::Displaced)]);
}
