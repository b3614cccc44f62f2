//! Handshakes.

use core::time::Duration;

use crate::context::{Context, PeerCertificates};
use crate::crypto::Crypto;
#[cfg(feature = "initiator")]
use crate::crypto::Passcode;
use crate::handshake::Signed;
#[cfg(feature = "initiator")]
use crate::ids::FabricIndex;
use crate::ids::NodeId;
use crate::manager::SessionManager;
#[cfg(feature = "initiator")]
use crate::manager::error::ConnectError;
#[cfg(feature = "initiator")]
use crate::manager::handle::{HandshakeHandle, Peer, PeerAddress};
use crate::manager::storage::Storage;
#[cfg(feature = "initiator")]
use crate::session::SessionParameters;
use crate::session::UnsecureSession;

/// Handshakes that this node begins.
#[cfg(feature = "initiator")]
impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Begins PASE with a device whose passcode is known.
    ///
    /// It ends in [`Event::Established`](crate::manager::Event::Established) or
    /// [`Event::HandshakeFailed`](crate::manager::Event::HandshakeFailed) with the handle returned.
    ///
    /// # Errors
    /// [`ConnectError`]; no handshake is begun then.
    pub fn connect_pase(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerAddress,
        passcode: Passcode,
    ) -> Result<HandshakeHandle, ConnectError> {
        let to = self.reserve_to_connect(peer)?;
        let (delivery, node) = (&mut self.delivery, &mut self.node);
        self.handshakes.connect_pase(&self.crypto, cx, to, passcode, delivery, node)
    }

    /// Begins CASE with a node of a fabric. Offers resumption if there is a resumption record of
    /// that node. The event says whether the session was resumed or made anew.
    ///
    /// # Errors
    /// [`ConnectError`]; no handshake is begun then.
    pub fn connect_case(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerAddress,
        fabric: FabricIndex,
        node: NodeId,
    ) -> Result<HandshakeHandle, ConnectError> {
        let (to, peer) = (self.reserve_to_connect(peer)?, Peer { fabric, node });
        let (delivery, node) = (&mut self.delivery, &mut self.node);
        self.handshakes.connect_case(&self.crypto, cx, to, peer, delivery, node)
    }

    /// Sets the peer's timing as discovery announced it, right after a handshake was begun.
    /// Messages are retransmitted at these intervals until the peer declares its own. The default
    /// intervals are too short for a device that sleeps. Returns false if the handshake has
    /// ended. [Core, "Operational Discovery"]
    pub fn expect_timing(
        &mut self,
        cx: &mut Context<'_>,
        handshake: HandshakeHandle,
        parameters: SessionParameters,
    ) -> bool {
        let (delivery, node) = (&mut self.delivery, &mut self.node);
        self.handshakes.expect_timing(cx, handshake, &parameters, delivery, node)
    }

    /// Ends a handshake that this node began. The peer gets no report: its own timer ends the
    /// handshake there. Returns false if the handshake has ended already.
    pub fn cancel(&mut self, handshake: HandshakeHandle) -> bool {
        self.handshakes.cancel(handshake, &mut self.delivery)
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Continues the handshake that [`Event::SignRequest`](crate::manager::Event::SignRequest) came
    /// from. Returns false, and ignores the signature, if no handshake waits for it any more.
    pub fn sign(&mut self, cx: &mut Context<'_>, signed: Signed) -> bool {
        self.advance_signed(cx, &signed)
    }

    /// Returns the certificates and the public key that the peer presented, from the time when
    /// [`Event::Established`](crate::manager::Event::Established) was polled until the next event
    /// is. Returns `None` for PASE and for resumed sessions, and when storage of fixed size had no
    /// room for the certificates.
    #[must_use]
    pub fn peer_certificates(&self) -> Option<PeerCertificates<'_>> {
        self.handshakes.peer_certificates(&self.delivery)
    }

    /// Returns the unsecured session of a running handshake, by the node id that its initiator
    /// chose for itself.
    #[must_use]
    pub fn unsecured_session(&self, ephemeral: NodeId) -> Option<&UnsecureSession> {
        self.handshakes.unsecured_session(ephemeral)
    }

    /// Returns the number of running handshakes.
    #[must_use]
    pub fn handshake_count(&self) -> usize {
        self.handshakes.count()
    }

    /// Refuses every new handshake with a Busy report that announces this wait; `None` ends that.
    /// For times in which the application cannot take sessions.
    pub const fn set_busy(&mut self, wait: Option<Duration>) {
        self.handshakes.set_busy(wait);
    }
}
