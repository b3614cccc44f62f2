//! Attacks that once succeeded, or that known attacks suggest: what must hold under each.

mod connections;
mod exchanges;

use matter_session_testing::{net, twin};
