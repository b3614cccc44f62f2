//! Why a command to a manager was refused.

use thiserror::Error;

use crate::crypto::CryptoError;
use crate::handshake::HandshakeError;
use crate::wire::EncodeError;

/// A message was not sent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The exchange or its session is closed.
    #[error("the exchange or its session is closed")]
    Closed,
    /// A reliable message is in flight on this exchange; wait for its acknowledgement.
    #[error("a message is in flight on this exchange; wait for Acknowledged")]
    InFlight,
    /// The message would be too long.
    #[error("payload too long: at most {max} bytes")]
    TooLong {
        /// Length in bytes of the longest payload that can be sent on this exchange now.
        max: usize,
    },
    /// The caller's buffer is too small.
    #[error("buffer too small: {needed} bytes are needed")]
    BufferTooSmall {
        /// Minimum length in bytes.
        needed: usize,
    },
    /// The session's message counter is used up; establish a new session.
    #[error("the session's message counter is exhausted; establish a new session")]
    CounterExhausted,
    /// The storage has no room for the message now, or what is left is kept for handshakes and for
    /// other peers: see [`MessageBytes`](super::sizes::MessageBytes). Send it again when others
    /// have been acknowledged.
    #[error("no room for the message")]
    NoRoom,
    /// Too many events wait: poll them first.
    #[error("too many events wait; poll them first")]
    Backlog,
    /// The crypto backend failed.
    #[error("crypto backend failed")]
    Crypto,
}

impl From<EncodeError> for SendError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::BufferTooSmall { needed } => Self::BufferTooSmall { needed },
            EncodeError::PayloadTooLong => Self::TooLong { max: 0xFFFF },
            EncodeError::CounterExhausted => Self::CounterExhausted,
            EncodeError::Crypto => Self::Crypto,
        }
    }
}

/// No exchange was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpenError {
    /// The session is closed.
    #[error("the session is closed")]
    Closed,
    /// This node has begun as many exchanges as it may, or the table is full; close one first. A
    /// quarter of [`Config::max_exchanges`](super::Config::max_exchanges) is kept for peers.
    #[error("too many exchanges; close one first")]
    TooMany,
    /// This node has begun as many exchanges on this session as
    /// [`Config::max_own_exchanges_per_session`](super::Config::max_own_exchanges_per_session)
    /// allows. Close one, or wait for
    /// [`Event::ExchangeAvailable`](super::Event::ExchangeAvailable).
    #[error("too many exchanges on this session; wait for ExchangeAvailable")]
    SessionFull,
}

/// No handshake was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectError {
    /// The list of addresses is empty.
    #[error("no address to connect to")]
    NoAddress,
    /// Several addresses are named, and one is a connection: only UDP addresses are tried together.
    #[error("connect over one connection, or at several UDP addresses")]
    SeveralConnections,
    /// The table of handshakes is full; wait for one to end.
    #[error("too many handshakes; wait for one to end")]
    TooMany,
    /// Every session id is in use; close a session first.
    #[error("every session id is in use; close a session first")]
    NoSessionId,
    /// Too many events wait: poll them first.
    #[error("too many events wait; poll them first")]
    Backlog,
    /// The handshake could not be started.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The storage has no room for the first message.
    #[error("no room for the first message")]
    NoRoom,
}

/// The session was not moved. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MoveError {
    /// The session is closed.
    #[error("the session is closed")]
    Closed,
    /// The address is of another transport, or of another connection. A session over UDP moves
    /// between UDP addresses; one over TCP or another link ends with its connection. Establish a
    /// new session there.
    #[error("the address is of another transport or connection; establish a new session there")]
    OtherTransport,
}

/// The commissioning window was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WindowError {
    /// It is open already; close it first.
    #[error("the commissioning window is open already; close it first")]
    Open,
    /// The window is to be open for less than 180 or more than 900 seconds. If that is meant, say so
    /// with
    /// [`CommissioningWindow::with_any_duration`](super::CommissioningWindow::with_any_duration).
    #[error("a commissioning window is open for 180 to 900 seconds")]
    Duration,
    /// Too many events wait: poll them first.
    #[error("too many events wait; poll them first")]
    Backlog,
    /// No verifier could be made of the passcode.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The fabric was not added or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FabricTableError {
    /// The credentials do not make a fabric.
    #[error(transparent)]
    Credentials(#[from] crate::fabric::FabricError),
    /// The table is full, or what fabrics share for their certificates; remove a fabric first. Or
    /// there is no room for three CASE sessions with each fabric, or for ten senders under each of
    /// its group key sets: [`Config::max_fabrics`](super::Config::max_fabrics).
    #[error("too many fabrics; remove one first, or make room for more sessions or group senders")]
    TooMany,
    /// This node is a member of that fabric already; update it instead.
    #[error("this node is a member of that fabric already; update it instead")]
    Exists,
    /// The new credentials are of another fabric; add it instead.
    #[error("the credentials are of another fabric; add it instead")]
    OtherFabric,
    /// There is no fabric with this index.
    #[error("no fabric with this index")]
    Unknown,
}

/// The record was not restored. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RestoreError {
    /// This node is not a member of the record's fabric: restore fabrics first. If the node has
    /// left it, delete the record. Another fabric that has its index now does not count.
    #[error("the record's fabric is unknown")]
    UnknownFabric,
    /// The record is past its time: the certificates behind it have ended, or its full handshake
    /// was longer ago than [`Config::record_lifetime`](super::Config::record_lifetime). Delete it.
    #[error("the record is past its time")]
    Expired,
    /// The table of records is full; forget one first.
    #[error("too many records; forget one first")]
    TooMany,
    /// Too many events wait: poll them first, and restore the record then.
    #[error("too many events wait; poll them first")]
    Backlog,
}

impl RestoreError {
    /// Returns true if the same record can be restored once events are polled. If not, delete the
    /// record where it is stored: its peer gets a full handshake.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Backlog)
    }
}

/// The handshake has ended, or never was. Nothing has changed.
///
/// A signature or a claim that comes late is no fault: the handshake may have timed out meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the handshake has ended")]
pub struct HandshakeEnded;

/// The session is closed, or it is no PASE session. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("no open PASE session")]
pub struct NoPaseSession;

/// No session uses the connection, so nothing was sent: a peer that is not authenticated gets no
/// report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("no session uses the connection")]
pub struct NoSession;
