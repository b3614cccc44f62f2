//! `--pcap FILE`: what this node sends and receives, as raw IP packets for `matter-trace` and
//! Wireshark. It needs no rights, as it records what passes the socket.

use core::net::{IpAddr, SocketAddr};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::UdpSocket;
use std::time::{SystemTime, UNIX_EPOCH};

/// What stands for "raw IP" in a pcap.
const RAW_IP: u32 = 101;
const LONGEST: u32 = 0x4_0000;
const UDP: u8 = 17;
const HOPS: u8 = 64;

/// A pcap file that is being written.
#[derive(Debug)]
pub(crate) struct Capture {
    file: BufWriter<File>,
    own: SocketAddr,
}

impl Capture {
    /// Makes the file. `own` is the address of the socket, whose IP address may be unspecified.
    pub(crate) fn create(path: &str, own: SocketAddr) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        // Version 2.4, times in microseconds.
        for word in [0xA1B2_C3D4, 0x0004_0002, 0, 0, LONGEST, RAW_IP] {
            file.write_all(&u32::to_le_bytes(word))?;
        }
        file.flush()?;
        Ok(Self { file, own })
    }

    pub(crate) fn sent(&mut self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.record(self.address_towards(to), to, datagram)
    }

    pub(crate) fn received(&mut self, from: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.record(from, self.address_towards(from), datagram)
    }

    /// The own address in datagrams to and from a peer. A socket that is bound to the unspecified
    /// address has another one for each route, so a second socket is connected to the peer, which
    /// sends nothing. If there is no route, the address stays unspecified.
    fn address_towards(&self, peer: SocketAddr) -> SocketAddr {
        if !self.own.ip().is_unspecified() {
            return self.own;
        }
        let routed = UdpSocket::bind((self.own.ip(), 0)).and_then(|socket| {
            socket.connect(peer)?;
            socket.local_addr()
        });
        let ip = routed.map_or(self.own.ip(), |address| address.ip());
        SocketAddr::new(ip, self.own.port())
    }

    /// One packet. It is written through, so that nothing is missing if the program is stopped.
    fn record(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let packet = packet(from, to, datagram)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let len = length::<u32>(packet.len())?;
        for word in [seconds, now.subsec_micros(), len, len] {
            self.file.write_all(&word.to_le_bytes())?;
        }
        self.file.write_all(&packet)?;
        self.file.flush()
    }
}

/// An IP packet with a UDP datagram, without checksums where they may be left out.
fn packet(from: SocketAddr, to: SocketAddr, datagram: &[u8]) -> io::Result<Vec<u8>> {
    let udp_len = length::<u16>(datagram.len() + 8)?;
    let mut packet = Vec::with_capacity(datagram.len() + 48);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let len = length::<u16>(datagram.len() + 28)?;
            packet.extend([0x45, 0]);
            packet.extend(len.to_be_bytes());
            packet.extend([0, 0, 0, 0, HOPS, UDP, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
        }
        (from, to) => {
            let bytes = |address| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(udp_len.to_be_bytes());
            packet.extend([UDP, HOPS]);
            packet.extend(bytes(from));
            packet.extend(bytes(to));
        }
    }
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend(udp_len.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(datagram);
    Ok(packet)
}

fn length<N: TryFrom<usize>>(len: usize) -> io::Result<N> {
    N::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}
