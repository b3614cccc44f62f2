//! Messages to groups.

use thiserror::Error;

use super::tables::Groups;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::FabricTable;
use crate::group::{CounterError, StoreError};
use crate::ids::{ExchangeId, Group, MessageType, ProtocolId};
use crate::manager::delivery::Delivery;
use crate::manager::handle::PeerAddress;
use crate::manager::node::Node;
use crate::manager::received::Transmit;
use crate::manager::storage::{Map, Storage};
use crate::manager::trace::{self, Way};
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
    #[error("payload too long: at most {max} bytes")]
    TooLong {
        /// The longest payload in bytes that can be sent to a group.
        max: usize,
    },
    /// The caller's buffer is too small.
    #[error("buffer too small: {needed} bytes are needed")]
    BufferTooSmall {
        /// The shortest length in bytes that is enough.
        needed: usize,
    },
    /// The context has no counter store: see
    /// [`Services::with_counters`](crate::context::Services::with_counters).
    #[error("no counter store")]
    NoStore,
    /// The counter store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Every value of the counter of group messages has been used: this node sends to no group
    /// until a factory reset. [`Event::GroupCounterLow`](crate::Event::GroupCounterLow) came two
    /// million messages earlier.
    #[error("the counter of group messages is exhausted")]
    CounterExhausted,
    /// The crypto backend failed.
    #[error("crypto backend failed")]
    Crypto,
}

impl From<CounterError> for GroupSendError {
    fn from(error: CounterError) -> Self {
        match error {
            CounterError::Store(error) => Self::Store(error),
            CounterError::Exhausted => Self::CounterExhausted,
        }
    }
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

/// The source node takes 8 bytes, the group 2.
const GROUP_FIELDS: usize = 10;

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Seals a message to a group into `buf`.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "the message, its buffer, and the parts below")]
    pub(in crate::manager) fn send<'b, T>(
        &mut self,
        cx: &mut Context<'_>,
        Group { fabric, id: group }: Group,
        kind: MessageType,
        payload: &[u8],
        buf: &'b mut [u8],
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<Transmit<'b>, GroupSendError> {
        let exchange = delivery.exchange_id();
        let Self { groups, key_sets, counters, .. } = self;
        let settings = groups.get(&(fabric, group)).ok_or(GroupSendError::UnknownGroup)?;
        let known = node.fabrics.by_index(fabric).ok_or(GroupSendError::UnknownGroup)?;
        let keys = key_sets.get(&(fabric, settings.key_set)).ok_or(GroupSendError::NoKey)?;
        let session = keys.keys.sending(cx.wall).ok_or(GroupSendError::NoKey)?;
        let header = header(exchange, kind.protocol, kind.opcode, true);
        let around = MIN_MESSAGE_HEADER + GROUP_FIELDS + TAILROOM + header.encoded_len();
        let max = node.config.max_message.saturating_sub(around);
        if payload.len() > max {
            return Err(GroupSendError::TooLong { max });
        }
        let message = MessageBuf::with_payload(buf, payload)?;
        let store = cx.counters.as_deref_mut().ok_or(GroupSendError::NoStore)?;
        let counter = counters.take_data(store, cx.rng)?;
        let source = known.node_id();
        let sealed = session.encode(counter, source, group, settings.privacy, &header, message)?;
        trace::message(Way::Out, session.id().get(), &header, sealed.counter());
        delivery.statistics.count_sent(false);
        let to = PeerAddress::Udp(settings.address.socket_address(known.id(), group));
        Ok(Transmit { to, datagram: sealed.as_bytes() })
    }
}

/// Returns the longest payload in bytes that can be sent to a group when messages have
/// `max_message` bytes.
pub(in crate::manager) const fn max_payload(max_message: usize) -> usize {
    let around = MIN_MESSAGE_HEADER + GROUP_FIELDS + TAILROOM + MIN_PROTOCOL_HEADER;
    max_message.saturating_sub(around)
}

/// Returns the header of a message that is never acknowledged.
pub(super) const fn header(
    exchange: ExchangeId,
    protocol: ProtocolId,
    opcode: u8,
    initiator: bool,
) -> ProtocolHeader {
    ProtocolHeader { exchange, protocol, opcode, initiator, needs_ack: false, ack: None }
}
