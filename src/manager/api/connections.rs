//! Connections of reliable transports: TCP and other links.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::manager::SessionManager;
use crate::manager::error::NoSession;
use crate::manager::handle::PeerAddress;
use crate::manager::storage::Storage;
use crate::wire::StatusReport;

/// The connections of reliable transports: ends what ran over a lost one, and reports on one. See
/// [`SessionManager::connections`].
#[derive(Debug)]
pub struct Connections<'a, C: Crypto, S: Storage, T>(&'a mut SessionManager<C, S, T>);

impl<C: Crypto, S: Storage, T> SessionManager<C, S, T> {
    /// Returns the connections of reliable transports, to end what ran over a lost one.
    pub const fn connections(&mut self) -> Connections<'_, C, S, T> {
        Connections(self)
    }
}

impl<C: Crypto, S: Storage, T: Default> Connections<'_, C, S, T> {
    /// Returns true if a session or a running handshake uses this connection. Ask when either has
    /// ended; if none does, send what [`poll_transmit`](SessionManager::poll_transmit) yields and
    /// close the connection. A connection that was just accepted is not in use yet: give its peer
    /// some seconds to begin. It takes no longer beside many sessions.
    /// [Core, "TCP Considerations"]
    #[must_use]
    pub fn is_in_use(&self, connection: PeerAddress) -> bool {
        self.0.uses(connection)
    }

    /// Ends the sessions and handshakes over a connection that is lost. Nothing is sent to the
    /// peers: what is queued for them is dropped, so the next connection may have the same number.
    /// [Core, "TCP Considerations"]
    pub fn handle_disconnect(&mut self, cx: &mut Context<'_>, connection: PeerAddress) {
        self.0.end_connection(cx, connection);
    }

    /// Reports to the peer, before its connection is closed, what was wrong with what came over it:
    /// [`StreamError::report`](crate::stream::StreamError::report). The report is sent encrypted on
    /// one of the sessions there, on an exchange of its own.
    ///
    /// Send what [`poll_transmit`](SessionManager::poll_transmit) yields, close the connection, and
    /// call [`handle_disconnect`](Self::handle_disconnect).
    ///
    /// # Errors
    /// [`NoSession`]: an unauthenticated peer gets no report.
    pub fn send_status_report(
        &mut self,
        cx: &mut Context<'_>,
        connection: PeerAddress,
        report: &StatusReport<'_>,
    ) -> Result<(), NoSession> {
        let SessionManager { sessions, delivery, .. } = &mut *self.0;
        sessions.report_over(connection, report, cx.now, delivery)
    }
}
