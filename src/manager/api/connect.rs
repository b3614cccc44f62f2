//! Handshakes.

use core::time::Duration;

use crate::context::{Context, PeerCertificates};
use crate::crypto::Crypto;
#[cfg(feature = "initiator")]
use crate::crypto::Passcode;
use crate::handshake::{SignRequest, Signed};
#[cfg(feature = "initiator")]
use crate::ids::Peer;
use crate::manager::SessionManager;
#[cfg(feature = "initiator")]
use crate::manager::error::ConnectError;
use crate::manager::error::HandshakeEnded;
#[cfg(feature = "initiator")]
use crate::manager::handle::{HandshakeHandle, PeerAddress};
#[cfg(feature = "initiator")]
use crate::manager::handshakes::MAX_ADDRESSES;
use crate::manager::storage::Storage;
#[cfg(feature = "initiator")]
use crate::session::SessionParameters;

/// Handshakes that this node begins.
#[cfg(feature = "initiator")]
impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Maximum number of addresses at which one handshake is tried: 8, or 4 without the feature
    /// `alloc`.
    pub const MAX_ADDRESSES: usize = MAX_ADDRESSES;

    /// Begins PASE with a device whose passcode is known, at one address or several UDP addresses:
    /// see [`connect_case`](Self::connect_case).
    ///
    /// It ends in [`Event::Established`](crate::manager::Event::Established) or
    /// [`Event::HandshakeFailed`](crate::manager::Event::HandshakeFailed) with the handle returned.
    ///
    /// # Errors
    /// [`ConnectError`]; no handshake is begun then.
    pub fn connect_pase(
        &mut self,
        cx: &mut Context<'_>,
        to: impl AsRef<[PeerAddress]>,
        passcode: Passcode,
    ) -> Result<HandshakeHandle, ConnectError> {
        let to = self.reserve_to_connect(cx.now, to.as_ref())?;
        let (delivery, node) = (&mut self.delivery, &mut self.node);
        self.handshakes.connect_pase(&self.crypto, cx, to, passcode, delivery, node)
    }

    /// Begins CASE with a node of a fabric. Offers resumption if there is a resumption record of
    /// that node. The event says whether the session was resumed or made anew.
    ///
    /// `to` is an address, or a list of UDP addresses at which the node may be: the best one first,
    /// at most [`MAX_ADDRESSES`](Self::MAX_ADDRESSES) of them; the others are not tried. Each is
    /// sent the same first message, with retransmissions, a
    /// [`connection_attempt_delay`](crate::Config::connection_attempt_delay) after the one before.
    /// The handshake continues with the sender of the first valid answer, and nothing more is sent
    /// to the others. It has one handle, and one event at its end. If an address refuses or sends
    /// an invalid answer, the manager gives this address up and tries the next one at once. If no
    /// other address answers, the event names this one and its refusal. To try several TCP
    /// connections, the application opens them itself, and passes the one that is accepted first.
    /// [RFC 8305, "Connection Attempts"]
    ///
    /// ```
    /// # use matter_session::{ConnectError, Context, Event, HandshakeHandle, Peer, PeerAddress};
    /// # use matter_session::{Crypto, SessionManager, Storage};
    /// # use core::net::SocketAddr;
    /// /// Connects to a node at all addresses that discovery has found.
    /// fn connect<C: Crypto, S: Storage>(
    ///     manager: &mut SessionManager<C, S>,
    ///     cx: &mut Context<'_>,
    ///     found: &[SocketAddr],
    ///     peer: Peer,
    /// ) -> Result<HandshakeHandle, ConnectError> {
    ///     let found: Vec<_> = found.iter().map(|at| PeerAddress::Udp(*at)).collect();
    ///     manager.connect_case(cx, found, peer)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError`]; no handshake is begun then.
    pub fn connect_case(
        &mut self,
        cx: &mut Context<'_>,
        to: impl AsRef<[PeerAddress]>,
        peer: Peer,
    ) -> Result<HandshakeHandle, ConnectError> {
        let to = self.reserve_to_connect(cx.now, to.as_ref())?;
        let (delivery, node) = (&mut self.delivery, &mut self.node);
        self.handshakes.connect_case(&self.crypto, cx, to, peer, delivery, node)
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Continues the handshake that [`Event::SignRequest`](crate::manager::Event::SignRequest) came
    /// from.
    ///
    /// # Errors
    /// [`HandshakeEnded`] if no handshake waits for the signature any more. This is no fault: the
    /// handshake may have timed out meanwhile.
    pub fn complete_signature(
        &mut self,
        cx: &mut Context<'_>,
        signed: Signed,
    ) -> Result<(), HandshakeEnded> {
        self.advance_signed(cx, &signed).then_some(()).ok_or(HandshakeEnded)
    }

    /// Returns the handshakes that are running.
    pub const fn handshakes(&mut self) -> Handshakes<'_, C, S, T> {
        Handshakes(self)
    }
}

