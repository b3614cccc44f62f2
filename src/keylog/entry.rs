//! What is logged, and its form as a line.

use core::fmt;

use thiserror::Error;

use crate::crypto::{KEY_LEN, Secret};
use crate::fabric::CompressedFabricId;
use crate::ids::{GroupKeySetId, GroupSessionId, NodeId};
use crate::session::{SessionKeys, SessionKind, SessionRole, SessionSetup};

/// An entry of the key log. `Debug` hides the keys; [`line`](Self::line) shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyLogEntry {
    /// The keys of a unicast session.
    Session(SessionSecrets),
    /// A key of a group key set.
    Group(GroupSecrets),
    /// S2K: it opens the encrypted part of one Sigma2.
    Sigma2(Secret<KEY_LEN>),
    /// S3K: it opens the encrypted part of one Sigma3.
    Sigma3(Secret<KEY_LEN>),
}

/// The ids and keys of a unicast session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSecrets {
    /// The handshake that established the session.
    pub kind: SessionKind,
    /// The session id by which the initiator receives.
    pub initiator_session_id: u16,
    /// The session id by which the responder receives.
    pub responder_session_id: u16,
    /// The node id of the initiator, as it is part of nonces: 0 on PASE sessions.
    pub initiator: NodeId,
    /// The node id of the responder.
    pub responder: NodeId,
    /// The key with which the initiator encrypts.
    pub i2r: Secret<KEY_LEN>,
    /// The key with which the responder encrypts.
    pub r2i: Secret<KEY_LEN>,
    /// The attestation challenge.
    pub attestation_challenge: Secret<KEY_LEN>,
}

impl SessionSecrets {
    pub(super) fn new(keys: &SessionKeys, setup: &SessionSetup) -> Self {
        let local = (setup.local_session_id.get(), setup.identity.local_node());
        let peer = (setup.peer_session_id.get(), setup.identity.peer_node());
        let (initiator, responder) = match setup.role {
            SessionRole::Initiator => (local, peer),
            SessionRole::Responder => (peer, local),
        };
        Self {
            kind: setup.identity.kind(),
            initiator_session_id: initiator.0,
            responder_session_id: responder.0,
            initiator: initiator.1,
            responder: responder.1,
            i2r: keys.i2r(),
            r2i: keys.r2i(),
            attestation_challenge: keys.attestation_challenge(),
        }
    }
}

/// The ids and the key of a group session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSecrets {
    /// The session id: a hash of the key.
    pub session: GroupSessionId,
    /// The fabric.
    pub fabric: CompressedFabricId,
    /// The key set that the key belongs to.
    pub key_set: GroupKeySetId,
    /// The operational key.
    pub key: Secret<KEY_LEN>,
}

/// A line of a key log is not well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyLogError {
    /// A field is missing, or has another length or other characters than it must have.
    #[error("malformed field in a line of the key log")]
    Field,
    /// There are more fields than the label has.
    #[error("too many fields in a line of the key log")]
    TooLong,
}

const SESSION: &str = "SESSION";
const GROUP: &str = "GROUP";
const SIGMA2: &str = "SIGMA2";
const SIGMA3: &str = "SIGMA3";

impl KeyLogEntry {
    /// Returns the entry as a line of text, without its end. **It shows the keys.**
    #[must_use]
    pub const fn line(&self) -> Line<'_> {
        Line(self)
    }

    /// Reads a line. Returns `None` for a comment, an empty line, and a label that is not known.
    ///
    /// # Errors
    /// [`KeyLogError`].
    pub fn parse(line: &str) -> Result<Option<Self>, KeyLogError> {
        let mut fields = Fields(line.split_ascii_whitespace());
        let entry = match fields.0.next() {
            Some(SESSION) => Self::Session(fields.session()?),
            Some(GROUP) => Self::Group(fields.group()?),
            Some(SIGMA2) => Self::Sigma2(fields.secret()?),
            Some(SIGMA3) => Self::Sigma3(fields.secret()?),
            _ => return Ok(None),
        };
        if fields.0.next().is_some() {
            return Err(KeyLogError::TooLong);
        }
        Ok(Some(entry))
    }
}

/// The fields of a line that have not been read yet.
struct Fields<'a>(core::str::SplitAsciiWhitespace<'a>);

impl Fields<'_> {
    fn session(&mut self) -> Result<SessionSecrets, KeyLogError> {
        let kind = match self.0.next() {
            Some("PASE") => SessionKind::Pase,
            Some("CASE") => SessionKind::Case,
            _ => return Err(KeyLogError::Field),
        };
        Ok(SessionSecrets {
            kind,
            initiator_session_id: u16::from_be_bytes(self.array()?),
            responder_session_id: u16::from_be_bytes(self.array()?),
            initiator: NodeId::new(u64::from_be_bytes(self.array()?)),
            responder: NodeId::new(u64::from_be_bytes(self.array()?)),
            i2r: self.secret()?,
            r2i: self.secret()?,
            attestation_challenge: self.secret()?,
        })
    }

    fn group(&mut self) -> Result<GroupSecrets, KeyLogError> {
        Ok(GroupSecrets {
            session: GroupSessionId::new(u16::from_be_bytes(self.array()?)),
            fabric: CompressedFabricId::from_bytes(self.array()?),
            key_set: GroupKeySetId::new(u16::from_be_bytes(self.array()?)),
            key: self.secret()?,
        })
    }

    fn secret(&mut self) -> Result<Secret<KEY_LEN>, KeyLogError> {
        let mut secret = Secret::zero();
        self.read(secret.as_mut_bytes())?;
        Ok(secret)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], KeyLogError> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a field in place, so that no copy of a key is left.
    fn read<const N: usize>(&mut self, bytes: &mut [u8; N]) -> Result<(), KeyLogError> {
        let text = self.0.next().ok_or(KeyLogError::Field)?.as_bytes();
        let (pairs, rest) = text.as_chunks::<2>();
        if pairs.len() != N || !rest.is_empty() {
            return Err(KeyLogError::Field);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(())
    }
}

fn digit(character: u8) -> Result<u8, KeyLogError> {
    let digit = char::from(character).to_digit(16).ok_or(KeyLogError::Field)?;
    u8::try_from(digit).map_err(|_| KeyLogError::Field)
}

/// An entry as a line of text, which shows the keys.
#[allow(missing_debug_implementations, reason = "it prints secrets, and does so by Display alone")]
pub struct Line<'a>(&'a KeyLogEntry);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            KeyLogEntry::Session(session) => {
                write!(
                    f,
                    "{SESSION} {} {:04x} {:04x} {:016x} {:016x} ",
                    session.kind,
                    session.initiator_session_id,
                    session.responder_session_id,
                    session.initiator.get(),
                    session.responder.get(),
                )?;
                hex(f, session.i2r.as_bytes())?;
                f.write_str(" ")?;
                hex(f, session.r2i.as_bytes())?;
                f.write_str(" ")?;
                hex(f, session.attestation_challenge.as_bytes())
            }
            KeyLogEntry::Group(group) => {
                write!(f, "{GROUP} {:04x} ", group.session.get())?;
                hex(f, group.fabric.as_bytes())?;
                write!(f, " {:04x} ", group.key_set.get())?;
                hex(f, group.key.as_bytes())
            }
            KeyLogEntry::Sigma2(key) => {
                write!(f, "{SIGMA2} ")?;
                hex(f, key.as_bytes())
            }
            KeyLogEntry::Sigma3(key) => {
                write!(f, "{SIGMA3} ")?;
                hex(f, key.as_bytes())
            }
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
