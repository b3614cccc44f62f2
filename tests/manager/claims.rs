//! Stored records that a peer resumes from: the responder answers when the application has deleted
//! them, and not before.

use core::time::Duration;

use matter_session::handshake::{ClaimRequest, HandshakeError};
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{Config, Dropped, Event, HandshakeEnded};
use matter_session::resumption::ResumptionRecord;

use crate::net::{Fate, Net, index, udp};

const DEVICE: usize = 1;
const WAIT: u64 = 400;
const SIGMA2: u8 = 0x31;
const SIGMA2_RESUME: u8 = 0x33;

fn controller() -> Peer {
    Peer::new(index(1), NodeId::new(100))
}

fn export(net: &mut Net) -> Option<ResumptionRecord> {
    let bytes = net.call(DEVICE, |m, _| m.records_mut().export(controller()))?;
    Some(ResumptionRecord::from_bytes(bytes.as_bytes()).unwrap())
}

/// A controller and a device that has stored its record and is asked for it.
fn stored(wait: u64) -> (Net, ResumptionRecord) {
    let device = Config::default().with_claim_wait(Duration::from_millis(wait));
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), device)]);
    net.case(200);
    net.settle();
    let record = export(&mut net).expect("a record that nobody has claimed");
    net.node(DEVICE).grants = false;
    for node in &mut net.nodes {
        node.events.clear();
    }
    (net, record)
}

/// The controller connects; the device is asked.
fn asked() -> (Net, ResumptionRecord, ClaimRequest) {
    let (mut net, record) = stored(WAIT);
    net.dial_case(0, DEVICE, 1, 200);
    net.pump();
    let request = net.node(DEVICE).claims.pop().expect("a claim");
    assert_eq!((request.peer(), *request.id()), (controller(), record.id));
    assert_eq!(net.node(DEVICE).manager.handshakes().len(), 1);
    (net, record, request)
}

fn answer(net: &mut Net, request: ClaimRequest, granted: bool) -> Result<(), HandshakeEnded> {
    net.call(DEVICE, |m, cx| m.records_mut().complete_claim(cx, request.complete(granted)))
}

/// Whether the sessions that both ends have now were resumed.
fn resumed(net: &Net) -> [Option<bool>; 2] {
    [0, DEVICE].map(|n| {
        net.nodes[n].events.iter().find_map(|event| match event {
            Event::Established { resumed, .. } => Some(*resumed),
            _ => None,
        })
    })
}

fn answers(net: &Net, since: usize) -> Vec<u8> {
    let sent = net.sent_by(DEVICE, since);
    let opcodes = sent.iter().filter_map(|d| d.handshake_opcode());
    opcodes.filter(|opcode| [SIGMA2, SIGMA2_RESUME].contains(opcode)).collect()
}

#[test]
fn the_answer_of_the_application_decides() {
    for granted in [true, false] {
        let (mut net, _, request) = asked();
        let since = net.sent.len();
        net.run(100);
        assert!(answers(&net, since).is_empty(), "nothing is answered before");
        assert_eq!(answer(&mut net, request, granted), Ok(()));
        net.run(2000);
        assert_eq!(resumed(&net), [Some(granted); 2]);
        assert_eq!(net.nodes[DEVICE].claims.len(), 0);
        net.assert_clean();
    }
}

#[test]
fn a_claim_that_nobody_answers_becomes_a_full_handshake() {
    let (mut net, _, request) = asked();
    net.run(WAIT - 10);
    assert_eq!(resumed(&net), [None; 2]);
    net.run(1000);
    assert_eq!(resumed(&net), [Some(false); 2]);
    assert_eq!(answer(&mut net, request, true), Err(HandshakeEnded));
    net.assert_clean();
}

#[test]
fn an_application_that_does_not_take_part_is_not_asked() {
    let (mut net, _) = stored(0);
    net.dial_case(0, DEVICE, 1, 200);
    net.run(1000);
    assert_eq!(resumed(&net), [Some(false); 2]);
    assert_eq!(net.nodes[DEVICE].claims.len(), 0);
    // What it has not stored serves.
    net.nodes.iter_mut().for_each(|node| node.events.clear());
    net.dial_case(0, DEVICE, 1, 200);
    net.run(1000);
    assert_eq!(resumed(&net), [Some(true); 2]);
}

#[test]
fn a_stored_record_is_offered_without_a_question() {
    let (mut net, _) = stored(0);
    net.dial_case(DEVICE, 0, 1, 100);
    net.run(1000);
    assert_eq!(resumed(&net), [Some(true); 2]);
    let (mut net, _, request) = asked();
    net.dial_case(DEVICE, 0, 1, 100);
    net.run(100);
    assert_eq!(resumed(&net), [Some(true); 2], "also while a peer claims it");
    drop(request);
}

