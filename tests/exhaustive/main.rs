//! Every schedule of small worlds up to a depth: an adversary loses, repeats, reorders and replays
//! datagrams, restarts nodes with any copy of their stores, and more, at any step. Whatever it
//! does, the promises of [`worlds`](matter_session_testing::worlds) hold.
//!
//! The worlds run in both kinds of storage. The depth is the number of acts of the adversary, and the number of steps within which they
//! happen; each test states it. `EXHAUSTIVE_ACTS` and `EXHAUSTIVE_STEPS`
//! set others for all worlds, and `EXHAUSTIVE_TRACE=1` tells the story of each schedule that breaks a promise.
//!
//! ```text
//! cargo test --features issue,log --test exhaustive -- --nocapture
//! ```
// With defmt what a test records piles up on the heap.
#![cfg(not(feature = "defmt"))]

mod search;

use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Fixed, Heap};
use matter_session_testing::worlds::{
    Groups, HalfOpen, OneExchange, Resumption, SyncFirst, TrustFirst, Window, World,
};

use search::{Depth, explore, tell};

/// A device's tables: less deep, as the rules are those of the heap.
type Arrays = Fixed<
    Sessions<4>,
    Exchanges<6>,
    Handshakes<2>,
    Fabrics<1>,
    Records<2>,
    MessageBytes<{ 8 * 1280 }>,
>;

fn setting(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Explores a world, and panics with the shortest schedule that breaks each promise.
#[track_caller]
fn explores<W: World>(acts: usize, steps: usize) {
    let depth = Depth {
        acts: setting("EXHAUSTIVE_ACTS").unwrap_or(acts),
        steps: setting("EXHAUSTIVE_STEPS").unwrap_or(steps),
    };
    let found = explore::<W>(depth);
    let name = core::any::type_name::<W>();
    println!("{name}: {} runs, {} states", found.runs, found.states);
    if std::env::var_os("EXHAUSTIVE_TRACE").is_some() {
        found.faults.values().for_each(|(_, schedule)| tell::<W>(schedule));
    }
    let faults: Vec<_> = found
        .faults
        .iter()
        .map(|(fault, (run, schedule))| format!("{fault}: run {run}, {schedule:?}"))
        .collect();
    assert!(faults.is_empty(), "{name}\n{}", faults.join("\n"));
}

#[test]
fn no_restart_and_no_replay_delivers_a_command_twice() {
    explores::<Resumption<Arrays, true>>(2, 8);
    explores::<Resumption<Heap, true>>(3, 8);
    explores::<Resumption<Heap, false>>(2, 8);
}

#[test]
fn what_is_refused_for_want_of_an_exchange_is_not_acknowledged() {
    explores::<OneExchange<Arrays>>(2, 8);
    explores::<OneExchange<Heap>>(3, 7);
}

#[test]
fn a_key_set_does_nothing_to_messages_of_another_that_is_trusted_at_first() {
    explores::<Groups<Heap, TrustFirst>>(3, 12);
}

#[test]
fn a_key_set_does_nothing_to_messages_of_another_whose_counter_is_asked_for() {
    explores::<Groups<Heap, SyncFirst>>(3, 12);
}

#[test]
fn half_open_handshakes_keep_nobody_out() {
    explores::<HalfOpen<Arrays>>(2, 9);
    explores::<HalfOpen<Heap>>(3, 9);
}

#[test]
fn a_deadline_holds_whether_its_timer_has_run_or_not() {
    explores::<Window<Arrays>>(2, 10);
    explores::<Window<Heap>>(2, 14);
}
