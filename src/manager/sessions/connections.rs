//! What runs over a connection: TCP or BTP.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::storage::Storage;
use crate::manager::{CloseReason, SessionManager};
use crate::wire::StatusReport;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Ends what ran over a connection that is lost: the sessions and handshakes of a TCP or BTP
    /// peer. Nobody is told goodbye. [Core, "TCP Considerations"]
    pub fn disconnected(&mut self, cx: &mut Context<'_>, connection: PeerAddress) {
        let mut first = 0;
        while let Some(session) = self.sessions.table.next_over(connection, first) {
            self.end_session(session, CloseReason::Disconnected, cx.now);
            first = session.local.get();
        }
        self.handshakes.disconnected(connection, cx.now, &mut self.delivery);
    }

    /// Whether a session or a running handshake uses this connection. Ask when either has ended; if
    /// none does, send what [`poll_transmit`](Self::poll_transmit) yields and close the connection.
    /// One that was just accepted is not in use yet: give its peer some seconds to begin.
    /// [Core, "TCP Considerations"]
    #[must_use]
    pub fn is_in_use(&self, connection: PeerAddress) -> bool {
        self.first_over(connection).is_some() || self.handshakes.uses(connection)
    }

    /// Tells the peer, before its connection is closed, what was wrong with what came over it:
    /// [`StreamError::report`](crate::stream::StreamError::report). It goes out encrypted on one of
    /// the sessions there, on an exchange of its own. Returns false where there is none: a peer
    /// that has not proven who it is hears nothing.
    ///
    /// Send what [`poll_transmit`](Self::poll_transmit) yields, close the connection, and call
    /// [`disconnected`](Self::disconnected).
    pub fn report(
        &mut self,
        cx: &mut Context<'_>,
        connection: PeerAddress,
        report: &StatusReport<'_>,
    ) -> bool {
        let session = self.first_over(connection);
        session.is_some_and(|session| {
            self.push_status(session, report, cx.now);
            true
        })
    }

    fn first_over(&self, connection: PeerAddress) -> Option<SessionHandle> {
        self.sessions.table.next_over(connection, 0)
    }
}
