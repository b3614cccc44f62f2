//! Messages to groups.

use thiserror::Error;

use super::Groups;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::FabricTable;
use crate::group::StoreError;
use crate::ids::{ExchangeId, Group, MessageType, ProtocolId};
use crate::manager::event::Transmit;
use crate::manager::storage::{Map, Optional, Storage};
use crate::manager::{PeerAddress, SessionManager};
use crate::wire::{
    EncodeError, MIN_MESSAGE_HEADER, MIN_PROTOCOL_HEADER, MessageBuf, ProtocolHeader, TAILROOM,
};

/// A message was not sent to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GroupSendError {
    /// This node is not in that group, or groups are not for this manager.
    #[error("this node is not in that group")]
    UnknownGroup,
    /// The group key set of the group is not installed, or has no key that is enabled.
    #[error("the group has no key to send with")]
    NoKey,
    /// The message would be too long.
    #[error("payload too long: at most {max} octets")]
    TooLong {
        /// The longest payload in octets that can be sent to a group.
        max: usize,
    },
    /// The caller's buffer is too small.
    #[error("buffer too small: {needed} octets are needed")]
    BufferTooSmall {
        /// The least length in octets that serves.
        needed: usize,
    },
    /// The context names no counter store: see
    /// [`Services::with_counters`](crate::context::Services::with_counters).
    #[error("no counter store")]
    NoStore,
    /// The counter store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The crypto backend failed.
    #[error("crypto backend failed")]
    Crypto,
}

impl From<EncodeError> for GroupSendError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::BufferTooSmall { needed } => Self::BufferTooSmall { needed },
            EncodeError::PayloadTooLong => Self::TooLong { max: 0xFFFF },
            EncodeError::CounterExhausted | EncodeError::Crypto => Self::Crypto,
        }
    }
}

/// Source node, 8 octets, and group, 2.
const GROUP_FIELDS: usize = 10;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Sends a message to all nodes of a group, once: sealed straight into `buf`, which must hold
    /// the payload and [`HEADROOM`](crate::wire::HEADROOM) + [`TAILROOM`] octets (52) more. Nobody
    /// acknowledges it. What is returned names a multicast address: send it there from the socket
    /// that receives unicast, as receivers ask the source for its counter.
    ///
    /// `cx` names the [`CounterStore`](crate::group::CounterStore). With the
    /// [calendar time](crate::context::Services::with_wall) the newest key that has begun is used,
    /// else the second newest.
    ///
    /// # Errors
    /// [`GroupSendError`]; nothing is to be sent then.
    #[inline(never)]
    pub fn send_group<'b>(
        &mut self,
        cx: &mut Context<'_>,
        group: Group,
        kind: MessageType,
        payload: &[u8],
        buf: &'b mut [u8],
    ) -> Result<Transmit<'b>, GroupSendError> {
        let Group { fabric, id: group } = group;
        let exchange = self.exchange_id();
        let groups = self.groups.get_mut().ok_or(GroupSendError::UnknownGroup)?;
        let Groups { groups, key_sets, counters, .. } = groups;
        let settings = groups.get(&(fabric, group)).ok_or(GroupSendError::UnknownGroup)?;
        let known = self.node.fabrics.by_index(fabric).ok_or(GroupSendError::UnknownGroup)?;
        let keys = key_sets.get(&(fabric, settings.key_set)).ok_or(GroupSendError::NoKey)?;
        let session = keys.keys.sending(cx.wall).ok_or(GroupSendError::NoKey)?;
        let header = header(exchange, kind.protocol, kind.opcode, true);
        let around = MIN_MESSAGE_HEADER + GROUP_FIELDS + TAILROOM + header.encoded_len();
        let max = self.node.config.max_message.saturating_sub(around);
        if payload.len() > max {
            return Err(GroupSendError::TooLong { max });
        }
        let message = MessageBuf::with_payload(buf, payload)?;
        let store = cx.counters.as_deref_mut().ok_or(GroupSendError::NoStore)?;
        let counter = counters.take_data(store, cx.rng)?;
        let source = known.node_id();
        let sealed = session.encode(counter, source, group, settings.privacy, &header, message)?;
        log_trace!("message {} sealed to group {}", sealed.counter(), group);
        let to = PeerAddress::Udp(settings.address.socket_address(known.id(), group));
        Ok(Transmit { to, datagram: sealed.as_bytes() })
    }

    /// The longest payload in octets that can be sent to a group, of a protocol of the standard.
    #[must_use]
    pub const fn max_group_payload(&self) -> usize {
        let around = MIN_MESSAGE_HEADER + GROUP_FIELDS + TAILROOM + MIN_PROTOCOL_HEADER;
        self.node.config.max_message.saturating_sub(around)
    }
}

/// The header of a message that nobody acknowledges.
pub(super) const fn header(
    exchange: ExchangeId,
    protocol: ProtocolId,
    opcode: u8,
    initiator: bool,
) -> ProtocolHeader {
    ProtocolHeader { exchange, protocol, opcode, initiator, needs_ack: false, ack: None }
}
