//! Sessions that come and go by the ten thousand.

use std::collections::{BTreeMap, BTreeSet};

use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{Config, SessionHandle};

use crate::net::{Dice, Net, index, udp};
use crate::twin::Plan;

/// With real handshakes, which resume.
#[test]
fn ten_thousand_sessions_opened_and_closed_in_random_order_leave_nothing_behind() {
    let config = || Config::default().with_sessions_per_peer(100);
    let mut net = Net::members_with(vec![(udp(1), config()), (udp(2), config())]);
    let start = net.table_sizes();
    let mut dice = Dice::new(12);
    let mut alive = Vec::new();
    let mut given = [BTreeSet::new(), BTreeSet::new()];
    for opened in 0..10_000 {
        net.dial_case(0, 1, 1, 200);
        net.run(400);
        let pair = [net.node(0).established(), net.node(1).established()];
        for (given, session) in given.iter_mut().zip(pair) {
            assert!(given.insert(session.local_session_id()), "an id came back: {session:?}");
        }
        alive.push(pair);
        while alive.len() as u64 > dice.below(40) {
            let pair = alive.swap_remove(dice.below(alive.len() as u64) as usize);
            let closer = dice.below(2) as usize;
            net.call(closer, |m, cx| m.close_session(cx, pair[closer]));
            net.pump();
        }
        for n in 0..2 {
            assert_eq!(net.nodes[n].manager.sessions().len(), alive.len(), "after {opened}");
            assert!(alive.iter().all(|pair| net.nodes[n].manager.session(pair[n]).is_some()));
            net.node(n).events.clear();
        }
        net.sent.clear();
    }
    net.call(0, |m, cx| {
        m.sessions_mut().close_with_peer(cx, Peer::new(index(1), NodeId::new(200)))
    });
    net.pump();
    assert_eq!(net.table_sizes(), start);
}

/// Through all ids several times, with up to 3,000 sessions alive.
#[test]
fn no_id_comes_back_before_all_others_had_their_turn() {
    let max = 3000;
    let mut net =
        Net::with(vec![(udp(1), Config::default().with_sessions(max).with_sessions_per_peer(255))]);
    let mut dice = Dice::new(13);
    let (mut alive, mut last, mut turn) = (Vec::new(), None::<u16>, BTreeMap::new());
    for opened in 0..150_000_u32 {
        let peer = u64::from(opened);
        let (session, _) = Plan::case(1, 1000 + peer, udp(7)).begin(&mut net, 0).unwrap();
        let id = session.local_session_id().get();
        // Every id between the last one and this one is in use.
        let mut skipped = last.map_or(id, |last| last.wrapping_add(1));
        while skipped != id {
            let is_it = |s: &SessionHandle| s.local_session_id().get() == skipped;
            assert!(skipped == 0 || alive.iter().any(is_it), "{skipped} was passed over");
            skipped = skipped.wrapping_add(1);
        }
        if let Some(before) = turn.insert(id, opened) {
            assert!(opened - before >= 65_535 - max as u32, "{id} came back early");
        }
        last = Some(id);
        alive.push(session);
        while alive.len() as u64 > dice.below(max as u64) {
            let session = alive.swap_remove(dice.below(alive.len() as u64) as usize);
            net.call(0, |m, cx| m.close_session(cx, session));
        }
        if opened % 500 == 0 {
            net.pump();
            net.node(0).events.clear();
            net.sent.clear();
        }
    }
    assert_eq!(turn.len(), 65_535);
    net.call(0, |m, cx| m.sessions_mut().close_all(cx));
    net.assert_clean();
    assert_eq!(net.nodes[0].manager.sessions().len(), 0);
}
