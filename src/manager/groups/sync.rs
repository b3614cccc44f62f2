//! Counter synchronisation: asking senders for their counters, and answering.

use super::control::Control;
use super::entries::{Known, Syncing};
use super::send::header;
use super::tables::Groups;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::group::{Challenge, SyncResponse, SyncStep};
use crate::ids::{ExchangeId, FabricIndex, NodeId, ProtocolId};
use crate::manager::delivery::Delivery;
use crate::manager::event::Event;
use crate::manager::node::Node;
use crate::manager::received::Dropped;
use crate::manager::storage::{KeyRef, Map, Sender, Storage};
use crate::wire::secure_channel::Opcode;

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Asks senders for their counters again, or gives up, as time passes.
    #[inline(never)]
    pub(in crate::manager) fn timeout<T>(
        &mut self,
        cx: &mut Context<'_>,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        loop {
            if self.due.is_none_or(|due| cx.now < due) {
                return;
            }
            let due = |syncing: &Syncing| syncing.poll_timeout() <= cx.now;
            let found = self.syncs.iter().find(|(_, syncing)| due(syncing));
            let Some(sender) = found.map(|(sender, _)| *sender) else { return self.find_due() };
            let Some(syncing) = self.syncs.get_mut(&sender) else { return };
            let step = syncing.sync.handle_timeout(cx.rng, cx.now);
            let (key, privacy, to) = (syncing.key, syncing.privacy, syncing.to);
            let asked = match step {
                Some(SyncStep::Ask(challenge)) => {
                    let exchange = delivery.exchange_id();
                    let opcode = Opcode::MSG_COUNTER_SYNC_REQ.0;
                    let header = header(exchange, ProtocolId::SECURE_CHANNEL, opcode, true);
                    let message = Control { key, privacy, to, node: sender.node };
                    self.push_control(cx, message, &header, challenge.as_bytes(), delivery, node)
                        .is_some()
                }
                Some(SyncStep::GiveUp) => false,
                None => true,
            };
            if !asked {
                self.give_up(sender, &mut delivery.bytes);
            }
            self.find_due();
        }
    }

    /// Answers a node that asks for this node's counter.
    pub(super) fn answer<T>(
        &mut self,
        cx: &mut Context<'_>,
        asker: Control,
        exchange: ExchangeId,
        challenge: Challenge,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(), Dropped> {
        if !self.answers.allows(cx.now) {
            return Err(Dropped::GroupAnswer);
        }
        let store = cx.counters.as_deref_mut().ok_or(Dropped::GroupAnswer)?;
        let counter = self.counters.last_data(store, cx.rng).map_err(|_| Dropped::GroupAnswer)?;
        let opcode = Opcode::MSG_COUNTER_SYNC_RSP.0;
        let header = header(exchange, ProtocolId::SECURE_CHANNEL, opcode, false);
        let response = SyncResponse { counter, challenge }.to_bytes();
        self.push_control(cx, asker, &header, &response, delivery, node)
            .ok_or(Dropped::GroupAnswer)?;
        Ok(())
    }

    /// Handles the counter of a sender: its queued messages that are new can be delivered.
    pub(super) fn synchronized<T>(
        &mut self,
        key: KeyRef,
        node: NodeId,
        response: &SyncResponse,
        delivery: &mut Delivery<S, T>,
    ) -> Result<(), Dropped> {
        let sender = Sender { fabric: key.fabric, control: false, node };
        let syncing = self.syncs.get(&sender).ok_or(Dropped::Unsolicited)?;
        let mut state = syncing.sync.handle_response(response).ok_or(Dropped::Unsolicited)?;
        self.syncs.discard(&sender);
        self.find_due();
        // It may have been trusted meanwhile, for a message under a key set of the other policy.
        let known = self.senders.get(&sender);
        let room = known.is_some() || self.senders_of(sender) < self.share.data;
        if let Some(Known { window, .. }) = known {
            state.join(window.clone());
        }
        self.admit_waiting(sender, room.then_some(&mut state), &mut delivery.bytes);
        let known = Known { window: state.into_window(), told: true };
        if !room || self.senders.insert(sender, known).is_err() {
            self.full.raise(sender.fabric);
            return Err(Dropped::GroupSender);
        }
        Ok(())
    }

    /// Returns the next event of groups.
    pub(in crate::manager) fn next_event<T>(&mut self) -> Option<Event<T>> {
        if core::mem::take(&mut self.news) {
            return Some(Event::GroupMessages);
        }
        let fabric: FabricIndex = self.full.give()?;
        Some(Event::GroupSendersFull { fabric })
    }
}
