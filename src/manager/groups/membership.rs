//! The groups that this node is in, and their key sets.

use core::net::SocketAddr;

use super::entries::KeySet;
use super::rate_limit::RateLimit;
use super::settings::{GroupError, GroupSettings};
use super::tables::{Groups, count_of, first_of};
use crate::crypto::Crypto;
use crate::fabric::{Fabric, FabricTable};
use crate::group::{GroupKeySet, KeyId, OperationalKeySet};
use crate::ids::{FabricIndex, GroupId, GroupKeySetId, NodeId};
use crate::manager::delivery::Delivery;
use crate::manager::node::Node;
use crate::manager::storage::{KeyRef, Map, Sender, Storage};

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Installs a key set, or replaces the one with its id.
    #[inline(never)]
    pub(in crate::manager) fn set_key_set(
        &mut self,
        crypto: &C,
        fabric: FabricIndex,
        set: &GroupKeySet<'_>,
        node: &Node<S>,
    ) -> Result<(), GroupError> {
        let known = fabric_of(node, fabric)?;
        let keys = OperationalKeySet::new(crypto, known.compressed_id(), set)?;
        let (answers, requests) = match self.key_sets.get(&(fabric, set.id)) {
            Some(KeySet { answers, requests, .. }) => (*answers, *requests),
            None => (RateLimit::new(), RateLimit::new()),
        };
        let key_set = KeySet {
            keys,
            own: known.node_id(),
            answers,
            requests,
            #[cfg(feature = "keylog")]
            is_logged: false,
        };
        self.keep_key_set(fabric, set.id, key_set)
    }

    /// Forgets a key set, and the messages that wait under it. Returns false if there was none.
    pub(in crate::manager) fn remove_key_set<T>(
        &mut self,
        fabric: FabricIndex,
        id: GroupKeySetId,
        delivery: &mut Delivery<S, T>,
    ) -> bool {
        let known = self.discard_key_set(fabric, id);
        // Its senders have made room.
        self.full.clear(fabric);
        self.discard_unmapped(&mut delivery.bytes);
        known
    }

    pub(in crate::manager) fn has_key_set(&self, fabric: FabricIndex, id: GroupKeySetId) -> bool {
        self.key_sets.get(&(fabric, id)).is_some()
    }

    /// Makes this node a member of a group, or changes how it is one.
    pub(in crate::manager) fn set<T>(
        &mut self,
        fabric: FabricIndex,
        group: GroupId,
        settings: GroupSettings,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(), GroupError> {
        fabric_of(node, fabric)?;
        if !group.is_valid() {
            return Err(GroupError::InvalidGroup);
        }
        let others = count_of(&self.groups, (fabric, GroupId::new(0)), fabric);
        let is_new = self.groups.get(&(fabric, group)).is_none();
        if is_new && others >= self.share.groups {
            return Err(GroupError::TooMany);
        }
        self.groups.insert((fabric, group), settings).map_err(|_| GroupError::TooMany)?;
        self.discard_unmapped(&mut delivery.bytes);
        Ok(())
    }

    /// Ends this node's membership in a group. Returns false if there was none.
    pub(in crate::manager) fn remove<T>(
        &mut self,
        fabric: FabricIndex,
        group: GroupId,
        delivery: &mut Delivery<S, T>,
    ) -> bool {
        let known = self.groups.discard(&(fabric, group));
        self.discard_unmapped(&mut delivery.bytes);
        known
    }

    pub(in crate::manager) fn settings(
        &self,
        fabric: FabricIndex,
        group: GroupId,
    ) -> Option<GroupSettings> {
        self.groups.get(&(fabric, group)).copied()
    }

    /// Returns the groups of a fabric.
    pub(in crate::manager) fn of(
        &self,
        fabric: FabricIndex,
    ) -> impl Iterator<Item = (GroupId, GroupSettings)> {
        let groups = self.groups.from((fabric, GroupId::new(0)));
        let groups = groups.take_while(move |((of, _), _)| *of == fabric);
        groups.map(|((_, group), settings)| (*group, *settings))
    }

    /// Returns the multicast address of a group, with the port.
    pub(in crate::manager) fn address(
        &self,
        fabric: FabricIndex,
        group: GroupId,
        node: &Node<S>,
    ) -> Option<SocketAddr> {
        let settings = self.settings(fabric, group)?;
        let fabric = node.fabrics.by_index(fabric)?;
        Some(settings.address.socket_address(fabric.id(), group))
    }

    /// Returns the nodes of a fabric whose counters are kept, those that have sent data first.
    pub(in crate::manager) fn senders(&self, fabric: FabricIndex) -> impl Iterator<Item = NodeId> {
        let senders = self.senders.from(Sender::first_of(fabric)).map(|(key, _)| *key);
        let mut senders = senders.take_while(move |key| key.fabric == fabric);
        let mut last = None;
        // A sender has an entry for each key, one after the other.
        core::iter::from_fn(move || {
            let sender = senders.find(|key| last != Some((key.control, key.node)))?;
            last = Some((sender.control, sender.node));
            Some(sender.node)
        })
    }

    /// Forgets the counters of a sender. Returns false if there were none.
    pub(in crate::manager) fn forget_sender(&mut self, fabric: FabricIndex, node: NodeId) -> bool {
        let mut known = false;
        for control in [false, true] {
            let first = Sender { control, node, ..Sender::first_of(fabric) };
            let is_of = |key: &Sender| key.control == control && key.node == node;
            while let Some(sender) = first_of(&self.senders, first, fabric).filter(is_of) {
                known |= self.senders.discard(&sender);
            }
        }
        self.full.clear(fabric);
        known
    }

    /// Takes over this node's id on a fabric whose credentials have changed.
    pub(in crate::manager) fn rename(&mut self, fabric: FabricIndex, node: &Node<S>) {
        let Some(own) = node.fabrics.by_index(fabric).map(|fabric| fabric.node_id()) else {
            return;
        };
        let mut next = (fabric, GroupKeySetId::new(0));
        while let Some(key) = first_of(&self.key_sets, next, fabric) {
            if let Some(set) = self.key_sets.get_mut(&key) {
                set.own = own;
            }
            let Some(id) = key.1.get().checked_add(1) else { return };
            next.1 = GroupKeySetId::new(id);
        }
    }

    fn keep_key_set(
        &mut self,
        fabric: FabricIndex,
        id: GroupKeySetId,
        set: KeySet<C>,
    ) -> Result<(), GroupError> {
        let others = count_of(&self.key_sets, (fabric, GroupKeySetId::new(0)), fabric);
        if others >= self.share.key_sets && self.key_sets.get(&(fabric, id)).is_none() {
            return Err(GroupError::TooMany);
        }
        self.forget_keys(fabric, id);
        let ids = set.keys.key_ids();
        self.key_sets.insert((fabric, id), set).map_err(|_| GroupError::TooMany)?;
        for (place, key) in (0..).zip(ids) {
            let Some(session) = key.map(KeyId::session) else { continue };
            // There is room for three keys of each set.
            let kept = self.keys.insert(KeyRef { session, fabric, set: id, place }, ());
            kept.map_err(|_| GroupError::TooMany)?;
        }
        Ok(())
    }

    fn forget_keys(&mut self, fabric: FabricIndex, id: GroupKeySetId) {
        let Some(set) = self.key_sets.get(&(fabric, id)) else { return };
        for (place, key) in (0..).zip(set.keys.key_ids()) {
            let Some(session) = key.map(KeyId::session) else { continue };
            self.keys.discard(&KeyRef { session, fabric, set: id, place });
        }
    }

    fn discard_key_set(&mut self, fabric: FabricIndex, id: GroupKeySetId) -> bool {
        self.forget_keys(fabric, id);
        self.key_sets.discard(&(fabric, id))
    }

    /// Forgets everything of a fabric.
    pub(in crate::manager) fn remove_fabric<T>(
        &mut self,
        fabric: FabricIndex,
        delivery: &mut Delivery<S, T>,
    ) {
        while let Some((_, id)) = first_of(&self.key_sets, (fabric, GroupKeySetId::new(0)), fabric)
        {
            self.discard_key_set(fabric, id);
        }
        while let Some(key) = first_of(&self.groups, (fabric, GroupId::new(0)), fabric) {
            self.groups.discard(&key);
        }
        let first = Sender::first_of(fabric);
        while let Some(sender) = first_of(&self.senders, first, fabric) {
            self.senders.discard(&sender);
        }
        while let Some(sender) = first_of(&self.syncs, first, fabric) {
            self.syncs.discard(&sender);
        }
        while let Some(serial) = self.first_waiting(|message| message.sender.fabric == fabric) {
            self.discard_waiting(serial, &mut delivery.bytes);
        }
        self.full.clear(fabric);
        self.find_due();
    }
}

fn fabric_of<S: Storage>(node: &Node<S>, index: FabricIndex) -> Result<Fabric<'_>, GroupError> {
    if !node.config.has_groups() {
        return Err(GroupError::Unsupported);
    }
    node.fabrics.by_index(index).ok_or(GroupError::UnknownFabric)
}
