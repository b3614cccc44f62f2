//! PASE: a controller commissions a device by its passcode. Every message is drawn with its
//! fields; then one encrypted message goes each way.
//!
//! ```text
//! cargo run --example pase
//! ```

mod ladder;

use core::time::Duration;

use ladder::{DEVICE, Outcome, Pair, draw_heading, draw_note, draw_session, system_rng};
use matter_session::context::Services;
use matter_session::crypto::Passcode;
use matter_session::ids::{MessageType, ProtocolId};

/// Opcodes of the interaction model, which this library carries but does not know.
const INVOKE_REQUEST: u8 = 0x08;
const INVOKE_RESPONSE: u8 = 0x09;

fn main() -> Outcome {
    let mut pair = Pair::new();
    let mut rng = system_rng();
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(pair.now);

    // The device lets in whoever knows its passcode; the controller has read it off the label.
    let passcode = Passcode::new(20_202_021)?;
    pair.device.manager.open_commissioning_window_for(&mut cx, &passcode, None)?;
    pair.controller.manager.connect_pase(&mut cx, DEVICE, passcode)?;

    draw_heading("PASE");
    pair.carry()?;
    let (ours, _) = pair.controller.established()?;
    let (theirs, _) = pair.device.established()?;

    draw_note("--- the session stands ---");
    let exchange = pair.controller.manager.open_exchange(&mut cx, ours)?;
    let protocol = ProtocolId::INTERACTION_MODEL;
    pair.controller.manager.send(
        &mut cx,
        exchange,
        MessageType::new(protocol, INVOKE_REQUEST),
        b"arm fail-safe",
    )?;
    pair.carry()?;

    let request = pair.device.inbox.pop().ok_or("the device received nothing")?;
    assert_eq!((request.session, request.opcode), (theirs, INVOKE_REQUEST));
    assert_eq!(request.payload, b"arm fail-safe");
    pair.device.manager.send(
        &mut cx,
        request.exchange,
        MessageType::new(protocol, INVOKE_RESPONSE),
        b"armed",
    )?;
    pair.device.manager.close_exchange(request.exchange);
    pair.carry()?;

    let response = pair.controller.inbox.pop().ok_or("the controller received nothing")?;
    assert_eq!((response.exchange, response.opcode), (exchange, INVOKE_RESPONSE));
    assert_eq!(response.payload, b"armed");
    pair.controller.manager.close_exchange(exchange);
    pair.wait(Duration::from_millis(500))?;

    let ours = pair.controller.manager.session(ours).ok_or("the controller's session is gone")?;
    let theirs = pair.device.manager.session(theirs).ok_or("the device's session is gone")?;
    println!();
    draw_session("controller", ours.session());
    draw_session("device", theirs.session());
    assert_eq!(ours.session().attestation_challenge(), theirs.session().attestation_challenge());
    Ok(())
}
