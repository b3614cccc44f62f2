//! Secure and unsecured sessions: recorded vectors, properties, and what refusals leave alone.

use core::time::Duration;
use std::collections::BTreeSet;

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use matter_session::bytes::Buffer;
use matter_session::crypto::{
    Aead, Cipher, CompactRustCrypto, Crypto, Hashing, PersistedCounter, RustCrypto, SealNonce,
    Secret, TxCounter,
};
use matter_session::ids::{
    CaseAuthTags, ExchangeId, FabricIndex, LocalSessionId, MessageCounter, NodeId, PeerSessionId,
    ProtocolId, VendorId,
};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    DecodeError, Decoded, EphemeralNodeId, Identity, Opened, ReplayWindow, ResumptionId,
    SecureSession, Session, SessionKind, SessionParameters, SessionRole, SessionSetup, Transports,
    UnsecureSession, UnsecuredCounter, Verdict,
};
use matter_session::time::Instant;
use matter_session::tlv::{Container, ContainerKind, Tag, TlvError, Writer};
use matter_session::wire::{
    EncodeError, HEADROOM, MessageBuf, MessageKind, Packet, ProtocolHeader, TAILROOM,
};
use matter_session_testing::vectors::protocol_of;
use matter_session_testing::{Script, chip, hex, list, matterjs};
use proptest::prelude::*;
use serde_json::Value;

type Secure = SecureSession<RustCrypto>;

const NOW: Instant = Instant::from_millis(1_000_000);
const LATER: Instant = Instant::from_millis(1_000_100);

// ---- recorded vectors ----

#[test]
fn matterjs_secure_unicast() {
    for v in list(&matterjs()["secureUnicast"], 18) {
        let (name, input, packet) = (v["name"].as_str().unwrap(), &v["input"], hex(&v["packet"]));
        let to_responder = input["keyName"] == "I2R";
        let mut block = [0x55; 48];
        let at = if to_responder { 0 } else { 16 };
        block[at..at + 16].copy_from_slice(&hex(&input["key"]));
        let sender = node(&input["nonceNodeId"]);
        let id = u16::try_from(input["sessionId"].as_u64().unwrap()).unwrap();
        let counter = u32::try_from(input["messageCounter"].as_u64().unwrap()).unwrap();
        let (sending, receiving) = if to_responder {
            (SessionRole::Initiator, SessionRole::Responder)
        } else {
            (SessionRole::Responder, SessionRole::Initiator)
        };
        let ends = |local, peer| {
            if name.starts_with("PASE") {
                assert_eq!(sender, NodeId::UNSPECIFIED);
                return Identity::pase();
            }
            Identity::case(FabricIndex::MIN, local, peer, CaseAuthTags::NONE)
        };
        let other = NodeId::new(0x77);
        let mut alice = secure(&block, sending, (9, id), ends(sender, other), counter);
        let mut bob = secure(&block, receiving, (id, 9), ends(other, sender), 1);

        let header = protocol_of(input);
        let payload = hex(&input["payload"]);
        let mut octets = packet.clone();
        let opened = bob.decode(Packet::parse(&mut octets).unwrap(), LATER).unwrap();
        assert_eq!(opened.header, header, "{name}");
        assert_eq!(opened.counter.get(), counter);
        assert_eq!(opened.payload, payload);
        assert!(!opened.duplicate);
        let offset = opened.payload_offset;
        assert_eq!(octets[offset..offset + payload.len()], payload[..]);

        // matter.js can put node ids into the header; this library does not.
        if input.get("sourceNodeId").is_none() {
            let mut buf = [0; 1300];
            let msg = MessageBuf::with_payload(&mut buf, &payload).unwrap();
            let sealed = alice.encode(&header, msg, NOW).unwrap();
            assert_eq!(sealed.as_bytes(), packet, "{name}");
        }
    }
}

#[test]
fn matterjs_session_parameters() {
    for v in list(&matterjs()["sessionParametersTlv"], 4) {
        let octets = hex(&v["tlv"]);
        let read = SessionParameters::read(Container::message(&octets).unwrap()).unwrap();
        let value = &v["value"];
        let number = |name: &str, default: u32| {
            value[name].as_u64().map_or(default, |n| u32::try_from(n).unwrap())
        };
        assert_eq!(read.idle_interval_ms, number("idleInterval", 500));
        assert_eq!(read.active_interval_ms, number("activeInterval", 300));
        assert_eq!(u32::from(read.active_threshold_ms), number("activeThreshold", 4000));
        assert_eq!(read.data_model_revision.map(u64::from), value["dataModelRevision"].as_u64());
        assert_eq!(
            read.interaction_model_revision.map(u64::from),
            value["interactionModelRevision"].as_u64()
        );
        assert_eq!(
            read.specification_version.map(u64::from),
            value["specificationVersion"].as_u64()
        );
        assert_eq!(u32::from(read.paths_per_invoke()), number("maxPathsPerInvoke", 1));
        let tcp = Transports::TCP_CLIENT.or(Transports::TCP_SERVER);
        let has_tcp = value["supportedTransports"]["tcpClient"] == true;
        assert_eq!(read.transports.contains(tcp), has_tcp);
        assert_eq!(read.max_tcp_message, number("maxTcpMessageSize", 63_996));
        // What leaves members out is read but never written.
        if value.get("supportedTransports").is_some() {
            assert_eq!(written(&read), octets, "{}", v["name"]);
        }
        if v["name"] == "matterjs-default" {
            assert_eq!(read, SessionParameters::matter_1_6());
        }
    }
}

