//! Writes a pcapng with the opened messages of sessions in clear, for other tools.

use std::borrow::Cow;
use std::net::SocketAddr;

use etherparse::PacketBuilder;
use matter_session::wire::Packet;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;
use pcap_file::{DataLink, PcapError};

use crate::trace::{Message, Trace};

/// Length of an integrity code.
const MIC: usize = 16;

/// Writes all messages as raw IP packets. Each has its description as a comment. A message of a
/// session that was opened stands there decrypted, with the session id 0 and without the integrity
/// code: so a dissector of Matter takes it for an unsecured one and shows its inside. A message to a
/// group stays encrypted, as an unsecured one cannot be for a group; if it was opened, the comment
/// names what it is.
///
/// # Errors
/// [`PcapError`].
pub fn pcapng(trace: &Trace) -> Result<Vec<u8>, PcapError> {
    let mut writer = PcapNgWriter::new(Vec::new())?;
    writer.write_pcapng_block(InterfaceDescriptionBlock::new(DataLink::RAW, 0))?;
    for message in &trace.messages {
        let Some(data) = packet(message.from, message.to, &clear(message)) else { continue };
        let mut comment = message.description().to_string();
        if message.session.is_some() {
            comment.insert_str(0, "decrypted: ");
        }
        let mut block = EnhancedPacketBlock::default();
        block.timestamp = message.at;
        block.original_len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        block.data = Cow::Owned(data);
        block.options = vec![EnhancedPacketOption::Comment(Cow::Owned(comment.trim_end().into()))];
        writer.write_pcapng_block(block)?;
    }
    Ok(writer.into_inner())
}

/// The message with its inside in clear, if it is one of a session and was opened.
fn clear(message: &Message) -> Vec<u8> {
    let mut bytes = message.bytes.clone();
    if message.session.is_none() {
        return bytes;
    }
    let mut copy = bytes.clone();
    let Ok(header) = Packet::parse(&mut copy).map(|packet| packet.header_len()) else {
        return bytes;
    };
    // Protocol header and payload are as long in clear; the protocol header was in front of what
    // is left of them.
    let text = header..bytes.len().saturating_sub(MIC);
    let Some(inner) = message.inner else { return bytes };
    let protocol = encode(&inner);
    if protocol.len() + message.payload.len() != text.len() {
        // It has extensions, which are not kept.
        return message.bytes.clone();
    }
    bytes.truncate(header);
    bytes.extend(protocol);
    bytes.extend(&message.payload);
    if let Some(id) = bytes.get_mut(1..3) {
        id.fill(0);
    }
    bytes
}

/// A protocol header as it is sent.
fn encode(header: &matter_session::wire::ProtocolHeader) -> Vec<u8> {
    let vendor = header.protocol.vendor.get();
    let flags = u8::from(header.initiator)
        | u8::from(header.ack.is_some()) << 1
        | u8::from(header.needs_ack) << 2
        | u8::from(vendor != 0) << 4;
    let mut bytes = vec![flags, header.opcode];
    bytes.extend(header.exchange.get().to_le_bytes());
    if vendor != 0 {
        bytes.extend(vendor.to_le_bytes());
    }
    bytes.extend(header.protocol.id.to_le_bytes());
    if let Some(ack) = header.ack {
        bytes.extend(ack.get().to_le_bytes());
    }
    bytes
}

/// An IP packet with a UDP datagram. `None` if the ends have different versions of IP, or the
/// datagram is too long.
#[must_use]
pub fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    const HOPS: u8 = 64;
    let builder = match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), HOPS)
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            PacketBuilder::ipv6(from.ip().octets(), to.ip().octets(), HOPS)
        }
        _ => return None,
    };
    let mut packet = Vec::new();
    builder.udp(from.port(), to.port()).write(&mut packet, payload).ok()?;
    Some(packet)
}
