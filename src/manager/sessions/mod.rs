//! The secure sessions of a node, and the exchanges on them.
//!
//! ```text
//! Sessions (tables) ─┬─ table ─── entry     a session; order: which one to evict
//!                    ├─ exchanges           a conversation and its message; shares: who may have how
//!                    │                      many; own: how many this node may begin on a session
//!                    └─ refused             messages for which there was no exchange
//! what happens to them: lifetime, receive, send, response, pace, reach, timers, short,
//! receive_batch, send_batch
//! ```

mod awaited;
mod entry;
mod exchanges;
mod lifetime;
mod order;
mod own;
mod pace;
mod reach;
mod receive;
mod receive_batch;
mod refused;
mod response;
mod send;
mod send_batch;
mod session_ref;
mod shares;
mod short;
mod statistics;
mod table;
mod tables;
#[cfg(all(test, feature = "alloc", feature = "rustcrypto"))]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;
mod timers;

pub(super) use self::exchanges::Content;
pub use self::receive_batch::Datagram;
pub(super) use self::receive_batch::NotHandled;
pub use self::send_batch::BatchMessage;
pub use self::session_ref::{PeerVerification, SessionRef};
pub use self::statistics::{Latency, SessionStatistics};
pub(super) use self::tables::Sessions;
