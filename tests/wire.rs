//! Message headers, protocol headers and status reports: recorded vectors and properties.

use core::time::Duration;

use matter_session::bytes::Buffer;
use matter_session::ids::{
    ExchangeId, GroupId, GroupSessionId, LocalSessionId, MessageCounter, NodeId, ProtocolId,
    VendorId,
};
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{
    Destination, EncodeError, GeneralCode, HEADROOM, MAX_UDP_MESSAGE, MAX_UDP_PAYLOAD, MessageBuf,
    MessageHeader, MessageKind, Packet, ProtocolHeader, SessionRoute, StatusReport, TAILROOM,
    WireError,
};
use matter_session_testing::vectors::protocol_of;
use matter_session_testing::{chip, hex, list, matterjs};
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn matterjs_unsecured() {
    let vectors = &matterjs()["unsecured"];
    for v in list(vectors, 8) {
        both_ways(&v["input"], &hex(&v["packet"]));
    }
}

#[test]
fn matterjs_group_header() {
    let v = &matterjs()["groupHeaderUnsecuredForm"];
    both_ways(&v["input"], &hex(&v["packet"]));
    let mut packet = hex(&v["packet"]);
    let packet = Packet::parse(&mut packet).unwrap();
    assert_eq!(packet.into_parts().1, &hex(&v["header"])[..]);
}

#[test]
fn a_preamble_says_whether_it_is_of_a_control_message() {
    for (security, control, privacy) in
        [(0, false, false), (0x40, true, false), (0x80, false, true), (0xC1, true, true)]
    {
        let preamble = Packet::peek(&[0, 0, 0, security, 0, 0, 0, 0]).unwrap();
        assert_eq!((preamble.control(), preamble.privacy()), (control, privacy));
    }
}

#[test]
fn a_message_buffer_says_how_long_its_payload_is() {
    let mut buf = [0; HEADROOM + TAILROOM + 20];
    let mut message = MessageBuf::with_payload(&mut buf, b"seven..").unwrap();
    assert_eq!((message.payload_len(), message.payload_capacity()), (7, 20));
    message.set_payload_len(20).unwrap();
    assert_eq!(message.payload_len(), 20);
    assert_eq!(message.set_payload_len(21), Err(EncodeError::PayloadTooLong));
    assert_eq!(message.payload_len(), 20);
}

#[test]
fn matterjs_extensions_are_skipped_but_authenticated() {
    for v in list(&matterjs()["extensions"], 1) {
        let mut octets = hex(&v["packet"]);
        let packet = Packet::parse(&mut octets).unwrap();
        assert_eq!(packet.header().security_flags(), 0x20);
        let (_, aad, body) = packet.into_parts();
        assert!(aad.ends_with(&hex(&v["messageExtension"])));
        let (_, offset) = ProtocolHeader::parse(body).unwrap();
        assert!(body[..offset].ends_with(&hex(&v["securedExtension"])));
        assert_eq!(body[offset..], hex(&v["payload"])[..]);
    }
}

#[test]
fn matterjs_rejected() {
    for v in list(&matterjs()["rejected"], 14) {
        let name = v["name"].as_str().unwrap();
        let result = read_all(&mut hex(&v["packet"]));
        if name == "group-data-requires-ack" {
            // Well-formed; it is the receiving group session that refuses it.
            assert!(
                matches!(result, Ok((MessageKind::GroupData { .. }, header)) if header.needs_ack)
            );
        } else {
            assert!(result.is_err(), "{name}: {result:?}");
        }
    }
}

#[test]
fn matterjs_status_reports() {
    for v in list(&matterjs()["statusReports"], 7) {
        let payload = hex(&v["payload"]);
        let report = StatusReport::parse(&payload).unwrap();
        assert_eq!(u64::from(report.general.0), v["generalStatus"]);
        assert_eq!(u64::from(report.protocol.id), v["protocolId"]);
        assert_eq!(u64::from(report.code), v["protocolStatus"]);
        assert_eq!(report.data(), hex(&v["protocolData"]));
        assert_eq!(written(&report), payload);
        let made = match v["name"].as_str().unwrap() {
            "session-establishment-success" => StatusReport::success(),
            "busy-500ms" => StatusReport::busy(Duration::from_millis(500)),
            "busy-5000ms" => StatusReport::busy(Duration::from_secs(5)),
            "close-session" => StatusReport::close_session(),
            "invalid-param" => StatusReport::invalid_parameter(),
            "no-shared-trust-roots" => StatusReport::no_shared_trust_roots(),
            _ => continue,
        };
        assert_eq!(made, report);
        assert_eq!(written(&made), payload);
    }
}

