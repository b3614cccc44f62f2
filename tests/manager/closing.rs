//! The end of sessions.

use matter_session::ids::{MessageType, NodeId, Peer};
use matter_session::manager::{CloseReason, SendError};

use crate::net::{Fate, IM, Net, index, udp};

#[test]
fn a_goodbye_counts_only_when_it_is_authentic_and_new() {
    let (mut net, a, b) = Net::with_case();
    let since = net.sent.len();
    net.on_send(|_| Fate::Lost);
    net.call(1, |manager, cx| manager.close_session(cx, b));
    net.pump();
    let goodbye = net.sent[since].octets.clone();
    for n in 8..goodbye.len() {
        let mut octets = goodbye.clone();
        octets[n] ^= 1;
        assert!(net.hand(0, udp(2), &octets).is_err());
    }
    assert!(net.nodes[0].manager.session(a).is_some());
    net.hand(0, udp(2), &goodbye).unwrap();
    assert!(net.nodes[0].manager.session(a).is_none());
    net.assert_clean();
}

#[test]
fn all_sessions_with_a_peer_close_together() {
    let (mut net, ..) = Net::with_case();
    net.case(200);
    let peer = NodeId::new(200);
    net.call(0, |manager, cx| {
        manager.sessions_mut().close_with_peer(cx, Peer::new(index(1), peer))
    });
    net.run(1000);
    assert_eq!(net.node(0).manager.sessions().len(), 0);
    assert_eq!(net.node(1).manager.sessions().len(), 0);
    assert_eq!(net.node(0).manager.session_with(Peer::new(index(1), peer)), None);
    net.assert_clean();
}

#[test]
fn closing_all_says_goodbye_on_each_session() {
    let (mut net, a, _) = Net::with_case();
    let (second, _) = net.case(200);
    assert_eq!(net.node(0).manager.sessions().by_id(a.local_session_id()), Some(a));
    let since = net.sent.len();
    net.call(0, |manager, cx| manager.sessions_mut().close_all(cx));
    net.run(1000);
    assert_eq!(net.sent_by(0, since).len(), 2);
    for n in 0..2 {
        assert_eq!(net.node(n).closed().len(), 2);
        assert_eq!(net.nodes[n].manager.sessions().len(), 0);
    }
    assert_eq!(net.node(0).manager.sessions().by_id(second.local_session_id()), None);
    net.assert_clean();
}

#[test]
fn a_session_closes_when_all_that_is_under_way_on_it_has_arrived() {
    let (mut net, a, b) = Net::with_case();
    let (first, second) = (net.say(0, a, 2), net.say(0, a, 4));
    net.pump();
    let theirs: Vec<_> = net.node(1).got.iter().map(|got| got.exchange).collect();
    net.node(0).manager.sessions_mut().close_when_settled(a);
    net.node(0).manager.sessions_mut().close_when_settled(a);
    assert!(net.nodes[0].manager.session(a).unwrap().is_closing());
    assert_eq!(net.nodes[0].manager.session_with(Peer::new(index(1), NodeId::new(200))), None);
    // The conversations that are open go on.
    net.answer(1, theirs[0], 3);
    net.run(1000);
    assert_eq!(net.node(0).got.len(), 1);
    net.close_exchange(0, first);
    net.answer(1, theirs[1], 5);
    net.run(1000);
    assert_eq!(net.node(0).got.len(), 2);
    assert_eq!(net.node(0).closed(), []);
    net.close_exchange(0, second);
    net.run(1000);
    assert_eq!(net.node(0).closed(), [(a, 0, CloseReason::Local)]);
    assert_eq!(net.node(1).closed(), [(b, 0, CloseReason::Peer)]);
    net.assert_clean();
}

#[test]
fn a_session_without_exchanges_closes_at_once_when_settled() {
    let (mut net, a, _) = Net::with_case();
    net.node(0).manager.sessions_mut().close_when_settled(a);
    assert!(net.nodes[0].manager.session(a).is_none());
    net.run(1000);
    assert_eq!(net.node(0).closed(), [(a, 0, CloseReason::Local)]);
    assert_eq!(net.node(1).manager.sessions().len(), 0);
    net.node(0).manager.sessions_mut().close_when_settled(a);
    net.assert_clean();
}

