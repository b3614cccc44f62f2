//! What tests and benchmarks of full tables need and no release has.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::Peer;
use crate::manager::SessionManager;
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::storage::Storage;
use crate::resumption::ResumptionRecord;
use crate::session::hazmat::{self, Counters};
use crate::session::{SessionKeys, SessionSetup};

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Takes in a session that no handshake has made, as if one had: under the next free local
    /// id, whatever `setup` names, and in place of an old one if the table is full. `None` if
    /// there is no id or no place.
    pub fn dangerous_add_session(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerAddress,
        keys: &SessionKeys,
        setup: SessionSetup,
    ) -> Option<SessionHandle> {
        // Drawn as a handshake draws it.
        let counters = Counters::starting_at((cx.rng.next_u32() & 0x0FFF_FFFF).saturating_add(1));
        self.dangerous_add_session_at(cx, peer, keys, setup, counters)
    }

    /// Returns the resumption records with their secrets, and leaves them where they are: a test
    /// looks at them.
    pub fn dangerous_records(&self) -> impl Iterator<Item = &ResumptionRecord> {
        self.node.records.iter()
    }

    /// Returns the resumption record of a peer in the same way.
    #[must_use]
    pub fn dangerous_record(&self, peer: Peer) -> Option<&ResumptionRecord> {
        self.node.records.by_peer(peer)
    }

    /// Returns the same, with its counters.
    pub fn dangerous_add_session_at(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerAddress,
        keys: &SessionKeys,
        setup: SessionSetup,
        counters: Counters,
    ) -> Option<SessionHandle> {
        let local_session_id = self.free_session_id()?;
        let setup = SessionSetup { local_session_id, ..setup };
        let session = hazmat::secure_session(&self.crypto, keys, setup, counters, cx.now);
        self.sessions.add(session, peer, cx.now, &mut self.delivery, &self.node)
    }
}
