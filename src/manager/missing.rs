//! What a command was for is not there any more.

use thiserror::Error;

/// The handshake has ended, or never was. Nothing has changed.
///
/// A signature that comes late is no fault: the handshake may have timed out meanwhile.
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