#[test]
fn matterjs_counter_windows() {
    for v in list(&matterjs()["counterWindows"], 8) {
        let mut window = match v["class"].as_str().unwrap() {
            "MessageReceptionStateEncryptedWithoutRollover" => ReplayWindow::secure(),
            "MessageReceptionStateEncryptedWithRollover" => ReplayWindow::group_trust_first(),
            "MessageReceptionStateUnencryptedWithRollover" => ReplayWindow::unsecured(),
            other => panic!("{other}"),
        };
        for step in v["steps"].as_array().unwrap() {
            let counter =
                MessageCounter::new(u32::try_from(step["counter"].as_u64().unwrap()).unwrap());
            let is_new = window.check(counter) == Verdict::New;
            assert_eq!(is_new, step["result"] == "new", "{}: {step}", v["name"]);
            window.commit(counter);
        }
    }
}

#[test]
fn chip_counter_traces() {
    let Some(chip) = chip() else { return };
    let traces = list(&chip["message_counter_traces"]["traces"], 30);
    for (index, trace) in traces.iter().enumerate() {
        let mut window = match trace["kind"].as_str().unwrap() {
            "unicast" => ReplayWindow::secure(),
            // These three go back behind the first counter, which trust-first forbids.
            "group" if [11, 13, 17].contains(&index) => ReplayWindow::dangerous_group_empty(),
            "group" => ReplayWindow::group_trust_first(),
            "unencrypted" => ReplayWindow::unsecured(),
            other => panic!("{other}"),
        };
        for event in trace["events"].as_array().unwrap() {
            let counter = MessageCounter::new(u32::try_from(event[0].as_u64().unwrap()).unwrap());
            let ends = window.check(counter) != Verdict::New && counter.get() > 1 << 31;
            if trace["kind"] == "group" && event[1] == true && ends {
                // Half of the space after the first counter: accepted there, and not here.
                assert_ne!(window.check(counter), Verdict::New);
                break;
            }
            assert_eq!(window.check(counter) == Verdict::New, event[1], "trace {index}: {event}");
            window.commit(counter);
        }
    }
}

#[test]
fn chip_session_parameters() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["session_parameters"]["cases"], 9) {
        let octets = hex(&v["tlv"]);
        let read = Container::message(&octets).and_then(|mut outer| {
            let tag = u8::try_from(v["expect_tag"].as_u64().unwrap_or(1)).unwrap();
            let Some(structure) = outer.optional(tag)? else {
                return Ok(SessionParameters::default());
            };
            SessionParameters::read(structure.container(ContainerKind::Structure)?)
        });
        assert_eq!(read.is_ok(), v["accept"], "{}", v["name"]);
        let Ok(read) = read else { continue };
        assert_eq!(u64::from(read.idle_interval_ms), v["mrp"][0]);
        assert_eq!(u64::from(read.active_interval_ms), v["mrp"][1]);
        assert_eq!(u64::from(read.active_threshold_ms), v["mrp"][2]);
        if v["versions"].is_array() {
            assert_eq!(u64::from(read.data_model_revision.unwrap()), v["versions"][0]);
            assert_eq!(u64::from(read.interaction_model_revision.unwrap()), v["versions"][1]);
            assert_eq!(u64::from(read.specification_version.unwrap()), v["versions"][2]);
            assert_eq!(u64::from(read.max_paths_per_invoke), v["versions"][3]);
        }
    }
}

#[test]
fn chip_message_dispatch() {
    let Some(chip) = chip() else { return };
    let mut block = [0; 48];
    let secret = b"Test secret for key derivation.\0";
    RustCrypto.hkdf(secret, &[], b"SessionKeys", &mut block).unwrap();
    let mut pase = 0;
    for v in list(&chip["message_dispatch"]["vectors"], 10) {
        if v["session_id"] != 3000 {
            continue;
        }
        pase += 1;
        assert_eq!(block[..16], hex(&v["encrypt_key"])[..]);
        let mut receiver = secure(&block, SessionRole::Responder, (3000, 1), Identity::pase(), 1);
        let mut octets = hex(&v["privacy"]);
        let result = Packet::parse(&mut octets)
            .map_err(DecodeError::from)
            .and_then(|packet| receiver.decode(packet, LATER));
        let name = v["name"].as_str().unwrap();
        if v["accepted_messages"] == 0 {
            let reason =
                if name.contains("MIC") { DecodeError::Unauthentic } else { DecodeError::Privacy };
            assert_eq!(result.unwrap_err(), reason, "{name}");
            continue;
        }
        let opened = result.unwrap();
        let payload = hex(&v["payload"]);
        assert_eq!(opened.payload, payload);
        let header = opened.header;
        let mut sender = secure(&block, SessionRole::Initiator, (1, 3000), Identity::pase(), 12345);
        let mut buf = [0; 100];
        let msg = MessageBuf::with_payload(&mut buf, &payload).unwrap();
        assert_eq!(sender.encode(&header, msg, NOW).unwrap().as_bytes(), hex(&v["encrypted"]));
    }
    assert_eq!(pase, 5);
}

#[test]
fn chip_privacy_is_refused_even_if_the_code_would_verify() {
    let Some(chip) = chip() else { return };
    let v = &chip["message_dispatch"]["vectors"][4];
    let mut block = [0; 48];
    block[..16].copy_from_slice(&hex(&v["encrypt_key"]));
    let mut receiver = secure(&block, SessionRole::Responder, (3000, 1), Identity::pase(), 1);
    let mut octets = hex(&v["encrypted"]);
    let packet = Packet::parse_clear(&mut octets).unwrap();
    assert_eq!(receiver.decode(packet, LATER).unwrap_err(), DecodeError::Privacy);
}

#[test]
fn chip_invalid_messages() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["message_header"]["invalid"]["cases"], 24) {
        let result = receive(&mut hex(&v["data"]));
        assert!(result.is_err(), "{}", v["name"]);
    }
}

