//! Time passes.

use super::groups::Groups;
use super::handle::Source;
use super::handshakes::OpenWindow;
use super::storage::{Optional, Storage};
use super::{SessionManager, WindowCloseReason};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::time::Instant;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` when nothing will happen
    /// without a datagram or a call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let window = self.handshakes.window.get().and_then(OpenWindow::closes);
        let records = self.node.records.expiry(self.node.config.record_lifetime);
        let groups = self.groups.get().and_then(Groups::poll_timeout);
        [self.delivery.schedule.next(), window, records, groups].into_iter().flatten().min()
    }

    /// Lets time pass: acknowledgements and retransmissions become due; handshakes, the
    /// commissioning window and resumption records expire; senders to groups are asked for their
    /// counters. Early and late calls do no harm.
    #[inline(never)]
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(source) = self.delivery.schedule.take_due(cx.now) {
            match source {
                Source::Exchange(key) => self.exchange_timeout(key, cx),
                Source::Handshake(id) => self.handshake_timeout(id, cx),
            }
        }
        let closes = self.handshakes.window.get().and_then(OpenWindow::closes);
        if closes.is_some_and(|closes| cx.now >= closes) {
            self.expire_window(WindowCloseReason::Expired);
        }
        self.expire_records(cx.now);
        if let Some(groups) = self.groups.get_mut() {
            groups.timeout(cx, &mut self.delivery, &self.node);
        }
    }
}
