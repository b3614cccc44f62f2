//! What the programs print.

use core::fmt::Write;

use matter_session::crypto::{Hashing, RustCrypto, Sha256};
use matter_session::manager::{HeapSessionManager, SessionHandle};
use matter_session::session::SessionKind;

use super::node::Message;

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

/// The line on a message that was handed up: `MESSAGE protocol=0xfff10001 opcode=1 size=32
/// sha256=...`.
pub(crate) fn message_line(what: &str, message: &Message) -> String {
    let mut digest = RustCrypto.sha256();
    digest.update(&message.payload);
    format!(
        "{what} protocol={:#x} opcode={} size={} sha256={}",
        message.protocol.to_u32(),
        message.opcode,
        message.payload.len(),
        hex(&digest.finish())
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
