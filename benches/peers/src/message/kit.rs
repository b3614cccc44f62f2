//! `matter-kit`: what its `Messaging` does once it has found session and exchange. The keys of its
//! sessions are octets, from which every message makes a cipher.

use matter_kit::crypto::SymmetricKey;
use matter_kit::msg::{
    ExchangeId, MessageCounter, MessageHeader, ProtocolHeader, ProtocolId, SessionId, SessionKeys,
    Verdict, protect, unprotect,
};
use matter_kit::platform::Instant;
use matter_kit::session::{self, EstablishedKeys, SecureSession, SessionKind};

use super::{EXCHANGE, KEY, OPCODE, Role, SESSION, Side};

const HEADER: ProtocolHeader = ProtocolHeader {
    initiator: true,
    acknowledged_counter: None,
    reliability: false,
    exchange_id: ExchangeId(EXCHANGE),
    protocol: ProtocolId::INTERACTION_MODEL,
    opcode: OPCODE,
};

pub(super) struct Kit {
    session: SecureSession,
    /// Where header and payload are joined.
    joined: [u8; 1280],
    out: [u8; 1280],
}

impl Kit {
    pub(super) fn new(role: Role, counter: u32) -> Self {
        let key = || SymmetricKey::new(KEY);
        let keys = || SessionKeys::from_encryption_key(key()).expect("a key");
        let keys = EstablishedKeys { i2r: keys(), r2i: keys(), attestation_challenge: key() };
        let role = match role {
            Role::Initiator => session::Role::Initiator,
            Role::Responder => session::Role::Responder,
        };
        let (id, kind) = (SessionId(SESSION), SessionKind::Pase);
        let mut session = SecureSession::new(id, id, kind, role, keys, 0, Instant::ZERO);
        session.counter = MessageCounter::at(counter);
        Self { session, joined: [0; 1280], out: [0; 1280] }
    }
}

impl Side for Kit {
    const NAME: &'static str = "matter-kit";
    const MOST: usize = 1240;

    fn encode(&mut self, payload: &[u8]) -> impl AsRef<[u8]> {
        let Self { session, joined, out } = self;
        let header = HEADER.encode(joined).expect("fits");
        let end = header + payload.len();
        joined[header..end].copy_from_slice(payload);
        let message = MessageHeader {
            session_id: session.peer_session_id,
            message_counter: session.next_counter(Instant::ZERO).expect("has numbers"),
            ..MessageHeader::default()
        };
        let (source, keys) = (session.send_nonce_source(), session.encrypt_keys());
        let len = protect(&message, source, &joined[..end], keys, out).expect("encodes");
        &out[..len]
    }

    fn decode(&mut self, datagram: &mut [u8]) -> impl AsRef<[u8]> {
        let (source, keys) = (self.session.recv_nonce_source(), self.session.decrypt_keys());
        let (message, range) = unprotect(datagram, keys, source).expect("decodes");
        let verdict = self.session.accept_counter(message.message_counter, Instant::ZERO);
        assert_eq!(verdict, Verdict::New);
        ProtocolHeader::decode(&datagram[range]).expect("has a header").1
    }
}
