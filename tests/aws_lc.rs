//! AWS-LC beside the default backend: what the default one is tested for once more on AWS-LC, both
//! in one handshake, and their verdicts on what peers make up.
#![cfg(feature = "aws-lc-rs")]
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
#![allow(clippy::duplicate_mod, reason = "each of these targets has the support that it needs")]

#[path = "../case.rs"]
mod case;
#[path = "../certificates/main.rs"]
mod certificates;
#[path = "../crypto.rs"]
mod crypto;
#[path = "../manager/case.rs"]
mod manager_case;
#[path = "../manager/pase.rs"]
mod manager_pase;
mod mixed;
#[path = "../support/net/mod.rs"]
mod net;
#[path = "../pase.rs"]
mod pase;
mod verdicts;
