//! A driver that calls `handle_timeout` whenever it is due.

use matter_session::context::Context;
use matter_session::crypto::Crypto;
use matter_session::manager::{SessionManager, Storage};

/// Lets handshakes compute what they have to, as a driver does that calls `handle_timeout` whenever it
/// is due.
pub fn compute<C: Crypto, S: Storage, T: Default>(
    manager: &mut SessionManager<C, S, T>,
    cx: &mut Context<'_>,
) {
    while manager.handshakes().is_computing() {
        manager.handle_timeout(cx);
    }
}
