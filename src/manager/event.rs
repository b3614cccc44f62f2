//! Events: what happened, for the application to poll.

use super::handle::{ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle};
use crate::group::GroupCounter;
use crate::handshake::{ClaimRequest, HandshakeError, SignRequest};
use crate::ids::{FabricIndex, Peer};

/// An event, which [`poll_event`](super::SessionManager::poll_event) returns.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<T> {
    /// A handshake established a session. Until the next event is polled,
    /// [`peer_certificates`](super::Handshakes::peer_certificates) lends what the peer
    /// presented.
    #[non_exhaustive]
    Established {
        /// The session.
        session: SessionHandle,
        /// The handshake, if this node began it.
        handshake: Option<HandshakeHandle>,
        /// Whether a former session was resumed.
        resumed: bool,
    },
    /// A handshake ended without a session.
    #[non_exhaustive]
    HandshakeFailed {
        /// The handshake, if this node began it.
        handshake: Option<HandshakeHandle>,
        /// The peer's address; of several, the one that refused, or one that did not answer.
        address: PeerAddress,
        /// Why.
        error: HandshakeError,
    },
    /// The operational key has to sign. Sign this and pass the result to
    /// [`complete_signature`](super::SessionManager::complete_signature), now or later. If requests
    /// queue up, drop those that [no handshake waits for](super::Handshakes::is_awaited).
    SignRequest(SignRequest),
    /// The peer acknowledged the message in flight on this exchange: the message has arrived. Only a
    /// response tells that the peer's application has handled it.
    ///
    /// An acknowledgement that does not prove this is reported as `Undelivered`: a peer acknowledges
    /// what is behind its replay window as well, and does not deliver it. This node sends no message
    /// that puts another one there; but acknowledgements, which it sends as often as the peer asks
    /// for them, and [unreliable](super::SessionManager::send_unreliable) messages can.
    #[non_exhaustive]
    Acknowledged {
        /// The exchange.
        exchange: ExchangeHandle,
    },
    /// The message in flight on this exchange is not known to have arrived, and is not sent again.
    /// The peer may have received it. Either the peer did not acknowledge it after the last
    /// retransmission: a CASE session then counts as defunct until a message of the peer is
    /// received. Or the session has ended. Or the exchange, which the peer had begun, was displaced
    /// by that of another peer ([`Config::max_exchanges`](super::Config::max_exchanges)). Or the
    /// acknowledgement proves nothing: see `Acknowledged`.
    #[non_exhaustive]
    Undelivered {
        /// The exchange.
        exchange: ExchangeHandle,
    },
    /// No response has come to a request that has arrived: the peer has acknowledged it, or the
    /// transport has taken it, and no message of the peer followed on this exchange in time. The
    /// session does not count as defunct for it.
    ///
    /// Each message that [`send`](super::SessionManager::send) sends on an exchange of this node
    /// is a request. The time is that of a request, of the peer's work
    /// ([`Config::processing_time`](super::Config::processing_time)) and of a response, with all
    /// retransmissions; [`Sessions::expect_response`](super::Sessions::expect_response) sets
    /// another one for a request. Each message of the peer on the exchange ends it. If the request
    /// itself is not acknowledged, or the acknowledgement proves nothing, `Undelivered` is reported
    /// instead, and if the session ends, `Closed`.
    ///
    /// The exchange stays open: a late response is received for another
    /// [`Config::exchange_lifetime`](super::Config::exchange_lifetime). Close it to give up, or
    /// call `expect_response` to wait for longer.
    #[non_exhaustive]
    NoResponse {
        /// The exchange.
        exchange: ExchangeHandle,
    },
    /// The message in flight on this exchange was not acknowledged in time, and is transmitted
    /// again. Reported once for each message, when all other events have been polled and unless the
    /// message was acknowledged or given up meanwhile. The peer may have another address now:
    /// discover it, and set it with [`move_session`](super::Sessions::move_session). [Core,
    /// "Operational Discovery"]
    #[non_exhaustive]
    PeerSilent {
        /// The session.
        session: SessionHandle,
        /// The exchange.
        exchange: ExchangeHandle,
    },
    /// An exchange can be opened on this session, where
    /// [`open_exchange`](super::SessionManager::open_exchange) was refused before. Reported once for
    /// each session on which it was refused, when all other events have been polled.
    #[non_exhaustive]
    ExchangeAvailable {
        /// The session.
        session: SessionHandle,
    },
    /// The manager has closed an exchange that the application had left open, without a message,
    /// for [`Config::exchange_lifetime`](super::Config::exchange_lifetime).
    #[non_exhaustive]
    ExchangeExpired {
        /// The exchange.
        exchange: ExchangeHandle,
    },
    /// A session is closed, and its exchanges with it. Messages in flight were reported before:
    /// `Undelivered`. Awaited responses can no longer arrive, and no `NoResponse` is reported for
    /// them.
    #[non_exhaustive]
    Closed {
        /// The session.
        session: SessionHandle,
        /// The application's data of that session.
        data: T,
        /// Why.
        reason: CloseReason,
    },
    /// A session can send only two million more messages. Establish a new one soon. When all are
    /// sent, [`session_with`](super::SessionManager::session_with) offers the session no more, and
    /// it closes: [`CloseReason::CounterExhausted`].
    #[non_exhaustive]
    CounterLow {
        /// The session.
        session: SessionHandle,
    },
    /// A peer asks to resume a session from a record that may be stored somewhere. Only with
    /// [`Config::claim_wait`](crate::manager::Config::claim_wait) set: a node that does not take
    /// part answers with the full handshake.
    ///
    /// Delete every stored copy of the record, wait until that is durable, and call
    /// [`Records::complete_claim`](crate::manager::Records::complete_claim). If the record could
    /// come back after a power failure, complete the request with false.
    ClaimRequest(ClaimRequest),
    /// The resumption record of a peer was made, replaced or removed. To keep it over a restart,
    /// store what [`Records::export`](crate::manager::Records::export) returns; if it returns
    /// `None`, delete what was stored. An application that stores no records can ignore this
    /// event.
    #[non_exhaustive]
    RecordChanged {
        /// The peer.
        peer: Peer,
    },
    /// The manager has closed the commissioning window.
    #[non_exhaustive]
    WindowClosed {
        /// Why.
        reason: WindowCloseReason,
    },
    /// The counter of a sender to a group is known now. Take its queued messages with
    /// [`Groups::poll_message`](crate::manager::Groups::poll_message), until there is none.
    GroupMessages,
    /// A counter of this node's group messages serves for two million messages more. No key may be
    /// used with a value twice, and both counters belong to the node until its factory reset. So
    /// the node sends no such message when all four billion values are used: after 136 years at one
    /// message a second. Reported once after each start.
    #[non_exhaustive]
    GroupCounterLow {
        /// Which counter.
        counter: GroupCounter,
    },
    /// Group messages of a fabric are dropped
    /// ([`Dropped::GroupSender`](super::Dropped::GroupSender)) because too many nodes send under
    /// one of its key sets. Entries of senders are not evicted while their key is installed, as
    /// their messages could be replayed then. Reported once, until
    /// [`Groups::forget_sender`](crate::manager::Groups::forget_sender) or the removal of a key set
    /// makes room.
    #[non_exhaustive]
    GroupSendersFull {
        /// The fabric.
        fabric: FabricIndex,
    },
}

