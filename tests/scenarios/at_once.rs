//! Both nodes dial each other at the same time.

use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{Config, Event, SessionHandle};

use crate::net::{Fate, Net, PASSCODE, index, udp};

fn members() -> Net {
    let nodes = [udp(1), udp(2)].map(|address| (address, Config::default()));
    Net::members_with(nodes.into())
}

/// The sessions that a node has been told of, those that it dialled first.
fn established(net: &Net, n: usize) -> Vec<SessionHandle> {
    let established = |dialled: bool| {
        net.nodes[n].events.iter().filter_map(move |event| match event {
            Event::Established { session, handshake, .. } => {
                (handshake.is_some() == dialled).then_some(*session)
            }
            _ => None,
        })
    };
    established(true).chain(established(false)).collect()
}

fn works(net: &mut Net, n: usize, session: SessionHandle) -> bool {
    let exchange = net.say(n, session, 2);
    net.run(8000);
    let works = net.node(n).acknowledged(exchange);
    net.close_exchange(n, exchange);
    works
}

#[test]
fn two_nodes_that_dial_each_other_at_once_end_with_working_sessions_and_keep_the_old_ones() {
    for acquainted in [false, true] {
        for delay in [0, 5, 40] {
            let what = format!("acquainted: {acquainted}, {delay} ms");
            let mut net = members();
            let mut old = Vec::new();
            if acquainted {
                let (a, b) = net.case(200);
                old.extend([(0, a), (1, b)]);
                net.settle();
            }
            for node in &mut net.nodes {
                node.events.clear();
            }
            net.on_send(move |_| Fate::Late(delay));
            net.dial_case(0, 1, 1, 200);
            net.dial_case(1, 0, 1, 100);
            net.run(2000);
            let mut challenges = Vec::new();
            for n in 0..2 {
                assert!(net.nodes[n].failures().is_empty(), "{what}");
                let sessions = established(&net, n);
                assert_eq!(sessions.len(), 2, "{what}");
                for session in sessions {
                    assert!(works(&mut net, n, session), "{what}");
                    let session = net.nodes[n].manager.session(session).unwrap();
                    challenges.push(*session.session().attestation_challenge());
                }
            }
            challenges.sort_unstable();
            challenges.dedup();
            assert_eq!(challenges.len(), 2, "{what}: two sessions, which both ends share");
            // The old ones are usable until they are closed.
            for (n, session) in old.clone() {
                assert!(works(&mut net, n, session), "{what}");
            }
            if let Some((n, session)) = old.first().copied() {
                net.call(n, |manager, cx| manager.close_session(cx, session));
                net.run(1000);
                assert!(old.iter().all(|(n, s)| net.nodes[*n].manager.session(*s).is_none()));
            }
            let peers = [NodeId::new(200), NodeId::new(100)];
            for (n, peer) in peers.into_iter().enumerate() {
                assert_eq!(
                    net.nodes[n].manager.sessions().with_peer(Peer::new(index(1), peer)).count(),
                    2,
                    "{what}"
                );
            }
            // Whichever record was last: the next handshake is resumed or full, never refused.
            for (from, node) in [(0, 200), (1, 100)] {
                net.node(from).events.clear();
                net.dial_case(from, 1 - from, 1, node);
                net.run(2000);
                assert!(net.nodes[from].failures().is_empty(), "{what}");
                assert_eq!(established(&net, from).len(), 1, "{what}");
            }
            net.on_send(|_| Fate::Arrives);
            net.assert_clean();
        }
    }
}

/// With one slot each, both are busy with their own handshake.
#[test]
fn two_nodes_of_one_slot_that_dial_each_other_fail_and_then_succeed_one_by_one() {
    use core::time::Duration;
    use matter_session::handshake::{HandshakeError, Refusal};
    let config = Config::default().with_handshakes(1, Duration::from_millis(100));
    let mut net = Net::members_with([udp(1), udp(2)].map(|at| (at, config.clone())).into());
    net.dial_case(0, 1, 1, 200);
    net.dial_case(1, 0, 1, 100);
    net.run(2000);
    for n in 0..2 {
        let failures = net.nodes[n].failures();
        let [HandshakeError::Refused(Refusal::Busy { wait })] = failures[..] else {
            panic!("{failures:?}")
        };
        assert!(wait <= Duration::from_secs(60));
    }
    for (from, node) in [(0, 200), (1, 100)] {
        net.node(from).events.clear();
        net.dial_case(from, 1 - from, 1, node);
        net.run(2000);
        net.node(from).established();
    }
    net.assert_clean();
}

#[test]
fn two_nodes_may_commission_each_other_at_once() {
    let mut net = members();
    net.open_window(0);
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.dial_pase(1, 0, PASSCODE);
    net.run(2000);
    for n in 0..2 {
        let sessions = established(&net, n);
        assert_eq!(sessions.len(), 2);
        for session in sessions {
            assert!(works(&mut net, n, session));
        }
    }
    net.assert_clean();
}
