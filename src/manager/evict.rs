//! Which session makes room for a new one.

use core::cmp::Reverse;

use super::SessionManager;
use super::handle::SessionHandle;
use super::sessions::Entry;
use super::storage::Storage;
use crate::crypto::Crypto;
use crate::ids::FabricIndex;
use crate::session::{Identity, SecureSession, SessionKind};
use crate::time::Instant;

/// How many CASE sessions a fabric keeps whatever the others need. [Core, "Session Eviction"]
const GUARANTEED_PER_FABRIC: usize = 3;

/// How much a session deserves to go; the greatest goes.
///
/// First the fabric that has most, then that of the newcomer; the peer that has most, then that
/// of the newcomer unless it is its only working session; defunct before active; idle longest.
type Rank = (usize, bool, usize, bool, bool, Reverse<Instant>);

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// The session that goes for `newcomer`. PASE sessions are never chosen, nor those that a
    /// fabric is guaranteed, as long as there are others.
    pub(super) fn choose_victim(&self, newcomer: &SecureSession<C>) -> Option<SessionHandle> {
        let candidates = || {
            self.sessions.iter().filter_map(|entry| {
                let identity = entry.session.identity();
                let fabric = identity.fabric()?;
                (identity.kind() == SessionKind::Case).then_some((entry, fabric))
            })
        };
        let rank = |(entry, fabric): &(&Entry<C, T>, FabricIndex)| {
            self.rank(entry, *fabric, newcomer.identity())
        };
        candidates()
            .filter(|(_, fabric)| self.sessions.count_of_fabric(*fabric) > GUARANTEED_PER_FABRIC)
            .max_by_key(rank)
            .or_else(|| candidates().max_by_key(rank))
            .map(|(entry, _)| SessionHandle {
                local: entry.session.local_session_id(),
                serial: entry.serial,
            })
    }

    fn rank(&self, entry: &Entry<C, T>, fabric: FabricIndex, newcomer: &Identity) -> Rank {
        let node = entry.session.identity().peer_node();
        let of_peer = self.sessions.of_peer(fabric, node).count();
        let same_fabric = newcomer.fabric() == Some(fabric);
        let same_peer = same_fabric && newcomer.peer_node() == node;
        let only_working = of_peer == 1 && !entry.defunct;
        (
            self.sessions.count_of_fabric(fabric),
            same_fabric,
            of_peer,
            same_peer && !only_working,
            entry.defunct,
            Reverse(entry.session.last_activity()),
        )
    }
}
