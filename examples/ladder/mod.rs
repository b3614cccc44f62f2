//! Two nodes in one process, and everything that they send each other drawn as a ladder.
//!
//! Shared by the examples; not an example itself.
#![allow(dead_code, unused_imports, reason = "no example needs all of it")]

#[macro_use]
#[path = "../say/mod.rs"]
mod say;

mod authority;
mod diagram;
mod link;
mod pair;
#[path = "../support/tcp.rs"]
mod tcp;
mod wire;

pub(crate) use self::authority::Authority;
pub(crate) use self::diagram::{
    Direction, draw_datagram, draw_field, draw_gap, draw_heading, draw_line, draw_note,
    draw_session, hex,
};
pub(crate) use self::link::{Link, Tcp, Udp};
pub(crate) use self::pair::{CONTROLLER, DEVICE, Delivered, Node, Pair};
pub(crate) use self::tcp::Arrival;
pub(crate) use self::wire::Wire;

use matter_session::SystemRng;

/// Examples fail with whatever error comes first.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn core::error::Error>>;

/// The operating system's source of randomness.
pub(crate) const fn system_rng() -> SystemRng {
    SystemRng
}
