//! The device: serves PASE within a commissioning window that stays open, and CASE on its fabrics.
//!
//! It answers what `examples/device.rs` answers.

#[cfg(any(feature = "groups", feature = "check-in", feature = "signing-key"))]
mod extras;

use core::net::SocketAddr;
use core::time::Duration;

use matter_session::context::Services;
#[cfg(feature = "initiator")]
use matter_session::crypto::Passcode;
use matter_session::crypto::{Secret, Signature, Verifier};
use matter_session::fabric::{CredentialsCheck, FabricCredentials, Ipk};
#[cfg(feature = "initiator")]
use matter_session::ids::NodeId;
use matter_session::ids::{FabricIndex, LocalSessionId, MessageType, Peer};
use matter_session::manager::{CommissioningWindow, Event, PeerAddress, Received, SessionHandle};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::{ResumptionId, SecureSession, SessionKind};
use matter_session::time::{Instant, MatterTime, WallClock};

use crate::element::{Number, Waiting};
use crate::frame::{Fabric, Setup};
use crate::rng::Trng;
use crate::tables::{Node, Suite};
use matter_session_testing::protocols;

/// How long a commissioner may take: then its session ends, and another one gets its turn.
pub(crate) const FAIL_SAFE: Duration = Duration::from_secs(60);
/// What a peer that is turned away is asked to wait.
const BUSY_WAIT: Duration = Duration::from_millis(500);
/// How long after a failure of the store the device tries again.
pub(crate) const TIDY: Duration = Duration::from_secs(10);

/// What the device needs of its board.
pub trait Board {
    /// The monotonic clock.
    fn now(&mut self) -> Instant;
    /// Seconds since reset, of the same clock.
    fn seconds(&mut self) -> u32;
    /// Sends a datagram, or loses it.
    fn send(&mut self, to: SocketAddr, datagram: &[u8]);
    /// Takes note of what happened.
    fn tell(&mut self, happening: Happening<'_>);
    /// Has the secure element sign a digest with the key of a fabric. The answer comes later, by
    /// [`Device::signed`], always: before it, the element gets no other digest.
    fn sign(&mut self, number: Number, fabric: FabricIndex, digest: &[u8; 32]);
    /// Keeps a fabric that was joined over a reset, unless that comes before the commissioner has
    /// completed. Returns whether it does.
    fn keep_fabric(&mut self, fabric: matter_session::fabric::Fabric<'_>) -> bool;
    /// Keeps a resumption record over a reset, or deletes it. Returns true when that is done, and no
    /// reset from now on changes it.
    fn keep(&mut self, peer: Peer, record: Option<&Stored>) -> bool;
    /// Deletes every kept record but those that `is_current` returns true for. Returns whether
    /// that is done.
    fn retain(&mut self, is_current: impl Fn(Peer, &ResumptionId) -> bool) -> bool;
}

/// A resumption record as it is stored.
pub type Stored = Secret<{ ResumptionRecord::ENCODED_LEN }>;

/// What a test wants to know of the device.
pub enum Happening<'a> {
    Established {
        session: &'a SecureSession<Suite>,
        resumed: bool,
    },
    Failed,
    Closed {
        local: LocalSessionId,
    },
    /// What was kept over a reset is lost, or could not be changed. In the latter case the device
    /// tries again.
    NotKept,
}

pub struct Device<'n, B> {
    pub board: B,
    pub(crate) node: &'n mut Node,
    pub(crate) rng: Trng,
    waiting: Waiting,
    /// The calendar time at reset.
    pub(crate) booted: u32,
    busy: u32,
    forget: bool,
    /// The PASE session, and when it ends at the latest. No other is served while it lives.
    commissioner: Option<(SessionHandle, Instant)>,
    /// When to delete the records that should not be kept any more, as changing one has failed.
    tidy: Option<Instant>,
    /// The fabric that was added or updated, and when that is undone unless it is completed.
    #[cfg(feature = "persistent")]
    pub(crate) fail_safe: Option<(FabricIndex, Instant)>,
    #[cfg(any(feature = "groups", feature = "check-in", feature = "signing-key"))]
    extras: extras::Extras,
}

// Not inlined, any of them: the caller's frame lives as long as the device, and would hold what
// each needs for a moment.
impl<'n, B: Board> Device<'n, B> {
    /// Opens the commissioning window. `None` if the factory's data are no good.
    #[inline(never)]
    pub fn new(mut board: B, node: &'n mut Node, mut rng: Trng, setup: &Setup) -> Option<Self> {
        let verifier = Verifier::from_bytes(&setup.verifier).ok()?;
        let window = CommissioningWindow::new(verifier, setup.pbkdf()?);
        node.window().open(&mut Services::new(&mut rng).at(board.now()), window).ok()?;
        if setup.busy > 0 {
            node.handshakes().set_busy(Some(BUSY_WAIT));
        }
        Some(Self {
            board,
            node,
            rng,
            waiting: Waiting::default(),
            booted: setup.time,
            busy: setup.busy,
            forget: setup.forget,
            commissioner: None,
            tidy: None,
            #[cfg(feature = "persistent")]
            fail_safe: None,
            #[cfg(any(feature = "groups", feature = "check-in", feature = "signing-key"))]
            extras: extras::Extras::default(),
        })
    }

