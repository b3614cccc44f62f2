//! The groups that this node is in, and their keys.

mod receive;
mod send;
mod sync;

use core::fmt;
use core::net::SocketAddr;

use thiserror::Error;

use self::sync::{RateLimit, Syncing, Waiting};
use super::storage::{Empty, GroupTables, KeyRef, Map, Octets, Optional, Owner, Sender, Storage};
use super::{Config, SessionManager};
use crate::crypto::Crypto;
use crate::fabric::FabricTable;
use crate::group::{
    GroupCounters, GroupKeySet, GroupSession, KeySetError, MAX_EPOCHS, MulticastAddress,
    OperationalKeySet, SecurityPolicy,
};
use crate::ids::{FabricIndex, Group, GroupId, GroupKeySetId, GroupSessionId, NodeId};
use crate::session::ReplayWindow;
use crate::time::Instant;

pub use self::receive::GroupMessage;
pub use self::send::GroupSendError;

/// How this node takes part in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct GroupSettings {
    /// The group key set that the messages of the group are encrypted with.
    pub key_set: GroupKeySetId,
    /// Where they are sent.
    pub address: MulticastAddress,
    /// Whether this node hides the header fields of what it sends. The specification wants it, and
    /// receivers of connectedhomeip 1.0, rs-matter 0.4 and matter.js before 0.17 cannot read it: so
    /// it is off by default. Received messages may always have it.
    pub privacy: bool,
}

impl GroupSettings {
    /// A group with this key set: an address of its own, headers in clear.
    #[must_use]
    pub const fn new(key_set: GroupKeySetId) -> Self {
        Self { key_set, address: MulticastAddress::PerGroup, privacy: false }
    }

    /// The same, with another kind of address.
    #[must_use]
    pub const fn with_address(mut self, address: MulticastAddress) -> Self {
        self.address = address;
        self
    }

    /// The same, with hidden headers.
    #[must_use]
    pub const fn with_privacy(mut self) -> Self {
        self.privacy = true;
        self
    }
}

/// A group or its keys were not taken in. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GroupError {
    /// This node is not a member of that fabric.
    #[error("no fabric with this index")]
    UnknownFabric,
    /// No group has this id.
    #[error("not the id of a group")]
    InvalidGroup,
    /// The group key set is not well-formed.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// The table is full, or the fabric's share of it; remove something first.
    #[error("too many groups or group key sets; remove one first")]
    TooMany,
    /// The storage of this manager has no tables for groups (see
    /// [`WithGroups`](super::WithGroups)), or it is a shard other than the first.
    #[error("groups are not for this manager")]
    Unsupported,
}

type Tables<S> = <S as Storage>::GroupTables;

/// A group key set of a fabric.
pub(super) struct KeySet<C: Crypto> {
    keys: OperationalKeySet<C>,
    /// This node's id on the fabric: received messages are not looked up there.
    own: NodeId,
}

/// A key that a message may have been sealed with, and what is to be known then.
#[derive(Clone, Copy)]
struct Candidate {
    key: KeyRef,
    policy: SecurityPolicy,
    own: NodeId,
}

/// All that a manager knows of groups.
pub(super) struct Groups<C: Crypto, S: Storage> {
    key_sets: <Tables<S> as GroupTables>::KeySets<KeySet<C>>,
    /// The keys of the sets by session id.
    keys: <Tables<S> as GroupTables>::Keys,
    groups: <Tables<S> as GroupTables>::Groups<GroupSettings>,
    senders: <Tables<S> as GroupTables>::Senders<Known>,
    syncs: <Tables<S> as GroupTables>::Syncs<Syncing>,
    waiting: <Tables<S> as GroupTables>::Waiting<Waiting<S>>,
    /// What a fabric may have of the tables.
    share: Share,
    /// The first of the deadlines of `syncs`.
    due: Option<Instant>,
    counters: GroupCounters,
    answers: RateLimit,
    /// Whether messages that waited may be polled, which the application has not been told yet.
    news: bool,
    /// The message that was polled last, and is lent.
    lent: Option<u64>,
    /// Fabrics that have no room for another sender, and whether the application was told.
    full: Notices,
}

