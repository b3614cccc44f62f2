//! What the programs print.

use core::fmt::Write;

use matter_session::manager::{HeapSessionManager, SessionHandle};
use matter_session::session::SessionKind;

/// The line that names a session: `SESSION kind=case local=1 peer=2 attestation=...`.
///
/// The attestation challenge shows that both ends have derived the same keys. It is printed
/// because these are test programs; it is for the application's eyes otherwise.
pub(crate) fn session_line(
    manager: &HeapSessionManager,
    handle: SessionHandle,
    resumed: bool,
) -> Option<String> {
    let session = manager.session(handle)?.session();
    let kind = match (session.kind(), resumed) {
        (SessionKind::Pase, _) => "pase",
        (SessionKind::Case, false) => "case",
        (SessionKind::Case, true) => "case-resumed",
        _ => "other",
    };
    let (local, peer) = (session.local_session_id(), session.peer_session_id());
    let attestation = hex(session.attestation_challenge());
    Some(format!(
        "SESSION kind={kind} local={} peer={} attestation={attestation}",
        local.get(),
        peer.get()
    ))
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
