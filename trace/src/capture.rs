//! Captures: pcap and pcapng, down to the UDP datagrams in them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::{Block, PcapNgParser};
use pcap_file::{DataLink, PcapError};
use thiserror::Error;

/// A UDP datagram of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// When it was captured, since 1970.
    pub at: Duration,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Its payload.
    pub bytes: Vec<u8>,
}

/// A file is no capture that can be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// It begins like neither format.
    #[error("neither pcap nor pcapng")]
    Format,
    /// It is damaged, or ends within a packet.
    #[error("the capture is damaged or cut off: {0}")]
    Damaged(#[from] PcapError),
    /// Its packets have a link layer that is not supported.
    #[error("link layer {0} is not supported: capture Ethernet, Linux cooked mode or raw IP")]
    Link(u32),
}

/// The first bytes of a pcapng file.
const SECTION_HEADER: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];

/// Reads the UDP datagrams of a capture, in the order of the file. Other packets, fragments and
/// packets that were cut short are skipped.
///
/// # Errors
/// [`CaptureError`].
pub fn read(file: &[u8]) -> Result<Vec<Datagram>, CaptureError> {
    if file.starts_with(&SECTION_HEADER) { read_pcapng(file) } else { read_pcap(file) }
}

fn read_pcap(file: &[u8]) -> Result<Vec<Datagram>, CaptureError> {
    const MAGIC: [[u8; 4]; 4] = [
        [0xA1, 0xB2, 0xC3, 0xD4],
        [0xD4, 0xC3, 0xB2, 0xA1],
        [0xA1, 0xB2, 0x3C, 0x4D],
        [0x4D, 0x3C, 0xB2, 0xA1],
    ];
    if !MAGIC.iter().any(|magic| file.starts_with(magic)) {
        return Err(CaptureError::Format);
    }
    let (mut rest, parser) = PcapParser::new(file)?;
    // The upper bits say how long the check sequence of a frame is.
    let link = Link::of(u32::from(parser.header().datalink) & 0x0FFF_FFFF)?;
    let mut datagrams = Vec::new();
    while !rest.is_empty() {
        let (next, packet) = parser.next_packet(rest)?;
        datagrams.extend(link.datagram(packet.timestamp, &packet.data));
        rest = next;
    }
    Ok(datagrams)
}

fn read_pcapng(file: &[u8]) -> Result<Vec<Datagram>, CaptureError> {
    let (mut rest, mut parser) = PcapNgParser::new(file)?;
    let mut datagrams = Vec::new();
    while !rest.is_empty() {
        let (next, block) = parser.next_block(rest)?;
        if let Block::EnhancedPacket(packet) = block {
            let interface = parser.packet_interface(&packet);
            let link =
                interface.ok_or(PcapError::InvalidInterfaceId(packet.interface_id))?.linktype;
            let link = Link::of(u32::from(link))?;
            datagrams.extend(link.datagram(packet.timestamp, &packet.data));
        }
        rest = next;
    }
    Ok(datagrams)
}

/// What stands in front of the IP header.
#[derive(Clone, Copy)]
enum Link {
    Ethernet,
    /// Linux cooked mode, versions 1 and 2.
    Cooked,
    Cooked2,
    /// Four bytes that say which version of IP follows.
    Loopback,
    Ip,
}

impl Link {
    fn of(link: u32) -> Result<Self, CaptureError> {
        const COOKED2: u32 = 276;
        Ok(match DataLink::from(link) {
            DataLink::ETHERNET => Self::Ethernet,
            DataLink::LINUX_SLL => Self::Cooked,
            DataLink::NULL | DataLink::LOOP => Self::Loopback,
            DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => Self::Ip,
            // What some systems call raw IP.
            _ if matches!(link, 12 | 14) => Self::Ip,
            _ if link == COOKED2 => Self::Cooked2,
            _ => return Err(CaptureError::Link(link)),
        })
    }

    fn datagram(self, at: Duration, frame: &[u8]) -> Option<Datagram> {
        let packet = match self {
            Self::Ethernet => SlicedPacket::from_ethernet(frame),
            Self::Cooked => SlicedPacket::from_ip(frame.get(16..)?),
            Self::Cooked2 => SlicedPacket::from_ip(frame.get(20..)?),
            Self::Loopback => SlicedPacket::from_ip(frame.get(4..)?),
            Self::Ip => SlicedPacket::from_ip(frame),
        }
        .ok()?;
        let (from, to) = match packet.net? {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                (IpAddr::from(header.source_addr()), IpAddr::from(header.destination_addr()))
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                (IpAddr::from(header.source_addr()), IpAddr::from(header.destination_addr()))
            }
            _ => return None,
        };
        let Some(TransportSlice::Udp(udp)) = packet.transport else { return None };
        Some(Datagram {
            at,
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            bytes: udp.payload().to_vec(),
        })
    }
}
