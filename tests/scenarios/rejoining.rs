//! A peer that restarts, and comes back.

use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{Dropped, Event, SessionHandle};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::DecodeError;

use crate::net::{Authority, Fate, Net, index, udp};

/// Node 1 loses all it had but its credentials and, if it stores them, its records. It draws the
/// same identifiers as at its first start.
fn restart(net: &mut Net, authority: &mut Authority, stores: bool) {
    let manager = &net.nodes[1].manager;
    let stored: Vec<_> = manager.dangerous_records().map(ResumptionRecord::to_bytes).collect();
    let fresh = Net::pair().nodes.remove(1);
    net.nodes[1].manager = fresh.manager;
    authority.join(net, 1, 200);
    for record in stored.iter().filter(|_| stores) {
        let record = ResumptionRecord::from_bytes(record.as_bytes()).unwrap();
        assert_eq!(net.call(1, |m, cx| m.records_mut().restore(cx, record)), Ok(()));
    }
}

fn offered(net: &Net, n: usize) -> Option<SessionHandle> {
    let peer = NodeId::new([200, 100][n]);
    net.nodes[n].manager.session_with(Peer::new(index(1), peer))
}

#[test]
fn a_peer_that_restarts_and_comes_back_is_met_on_its_new_session() {
    for stores in [false, true] {
        let mut net = Net::pair();
        let mut authority = Authority::new(1, false);
        authority.join(&mut net, 0, 100);
        authority.join(&mut net, 1, 200);
        let (a, b) = net.case(200);
        // Talk on the old session, in both directions; the last messages do not arrive.
        let since = net.sent.len();
        for _ in 0..4 {
            net.say(0, a, 2);
            net.say(1, b, 2);
            net.run(1000);
        }
        net.on_send(|_| Fate::Lost);
        net.say(0, a, 4);
        net.say(1, b, 4);
        net.pump();
        net.on_send(|_| Fate::Arrives);
        let old: Vec<_> = net.sent[since..].to_vec();

        restart(&mut net, &mut authority, stores);
        net.run(100);
        net.nodes[0].events.clear();
        let to = udp(1);
        net.call(1, |m, cx| m.connect_case(cx, to, Peer::new(index(1), NodeId::new(100)))).unwrap();
        net.run(100);
        let (fresh, theirs) = (net.node(0).established(), net.node(1).established());
        let resumed = |e: &Event<u32>| matches!(e, Event::Established { resumed: true, .. });
        assert_eq!(net.nodes[0].events.iter().any(resumed), stores);
        assert_eq!(theirs.local_session_id(), b.local_session_id(), "it gives the same id again");
        assert_eq!(offered(&net, 0), Some(fresh), "the new session is preferred");
        assert_eq!(offered(&net, 1), Some(theirs));

        // Nothing of the old session is taken for something of the new one.
        let (delivered, facts) = (net.node(1).got.len(), net.node(1).facts());
        for sent in old.iter().filter(|sent| sent.to == udp(2)) {
            let refused = net.hand(1, udp(1), &sent.octets);
            assert_eq!(refused, Err(Dropped::Decode(DecodeError::Unauthentic)));
        }
        assert_eq!((net.node(1).got.len(), net.node(1).facts()), (delivered, facts));
        for _ in 0..3 {
            let (ours, back) = (net.say(0, fresh, 6), net.say(1, theirs, 6));
            net.run(500);
            assert!(net.node(0).acknowledged(ours) && net.node(1).acknowledged(back));
        }

        // What was under way on the old one is given up, and so is the session.
        net.run(20_000);
        assert!(net.nodes[0].manager.session(a).unwrap().is_defunct());
        assert!(!net.nodes[0].manager.session(fresh).unwrap().is_defunct());
        assert_eq!(offered(&net, 0), Some(fresh));
        // A goodbye on it means nothing to the peer.
        net.call(0, |m, cx| m.close_session(cx, a));
        net.run(100);
        assert!(net.nodes[1].manager.session(theirs).is_some());
        let exchange = net.say(0, fresh, 8);
        net.run(500);
        assert!(net.node(0).acknowledged(exchange));
        net.assert_clean();
    }
}

/// A message from before the restart that comes after the handshake is the old session's last
/// sign of life: the next message there fails, and from then on the new one is offered.
#[test]
fn a_message_from_before_the_restart_misleads_for_one_message_at_most() {
    let mut net = Net::pair();
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    let (a, b) = net.case(200);
    let since = net.cut();
    net.say(1, b, 2);
    net.pump();
    let late = net.sent[since].octets.clone();
    net.on_send(|_| Fate::Arrives);
    restart(&mut net, &mut authority, true);
    let to = udp(1);
    net.call(1, |m, cx| m.connect_case(cx, to, Peer::new(index(1), NodeId::new(100)))).unwrap();
    net.run(100);
    let fresh = net.node(0).established();
    assert_ne!(fresh, a);
    net.hand(0, udp(2), &late).unwrap();
    let first = net.say(0, offered(&net, 0).unwrap(), 2);
    net.run(20_000);
    assert!(net.node(0).acknowledged(first) || net.node(0).undelivered(first));
    assert_eq!(offered(&net, 0), Some(fresh));
    let second = net.say(0, fresh, 4);
    net.run(1000);
    assert!(net.node(0).acknowledged(second));
    net.assert_clean();
}
