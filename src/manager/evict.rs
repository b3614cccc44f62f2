//! Which session makes room for a new one.

use core::cmp::Reverse;

use super::handle::{PeerKey, SessionHandle};
use super::sessions::{Entry, SessionTable};
use super::storage::Storage;
use crate::crypto::Crypto;
use crate::ids::{FabricIndex, NodeId};
use crate::session::{Identity, SessionKind};

impl<C: Crypto, S: Storage, T> SessionTable<C, S, T> {
    /// The session that goes for a newcomer, found in two passes over the sessions.
    ///
    /// From the fabric that has most, in doubt that of the newcomer: so a fabric keeps the three
    /// sessions that it is guaranteed as long as the table has room for three per fabric. Of its
    /// peers the one that has most sessions, in doubt that of the newcomer, unless that is its
    /// only working session. Then a defunct one before an active one, and the one idle longest.
    /// [Core, "Session Eviction"]
    ///
    /// PASE and CASE sessions do not drive each other out while either has one to give.
    pub(super) fn choose_victim(&self, newcomer: &Identity) -> Option<SessionHandle> {
        let case = || self.case_victim(newcomer);
        let pase = || {
            let idle_longest = self.pase().max_by_key(|entry| idle_rank(entry));
            idle_longest.map(Entry::handle)
        };
        match newcomer.kind() {
            SessionKind::Case => case().or_else(pase),
            SessionKind::Pase => pase().or_else(case),
        }
    }

    fn case_victim(&self, newcomer: &Identity) -> Option<SessionHandle> {
        let same_fabric = |fabric: FabricIndex| newcomer.fabric() == Some(fabric);
        // Sessions are in the order of fabrics: the count at the last one of a fabric is its size.
        let mut run: Option<(FabricIndex, usize)> = None;
        let mut most = None;
        for (PeerKey { fabric, .. }, _) in self.by_peer() {
            let before = run.filter(|(of, _)| *of == fabric).map_or(0, |(_, count)| count);
            let count = before.saturating_add(1);
            run = Some((fabric, count));
            most = most.max(Some((count, same_fabric(fabric), fabric)));
        }
        let (_, _, fabric) = most?;

        let mut peer: Option<(NodeId, usize)> = None;
        let mut victim = None;
        for (key, entry) in self.of_fabric(fabric) {
            let of_peer = match peer {
                Some((node, count)) if node == key.node => count,
                _ => self.of_peer(fabric, key.node).count(),
            };
            peer = Some((key.node, of_peer));
            let same_peer = same_fabric(fabric) && newcomer.peer_node() == key.node;
            let only_working = of_peer == 1 && !entry.defunct;
            let rank = (of_peer, same_peer && !only_working, idle_rank(entry));
            if victim.as_ref().is_none_or(|(best, _)| rank > *best) {
                victim = Some((rank, entry.handle()));
            }
        }
        victim.map(|(_, session)| session)
    }
}

/// How little a session is used: defunct ones least of all.
fn idle_rank<C: Crypto, T>(entry: &Entry<C, T>) -> impl Ord + use<C, T> {
    (entry.defunct, Reverse(entry.session.last_activity()), Reverse(entry.serial))
}
