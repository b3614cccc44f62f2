//! The parts of the simulation.

mod acts;
mod app;
pub mod book;
mod counters;
mod end;
mod group_book;
mod group_end;
mod groups;
mod ledger;
mod node;
#[path = "../support/net/rng.rs"]
mod rng;
mod setting;
pub mod suite;
#[path = "../support/toy.rs"]
mod toy;
mod vault;
mod wire;
pub mod world;
