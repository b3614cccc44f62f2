//! Why handshakes fail, and the report that the peer gets.

use core::time::Duration;

use thiserror::Error;

use crate::bytes::Overflow;
use crate::cert::{CertError, ChainError, Position};
use crate::crypto::{CryptoError, PbkdfError, SignError};
use crate::ids::ProtocolId;
use crate::time::as_millis;
use crate::tlv::TlvError;
use crate::wire::secure_channel::{Opcode, status_code};
use crate::wire::{GeneralCode, StatusReport, WireError};

/// A handshake ended without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer ended the handshake with a StatusReport.
    #[error("refused by the peer: {0}")]
    Refused(Refusal),
    /// The peer's message does not follow the schema.
    #[error("malformed handshake message: {0}")]
    Malformed(#[from] TlvError),
    /// A StatusReport that cannot be read.
    #[error("malformed status report: {0}")]
    MalformedReport(WireError),
    /// A message that has no place in this state of the handshake.
    #[error("unexpected {0}")]
    UnexpectedMessage(Opcode),
    /// A report of success before anything could have succeeded.
    #[error("success reported too early")]
    PrematureSuccess,
    /// The peer chose session id 0, which would make our messages look unsecured.
    #[error("peer session id is zero")]
    InvalidSessionId,
    /// PASE: the peer asks for a passcode other than the default one.
    #[error("unknown passcode id")]
    UnknownPasscodeId,
    /// PASE: the response answers another request.
    #[error("the response does not echo our random")]
    RandomMismatch,
    /// PASE: the device wants parameters outside the limits of the specification.
    #[error(transparent)]
    Pbkdf(#[from] PbkdfError),
    /// PASE: the two passcodes differ.
    #[error("wrong passcode")]
    WrongPasscode,
    /// CASE responder: the message is for none of our fabrics.
    #[error("the destination id matches none of our fabrics")]
    NoSharedTrustRoots,
    /// CASE: the encrypted part does not decrypt, so the peer has another key.
    #[error("the encrypted part is not authentic")]
    Undecryptable,
    /// CASE: a certificate of the peer is malformed: which, and why.
    #[error("certificate of the peer refused: {0}: {1}")]
    Certificate(Position, CertError),
    /// CASE: the peer's certificates do not chain to the fabric's root.
    #[error("certificate of the peer refused: {0}")]
    Chain(#[from] ChainError),
    /// CASE: the peer's certificate is of another fabric.
    #[error("the peer's certificate is of another fabric")]
    WrongFabric,
    /// CASE initiator: the peer is not the node that we connected to.
    #[error("the peer is not the node that we connected to")]
    WrongNode,
    /// CASE: the peer does not hold the key of its certificate.
    #[error("the peer's signature does not verify")]
    WrongSignature,
    /// CASE initiator: the answer to our resumption does not verify.
    #[error("the resumption is not authentic")]
    WrongResumption,
    /// CASE: the application's policy rejects the peer.
    #[error("rejected by policy")]
    Rejected,
    /// CASE: our fabric was removed or changed meanwhile, or never existed.
    #[error("no such fabric")]
    UnknownFabric,
    /// CASE: our own operational key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// CASE: the application did not complete a [`SignRequest`](super::SignRequest) in 60 seconds.
    #[error("the signature that the handshake asked for did not come in time")]
    SignatureOverdue,
    /// CASE: this completed [`SignRequest`](super::SignRequest) belongs to no waiting handshake.
    #[error("this signature was asked for by another handshake, or answers too late")]
    StaleSignature,
    /// CASE responder: this completed [`ClaimRequest`](super::ClaimRequest) belongs to no waiting
    /// handshake.
    #[error("this claim was asked for by another handshake, or answers too late")]
    StaleClaim,
    /// `proceed` was called although nothing is left to compute. The handshake continues.
    #[error("nothing is left to compute")]
    NothingLeft,
    /// CASE: [`CaseEnv::certificates`](super::CaseEnv::certificates) is not as the call before has
    /// left it.
    #[error("the room for the peer's certificates was changed between two calls")]
    RoomChanged,
    /// CASE initiator: the certificates behind the resumption record have ended meanwhile.
    #[error("the resumption record is past its time; connect again")]
    RecordExpired,
    /// The peer took too long.
    #[error("handshake timed out")]
    TimedOut,
    /// The peer began another handshake instead.
    #[error("the peer began another handshake instead")]
    Superseded,
    /// All handshake slots were taken, and another handshake got the slot of this one.
    #[error("another handshake got the slot of this one")]
    Displaced,
    /// The commissioning window was closed.
    #[error("the commissioning window was closed")]
    WindowClosed,
    /// There is no room for the session or for the next message of the handshake; close a session
    /// first.
    #[error("no room for the session or its handshake; close a session first")]
    NoRoom,
    /// The connection that carried the handshake is lost.
    #[error("the connection is lost")]
    Disconnected,
    /// The caller's output buffer is too small; see [`MAX_MESSAGE_LEN`](super::MAX_MESSAGE_LEN).
    #[error("output buffer too small for a handshake message")]
    BufferTooSmall,
    /// The crypto backend failed, or a public key of the peer is invalid.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The handshake has ended already.
    #[error("the handshake has ended already")]
    Ended,
}

/// How a peer refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refusal {
    /// It is busy. Try again after the wait that it named.
    #[error("busy, wait {} ms", as_millis(*wait))]
    Busy {
        /// Minimum time to wait; zero if the peer named none.
        wait: Duration,
    },
    /// None of its fabrics is the one we meant.
    #[error("no shared trust roots")]
    NoSharedTrustRoots,
    /// It refused one of our messages; with PASE, usually because the passcodes differ.
    #[error("invalid parameter")]
    InvalidParameter,
    /// Anything else.
    #[error("general code {}, protocol code {code}", general.0)]
    Other {
        /// The general code.
        general: GeneralCode,
        /// The protocol code.
        code: u16,
    },
}

impl HandshakeError {
    /// Returns the report for the peer. `None` if the peer ended the handshake or began another one,
    /// if the connection is lost, if the handshake had ended already, and for a stale signature or
    /// claim, after which the handshake continues. After [`Displaced`](Self::Displaced), the manager
    /// sends a Busy report itself.
    #[must_use]
    pub const fn status_report(&self) -> Option<StatusReport<'static>> {
        match self {
            Self::Refused(_)
            | Self::MalformedReport(_)
            | Self::PrematureSuccess
            | Self::StaleSignature
            | Self::StaleClaim
            | Self::Superseded
            | Self::Displaced
            | Self::Disconnected
            | Self::Ended => None,
            Self::NoSharedTrustRoots => Some(StatusReport::no_shared_trust_roots()),
            _ => Some(StatusReport::invalid_parameter()),
        }
    }
}

