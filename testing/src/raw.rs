//! Unsecured datagrams, byte by byte.

pub const SIGMA1: u8 = 0x30;
pub const SIGMA2: u8 = 0x31;
pub const SIGMA3: u8 = 0x32;
pub const SIGMA2_RESUME: u8 = 0x33;
pub const PBKDF_REQUEST: u8 = 0x20;
pub const PBKDF_RESPONSE: u8 = 0x21;
pub const PAKE1: u8 = 0x22;
pub const PAKE3: u8 = 0x24;
pub const REPORT: u8 = 0x40;
pub const ACK: u8 = 0x10;

/// What an initiator sends.
#[derive(Clone, Debug)]
pub struct Raw {
    pub counter: u32,
    pub node: u64,
    pub exchange: u16,
    /// I = 1, R = 4.
    pub flags: u8,
    pub opcode: u8,
    pub protocol: u16,
    pub ack: Option<u32>,
    pub payload: Vec<u8>,
}

impl Raw {
    pub fn new(opcode: u8, payload: &[u8]) -> Self {
        let payload = payload.to_vec();
        Self {
            counter: 7,
            node: 77,
            exchange: 7,
            flags: 5,
            opcode,
            protocol: 0,
            ack: None,
            payload,
        }
    }

    /// On the exchange and from the node of another datagram of an initiator.
    pub fn like(datagram: &[u8], opcode: u8, payload: &[u8]) -> Self {
        Self {
            counter: u32::from_le_bytes(datagram[4..8].try_into().unwrap()).wrapping_add(1000),
            node: node_of(datagram),
            exchange: u16::from_le_bytes(datagram[18..20].try_into().unwrap()),
            ..Self::new(opcode, payload)
        }
    }

    pub fn octets(&self) -> Vec<u8> {
        let mut octets = vec![4, 0, 0, 0];
        octets.extend(self.counter.to_le_bytes());
        octets.extend(self.node.to_le_bytes());
        octets.extend([self.flags | if self.ack.is_some() { 2 } else { 0 }, self.opcode]);
        octets.extend(self.exchange.to_le_bytes());
        octets.extend(self.protocol.to_le_bytes());
        octets.extend(self.ack.iter().flat_map(|counter| counter.to_le_bytes()));
        octets.extend(&self.payload);
        octets
    }
}

/// The ephemeral node id of an initiator's datagram.
pub fn node_of(datagram: &[u8]) -> u64 {
    u64::from_le_bytes(datagram[8..16].try_into().unwrap())
}

/// An initiator's datagram as if it came from another one: another node, exchange and counter.
pub fn disguised(datagram: &[u8], n: u64) -> Vec<u8> {
    let mut octets = datagram.to_vec();
    octets[4..8].copy_from_slice(&(n as u32).wrapping_mul(2_654_435_761).to_le_bytes());
    octets[8..16].copy_from_slice(&(0x1000 + n).to_le_bytes());
    octets[18..20].copy_from_slice(&(n as u16).to_le_bytes());
    octets
}

/// The opcode of an unsecured datagram, and its payload.
pub fn parts(octets: &[u8]) -> Option<(u8, &[u8])> {
    let flags = *octets.first()?;
    if octets.get(1..3)? != [0, 0] {
        return None;
    }
    let at = 8 + 8 * usize::from(flags & 4 != 0) + 8 * usize::from(flags & 3 == 1);
    let acks = 4 * usize::from(octets.get(at)? & 2 != 0);
    Some((*octets.get(at + 1)?, octets.get(at + 6 + acks..)?))
}

/// Whether a datagram is the report that a handshake message was wrong.
pub fn is_invalid_parameter(octets: &[u8]) -> bool {
    parts(octets) == Some((REPORT, &[1, 0, 0, 0, 0, 0, 2, 0]))
}
