//! Fields that messages of both handshakes have.

use super::HandshakeError;
use crate::ids::PeerSessionId;
use crate::session::SessionParameters;
use crate::tlv::{Container, ContainerKind, TlvError};

/// The sender's session id; zero would make our messages to it look unsecured.
pub(super) fn session_id(value: u16) -> Result<PeerSessionId, HandshakeError> {
    PeerSessionId::new(value).ok_or(HandshakeError::InvalidSessionId)
}

/// The sender's session parameters, which it may leave out.
pub(super) fn session_parameters(
    fields: &mut Container<'_>,
    tag: u8,
) -> Result<Option<SessionParameters>, TlvError> {
    let Some(value) = fields.optional(tag)? else { return Ok(None) };
    SessionParameters::read(value.container(ContainerKind::Structure)?).map(Some)
}
