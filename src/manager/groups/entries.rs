//! The values in the tables of groups.

use super::rate_limit::RateLimit;
use crate::bytes::Cleartext;
use crate::crypto::Crypto;
use crate::group::{GroupOpened, KeyId, OperationalKeySet, SecurityPolicy};
use crate::ids::{GroupId, GroupKeySetId, MessageCounter, NodeId};
use crate::manager::config::Config;
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
    /// How often this node tells its counter. Each set has its own limits, so that none takes from
    /// another, nor from another fabric.
    pub(super) answers: RateLimit,
    /// How often this node asks senders for theirs.
    pub(super) requests: RateLimit,
    /// Whether its keys have been logged.
    #[cfg(feature = "keylog")]
    pub(super) is_logged: bool,
}

/// A key that may have sealed a received message, and what receiving needs to know of its set.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) key: KeyRef,
    pub(super) id: KeyId,
    pub(super) policy: SecurityPolicy,
    pub(super) own: NodeId,
}

impl Candidate {
    /// Returns the sender of a message that this key has opened.
    pub(super) const fn sender(self, control: bool, node: NodeId) -> Sender {
        Sender { fabric: self.key.fabric, control, node, key: self.id }
    }
}

/// The counter of a sender.
#[derive(Debug)]
pub(in crate::manager) struct Known {
    pub(super) window: ReplayWindow,
    /// Whether counter synchronisation has confirmed the counter. Otherwise it was trusted on
    /// first sight.
    pub(super) told: bool,
}

/// A sender that this node asks for its counter, or has asked a moment ago.
#[derive(Debug)]
pub(in crate::manager) struct Syncing {
    /// Whether the sender's message hid its header.
    pub(super) privacy: bool,
    /// The source address of the newest message of the sender.
    pub(super) to: PeerAddress,
    /// The counter of that message.
    pub(super) newest: MessageCounter,
    /// Whether the request was sent. The sender's place is then free for others.
    pub(super) asked: bool,
    /// When to ask; afterwards, when to forget that.
    pub(super) until: Instant,
}

/// A decrypted message that is queued until the counter of its sender is known.
pub(in crate::manager) struct Waiting<S: Storage> {
    pub(super) sender: Sender,
    pub(super) group: GroupId,
    pub(super) key_set: GroupKeySetId,
    /// The place of the key in the set.
    pub(super) epoch: u8,
    pub(super) header: ProtocolHeader,
    pub(super) counter: MessageCounter,
    pub(super) held: Cleartext<Held<S>>,
    /// When it is dropped; `None` if it can be delivered.
    pub(super) until: Option<Instant>,
}

impl<S: Storage> Waiting<S> {
    pub(super) fn new(
        group: GroupId,
        opened: &GroupOpened<'_, Candidate>,
        held: Held<S>,
        until: Instant,
    ) -> Self {
        let GroupOpened { key, source, header, counter, .. } = opened;
        Self {
            sender: key.sender(false, *source),
            group,
            key_set: key.key.set,
            epoch: key.key.place,
            header: *header,
            counter: *counter,
            held: Cleartext::new(held),
            until: Some(until),
        }
    }

    pub(super) const fn is_admitted(&self) -> bool {
        self.until.is_none()
    }
}

/// The places in the tables that one fabric may use, so that every fabric finds room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) key_sets: usize,
    pub(super) groups: usize,
    /// Senders of data messages under one key set.
    pub(super) data: usize,
    /// Senders of control messages under one key set.
    pub(super) control: usize,
}

impl Share {
    pub(super) const NONE: Self = Self { key_sets: 0, groups: 0, data: 0, control: 0 };

    /// Returns true if there is room under each key set for ten senders of data messages and two of
    /// control messages, or if there need not be.
    pub(super) const fn is_enough(self, config: &Config) -> bool {
        const LEAST_CONTROL: usize = 2;
        let has_room = self.data >= Config::LEAST_SENDERS && self.control >= LEAST_CONTROL;
        has_room || self.key_sets == 0 || config.below_specification
    }

    /// Returns how many senders of all kinds a fabric may have.
    pub(super) const fn senders(self) -> usize {
        self.data.saturating_add(self.control).saturating_mul(self.key_sets)
    }
}
