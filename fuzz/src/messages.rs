//! Headers, reports and TLV.

use matter_session::bytes::{Buffer, Counter};
use matter_session::handshake::{case, pase};
use matter_session::ids::{ExchangeId, MessageCounter, NodeId, ProtocolId};
use matter_session::session::hazmat;
use matter_session::session::{EphemeralNodeId, SessionParameters, UnsecureSession};
use matter_session::time::Instant;
use matter_session::tlv::{Container, ContainerKind, Tag, Value, Writer};
use matter_session::wire::{
    MIN_MESSAGE_HEADER, MIN_PROTOCOL_HEADER, MessageBuf, MessageHeader, MessageKind, Packet,
    ProtocolHeader, SessionRoute, StatusReport, WireError,
};

const PROTOCOL: ProtocolHeader = ProtocolHeader {
    exchange: ExchangeId::new(0x1234),
    protocol: ProtocolId::INTERACTION_MODEL,
    opcode: 5,
    initiator: true,
    needs_ack: false,
    ack: None,
};

/// A header that is read is written in a form that is read as the same.
pub fn message_header(data: &[u8]) {
    let Ok(preamble) = Packet::peek(data) else {
        assert!(Packet::parse(&mut data.to_vec()).is_err());
        assert!(Packet::parse_clear(&mut data.to_vec()).is_err());
        return;
    };
    if preamble.privacy() {
        assert_eq!(Packet::parse(&mut data.to_vec()).err(), Some(WireError::Privacy));
    }
    let mut octets = data.to_vec();
    let packet = match Packet::parse_clear(&mut octets) {
        Ok(packet) => packet,
        Err(error) => return assert_eq!(error, WireError::Truncated),
    };
    let header = *packet.header();
    assert_eq!((header.route, header.control), (preamble.route(), preamble.control()));
    assert_eq!(header.security_flags(), data[3]);
    assert!(packet.header_len() >= 4 + preamble.fields_len());
    let (header_len, kind) = (packet.header_len(), header.kind());
    let (_, aad, body) = packet.into_parts();
    assert_eq!((aad, &*body), data.split_at(header_len));

    let mut buf = [0; 128];
    let msg = MessageBuf::with_payload(&mut buf, b"payload").unwrap();
    let written = msg.into_plain(&header, &PROTOCOL).unwrap().as_bytes().to_vec();
    let mut again = written.clone();
    let packet = Packet::parse_clear(&mut again).unwrap();
    let read = *packet.header();
    assert_eq!(packet.header_len(), 4 + preamble.fields_len());
    let facts =
        |h: &MessageHeader| (h.route, h.control, h.privacy, h.counter, h.source, h.destination);
    assert_eq!(facts(&read), facts(&header));
    assert_eq!(read.kind(), kind);
    // Reserved flags are not sent, nor are extensions.
    if data[0] & 0x08 == 0 && data[3] & 0x3C == 0 {
        assert_eq!(read, header);
        assert_eq!(written[..header_len], data[..header_len]);
    }
    if let Ok(MessageKind::FromInitiator(node) | MessageKind::FromResponder(node)) = kind {
        unsecured(data, node);
    }
}

/// The unsecured session of this node takes a message once.
fn unsecured(data: &[u8], node: NodeId) {
    let Some(ephemeral) = EphemeralNodeId::received(node) else {
        return assert!(!node.is_operational());
    };
    let now = Instant::from_millis(1);
    let mut both =
        [UnsecureSession::responder(ephemeral, now), hazmat::unsecured_initiator(ephemeral, now)];
    let mut taken = 0;
    for session in &mut both {
        let before = format!("{session:?}");
        let mut octets = data.to_vec();
        let (first, duplicate) = match session.decode(Packet::parse(&mut octets).unwrap(), now) {
            Ok(message) => (message.payload_offset, message.duplicate),
            Err(_) => {
                assert_eq!(before, format!("{session:?}"));
                continue;
            }
        };
        taken += 1;
        assert!(!duplicate && first >= MIN_MESSAGE_HEADER + MIN_PROTOCOL_HEADER);
        let mut octets = data.to_vec();
        let again = session.decode(Packet::parse(&mut octets).unwrap(), now).unwrap();
        assert!(again.duplicate);
    }
    assert!(taken <= 1, "from the initiator and from the responder");
}

/// What is read of a protocol header or a report is written as the same.
pub fn protocol_header(data: &[u8]) {
    if let Ok((header, offset)) = ProtocolHeader::parse(data) {
        assert!((MIN_PROTOCOL_HEADER..=data.len()).contains(&offset));
        let mut buf = [0; 128];
        let message = MessageHeader::new(SessionRoute::Unsecured, MessageCounter::new(7));
        let msg = MessageBuf::with_payload(&mut buf, b"payload").unwrap();
        let written = msg.into_plain(&message, &header).unwrap();
        let written = &written.as_bytes()[MIN_MESSAGE_HEADER..];
        let (again, start) = ProtocolHeader::parse(written).unwrap();
        assert_eq!((again, start), (header, header.encoded_len()));
        assert_eq!(&written[start..], b"payload");
        let plain = data[0] & 0xE8 == 0;
        if plain && (data[0] & 0x10 == 0 || header.protocol.vendor.get() != 0) {
            assert_eq!(written[..start], data[..offset]);
        }
    } else {
        assert!(data.len() < 12 || data[0] & 0x08 != 0, "only an extension is that long");
    }
    if let Ok(report) = StatusReport::parse(data) {
        let mut octets = vec![0; data.len()];
        let mut buffer = Buffer::new(&mut octets);
        report.write(&mut buffer).unwrap();
        assert_eq!(buffer.into_written(), data);
        assert_eq!(report.encoded_len(), data.len());
        assert_eq!(report.is_busy(), report.busy_wait().is_some());
        let kinds = [report.is_success(), report.is_close_session(), report.is_busy()];
        assert!(kinds.iter().filter(|is| **is).count() <= 1);
    } else {
        assert!(data.len() < 8 || data.len() == 9);
    }
}

