//! What runs over a connection: TCP or BTP.

use super::handle::{PeerAddress, SessionHandle};
use super::storage::{Map, Storage};
use super::{CloseReason, NoSession, SessionManager};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::wire::StatusReport;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Ends what ran over a connection that is lost: the sessions and handshakes of a TCP or BTP
    /// peer. Nobody is told goodbye. [Core, "TCP Considerations"]
    pub fn handle_disconnect(&mut self, cx: &mut Context<'_>, connection: PeerAddress) {
        let mut first = 0;
        while let Some(session) = self.sessions.next_over(connection, first) {
            self.end_session(session, CloseReason::Disconnected, cx.now);
            first = session.local.get();
        }
        self.fail_handshakes_over(connection, cx.now);
    }

    /// Whether a session or a running handshake uses this connection. Ask when either has ended; if
    /// none does, send what [`poll_transmit`](Self::poll_transmit) yields and close the connection.
    /// One that was just accepted is not in use yet: give its peer some seconds to begin.
    /// [Core, "TCP Considerations"]
    #[must_use]
    pub fn is_connection_in_use(&self, connection: PeerAddress) -> bool {
        let mut handshakes = self.handshakes.iter();
        self.first_over(connection).is_some()
            || handshakes.any(|(_, slot)| slot.ended.is_none() && slot.peer == connection)
    }

    /// Sends a status report to the peer before its connection is closed:
    /// [`StreamError::report`](crate::stream::StreamError::report). It goes out encrypted on one of
    /// the sessions there, on an exchange of its own.
    ///
    /// Send what [`poll_transmit`](Self::poll_transmit) yields, close the connection, and call
    /// [`handle_disconnect`](Self::handle_disconnect).
    ///
    /// # Errors
    /// [`NoSession`].
    pub fn send_status_report(
        &mut self,
        cx: &mut Context<'_>,
        connection: PeerAddress,
        report: &StatusReport<'_>,
    ) -> Result<(), NoSession> {
        let session = self.first_over(connection).ok_or(NoSession)?;
        self.push_status(session, report, cx.now);
        Ok(())
    }

    fn first_over(&self, connection: PeerAddress) -> Option<SessionHandle> {
        self.sessions.next_over(connection, 0)
    }
}
