//! `matter-transport` with the keys of `matter-crypto`: its `SessionManager`, which alone keeps
//! ciphers ready. It finds session and exchange, too, and every message is a vector of its own. It
//! takes at most 1,024 octets, protocol header included.

use std::time::Instant;

use matter_crypto::pase::PaseSessionKeys;
use matter_transport::{
    DecodeInboundOutput, MrpFlags, PeerHint, ProtocolId, SessionId, SessionManager, SessionRole,
};

use super::{EXCHANGE, KEY, OPCODE, Role, SESSION, Side};

pub(super) struct Transport {
    manager: SessionManager,
    session: SessionId,
    /// The time is the same for all messages: reading the clock is not measured.
    now: Instant,
}

impl Transport {
    pub(super) fn new(role: Role) -> Self {
        let keys = PaseSessionKeys { ke: KEY, i2r_key: KEY, r2i_key: KEY, attestation_key: KEY };
        let role = match role {
            Role::Initiator => SessionRole::Initiator,
            Role::Responder => SessionRole::Responder,
        };
        let mut manager = SessionManager::new();
        let session = SessionId(SESSION);
        let peer = PeerHint::default();
        manager.register_pase_with_local_id(session, keys, role, SESSION, peer);
        Self { manager, session, now: Instant::now() }
    }

    /// It is random.
    pub(super) fn next_counter(&self) -> u32 {
        self.manager.get(self.session).expect("is registered").outbound_counter
    }
}

impl Side for Transport {
    const NAME: &'static str = "matter-transport";
    const MOST: usize = 1018;

    fn encode(&mut self, payload: &[u8]) -> impl AsRef<[u8]> {
        let encoded = self.manager.encode_outbound_with_role(
            self.session,
            EXCHANGE,
            true,
            OPCODE,
            ProtocolId::INTERACTION_MODEL,
            payload,
            // A message that is to be acknowledged would be kept besides.
            MrpFlags { reliable: false },
            self.now,
        );
        encoded.expect("encodes").wire_bytes
    }

    fn decode(&mut self, datagram: &mut [u8]) -> impl AsRef<[u8]> {
        match self.manager.decode_inbound(datagram, self.now).expect("decodes") {
            DecodeInboundOutput::AppMessage { payload, .. } => payload,
            other => unreachable!("{other:?}"),
        }
    }
}
