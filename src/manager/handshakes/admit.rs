//! Handshakes that a peer begins: room for them, and refusals, which keep no state.

use core::time::Duration;

use crate::crypto::Crypto;
use crate::exchange::{Exchange, acknowledgement};
use crate::handshake::case::is_addressed;
use crate::handshake::case::messages::Sigma1;
use crate::handshake::pase::messages::PbkdfParamRequest;
use crate::handshake::{CaseServer, Incoming, PaseServer};
use crate::ids::LocalSessionId;
use crate::manager::config::Config;
use crate::manager::delivery::Delivery;
use crate::manager::handle::HandshakeId;
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::arrival::First;
use crate::manager::handshakes::machine::Machine;
use crate::manager::handshakes::message::has_room;
use crate::manager::handshakes::reply::ReplyTo;
use crate::manager::handshakes::slot::{Sigma1Mark, Slot};
use crate::manager::node::Node;
use crate::manager::statistics::increment;
use crate::manager::storage::{Map, Storage};
use crate::time::Instant;
use crate::wire::StatusReport;
use crate::wire::secure_channel::Opcode;

impl First<'_> {
    fn is_pase(&self) -> bool {
        Opcode(self.message.header.opcode) == Opcode::PBKDF_PARAM_REQUEST
    }

    /// Returns true if the message begins a handshake with this node.
    fn means_us<C: Crypto, S: Storage>(&self, crypto: &C, node: &Node<S>) -> bool {
        if self.is_pase() {
            return PbkdfParamRequest::parse(self.message.payload).is_ok();
        }
        is_addressed(crypto, &node.fabrics, self.message.payload)
    }

    /// Returns where a report that refuses the handshake goes.
    pub(in crate::manager) fn reply_to(&self) -> ReplyTo {
        ReplyTo {
            peer: self.peer,
            node: self.unsecured.ephemeral_node_id(),
            role: self.unsecured.role(),
            header: acknowledgement(&self.message.header, self.message.counter),
        }
    }
}

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Makes room for a handshake that a peer begins. `commissioned`: a session that the
    /// commissioning window served is alive, so that no other handshake is served.
    ///
    /// # Errors
    /// A report for the peer.
    pub(in crate::manager) fn make_room<T>(
        &mut self,
        crypto: &C,
        first: &First<'_>,
        commissioned: bool,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(), StatusReport<'static>> {
        let wait = match self.turning_away.get() {
            Some(wait) => Err(*wait),
            None if first.is_pase() && self.window.is_vacant() => {
                log_info!("PASE refused: the commissioning window is closed");
                increment(&mut delivery.statistics.window_closed);
                return Err(StatusReport::invalid_parameter());
            }
            None => self.make_room_for(crypto, first, commissioned, now, delivery, node),
        };
        wait.map_err(|wait| {
            increment(&mut delivery.statistics.busy);
            StatusReport::busy(wait)
        })
    }

    /// Makes room for a new handshake.
    ///
    /// # Errors
    /// The wait that the peer is told: by then a slot is free, unless something else than a slot
    /// is missing.
    fn make_room_for<T>(
        &mut self,
        crypto: &C,
        first: &First<'_>,
        commissioned: bool,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(), Duration> {
        let Config { retransmission_boost: boost, longest_interval: longest, .. } = node.config;
        let busy_wait = node.config.busy_wait;
        let frees = |slot: &Slot<C, S>| slot.frees(boost, longest);
        let wait = |until: Option<Instant>| {
            let wait = until.map_or(Duration::ZERO, |until| until.saturating_since(now));
            Err(wait.max(busy_wait))
        };
        // It did not supersede its former handshake: too soon.
        if self.is_running(first.unsecured.ephemeral_node_id(), first.peer)
            || delivery.is_backlogged()
        {
            return wait(None);
        }
        if first.is_pase() {
            match self.served() {
                Some(id) if self.pase_yields(id, &first.peer).is_some_and(|from| now >= from) => {
                    self.displace(id, now, busy_wait, delivery);
                }
                Some(id) => {
                    let over = self.slots.get(&id).and_then(frees);
                    let yields = self.pase_yields(id, &first.peer);
                    return wait([over, yields].into_iter().flatten().min());
                }
                None if commissioned => return wait(None),
                None => {}
            }
            if self.window.is_vacant() {
                return wait(None); // that was the last attempt
            }
        }
        if self.make_slot(delivery) && has_room(delivery) {
            return Ok(());
        }
        let newcomer = self.newcomer(Some(first.peer));
        match self.victim(&newcomer, now, has_room(delivery)) {
            // No handshake ends for a message that begins none.
            Some(victim) if first.means_us(crypto, node) => {
                self.displace(victim, now, busy_wait, delivery);
            }
            _ => {
                let has_slot = self.has_free_slot();
                return wait(self.next_slot(&newcomer, frees).filter(|_| !has_slot));
            }
        }
        if has_room(delivery) { Ok(()) } else { wait(None) }
    }

    /// Makes a slot for a handshake that a peer begins. Returns its id and the message for its
    /// state machine. Not inlined: the parts of the slot leave the stack before the handshake runs.
    ///
    /// # Errors
    /// A report for the peer.
    #[inline(never)]
    pub(in crate::manager) fn begin<'b, T>(
        &mut self,
        local: LocalSessionId,
        first: First<'b>,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(HandshakeId, Incoming<'b>), StatusReport<'static>> {
        let First { peer, unsecured, message } = first;
        let header = &message.header;
        let opcode = Opcode(header.opcode);
        let machine = match self.window.get() {
            _ if opcode == Opcode::CASE_SIGMA1 => {
                let server = CaseServer::new(local, now);
                let resumed = self.is_being_resumed(message.payload);
                Machine::CaseServer(if resumed { server.without_resumption() } else { server })
            }
            Some(window) => Machine::PaseServer(PaseServer::new(
                window.verifier.clone(),
                window.pbkdf,
                local,
                &node.config.parameters,
                now,
            )),
            None => return Err(StatusReport::invalid_parameter()),
        };
        let mut exchange = Exchange::new(header.exchange, false, now);
        let _ = exchange.receive(header, message.counter, false, now);
        let id = delivery.serial();
        let mut slot = Slot::new(machine, unsecured, exchange, peer, local, now);
        if opcode == Opcode::CASE_SIGMA1 {
            slot.sigma1 = Sigma1Mark::of(message.payload);
        }
        if !self.add(id, slot) {
            return Err(StatusReport::busy(node.config.busy_wait));
        }
        if opcode == Opcode::PBKDF_PARAM_REQUEST
            && let Some(window) = self.window.get_mut()
        {
            window.serving = Some(id);
        }
        Ok((id, message.into()))
    }

    /// Returns true if another handshake is about to resume by the same Sigma1. The second session
    /// would have the keys of the first.
    fn is_being_resumed(&self, sigma1: &[u8]) -> bool {
        let Ok(Sigma1 { initiator_random: random, resumption: Some(request), .. }) =
            Sigma1::parse(sigma1)
        else {
            return false;
        };
        let mut running = self.slots.iter().filter(|(_, slot)| slot.ended.is_none());
        running.any(|(_, slot)| slot.machine.resumes_for(&request.id, random))
    }
}
