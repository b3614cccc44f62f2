//! What is printed of messages: their lengths, and none of their bytes. What is left of secrets in
//! memory is looked for in `tests/secrets_in_memory.rs`, which needs an allocator of its own.

use core::fmt::Debug;

use matter_session::bytes::{Buffer, Sink};
use matter_session::cert::Certificate;
use matter_session::check_in::{self, IcdCounter, MAX_DATAGRAM_BUFFER, Registration};
use matter_session::crypto::{
    Aead, Cipher, OpenJob, OpenNonce, RustCrypto, SealJob, SealNonce, Secret, TxCounter,
};
use matter_session::fabric::{CompressedFabricId, GroupKey};
use matter_session::group::{self, Fresh, GroupSession};
use matter_session::handshake::Incoming;
use matter_session::handshake::case::messages::{TbeData, TbsData};
use matter_session::ids::{
    ExchangeId, FabricIndex, GroupId, LocalSessionId, MessageType, NodeId, PeerSessionId,
    ProtocolId,
};
use matter_session::manager::{BatchMessage, Datagram, Received};
use matter_session::session::{
    EphemeralNodeId, Identity, SecureSession, SessionParameters, SessionRole, SessionSetup,
    UnsecureSession, hazmat,
};
use matter_session::stream::StreamDecoder;
use matter_session::time::Instant;
use matter_session::tlv::{Container, Tag, Writer};
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{GeneralCode, MessageBuf, Packet, ProtocolHeader, StatusReport};

use crate::net::{Authority, IM, Net};

/// What no output may show.
const PLAIN: [u8; 24] = *b"zyxqjk-wvq-4711-qzx-jkw!";
const NOW: Instant = Instant::ZERO;

/// Fails if five bytes in a row can be read from the output: as numbers, in hexadecimal or as text.
/// (Of public keys, four are printed.)
#[track_caller]
fn prints_lengths<T: Debug>(value: &T, bytes: &[u8]) {
    let compact = format!("{value:?}");
    let pretty: String = format!("{value:#?}").split_whitespace().collect::<Vec<_>>().join(" ");
    for part in bytes.windows(5) {
        let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let numbers = part.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let text = String::from_utf8_lossy(part).into_owned();
        for output in [&compact, &pretty] {
            let lower = output.to_lowercase();
            let shown = lower.contains(&hex) || output.contains(&numbers) || output.contains(&text);
            assert!(!shown, "{output}");
        }
    }
}

fn header() -> ProtocolHeader {
    ProtocolHeader {
        exchange: ExchangeId::new(7),
        protocol: ProtocolId::INTERACTION_MODEL,
        opcode: 8,
        initiator: true,
        needs_ack: false,
        ack: None,
    }
}

fn session(role: SessionRole) -> SecureSession<RustCrypto> {
    let setup = SessionSetup {
        role,
        local_session_id: LocalSessionId::new(1).unwrap(),
        peer_session_id: PeerSessionId::new(1).unwrap(),
        identity: Identity::pase(),
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    };
    let counters = hazmat::Counters::starting_at(1);
    hazmat::secure_session(&RustCrypto, &hazmat::session_keys(&[7; 48]), setup, counters, NOW)
}

#[test]
fn messages_of_sessions_print_lengths() {
    let mut buf = [0; 256];
    let message = MessageBuf::with_payload(&mut buf, &PLAIN).unwrap();
    prints_lengths(&message, &PLAIN);
    let sealed = session(SessionRole::Initiator).encode(&header(), message, NOW).unwrap();
    let mut datagram = sealed.as_bytes().to_vec();
    prints_lengths(&sealed, &datagram);
    let copy = datagram.clone();
    let packet = Packet::parse(&mut datagram).unwrap();
    prints_lengths(&packet, &copy);
    let mut receiver = session(SessionRole::Responder);
    prints_lengths(&receiver.decode(packet, NOW).unwrap(), &PLAIN);

    let mut rng = matter_session_testing::rng::Dice::new(1);
    let mut unsecured = UnsecureSession::initiator(&mut rng, NOW).unwrap();
    let message = MessageBuf::with_payload(&mut buf, &PLAIN).unwrap();
    let mut counter = hazmat::unsecured_counter(1);
    let encoded = unsecured.encode(&mut counter, &header(), message, NOW).unwrap();
    let mut datagram = encoded.as_bytes().to_vec();
    prints_lengths(&encoded, &PLAIN);
    let packet = Packet::parse(&mut datagram).unwrap();
    prints_lengths(&packet, &PLAIN);
    let node = EphemeralNodeId::received(unsecured.ephemeral_node_id().node()).unwrap();
    let mut responder = UnsecureSession::responder(node, NOW);
    prints_lengths(&responder.decode(packet, NOW).unwrap(), &PLAIN);
}

#[test]
fn messages_of_groups_print_lengths() {
    let fabric = CompressedFabricId::from_bytes([1; 8]);
    let key = GroupKey::EpochKey(Secret::new([2; 16]));
    let session = GroupSession::new(&RustCrypto, &key, fabric).unwrap();
    let mut buf = [0; 256];
    let message = MessageBuf::with_payload(&mut buf, &PLAIN).unwrap();
    let fresh = Fresh::dangerous(TxCounter::starting_at(9).take().unwrap());
    let node = NodeId::new(0x0102_0304_0506_0708);
    let sealed = session.encode(fresh, node, GroupId::new(2), false, &header(), message).unwrap();
    let mut datagram = sealed.as_bytes().to_vec();
    prints_lengths(&sealed, &PLAIN);
    let candidates = [((), &session)];
    let opened = group::decode(&mut datagram, candidates, |(), _| true).unwrap();
    prints_lengths(&opened, &PLAIN);
}

