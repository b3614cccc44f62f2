//! `SecureSession`: the payload is copied into its place, then everything is done there.

use matter_session::crypto::RustCrypto;
use matter_session::ids::{ExchangeId, LocalSessionId, PeerSessionId, ProtocolId};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, SecureSession, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::time::Instant;
use matter_session::wire::{HEADROOM, MessageBuf, Packet, ProtocolHeader, TAILROOM};

use super::{EXCHANGE, KEY, OPCODE, Role, SESSION, Side};

const HEADER: ProtocolHeader = ProtocolHeader {
    exchange: ExchangeId::new(EXCHANGE),
    protocol: ProtocolId::INTERACTION_MODEL,
    opcode: OPCODE,
    initiator: true,
    needs_ack: false,
    ack: None,
};

pub(super) struct Ours {
    session: SecureSession<RustCrypto>,
    buf: [u8; 1280],
}

impl Ours {
    pub(super) fn new(role: Role, counter: u32) -> Self {
        let setup = SessionSetup {
            role: match role {
                Role::Initiator => SessionRole::Initiator,
                Role::Responder => SessionRole::Responder,
            },
            local_session_id: LocalSessionId::new(SESSION).expect("is not 0"),
            peer_session_id: PeerSessionId::new(SESSION).expect("is not 0"),
            identity: Identity::pase(),
            peer_parameters: SessionParameters::default(),
            resumption_id: None,
        };
        let keys = [KEY; 3].concat().try_into().expect("three keys");
        let keys = hazmat::session_keys(&keys);
        let counter = Counters::starting_at(counter);
        let session = hazmat::secure_session(&RustCrypto, &keys, setup, counter, Instant::ZERO);
        Self { session, buf: [0; 1280] }
    }
}

impl Side for Ours {
    const NAME: &'static str = "ours";
    const MOST: usize = 1280 - HEADROOM - TAILROOM;

    fn encode(&mut self, payload: &[u8]) -> impl AsRef<[u8]> {
        let room = &mut self.buf[..HEADROOM + payload.len() + TAILROOM];
        let message = MessageBuf::with_payload(room, payload).expect("fits");
        self.session.encode(&HEADER, message, Instant::ZERO).expect("encodes").as_bytes()
    }

    fn decode(&mut self, datagram: &mut [u8]) -> impl AsRef<[u8]> {
        let packet = Packet::parse(datagram).expect("has a header");
        self.session.decode(packet, Instant::ZERO).expect("decodes").payload
    }
}