/// What is read is written as something that is read the same; structures of the protocol are
/// read within the limits that they state.
pub fn tlv(data: &[u8]) {
    let Ok(message) = Container::message(data) else {
        assert!(case::messages::Sigma1::parse(data).is_err());
        return;
    };
    let len = Container::message_len(data).unwrap();
    assert!(Container::message(&data[..len - 1]).is_err(), "it ends with its end");
    let mut octets = vec![0; data.len()];
    let mut writer = Writer::new(Buffer::new(&mut octets));
    let mut seen = 0;
    writer.start_structure(Tag::Anonymous).unwrap();
    let whole = copy(message, &mut writer, &mut seen, 0);
    assert!(seen <= data.len());
    if whole {
        let written = writer.into_sink().into_written();
        assert!(written.len() <= len, "the shortest form");
        let mut counter = Writer::new(Counter::default());
        counter.start_structure(Tag::Anonymous).unwrap();
        let mut again = 0;
        assert!(copy(Container::message(written).unwrap(), &mut counter, &mut again, 0));
        assert_eq!((again, counter.into_sink().len()), (seen, written.len()));
        same(message, Container::message(written).unwrap());
    }
    structures(data, message);
}

/// Writes what can be written; false if something cannot.
fn copy<S: matter_session::bytes::Sink>(
    mut from: Container<'_>,
    to: &mut Writer<S>,
    seen: &mut usize,
    depth: usize,
) -> bool {
    assert!(depth <= 17, "deeper than the reader goes");
    while let Some(element) = from.element().expect("checked when the container was opened") {
        *seen += 1;
        let tag = element.tag;
        if tag == Tag::Profile {
            return false;
        }
        match element.value {
            Value::Unsigned(value) => to.unsigned(tag, value).unwrap(),
            Value::Bool(value) => to.bool(tag, value).unwrap(),
            Value::Utf8(value) => to.utf8(tag, value).unwrap(),
            Value::Bytes(value) => to.bytes(tag, value).unwrap(),
            Value::Container(kind, inner) => {
                match kind {
                    ContainerKind::Structure => to.start_structure(tag).unwrap(),
                    ContainerKind::Array => to.start_array(tag).unwrap(),
                    ContainerKind::List => to.start_list(tag).unwrap(),
                }
                if !copy(inner, to, seen, depth + 1) {
                    return false;
                }
            }
            // No message has one, so there is no writing them.
            _ => return false,
        }
    }
    to.end().unwrap();
    true
}

fn same(mut a: Container<'_>, mut b: Container<'_>) {
    loop {
        let (a, b) = match (a.element().unwrap(), b.element().unwrap()) {
            (Some(a), Some(b)) => (a, b),
            (None, None) => return,
            other => panic!("{other:?}"),
        };
        assert_eq!(a.tag, b.tag);
        match (a.value, b.value) {
            (Value::Unsigned(a), Value::Unsigned(b)) => assert_eq!(a, b),
            (Value::Bool(a), Value::Bool(b)) => assert_eq!(a, b),
            (Value::Utf8(a), Value::Utf8(b)) => assert_eq!(a, b),
            (Value::Bytes(a), Value::Bytes(b)) => assert_eq!(a, b),
            (Value::Container(k, a), Value::Container(l, b)) => {
                assert_eq!(k, l);
                same(a, b);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn structures(data: &[u8], message: Container<'_>) {
    if let Ok(parameters) = SessionParameters::read(message) {
        let write = |parameters: &SessionParameters| {
            let mut octets = [0; 128];
            let mut writer = Writer::new(Buffer::new(&mut octets));
            parameters.write(Tag::Anonymous, &mut writer).unwrap();
            writer.into_sink().into_written().to_vec()
        };
        let written = write(&parameters);
        let again = SessionParameters::read(Container::message(&written).unwrap()).unwrap();
        assert_eq!(write(&again), written);
        assert_eq!(again.idle_interval(), parameters.idle_interval());
        assert!(parameters.paths_per_invoke() >= 1);
    }
    if let Ok(sigma1) = case::messages::Sigma1::parse(data) {
        assert_ne!(sigma1.initiator_session_id.get(), 0);
    }
    if let Ok(sigma2) = case::messages::Sigma2::parse(data) {
        assert!(data[sigma2.encrypted].len() > 16);
    }
    if let Ok(sigma3) = case::messages::Sigma3::parse(data) {
        assert!(data[sigma3.encrypted].len() > 16);
    }
    if let Ok(resume) = case::messages::Sigma2Resume::parse(data) {
        assert_ne!(resume.responder_session_id.get(), 0);
    }
    if let Ok(request) = pase::messages::PbkdfParamRequest::parse(data) {
        assert_ne!(request.initiator_session_id.get(), 0);
    }
    for known in [false, true] {
        if let Ok(response) = pase::messages::PbkdfParamResponse::parse(data, known) {
            assert_ne!(response.responder_session_id.get(), 0);
        }
    }
    let _ = pase::messages::Pake1::parse(data);
    let _ = pase::messages::Pake2::parse(data);
    let _ = pase::messages::Pake3::parse(data);
}
