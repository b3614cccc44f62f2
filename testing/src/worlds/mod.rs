//! Small worlds of real managers with an adversary between them, to be explored by every schedule
//! (`tests/exhaustive`) or by a fuzzer (`fuzz`).
//!
//! Without an adversary a world tells a story: datagrams arrive in order, timers run when nothing
//! is in flight. The adversary puts acts of its own between any two steps. Each world has promises
//! that hold whatever it does: a message is delivered at most once over all lives of its receiver,
//! an acknowledged one was delivered or reported, no two messages are sealed under one nonce, and
//! every table returns to its start.

mod book;
mod groups;
mod half_open;
pub mod lab;
pub mod node;
mod one_exchange;
mod resumption;
pub mod seals;
pub mod store;
mod talk;
mod window;

pub use self::groups::{Groups, Policy, SyncFirst, TrustFirst};
pub use self::half_open::HalfOpen;
pub use self::one_exchange::OneExchange;
pub use self::resumption::Resumption;
pub use self::window::Window;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// A datagram in flight arrives, by its place on the wire.
    Deliver(u8),
    /// It is lost.
    Lose(u8),
    /// A recorded datagram arrives again, from its sender's address or from the attacker's.
    Replay(u8, bool),
    /// A node restarts with a copy of what it had stored.
    Restart(u8, u8),
    /// The next timer runs, though datagrams are in flight.
    Tick,
    /// So many seconds pass, and no timer runs.
    Sleep(u8),
    /// What only this world knows.
    Other(u8),
}

/// A world: its story, its adversary, its promises.
pub trait World: Sized {
    /// The start: always the same.
    fn begin() -> Self;

    /// The next step of the story; `None` at its end.
    fn next(&self) -> Option<Act>;

    /// What the adversary can do now.
    fn acts(&self) -> Vec<Act>;

    fn act(&mut self, act: Act);

    /// Whatever is open is closed, and the last promises are looked at.
    fn end(&mut self);

    /// Two worlds with one state have one future.
    fn state(&self) -> u64;

    /// The promise that was broken.
    fn fault(&self) -> Option<&'static str>;

    /// Prints from now on what happens.
    fn trace(&mut self);
}

/// The parts of a world that its lab knows.
macro_rules! of_lab {
    () => {
        fn state(&self) -> u64 {
            self.lab.state()
        }

        fn fault(&self) -> Option<&'static str> {
            self.lab.fault
        }

        fn trace(&mut self) {
            self.lab.traces = true;
        }
    };
}
use of_lab;