// ---- secure sessions ----

proptest! {
    #[test]
    fn secure_messages_round_trip(
        header in protocol_header(),
        payload in prop::collection::vec(any::<u8>(), 0..300),
        block in prop::array::uniform32(any::<u8>()),
        counter in 1..u32::MAX,
        case: bool,
    ) {
        let (mut alice, mut bob) = pair(&widen(block), case, counter);
        let sealed = seal(&mut alice, &header, &payload);
        let before = alice.remaining_messages();
        let mut octets = sealed.clone();
        let opened = bob.decode(Packet::parse(&mut octets).unwrap(), LATER).unwrap();
        prop_assert_eq!(opened.header, header);
        prop_assert_eq!(opened.counter.get(), counter);
        prop_assert_eq!(&*opened.payload, &payload[..]);
        prop_assert!(!opened.duplicate);
        // The answer comes back under the other key.
        let octets = seal(&mut bob, &header, &payload);
        let opened = alice.decode(Packet::parse(&mut octets.clone()).unwrap(), LATER).unwrap().header;
        prop_assert_eq!(opened, header);
        prop_assert_eq!(alice.remaining_messages(), before);
        // A message does not come back to its sender.
        let mut octets = sealed;
        prop_assert!(alice.decode(Packet::parse(&mut octets).unwrap(), LATER).is_err());
    }

    #[test]
    fn any_flipped_bit_is_refused_and_changes_nothing(
        payload in prop::collection::vec(any::<u8>(), 0..40),
        position: prop::sample::Index,
        bit in 0..8,
    ) {
        let (mut alice, mut bob) = pair(&[7; 48], true, 5);
        let mut octets = seal(&mut alice, &header(), &payload);
        let at = position.index(octets.len());
        octets[at] ^= 1_u8 << bit;
        let before = format!("{bob:?}");
        let result = Packet::parse(&mut octets)
            .map_err(DecodeError::from)
            .and_then(|packet| bob.decode(packet, LATER).map(|_| ()));
        prop_assert!(result.is_err());
        prop_assert_eq!(format!("{bob:?}"), before);
    }

    #[test]
    fn no_octets_panic(mut octets in prop::collection::vec(any::<u8>(), 0..80), plausible: bool) {
        if let (true, [flags, s0, s1, security, ..]) = (plausible, &mut octets[..]) {
            *flags &= 0x05;
            *s0 &= 1;
            *s1 = 0;
            *security = 0;
        }
        let _ = receive(&mut octets);
        let _ = Container::message(&octets).and_then(SessionParameters::read);
    }

    #[test]
    fn windows_agree_with_a_plain_set(
        kind in 0..3,
        start: u32,
        steps in prop::collection::vec(
            prop_oneof![4 => -40_i64..40, 1 => any::<u32>().prop_map(i64::from), 1 => Just(1 << 31)],
            0..200,
        ),
    ) {
        let (mut window, mut model) = match kind {
            0 => (ReplayWindow::secure(), Model { max: Some(0), wraps: false, forgives: false, ..Model::default() }),
            1 => (ReplayWindow::unsecured(), Model { wraps: true, forgives: true, ..Model::default() }),
            _ => (ReplayWindow::group_trust_first(), Model { wraps: true, trust_first: true, ..Model::default() }),
        };
        let mut near = start;
        for step in steps {
            let counter = u32::try_from((i64::from(near) + step).rem_euclid(1 << 32)).unwrap();
            near = model.max.unwrap_or(counter);
            let verdict = window.check(MessageCounter::new(counter));
            prop_assert_eq!(verdict == Verdict::New, model.receive(counter));
            window.commit(MessageCounter::new(counter));
            prop_assert_eq!(window.check(MessageCounter::new(counter)), Verdict::Duplicate);
        }
    }

    #[test]
    fn session_parameters_round_trip(
        intervals: (u32, u32, u16),
        revisions: (Option<u16>, Option<u16>, Option<u32>),
        paths: u16,
        tcp: Option<(bool, u32)>,
    ) {
        let mut params = SessionParameters::default()
            .with_intervals(intervals.0, intervals.1, intervals.2)
            .with_max_paths_per_invoke(paths);
        (params.data_model_revision, params.interaction_model_revision, params.specification_version) =
            revisions;
        // Versions before 1.5 know no TCP.
        let knows_tcp = revisions.2.is_none_or(|version| version >= 0x0105_0000);
        if let Some((server, max)) = tcp.filter(|_| knows_tcp) {
            let kind = if server { Transports::TCP_SERVER } else { Transports::TCP_CLIENT };
            params = params.with_tcp(kind, max);
        }
        let octets = written(&params);
        let read = SessionParameters::read(Container::message(&octets).unwrap()).unwrap();
        prop_assert_eq!(read, params);
        for interval in [read.idle_interval(), read.active_interval()] {
            prop_assert!(interval >= Duration::from_millis(100));
            prop_assert!(interval <= Duration::from_secs(3600));
        }
    }
}

#[test]
fn a_duplicate_is_reported_once_authentic_and_changes_nothing() {
    let (mut alice, mut bob) = pair(&[7; 48], true, 5);
    let octets = seal(&mut alice, &header(), b"once");
    open(&mut bob, &octets, NOW).unwrap();
    let before = format!("{bob:?}");
    let mut copy = octets.clone();
    let opened = bob.decode(Packet::parse(&mut copy).unwrap(), LATER).unwrap();
    assert!(opened.duplicate && opened.header.needs_ack);
    assert_eq!(opened.payload, b"once");
    assert_eq!(format!("{bob:?}"), before);
    let mut forged = octets;
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut bob, &forged, LATER), Err(DecodeError::Unauthentic));
    assert_eq!(format!("{bob:?}"), before);
}