#[test]
fn chip_message_headers() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["message_header"]["spec_compliance"], 3) {
        let mut octets = hex(&v["encoded"]);
        let packet = Packet::parse_clear(&mut octets).unwrap();
        let header = packet.header();
        assert_eq!(u64::from(header.route.session_id()), v["session_id"]);
        assert_eq!(u64::from(header.security_flags()), v["security_flags"]);
        assert_eq!(u64::from(header.counter.get()), v["message_counter"]);
        assert_eq!(header.route != SessionRoute::Unsecured, v["is_secure"]);
        let group = match header.destination {
            Destination::Group(group) => i64::from(group.get()),
            _ => -1,
        };
        assert_eq!(group, v["group_id"]);
    }
    for v in list(&chip["message_header"]["extensions"], 10) {
        let mut octets = hex(&v["message"]);
        let (_, aad, body) = Packet::parse(&mut octets).unwrap().into_parts();
        assert_eq!(aad.len() as u64, v["payload_header_offset"]);
        assert_eq!(ProtocolHeader::parse(body).unwrap().1 as u64, v["payload_header_len"]);
        assert_eq!(body[body.len() - 2..], [0xBB, 0xBB]);
    }
}

#[test]
fn chip_group_headers_are_routed_before_anything_else() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["message_dispatch"]["vectors"], 10) {
        let mut octets = hex(&v["privacy"]);
        let peek = Packet::peek(&octets).unwrap();
        let session = u16::try_from(v["session_id"].as_u64().unwrap()).unwrap();
        assert_eq!(peek.route().session_id(), session);
        assert_eq!(peek.privacy(), octets[3] & 0x80 != 0);
        assert_eq!(Packet::parse(&mut octets).is_err(), peek.privacy());
        let mut clear = hex(&v["encrypted"]);
        if let Some(group) = v["group_id"].as_u64().filter(|_| !clear.is_empty()) {
            let packet = Packet::parse_clear(&mut clear).unwrap();
            assert_eq!(4 + peek.fields_len() as u64, v["header_len"]);
            assert_eq!(packet.header_len() as u64, v["header_len"]);
            let group = GroupId::new(u16::try_from(group).unwrap());
            assert_eq!(
                packet.header().kind(),
                Ok(MessageKind::GroupData {
                    session: GroupSessionId::new(session),
                    source: NodeId::new(1),
                    group,
                })
            );
        }
    }
}

#[test]
fn chip_status_reports() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["status_report"]["cases"], 8) {
        let octets = hex(&v["message"]);
        let report = StatusReport::parse(&octets);
        if v["name"] == "Busy with 1 octet of data" {
            // Refused there. It says clearly enough what it means.
            assert!(report.unwrap().is_busy());
            continue;
        }
        if v["reject"] == true {
            assert_eq!(report, Err(WireError::Truncated));
            continue;
        }
        let report = report.unwrap();
        assert_eq!(u64::from(report.general.0), v["general"]);
        assert_eq!(u64::from(report.protocol.to_u32()), v["protocol"]);
        assert_eq!(u64::from(report.code), v["code"]);
        assert_eq!(report.data(), hex(&v["data"]));
        assert_eq!(written(&report), octets);
        if report.is_busy() {
            let millis = v["minimum_wait_ms"].as_u64().unwrap_or(0);
            assert_eq!(report.busy_wait(), Some(Duration::from_millis(millis)));
        } else {
            assert_eq!(report.busy_wait(), None);
        }
    }
}

#[test]
fn every_cut_of_a_header_is_refused() {
    let octets = [
        0x05, 1, 0, 0x20, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 9, 9, 9,
    ];
    assert_eq!(Packet::parse(&mut octets.to_vec()).unwrap().header_len(), octets.len());
    for len in 0..octets.len() {
        let error = Packet::parse(&mut octets.to_vec()[..len]).unwrap_err();
        assert_eq!(error, WireError::Truncated, "cut at {len}");
    }
    let octets = [0x1F, 2, 1, 0, 0xF1, 0xFF, 1, 0, 7, 0, 0, 0, 1, 0, 9];
    assert_eq!(ProtocolHeader::parse(&octets).unwrap().1, octets.len());
    for len in 0..octets.len() {
        assert_eq!(ProtocolHeader::parse(&octets[..len]), Err(WireError::Truncated));
    }
}

