//! Control messages: short, sealed straight into the outbox.

use super::tables::Groups;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::FabricTable;
use crate::ids::NodeId;
use crate::manager::delivery::{Delivery, SHORT_LEN, Short};
use crate::manager::handle::PeerAddress;
use crate::manager::node::Node;
use crate::manager::storage::{KeyRef, Map, Storage};
use crate::manager::trace::{self, Way};
use crate::wire::{MessageBuf, ProtocolHeader};

/// The destination of a control message and the key that seals it.
pub(super) struct Control {
    pub(super) key: KeyRef,
    pub(super) privacy: bool,
    pub(super) to: PeerAddress,
    pub(super) node: NodeId,
}

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Queues a control message; `None` if it cannot be sealed.
    pub(super) fn push_control<T>(
        &mut self,
        cx: &mut Context<'_>,
        message: Control,
        header: &ProtocolHeader,
        payload: &[u8],
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Option<()> {
        let Control { key, privacy, to, node: receiver } = message;
        let session = self.key_sets.get(&(key.fabric, key.set))?.keys.session(key.place)?;
        let source = node.fabrics.by_index(key.fabric)?.node_id();
        let store = cx.counters.as_deref_mut()?;
        let counter = self.counters.take_control(store, cx.rng).ok()?;
        let mut buf = [0; SHORT_LEN];
        let payload = MessageBuf::with_payload(&mut buf, payload).ok()?;
        let sealed = session.encode(counter, source, receiver, privacy, header, payload).ok()?;
        trace::message(Way::Out, session.id().get(), header, sealed.counter());
        delivery.push_short(to, Short::Group(key), sealed.as_bytes());
        Some(())
    }
}