/// The handshakes of a manager that are running: cancels them, sets a peer's timing, and refuses
/// new ones for a time. See [`SessionManager::handshakes`].
#[derive(Debug)]
pub struct Handshakes<'a, C: Crypto, S: Storage, T>(&'a mut SessionManager<C, S, T>);

/// Handshakes that this node has begun.
#[cfg(feature = "initiator")]
impl<C: Crypto, S: Storage, T: Default> Handshakes<'_, C, S, T> {
    /// Sets the peer's timing as discovery announced it, right after a handshake was begun.
    /// Messages are retransmitted at these intervals until the peer declares its own. The default
    /// intervals are too short for a device that sleeps. [Core, "Operational Discovery"]
    ///
    /// # Errors
    /// [`HandshakeEnded`].
    pub fn expect_timing(
        &mut self,
        cx: &mut Context<'_>,
        handshake: HandshakeHandle,
        parameters: SessionParameters,
    ) -> Result<(), HandshakeEnded> {
        let SessionManager { handshakes, delivery, node, .. } = &mut *self.0;
        let known = handshakes.expect_timing(cx, handshake, &parameters, delivery, node);
        known.then_some(()).ok_or(HandshakeEnded)
    }

    /// Returns the handshake with a peer that this node has begun with
    /// [`connect_case`](SessionManager::connect_case), while it is under way. Ask before you connect,
    /// so that there are not two.
    #[must_use]
    pub fn with_peer(&self, peer: Peer) -> Option<HandshakeHandle> {
        self.0.handshakes.with_peer(peer)
    }

    /// Ends a handshake that this node began, without an event. Returns false if the handshake has
    /// ended already.
    ///
    /// The peer gets a StatusReport (`INVALID_PARAMETER`, as after every failure), so that its
    /// slot or its commissioning window is free for the next initiator at once. A device counts a
    /// failed attempt if it has answered the Pake1. The report is sent once, without an
    /// acknowledgement: if it is lost, the peer's own timer ends the handshake there. A session
    /// that the peer has established already stays there until the peer closes or evicts it.
    /// Nothing is sent if the peer was sent nothing yet. [Core, "Secure Channel Status Report
    /// Messages"]
    pub fn cancel(&mut self, handshake: HandshakeHandle) -> bool {
        self.0.handshakes.cancel(handshake, &mut self.0.delivery)
    }
}

impl<'a, C: Crypto, S: Storage, T: Default> Handshakes<'a, C, S, T> {
    /// Returns the certificates and the public key that the peer presented, from the time when
    /// [`Event::Established`](crate::manager::Event::Established) was polled until the next event
    /// is. Returns `None` for PASE and for resumed sessions, and when storage of fixed size had no
    /// room for the certificates.
    #[must_use]
    pub fn peer_certificates(self) -> Option<PeerCertificates<'a>> {
        self.0.handshakes.peer_certificates(&self.0.delivery)
    }

    /// Returns the number of running handshakes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.handshakes.count()
    }

    /// Returns true if no handshake is running.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true if a handshake has something to compute:
    /// [`handle_timeout`](SessionManager::handle_timeout) is due at once, and computes the next part.
    /// While [`Config::max_events`](crate::manager::Config::max_events) wait to be polled, nothing is
    /// computed.
    #[must_use]
    pub fn is_computing(&self) -> bool {
        self.0.delivery.has_work()
    }

    /// Returns true if a handshake still waits for the answer to this request. Where requests queue
    /// up before a slow key, drop the others first: an attacker can begin handshakes faster than the
    /// key signs.
    #[must_use]
    pub fn is_awaited(&self, request: &SignRequest) -> bool {
        self.0.handshakes.is_awaited(request)
    }

    /// Refuses every new handshake with a Busy report that announces this wait; `None` ends that.
    /// For times in which the application cannot take sessions.
    pub const fn set_busy(&mut self, wait: Option<Duration>) {
        self.0.handshakes.set_busy(wait);
    }
}
