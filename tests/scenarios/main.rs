//! Scenarios: what is known to knock session layers over, and how it ends here.
#![cfg(all(feature = "rustcrypto", feature = "alloc"))]
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    clippy::panic,
    clippy::std_instead_of_alloc,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test that panics has failed"
)]

mod abandoned;
mod acknowledgements;
mod addresses;
mod at_once;
mod bystanders;
mod capacity;
mod clocks;
mod closing;
mod commissioning;
mod counters;
mod counting;
mod eviction;
mod ids;
mod lab;
mod loss;
#[path = "../support/net/mod.rs"]
mod net;
mod raw;
mod rejoining;
mod replays;
mod restarts;
mod resumption;
mod sigma3;
mod silent;
mod sleepy;
mod strangers;
mod twin;
mod twins;