#[test]
fn a_bad_code_does_not_spend_the_counter() {
    let (mut alice, mut bob) = pair(&[7; 48], true, 5);
    let octets = seal(&mut alice, &header(), b"text");
    let mut forged = octets.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut bob, &forged, LATER), Err(DecodeError::Unauthentic));
    assert_eq!(open(&mut bob, &octets, LATER), Ok(false));
}

/// The reserved flags are part of the header and of the nonce as they are on the wire.
#[test]
fn reserved_flags_are_authenticated_and_ignored() {
    for (flags, security) in [(0, 0), (0x08, 0), (0, 0x04), (0, 0x10), (0x08, 0x1C)] {
        let octets = sealed_by_hand(flags, security);
        let (_, mut bob) = pair(&[7; 48], true, 1);
        for (at, bit) in [(0, 0x08), (3, 0x04)] {
            let mut altered = octets.clone();
            altered[at] ^= bit;
            assert_eq!(open(&mut bob, &altered, LATER), Err(DecodeError::Unauthentic));
        }
        assert_eq!(open(&mut bob, &octets, LATER), Ok(false), "{flags:#x} {security:#x}");
    }
}

#[test]
fn a_private_unicast_message_is_refused_even_if_its_code_verifies() {
    let (_, mut bob) = pair(&[7; 48], true, 1);
    let mut octets = sealed_by_hand(0, 0x80);
    assert_eq!(open(&mut bob, &octets, LATER), Err(DecodeError::Privacy));
    let packet = Packet::parse_clear(&mut octets).unwrap();
    assert_eq!(bob.decode(packet, LATER).unwrap_err(), DecodeError::Privacy);
}

#[test]
fn every_counter_starts_between_1_and_two_to_the_28() {
    for (octet, first) in [(0, 1), (0xFF, 1 << 28)] {
        let mut rng = Script::new(&[&[octet; 12]]);
        assert_eq!(TxCounter::random(&mut rng).take().unwrap().value().get(), first);
        assert_eq!(UnsecuredCounter::random(&mut rng).take().get(), first);
        assert_eq!(PersistedCounter::random(1, &mut rng).position(), u64::from(first));
        assert!(rng.is_used_up());
    }
}