/// What is known of a sender's counter.
#[derive(Debug)]
struct Known {
    window: ReplayWindow,
    /// The sender has told it. Otherwise it was trusted.
    told: bool,
}

/// What one fabric may have, so that others find room.
#[derive(Clone, Copy, Debug)]
struct Share {
    key_sets: usize,
    groups: usize,
    /// Senders of data, and of control messages.
    data: usize,
    control: usize,
}

impl Share {
    const NONE: Self = Self { key_sets: 0, groups: 0, data: 0, control: 0 };
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
        answers: RateLimit::new(),
        news: false,
        lent: None,
        full: Notices::NONE,
    };
}

impl<C: Crypto, S: Storage> Groups<C, S> {
    pub(super) fn limit(&mut self, config: &Config, fabrics: usize) {
        let of_all = |per_fabric: usize| per_fabric.saturating_mul(config.max_fabrics);
        self.key_sets.limit(of_all(config.max_group_key_sets));
        self.keys.limit(of_all(config.max_group_key_sets).saturating_mul(MAX_EPOCHS));
        self.groups.limit(of_all(config.max_groups));
        self.senders.limit(of_all(config.max_group_senders).saturating_mul(2));
        self.syncs.limit(config.max_waiting_group_messages);
        self.waiting.limit(config.max_waiting_group_messages);
        let share = |capacity: usize| capacity.checked_div(fabrics).unwrap_or(0).max(1);
        let senders = share(self.senders.capacity());
        // Of twelve ten and two: so many every node must have room for.
        let data = senders.saturating_sub((senders / 6).max(1)).max(1);
        let data = data.min(config.max_group_senders);
        self.share = Share {
            key_sets: share(self.key_sets.capacity()).min(config.max_group_key_sets),
            groups: share(self.groups.capacity()).min(config.max_groups),
            data,
            control: senders.saturating_sub(data).max(1).min(config.max_group_senders),
        };
    }

    /// The keys that a message of this session may have been sealed with.
    fn candidates(
        &self,
        session: GroupSessionId,
    ) -> impl Iterator<Item = (Candidate, &GroupSession<C>)> {
        let first =
            KeyRef { session, fabric: FabricIndex::MIN, set: GroupKeySetId::new(0), place: 0 };
        let keys = self.keys.from(first).map(|(key, ())| *key);
        keys.take_while(move |key| key.session == session).filter_map(|key| {
            let KeySet { keys, own } = self.key_sets.get(&(key.fabric, key.set))?;
            let candidate = Candidate { key, policy: keys.policy(), own: *own };
            Some((candidate, keys.session(key.place)?))
        })
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
        let ids = set.keys.session_ids();
        self.key_sets.insert((fabric, id), set).map_err(|_| GroupError::TooMany)?;
        for (place, session) in (0..).zip(ids) {
            let Some(session) = session else { continue };
            // There is room for three keys of each set.
            let kept = self.keys.insert(KeyRef { session, fabric, set: id, place }, ());
            kept.map_err(|_| GroupError::TooMany)?;
        }
        Ok(())
    }

    fn forget_keys(&mut self, fabric: FabricIndex, id: GroupKeySetId) {
        let Some(set) = self.key_sets.get(&(fabric, id)) else { return };
        for (place, session) in (0..).zip(set.keys.session_ids()) {
            let Some(session) = session else { continue };
            self.keys.discard(&KeyRef { session, fabric, set: id, place });
        }
    }

    fn remove_key_set(&mut self, fabric: FabricIndex, id: GroupKeySetId) -> bool {
        self.forget_keys(fabric, id);
        self.key_sets.discard(&(fabric, id))
    }

