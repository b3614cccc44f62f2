//! The end of sessions.

use matter_session::ids::NodeId;
use matter_session::manager::{CloseReason, Config, OpenError, SendError};

use crate::net::{Authority, Fate, IM, Net, index, udp};

#[test]
fn closing_tells_the_peer_and_hands_the_context_back() {
    for closer in 0..2 {
        let (mut net, a, b) = Net::with_case();
        let sessions = [a, b];
        for n in 0..2 {
            *net.node(n).manager.context_mut(sessions[n]).unwrap() = 40 + n as u32;
        }
        // With open exchanges, one of which owes an acknowledgement.
        let exchange = net.say(0, a, 2);
        net.pump();
        net.call(closer, |manager, cx| manager.close(cx, sessions[closer]));
        net.run(1000);
        for n in 0..2 {
            let reason = if n == closer { CloseReason::Local } else { CloseReason::Peer };
            assert_eq!(net.node(n).closed(), [(sessions[n], 40 + n as u32, reason)]);
            assert_eq!(net.nodes[n].manager.session_count(), 0);
            assert_eq!(net.nodes[n].manager.exchange_count(), 0);
        }
        assert_eq!(net.node(0).acknowledged(exchange), closer == 1);
        let send = net.call(0, |manager, cx| manager.send(cx, exchange, IM, 4, b""));
        assert_eq!(send, Err(SendError::Closed));
        let open = net.call(0, |manager, cx| manager.open_exchange(cx.now, a));
        assert_eq!(open, Err(OpenError::Closed));
        net.call(0, |manager, cx| manager.close(cx, a));
        assert_eq!(net.node(0).closed().len(), 1);
        net.assert_clean();
    }
}

#[test]
fn a_lost_goodbye_leaves_the_other_end_defunct() {
    let (mut net, a, b) = Net::with_case();
    net.lose(&[0]);
    net.call(1, |manager, cx| manager.close(cx, b));
    net.run(1000);
    assert_eq!(net.node(0).manager.session_count(), 1);
    let exchange = net.say(0, a, 2);
    net.run(20_000);
    assert!(net.node(0).undelivered(exchange));
    assert!(net.nodes[0].manager.session(a).unwrap().is_defunct());
    // The defunct session is offered only until there is another.
    let peer = (index(1), NodeId::new(200));
    assert_eq!(net.node(0).manager.session_with(peer.0, peer.1), Some(a));
    let (fresh, _) = net.case(200);
    assert_eq!(net.node(0).manager.session_with(peer.0, peer.1), Some(fresh));
    net.assert_clean();
}

#[test]
fn a_goodbye_counts_only_when_it_is_authentic_and_new() {
    let (mut net, a, b) = Net::with_case();
    let since = net.sent.len();
    net.on_send(|_| Fate::Lost);
    net.call(1, |manager, cx| manager.close(cx, b));
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
fn a_session_that_makes_room_says_goodbye() {
    let config = Config::default().with_sessions(3).with_exchanges(16);
    let mut net = Net::with(vec![(udp(1), Config::default()), (udp(2), config)]);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    let sessions: Vec<_> = (0..3).map(|_| net.case(200)).collect();
    *net.node(1).manager.context_mut(sessions[0].1).unwrap() = 77;
    // The first is used again, so the second is idle longest.
    net.run(10);
    net.say(0, sessions[0].0, 2);
    net.run(1000);
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert_eq!(net.node(1).closed(), [(sessions[1].1, 0, CloseReason::Evicted)]);
    assert_eq!(net.node(0).closed(), [(sessions[1].0, 0, CloseReason::Peer)]);
    assert_eq!(net.node(1).manager.session_count(), 3);
    assert_eq!(net.node(0).manager.session_count(), 3);
    net.assert_clean();
}

#[test]
fn the_fabric_and_the_peer_with_most_sessions_give_way_first() {
    let config = Config::default().with_sessions(7).with_exchanges(16);
    let mut net = Net::with(vec![(udp(1), Config::default()), (udp(2), config)]);
    for fabric in 1..=2 {
        let mut authority = Authority::new(fabric, false);
        authority.join(&mut net, 0, 100);
        authority.join(&mut net, 1, 200);
    }
    let dial = |net: &mut Net, fabric| {
        net.dial_case(0, 1, fabric, 200);
        net.run(1000);
        net.node(1).established()
    };
    // Three of the first fabric, idle longest; four of the second.
    let first: Vec<_> = (0..3).map(|_| dial(&mut net, 1)).collect();
    let second: Vec<_> = (0..4).map(|_| dial(&mut net, 2)).collect();
    let closed = |net: &Net| net.nodes[1].closed().last().map(|(session, ..)| *session);
    // A newcomer on either fabric drives out one of the second.
    dial(&mut net, 1);
    assert_eq!(closed(&net), Some(second[0]));
    // Now the first has most.
    dial(&mut net, 2);
    assert_eq!(closed(&net), Some(first[0]));
    for (fabric, count) in [(1, 3), (2, 4)] {
        let node = NodeId::new(100);
        assert_eq!(net.node(1).manager.by_peer(index(fabric), node).count(), count);
    }
    net.assert_clean();
}

#[test]
fn a_defunct_session_goes_before_an_active_one() {
    let config = Config::default().with_sessions(3).with_exchanges(16);
    let mut net = Net::with(vec![(udp(1), Config::default()), (udp(2), config)]);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    let sessions: Vec<_> = (0..3).map(|_| net.case(200)).collect();
    net.on_send(|_| Fate::Lost);
    net.say(1, sessions[2].1, 2);
    net.run(20_000);
    net.on_send(|_| Fate::Arrives);
    assert!(net.nodes[1].manager.session(sessions[2].1).unwrap().is_defunct());
    net.case(200);
    assert!(net.nodes[1].manager.session(sessions[2].1).is_none());
    assert!(net.nodes[1].manager.session(sessions[0].1).is_some());
    net.assert_clean();
}

#[test]
fn all_sessions_with_a_peer_close_together() {
    let (mut net, ..) = Net::with_case();
    net.case(200);
    let peer = NodeId::new(200);
    net.call(0, |manager, cx| manager.close_peer(cx, index(1), peer));
    net.run(1000);
    assert_eq!(net.node(0).manager.session_count(), 0);
    assert_eq!(net.node(1).manager.session_count(), 0);
    assert_eq!(net.node(0).manager.session_with(index(1), peer), None);
    net.assert_clean();
}

#[test]
fn closing_all_says_goodbye_on_each_session() {
    let (mut net, a, _) = Net::with_case();
    let (second, _) = net.case(200);
    assert_eq!(net.node(0).manager.session_by_id(a.local_session_id()), Some(a));
    let since = net.sent.len();
    net.call(0, |manager, cx| manager.close_all(cx));
    net.run(1000);
    assert_eq!(net.sent_by(0, since).len(), 2);
    for n in 0..2 {
        assert_eq!(net.node(n).closed().len(), 2);
        assert_eq!(net.nodes[n].manager.session_count(), 0);
    }
    assert_eq!(net.node(0).manager.session_by_id(second.local_session_id()), None);
    net.assert_clean();
}
