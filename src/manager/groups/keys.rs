//! The log of keys, which the feature `keylog` alone has.

use super::tables::Groups;
use crate::crypto::Crypto;
use crate::fabric::FabricTable;
use crate::keylog::{GroupSecrets, KeyHook};
use crate::manager::node::Node;
use crate::manager::storage::{Map, Storage};

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Logs the keys of sets that were installed since the last call.
    pub(in crate::manager) fn log_keys(&mut self, log: KeyHook<'_>, node: &Node<S>) {
        if !log.is_set() {
            return;
        }
        let not_logged = |sets: &Self| {
            let mut sets = sets.key_sets.iter();
            sets.find(|(_, set)| !set.is_logged).map(|(id, _)| *id)
        };
        while let Some((fabric, key_set)) = not_logged(self) {
            let Some(set) = self.key_sets.get_mut(&(fabric, key_set)) else { return };
            set.is_logged = true;
            let Some(fabric) = node.fabrics.by_index(fabric) else { continue };
            for (_, session) in set.keys.sessions() {
                log.group(|| GroupSecrets {
                    session: session.id(),
                    fabric: fabric.compressed_id(),
                    key_set,
                    key: session.disclose(),
                });
            }
        }
    }
}