#[test]
fn a_record_that_is_claimed_is_not_given_out() {
    let (mut net, record, request) = asked();
    assert_eq!(export(&mut net), None, "the application is deleting it");
    assert_eq!(answer(&mut net, request, true), Ok(()));
    assert_eq!(export(&mut net), None, "it has been answered");
    // Nor if the application restores a copy that it should not have.
    let copy = record.clone();
    assert_eq!(net.call(DEVICE, |m, cx| m.records_mut().restore(cx, copy)), Ok(()));
    assert_eq!(export(&mut net), None);
    net.run(1000);
    assert_eq!(resumed(&net), [Some(true); 2]);
    let new = export(&mut net).expect("the record of the new session");
    assert_ne!(new.id, record.id);
    assert_eq!(new.shared_secret, record.shared_secret);
}

#[test]
fn a_claim_on_a_record_that_was_replaced_meanwhile_is_refused() {
    let (mut net, record, request) = asked();
    // A session that the device begins replaces the record.
    net.dial_case(DEVICE, 0, 1, 100);
    net.run(100);
    assert_ne!(net.nodes[DEVICE].manager.records().get(controller()).unwrap().id, record.id);
    net.nodes.iter_mut().for_each(|node| node.events.clear());
    let since = net.sent.len();
    assert_eq!(answer(&mut net, request, true), Ok(()));
    net.run(1000);
    assert_eq!(answers(&net, since), [SIGMA2]);
    assert_eq!(resumed(&net), [Some(false); 2]);
}

#[test]
fn a_peer_that_is_forgotten_while_it_claims_does_not_come_back() {
    let (mut net, _, request) = asked();
    net.call(DEVICE, |m, cx| m.records_mut().forget(cx, controller()));
    net.pump();
    assert_eq!(net.nodes[DEVICE].failures(), [HandshakeError::Rejected]);
    assert_eq!(answer(&mut net, request, true), Err(HandshakeEnded));
    net.run(2000);
    assert_eq!(resumed(&net), [None; 2]);
    assert!(net.nodes[DEVICE].manager.records().is_empty());
    let (mut net, _, request) = asked();
    assert!(net.call(DEVICE, |m, cx| m.fabrics_mut().remove(cx, index(1))));
    assert_eq!(answer(&mut net, request, true), Err(HandshakeEnded));
    net.run(2000);
    assert_eq!(resumed(&net), [None; 2]);
}

#[test]
fn a_claim_whose_question_was_not_polled_is_not_asked_after_the_handshake() {
    let (mut net, _) = stored(WAIT);
    net.node(DEVICE).polls = false;
    net.dial_case(0, DEVICE, 1, 200);
    net.run(100);
    net.call(DEVICE, |m, cx| m.records_mut().forget(cx, controller()));
    net.node(DEVICE).polls = true;
    net.run(1000);
    assert_eq!(net.nodes[DEVICE].claims.len(), 0);
}

#[test]
fn a_claim_whose_question_was_not_polled_in_time_is_not_asked_later() {
    let (mut net, _) = stored(WAIT);
    net.node(DEVICE).polls = false;
    net.dial_case(0, DEVICE, 1, 200);
    net.run(WAIT + 100);
    net.node(DEVICE).polls = true;
    net.run(1000);
    assert_eq!(net.nodes[DEVICE].claims.len(), 0);
    assert_eq!(resumed(&net), [Some(false); 2]);
}

/// A copy of Sigma1, on another exchange of the same unsecured node, changes nothing.
#[test]
fn a_copy_of_sigma1_does_not_disturb_a_handshake_that_waits_for_a_claim() {
    let (mut net, _, request) = asked();
    let sigma1 = net.sent.iter().rev().find(|d| d.handshake_opcode() == Some(0x30)).unwrap();
    let mut again = sigma1.octets.clone();
    let counter = u32::from_le_bytes(again[4..8].try_into().unwrap()).wrapping_add(1);
    again[4..8].copy_from_slice(&counter.to_le_bytes());
    again[18] ^= 1;
    assert_eq!(net.hand(DEVICE, udp(1), &again), Err(Dropped::HandshakeCopy));
    net.pump();
    assert_eq!(net.node(DEVICE).claims.len(), 0, "no question of its own");
    let since = net.sent.len();
    assert_eq!(answer(&mut net, request, true), Ok(()));
    net.pump();
    assert_eq!(answers(&net, since), [SIGMA2_RESUME]);
}

/// A record that was granted serves no other handshake a minute later, and nobody is asked for it
/// again: the next session is a new one, with a record of its own.
#[test]
fn a_handshake_that_fails_after_the_grant_costs_a_resumption_and_no_second_question() {
    let (mut net, record, request) = asked();
    net.on_send(|d| {
        if d.handshake_opcode() == Some(SIGMA2_RESUME) { Fate::Lost } else { Fate::Arrives }
    });
    assert_eq!(answer(&mut net, request, true), Ok(()));
    net.run(61_000);
    net.on_send(|_| Fate::Arrives);
    assert_eq!(resumed(&net), [None; 2]);
    assert_eq!(net.nodes[DEVICE].manager.records().get(controller()).unwrap().id, record.id);
    assert_eq!(export(&mut net), None);
    net.dial_case(0, DEVICE, 1, 200);
    net.run(1000);
    assert_eq!(resumed(&net), [Some(false); 2]);
    assert_eq!(net.nodes[DEVICE].claims.len(), 0);
    assert!(export(&mut net).is_some());
    net.assert_clean();
}
