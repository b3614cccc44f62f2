//! Datagrams as text: every message by its name, and no input that panics.

use matter_session::MessageType;
use matter_session::crypto::{RustCrypto, Secret};
use matter_session::describe::{Description, MessageName, StatusName, open_sigma};
use matter_session::ids::{ExchangeId, MessageCounter, ProtocolId};
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{GeneralCode, ProtocolHeader, StatusReport};
use proptest::prelude::*;

use matter_session_testing::net::{Net, PASSCODE};

/// All that PASE, CASE, a resumption, refusals, requests and a goodbye put on the wire.
fn traffic() -> Vec<Vec<u8>> {
    let mut net = Net::members();
    net.dial_case(0, 1, 1, 201);
    net.run(5000);
    net.dial_pase(0, 1, PASSCODE);
    net.run(5000);
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.run(5000);
    net.case(200);
    let (session, _) = net.case(200);
    net.say(0, session, 8);
    net.run(5000);
    net.call(0, |manager, cx| manager.close_session(cx, session));
    net.run(5000);
    net.sent.iter().map(|datagram| datagram.octets.clone()).collect()
}

#[test]
fn every_message_of_a_handshake_has_its_name_and_its_fields() {
    let text: String =
        traffic().iter().map(|datagram| Description::of(datagram).to_string()).collect();
    for expected in [
        "PBKDFParamRequest\n",
        "  passcode id: 0\n",
        "PBKDFParamResponse\n",
        "  PBKDF iterations: 1000\n",
        "PASE Pake1\n  message header: unsecured, from initiator ",
        "  pA: 04",
        "PASE Pake2\n",
        "PASE Pake3\n",
        "  cA: ",
        "StatusReport\n",
        "  report: SUCCESS, SESSION_ESTABLISHMENT_SUCCESS\n",
        "  report: FAILURE, NO_SHARED_TRUST_ROOTS\n",
        "  report: FAILURE, INVALID_PARAMETER\n",
        "CASE Sigma1\n",
        "  destination id: ",
        "  resumption id: ",
        "CASE Sigma2\n",
        "bytes, encrypted\n",
        "CASE Sigma3\n",
        "CASE Sigma2_Resume\n",
        "  new resumption id: ",
        "  session parameters: idle 500 ms, active 300 ms for 4000 ms\n",
        "encrypted message\n  message header: session ",
        "  integrity code: 16 bytes\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing from {text}");
    }
    assert!(!text.contains("unreadable"), "{text}");
}

#[test]
fn the_inside_of_an_opened_message_is_described_with_it() {
    let datagram = traffic().into_iter().rev().find(|datagram| datagram[1..3] != [0, 0]).unwrap();
    let header = ProtocolHeader {
        exchange: ExchangeId::new(7),
        protocol: ProtocolId::INTERACTION_MODEL,
        opcode: 8,
        initiator: true,
        needs_ack: true,
        ack: Some(MessageCounter::new(9)),
    };
    let text = Description::of(&datagram).with_plaintext(header, b"on").to_string();
    assert!(text.starts_with("InvokeRequest\n  message header: session "), "{text}");
    assert!(
        text.ends_with(
            "  protocol header: exchange 7, from its initiator, wants an acknowledgement
  acknowledges: 9
  payload: 2 bytes: 6f6e
"
        ),
        "{text}"
    );
}

#[test]
fn names_are_those_of_the_standard() {
    let name = |protocol, opcode| MessageName(MessageType::new(protocol, opcode)).to_string();
    assert_eq!(name(ProtocolId::SECURE_CHANNEL, 0x30), "CASE Sigma1");
    assert_eq!(name(ProtocolId::INTERACTION_MODEL, 0x0A), "TimedRequest");
    assert_eq!(name(ProtocolId::INTERACTION_MODEL, 0x7F), "protocol 0:1, opcode 0x7f");
    let busy = StatusReport::busy(core::time::Duration::from_millis(500));
    assert_eq!(StatusName(&busy).to_string(), "BUSY, wait 500 ms");
    let other = StatusReport::new(GeneralCode::FAILURE, ProtocolId::INTERACTION_MODEL, 3, &[]);
    assert_eq!(StatusName(&other).to_string(), "FAILURE (protocol 0:1, code 3)");
}

proptest! {
    #[test]
    fn any_bytes_are_described(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!Description::of(&datagram).to_string().is_empty());
    }

    #[test]
    fn altered_messages_are_described(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        len in any::<prop::sample::Index>(),
    ) {
        static TRAFFIC: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let mut datagram = which.get(TRAFFIC.get_or_init(traffic)).clone();
        let place = at.index(datagram.len());
        datagram[place] = byte;
        datagram.truncate(len.index(datagram.len() + 1));
        prop_assert!(!Description::of(&datagram).to_string().is_empty());
    }

    #[test]
    fn any_payload_of_any_opcode_is_described(
        opcode in any::<u8>(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let header = ProtocolHeader {
            exchange: ExchangeId::new(1),
            protocol: ProtocolId::SECURE_CHANNEL,
            opcode,
            initiator: true,
            needs_ack: false,
            ack: None,
        };
        let text = Description::of(&[]).with_plaintext(header, &payload).to_string();
        prop_assert!(text.contains("protocol header: exchange 1"));
        let mut payload = payload;
        prop_assert!(open_sigma(&RustCrypto, Opcode(opcode), &Secret::zero(), &mut payload).is_none());
    }
}
