//! The tables of groups.

use core::fmt;

use super::entries::{Candidate, KeySet, Known, Share, Syncing, Waiting};
use super::notices::Notices;
use super::settings::GroupSettings;
use crate::crypto::Crypto;
use crate::group::{Challenges, GroupCounters, GroupSession, KeyId, MAX_EPOCHS};
use crate::ids::{FabricIndex, GroupKeySetId, GroupSessionId};
use crate::manager::config::Config;
use crate::manager::storage::{Empty, GroupTables, KeyRef, Map, Sender, Storage};
use crate::time::Instant;

type Tables<S> = <S as Storage>::GroupTables;

/// The groups of this node: their keys, members' counters, and messages that wait for a counter.
pub(in crate::manager) struct Groups<C: Crypto, S: Storage> {
    pub(super) key_sets: <Tables<S> as GroupTables>::KeySets<KeySet<C>>,
    /// The keys of the sets by session id.
    pub(super) keys: <Tables<S> as GroupTables>::Keys,
    pub(super) groups: <Tables<S> as GroupTables>::Groups<GroupSettings>,
    pub(super) senders: <Tables<S> as GroupTables>::Senders<Known>,
    pub(super) syncs: <Tables<S> as GroupTables>::Syncs<Syncing>,
    pub(super) waiting: <Tables<S> as GroupTables>::Waiting<Waiting<S>>,
    /// How much of the tables one fabric may use, and one key set of it.
    pub(super) share: Share,
    /// The earliest deadline of `syncs` and `waiting`.
    pub(super) due: Option<Instant>,
    pub(super) counters: GroupCounters,
    /// Whether an event has said that a counter runs out: that of data, and that of control
    /// messages.
    pub(super) warned: [bool; 2],
    pub(super) challenges: Challenges,
    /// Whether an event is due that says that queued messages can be polled.
    pub(super) news: bool,
    /// The message that was polled last. The application borrows it until the next poll.
    pub(super) lent: Option<u64>,
    /// Fabrics without room for another sender, and whether an event has said so.
    pub(super) full: Notices,
}

impl<C: Crypto, S: Storage> Empty for Groups<C, S> {
    const EMPTY: Self = Self {
        key_sets: Map::EMPTY,
        keys: Map::EMPTY,
        groups: Map::EMPTY,
        senders: Map::EMPTY,
        syncs: Map::EMPTY,
        waiting: Map::EMPTY,
        share: Share::NONE,
        due: None,
        counters: GroupCounters::new(),
        warned: [false; 2],
        challenges: Challenges::new(),
        news: false,
        lent: None,
        full: Notices::NONE,
    };
}

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Limits the tables, and divides them among this number of fabrics. Returns the number of
    /// fabrics that the node may join: as many as have room for the senders that the specification
    /// demands.
    pub(in crate::manager) fn limit(&mut self, config: &Config, fabrics: usize) -> usize {
        let of_all = |per_fabric: usize| per_fabric.saturating_mul(config.max_fabrics);
        self.key_sets.limit(of_all(config.max_group_key_sets));
        self.keys.limit(of_all(config.max_group_key_sets).saturating_mul(MAX_EPOCHS));
        self.groups.limit(of_all(config.max_groups));
        let senders = config.max_group_senders.saturating_mul(config.max_group_key_sets);
        self.senders.limit(of_all(senders).saturating_mul(2));
        self.syncs.limit(config.max_waiting_group_messages);
        self.waiting.limit(config.max_waiting_group_messages);
        let is_enough = |fabrics: &usize| self.share_of(config, *fabrics).is_enough(config);
        let fabrics = (1..=fabrics).rev().find(is_enough).unwrap_or(0);
        self.share = self.share_of(config, fabrics);
        fabrics
    }

    /// Returns the part of the tables that each of this number of fabrics has.
    fn share_of(&self, config: &Config, fabrics: usize) -> Share {
        let share = |capacity: usize| capacity.checked_div(fabrics).unwrap_or(0).max(1);
        let key_sets = share(self.key_sets.capacity()).min(config.max_group_key_sets);
        let senders = share(self.senders.capacity()).checked_div(key_sets).unwrap_or(0).max(1);
        // Ten of twelve places are for data, two for control: the specification demands as many.
        let data = senders.saturating_sub((senders / 6).max(1)).max(1);
        let data = data.min(config.max_group_senders);
        Share {
            key_sets,
            groups: share(self.groups.capacity()).min(config.max_groups),
            data,
            control: senders.saturating_sub(data).max(1).min(config.max_group_senders),
        }
    }

    /// Returns the keys that a message of this session may have been sealed with.
    pub(super) fn candidates(
        &self,
        session: GroupSessionId,
    ) -> impl Iterator<Item = (Candidate, &GroupSession<C>)> {
        let first =
            KeyRef { session, fabric: FabricIndex::MIN, set: GroupKeySetId::new(0), place: 0 };
        let keys = self.keys.from(first).map(|(key, ())| *key);
        keys.take_while(move |key| key.session == session).filter_map(|key| {
            let KeySet { keys, own, .. } = self.key_sets.get(&(key.fabric, key.set))?;
            let session = keys.session(key.place)?;
            let id = session.key_id();
            Some((Candidate { key, id, policy: keys.policy(), own: *own }, session))
        })
    }

    /// Returns where a key of a fabric is, if it is installed.
    pub(super) fn find_key(&self, fabric: FabricIndex, id: KeyId) -> Option<KeyRef> {
        let mut keys = self.candidates(id.session()).map(|(candidate, _)| candidate);
        let is_it = |candidate: &Candidate| candidate.key.fabric == fabric && candidate.id == id;
        keys.find(is_it).map(|candidate| candidate.key)
    }

    pub(super) fn find_due(&mut self) {
        let syncs = self.syncs.iter().map(|(_, syncing)| syncing.until);
        let waiting = self.waiting.iter().filter_map(|(_, message)| message.until);
        self.due = syncs.chain(waiting).min();
    }

    /// Returns when [`timeout`](Self::timeout) is due.
    pub(in crate::manager) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }
}

impl<C: Crypto, S: Storage> fmt::Debug for Groups<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("key_sets", &self.key_sets.len())
            .field("groups", &self.groups.len())
            .field("senders", &self.senders.len())
            .field("syncs", &self.syncs.len())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

/// A key of a table in which each fabric has entries.
pub(super) trait OfFabric {
    fn fabric(&self) -> FabricIndex;
}

impl<T> OfFabric for (FabricIndex, T) {
    fn fabric(&self) -> FabricIndex {
        self.0
    }
}

impl OfFabric for Sender {
    fn fabric(&self) -> FabricIndex {
        self.fabric
    }
}

/// Returns the first key of a fabric at or after `first`.
pub(super) fn first_of<K: Copy + Ord + OfFabric, V>(
    table: &impl Map<K, V>,
    first: K,
    fabric: FabricIndex,
) -> Option<K> {
    table.first_from(first).filter(|key| key.fabric() == fabric)
}

/// Counts the entries of a fabric from `first` on.
pub(super) fn count_of<K: Copy + Ord + OfFabric, V>(
    table: &impl Map<K, V>,
    first: K,
    fabric: FabricIndex,
) -> usize {
    table.count(first, |key| key.fabric() == fabric, |_| true)
}