#[test]
fn reserved_flags_are_ignored_and_never_sent() {
    let plain = [4, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0x05, 2, 1, 0, 1, 0, b'x'];
    // Bit 3 of the message flags, bits 2 to 4 of the security flags, bits 5 to 7 of the exchange
    // flags.
    for message in [0, 0x08] {
        for security in [0, 0x04, 0x08, 0x10, 0x1C] {
            for exchange in [0, 0x20, 0x40, 0x80, 0xE0] {
                let mut octets = plain;
                octets[0] |= message;
                octets[3] |= security;
                octets[16] |= exchange;
                let packet = Packet::parse(&mut octets).unwrap();
                let header = *packet.header();
                assert_eq!(header.kind(), Ok(MessageKind::FromInitiator(NodeId::new(5))));
                assert_eq!(header.security_flags(), security, "part of the nonce as received");
                let (_, _, body) = packet.into_parts();
                let (protocol, offset) = ProtocolHeader::parse(body).unwrap();
                assert!(protocol.initiator && protocol.needs_ack && protocol.ack.is_none());
                assert_eq!(body[offset..], *b"x");

                let mut buf = [0; 64];
                let msg = MessageBuf::with_payload(&mut buf, b"x").unwrap();
                assert_eq!(msg.into_plain(&header, &protocol).unwrap().as_bytes(), plain);
            }
        }
    }
}

#[test]
fn busy_with_any_number_of_bytes_after_it_is_busy() {
    let data = [0x10, 0x27, 0x99, 0x99];
    for (len, millis) in [(0, 0), (1, 0), (2, 10_000), (3, 10_000), (4, 10_000)] {
        let octets = [&[8, 0, 0, 0, 0, 0, 4, 0], &data[..len]].concat();
        let report = StatusReport::parse(&octets).unwrap();
        assert!(report.is_busy(), "{len}");
        assert_eq!(report.busy_wait(), Some(Duration::from_millis(millis)), "{len}");
    }
}

#[test]
fn unicast_messages_name_no_group_and_group_messages_name_both_ends() {
    // The session id is 1 in all of them.
    let kind = |flags: u8, security: u8| {
        let mut octets = [0; 40];
        [octets[0], octets[1], octets[3]] = [flags, 1, security];
        Packet::parse(&mut octets).and_then(|packet| packet.header().kind())
    };
    let (source, to_node, to_group) = (4, 1, 2);
    for from in [0, source] {
        assert_eq!(kind(from | to_group, 0), Err(WireError::Destination));
        for security in [0, 0x01, 0x41] {
            assert_eq!(kind(from | 3, security), Err(WireError::Destination), "a reserved size");
        }
        for destination in [0, to_node] {
            assert!(matches!(kind(from | destination, 0), Ok(MessageKind::Unicast(_))));
        }
    }
    for (flags, security) in [
        (0, 0x01),
        (source, 0x01),
        (to_group, 0x01),
        (source | to_node, 0x01),
        (0, 0x41),
        (source, 0x41),
        (to_node, 0x41),
        (source | to_group, 0x41),
    ] {
        assert_eq!(kind(flags, security), Err(WireError::Shape), "{flags} {security:#x}");
    }
    assert!(matches!(kind(source | to_group, 0x01), Ok(MessageKind::GroupData { .. })));
    assert!(matches!(kind(source | to_node, 0x41), Ok(MessageKind::GroupControl { .. })));
}

#[test]
fn busy_waits_round_up_and_saturate() {
    let wait = |wait| StatusReport::busy(wait).busy_wait().unwrap().as_millis();
    assert_eq!(wait(Duration::ZERO), 0);
    assert_eq!(wait(Duration::from_micros(1)), 1);
    assert_eq!(wait(Duration::MAX), 65_535);
    assert_eq!(GeneralCode(99).to_string(), "general code 99");
    assert!(!GeneralCode(99).is_success());
}

