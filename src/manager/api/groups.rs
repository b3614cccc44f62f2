//! The groups that this node is in.

use core::net::SocketAddr;

use crate::context::Context;
use crate::crypto::Crypto;
use crate::group::GroupKeySet;
use crate::ids::{FabricIndex, Group, GroupId, GroupKeySetId, MessageType, NodeId};
use crate::manager::SessionManager;
use crate::manager::groups::{GroupError, GroupSendError, GroupSettings, max_payload};
use crate::manager::received::{GroupMessage, Transmit};
use crate::manager::storage::{Optional, Storage};
#[cfg(doc)]
use crate::wire::TAILROOM;

/// The groups that this node is in, of a manager borrowed as `M`: shared to read, mutably to change
/// them, to send and to poll messages. See [`SessionManager::groups`] and
/// [`SessionManager::groups_mut`].
#[derive(Clone, Copy, Debug)]
pub struct Groups<M>(M);

impl<C: Crypto, S: Storage, T> SessionManager<C, S, T> {
    /// Returns the groups of this node, to read what is set.
    #[must_use]
    pub const fn groups(&self) -> Groups<&Self> {
        Groups(self)
    }

    /// Returns the groups of this node, to set keys and groups, to send, and to poll messages.
    #[must_use]
    pub const fn groups_mut(&mut self) -> Groups<&mut Self> {
        Groups(self)
    }
}

impl<'a, C: Crypto, S: Storage, T> Groups<&'a SessionManager<C, S, T>> {
    /// Returns true if a group key set is installed.
    #[must_use]
    pub fn has_key_set(self, fabric: FabricIndex, id: GroupKeySetId) -> bool {
        self.0.groups.get().is_some_and(|groups| groups.has_key_set(fabric, id))
    }

    /// Returns how this node takes part in a group.
    #[must_use]
    pub fn get(self, group: Group) -> Option<GroupSettings> {
        self.0.groups.get()?.settings(group.fabric, group.id)
    }

    /// Returns the groups of a fabric that this node is in.
    pub fn iter(
        self,
        fabric: FabricIndex,
    ) -> impl Iterator<Item = (GroupId, GroupSettings)> + use<'a, C, S, T> {
        self.0.groups.get().map(|groups| groups.of(fabric)).into_iter().flatten()
    }

    /// Returns the multicast address of a group, with the port. Join it to receive, and pass what
    /// its socket receives to [`handle_datagram`](SessionManager::handle_datagram).
    /// [`send`](Self::send) sends to this address.
    #[must_use]
    pub fn address(self, group: Group) -> Option<SocketAddr> {
        self.0.groups.get()?.address(group.fabric, group.id, &self.0.node)
    }

    /// Returns the nodes of a fabric whose counters this node keeps: first those that have sent to
    /// its groups, then those that have asked for this node's counter.
    pub fn senders(self, fabric: FabricIndex) -> impl Iterator<Item = NodeId> + use<'a, C, S, T> {
        self.0.groups.get().map(|groups| groups.senders(fabric)).into_iter().flatten()
    }

    /// Returns the longest payload in bytes that can be sent to a group, under a protocol of the
    /// standard.
    #[must_use]
    pub const fn max_payload(self) -> usize {
        max_payload(self.0.node.config.max_message)
    }
}

impl<'a, C: Crypto, S: Storage, T: Default> Groups<&'a mut SessionManager<C, S, T>> {
    /// Installs a group key set on a fabric, or replaces the one with its id. All keys are derived
    /// here, once.
    ///
    /// The application stores key sets and groups itself and sets them again after a restart. It
    /// stores [`GroupKey::operational`](crate::fabric::GroupKey::operational) of each key.
    ///
    /// # Errors
    /// [`GroupError`]. A key set with that id stays as it was.
    pub fn set_key_set(
        &mut self,
        fabric: FabricIndex,
        set: &GroupKeySet<'_>,
    ) -> Result<(), GroupError> {
        let groups = self.0.groups.get_mut().ok_or(GroupError::Unsupported)?;
        groups.set_key_set(&self.0.crypto, fabric, set, &self.0.node)
    }

    /// Forgets a group key set, and the messages under it that wait for the counter of their
    /// sender. Its groups stay, without a key. Returns false if there was none.
    pub fn remove_key_set(&mut self, fabric: FabricIndex, id: GroupKeySetId) -> bool {
        let groups = self.0.groups.get_mut();
        groups.is_some_and(|groups| groups.remove_key_set(fabric, id, &mut self.0.delivery))
    }

    /// Makes this node a member of a group, or changes how it is one. The node can send to the
    /// group, and receives its messages once a socket has joined its
    /// [address](Self::address). A node that only sends calls this, too, but does not join
    /// the address.
    ///
    /// # Errors
    /// [`GroupError`]. Nothing has changed then.
    pub fn set(&mut self, group: Group, settings: GroupSettings) -> Result<(), GroupError> {
        let groups = self.0.groups.get_mut().ok_or(GroupError::Unsupported)?;
        groups.set(group.fabric, group.id, settings, &mut self.0.delivery, &self.0.node)
    }

    /// Ends the membership of this node in a group, and forgets the messages to it that wait for
    /// the counter of their sender. Returns false if this node was not a member.
    pub fn remove(&mut self, group: Group) -> bool {
        let groups = self.0.groups.get_mut();
        groups.is_some_and(|groups| groups.remove(group.fabric, group.id, &mut self.0.delivery))
    }

    /// Forgets the counter of a sender, to make room for another. Returns false if there was none.
    ///
    /// Everybody who recorded the messages of that sender can then replay each of them once more.
    /// Forget senders only if they have left the fabric for good.
    pub fn forget_sender(&mut self, fabric: FabricIndex, node: NodeId) -> bool {
        self.0.groups.get_mut().is_some_and(|groups| groups.forget_sender(fabric, node))
    }

    /// Sends a message to all nodes of a group, once. It is sealed straight into `buf`, which must
    /// hold the payload and [`HEADROOM`](crate::wire::HEADROOM) + [`TAILROOM`] bytes (52) more.
    /// Receivers do not acknowledge it. Send the datagram to its multicast address from the socket
    /// that receives unicast, since receivers ask the source for its counter.
    ///
    /// `cx` must name the [`CounterStore`](crate::group::CounterStore). With the
    /// [calendar time](crate::context::Services::with_wall), the newest key that has begun is used,
    /// else the second newest.
    ///
    /// # Errors
    /// [`GroupSendError`]. There is nothing to send then.
    pub fn send<'b>(
        &mut self,
        cx: &mut Context<'_>,
        group: Group,
        kind: MessageType,
        payload: &[u8],
        buf: &'b mut [u8],
    ) -> Result<Transmit<'b>, GroupSendError> {
        let SessionManager { groups, delivery, node, .. } = &mut *self.0;
        let groups = groups.get_mut().ok_or(GroupSendError::UnknownGroup)?;
        groups.send(cx, group, kind, payload, buf, delivery, node)
    }

    /// Returns the next message to a group that had to wait for the counter of its sender, oldest
    /// first. Poll when [`Event::GroupMessages`](crate::manager::Event::GroupMessages) says so,
    /// until there is none. The message is lent until the next poll.
    #[must_use = "a message is delivered once"]
    pub fn poll_message(self) -> Option<GroupMessage<'a>> {
        self.0.groups.get_mut()?.poll_message(&mut self.0.delivery)
    }
}
