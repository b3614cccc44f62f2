//! What nodes do in groups.

use core::ops::Range;
use matter_session::MessageType;

use matter_session::crypto::Secret;
use matter_session::fabric::GroupKey;
use matter_session::group::{
    EpochStart, GroupEpoch, GroupKeySet, MulticastAddress, SecurityPolicy,
};
use matter_session::ids::{FabricIndex, Group, GroupId, GroupKeySetId};
use matter_session::manager::{
    GroupError, GroupMessage, GroupSendError, GroupSettings, PeerAddress, Storage,
};
use matter_session::time::WallClock;
use matter_session::wire::{HEADROOM, TAILROOM};

use super::group_book::{
    AT_ONCE, EPOCHS, GUEST_GROUP, GUESTS, Heard, KEY_SETS, MIXED_GROUP, SETS, Told,
};
use super::node::{IM, Node, Scene};
use super::suite::Suite;

impl Heard {
    pub fn new(message: GroupMessage<'_>, waited: bool) -> Self {
        assert_eq!(message.kind, MessageType::new(IM, 8));
        Self {
            fabric: message.group.fabric,
            group: message.group.id.get(),
            set: message.key_set.get(),
            source: message.source,
            payload: message.payload.to_vec(),
            waited,
        }
    }
}

/// That of the guests differs by fabric.
const fn policy(fabric: usize, set: u16) -> SecurityPolicy {
    let trusts = if set == GUESTS { fabric == 0 } else { set == 1 };
    if trusts { SecurityPolicy::TrustFirst } else { SecurityPolicy::CacheAndSync }
}