#[test]
fn the_largest_message_fits_udp_with_the_largest_headers() {
    let mut buf = [0; MAX_UDP_MESSAGE];
    let mut msg = MessageBuf::new(&mut buf).unwrap();
    assert_eq!(msg.payload_capacity(), MAX_UDP_PAYLOAD);
    assert_eq!(msg.payload_mut().len(), MAX_UDP_PAYLOAD);
    msg.set_payload_len(MAX_UDP_PAYLOAD).unwrap();
    assert_eq!(msg.set_payload_len(MAX_UDP_PAYLOAD + 1), Err(EncodeError::PayloadTooLong));
    let mut header = MessageHeader::new(SessionRoute::Unsecured, MessageCounter::new(1));
    header.source = Some(NodeId::new(1));
    header.destination = Destination::Node(NodeId::new(2));
    let protocol = ProtocolHeader {
        exchange: ExchangeId::new(1),
        protocol: ProtocolId::vendor(VendorId::new(0xFFF1), 1),
        opcode: 1,
        initiator: true,
        needs_ack: true,
        ack: Some(MessageCounter::new(3)),
    };
    let encoded = msg.into_plain(&header, &protocol).unwrap();
    assert_eq!(encoded.range(), 0..MAX_UDP_MESSAGE - TAILROOM);
    for len in 0..HEADROOM + TAILROOM {
        assert_eq!(
            MessageBuf::new(&mut [0; 64][..len]).unwrap_err(),
            EncodeError::BufferTooSmall { needed: HEADROOM + TAILROOM }
        );
    }
    assert_eq!(
        MessageBuf::with_payload(&mut [0; 60], &[0; 9]).unwrap_err(),
        EncodeError::BufferTooSmall { needed: 61 }
    );
}

#[test]
fn opcodes_have_names() {
    assert_eq!(Opcode::CASE_SIGMA1.to_string(), "CASE Sigma1");
    assert_eq!(Opcode(0x77).to_string(), "opcode 0x77");
    let establishing = (0..=255).filter(|op| Opcode(*op).is_session_establishment()).count();
    assert_eq!(establishing, 9);
    assert!(!Opcode::STATUS_REPORT.is_session_establishment());
}

