//! Handshakes that this node begins.

use super::event::ConnectError;
use super::handle::{HandshakeHandle, PeerAddress, Source};
use super::handshakes::message_of;
use super::machine::Machine;
use super::slot::{Slot, TakenMessage};
use super::storage::{Map, Octets, Storage};
use super::{HandshakeEnded, Node, SessionManager};
use crate::context::Context;
use crate::crypto::{Crypto, Passcode};
use crate::exchange::Exchange;
use crate::handshake::case::KeepNone;
use crate::handshake::{CaseClient, HandshakeError, PaseClient};
use crate::ids::{LocalSessionId, Peer};
use crate::session::{SessionParameters, UnsecureSession};
use crate::wire::MessageBuf;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Begins PASE with a device whose passcode is known.
    ///
    /// It ends in [`Event::Established`](super::Event::Established) or
    /// [`Event::HandshakeFailed`](super::Event::HandshakeFailed) with the handle returned.
    ///
    /// # Errors
    /// [`ConnectError`]; nothing is begun then.
    pub fn connect_pase(
        &mut self,
        cx: &mut Context<'_>,
        address: PeerAddress,
        passcode: Passcode,
    ) -> Result<HandshakeHandle, ConnectError> {
        self.dial(cx, address, |node, crypto, local, cx, out| {
            let parameters = &node.config.parameters;
            let (machine, first) =
                PaseClient::start(passcode, None, local, parameters, cx, crypto, out)?;
            Ok((Machine::PaseClient(machine), TakenMessage::from(first)))
        })
    }

    /// Begins CASE with a node of a fabric. If a resumption record of it is known, resumption is
    /// offered; whether the session was resumed or made anew, the event says.
    ///
    /// # Errors
    /// [`ConnectError`]; nothing is begun then.
    pub fn connect_case(
        &mut self,
        cx: &mut Context<'_>,
        address: PeerAddress,
        peer: Peer,
    ) -> Result<HandshakeHandle, ConnectError> {
        self.dial(cx, address, |own, crypto, local, cx, out| {
            let (machine, first) = own.with_env(cx, &mut KeepNone, |env, cx| {
                let record = env.resumption.by_peer(peer);
                CaseClient::start(peer.fabric, peer.node, record, local, env, cx, crypto, out)
                    .map(|(machine, first)| (machine, TakenMessage::from(first)))
            })?;
            Ok((Machine::CaseClient(machine), first))
        })
    }

    /// Tells what discovery says of the peer's timing, right after a handshake was begun: until
    /// the peer declares its own, messages are repeated at these intervals. Without it the
    /// defaults hold, which are too short for a device that sleeps. [Core, "Operational Discovery"]
    ///
    /// # Errors
    /// [`HandshakeEnded`].
    pub fn expect_timing(
        &mut self,
        cx: &mut Context<'_>,
        handshake: HandshakeHandle,
        parameters: SessionParameters,
    ) -> Result<(), HandshakeEnded> {
        let wait = self.node.retry_wait();
        let running = self.handshakes.get_mut(&handshake.0).filter(|slot| slot.ended.is_none());
        let slot = running.ok_or(HandshakeEnded)?;
        slot.unsecured.set_peer_parameters(&parameters);
        slot.exchange.postpone(cx.now + wait(slot.unsecured.base_interval(cx.now), 0));
        self.update(Source::Handshake(handshake.0));
        Ok(())
    }

    /// Ends a handshake that this node began. The peer is not told: it will run into its timer.
    /// Returns false if it has ended already.
    pub fn cancel_handshake(&mut self, handshake: HandshakeHandle) -> bool {
        let running = self.handshakes.get(&handshake.0).is_some_and(|slot| slot.ended.is_none());
        if running {
            self.drop_handshake(handshake.0);
        }
        running
    }

    /// Begins a handshake whose machine and first message `start` makes.
    fn dial(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerAddress,
        start: impl FnOnce(
            &mut Node<S>,
            &C,
            LocalSessionId,
            &mut Context<'_>,
            &mut [u8],
        ) -> Result<(Machine<C>, TakenMessage), HandshakeError>,
    ) -> Result<HandshakeHandle, ConnectError> {
        let local = self.reserve()?;
        if !self.has_room_for_message() {
            return Err(ConnectError::NoRoom);
        }
        let id = self.serial();
        let mut message = self.allocate_message(id).ok_or(ConnectError::NoRoom)?;
        let octets = self.octets.get_mut(message_of(id), &mut message);
        let started = match MessageBuf::new(octets) {
            Ok(mut buf) => start(&mut self.node, &self.crypto, local, cx, buf.payload_mut())
                .map_err(ConnectError::from),
            Err(_) => Err(ConnectError::NoRoom),
        };
        let (machine, first) = started.inspect_err(|_| self.octets.release(message_of(id)))?;
        let mut unsecured =
            UnsecureSession::initiator_as(self.node.config.ephemeral(cx.rng), cx.now);
        if matches!(machine, Machine::PaseClient(_)) {
            // A commissioner has just discovered the device, which therefore listens.
            unsecured.mark_peer_active(cx.now);
        }
        let exchange = Exchange::new(self.exchange_id(), true, cx.now);
        if !self.add_handshake(id, Slot::new(machine, unsecured, exchange, peer, local)) {
            self.octets.release(message_of(id));
            return Err(ConnectError::TooMany);
        }
        self.launch(id, message, &first, cx);
        self.update(Source::Handshake(id));
        Ok(HandshakeHandle(id))
    }

    /// Frees a slot if need be and reserves a session id.
    fn reserve(&mut self) -> Result<LocalSessionId, ConnectError> {
        if self.is_backlogged() {
            return Err(ConnectError::Backlog);
        }
        if !self.make_handshake_room() {
            return Err(ConnectError::TooMany);
        }
        self.free_session_id().ok_or(ConnectError::NoSessionId)
    }
}