impl<X: Suite, S: Storage> Node<X, S> {
    /// One random thing that has to do with groups.
    pub fn act_in_groups(&mut self, scene: &mut Scene<'_>) {
        let memberships: Vec<_> = self.app.groups.keys().copied().collect();
        let roll = scene.dice.below(20);
        let some = |scene: &mut Scene<'_>| {
            memberships[scene.dice.below(memberships.len() as u64) as usize]
        };
        match roll {
            0..12 if !memberships.is_empty() => {
                let to = some(scene);
                self.tell_group(scene, to);
            }
            12 if !memberships.is_empty() => {
                let (fabric, group) = some(scene);
                scene.tell(self.name, || format!("leaves group {group} of {fabric}"));
                assert!(self.manager.groups_mut().remove(Group::new(fabric, GroupId::new(group))));
                self.app.groups.remove(&(fabric, group));
                self.keep_copy();
            }
            13 => {
                let sets: Vec<_> = self.app.key_sets.keys().copied().collect();
                if sets.is_empty() {
                    return;
                }
                let (fabric, set) = sets[scene.dice.below(sets.len() as u64) as usize];
                scene.tell(self.name, || format!("removes key set {set} of {fabric}"));
                assert!(self.manager.groups_mut().remove_key_set(fabric, GroupKeySetId::new(set)));
                self.app.key_sets.remove(&(fabric, set));
                // Its senders have made room.
                self.app.full.remove(&fabric);
                self.keep_copy();
            }
            14 if !memberships.is_empty() => {
                let to = some(scene);
                self.say_unheard(scene, to);
            }
            _ => self.administer(scene),
        }
    }

    /// An administrator installs or rotates a key set, and puts this node into a group.
    pub fn administer(&mut self, scene: &mut Scene<'_>) {
        let fabrics: Vec<_> =
            self.app.fabrics.iter().map(|(index, (of, _))| (*index, *of)).collect();
        if fabrics.is_empty() {
            return;
        }
        let (fabric, of) = fabrics[scene.dice.below(fabrics.len() as u64) as usize];
        let set = 1 + scene.dice.below(KEY_SETS.into()) as u16;
        let current = scene.book.groups.current(of, set);
        *current = (*current + usize::from(scene.dice.below(6) == 0)).min(EPOCHS - AT_ONCE);
        let first = current.saturating_sub(scene.dice.below(5) as usize / 4);
        let epochs = first..first + 1 + scene.dice.below(AT_ONCE as u64) as usize;
        let installed = self.install(fabric, set, epochs.clone());
        scene.tell(self.name, || format!("key set {set} of {fabric}: {epochs:?}: {installed:?}"));
        let group = match set {
            GUESTS => GUEST_GROUP,
            _ if scene.dice.below(3) == 0 => MIXED_GROUP,
            _ => set,
        };
        let mut settings = GroupSettings::new(GroupKeySetId::new(set));
        if scene.dice.below(3) == 0 {
            settings = settings.with_privacy();
        }
        if scene.dice.below(3) == 0 {
            settings = settings.with_address(MulticastAddress::Shared);
        }
        let entered = self.enter(fabric, group, settings);
        scene.tell(self.name, || format!("group {group} of {fabric}: {entered:?}"));
        for result in [installed, entered] {
            assert!(matches!(result, Ok(()) | Err(GroupError::TooMany)), "{result:?}");
        }
        self.keep_copy();
    }

    /// Installs keys of a key set.
    pub fn install(
        &mut self,
        fabric: FabricIndex,
        set: u16,
        epochs: Range<usize>,
    ) -> Result<(), GroupError> {
        let (of, _) = self.app.fabrics[&fabric];
        let key = |epoch| GroupEpoch {
            key: GroupKey::OperationalKey(Secret::new(X::pool().group_key(of, set, epoch))),
            start: EpochStart::from_micros(epoch as u64),
        };
        let keys: Vec<_> = epochs.clone().map(key).collect();
        let id = GroupKeySetId::new(set);
        let keys = GroupKeySet { id, policy: policy(of, set), epochs: &keys };
        let installed = self.manager.groups_mut().set_key_set(fabric, &keys);
        if installed.is_ok() {
            self.app.key_sets.insert((fabric, set), epochs);
        }
        let has = self.app.key_sets.contains_key(&(fabric, set));
        assert_eq!(self.manager.groups().has_key_set(fabric, id), has);
        installed
    }

    pub fn enter(
        &mut self,
        fabric: FabricIndex,
        group: u16,
        settings: GroupSettings,
    ) -> Result<(), GroupError> {
        let entered =
            self.manager.groups_mut().set(Group::new(fabric, GroupId::new(group)), settings);
        if entered.is_ok() {
            self.app.groups.insert((fabric, group), settings);
        }
        entered
    }

    /// Everything as before a restart.
    pub fn install_groups_again(&mut self) {
        for ((fabric, set), epochs) in self.app.key_sets.clone() {
            assert_eq!(self.install(fabric, set, epochs), Ok(()));
        }
        for ((fabric, group), settings) in self.app.groups.clone() {
            assert_eq!(self.enter(fabric, group, settings), Ok(()));
        }
    }

    pub fn forget_groups_of(&mut self, fabric: FabricIndex) {
        self.app.key_sets.retain(|(of, _), _| *of != fabric);
        self.app.groups.retain(|(of, _), _| *of != fabric);
        self.app.full.remove(&fabric);
    }

    /// Leaves all groups and removes all their keys.
    pub fn leave_groups(&mut self) {
        for (fabric, group) in core::mem::take(&mut self.app.groups).into_keys() {
            assert!(self.manager.groups_mut().remove(Group::new(fabric, GroupId::new(group))));
        }
        for (fabric, set) in core::mem::take(&mut self.app.key_sets).into_keys() {
            assert!(self.manager.groups_mut().remove_key_set(fabric, GroupKeySetId::new(set)));
            self.app.full.remove(&fabric);
        }
    }

    /// Forgets every sender. Only where nobody repeats what was sent.
    pub fn forget_senders(&mut self) {
        for fabric in self.app.fabrics.keys().copied() {
            let senders: Vec<_> = self.manager.groups().senders(fabric).collect();
            for sender in senders {
                self.manager.groups_mut().forget_sender(fabric, sender);
            }
            assert_eq!(self.manager.groups().senders(fabric).count(), 0);
        }
        self.app.full.clear();
        self.app.crowded.clear();
    }

    /// Notes that a message was dropped because its key set has no room for another sender.
    pub fn note_crowd(&mut self, scene: &Scene<'_>, octets: &[u8]) {
        let key = scene.ledger.borrow().group_key_of(octets);
        let owner = key.and_then(|key| X::pool().owner_of(&key)).filter(|(_, set)| *set <= SETS);
        if let Some(index) = owner.and_then(|(fabric, _)| self.index_of(fabric)) {
            self.app.crowded.insert(index);
        }
    }

    /// Sends a message to a group, if there is a key for that. Returns its number.
    pub fn tell_group(&mut self, scene: &mut Scene<'_>, to: (FabricIndex, u16)) -> Option<usize> {
        let most = self.manager.groups().max_payload();
        let len = match scene.dice.below(10) {
            0 => most,
            _ => scene.dice.below(60) as usize,
        };
        let (told, address, datagram) = self.seal_for_group(scene, to, len)?;
        scene.book.figures.told += 1;
        let number = scene.book.groups.tell(told);
        scene.tell(self.name, || format!("tells {to:?} message {number}"));
        self.app.outbox.push_back((address, datagram));
        Some(number)
    }

    pub fn tell_all_groups(&mut self, scene: &mut Scene<'_>) {
        if !self.app.is_silent {
            for to in self.app.groups.keys().copied().collect::<Vec<_>>() {
                self.tell_group(scene, to);
            }
        }
    }

    fn seal_for_group(
        &mut self,
        scene: &mut Scene<'_>,
        (fabric, group): (FabricIndex, u16),
        len: usize,
    ) -> Option<(Told, PeerAddress, Vec<u8>)> {
        let settings = self.app.groups[&(fabric, group)];
        let set = settings.key_set.get();
        let to = Group::new(fabric, GroupId::new(group));
        let address = self.manager.groups().address(to).map(PeerAddress::Udp);
        let payload = scene.book.groups.compose(len);
        let mut buf = vec![0; payload.len() + HEADROOM + TAILROOM];
        let (manager, mut services) = self.with_services();
        let mut cx = services.at(scene.now);
        let sent =
            manager.groups_mut().send(&mut cx, to, MessageType::new(IM, 8), &payload, &mut buf);
        let sent = sent.map(|transmit| (transmit.to, transmit.datagram.to_vec()));
        let (to, datagram) = match sent {
            Ok(sent) => sent,
            Err(GroupSendError::Store(_)) if !self.bounds.is_reliable => return None,
            Err(GroupSendError::NoKey) => {
                assert!(!self.app.key_sets.contains_key(&(fabric, set)), "there is a key");
                return None;
            }
            Err(error) => panic!("node {} cannot tell its group: {error}", self.name),
        };
        assert_eq!(Some(to), address);
        assert_eq!(datagram[3] & 0x80 != 0, settings.privacy);
        let epochs = &self.app.key_sets[&(fabric, set)];
        let epoch = match self.wall {
            WallClock::Known(_) => epochs.end - 1,
            _ => epochs.end.saturating_sub(2).max(epochs.start),
        };
        let fabric = self.app.fabrics[&fabric].0;
        Some((
            Told { node: self.name, fabric, group, set, epoch, payload, is_forged: false },
            to,
            datagram,
        ))
    }

    /// Says so much that the window of whoever listens is left behind, or the block of counters
    /// comes to its end. Nobody hears it.
    fn say_unheard(&mut self, scene: &mut Scene<'_>, to: (FabricIndex, u16)) {
        let count = if scene.dice.below(8) == 0 { 1_005 } else { 35 };
        scene.tell(self.name, || format!("says {count} messages that are lost"));
        for _ in 0..count {
            let _ = self.seal_for_group(scene, to, 0);
        }
    }

    pub fn hear_group(&mut self, scene: &mut Scene<'_>, heard: &Heard) {
        let Heard { fabric, group, set, waited, .. } = *heard;
        let settings = self.app.groups.get(&(fabric, group)).expect("not in that group");
        assert_eq!(settings.key_set.get(), set, "the group has another key set");
        let epochs = self.app.key_sets.get(&(fabric, set)).expect("not a key set that it has");
        let (of, _) = self.app.fabrics[&fabric];
        let membership = self.app.memberships[&fabric];
        let told = scene.book.groups.hear(self.name, membership, of, heard);
        // The keys may have changed while it waited.
        assert!(waited || epochs.contains(&told.epoch), "not a key that it has: {told:?}");
        let is_forged = told.is_forged;
        scene.book.figures.forged += u64::from(is_forged);
        scene.book.figures.heard += u64::from(!is_forged);
        scene.book.figures.waited += u64::from(waited);
        scene.tell(self.name, || format!("hears {heard:?}"));
    }

    /// Takes the messages that have waited.
    pub fn hear_what_waited(&mut self, scene: &mut Scene<'_>) {
        while let Some(message) = self.manager.groups_mut().poll_message() {
            let heard = Heard::new(message, true);
            self.hear_group(scene, &heard);
        }
    }
}
