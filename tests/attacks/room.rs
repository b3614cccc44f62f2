//! Room for messages: what handshakes are promised, and what is lost over reliable transports.

use core::time::Duration;

use matter_session::handshake::HandshakeError;
use matter_session::ids::MessageType;
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Dropped, Fixed, Heap, PeerAddress, Storage};

use crate::net::{Authority, Fate, IM, Net, udp};
use crate::raw::{SIGMA2, disguised};
use crate::twin::{Plan, Twin, header};

type Device<const BYTES: usize> =
    Fixed<Sessions<8>, Exchanges<8>, Handshakes<2>, Fabrics<2>, Records<4>, MessageBytes<BYTES>>;

/// What the array keeps of the longest message of a handshake, and of a long one of a session.
const HANDSHAKE: usize = 1243;
const LONG: usize = 1190 + 52 + 11;

fn sign<S: Storage>(net: &mut Net<S>) {
    let request = net.node(1).requests.remove(0);
    let key = net.nodes[1].keys.get_mut(&request.fabric()).unwrap();
    let signed = request.sign_with(key);
    net.call(1, |m, cx| m.complete_signature(cx, signed)).unwrap();
    net.pump();
}

/// A stranger's handshake is half open, and an honest one waits for a signature. Two long answers
/// follow that nobody acknowledges. Returns why handshakes of the device have failed after the
/// signature, and whether the honest node was served.
fn handshakes_beside_long_answers<S: Storage>() -> (Vec<HandshakeError>, bool) {
    let device = Config::default().with_handshakes(2, Duration::from_millis(300));
    let nodes = [(udp(1), Config::default()), (udp(2), device), (udp(3), Config::default())];
    let mut net = Net::<S>::stored(nodes.into());
    let mut authority = Authority::new(1, true);
    for (n, node) in [100, 200, 300].into_iter().enumerate() {
        authority.join(&mut net, n, node);
    }
    net.node(1).signs = false;
    net.on_send(|_| Fate::Lost);
    net.dial_case(0, 1, 1, 200);
    net.pump();
    let sigma1 = net.sent.last().unwrap().octets.clone();
    net.hand(1, udp(66), &disguised(&sigma1, 1)).unwrap();
    net.pump();
    sign(&mut net);
    assert_eq!(net.sent.last().unwrap().handshake_opcode(), Some(SIGMA2));
    net.on_send(
        |sent| {
            if [udp(2), udp(3)].contains(&sent.to) { Fate::Arrives } else { Fate::Lost }
        },
    );
    net.dial_case(2, 1, 1, 200);
    net.pump();
    for n in 0..2 {
        let plan = Plan::case(1, 500 + n, udp(50 + n as u16));
        let (_, mut twin) = plan.begin(&mut net, 1).unwrap();
        net.hand(1, twin.address, &twin.seal(&header(1, false, None)).0).unwrap();
        let exchange = net.node(1).got.last().unwrap().exchange;
        let kind = MessageType::new(IM, 3);
        assert_eq!(net.call(1, |m, cx| m.send(cx, exchange, kind, &[7; 1190])), Ok(()));
    }
    sign(&mut net);
    net.run(300);
    (net.nodes[1].failures(), net.nodes[2].try_established().is_some())
}

#[test]
fn no_handshake_ends_for_want_of_room_if_each_has_1243_bytes_beside_what_sessions_hold() {
    let enough = handshakes_beside_long_answers::<Device<{ 2 * HANDSHAKE + 2 * LONG }>>();
    assert_eq!(enough, (Vec::new(), true));
    let less = handshakes_beside_long_answers::<Device<{ HANDSHAKE + 300 + 2 * LONG }>>();
    assert_eq!(less, (vec![HandshakeError::NoRoom], false));
}

/// A node with one exchange, which the peer has, and the peer.
fn full(address: PeerAddress) -> (Net, Twin) {
    let config = Config::default().with_exchanges(2).with_exchanges_per_session(1);
    let mut net = Net::<Heap>::stored(vec![(udp(1), config)]);
    let (_, mut twin) = Plan::case(1, 5, address).begin(&mut net, 0).unwrap();
    net.hand(0, address, &twin.seal(&header(1, false, None)).0).unwrap();
    (net, twin)
}

#[test]
fn a_message_that_is_refused_over_a_reliable_transport_is_lost_and_closes_nothing() {
    for address in [PeerAddress::Tcp(7), PeerAddress::Link(7)] {
        let (mut net, mut twin) = full(address);
        let refused = twin.seal(&header(2, false, None)).0;
        assert_eq!(net.hand(0, address, &refused), Err(Dropped::NoExchange));
        let first = net.node(0).got[0].exchange;
        net.close_exchange(0, first);
        // Nobody repeats it, and the manager keeps nothing of it.
        net.run(60_000);
        assert_eq!(net.node(0).got.len(), 1);
        assert!(net.sent.is_empty(), "the peer is not told");
        assert!(net.node(0).closed().is_empty());
        net.hand(0, address, &twin.seal(&header(3, false, None)).0).unwrap();
        assert_eq!(net.node(0).got.len(), 2, "what follows is delivered");
    }
}