#[test]
fn the_counter_of_unsecured_messages_wraps() {
    let mut counter = hazmat::unsecured_counter(u32::MAX);
    let values = [(); 3].map(|()| counter.take().get());
    assert!(values.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{values:?}");
    assert!(values.contains(&0));
}

#[test]
fn the_counter_ends_for_good() {
    let (mut alice, _) = pair(&[7; 48], true, u32::MAX - 1);
    assert_eq!(alice.remaining_messages(), 1);
    let octets = seal(&mut alice, &header(), b"last");
    assert_eq!(octets[4..8], [0xFE, 0xFF, 0xFF, 0xFF]);
    for _ in 0..2 {
        let mut buf = [0; 100];
        let msg = MessageBuf::new(&mut buf).unwrap();
        let error = alice.encode(&header(), msg, NOW).unwrap_err();
        assert_eq!(error, EncodeError::CounterExhausted);
    }
}

#[test]
fn counters_start_between_one_and_two_to_the_28() {
    for (octet, first) in [(0, 1), (0xFF, 1 << 28)] {
        let mut rng = Script::new(&[&[octet; 8]]);
        assert_eq!(UnsecuredCounter::random(&mut rng).take().get(), first);
        // All of the lower 28 bits count.
        let mut rng = Script::seeded(u64::from(octet));
        let drawn: Vec<_> =
            (0..64).map(|_| UnsecuredCounter::random(&mut rng).take().get() - 1).collect();
        assert_eq!(drawn.iter().fold(0, |any, start| any | start), (1 << 28) - 1);
        assert_eq!(drawn.iter().fold(u32::MAX, |all, start| all & start), 0);
    }
}

#[test]
fn what_the_cipher_cannot_take_is_refused() {
    let (mut alice, _) = pair(&[7; 48], true, 5);
    let mut buf = vec![0; 70_000];
    let mut msg = MessageBuf::new(&mut buf).unwrap();
    msg.set_payload_len(65_536).unwrap();
    let error = alice.encode(&header(), msg, NOW).unwrap_err();
    assert_eq!(error, EncodeError::PayloadTooLong);
}

#[test]
fn messages_of_other_sessions_are_refused() {
    let (mut alice, _) = pair(&[7; 48], true, 5);
    let octets = seal(&mut alice, &header(), b"text");
    let mut other = secure(&[7; 48], SessionRole::Responder, (3, 1), Identity::pase(), 1);
    assert_eq!(open(&mut other, &octets, LATER), Err(DecodeError::WrongSession));
    let mut octets = octets;
    octets[3] |= 0x40;
    let (_, mut bob) = pair(&[7; 48], true, 5);
    assert_eq!(open(&mut bob, &octets, LATER), Err(DecodeError::Shape));
    assert_eq!(open(&mut bob, &[0, 2, 0, 0, 1, 0, 0, 0, 9], LATER), Err(DecodeError::TooShort));
}

#[test]
fn a_session_tells_its_facts_and_no_keys() {
    let (mut alice, mut bob) = pair(&[7; 48], true, 5);
    assert_eq!((alice.kind(), alice.role()), (SessionKind::Case, SessionRole::Initiator));
    assert_eq!((alice.local_session_id().get(), alice.peer_session_id().get()), (1, 2));
    assert_eq!(alice.identity().peer_node(), bob.identity().local_node());
    assert_eq!(alice.attestation_challenge(), &[7; 16]);
    assert_eq!(alice.resumption_id(), Some(&ResumptionId::new([9; 16])));
    assert_eq!(alice.to_string(), "CASE session 1 with 00000000000000bb on fabric 1");
    assert!(!alice.associate_fabric(FabricIndex::MAX));
    let mut pase = secure(&[7; 48], SessionRole::Initiator, (1, 2), Identity::pase(), 1);
    assert_eq!(pase.to_string(), "PASE session 1");
    assert!(pase.associate_fabric(FabricIndex::MAX));
    assert_eq!(pase.identity().fabric(), Some(FabricIndex::MAX));
    let debug = format!("{pase:?}");
    assert!(!debug.contains("key") && !debug.contains("7, 7"), "{debug}");

    // The handshake counts as activity of the peer; what was sent does not.
    assert!(alice.is_peer_active(Instant::from_millis(1_003_999)));
    assert!(!alice.is_peer_active(Instant::from_millis(1_004_000)));
    let late = Instant::from_millis(2_000_000);
    let mut buf = [0; 100];
    let msg = MessageBuf::new(&mut buf).unwrap();
    let octets = alice.encode(&header(), msg, late).unwrap().as_bytes().to_vec();
    assert_eq!((alice.created_at(), alice.last_activity()), (NOW, late));
    assert_eq!(alice.last_received(), Some(NOW));
    assert_eq!(alice.base_interval(late), Duration::from_millis(500));
    open(&mut bob, &octets, late).unwrap();
    assert_eq!((bob.last_activity(), bob.last_received()), (late, Some(late)));
    assert_eq!(bob.base_interval(late), Duration::from_millis(300));
}

#[test]
fn a_session_of_either_kind_tells_the_same_facts() {
    let (mut secure, _) = pair(&[7; 48], true, 1);
    let mut unsecured =
        UnsecureSession::responder(EphemeralNodeId::received(NodeId::new(9)).unwrap(), NOW);
    let names = [secure.to_string(), unsecured.to_string()];
    let mut sessions: [&mut dyn Session; 2] = [&mut secure, &mut unsecured];
    assert_eq!(sessions.each_ref().map(|session| session.is_secure()), [true, false]);
    assert_eq!(sessions[0].id(), LocalSessionId::new(1));
    assert_eq!(sessions[0].peer_session_id(), PeerSessionId::new(2));
    assert_eq!(sessions[0].identity().unwrap().peer_node(), NodeId::new(0xBB));
    assert_eq!((sessions[1].id(), sessions[1].peer_session_id()), (None, None));
    assert!(sessions[1].identity().is_none());
    assert_eq!(sessions[1].role(), SessionRole::Responder);
    assert_eq!(sessions.each_ref().map(|session| session.name().to_string()), names);
    for session in &mut sessions {
        let parameters = *session.peer_parameters();
        let active = session.is_peer_active(NOW);
        let expected =
            if active { parameters.active_interval() } else { parameters.idle_interval() };
        assert_eq!(session.base_interval(NOW), expected);
        assert_eq!((session.created_at(), session.last_activity()), (NOW, NOW));
        session.notify_activity(LATER);
        assert_eq!(session.last_activity(), LATER);
    }
}

#[test]
fn one_driver_sends_and_receives_over_either_kind() {
    let (mut a, mut b) = pair(&[7; 48], true, 1);
    let ephemeral = EphemeralNodeId::received(NodeId::new(9)).unwrap();
    let mut c = hazmat::unsecured_initiator(ephemeral, NOW);
    let mut d = UnsecureSession::responder(ephemeral, NOW);
    let pairs: [[&mut dyn Session; 2]; 2] = [[&mut a, &mut b], [&mut c, &mut d]];
    for [from, to] in pairs {
        let mut counter = hazmat::unsecured_counter(500);
        let mut buf = [0; 128];
        let msg = MessageBuf::with_payload(&mut buf, b"over either").unwrap();
        let encoded = from.encode(&mut counter, &header(), msg, NOW).unwrap();
        let (wire, sent) = (encoded.as_bytes().to_vec(), encoded.counter());
        assert_eq!(sent.get(), if from.is_secure() { 1 } else { 500 });
        // The counter of unsecured messages is left alone by a secure session.
        let next = counter.take().get();
        assert_eq!(next, if from.is_secure() { 500 } else { 501 });
        for duplicate in [false, true] {
            let mut wire = wire.clone();
            let message = to.decode(Packet::parse(&mut wire).unwrap(), LATER).unwrap();
            assert_eq!((message.counter(), message.is_duplicate()), (sent, duplicate));
            assert_eq!(message.header(), &header());
            assert_eq!(matches!(message, Decoded::Opened(_)), to.is_secure());
            assert_eq!(message.into_payload(), b"over either");
        }
        assert_eq!(to.last_received(), Some(LATER));
    }
}

#[test]
fn a_session_of_given_counters_takes_nothing_that_was_received_before() {
    let (mut peer, _) = pair(&[7; 48], false, 41);
    let setup = SessionSetup {
        role: SessionRole::Responder,
        local_session_id: LocalSessionId::new(2).unwrap(),
        peer_session_id: PeerSessionId::new(1).unwrap(),
        identity: Identity::pase(),
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    };
    let keys = hazmat::session_keys(&[7; 48]);
    let counters = Counters::starting_at(90).with_received(MessageCounter::new(42));
    let mut bridged = hazmat::secure_session(&RustCrypto, &keys, setup, counters, NOW);
    let received = [41, 42, 43, 44].map(|counter| {
        let sealed = seal(&mut peer, &header(), b"x");
        (counter, open(&mut bridged, &sealed, NOW))
    });
    assert_eq!(received, [(41, Ok(true)), (42, Ok(true)), (43, Ok(false)), (44, Ok(false))]);
    let sealed = seal(&mut bridged, &header(), b"y");
    assert_eq!(sealed[4..8], 90_u32.to_le_bytes());
    assert_eq!(open(&mut peer, &sealed, NOW), Ok(false));
}

#[test]
fn a_session_stays_small() {
    let size = size_of::<Secure>();
    println!("SecureSession: {size} octets, UnsecureSession: {}", size_of::<UnsecureSession>());
    assert!(size <= 600, "{size}");
    assert!(size_of::<UnsecureSession>() <= 608);
    let compact = size_of::<SecureSession<CompactRustCrypto>>();
    println!("SecureSession<CompactRustCrypto>: {compact} octets");
    assert!(compact <= 216, "{compact}");
}

#[test]
fn a_compact_session_makes_the_same_octets() {
    let identity = Identity::pase();
    let mut fast = secure(&[3; 48], SessionRole::Initiator, (1, 2), identity, 5);
    let mut compact =
        secure_by(&CompactRustCrypto, &[3; 48], SessionRole::Initiator, (1, 2), identity, 5);
    let mut peer =
        secure_by(&CompactRustCrypto, &[3; 48], SessionRole::Responder, (2, 1), identity, 5);
    for len in [0, 1, 64, 1200] {
        let sealed = seal(&mut fast, &header(), &vec![7; len]);
        assert_eq!(sealed, seal(&mut compact, &header(), &vec![7; len]));
        assert_eq!(open(&mut peer, &sealed, NOW), Ok(false));
    }
    let mut bad = seal(&mut fast, &header(), b"x");
    *bad.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut peer, &bad, NOW), Err(DecodeError::Unauthentic));
    assert!(!format!("{compact:?}").contains("3, 3"), "{compact:?}");
}

