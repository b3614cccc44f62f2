//! What lies between two managers.

use matter_session::context::Context;
use matter_session::manager::{HeapSessionManager, PeerAddress};

pub(crate) fn address(port: u16) -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], port).into())
}

/// Carries what `from` has to send; returns how much that was.
pub(crate) fn carry(
    from: &mut HeapSessionManager,
    to: &mut HeapSessionManager,
    port: u16,
    cx: &mut Context<'_>,
) -> usize {
    let mut count = 0;
    while let Some(transmit) = from.poll_transmit(cx.now()) {
        let mut datagram = transmit.datagram.to_vec();
        assert_eq!(to.handle_datagram(cx, address(port), &mut datagram).dropped(), None);
        while to.handshakes().is_computing() {
            to.handle_timeout(cx);
        }
        count += 1;
    }
    count
}
