//! Many nodes on a bad network, for many seeds: whatever happens, nothing is sealed twice under one
//! nonce, no counter of a group message is used again, nothing arrives twice or elsewhere,
//! everything has its end, and afterwards all works.
//!
//! ```text
//! SIM_SEEDS=100000 SIM_START=7 cargo test --release --all-features --test sim
//! SIM_SEEDS=1 SIM_START=4711 SIM_TRACE=1 cargo test ... --test sim     tells the story of one
//! ```

mod acts;
mod app;
mod book;
mod counters;
mod end;
mod group_book;
mod group_end;
mod groups;
mod hostile;
mod ledger;
mod node;
mod setting;
mod store;
mod suite;
mod vault;
mod wire;
mod world;

use core::sync::atomic::{AtomicU64, Ordering};
use std::panic::catch_unwind;
use std::sync::Mutex;

use book::Figures;
use suite::{Quick, Real, Suite};
use world::World;

/// How many seeds are run, unless `SIM_SEEDS` says otherwise.
const SEEDS: u64 = 2_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// Every so many seeds one runs on RustCrypto.
const REAL: u64 = 50;

fn live<X: Suite>(seed: u64, traces: bool) -> Figures {
    let mut world = World::<X>::new(seed, traces);
    world.live(200);
    world.recover();
    world.prove_under_siege();
    world.prove_alive();
    world.prove_groups();
    world.rest();
    world.figures()
}

#[test]
fn nodes_on_a_bad_network_keep_every_promise() {
    /// After so many failures there is enough to look at.
    const ENOUGH: usize = 20;
    let (start, seeds) = (setting("SIM_START", 0), setting("SIM_SEEDS", SEEDS));
    let traces = std::env::var_os("SIM_TRACE").is_some();
    let next = AtomicU64::new(start);
    let total = Mutex::new(Figures::default());
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= start.saturating_add(seeds) || failed.lock().unwrap().len() >= ENOUGH {
                return;
            }
            let figures = catch_unwind(|| match seed % REAL {
                0 => live::<Real>(seed, traces),
                _ => live::<Quick>(seed, traces),
            });
            match figures {
                Ok(figures) => total.lock().unwrap().add(&figures),
                Err(_) => {
                    let alone = "cargo test --release --all-features --test sim";
                    eprintln!("seed {seed} fails; alone: SIM_START={seed} SIM_SEEDS=1 {alone}");
                    failed.lock().unwrap().push(seed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let total = total.into_inner().unwrap();
    println!("{total:#?}");
    assert_eq!(failed.into_inner().unwrap(), Vec::<u64>::new(), "seeds that fail");
    total.assert_eventful();
}

#[test]
fn a_seed_tells_the_same_story_every_time() {
    for seed in [1, 2, 3] {
        let [once, again] = [(); 2].map(|()| live::<Quick>(seed, false));
        assert_eq!(once, again, "seed {seed}");
    }
}
