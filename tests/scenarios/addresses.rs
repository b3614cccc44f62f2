//! Where a peer is: it moves with its newest authentic message, and with nothing else.

use matter_session::manager::{Dropped, PeerAddress, SessionHandle};
use matter_session::session::DecodeError;

use crate::net::{Fate, Net, udp};
use crate::twin::{Plan, header};

/// A datagram that node 0 has sent and that did not arrive.
fn withheld(net: &mut Net, session: SessionHandle) -> Vec<u8> {
    let since = net.cut();
    let exchange = net.say(0, session, 2);
    net.pump();
    net.close_exchange(0, exchange);
    net.on_send(|_| Fate::Arrives);
    net.sent[since].octets.clone()
}

fn address(net: &Net, n: usize, session: SessionHandle) -> PeerAddress {
    net.nodes[n].manager.session(session).unwrap().peer_address()
}

#[test]
fn a_spoofed_source_address_with_a_bad_mic_moves_nothing() {
    let (mut net, a, b) = Net::with_case();
    let message = withheld(&mut net, a);
    let before = net.node(1).facts();
    for at in 3..message.len() {
        let mut octets = message.clone();
        octets[at] ^= 1;
        net.hand(1, udp(9), &octets).unwrap_err();
        assert_eq!(net.node(1).facts(), before, "octet {at}");
    }
    assert!(net.node(1).dropped.contains(&Dropped::Decode(DecodeError::Unauthentic)));
    assert_eq!(address(&net, 1, b), udp(1));
    net.assert_clean();
}

#[test]
fn a_peer_that_moves_is_followed_once_it_is_known_to_be_the_peer() {
    let (mut net, a, b) = Net::with_case();
    let since = net.sent.len();
    // Something is on its way to the peer when it moves.
    let exchange = net.say(1, b, 2);
    net.nodes[0].address = udp(9);
    net.pump();
    assert_eq!(net.sent_by(1, since)[0].to, udp(1));
    assert!(net.node(0).got.is_empty());
    let moved = withheld(&mut net, a);
    let mut spoiled = moved.clone();
    *spoiled.last_mut().unwrap() ^= 1;
    net.hand(1, udp(9), &spoiled).unwrap_err();
    assert_eq!(address(&net, 1, b), udp(1));
    net.hand(1, udp(9), &moved).unwrap();
    assert_eq!(address(&net, 1, b), udp(9));
    net.run(2000);
    // The repetition went after it: the same octets to another place.
    let sent = net.sent_by(1, since);
    let again = sent.iter().skip(1).find(|d| d.octets == sent[0].octets).unwrap();
    assert_eq!(again.to, udp(9));
    assert_eq!(net.node(0).got.len(), 1);
    assert!(net.node(1).acknowledged(exchange));
    net.assert_clean();
}

#[test]
fn a_recorded_datagram_replayed_from_another_address_does_not_move_the_address() {
    let (mut net, a, b) = Net::with_case();
    let mut recorded = Vec::new();
    for _ in 0..40 {
        let message = withheld(&mut net, a);
        net.hand(1, udp(1), &message).unwrap();
        recorded.push(message);
        for exchange in net.node(1).got.iter().map(|got| got.exchange).collect::<Vec<_>>() {
            net.close_exchange(1, exchange);
        }
        net.pump();
    }
    let since = net.sent.len();
    // The newest, some within the window, and some before it.
    for (n, message) in recorded.iter().enumerate() {
        net.hand(1, udp(9), message).unwrap();
        assert_eq!(address(&net, 1, b), udp(1), "message {n}");
    }
    net.pump();
    assert_eq!(net.node(1).got.len(), 40, "delivered once");
    assert_eq!(net.sent_by(1, since).len(), 40, "acknowledged again");
    let to = net.sent_by(1, since).iter().all(|sent| sent.to == udp(1));
    assert!(to, "whoever replays gets no answer");
    net.assert_clean();
}

/// It is authentic and it is new, but the peer sent it before it was heard from its new address.
#[test]
fn a_message_that_comes_late_from_another_address_is_delivered_and_moves_nothing() {
    let mut net = Net::pair();
    let (session, twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    let say = |net: &mut Net, counter, from| {
        let octets = twin.seal_at(counter, &header(1, false, None));
        net.hand(0, from, &octets).unwrap();
        address(net, 0, session)
    };
    assert_eq!(say(&mut net, 100, udp(8)), udp(8), "it has moved");
    for (n, late) in [99, 98, 70, 68].into_iter().enumerate() {
        assert_eq!(say(&mut net, late, udp(9)), udp(8), "counter {late}");
        assert_eq!(net.node(0).got.len(), n + 2, "delivered");
    }
    assert_eq!(say(&mut net, 101, udp(9)), udp(9), "and again");
    assert_eq!(say(&mut net, 95, udp(8)), udp(9), "the late one from where it was");
}
