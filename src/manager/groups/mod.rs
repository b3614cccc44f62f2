//! The groups that this node is in: their keys, sending, receiving, counter synchronisation.
//!
//! What is kept of a sender belongs to the key that proved it ([`Sender`]). So a node that has one
//! key can do nothing to messages under another: it changes no window and no counter
//! synchronisation there, and takes no room. Each key set and each fabric has its part of the
//! tables.
//!
//! ```text
//!  settings   entries   notices   rate_limit   crowd   values
//!       └────────┴── tables ──────────┴──────────┘     struct Groups
//!                      │
//!  membership   receive   senders   waiting   sync   send   what Groups does
//! ```

mod control;
mod crowd;
mod entries;
#[cfg(feature = "keylog")]
mod keys;
mod membership;
mod notices;
mod rate_limit;
mod receive;
mod send;
mod senders;
mod settings;
mod sync;
mod tables;
mod waiting;

pub use self::send::GroupSendError;
pub(super) use self::send::max_payload;
pub use self::settings::{GroupError, GroupSettings};
pub(super) use self::tables::Groups;
#[cfg(doc)]
use super::storage::Sender;