// ---- unsecured sessions ----

#[test]
fn matterjs_unsecured_sessions() {
    let mut run = 0;
    for v in list(&matterjs()["unsecured"], 8) {
        let input = &v["input"];
        let packet = hex(&v["packet"]);
        let (mut sender, mut receiver) = match (input.get("sourceNodeId"), input.get("destNodeId"))
        {
            (Some(source), None) => ends(node(source)),
            (None, Some(destination)) => {
                let (initiator, responder) = ends(node(destination));
                (responder, initiator)
            }
            _ => {
                assert_eq!(receive(&mut packet.clone()), Err(DecodeError::Shape));
                continue;
            }
        };
        run += 1;
        let header = protocol_of(input);
        let counter = u32::try_from(input["messageCounter"].as_u64().unwrap()).unwrap();
        let mut buf = [0; 100];
        let msg = MessageBuf::with_payload(&mut buf, &hex(&input["payload"])).unwrap();
        let mut node_counter = hazmat::unsecured_counter(counter);
        let encoded = sender.encode(&mut node_counter, &header, msg, NOW).unwrap();
        assert_eq!(encoded.as_bytes(), packet);
        let mut octets = packet.clone();
        let message = receiver.decode(Packet::parse(&mut octets).unwrap(), LATER).unwrap();
        assert_eq!(message.header, header);
        assert_eq!(message.counter.get(), counter);
        assert_eq!(message.payload, hex(&input["payload"]));
        assert!(!message.duplicate);
    }
    assert_eq!(run, 6);
}

#[test]
fn a_refused_first_message_stays_new() {
    let mut rng = UnwrapErr(SysRng);
    let mut initiator = UnsecureSession::initiator(&mut rng, NOW).unwrap();
    assert!(initiator.ephemeral_node_id().node().is_operational());
    let mut counter = UnsecuredCounter::random(&mut rng);
    let mut buf = [0; 100];
    let msg = MessageBuf::with_payload(&mut buf, b"Sigma1").unwrap();
    let octets = initiator.encode(&mut counter, &header(), msg, NOW).unwrap().as_bytes().to_vec();

    let mut responder = UnsecureSession::responder(initiator.ephemeral_node_id(), NOW);
    let read = |session: &UnsecureSession, octets: &[u8]| {
        let mut octets = octets.to_vec();
        let message = session.decode_uncommitted(Packet::parse(&mut octets).unwrap()).unwrap();
        (message.duplicate, message.counter)
    };
    assert!(!read(&responder, &octets).0);
    assert!(!responder.is_peer_active(LATER));
    let (duplicate, counter) = read(&responder, &octets);
    assert!(!duplicate);
    responder.commit(counter, LATER);
    assert!(read(&responder, &octets).0);
    assert!(responder.is_peer_active(LATER));
    assert!(!initiator.is_peer_active(LATER));

    // A duplicate changes nothing.
    let before = format!("{responder:?}");
    let much_later = Instant::from_millis(3_000_000);
    let mut copy = octets.clone();
    assert!(responder.decode(Packet::parse(&mut copy).unwrap(), much_later).unwrap().duplicate);
    assert_eq!(format!("{responder:?}"), before);

    // Nor does a message of one handshake belong to another.
    let other = EphemeralNodeId::received(NodeId::new(9)).unwrap();
    let mut copy = octets.clone();
    let read =
        UnsecureSession::responder(other, NOW).decode(Packet::parse(&mut copy).unwrap(), NOW);
    assert_eq!(read.unwrap_err(), DecodeError::WrongSession);

    // Its own message does not come back to the sender.
    let mut copy = octets;
    let error = initiator.decode(Packet::parse(&mut copy).unwrap(), LATER).unwrap_err();
    assert_eq!(error, DecodeError::WrongSession);
}

#[test]
fn what_was_received_before_a_peer_restarted_is_forgotten() {
    let mut window = ReplayWindow::unsecured();
    for counter in [1000, 999, 998, 5, 4, 3] {
        assert_eq!(window.check(MessageCounter::new(counter)), Verdict::New, "{counter}");
        window.commit(MessageCounter::new(counter));
        assert_eq!(window.check(MessageCounter::new(counter)), Verdict::Duplicate, "{counter}");
    }
}