/// The last thing that leaves on the session is an acknowledgement, and then the CloseSession.
#[test]
fn what_a_closing_session_owes_is_acknowledged_before_it_closes() {
    let (mut net, a, b) = Net::with_case();
    let exchange = net.say(0, a, 2);
    net.on_send(|d| if d.from == udp(2) { Fate::Late(10) } else { Fate::Arrives });
    net.pump();
    let theirs = net.node(1).got[0].exchange;
    net.node(1).manager.sessions_mut().close_when_settled(b);
    net.close_exchange(1, theirs);
    let since = net.sent.len();
    net.pump();
    assert_eq!(net.sent_by(1, since).len(), 2, "both in one round");
    net.run(1000);
    assert!(net.node(0).acknowledged(exchange));
    assert_eq!(net.node(0).closed(), [(a, 0, CloseReason::Peer)]);
    assert_eq!(net.node(1).closed(), [(b, 0, CloseReason::Local)]);
    net.assert_clean();
}

/// Who polls until the node is settled has sent the CloseSession.
#[test]
fn a_node_is_not_settled_while_a_session_has_its_end_to_tell() {
    let (mut net, a, b) = Net::with_case();
    net.say(0, a, 2);
    net.pump();
    let theirs = net.node(1).got[0].exchange;
    net.node(1).manager.sessions_mut().close_when_settled(b);
    net.close_exchange(1, theirs);
    let now = net.instant();
    let manager = &mut net.nodes[1].manager;
    let mut sent = 0;
    while !manager.is_settled() {
        assert!(manager.poll_transmit(now).is_some());
        sent += 1;
    }
    assert_eq!(sent, 2, "the acknowledgement and the CloseSession");
    assert!(manager.poll_transmit(now).is_none());
    assert_eq!(manager.sessions().len(), 0);
}

/// As `close_when_settled` is for a session. What it owes leaves at once, and what is in flight is
/// retransmitted until it is acknowledged, which is still reported.
#[test]
fn a_closed_exchange_ends_when_it_is_settled_and_nothing_of_it_is_lost() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.say(0, a, 2);
    net.pump();
    let theirs = net.node(1).got[0].exchange;
    // The answer carries the acknowledgement. Its first transmission gets lost.
    net.on_send(|datagram| if datagram.from == udp(2) { Fate::Lost } else { Fate::Arrives });
    net.answer(1, theirs, 3);
    net.close_exchange(1, theirs);
    net.run(250);
    net.on_send(|_| Fate::Arrives);
    assert_eq!(net.node(1).manager.sessions().exchange_count(), 1, "it is in flight");
    let more = net.call(1, |m, cx| m.send(cx, theirs, MessageType::new(IM, 5), b"more"));
    assert_eq!(more, Err(SendError::Closed));
    net.run(5000);
    assert!(net.node(0).acknowledged(exchange), "what it owed has left");
    assert_eq!(net.node(0).got.len(), 1, "the answer has arrived");
    assert!(net.node(1).acknowledged(theirs), "and its sender is told so");
    assert_eq!(net.node(1).manager.sessions().exchange_count(), 0);
    // One that owes an acknowledgement alone sends it at once, and is gone.
    net.say(0, a, 2);
    net.pump();
    let theirs = net.node(1).got.last().unwrap().exchange;
    let since = net.sent.len();
    net.close_exchange(1, theirs);
    net.pump();
    assert_eq!(net.sent_by(1, since).len(), 1, "not 200 ms later");
    assert_eq!(net.node(1).manager.sessions().exchange_count(), 0);
    // One whose message does not arrive is kept until that is clear.
    let exchange = net.say(0, a, 2);
    net.on_send(|_| Fate::Lost);
    net.close_exchange(0, exchange);
    net.run(20_000);
    assert!(net.node(0).undelivered(exchange));
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
}
