//! The groups that this node is in: their keys, sending, receiving, counter synchronisation.
//!
//! ```text
//!  settings   entries   notices   rate_limit     values
//!       └────────┴── tables ──────────┘          struct Groups
//!                      │
//!  membership   receive   waiting   sync   send   what Groups does
//! ```

mod control;
mod entries;
mod membership;
mod notices;
mod rate_limit;
mod receive;
mod send;
mod settings;
mod sync;
mod tables;
mod waiting;

pub use self::send::GroupSendError;
pub(super) use self::send::max_payload;
pub use self::settings::{GroupError, GroupSettings};
pub(super) use self::tables::Groups;
