//! Random calls of every public method of managers, by applications that have read no
//! documentation: handles, signatures and connections of other managers, stores that lie, clocks
//! that jump, settings of any value. Whatever they do, nothing panics, no poll goes on for ever,
//! and when all is closed and time has passed every table is empty and no memory is kept.
//!
//! ```text
//! RANDOM_SEEDS=100000 RANDOM_START=7 cargo test --release --features issue,log --test random_use
//! RANDOM_SECONDS=3600 cargo test ...          as many seeds as that time allows
//! RANDOM_SEEDS=1 RANDOM_START=4711 RANDOM_TRACE=1 cargo test ...        prints the calls of one
//! ```
// With defmt what a test records piles up on the heap.
#![cfg(not(feature = "defmt"))]

mod calls;
mod node;
mod stores;
mod world;

use std::alloc::System;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use matter_session::manager::sizes::{
    Exchanges, Fabrics, Groups, Handshakes, KeySets, MessageBytes, Records, Senders, Sessions,
};
use matter_session::manager::{Fixed, Heap, Storage, WithGroups};
use matter_session_testing::rng::Dice;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use world::{Figures, World};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many seeds are run, unless `RANDOM_SEEDS` or `RANDOM_SECONDS` says otherwise.
const SEEDS: u64 = 30_000;
/// Calls of one seed before all is closed.
const CALLS: u32 = 400;

type Plain = Fixed<
    Sessions<5>,
    Exchanges<8>,
    Handshakes<3>,
    Fabrics<2>,
    Records<2>,
    MessageBytes<{ 14 * 1280 }>,
>;
type Least =
    Fixed<Sessions<1>, Exchanges<1>, Handshakes<1>, Fabrics<1>, Records<1>, MessageBytes<1400>>;
type Grouped = WithGroups<Plain, KeySets<3>, Groups<4>, Senders<6>>;
type LeastGrouped = WithGroups<Least, KeySets<1>, Groups<1>, Senders<1>>;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Octets in use, more or less than at the beginning of the region.
fn in_use(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

/// A life in one storage: calls, and then everything is closed.
fn live<S: Storage>(seed: u64, traces: bool) -> Figures {
    let mut world = World::<S>::new(seed, traces);
    world.live(CALLS);
    world.close();
    world.figures
}

fn live_somewhere(seed: u64, traces: bool) -> Figures {
    match seed % 8 {
        0..4 => live::<Heap>(seed, traces),
        4 => live::<Plain>(seed, traces),
        5 => live::<Least>(seed, traces),
        6 => live::<Grouped>(seed, traces),
        _ => live::<LeastGrouped>(seed, traces),
    }
}

/// One test, as it counts what the whole program allocates.
#[test]
fn no_use_panics_or_loops_or_leaves_anything_behind() {
    /// After so many failures there is enough to look at.
    const ENOUGH: usize = 5;
    let traces = std::env::var_os("RANDOM_TRACE").is_some();
    let start = setting("RANDOM_START").unwrap_or(0);
    let time = setting("RANDOM_SECONDS").map(Duration::from_secs);
    let seeds = setting("RANDOM_SEEDS").unwrap_or(if time.is_some() { u64::MAX } else { SEEDS });
    let (mut failed, mut lives, mut total) = (Vec::new(), 0, Figures::default());
    let begun = Instant::now();
    for seed in start..start.saturating_add(seeds) {
        if failed.len() >= ENOUGH || time.is_some_and(|time| begun.elapsed() >= time) {
            break;
        }
        lives += 1;
        match catch_unwind(|| live_somewhere(seed, traces)) {
            Ok(figures) => total.add(&figures),
            Err(_) => {
                let alone = "cargo test --features issue,log --test random_use";
                eprintln!("seed {seed} fails; alone: RANDOM_START={seed} RANDOM_SEEDS=1 {alone}");
                failed.push(seed);
            }
        }
    }
    println!("{lives} seeds: {total:#?}");
    assert_eq!(failed, Vec::<u64>::new(), "seeds that fail");
    if lives >= SEEDS / 10 {
        assert!(total.frequent().iter().all(|count| *count > 0), "not eventful enough");
    }
    if setting("RANDOM_START").is_none() {
        a_seed_makes_the_same_calls_every_time();
        managers_that_live_on_keep_no_memory();
    }
}

fn a_seed_makes_the_same_calls_every_time() {
    for seed in 0..8 {
        let [once, again] = [(); 2].map(|()| live_somewhere(seed, false));
        assert_eq!(once, again, "seed {seed}");
    }
}

/// The same managers live and are emptied again and again: what they keep does not grow, and
/// nothing stays when they are gone.
fn managers_that_live_on_keep_no_memory() {
    /// The tables of the heap keep the room that they once had.
    const ROUNDS: usize = 300;
    drop(World::<Heap>::new(1, false));
    for seed in [1, 2, 3] {
        let region = Region::new(ALLOCATOR);
        let mut world = World::<Heap>::new(seed, false);
        let mut kept = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS as u64 {
            world.begin(Dice::new(seed * 1000 + round));
            world.live(CALLS);
            world.close();
            kept.push(in_use(&region));
        }
        if std::env::var_os("RANDOM_TRACE").is_some() {
            println!("seed {seed}: bytes after each round {kept:?}");
        }
        // A table keeps the room of its fullest moment, which can come late. What leaks grows in
        // every round.
        let (first, last) = kept.split_at(ROUNDS / 2);
        let before = *first.iter().max().expect("some");
        let (mut most, mut grown) = (before, 0);
        for bytes in last {
            grown += usize::from(*bytes > most);
            most = most.max(*bytes);
        }
        assert!(grown <= last.len() / 10, "seed {seed}: grown in {grown} of {} rounds", last.len());
        assert!(most <= 2 * before, "seed {seed}: {before} bytes, then {most}");
        drop((world, kept));
        assert_eq!(in_use(&region), 0, "seed {seed}: bytes that nobody holds");
    }
}