    /// Forgets all that belongs to a fabric.
    fn remove_fabric(&mut self, fabric: FabricIndex, octets: &mut S::Octets) {
        while let Some((_, id)) = first_of(&self.key_sets, (fabric, GroupKeySetId::new(0)), fabric)
        {
            self.remove_key_set(fabric, id);
        }
        while let Some(key) = first_of(&self.groups, (fabric, GroupId::new(0)), fabric) {
            self.groups.discard(&key);
        }
        let first = Sender { fabric, control: false, node: NodeId::UNSPECIFIED };
        while let Some(sender) = first_of(&self.senders, first, fabric) {
            self.senders.discard(&sender);
        }
        while let Some(sender) = first_of(&self.syncs, first, fabric) {
            self.syncs.discard(&sender);
        }
        while let Some(serial) = self.first_waiting(|message| message.sender.fabric == fabric) {
            self.discard_waiting(serial, octets);
        }
        self.full.clear(fabric);
        self.find_due();
    }

    fn find_due(&mut self) {
        self.due = self.syncs.iter().map(|(_, syncing)| syncing.poll_timeout()).min();
    }

    /// When something is due.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// How many senders of this kind a fabric has.
    fn senders_of(&self, sender: Sender) -> usize {
        let Sender { fabric, control, .. } = sender;
        let first = Sender { node: NodeId::UNSPECIFIED, ..sender };
        let of_kind = |key: &Sender| key.fabric == fabric && key.control == control;
        self.senders.from(first).take_while(|(key, _)| of_kind(key)).count()
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

/// What a key of one of the tables belongs to.
trait OfFabric {
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

/// The first entry of a fabric.
fn first_of<K: Copy + Ord + OfFabric, V>(
    table: &impl Map<K, V>,
    first: K,
    fabric: FabricIndex,
) -> Option<K> {
    table.first_from(first).filter(|key| key.fabric() == fabric)
}

/// How many entries a fabric has.
fn count_of<K: Copy + Ord + OfFabric, V>(
    table: &impl Map<K, V>,
    first: K,
    fabric: FabricIndex,
) -> usize {
    table.from(first).take_while(|(key, _)| key.fabric() == fabric).count()
}

/// A notice for each fabric, given once.
#[derive(Clone, Copy, Debug)]
struct Notices {
    due: [u32; Self::WORDS],
    given: [u32; Self::WORDS],
}

impl Notices {
    const WORDS: usize = 8;
    const NONE: Self = Self { due: [0; Self::WORDS], given: [0; Self::WORDS] };

    fn bit(fabric: FabricIndex) -> (usize, u32) {
        (usize::from(fabric.get() / 32), 1 << (fabric.get() % 32))
    }

    fn raise(&mut self, fabric: FabricIndex) {
        let (word, bit) = Self::bit(fabric);
        if let (Some(due), Some(given)) = (self.due.get_mut(word), self.given.get(word)) {
            *due |= bit & !given;
        }
    }

    fn clear(&mut self, fabric: FabricIndex) {
        let (word, bit) = Self::bit(fabric);
        let words = [&mut self.due, &mut self.given];
        words.into_iter().filter_map(|words| words.get_mut(word)).for_each(|word| *word &= !bit);
    }

    fn give(&mut self) -> Option<FabricIndex> {
        let word = self.due.iter().position(|word| *word != 0)?;
        let (due, given) = (self.due.get_mut(word)?, self.given.get_mut(word)?);
        let number = due.trailing_zeros();
        *given |= *due & due.wrapping_neg();
        *due &= due.wrapping_sub(1);
        let word = u32::try_from(word).ok()?;
        FabricIndex::new(u8::try_from(word.saturating_mul(32).saturating_add(number)).ok()?)
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Installs a group key set on a fabric, or replaces the one with its id. All keys are derived
    /// here, once.
    ///
    /// The application stores key sets and groups itself and sets them again after a start.
    /// [`GroupKey::operational`](crate::fabric::GroupKey::operational) is what to keep of a key.
    ///
    /// # Errors
    /// [`GroupError`]; a key set of that id stays as it was.
    #[inline(never)]
    pub fn set_group_key_set(
        &mut self,
        fabric: FabricIndex,
        set: &GroupKeySet<'_>,
    ) -> Result<(), GroupError> {
        let Self { node, groups, crypto, .. } = self;
        let groups = groups.get_mut().filter(|_| node.config.has_groups());
        let groups = groups.ok_or(GroupError::Unsupported)?;
        let known = node.fabrics.by_index(fabric).ok_or(GroupError::UnknownFabric)?;
        let keys = OperationalKeySet::new(crypto, known.compressed_id(), set)?;
        let key_set = KeySet { keys, own: known.node_id() };
        groups.keep_key_set(fabric, set.id, key_set)
    }

    /// Forgets a group key set. Its groups stay, without a key; messages that wait for their
    /// sender's counter go. Returns false if there was none.
    pub fn remove_group_key_set(&mut self, fabric: FabricIndex, id: GroupKeySetId) -> bool {
        let Some(groups) = self.groups.get_mut() else { return false };
        let known = groups.remove_key_set(fabric, id);
        groups.discard_unmapped(&mut self.octets);
        known
    }

    /// Whether a group key set is installed.
    #[must_use]
    pub fn has_group_key_set(&self, fabric: FabricIndex, id: GroupKeySetId) -> bool {
        self.groups.get().is_some_and(|groups| groups.key_sets.get(&(fabric, id)).is_some())
    }

    /// Makes this node a member of a group, or changes how it is one: messages to it are received
    /// from now on, once its [address](Self::group_address) is joined, and can be sent. A node that
    /// only sends does this, too, and does not join the address.
    ///
    /// # Errors
    /// [`GroupError`]; nothing changes then.
    pub fn set_group(&mut self, group: Group, settings: GroupSettings) -> Result<(), GroupError> {
        let groups = self.groups.get_mut().filter(|_| self.node.config.has_groups());
        let groups = groups.ok_or(GroupError::Unsupported)?;
        let Group { fabric, id: group } = group;
        self.node.fabrics.by_index(fabric).ok_or(GroupError::UnknownFabric)?;
        if !group.is_valid() {
            return Err(GroupError::InvalidGroup);
        }
        let others = count_of(&groups.groups, (fabric, GroupId::new(0)), fabric);
        let is_new = groups.groups.get(&(fabric, group)).is_none();
        if is_new && others >= groups.share.groups {
            return Err(GroupError::TooMany);
        }
        groups.groups.insert((fabric, group), settings).map_err(|_| GroupError::TooMany)?;
        groups.discard_unmapped(&mut self.octets);
        Ok(())
    }

    /// Ends this node's membership in a group: messages that wait go, too. Returns false if there was none.
    pub fn remove_group(&mut self, group: Group) -> bool {
        let Some(groups) = self.groups.get_mut() else { return false };
        let known = groups.groups.discard(&(group.fabric, group.id));
        groups.discard_unmapped(&mut self.octets);
        known
    }

    /// How this node takes part in a group.
    #[must_use]
    pub fn group(&self, group: Group) -> Option<GroupSettings> {
        self.groups.get()?.groups.get(&(group.fabric, group.id)).copied()
    }

    /// The groups of a fabric that this node is in.
    pub fn groups(&self, fabric: FabricIndex) -> impl Iterator<Item = (Group, GroupSettings)> {
        let groups = self.groups.get().map(|groups| {
            let first = (fabric, GroupId::new(0));
            groups.groups.from(first).take_while(move |((of, _), _)| *of == fabric)
        });
        groups.into_iter().flatten().map(|((of, id), settings)| (Group::new(*of, *id), *settings))
    }

    /// The multicast address of a group, with the port: to join it, and where
    /// [`send_group`](Self::send_group) sends. What the socket of this address receives goes to
    /// [`handle_datagram`](Self::handle_datagram) like all else.
    #[must_use]
    pub fn group_address(&self, group: Group) -> Option<SocketAddr> {
        let settings = self.group(group)?;
        let fabric = self.node.fabrics.by_index(group.fabric)?;
        Some(settings.address.socket_address(fabric.id(), group.id))
    }

    /// The nodes of a fabric whose counters this node keeps: those that have sent to its groups,
    /// then those that have asked for this node's counter.
    pub fn group_senders(&self, fabric: FabricIndex) -> impl Iterator<Item = NodeId> {
        let first = Sender { fabric, control: false, node: NodeId::UNSPECIFIED };
        let senders = self.groups.get().map(|groups| groups.senders.from(first));
        let senders = senders.into_iter().flatten().map(|(key, _)| key);
        senders.take_while(move |key| key.fabric == fabric).map(|key| key.node)
    }

    /// Forgets the counter of a sender, to make room for another. From then on its recorded messages
    /// can be replayed, once: only for a node that has left its fabric for good.
    pub fn forget_group_sender(&mut self, fabric: FabricIndex, node: NodeId) -> bool {
        let Some(groups) = self.groups.get_mut() else { return false };
        let mut known = false;
        for control in [false, true] {
            known |= groups.senders.discard(&Sender { fabric, control, node });
        }
        groups.full.clear(fabric);
        known
    }

    /// A fabric has been updated: this node may have another id there.
    pub(super) fn rename_in_groups(&mut self, fabric: FabricIndex) {
        let own = self.node.fabrics.by_index(fabric).map(|fabric| fabric.node_id());
        let (Some(groups), Some(own)) = (self.groups.get_mut(), own) else { return };
        let mut next = (fabric, GroupKeySetId::new(0));
        while let Some(key) = first_of(&groups.key_sets, next, fabric) {
            if let Some(set) = groups.key_sets.get_mut(&key) {
                set.own = own;
            }
            let Some(id) = key.1.get().checked_add(1) else { return };
            next.1 = GroupKeySetId::new(id);
        }
    }

    pub(super) fn remove_groups_of(&mut self, fabric: FabricIndex) {
        if let Some(groups) = self.groups.get_mut() {
            groups.remove_fabric(fabric, &mut self.octets);
        }
    }
}

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// The first message that waits and that `which` picks.
    fn first_waiting(&self, which: impl Fn(&Waiting<S>) -> bool) -> Option<u64> {
        self.waiting.iter().find(|(_, message)| which(message)).map(|(serial, _)| *serial)
    }

    /// What waits is for a group that this node has left, or that has another key set now.
    fn discard_unmapped(&mut self, octets: &mut S::Octets) {
        while let Some(serial) = self.first_waiting(|message| !self.is_mapped(message)) {
            self.discard_waiting(serial, octets);
        }
    }

    fn is_mapped(&self, message: &Waiting<S>) -> bool {
        let Waiting { sender: Sender { fabric, .. }, group, key_set, .. } = message;
        let settings = self.groups.get(&(*fabric, *group));
        settings.is_some_and(|settings| settings.key_set == *key_set)
            && self.key_sets.get(&(*fabric, *key_set)).is_some()
    }

    fn discard_waiting(&mut self, serial: u64, octets: &mut S::Octets) {
        octets.release(Owner::GroupMessage(serial));
        self.waiting.discard(&serial);
        if self.lent == Some(serial) {
            self.lent = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fabric_gets_its_notice_once() {
        let fabrics = || (1..=254).filter_map(FabricIndex::new);
        let mut notices = Notices::NONE;
        for _ in 0..2 {
            fabrics().for_each(|fabric| notices.raise(fabric));
        }
        for fabric in fabrics() {
            assert_eq!(notices.give(), Some(fabric));
            notices.raise(fabric);
        }
        assert_eq!(notices.give(), None);
        let again = FabricIndex::new(64).unwrap();
        notices.clear(again);
        notices.raise(again);
        assert_eq!((notices.give(), notices.give()), (Some(again), None));
    }
}
