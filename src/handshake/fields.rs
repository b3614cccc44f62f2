//! Fields that messages of both handshakes have.

use super::HandshakeError;
use crate::ids::PeerSessionId;
use crate::session::SessionParameters;
use crate::tlv::{Container, ContainerKind, TlvError};

/// Returns the sender's session id; zero would make our messages to it look unsecured.
pub(super) fn session_id(value: u16) -> Result<PeerSessionId, HandshakeError> {
    PeerSessionId::new(value).ok_or(HandshakeError::InvalidSessionId)
}

/// Returns the sender's session parameters, which it may leave out.
pub(super) fn session_parameters(
    fields: &mut Container<'_>,
    tag: u8,
) -> Result<Option<SessionParameters>, TlvError> {
    let Some(value) = fields.optional(tag)? else { return Ok(None) };
    SessionParameters::read(value.container(ContainerKind::Structure)?).map(Some)
}

/// Session parameters as both ends can say them, or none.
#[cfg(test)]
pub(super) fn any_parameters()
-> impl proptest::strategy::Strategy<Value = Option<SessionParameters>> {
    use proptest::prelude::*;

    let intervals = any::<(u32, u32, u16)>();
    let revisions = any::<(Option<u16>, Option<u16>, Option<u32>)>();
    prop::option::of((intervals, revisions, any::<u16>()).prop_map(
        |(intervals, revisions, paths)| {
            let mut parameters = SessionParameters::default()
                .with_intervals(intervals.0, intervals.1, intervals.2)
                .with_max_paths_per_invoke(paths);
            parameters.data_model_revision = revisions.0;
            parameters.interaction_model_revision = revisions.1;
            parameters.specification_version = revisions.2;
            parameters
        },
    ))
}
