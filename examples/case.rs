//! CASE: two nodes of a fabric prove to each other who they are. Three times: in full, with
//! certificates; resumed, without; and in full again, as the device has forgotten the session
//! that the controller wants to resume. Every message is drawn with its fields.
//!
//! ```text
//! cargo run --example case
//! ```

mod ladder;

use core::time::Duration;

use ladder::{
    Authority, DEVICE, Direction, Outcome, Pair, draw_heading, draw_note, draw_session, system_rng,
};
use matter_session::context::Services;
use matter_session::ids::{
    CaseAuthTag, CaseAuthTags, FabricId, FabricIndex, MessageType, NodeId, Peer, ProtocolId,
};
use matter_session::manager::SessionHandle;

/// Opcodes of the interaction model, which this library carries but does not know.
const READ_REQUEST: u8 = 0x02;
const REPORT_DATA: u8 = 0x05;

const CONTROLLER_NODE: NodeId = NodeId::new(0xC0);
const DEVICE_NODE: NodeId = NodeId::new(0xDE);

fn main() -> Outcome {
    let mut pair = Pair::new();
    let mut rng = system_rng();

    // One authority issues the certificates of both; the controller's carries a tag that access
    // control lists can name.
    let mut authority = Authority::found(FabricId::new(0x2906).ok_or("zero")?, &mut rng)?;
    let mut administrators = CaseAuthTags::NONE;
    assert!(administrators.insert(CaseAuthTag::new(0x0001_0001).ok_or("version zero")?));
    let (controller, device) = (&mut pair.controller, &mut pair.device);
    let (fabric, key) =
        authority.admit(&mut controller.manager, CONTROLLER_NODE, administrators, &mut rng)?;
    controller.key = Some(key);
    let (device_fabric, key) =
        authority.admit(&mut device.manager, DEVICE_NODE, CaseAuthTags::NONE, &mut rng)?;
    device.key = Some(key);

    draw_heading("CASE in full: Sigma1, Sigma2, Sigma3");
    assert!(!connect(&mut pair, fabric)?, "nothing to resume yet");

    draw_heading("CASE resumed: Sigma1 with a resumption id, Sigma2_Resume");
    assert!(connect(&mut pair, fabric)?, "both sides hold the record");

    // The controller does not know that, and tries; the device answers with an ordinary Sigma2.
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(pair.now);
    pair.device.manager.forget_record(&mut cx, Peer::new(device_fabric, CONTROLLER_NODE));
    draw_heading("CASE in full although resumption was offered");
    assert!(!connect(&mut pair, fabric)?, "the device has forgotten");
    Ok(())
}

/// Dials the device, has it answer a request, and closes the session. Returns whether it was
/// resumed.
fn connect(pair: &mut Pair, fabric: FabricIndex) -> Outcome<bool> {
    let mut rng = system_rng();
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(pair.now);
    pair.controller.manager.connect_case(&mut cx, DEVICE, Peer::new(fabric, DEVICE_NODE))?;
    pair.carry()?;
    let (ours, resumed) = pair.controller.established()?;
    let (theirs, resumed_too) = pair.device.established()?;
    assert_eq!(resumed, resumed_too);

    draw_note("--- the session stands ---");
    request_and_response(pair, ours)?;

    println!();
    let session = pair.controller.manager.session(ours).ok_or("the controller's is gone")?;
    draw_session("controller", session.session());
    let challenge = *session.session().attestation_challenge();
    let session = pair.device.manager.session(theirs).ok_or("the device's is gone")?;
    draw_session("device", session.session());
    assert_eq!(session.session().identity().peer_node(), CONTROLLER_NODE);
    assert_eq!(session.session().attestation_challenge(), &challenge);

    // The goodbye is one encrypted message; both sides forget the keys.
    println!();
    cx = services.at(pair.now);
    pair.controller.manager.close_session(&mut cx, ours);
    pair.carry()?;
    assert!(matches!(pair.crossed.last(), Some((Direction::ToDevice, _))));
    assert_eq!(pair.device.manager.session_count(), 0);
    Ok(resumed)
}

/// One encrypted message each way.
fn request_and_response(pair: &mut Pair, session: SessionHandle) -> Outcome {
    let mut rng = system_rng();
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(pair.now);
    let protocol = ProtocolId::INTERACTION_MODEL;
    let exchange = pair.controller.manager.open_exchange(&mut cx, session)?;
    pair.controller.manager.send(
        &mut cx,
        exchange,
        MessageType::new(protocol, READ_REQUEST),
        b"on or off?",
    )?;
    pair.carry()?;

    let request = pair.device.inbox.pop().ok_or("the device received nothing")?;
    assert_eq!((request.opcode, request.payload.as_slice()), (READ_REQUEST, &b"on or off?"[..]));
    pair.device.manager.send(
        &mut cx,
        request.exchange,
        MessageType::new(protocol, REPORT_DATA),
        b"on",
    )?;
    pair.device.manager.close_exchange(request.exchange);
    pair.carry()?;

    let report = pair.controller.inbox.pop().ok_or("the controller received nothing")?;
    assert_eq!((report.opcode, report.payload.as_slice()), (REPORT_DATA, &b"on"[..]));
    pair.controller.manager.close_exchange(exchange);
    pair.wait(Duration::from_millis(500))
}
