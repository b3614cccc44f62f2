//! The parts of the simulation.

mod acts;
mod app;
pub mod book;
mod end;
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