proptest! {
    #[test]
    fn datagrams_round_trip(
        header in message_header(),
        protocol in protocol_header(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        room in 0_usize..50,
    ) {
        let mut buf = vec![0xA5; payload.len() + HEADROOM + TAILROOM + room];
        let msg = MessageBuf::with_payload(&mut buf, &payload).unwrap();
        let encoded = msg.into_plain(&header, &protocol).unwrap();
        prop_assert_eq!(encoded.counter(), header.counter);
        let range = encoded.range();
        let mut octets = encoded.as_bytes().to_vec();
        prop_assert_eq!(&buf[range], &octets[..]);
        let (read, aad, body) = Packet::parse_clear(&mut octets).unwrap().into_parts();
        prop_assert_eq!(read, header);
        prop_assert_eq!(aad[3], header.security_flags());
        let (read, offset) = ProtocolHeader::parse(body).unwrap();
        prop_assert_eq!(read, protocol);
        prop_assert_eq!(offset, protocol.encoded_len());
        prop_assert_eq!(&body[offset..], &payload[..]);
    }

    #[test]
    fn status_reports_round_trip(
        general: u16, protocol: u32, code: u16,
        data in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let protocol = ProtocolId::from_u32(protocol);
        let report = StatusReport::new(GeneralCode(general), protocol, code, &data);
        let octets = written(&report);
        prop_assert_eq!(octets.len(), report.encoded_len());
        prop_assert_eq!(StatusReport::parse(&octets), Ok(report));
    }

    #[test]
    fn no_octets_panic(mut octets in prop::collection::vec(any::<u8>(), 0..80), plausible: bool) {
        if let (true, [flags, _, _, security, ..]) = (plausible, &mut octets[..]) {
            *flags &= 0x0F;
            *security &= 0xFD;
        }
        let peek = Packet::peek(&octets);
        let _ = StatusReport::parse(&octets);
        let _ = ProtocolHeader::parse(&octets);
        if let Ok((_, header)) = read_all(&mut octets) {
            prop_assert!(header.encoded_len() <= octets.len());
            prop_assert!(!peek.unwrap().privacy());
        }
    }
}

fn message_header() -> impl Strategy<Value = MessageHeader> {
    let route = prop_oneof![
        Just(SessionRoute::Unsecured),
        (1..=u16::MAX).prop_map(|id| SessionRoute::Unicast(LocalSessionId::new(id).unwrap())),
        any::<u16>().prop_map(|id| SessionRoute::Group(GroupSessionId::new(id))),
    ];
    let destination = prop_oneof![
        Just(Destination::None),
        any::<u64>().prop_map(|node| Destination::Node(NodeId::new(node))),
        any::<u16>().prop_map(|group| Destination::Group(GroupId::new(group))),
    ];
    let source = any::<Option<u64>>();
    (route, any::<(bool, bool, u32)>(), source, destination)
        .prop_filter("groups are for group messages", |(route, _, _, destination)| {
            matches!(route, SessionRoute::Group(_)) || !matches!(destination, Destination::Group(_))
        })
        .prop_map(|(route, (control, privacy, counter), source, destination)| {
            let mut header = MessageHeader::new(route, MessageCounter::new(counter));
            header.control = control;
            header.privacy = privacy;
            header.source = source.map(NodeId::new);
            header.destination = destination;
            header
        })
}

fn protocol_header() -> impl Strategy<Value = ProtocolHeader> {
    any::<(u16, u32, u8, bool, bool, Option<u32>)>().prop_map(
        |(exchange, protocol, opcode, initiator, needs_ack, ack)| ProtocolHeader {
            exchange: ExchangeId::new(exchange),
            protocol: ProtocolId::from_u32(if initiator { protocol } else { protocol & 0xFFFF }),
            opcode,
            initiator,
            needs_ack,
            ack: ack.map(MessageCounter::new),
        },
    )
}

/// Reads a clear datagram as far as its headers go.
fn read_all(octets: &mut [u8]) -> Result<(MessageKind, ProtocolHeader), WireError> {
    let packet = Packet::parse(octets)?;
    let kind = packet.header().kind()?;
    let (_, _, body) = packet.into_parts();
    Ok((kind, ProtocolHeader::parse(body)?.0))
}

/// Checks that `packet` reads as `input` says and that `input` is written as `packet`.
fn both_ways(input: &Value, packet: &[u8]) {
    let session = u16::try_from(input["sessionId"].as_u64().unwrap()).unwrap();
    let route = match (input["sessionType"].as_str().unwrap(), LocalSessionId::new(session)) {
        ("group", _) => SessionRoute::Group(GroupSessionId::new(session)),
        (_, Some(session)) => SessionRoute::Unicast(session),
        (_, None) => SessionRoute::Unsecured,
    };
    let node = |name: &str| {
        input[name].as_str().map(|id| NodeId::new(u64::from_str_radix(id, 16).unwrap()))
    };
    let number = |name: &str| u32::try_from(input[name].as_u64().unwrap()).unwrap();
    let destination = match (node("destNodeId"), input["destGroupId"].as_u64()) {
        (Some(node), _) => Destination::Node(node),
        (_, Some(group)) => Destination::Group(GroupId::new(u16::try_from(group).unwrap())),
        _ => Destination::None,
    };
    let mut header = MessageHeader::new(route, MessageCounter::new(number("messageCounter")));
    header.privacy = input["privacy"].as_bool().unwrap();
    header.source = node("sourceNodeId");
    header.destination = destination;
    let protocol = protocol_of(input);
    let payload = hex(&input["payload"]);

    let mut octets = packet.to_vec();
    let (read, _, body) = Packet::parse(&mut octets).unwrap().into_parts();
    assert_eq!(read, header);
    let (read, offset) = ProtocolHeader::parse(body).unwrap();
    assert_eq!(read, protocol);
    assert_eq!(body[offset..], payload[..]);

    let mut buf = [0; 512];
    let msg = MessageBuf::with_payload(&mut buf, &payload).unwrap();
    assert_eq!(msg.into_plain(&header, &protocol).unwrap().as_bytes(), packet);
}

fn written(report: &StatusReport<'_>) -> Vec<u8> {
    let mut buf = [0; 64];
    let mut sink = Buffer::new(&mut buf);
    report.write(&mut sink).unwrap();
    sink.into_written().to_vec()
}
