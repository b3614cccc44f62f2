//! Sessions that no handshake has made, and the peers at their other ends.

use matter_session::crypto::RustCrypto;
use matter_session::ids::{
    CaseAuthTags, ExchangeId, LocalSessionId, MessageCounter, NodeId, PeerSessionId, ProtocolId,
};
use matter_session::manager::{PeerAddress, SessionHandle, Storage};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    DecodeError, Identity, SecureSession, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::time::Instant;
use matter_session::wire::{MessageBuf, Packet, ProtocolHeader};

use crate::net::{IM, Net, index};

const CHANNEL: ProtocolId = ProtocolId::SECURE_CHANNEL;

/// What a session is like.
#[derive(Clone, Debug)]
pub struct Plan {
    pub identity: Identity,
    pub address: PeerAddress,
    /// The first counter that the node sends.
    pub counter: u32,
    pub peer_parameters: SessionParameters,
}

impl Plan {
    pub fn case(fabric: u8, peer: u64, address: PeerAddress) -> Self {
        let (own, peer) = (NodeId::new(1), NodeId::new(peer));
        let identity = Identity::case(index(fabric), own, peer, CaseAuthTags::NONE);
        Self { identity, address, counter: 1, peer_parameters: SessionParameters::default() }
    }

    pub fn pase(address: PeerAddress) -> Self {
        Self { identity: Identity::pase(), ..Self::case(1, 1, address) }
    }

    pub fn with_counter(self, counter: u32) -> Self {
        Self { counter, ..self }
    }

    /// Makes the session on a node, and the peer at its other end; `None` if there is no place.
    pub fn begin<S: Storage>(self, net: &mut Net<S>, n: usize) -> Option<(SessionHandle, Twin)> {
        let keys: [u8; 48] = core::array::from_fn(|_| net.nodes[n].rng.below(256) as u8);
        let any = LocalSessionId::new(7).unwrap();
        let setup = SessionSetup {
            role: SessionRole::Responder,
            local_session_id: any,
            peer_session_id: any.as_seen_by_peer(),
            identity: self.identity,
            peer_parameters: self.peer_parameters,
            resumption_id: None,
        };
        let (block, counter) = (hazmat::session_keys(&keys), Counters::starting_at(self.counter));
        let handle = net.call(n, |manager, cx| {
            manager.dangerous_add_session_at(cx, self.address, &block, setup.clone(), counter)
        })?;
        let id = self.identity;
        let identity = match id.fabric() {
            Some(fabric) => Identity::case(fabric, id.peer_node(), id.local_node(), *id.tags()),
            None => id,
        };
        let peer_session_id = PeerSessionId::new(handle.local_session_id().get()).unwrap();
        let setup =
            SessionSetup { role: SessionRole::Initiator, peer_session_id, identity, ..setup };
        let session = secure(&keys, &setup, 1);
        Some((handle, Twin { keys, setup, session, address: self.address }))
    }
}

/// The peer of a session, which seals and opens what it is told to.
pub struct Twin {
    keys: [u8; 48],
    setup: SessionSetup,
    session: SecureSession<RustCrypto>,
    pub address: PeerAddress,
}

/// A message that the twin has read.
#[derive(Debug)]
pub struct Read {
    pub header: ProtocolHeader,
    pub counter: u32,
    pub payload: Vec<u8>,
}

impl Read {
    pub fn acknowledges(&self, counter: u32) -> bool {
        self.header.ack == Some(MessageCounter::new(counter))
    }

    pub fn is_close_session(&self) -> bool {
        self.header.protocol == CHANNEL
            && self.header.opcode == 0x40
            && self.payload == [0, 0, 0, 0, 0, 0, 3, 0]
    }
}

impl Twin {
    /// Seals a message with the next counter; returns the counter, too.
    pub fn seal(&mut self, header: &ProtocolHeader) -> (Vec<u8>, u32) {
        seal(&mut self.session, header, b"payload")
    }

    /// The same with a payload that means something.
    pub fn seal_payload(&mut self, header: &ProtocolHeader, payload: &[u8]) -> Vec<u8> {
        seal(&mut self.session, header, payload).0
    }

    /// Seals a message with any counter.
    pub fn seal_at(&self, counter: u32, header: &ProtocolHeader) -> Vec<u8> {
        seal(&mut secure(&self.keys, &self.setup, counter), header, b"payload").0
    }

    /// Opens a datagram of the node.
    pub fn read(&self, octets: &[u8]) -> Result<Read, DecodeError> {
        let mut octets = octets.to_vec();
        let mut session = secure(&self.keys, &self.setup, 1);
        let opened = session.decode(Packet::parse(&mut octets)?, Instant::ZERO)?;
        let (header, counter) = (opened.header, opened.counter.get());
        Ok(Read { header, counter, payload: opened.payload.to_vec() })
    }

    /// All that a node has sent on this session since a place in the list.
    pub fn read_all<S: Storage>(&self, net: &Net<S>, since: usize) -> Vec<Read> {
        net.sent[since..].iter().filter_map(|sent| self.read(&sent.octets).ok()).collect()
    }
}

/// A message of the application, from whoever began the exchange.
pub fn header(exchange: u16, needs_ack: bool, ack: Option<u32>) -> ProtocolHeader {
    ProtocolHeader {
        exchange: ExchangeId::new(exchange),
        protocol: IM,
        opcode: 2,
        initiator: true,
        needs_ack,
        ack: ack.map(MessageCounter::new),
    }
}

/// The same from who did not begin the exchange.
pub fn answer(exchange: u16, needs_ack: bool, ack: Option<u32>) -> ProtocolHeader {
    ProtocolHeader { initiator: false, ..header(exchange, needs_ack, ack) }
}

/// A standalone acknowledgement.
pub fn bare(of: ProtocolHeader) -> ProtocolHeader {
    ProtocolHeader { protocol: CHANNEL, opcode: 0x10, needs_ack: false, ..of }
}

fn secure(keys: &[u8; 48], setup: &SessionSetup, counter: u32) -> SecureSession<RustCrypto> {
    let (keys, counter) = (hazmat::session_keys(keys), Counters::starting_at(counter));
    hazmat::secure_session(&RustCrypto, &keys, setup.clone(), counter, Instant::ZERO)
}

fn seal(
    session: &mut SecureSession<RustCrypto>,
    header: &ProtocolHeader,
    payload: &[u8],
) -> (Vec<u8>, u32) {
    let mut buf = vec![0; payload.len() + 64];
    let message = MessageBuf::with_payload(&mut buf, payload).unwrap();
    let sealed = session.encode(header, message, Instant::ZERO).unwrap();
    (sealed.as_bytes().to_vec(), sealed.counter().get())
}
