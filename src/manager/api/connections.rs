//! Connections of reliable transports: TCP and BTP.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::manager::SessionManager;
use crate::manager::handle::PeerAddress;
use crate::manager::storage::Storage;
use crate::wire::StatusReport;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Ends the sessions and handshakes over a connection that is lost. Nothing is sent to the
    /// peers. [Core, "TCP Considerations"]
    pub fn disconnected(&mut self, cx: &mut Context<'_>, connection: PeerAddress) {
        self.end_connection(connection, cx);
    }

    /// Returns true if a session or a running handshake uses this connection. Ask when either has
    /// ended; if none does, send what [`poll_transmit`](Self::poll_transmit) yields and close the
    /// connection. A connection that was just accepted is not in use yet: give its peer some
    /// seconds to begin. [Core, "TCP Considerations"]
    #[must_use]
    pub fn is_in_use(&self, connection: PeerAddress) -> bool {
        self.uses(connection)
    }

    /// Reports to the peer, before its connection is closed, what was wrong with what came over it:
    /// [`StreamError::report`](crate::stream::StreamError::report). The report is sent encrypted on
    /// one of the sessions there, on an exchange of its own. Returns false if there is none: an
    /// unauthenticated peer gets no report.
    ///
    /// Send what [`poll_transmit`](Self::poll_transmit) yields, close the connection, and call
    /// [`disconnected`](Self::disconnected).
    pub fn report(
        &mut self,
        cx: &mut Context<'_>,
        connection: PeerAddress,
        report: &StatusReport<'_>,
    ) -> bool {
        let Some(session) = self.sessions.first_over(connection) else { return false };
        self.sessions.push_report(session, report, cx.now, &mut self.delivery);
        true
    }
}