/// Why a session is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CloseReason {
    /// The application closed it.
    Local,
    /// The peer closed it.
    Peer,
    /// It was evicted for a new session.
    Evicted,
    /// Its fabric was removed.
    FabricRemoved,
    /// Its fabric has new credentials: this node is another one there.
    FabricUpdated,
    /// The fail-safe of the commissioning window has expired
    /// ([`CommissioningWindow::with_fail_safe`](super::CommissioningWindow::with_fail_safe)). If the
    /// commissioner has added a fabric over the session, remove it; if it has changed the
    /// credentials of one, give it back the stored ones
    /// ([`Fabrics::replace`](super::Fabrics::replace)). No such event comes if the session has ended
    /// before, so the application needs a fail-safe timer of its own, too
    /// ([`guide::firmware`](crate::guide::firmware)).
    FailSafeExpired,
    /// The connection that carried it is lost.
    Disconnected,
    /// Its message counter is used up. [`Event::CounterLow`] came two million messages earlier.
    CounterExhausted,
}

impl CloseReason {
    /// Returns true if the peer still has the keys to decrypt a CloseSession, and can be reached.
    pub(super) const fn notifies_peer(self) -> bool {
        !matches!(self, Self::Peer | Self::Disconnected)
    }
}

/// Why the commissioning window has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WindowCloseReason {
    /// Its duration has passed.
    Expired,
    /// Twenty attempts failed.
    TooManyFailures,
}
