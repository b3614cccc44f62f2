//! Messages to groups, fanned out: every node has joined every address.

use matter_session::MessageType;
use matter_session::crypto::{Crypto, Secret};
use matter_session::fabric::GroupKey;
use matter_session::group::{
    CounterStore, EpochStart, GroupCounter, GroupEpoch, GroupKeySet, SecurityPolicy, StoreError,
};
use matter_session::ids::{FabricIndex, GroupId, Group, GroupKeySetId, NodeId};
use matter_session::manager::{GroupMessage, GroupSettings, Storage};

use super::{IM, Network};

/// Bounds of counters that are kept and no more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory([Option<u64>; 2]);

impl CounterStore for Memory {
    fn load(&mut self, counter: GroupCounter) -> Result<Option<u64>, StoreError> {
        Ok(self.0[counter as usize])
    }

    fn store(&mut self, counter: GroupCounter, bound: u64) -> Result<(), StoreError> {
        self.0[counter as usize] = Some(bound);
        Ok(())
    }
}

/// The bounds of a node's counters; they outlive its manager.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    pub stored: [Option<u64>; 2],
    /// Fails at everything.
    pub broken: bool,
    /// Every bound that was written.
    pub written: Vec<(GroupCounter, u64)>,
}

impl CounterStore for Bounds {
    fn load(&mut self, counter: GroupCounter) -> Result<Option<u64>, StoreError> {
        if self.broken { Err(StoreError) } else { Ok(self.stored[counter as usize]) }
    }

    fn store(&mut self, counter: GroupCounter, bound: u64) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError);
        }
        self.stored[counter as usize] = Some(bound);
        self.written.push((counter, bound));
        Ok(())
    }
}

/// A message to a group that an application got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub fabric: FabricIndex,
    pub group: GroupId,
    pub key_set: GroupKeySetId,
    pub epoch: u8,
    pub source: NodeId,
    pub counter: u32,
    pub payload: Vec<u8>,
}

impl From<GroupMessage<'_>> for Heard {
    fn from(message: GroupMessage<'_>) -> Self {
        Self {
            fabric: message.group.fabric,
            group: message.group.id,
            key_set: message.key_set,
            epoch: message.epoch,
            source: message.source,
            counter: message.counter.get(),
            payload: message.payload.to_vec(),
        }
    }
}

/// A key set of one key for each seed, of which the second newest is for sending.
pub fn key_set<R>(
    id: u16,
    policy: SecurityPolicy,
    seeds: &[u8],
    then: impl FnOnce(&GroupKeySet<'_>) -> R,
) -> R {
    let epochs: Vec<_> = (1..)
        .zip(seeds)
        .map(|(start, seed)| GroupEpoch {
            key: GroupKey::EpochKey(Secret::new([*seed; 16])),
            start: EpochStart::from_micros(start),
        })
        .collect();
    then(&GroupKeySet { id: GroupKeySetId::new(id), policy, epochs: &epochs })
}

impl<S: Storage, C: Crypto + Default> Network<S, C> {
    /// Makes a node a member of a group whose key set has the group's number.
    pub fn join_group(
        &mut self,
        n: usize,
        fabric: FabricIndex,
        group: u16,
        policy: SecurityPolicy,
        seeds: &[u8],
    ) {
        let manager = &mut self.nodes[n].manager;
        key_set(group, policy, seeds, |set| manager.groups_mut().set_key_set(fabric, set)).unwrap();
        let settings = GroupSettings::new(GroupKeySetId::new(group));
        manager.groups_mut().set(Group::new(fabric, GroupId::new(group)), settings).unwrap();
    }

    /// What a node would send to a group.
    pub fn group_datagram(
        &mut self,
        n: usize,
        fabric: FabricIndex,
        group: u16,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut buf = vec![0; payload.len() + 52];
        self.call(n, |manager, cx| {
            let to = Group::new(fabric, GroupId::new(group));
            let sent = manager.groups_mut().send(cx, to, MessageType::new(IM, 8), payload, &mut buf).unwrap();
            assert_eq!(Some(sent.to), manager_address(manager.groups().address(to)));
            sent.datagram.to_vec()
        })
    }

    /// Sends a message to a group: it comes to all other nodes.
    pub fn multicast(&mut self, n: usize, fabric: FabricIndex, group: u16, payload: &[u8]) {
        let datagram = self.group_datagram(n, fabric, group, payload);
        let from = self.nodes[n].address;
        let others = (0..self.nodes.len()).filter(|to| *to != n);
        for to in others.map(|to| self.nodes[to].address).collect::<Vec<_>>() {
            self.inject(from, to, &datagram, 0);
        }
        self.pump();
    }

    /// The payloads of group messages that a node got since it was asked last.
    pub fn heard(&mut self, n: usize) -> Vec<Vec<u8>> {
        self.nodes[n].heard.drain(..).map(|heard| heard.payload).collect()
    }
}

fn manager_address(
    address: Option<core::net::SocketAddr>,
) -> Option<matter_session::manager::PeerAddress> {
    address.map(Into::into)
}
