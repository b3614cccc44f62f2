//! The groups of a node: installed from its fabric file, heard by multicast, sent to.

use core::net::{IpAddr, SocketAddr};
use matter_session::Group;
use matter_session::MessageType;
use std::io;

use matter_session::group::GroupKeySet;
use matter_session::ids::{FabricIndex, GroupId, GroupKeySetId, NodeId};
use matter_session::manager::{GroupMessage, GroupSettings, PeerAddress};
use matter_session::wire::{HEADROOM, TAILROOM};

use super::node::Node;
use super::{Result, report};
use matter_session_testing::fabric_file::Membership;
use matter_session_testing::protocols::{ON_OFF_COMMANDS, invoke_on_off};

/// A message to a group, copied out so that nothing is borrowed while it is acted on.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) group: GroupId,
    pub(crate) key_set: GroupKeySetId,
    pub(crate) source: NodeId,
    pub(crate) opcode: u8,
    pub(crate) counter: u32,
    pub(crate) payload: Vec<u8>,
}

impl From<GroupMessage<'_>> for Heard {
    fn from(message: GroupMessage<'_>) -> Self {
        Self {
            group: message.group.id,
            key_set: message.key_set,
            source: message.source,
            opcode: message.kind.opcode,
            counter: message.counter.get(),
            payload: message.payload.to_vec(),
        }
    }
}

impl Node {
    /// Installs the keys of a group and makes this node a member.
    pub(crate) fn set_group(&mut self, fabric: FabricIndex, group: &Membership) -> Result<()> {
        let Membership { id, key_set, policy, epochs, address } = group;
        let keys = GroupKeySet { id: *key_set, policy: *policy, epochs };
        self.manager.groups_mut().set_key_set(fabric, &keys)?;
        let settings = GroupSettings::new(*key_set).with_address(*address);
        Ok(self.manager.groups_mut().set(Group::new(fabric, *id), settings)?)
    }

    /// Listens to a multicast address, on the interface that the system chooses. Datagrams to it
    /// come to sockets that are bound to its port and to no address.
    pub(crate) fn listen_to(&self, group: SocketAddr) -> io::Result<()> {
        match group.ip() {
            IpAddr::V6(group) => self.join_multicast(&group),
            IpAddr::V4(_) => Err(io::Error::other("Matter groups are of IPv6")),
        }
    }

    /// Sends a message to a group, to this address if there is one and else to that of the group.
    /// Returns the latter.
    pub(crate) fn send_group(
        &mut self,
        to: Group,
        kind: MessageType,
        payload: &[u8],
        instead: Option<SocketAddr>,
    ) -> Result<SocketAddr> {
        let mut buf = vec![0; HEADROOM + payload.len() + TAILROOM];
        let sent =
            self.with(|manager, cx| manager.groups_mut().send(cx, to, kind, payload, &mut buf))?;
        let PeerAddress::Udp(group) = sent.to else { return Err("groups speak UDP".into()) };
        self.send_to(sent.datagram, instead.unwrap_or(group))?;
        Ok(group)
    }
}

/// Sends commands to each group of a fabric. Whether anybody hears them, nobody knows.
pub(crate) fn send_to_all(
    node: &mut Node,
    fabric: FabricIndex,
    times: u32,
    privacy: bool,
    instead: Option<SocketAddr>,
) -> Result<()> {
    let groups: Vec<_> = node.manager.groups().iter(fabric).collect();
    for (group, settings) in groups.iter().filter(|_| privacy) {
        node.manager.groups_mut().set(Group::new(fabric, *group), settings.with_privacy())?;
    }
    for (_, command) in (0..times).zip(ON_OFF_COMMANDS.into_iter().cycle()) {
        for (group, _) in &groups {
            let payload = invoke_on_off(command);
            let to = Group::new(fabric, *group);
            let address = node.send_group(to, MessageType::INVOKE_REQUEST, &payload, instead)?;
            say!("SENT group={group} address={address} payload={}", report::hex(&payload));
        }
    }
    Ok(())
}
