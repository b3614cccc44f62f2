//! The protocol header: exchange, protocol, opcode, acknowledgement.
//!
//! ```text
//! 0      exchange flags   reserved (7..5) | V | SX | R | A | I
//! 1      opcode
//! 2..4   exchange id      u16
//!        vendor id        u16                  if V
//!        protocol id      u16
//!        acked counter    u32                  if A
//!        extensions       u16 length, bytes   if SX
//! ```

use super::{Octets, WireError};
use crate::ids::{ExchangeId, MessageCounter, ProtocolId, VendorId};

/// The shortest protocol header in bytes.
pub const MIN_PROTOCOL_HEADER: usize = 6;
/// The longest protocol header without extensions, which are never sent, in bytes.
pub const MAX_PROTOCOL_HEADER: usize = 12;

/// A protocol header. [Core, "Protocol Header Field Descriptions"]
///
/// Extensions are skipped on receipt and never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolHeader {
    /// The exchange.
    pub exchange: ExchangeId,
    /// The protocol that defines the opcode.
    pub protocol: ProtocolId,
    /// The message type within the protocol.
    pub opcode: u8,
    /// The sender began the exchange.
    pub initiator: bool,
    /// The sender wants an acknowledgement.
    pub needs_ack: bool,
    /// The counter of the message that this one acknowledges.
    pub ack: Option<MessageCounter>,
}

impl ProtocolHeader {
    /// Reads a header; also returns where in `bytes` the application payload begins.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        let mut rest = Octets(bytes);
        let [flags, opcode, e0, e1] = rest.array()?;
        let vendor = if flags & VENDOR != 0 { rest.u16()? } else { 0 };
        let protocol = ProtocolId::vendor(VendorId::new(vendor), rest.u16()?);
        let ack = if flags & ACK != 0 { Some(MessageCounter::new(rest.u32()?)) } else { None };
        if flags & EXTENSIONS != 0 {
            rest.skip_extension()?;
        }
        let header = Self {
            exchange: ExchangeId::new(u16::from_le_bytes([e0, e1])),
            protocol,
            opcode,
            initiator: flags & INITIATOR != 0,
            needs_ack: flags & RELIABLE != 0,
            ack,
        };
        Ok((header, bytes.len().saturating_sub(rest.0.len())))
    }

    /// Returns the length in bytes when sent.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        let vendor = if self.protocol.vendor.get() != 0 { 2 } else { 0 };
        let ack = if self.ack.is_some() { 4 } else { 0 };
        MIN_PROTOCOL_HEADER.saturating_add(vendor).saturating_add(ack)
    }
}

pub(super) const INITIATOR: u8 = 0x01;
pub(super) const ACK: u8 = 0x02;
pub(super) const RELIABLE: u8 = 0x04;
const EXTENSIONS: u8 = 0x08;
pub(super) const VENDOR: u8 = 0x10;
