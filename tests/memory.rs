//! What sessions leave on the heap when they are gone: next to nothing. A test target of its own,
//! as it counts what the whole program allocates.
// With defmt what a test records piles up on the heap.
#![cfg(not(feature = "defmt"))]

use std::alloc::System;

use matter_session::manager::{Config, SessionHandle};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use matter_session_testing::net::{Authority, Dice, Net, udp};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Octets in use, more or less than at the beginning of the region.
fn live(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

/// Forgets what the test has noted.
fn forget(net: &mut Net) {
    net.sent = Vec::new();
    for node in &mut net.nodes {
        node.events = Vec::new();
        node.got = Vec::new();
        node.dropped = Vec::new();
    }
}

/// Most sessions of node 0 at once: five chunks of the table, and two for each peer at times.
const ALIVE: usize = 300;
/// Nodes 1 to 4 are dialled by node 0.
const PEERS: usize = 4;

/// Opens so many sessions, talks on each, and closes them in random order. They come in tides:
/// first as many are alive as may be, then again and again a random number of them. Returns how
/// many octets are in use with one session left: a table that is empty gives back all at once, and
/// would not show what stays while it is not.
fn come_and_go(net: &mut Net, dice: &mut Dice, sessions: usize) -> isize {
    let region = Region::new(ALLOCATOR);
    let mut alive: Vec<[(usize, SessionHandle); 2]> = Vec::with_capacity(ALIVE);
    // Beside the next one.
    let (mut stay, mut most) = (ALIVE - 1, 0);
    for left in (0..sessions).rev() {
        let peer = 1 + dice.below(PEERS as u64) as usize;
        net.dial_case(0, peer, 1, 100 + peer as u64);
        net.run(400);
        let pair = [0, peer].map(|n| (n, net.node(n).established()));
        alive.push(pair);
        most = most.max(alive.len());
        let (talker, session) = pair[dice.below(2) as usize];
        let exchange = net.say(talker, session, 2);
        net.run(400);
        assert!(net.node(talker).acknowledged(exchange));
        if most == ALIVE && dice.below(150) == 0 {
            stay = dice.below(ALIVE as u64) as usize;
        }
        while alive.len() > if left == 0 { 1 } else { stay } {
            let pair = alive.swap_remove(dice.below(alive.len() as u64) as usize);
            let (closer, session) = pair[dice.below(2) as usize];
            net.call(closer, |m, cx| m.close_session(cx, session));
            net.pump();
        }
        assert_eq!(net.node(0).manager.sessions().len(), alive.len());
        forget(net);
    }
    assert_eq!(most, ALIVE);
    net.run(330_000);
    forget(net);
    let with_one = live(&region);
    let [(closer, session), _] = alive.remove(0);
    net.call(closer, |m, cx| m.close_session(cx, session));
    net.run(330_000);
    for n in 0..net.nodes.len() {
        net.call(n, |m, cx| m.records_mut().forget_all(cx));
    }
    net.pump();
    forget(net);
    assert!(net.nodes.iter().all(|node| node.manager.sessions().is_empty()));
    net.assert_clean();
    with_one
}

/// Queues keep the room of their longest wait, and tables may keep a node: so much and no more of
/// all nodes together, however many sessions there were at once. A chunk of sessions that stayed
/// would be too much.
const KEPT: isize = 90 * 1024;
/// What one session may hold when hundreds have gone before it: a chunk at either end, some 45 kB
/// each, and records. A third chunk would be too much.
const ONE: isize = 128 * 1024;
/// A tenth of an octet for each session: no session leaves one, but a queue may have grown.
const GROWN: isize = 1000;

#[test]
fn of_three_hundred_sessions_at_once_one_holds_a_chunk_and_none_holds_a_kilobyte() {
    let config = || Config::default().with_sessions_per_peer(255);
    let nodes = (0..=PEERS).map(|n| (udp(1 + n as u16), config())).collect();
    let mut net = Net::with(nodes);
    let mut authority = Authority::new(1, false);
    for n in 0..=PEERS {
        authority.join(&mut net, n, 100 + n as u64);
    }
    let mut dice = Dice::new(14);
    let cold = Region::new(ALLOCATOR);
    come_and_go(&mut net, &mut dice, 400);
    let kept = live(&cold);
    assert!((0..=KEPT).contains(&kept), "{kept} octets are kept after the first four hundred");
    let warm = Region::new(ALLOCATOR);
    let with_one = come_and_go(&mut net, &mut dice, 10_000);
    let grown = live(&warm);
    assert!(with_one <= ONE, "{with_one} octets are in use with one session left");
    assert!(grown <= GROWN, "{grown} octets more than before");
}
