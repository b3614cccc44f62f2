//! The bytes of packets.
//!
//! ```text
//! request    65 6C | versions (4, a nibble each) | ATT_MTU - 3 (2) | window (1)
//! response   65 6C | version (1) | packet length (2) | window (1)
//! others     flags | [acknowledged] | sequence number | [message length (2)] | [segment]
//! ```
//!
//! A client that does not know its ATT_MTU names the smallest one whole, 23, in place of
//! "ATT_MTU - 3".

use super::BtpError;
use crate::bytes::take;

/// The packet has the length of a message, and begins it.
pub(super) const BEGINNING: u8 = 1;
/// The packet continues a message.
pub(super) const CONTINUING: u8 = 1 << 1;
/// The packet ends a message.
pub(super) const ENDING: u8 = 1 << 2;
/// The packet acknowledges another.
pub(super) const ACK: u8 = 1 << 3;
const MANAGEMENT: u8 = 1 << 5;
const HANDSHAKE: u8 = 1 << 6;

/// How both handshake packets begin: the flags, and the only management opcode.
const HANDSHAKE_PREFIX: [u8; 2] = [HANDSHAKE | MANAGEMENT | ENDING | BEGINNING, 0x6C];

/// The request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Two in each byte, the lower nibble first; 0 is none.
    pub(super) versions: [u8; 4],
    pub(super) att_mtu: u16,
    pub(super) window: u8,
}

impl Request {
    pub(super) const LEN: usize = 9;

    pub(super) const fn encode(&self) -> [u8; Self::LEN] {
        let [a, b] = HANDSHAKE_PREFIX;
        let [c, d, e, f] = self.versions;
        let [g, h] = self.att_mtu.to_le_bytes();
        [a, b, c, d, e, f, g, h, self.window]
    }

    pub(super) fn parse(packet: &[u8]) -> Result<Self, BtpError> {
        let [a, b, c, d, e, f, g, h, window] = *packet.first_chunk().ok_or(BtpError::Handshake)?;
        if [a, b] != HANDSHAKE_PREFIX {
            return Err(BtpError::Handshake);
        }
        Ok(Self { versions: [c, d, e, f], att_mtu: u16::from_le_bytes([g, h]), window })
    }

    pub(super) fn offers(&self, version: u8) -> bool {
        self.versions.iter().any(|pair| pair & 0xF == version || pair >> 4 == version)
    }
}

/// The response of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) version: u8,
    /// Maximum length of a packet.
    pub(super) segment: u16,
    pub(super) window: u8,
}

impl Response {
    pub(super) const LEN: usize = 6;

    pub(super) const fn encode(&self) -> [u8; Self::LEN] {
        let [a, b] = HANDSHAKE_PREFIX;
        let [c, d] = self.segment.to_le_bytes();
        [a, b, self.version, c, d, self.window]
    }

    pub(super) fn parse(packet: &[u8]) -> Result<Self, BtpError> {
        let [a, b, version, c, d, window] = *packet.first_chunk().ok_or(BtpError::Handshake)?;
        if [a, b] != HANDSHAKE_PREFIX {
            return Err(BtpError::Handshake);
        }
        Ok(Self { version: version & 0xF, segment: u16::from_le_bytes([c, d]), window })
    }
}

/// A packet after the handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    /// The number of the newest packet that it acknowledges.
    pub(super) ack: Option<u8>,
    pub(super) sequence: u8,
    /// Nothing if it only acknowledges.
    pub(super) segment: Option<Segment<'a>>,
}

/// A part of a message, of at least one byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// The length of the message that it begins.
    pub(super) begins: Option<u16>,
    pub(super) ends: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reserved flags are ignored.
    pub(super) fn parse(packet: &'a [u8]) -> Result<Self, BtpError> {
        let (flags, mut rest) = packet.split_first().ok_or(BtpError::Malformed)?;
        if flags & (HANDSHAKE | MANAGEMENT) != 0 {
            return Err(BtpError::Handshake);
        }
        let mut number = || take::<1>(&mut rest).map(|[number]| *number).ok_or(BtpError::Malformed);
        let ack = if flags & ACK == 0 { None } else { Some(number()?) };
        let sequence = number()?;
        let begins = match flags & (BEGINNING | CONTINUING) {
            BEGINNING => {
                let len = take(&mut rest).ok_or(BtpError::Malformed)?;
                Some(u16::from_le_bytes(*len))
            }
            0 | CONTINUING => None,
            _ => return Err(BtpError::Malformed),
        };
        let segment = if flags & (BEGINNING | CONTINUING | ENDING) == 0 {
            None
        } else {
            Some(Segment { begins, ends: flags & ENDING != 0, payload: rest })
        };
        // What carries a segment has some of it; what carries none acknowledges.
        if segment.is_some() == rest.is_empty() || (segment.is_none() && ack.is_none()) {
            return Err(BtpError::Malformed);
        }
        Ok(Self { ack, sequence, segment })
    }
}