impl From<Overflow> for HandshakeError {
    fn from(_: Overflow) -> Self {
        Self::BufferTooSmall
    }
}

/// Reads the report that ends a handshake; anything but success is an error.
pub(super) fn read_report(payload: &[u8]) -> Result<(), HandshakeError> {
    let report = StatusReport::parse(payload).map_err(HandshakeError::MalformedReport)?;
    if report.is_success() { Ok(()) } else { Err(HandshakeError::Refused(refusal(&report))) }
}

/// Returns what a report means where nothing can have succeeded yet.
pub(super) fn early_report(payload: &[u8]) -> HandshakeError {
    read_report(payload).err().unwrap_or(HandshakeError::PrematureSuccess)
}

fn refusal(report: &StatusReport<'_>) -> Refusal {
    if let Some(wait) = report.busy_wait() {
        return Refusal::Busy { wait };
    }
    match (report.protocol, report.code) {
        (ProtocolId::SECURE_CHANNEL, status_code::NO_SHARED_TRUST_ROOTS) => {
            Refusal::NoSharedTrustRoots
        }
        (ProtocolId::SECURE_CHANNEL, status_code::INVALID_PARAMETER) => Refusal::InvalidParameter,
        _ => Refusal::Other { general: report.general, code: report.code },
    }
}