    /// Verifies the next signature of a fabric that is to be joined. Returns true once all are
    /// verified, and `None` if one does not verify.
    #[inline(never)]
    pub fn check(&mut self, fabric: &Fabric<'_>, check: &mut CredentialsCheck) -> Option<bool> {
        let Fabric { root, icac, noc, .. } = *fabric;
        let credentials = FabricCredentials { root, icac, noc, ipks: &[] };
        self.node.fabrics_mut().check(check, &credentials).ok()
    }

    /// Joins a fabric that was checked; returns whether that worked. With a store it lasts until the
    /// fail-safe expires, unless the commissioner completes.
    #[inline(never)]
    pub fn join(&mut self, fabric: &Fabric<'_>, check: &CredentialsCheck) -> bool {
        // One addition or update at a time.
        #[cfg(feature = "persistent")]
        if self.fail_safe.is_some() {
            return false;
        }
        let Fabric { root, icac, noc, .. } = *fabric;
        let ipks = [Ipk::EpochKey(Secret::new(fabric.ipk))];
        let credentials = FabricCredentials { root, icac, noc, ipks: &ipks };
        let added = self.node.fabrics_mut().add_checked(&credentials, check);
        let Ok(index) = added else { return false };
        let joined = self.node.fabrics().get(index);
        let kept = joined.is_some_and(|joined| self.board.keep_fabric(joined));
        #[cfg(feature = "persistent")]
        if kept {
            self.fail_safe = Some((index, self.board.now() + FAIL_SAFE));
        }
        if !kept {
            let mut services = services(&mut self.board, &mut self.rng, self.booted);
            let mut cx = services.at(self.board.now());
            self.node.fabrics_mut().remove(&mut cx, index);
        }
        kept
    }

    /// Begins PASE with another device; returns whether it was begun.
    #[cfg(feature = "initiator")]
    #[inline(never)]
    pub fn dial_pase(&mut self, peer: SocketAddr, passcode: u32) -> bool {
        let Ok(passcode) = Passcode::new(passcode) else { return false };
        let mut services = services(&mut self.board, &mut self.rng, self.booted);
        let mut cx = services.at(self.board.now());
        self.node.connect_pase(&mut cx, PeerAddress::Udp(peer), passcode).is_ok()
    }

    /// Begins CASE with a node of the fabric joined first; returns whether it was begun.
    #[cfg(feature = "initiator")]
    #[inline(never)]
    pub fn dial_case(&mut self, peer: SocketAddr, node: NodeId) -> bool {
        let Some(fabric) = FabricIndex::new(1) else { return false };
        let mut services = services(&mut self.board, &mut self.rng, self.booted);
        let mut cx = services.at(self.board.now());
        self.node.connect_case(&mut cx, PeerAddress::Udp(peer), Peer::new(fabric, node)).is_ok()
    }

    /// Takes a datagram in, and answers the request that it may hold.
    #[inline(never)]
    pub fn receive(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        let mut services = services(&mut self.board, &mut self.rng, self.booted);
        let mut cx = services.at(self.board.now());
        let received = self.node.handle_datagram(&mut cx, from.into(), datagram);
        let Received::Message(message) = received else { return };
        let (exchange, MessageType { protocol, opcode }) = (message.exchange, message.kind);
        let answer = protocols::answer(protocol, opcode, message.payload);
        if let Some((opcode, payload)) = answer {
            let kind = MessageType::new(protocol, opcode);
            // What cannot be sent is not: the peer waits in vain, as for a lost answer.
            let _ = self.node.send(&mut cx, exchange, kind, payload);
        }
        self.node.close_exchange(exchange);
    }

    /// Takes the secure element's answer in; `None`: it did not sign.
    #[inline(never)]
    pub fn signed(&mut self, number: Number, signature: Option<Signature>) {
        if let Some(signed) = self.waiting.complete(number, signature) {
            let mut services = services(&mut self.board, &mut self.rng, self.booted);
            let mut cx = services.at(self.board.now());
            let _ = self.node.complete_signature(&mut cx, signed);
        }
        self.sign();
    }