#[test]
fn a_peer_that_restarted_is_heard_on_an_unsecured_session() {
    let mut window = ReplayWindow::unsecured();
    for counter in [1000, 999, 1032, 5, 6] {
        assert_eq!(window.check(MessageCounter::new(counter)), Verdict::New, "{counter}");
        window.commit(MessageCounter::new(counter));
        assert_eq!(window.check(MessageCounter::new(counter)), Verdict::Duplicate);
    }
}

// ---- session parameters ----

#[test]
fn odd_session_parameters() {
    let read = |octets: &[u8]| Container::message(octets).and_then(SessionParameters::read);
    assert_eq!(read(&[0x15, 0x18]), Ok(SessionParameters::default()));
    // Tag 8 in 64 bits, all of them set; tag 10 unknown; tag 2 out of order.
    let octets =
        [0x15, 0x27, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x24, 2, 7, 0x29, 10, 0x18];
    let params = read(&octets).unwrap();
    assert_eq!(params.transports, Transports::TCP_CLIENT.or(Transports::TCP_SERVER));
    assert_eq!(params.active_interval_ms, 7);
    assert_eq!(params.active_interval(), Duration::from_millis(100));
    assert_eq!(read(&[0x15, 0x26, 3, 0, 0, 1, 0, 0x18]), Err(TlvError::OutOfRange));
    assert_eq!(read(&[0x15, 0x28, 1, 0x18]), Err(TlvError::WrongType));
    assert_eq!(SessionParameters::default().with_max_paths_per_invoke(0).paths_per_invoke(), 1);
}

#[test]
fn transports_are_read_in_any_width_and_without_reserved_bits() {
    let (client, server) = (Transports::TCP_CLIENT, Transports::TCP_SERVER);
    for (low, named) in [
        (0b000, Transports::NONE),
        (0b001, Transports::NONE),
        (0b010, client),
        (0b100, server),
        (0b111, client.or(server)),
    ] {
        for (kind, width) in [(0x24, 1), (0x25, 2), (0x26, 4), (0x27, 8)] {
            for high in [0, 0xF8] {
                let mut octets = vec![0x15, kind, 8, low | high];
                octets.resize(3 + width, high);
                // Tag 9: 10,000 octets.
                octets.extend([0x25, 9, 0x10, 0x27, 0x18]);
                let read = Container::message(&octets).and_then(SessionParameters::read).unwrap();
                assert_eq!(read.transports, named);
                let max = if named == Transports::NONE { 63_996 } else { 10_000 };
                assert_eq!(read.max_tcp_message, max, "{low:b}");
            }
        }
    }
    let read = |octets: &[u8]| Container::message(octets).and_then(SessionParameters::read);
    let size_alone = read(&[0x15, 0x24, 9, 100, 0x18]).unwrap();
    assert_eq!(size_alone, SessionParameters::default());
    let unnamed = read(&[0x15, 0x24, 8, 4, 0x18]).unwrap();
    assert_eq!((unnamed.transports, unnamed.max_tcp_message), (server, 63_996));
    assert_eq!(read(&[0x15, 0x20, 8, 2, 0x18]), Err(TlvError::WrongType), "a signed number");
    let too_large = [0x15, 0x24, 8, 2, 0x27, 9, 0, 0, 0, 0, 1, 0, 0, 0, 0x18];
    assert_eq!(read(&too_large), Err(TlvError::OutOfRange));
}

#[test]
fn a_peer_is_dialled_over_tcp_if_it_says_so_and_is_new_enough() {
    let (client, server) = (Transports::TCP_CLIENT, Transports::TCP_SERVER);
    let node = SessionParameters::matter_1_6();
    assert!(!node.accepts_tcp());
    assert!(!node.with_tcp(client, 10_000).accepts_tcp());
    assert!(node.with_tcp(client.or(server), 10_000).accepts_tcp());
    let of_version = |version| node.with_revisions(17, 11, version).with_tcp(server, 10_000);
    assert!(of_version(0x0105_0000).accepts_tcp());
    assert!(!of_version(0x0104_0200).accepts_tcp());
    let unknown = SessionParameters::default().with_tcp(server, 10_000);
    assert!(!unknown.accepts_tcp());
}

// ---- helpers ----

/// The rules of the window, written down with a set of what counts as seen.
#[derive(Debug, Default)]
struct Model {
    max: Option<u32>,
    seen: BTreeSet<u32>,
    wraps: bool,
    forgives: bool,
    trust_first: bool,
    /// The first counter, from which on half of the counters are within reach.
    first: u32,
}

impl Model {
    /// Returns whether the counter is new, and remembers it.
    fn receive(&mut self, counter: u32) -> bool {
        let Some(max) = self.max else {
            self.max = Some(counter);
            self.first = counter & !0xFFFF;
            self.seen.insert(counter);
            if self.trust_first {
                self.seen.extend((1..=32).map(|k| counter.wrapping_sub(k)));
            }
            return true;
        };
        let mut ahead = i64::from(counter) - i64::from(max);
        if self.wraps {
            ahead = ahead.rem_euclid(1 << 32);
            if ahead >= 1 << 31 {
                ahead -= 1 << 32;
            }
        }
        match ahead {
            0 => false,
            1.. if self.trust_first && counter.wrapping_sub(self.first) >= 1 << 31 => false,
            1.. => {
                self.seen.insert(max);
                self.max = Some(counter);
                self.seen.retain(|seen| (1..=32).contains(&counter.wrapping_sub(*seen)));
                true
            }
            -32..=-1 => self.seen.insert(counter),
            _ if self.forgives => {
                self.seen.clear();
                self.max = Some(counter);
                true
            }
            _ => false,
        }
    }
}

