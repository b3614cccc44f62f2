//! Messages through a manager with many sessions.

use std::convert::Infallible;
use std::hint::black_box;

use matter_session::context::Services;
use matter_session::crypto::RustCrypto;
use matter_session::ids::{
    CaseAuthTags, ExchangeId, FabricIndex, LocalSessionId, MessageType, NodeId, PeerSessionId,
    ProtocolId,
};
use matter_session::manager::{
    Config, ExchangeHandle, HeapSessionManager, PeerAddress, Received, SessionHandle,
};
use matter_session::rand_core::{TryCryptoRng, TryRng};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, SecureSession, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::wire::{HEADROOM, MessageBuf, ProtocolHeader, TAILROOM};

use crate::{HEADER, MESSAGES, NOW};

/// Each has four exchanges at the most.
const SESSIONS: usize = 250;
const THIS: NodeId = NodeId::new(1);

/// A manager, and the other ends of its sessions.
pub(crate) struct World {
    manager: HeapSessionManager,
    sessions: Vec<SessionHandle>,
    peers: Vec<SecureSession<RustCrypto>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let config = Config::default()
            .with_sessions(SESSIONS)
            .with_exchanges(2 * MESSAGES)
            .with_own_exchanges_per_session(MESSAGES);
        let mut rng = Same(1);
        let mut manager = HeapSessionManager::new(config, RustCrypto, &mut rng);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        let keys = hazmat::session_keys(&[7; 48]);
        let (mut sessions, mut peers) = (Vec::new(), Vec::new());
        for n in 0..SESSIONS {
            let own = setup(SessionRole::Responder, (THIS, peer(n)), 1);
            let session =
                manager.dangerous_add_session(&mut cx, address(), &keys, own).expect("has room");
            let id = session.local_session_id().get();
            let other = setup(SessionRole::Initiator, (peer(n), THIS), id);
            let counters = Counters::starting_at(1);
            peers.push(hazmat::secure_session(&RustCrypto, &keys, other, counters, NOW));
            sessions.push(session);
        }
        Self { manager, sessions, peers }
    }

    /// Exchanges for as many messages as may be asked for.
    pub(crate) fn exchanges(&mut self) -> Vec<ExchangeHandle> {
        let mut rng = Same(1);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        let sessions = self.sessions.iter().cycle().take(MESSAGES);
        sessions.map(|on| self.manager.open_exchange(&mut cx, *on).expect("has room")).collect()
    }

    /// Sends a message on each, and polls it.
    pub(crate) fn send(&mut self, exchanges: &[ExchangeHandle], payload: &[u8]) {
        let mut rng = Same(1);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        let kind = MessageType::new(ProtocolId::INTERACTION_MODEL, 8);
        for exchange in exchanges {
            self.manager.send(&mut cx, *exchange, kind, black_box(payload)).expect("is sent");
            black_box(self.manager.poll_transmit(NOW).expect("is sent").datagram);
        }
    }

    /// As many messages as may be asked for, each of which begins an exchange.
    pub(crate) fn datagrams(&mut self, payload: &[u8]) -> Vec<Vec<u8>> {
        let mut buf = vec![0; HEADROOM + payload.len() + TAILROOM];
        let numbers = (0..MESSAGES).zip(0_u16..);
        let datagrams = numbers.map(|(n, id)| {
            let header = ProtocolHeader { exchange: ExchangeId::new(id), ..HEADER };
            let message = MessageBuf::with_payload(&mut buf, payload).expect("fits");
            let peer = &mut self.peers[n % SESSIONS];
            peer.encode(&header, message, NOW).expect("is sealed").as_bytes().to_vec()
        });
        datagrams.collect()
    }

    /// Receives each of them.
    pub(crate) fn receive(&mut self, datagrams: &mut [Vec<u8>]) {
        let mut rng = Same(1);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        for datagram in datagrams {
            match self.manager.handle_datagram(&mut cx, address(), black_box(datagram)) {
                Received::Message(message) => black_box(message.payload).len(),
                other => panic!("{other:?}"),
            };
        }
    }
}

fn peer(n: usize) -> NodeId {
    NodeId::new(1000 + n as u64)
}

fn address() -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], 5540).into())
}

fn setup(role: SessionRole, (here, there): (NodeId, NodeId), id: u16) -> SessionSetup {
    let fabric = FabricIndex::new(1).expect("is not 0");
    SessionSetup {
        role,
        local_session_id: LocalSessionId::new(id).expect("is not 0"),
        peer_session_id: PeerSessionId::new(id).expect("is not 0"),
        identity: Identity::case(fabric, here, there, CaseAuthTags::NONE),
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    }
}

/// The same numbers in each run.
struct Same(u64);

impl TryRng for Same {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Ok((self.0 >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.try_next_u32()?) << 32 | u64::from(self.try_next_u32()?))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for byte in dst {
            *byte = self.try_next_u32()? as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Same {}
