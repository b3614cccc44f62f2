//! The shared store: against a Redis of its own, which must be installed (`redis-server`), and
//! against servers that are gone, hang, or send garbage.

#[path = "../../../examples/ladder/authority.rs"]
mod authority;
mod claims;
mod faults;
mod rows;
mod world;

use fleet::Outcome;
