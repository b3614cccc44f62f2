//! What a commissioner can learn of the passcode before its attempt is counted.

use matter_session::crypto::{Passcode, PbkdfParameters, Secret, Spake2p, Verifier, spake2p};
use matter_session::handshake::HandshakeError;
use matter_session::manager::{Event, Heap, WindowCloseReason};
use matter_session_testing::BACKEND;

use super::{DEVICE, SENDER, members};
use crate::net::{Fate, Net, PASSCODE, udp};
use crate::raw::{PAKE1, REPORT, Raw};

/// `w0 * M` for a guessed passcode, as Pake1: if the guess is right, the shared secret is the point
/// at infinity.
fn probe(passcode: u32) -> Vec<u8> {
    let passcode = Passcode::new(passcode).unwrap();
    let pbkdf = PbkdfParameters::new(1000, &[7; 16]).unwrap();
    let verifier = Verifier::generate(&BACKEND, &passcode, &pbkdf).unwrap().to_bytes();
    let w0 = Secret::new(verifier.as_bytes()[..32].try_into().unwrap());
    let point = BACKEND.point_mul(&w0, spake2p::M.as_bytes()).unwrap();
    [&[0x15, 0x30, 1, 65][..], point.as_bytes(), &[0x18]].concat()
}

/// Begins PASE and sends this as Pake1. Returns the opcode of the answer.
fn send(net: &mut Net, payload: &[u8], n: u32) -> Option<u8> {
    let since = net.sent.len();
    net.on_send(move |sent| if sent.from == udp(1) { Fate::Lost } else { Fate::Arrives });
    let to = udp(2);
    let passcode = Passcode::new(PASSCODE).unwrap();
    let handshake = net.call(SENDER, |m, cx| m.connect_pase(cx, to, passcode)).unwrap();
    net.pump();
    assert!(net.node(SENDER).manager.handshakes().cancel(handshake));
    net.pump();
    let request = net.sent[since].octets.clone();
    net.hand(DEVICE, udp(1), &request).unwrap();
    net.pump();
    let pake1 = Raw { counter: n, ..Raw::like(&request, PAKE1, payload) };
    let counter = u32::from_le_bytes(request[4..8].try_into().unwrap()).wrapping_add(1);
    let since = net.sent.len();
    net.hand(DEVICE, udp(1), &Raw { counter, ..pake1 }.octets()).unwrap();
    net.pump();
    let answers = net.sent_by(DEVICE, since);
    let opcode = answers.iter().filter_map(|sent| sent.handshake_opcode()).next();
    net.run(70_000);
    opcode
}

fn closed(net: &Net) -> bool {
    let reason = WindowCloseReason::TooManyFailures;
    net.nodes[DEVICE]
        .events
        .iter()
        .any(|event| matches!(event, Event::WindowClosed { reason: r, .. } if *r == reason))
}

#[test]
fn twenty_probes_for_w0_close_the_window_right_or_wrong() {
    for right in [true, false] {
        let mut net = members::<Heap>(4);
        net.open_window(DEVICE);
        let payload = probe(if right { PASSCODE } else { PASSCODE + 1 });
        for n in 0..20 {
            assert!(!closed(&net), "{n}, right: {right}");
            let answer = send(&mut net, &payload, n);
            assert!(answer.is_some(), "{n}, right: {right}");
        }
        assert!(closed(&net), "right: {right}");
        assert_eq!(net.nodes[DEVICE].failures().len(), 20);
    }
}

/// A right guess is told like every other failure of a handshake.
#[test]
fn a_probe_that_fits_gets_the_report_that_a_wrong_passcode_gets() {
    let mut net = members::<Heap>(4);
    net.open_window(DEVICE);
    let since = net.sent.len();
    assert_eq!(send(&mut net, &probe(PASSCODE), 0), Some(REPORT));
    let report = |net: &Net, since: usize| {
        let sent = net.sent_by(DEVICE, since);
        let report = sent.iter().find(|sent| sent.handshake_opcode() == Some(REPORT)).unwrap();
        report.octets[report.octets.len() - 8..].to_vec()
    };
    let probed = report(&net, since);
    assert_eq!(probed, [1, 0, 0, 0, 0, 0, 2, 0]);
    assert!(matches!(net.nodes[DEVICE].failures()[..], [HandshakeError::Crypto(_)]));
}

/// One that cannot be read has tested nothing.
#[test]
fn a_pake1_that_cannot_be_read_is_no_attempt() {
    let mut net = members::<Heap>(4);
    net.open_window(DEVICE);
    for n in 0..30 {
        send(&mut net, &[0x15, 0x18], n);
    }
    assert!(!closed(&net));
}
