//! What a `SessionManager` promises, shown by nodes on a network in virtual time.
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

mod attacks;
mod batches;
mod case;
mod check_in;
mod closing;
mod fabrics;
mod fixed;
mod groups;
mod hostile;
mod limits;
#[cfg(any(feature = "log", feature = "defmt"))]
mod logging;
#[path = "../support/net/mod.rs"]
mod net;
mod pase;
mod properties;
mod records;
mod reliability;
mod restarts;
mod rules;
mod shards;
mod signing;
mod stored;
mod stores;
mod timing;
mod transports;
