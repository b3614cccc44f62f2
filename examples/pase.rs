//! PASE between two state machines: `PaseClient` and `PaseServer` take bytes and return bytes, and
//! this program carries them from one to the other. Both end in a `SecureSession`.
//!
//! ```text
//! cargo run --example pase
//! ```

#[macro_use]
mod wire;

use matter_session::crypto::PbkdfParameters;
use matter_session::{
    Context, Incoming, Instant, LocalSessionId, MessageType, PaseClient, PaseServer, PaseStart,
    Passcode, ProtocolId, RustCrypto, SecureSession, Services, SessionParameters, Step, SystemRng,
    UnsecureSession, Verifier,
};
use wire::{Outcome, Wire};

fn main() -> Outcome {
    let mut rng = SystemRng;
    let mut wire = Wire::new(&mut rng);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);
    let [mut commissioner, mut device] = handshake(&mut cx, &mut wire)?;
    assert_eq!(commissioner.attestation_challenge(), device.attestation_challenge());
    say!("the commissioner has a {commissioner}, the device a {device}");

    let received = wire.carry(
        0,
        [&mut commissioner, &mut device],
        MessageType::INVOKE_REQUEST,
        b"arm fail-safe",
    )?;
    assert_eq!(received, b"arm fail-safe");
    let received =
        wire.carry(1, [&mut commissioner, &mut device], MessageType::INVOKE_RESPONSE, b"armed")?;
    assert_eq!(received, b"armed");
    Ok(())
}

/// The handshake. Returns the session of the commissioner and that of the device.
fn handshake(cx: &mut Context<'_>, wire: &mut Wire) -> Outcome<[SecureSession<RustCrypto>; 2]> {
    let (crypto, mut out) = (RustCrypto, [0; matter_session::handshake::MAX_MESSAGE_LEN]);
    let parameters = SessionParameters::default();
    let id = |id| LocalSessionId::new(id).ok_or("session ids are not 0");
    let passcode = Passcode::new(20_202_021)?;

    // The device keeps a verifier of the passcode and waits.
    let pbkdf = PbkdfParameters::random(1000, cx.rng())?;
    let verifier = Verifier::generate(&crypto, &passcode, &pbkdf)?;
    let mut server = PaseServer::new(verifier, pbkdf, id(22)?, &parameters, cx.now());
    // The commissioner, whose user has read the passcode off the label, makes the first message.
    let start = PaseStart::new(passcode, id(11)?, &parameters);
    let (mut client, mut message) = PaseClient::start(&crypto, cx, start, &mut out)?;

    let now = cx.now();
    let mut ours = UnsecureSession::initiator(cx.rng(), now)?;
    let mut theirs = UnsecureSession::responder(ours.ephemeral_node_id(), now);
    let mut sessions = [None, None];
    for from in [0, 1].into_iter().cycle() {
        let kind = MessageType::new(ProtocolId::SECURE_CHANNEL, message.opcode.0);
        let payload = message.payload(&out);
        let mut payload = wire.carry(from, [&mut ours, &mut theirs], kind, payload)?;
        let incoming = Incoming::new(message.opcode, &mut payload);
        let mut step = match from {
            0 => server.handle(&crypto, cx, incoming, &mut out)?,
            _ => client.handle(&crypto, cx, incoming, &mut out)?,
        };
        // Each part takes one operation on the curve at most. Other work may be done between two.
        while let Step::More = step {
            step = match from {
                0 => server.proceed(&crypto, cx, &mut out)?,
                _ => client.proceed(&crypto, cx, &mut out)?,
            };
        }
        let reply = step.message().copied();
        if let Step::Established { established, .. } = step {
            sessions[1 - from] = Some(established.session.begin(&crypto, cx));
        }
        let Some(reply) = reply else { break };
        message = reply;
    }
    let [Some(commissioner), Some(device)] = sessions else { return Err("no session".into()) };
    Ok([commissioner, device])
}