#[test]
fn messages_of_a_manager_print_lengths() {
    let mut net: Net = Net::members();
    let (a, _) = net.case(200);
    let from = net.nodes[0].address;
    let exchange = net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
    let kind = MessageType::new(IM, 8);
    let mut batch = [BatchMessage::new(exchange, kind, &PLAIN)];
    prints_lengths(&batch, &PLAIN);
    net.call(0, |m, cx| m.send_all(cx, &mut batch));
    prints_lengths(&batch, &PLAIN);
    let now = net.instant();
    let transmit = net.nodes[0].manager.poll_transmit(now).unwrap();
    let mut bytes = transmit.datagram.to_vec();
    prints_lengths(&transmit, &bytes);
    let copy = bytes.clone();
    prints_lengths(&Datagram::new(from, &mut bytes), &copy);
    net.call(1, |m, cx| {
        let received = m.handle_datagram(cx, from, &mut bytes);
        prints_lengths(&received, &PLAIN);
        let Received::Message(message) = received else { panic!("a message") };
        prints_lengths(&message, &PLAIN);
    });
    let mut plain = PLAIN;
    prints_lengths(&Received::CheckIn { payload: &mut plain }, &PLAIN);
}

#[test]
fn jobs_of_backends_print_lengths() {
    let key = RustCrypto.aead(&Secret::new([3; 16]));
    let nonce = || SealNonce::dangerous_from_bytes(&[9; 13]);
    let mut text = PLAIN;
    prints_lengths(&SealJob::new(&key, nonce(), &PLAIN, &mut text), &PLAIN);
    let mic = key.seal(nonce(), &[], &mut text).unwrap();
    let nonce = OpenNonce::dangerous_from_bytes(&[9; 13]);
    let mut job = OpenJob::new(&key, nonce, &[], &mut text, &mic);
    job.run();
    assert_eq!(job.result(), Ok(()));
    prints_lengths(&job, &PLAIN);
    prints_lengths(&job, &mic);
}

#[test]
fn check_in_messages_print_lengths() {
    let mut icd = IcdCounter::restored(5, 10);
    icd.stored(15);
    let key = || Secret::new([4; 16]);
    let registered = icd.register(key(), &[]).unwrap();
    let compressed = CompressedFabricId::from_bytes([7; 8]);
    let mut registrations =
        [Registration::new(FabricIndex::MIN, compressed, NodeId::new(1), key(), icd.value())];
    let check_in = icd.check_in(&PLAIN).unwrap();
    prints_lengths(&check_in, &PLAIN);
    let mut payload = [0; MAX_DATAGRAM_BUFFER];
    let len = check_in.write_payload(&RustCrypto, &registered, &mut payload).unwrap();
    let opened = check_in::open(&RustCrypto, &mut registrations, &mut payload[..len]).unwrap();
    prints_lengths(&opened, &PLAIN);
}

#[test]
fn parts_of_messages_print_lengths() {
    let mut plain = PLAIN;
    prints_lengths(&Incoming::new(Opcode::CASE_SIGMA1, &mut plain), &PLAIN);
    prints_lengths(&StatusReport::new(GeneralCode::FAILURE, IM, 7, &PLAIN), &PLAIN);

    let mut bytes = [0; 64];
    let mut buffer = Buffer::new(&mut bytes);
    buffer.put(&PLAIN).unwrap();
    prints_lengths(&buffer, &PLAIN);
    let mut writer = Writer::new(Buffer::new(&mut bytes));
    writer.start_structure(Tag::Anonymous).unwrap();
    writer.bytes(Tag::Context(1), &PLAIN).unwrap();
    writer.end().unwrap();
    prints_lengths(&writer, &PLAIN);
    let mut container = Container::message(&bytes).unwrap();
    prints_lengths(&container, &PLAIN);
    prints_lengths(&container.field(1).unwrap(), &PLAIN);

    let mut decoder = StreamDecoder::new([0; 64]);
    decoder.handle_bytes(&[28, 0, 0, 0]);
    decoder.handle_bytes(&PLAIN);
    prints_lengths(&decoder, &PLAIN);
    let mut decoder = StreamDecoder::growing(100);
    decoder.handle_bytes(&[28, 0, 0, 0]);
    decoder.handle_bytes(&PLAIN);
    prints_lengths(&decoder, &PLAIN);
}

/// Certificates travel encrypted: they name the fabric and its nodes.
#[test]
fn certificates_print_who_they_are_of_and_their_lengths() {
    let mut authority = Authority::new(1, true);
    let member = authority.admit(100);
    let credentials = member.credentials();
    let (noc, icac) = (credentials.noc, credentials.icac);
    let certificate = Certificate::parse(noc).unwrap();
    prints_lengths(&certificate, noc);
    prints_lengths(&credentials, noc);
    let [own, peer] = [(); 2].map(|()| certificate.public_key());
    let tbe = TbeData { noc, icac, signature: &[0xA5; 64], resumption_id: None };
    prints_lengths(&tbe, noc);
    prints_lengths(&tbe, tbe.signature);
    prints_lengths(&TbsData { noc, icac, sender: &own, receiver: &peer }, noc);
}
