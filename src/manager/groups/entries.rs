//! The values in the tables of groups.

use crate::crypto::Crypto;
use crate::group::{GroupOpened, OperationalKeySet, SecurityPolicy, Synchronization};
use crate::ids::{GroupId, GroupKeySetId, MessageCounter, NodeId};
use crate::manager::handle::PeerAddress;
use crate::manager::storage::{Held, KeyRef, Sender, Storage};
use crate::session::ReplayWindow;
use crate::time::Instant;
use crate::wire::ProtocolHeader;

/// A group key set of a fabric.
pub(in crate::manager) struct KeySet<C: Crypto> {
    pub(super) keys: OperationalKeySet<C>,
    /// This node's id on the fabric, so that receiving does not look up the fabric.
    pub(super) own: NodeId,
}

/// A key that may have sealed a received message, and what receiving needs to know of its set.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) key: KeyRef,
    pub(super) policy: SecurityPolicy,
    pub(super) own: NodeId,
}

/// The counter of a sender.
#[derive(Debug)]
pub(in crate::manager) struct Known {
    pub(super) window: ReplayWindow,
    /// Whether counter synchronisation has confirmed the counter. Otherwise it was trusted on
    /// first sight.
    pub(super) told: bool,
}

/// A sender that this node asks for its counter.
#[derive(Debug)]
pub(in crate::manager) struct Syncing {
    pub(super) sync: Synchronization,
    /// The key that sealed the sender's message. It seals the request, too.
    pub(super) key: KeyRef,
    /// Whether the sender's message hid its header.
    pub(super) privacy: bool,
    /// The source address of the newest message of the sender.
    pub(super) to: PeerAddress,
    /// The counter of that message.
    pub(super) newest: MessageCounter,
}

impl Syncing {
    pub(super) const fn poll_timeout(&self) -> Instant {
        self.sync.poll_timeout()
    }
}

/// A decrypted message that is queued until the counter of its sender is known.
pub(in crate::manager) struct Waiting<S: Storage> {
    pub(super) sender: Sender,
    pub(super) group: GroupId,
    pub(super) key_set: GroupKeySetId,
    pub(super) header: ProtocolHeader,
    pub(super) counter: MessageCounter,
    pub(super) held: Held<S>,
    /// Whether it may be delivered.
    pub(super) admitted: bool,
}

impl<S: Storage> Waiting<S> {
    pub(super) fn new(group: GroupId, opened: &GroupOpened<'_, Candidate>, held: Held<S>) -> Self {
        let GroupOpened { key: Candidate { key, .. }, source, header, counter, .. } = opened;
        Self {
            sender: Sender { fabric: key.fabric, control: false, node: *source },
            group,
            key_set: key.set,
            header: *header,
            counter: *counter,
            held,
            admitted: false,
        }
    }
}

/// The places in the tables that one fabric may use, so that every fabric finds room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) key_sets: usize,
    pub(super) groups: usize,
    /// Senders of data messages.
    pub(super) data: usize,
    /// Senders of control messages.
    pub(super) control: usize,
}

impl Share {
    pub(super) const NONE: Self = Self { key_sets: 0, groups: 0, data: 0, control: 0 };
}