    /// Gives the secure element its next request.
    fn sign(&mut self) {
        let Self { waiting, node, board, .. } = self;
        let is_awaited = |request: &_| node.handshakes().is_awaited(request);
        if let Some((number, request)) = waiting.next(is_awaited) {
            board.sign(number, request.fabric(), request.digest());
        }
    }

    /// Lets time pass, reacts to what has happened and sends what is due. Returns when to call
    /// again if nothing arrives before.
    #[inline(never)]
    pub fn turn(&mut self) -> Option<Instant> {
        let mut services = services(&mut self.board, &mut self.rng, self.booted);
        let mut cx = services.at(self.board.now());
        let now = cx.now();
        self.node.handle_timeout(&mut cx);
        if let Some((session, _)) = self.commissioner.take_if(|(_, expires)| *expires <= now) {
            self.node.close_session(&mut cx, session);
        }
        if self.tidy.take_if(|due| *due <= now).is_some() {
            let records = self.node.records();
            let is_current = |peer, id: &_| records.get(peer).is_some_and(|own| own.id == *id);
            if !self.board.retain(is_current) {
                self.not_kept(now);
            }
        }
        // What must leave does so before the application reacts to an event.
        self.transmit(now);
        while let Some(event) = self.node.poll_event() {
            self.react(event, now);
        }
        if self.node.statistics().busy >= self.busy {
            self.node.handshakes().set_busy(None);
        }
        self.transmit(now);
        let session = self.commissioner.map(|(_, expires)| expires);
        let deadlines = [self.node.poll_timeout(), session, self.tidy];
        #[cfg(feature = "persistent")]
        let deadlines = [deadlines.into_iter().flatten().min(), self.fail_safe.map(|(_, at)| at)];
        deadlines.into_iter().flatten().min()
    }

    /// A record could not be kept or deleted: a former one may be there after a reset. Has it
    /// deleted later. Its peer gets a full handshake then, if it is not forgotten.
    fn not_kept(&mut self, now: Instant) {
        self.tidy = Some(now + TIDY);
        self.board.tell(Happening::NotKept);
    }

    /// Whether nothing is left to send or to be acknowledged.
    pub fn is_settled(&self) -> bool {
        self.node.is_settled()
    }

    #[inline(never)]
    fn transmit(&mut self, now: Instant) {
        while let Some(transmit) = self.node.poll_transmit(now) {
            if let PeerAddress::Udp(to) = transmit.to {
                self.board.send(to, transmit.datagram);
            }
        }
    }

    #[inline(never)]
    fn react(&mut self, event: Event<()>, now: Instant) {
        match event {
            #[cfg(feature = "signing-key")]
            Event::SignRequest(request) if self.extras.has_key() => self.sign_by_key(request),
            #[cfg(feature = "groups")]
            Event::GroupMessages => while self.node.groups_mut().poll_message().is_some() {},
            Event::SignRequest(request) => {
                let Self { waiting, node, .. } = self;
                waiting.push(request, |request| node.handshakes().is_awaited(request));
                self.sign();
            }
            Event::Established { session: handle, resumed, .. } => {
                if let Some(entry) = self.node.session(handle) {
                    let session = entry.session();
                    if session.kind() == SessionKind::Pase {
                        self.commissioner = Some((handle, now + FAIL_SAFE));
                    }
                    self.board.tell(Happening::Established { session, resumed });
                }
                if self.forget {
                    let mut services = services(&mut self.board, &mut self.rng, self.booted);
                    let mut cx = services.at(self.board.now());
                    self.node.records_mut().forget_all(&mut cx);
                }
            }
            Event::HandshakeFailed { .. } => self.board.tell(Happening::Failed),
            Event::Closed { session, .. } => {
                self.board.tell(Happening::Closed { local: session.local_session_id() });
                self.commissioner.take_if(|(commissioner, _)| *commissioner == session);
            }
            Event::ClaimRequest(request) => {
                // The peer is answered when no reset can bring the record back.
                let is_gone = self.board.keep(request.peer(), None);
                let mut services = services(&mut self.board, &mut self.rng, self.booted);
                let mut cx = services.at(self.board.now());
                let claimed = request.complete(is_gone);
                let _ = self.node.records_mut().complete_claim(&mut cx, claimed);
            }
            Event::RecordChanged { peer, .. } => {
                let record = self.node.records_mut().export(peer);
                let kept = self.board.keep(peer, record.as_ref());
                if !kept {
                    self.not_kept(now);
                }
            }
            _ => {}
        }
    }
}

/// What the node's calls need, with the date of this moment.
pub(crate) fn services<'s>(board: &mut impl Board, rng: &'s mut Trng, booted: u32) -> Services<'s> {
    let time = MatterTime::from_seconds(booted.saturating_add(board.seconds()));
    Services::new(rng).with_wall(WallClock::Known(time))
}
