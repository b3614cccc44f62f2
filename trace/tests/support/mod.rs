//! A virtual network that is recorded: captures and key logs in memory.
#![allow(dead_code, reason = "each test uses its part")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use etherparse::PacketBuilder;
use matter_session::context::Services;
use matter_session::keylog::{KeyLog, KeyLogEntry};
use matter_session::manager::{Config, PeerAddress};
use matter_session_testing::net::{Authority, Datagram, Net, Node, udp};
use matter_trace::trace::MATTER_PORT;
use matter_trace::{Keys, Trace, capture, verdict};
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};

/// The first node of a pair, and the second.
pub const A: &str = "127.0.0.1:5540";
pub const B: &str = "127.0.0.1:5541";
/// The beginning of 2026, since 2000.
pub const TODAY: u32 = 820_540_800;
/// 2000-01-01, since 1970.
pub const YEAR_2000: u64 = 946_684_800;

/// The lines of the key log of one node.
#[derive(Default)]
pub struct Lines(RefCell<Vec<String>>);

impl Lines {
    pub fn text(&self) -> String {
        self.0.borrow().join("\n")
    }
}

impl KeyLog for Lines {
    fn log(&self, entry: &KeyLogEntry) {
        self.0.borrow_mut().push(entry.line().to_string());
    }
}

/// Has a node log its keys.
pub fn log(node: &mut Node) -> &'static Lines {
    let lines: &'static Lines = Box::leak(Box::default());
    node.equip = Some(Box::new(|services: Services<'_>| services.with_hazmat_key_log(lines)));
    lines
}

/// Two nodes of one fabric, with the node ids 100 and 200, at the ports 5540 and 5541. They know
/// the date.
pub fn members(configs: [Config; 2]) -> Net {
    let mut net = Net::with([5540, 5541].map(udp).into_iter().zip(configs).collect());
    let mut authority = Authority::new(1, true);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    know_the_date(&mut net);
    net
}

pub fn pair() -> Net {
    members([Config::default(), Config::default()])
}

pub fn know_the_date(net: &mut Net) {
    for node in &mut net.nodes {
        node.epoch = Some(TODAY);
        node.answers = true;
    }
}

/// A node that starts anew at the place of another one, with its fabrics and keys. `life`: which
/// numbers it draws.
pub fn restart(net: &mut Net, n: usize, config: Config, life: usize) {
    let address = net.nodes[n].address;
    let others = (0..life).map(|_| (udp(9), Config::default()));
    let fresh = Net::with(others.chain([(address, config)]).collect()).nodes.remove(life);
    let former = std::mem::replace(&mut net.nodes[n], fresh);
    let node = &mut net.nodes[n];
    let mut stored = [0; matter_session::Fabric::ENCODED_MAX_LEN];
    for fabric in former.manager.fabrics().iter() {
        let len = fabric.encode(&mut stored).unwrap();
        node.manager.fabrics_mut().restore(&stored[..len]).unwrap();
    }
    (node.keys, node.epoch, node.answers) = (former.keys, former.epoch, former.answers);
}

fn socket(address: PeerAddress) -> SocketAddr {
    let PeerAddress::Udp(address) = address else { panic!("{address} is no socket") };
    address
}

/// All that was sent, as somebody captures it who is near the senders.
pub fn record(net: &Net) -> Vec<u8> {
    pcap(&net.sent)
}

/// A pcap of Ethernet frames.
pub fn pcap(datagrams: &[Datagram]) -> Vec<u8> {
    pcap_by(Duration::from_secs(YEAR_2000 + u64::from(TODAY)), datagrams)
}

/// A pcap of Ethernet frames, by a clock that shows `start` when the network begins.
pub fn pcap_by(start: Duration, datagrams: &[Datagram]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    for datagram in datagrams {
        let mut frame = Vec::new();
        builder(datagram).write(&mut frame, &datagram.octets).unwrap();
        let len = u32::try_from(frame.len()).unwrap();
        let at = start + Duration::from_millis(datagram.at);
        writer.write_packet(&PcapPacket::new(at, len, &frame)).unwrap();
    }
    writer.into_writer()
}

/// A pcap of frames with another link layer: what stands in front of the IP header is given.
pub fn pcap_over(link: DataLink, front: &[u8], datagrams: &[Datagram]) -> Vec<u8> {
    let header = PcapHeader { datalink: link, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
    for datagram in datagrams {
        let mut frame = front.to_vec();
        let (from, to) = (socket(datagram.from), socket(datagram.to));
        frame.extend(matter_trace::export::packet(from, to, &datagram.octets).unwrap());
        let len = u32::try_from(frame.len()).unwrap();
        writer.write_packet(&PcapPacket::new(time(datagram), len, &frame)).unwrap();
    }
    writer.into_writer()
}

pub fn time(datagram: &Datagram) -> Duration {
    Duration::from_secs(YEAR_2000 + u64::from(TODAY)) + Duration::from_millis(datagram.at)
}

fn builder(datagram: &Datagram) -> etherparse::PacketBuilderStep<etherparse::UdpHeader> {
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (socket(datagram.from), socket(datagram.to))
    else {
        panic!("the network is one of IPv4")
    };
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4(from.ip().octets(), to.ip().octets(), 64)
        .udp(from.port(), to.port())
}

pub fn trace(file: &[u8], logs: &[&Lines]) -> Trace {
    let mut keys = Keys::default();
    for log in logs {
        keys.add(&log.text()).unwrap();
    }
    Trace::new(capture::read(file).unwrap(), &[MATTER_PORT, MATTER_PORT + 1], keys)
}

/// What is said of a capture.
pub fn explain(file: &[u8], logs: &[&Lines]) -> Vec<String> {
    verdict::explain(&trace(file, logs))
}