/// Receives as a node would that has one secure session, id 1, and one unsecured handshake.
fn receive(octets: &mut [u8]) -> Result<(), DecodeError> {
    let packet = Packet::parse(octets)?;
    match packet.header().kind()? {
        MessageKind::FromInitiator(node) => {
            let node = EphemeralNodeId::received(node).ok_or(DecodeError::Shape)?;
            let mut session = UnsecureSession::responder(node, NOW);
            session.decode(packet, NOW).map(|_| ())
        }
        MessageKind::FromResponder(_) => {
            ends(NodeId::new(0x1122)).0.decode(packet, NOW).map(|_| ())
        }
        _ => secure(&[7; 48], SessionRole::Responder, (1, 2), Identity::pase(), 1)
            .decode(packet, NOW)
            .map(|_| ()),
    }
}

fn secure(
    block: &[u8; 48],
    role: SessionRole,
    (local, peer): (u16, u16),
    identity: Identity,
    counter: u32,
) -> Secure {
    secure_by(&RustCrypto, block, role, (local, peer), identity, counter)
}

fn secure_by<C: Crypto>(
    crypto: &C,
    block: &[u8; 48],
    role: SessionRole,
    (local, peer): (u16, u16),
    identity: Identity,
    counter: u32,
) -> SecureSession<C> {
    let setup = SessionSetup {
        role,
        local_session_id: LocalSessionId::new(local).unwrap(),
        peer_session_id: PeerSessionId::new(peer).unwrap(),
        identity,
        peer_parameters: SessionParameters::default(),
        resumption_id: Some(ResumptionId::new([9; 16])),
    };
    let keys = hazmat::session_keys(block);
    hazmat::secure_session(crypto, &keys, setup, Counters::starting_at(counter), NOW)
}

/// An initiator with session id 1 and a responder with session id 2.
fn pair(block: &[u8; 48], case: bool, counter: u32) -> (Secure, Secure) {
    let (a, b) = (NodeId::new(0xAA), NodeId::new(0xBB));
    let identity = |local, peer| {
        if case {
            Identity::case(FabricIndex::MIN, local, peer, CaseAuthTags::NONE)
        } else {
            Identity::pase()
        }
    };
    (
        secure(block, SessionRole::Initiator, (1, 2), identity(a, b), counter),
        secure(block, SessionRole::Responder, (2, 1), identity(b, a), 77),
    )
}

/// A message to the responder of [`pair`], of a CASE session with keys of 7s, with these flags. Its
/// header and nonce are put together here.
fn sealed_by_hand(flags: u8, security: u8) -> Vec<u8> {
    let header = [flags, 2, 0, security, 5, 0, 0, 0];
    let nonce = [security, 5, 0, 0, 0, 0xAA, 0, 0, 0, 0, 0, 0, 0];
    let mut text = *b"\x05\x02\xEF\xBE\x01\x00text";
    let key = RustCrypto.aead(&Secret::new([7; 16]));
    let nonce = SealNonce::dangerous_from_bytes(&nonce);
    let mic = key.seal(nonce, &header, &mut text).unwrap();
    [&header[..], &text, &mic].concat()
}

fn ends(ephemeral: NodeId) -> (UnsecureSession, UnsecureSession) {
    let ephemeral = EphemeralNodeId::received(ephemeral).unwrap();
    (hazmat::unsecured_initiator(ephemeral, NOW), UnsecureSession::responder(ephemeral, NOW))
}

fn seal<C: Crypto>(
    session: &mut SecureSession<C>,
    header: &ProtocolHeader,
    payload: &[u8],
) -> Vec<u8> {
    let mut buf = vec![0; payload.len() + HEADROOM + TAILROOM];
    let msg = MessageBuf::with_payload(&mut buf, payload).unwrap();
    session.encode(header, msg, NOW).unwrap().as_bytes().to_vec()
}

/// Returns whether the message is a duplicate.
fn open<C: Crypto>(
    session: &mut SecureSession<C>,
    octets: &[u8],
    now: Instant,
) -> Result<bool, DecodeError> {
    let mut octets = octets.to_vec();
    let packet = Packet::parse(&mut octets)?;
    session.decode(packet, now).map(|Opened { duplicate, .. }| duplicate)
}

fn header() -> ProtocolHeader {
    ProtocolHeader {
        exchange: ExchangeId::new(0xBEEF),
        protocol: ProtocolId::INTERACTION_MODEL,
        opcode: 2,
        initiator: true,
        needs_ack: true,
        ack: None,
    }
}

fn protocol_header() -> impl Strategy<Value = ProtocolHeader> {
    any::<(u16, u16, u16, u8, bool, bool, Option<u32>)>().prop_map(
        |(exchange, vendor, protocol, opcode, initiator, needs_ack, ack)| ProtocolHeader {
            exchange: ExchangeId::new(exchange),
            protocol: ProtocolId::vendor(
                VendorId::new(if needs_ack { vendor } else { 0 }),
                protocol,
            ),
            opcode,
            initiator,
            needs_ack,
            ack: ack.map(MessageCounter::new),
        },
    )
}

fn written(params: &SessionParameters) -> Vec<u8> {
    let mut buf = [0; 100];
    let mut writer = Writer::new(Buffer::new(&mut buf));
    params.write(Tag::Anonymous, &mut writer).unwrap();
    writer.into_sink().into_written().to_vec()
}

fn widen(half: [u8; 32]) -> [u8; 48] {
    let mut block = [0xC3; 48];
    block[..32].copy_from_slice(&half);
    block
}

fn node(value: &Value) -> NodeId {
    NodeId::new(u64::from_str_radix(value.as_str().unwrap(), 16).unwrap())
}
