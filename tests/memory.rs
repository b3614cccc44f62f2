//! What sessions leave on the heap when they are gone: nothing. A test target of its own, as it
//! counts what the whole program allocates.
#![cfg(all(feature = "rustcrypto", feature = "alloc"))]
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_alloc,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test that panics has failed"
)]

#[path = "support/net/mod.rs"]
mod net;

use std::alloc::System;

use matter_session::manager::{Config, SessionHandle};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::net::{Authority, Dice, Net, udp};

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

/// Opens so many sessions, talks on each, and closes them in random order; up to 40 are alive.
fn come_and_go(net: &mut Net, dice: &mut Dice, sessions: usize) {
    let mut alive: Vec<[SessionHandle; 2]> = Vec::new();
    for left in (0..sessions).rev() {
        net.dial_case(0, 1, 1, 200);
        net.run(400);
        let pair = [net.node(0).established(), net.node(1).established()];
        alive.push(pair);
        let talker = dice.below(2) as usize;
        let exchange = net.say(talker, pair[talker], 2);
        net.run(400);
        assert!(net.node(talker).acknowledged(exchange));
        let stay = if left == 0 { 0 } else { dice.below(40) };
        while alive.len() as u64 > stay {
            let pair = alive.swap_remove(dice.below(alive.len() as u64) as usize);
            let closer = dice.below(2) as usize;
            net.call(closer, |m, cx| m.close(cx, pair[closer]));
            net.pump();
        }
        forget(net);
    }
    net.run(90_000);
    for n in 0..net.nodes.len() {
        net.call(n, |m, cx| m.forget_records(cx));
    }
    net.pump();
    forget(net);
    assert!(net.nodes.iter().all(|node| node.manager.session_count() == 0));
    net.assert_clean();
}

/// Queues keep the room of their longest wait, and tables may keep a node: so much and no more.
const KEPT: isize = 64 * 1024;
/// A tenth of an octet for each session: no session leaves one, but a queue may have grown.
const GROWN: isize = 1000;

#[test]
fn ten_thousand_sessions_give_back_every_octet() {
    let config = || Config::default().with_sessions_per_peer(100);
    let mut net = Net::with(vec![(udp(1), config()), (udp(2), config())]);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    let mut dice = Dice::new(14);
    let cold = Region::new(ALLOCATOR);
    come_and_go(&mut net, &mut dice, 100);
    let kept = live(&cold);
    assert!((0..=KEPT).contains(&kept), "{kept} octets are kept after the first hundred");
    let warm = Region::new(ALLOCATOR);
    come_and_go(&mut net, &mut dice, 10_000);
    let grown = live(&warm);
    assert!(grown <= GROWN, "{grown} octets more than before");
}
