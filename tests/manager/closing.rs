//! The end of sessions.

use matter_session::ids::{NodeId, Peer};

use crate::net::{Fate, Net, index, udp};

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
