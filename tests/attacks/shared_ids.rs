//! Resumption ids that several nodes hand out, and records that are restored.

use core::time::Duration;

use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{Config, Event, Heap};
use matter_session::resumption::ResumptionRecord;

use crate::net::{Authority, Dice, Net, index, udp};

const DEVICE: usize = 0;
const HONEST: usize = 1;

/// Connects, and says whether the session was resumed.
fn connects(net: &mut Net, from: usize, to: usize, node: u64) -> Option<bool> {
    net.node(from).events.clear();
    net.dial_case(from, to, 1, node);
    net.run(3000);
    net.nodes[from].events.iter().find_map(|event| match event {
        Event::Established { resumed, .. } => Some(*resumed),
        _ => None,
    })
}

/// A device, an honest peer of it, and so many nodes that hand out the id of the honest peer's
/// record: whether the honest peer can resume.
fn resumes_beside(hostile: usize) -> Option<bool> {
    let nodes = (1..).map(|n| (udp(n), Config::default())).take(2 + hostile).collect();
    let mut net = Net::<Heap>::stored(nodes);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, DEVICE, 100);
    // The last of those with the id in the table of records.
    authority.join(&mut net, HONEST, 900);
    for n in 0..hostile {
        authority.join(&mut net, 2 + n, 200 + n as u64);
    }
    for n in HONEST..2 + hostile {
        let node = if n == HONEST { 900 } else { 198 + n as u64 };
        net.node(n).rng = Dice::new(88);
        assert_eq!(connects(&mut net, DEVICE, n, node), Some(false));
    }
    let records = net.nodes[DEVICE].manager.records();
    let ids: Vec<_> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), 1 + hostile);
    assert!(ids.iter().all(|id| *id == ids[0]), "all have one id");
    connects(&mut net, HONEST, DEVICE, 100)
}

#[test]
fn four_nodes_that_hand_out_an_id_again_can_cost_its_peer_a_full_handshake_and_three_cannot() {
    for hostile in 0..=3 {
        assert_eq!(resumes_beside(hostile), Some(true), "{hostile}");
    }
    assert_eq!(resumes_beside(4), Some(false));
}

/// The device restores its record so many times in its lifetime, each time in a new life.
fn resumes_after(restores: usize, with_clock: bool) -> Option<bool> {
    let lifetime = Duration::from_secs(1000);
    let config = Config::default().with_records(8, lifetime);
    let nodes = vec![(udp(1), config), (udp(2), Config::default())];
    let mut net = Net::<Heap>::members_with(nodes);
    net.node(DEVICE).epoch = with_clock.then_some(800_000_000);
    assert_eq!(connects(&mut net, DEVICE, HONEST, 200), Some(false));
    let peer = Peer::new(index(1), NodeId::new(200));
    for n in 0..=restores {
        net.run(600_000);
        if n < restores {
            let stored = net.call(DEVICE, |m, _| m.records_mut().export(peer))?;
            let record = ResumptionRecord::from_bytes(stored.as_bytes()).unwrap();
            net.call(DEVICE, |m, cx| m.records_mut().forget(cx, peer));
            if net.call(DEVICE, |m, cx| m.records_mut().restore(cx, record)).is_err() {
                break;
            }
        }
    }
    connects(&mut net, DEVICE, HONEST, 200)
}

#[test]
fn without_the_calendar_time_the_lifetime_of_a_record_begins_anew_when_it_is_restored() {
    assert_eq!(resumes_after(0, false), Some(true), "after 600 of 1000 seconds");
    for restores in [1, 2, 5] {
        assert_eq!(resumes_after(restores, false), Some(true), "{restores} times");
        let known = resumes_after(restores, true);
        assert_ne!(known, Some(true), "with the calendar time, restored {restores} times");
    }
}
