//! How a node reaches others: over a UDP socket, or over TCP connections.

use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;

use matter_session::manager::PeerAddress;

use super::tcp::{Arrival, Connections};

pub(crate) enum Link {
    Udp(UdpSocket),
    Tcp(Connections),
}

impl Link {
    pub(crate) fn udp(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::Udp(UdpSocket::bind(address)?))
    }

    /// Connections for messages of up to `limit` bytes; accepts those of others at an address.
    pub(crate) fn tcp(listen: Option<SocketAddr>, limit: u32) -> io::Result<Self> {
        let connections = Connections::new(limit);
        if let Some(address) = listen {
            connections.listen(address)?;
        }
        Ok(Self::Tcp(connections))
    }

    /// Returns the address of the socket. Connections have one each.
    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(_) => Err(io::Error::other("connections are not recorded")),
        }
    }

    /// Returns the address of the peer for the manager. Over TCP, connects to it.
    pub(crate) fn reach(&mut self, to: SocketAddr) -> io::Result<PeerAddress> {
        match self {
            Self::Udp(_) => Ok(to.into()),
            Self::Tcp(connections) => connections.connect(to),
        }
    }

    pub(crate) fn send(&mut self, to: PeerAddress, message: &[u8]) -> io::Result<()> {
        match (self, to) {
            (Self::Udp(socket), PeerAddress::Udp(to)) => socket.send_to(message, to).map(|_| ()),
            (Self::Tcp(connections), to) => {
                connections.send(to, message);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Waits for something to arrive, this long at most or without an end.
    pub(crate) fn receive(&mut self, wait: Option<Duration>) -> io::Result<Option<Arrival>> {
        match self {
            Self::Udp(socket) => {
                // A timeout of zero would be none at all.
                let waits = wait != Some(Duration::ZERO);
                socket.set_nonblocking(!waits)?;
                if waits {
                    socket.set_read_timeout(wait)?;
                }
                let mut buffer = vec![0; 0xFFFF];
                match socket.recv_from(&mut buffer) {
                    Ok((len, from)) => {
                        buffer.truncate(len);
                        Ok(Some(Arrival::Message(from.into(), buffer)))
                    }
                    Err(error) if is_passing(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Self::Tcp(connections) => connections.receive(wait),
        }
    }

    /// Closes connections that are not in use any more.
    pub(crate) fn close_unused(&mut self, is_in_use: impl FnMut(PeerAddress) -> bool) {
        if let Self::Tcp(connections) = self {
            connections.close_unused(is_in_use);
        }
    }

    pub(crate) fn close(&mut self, connection: PeerAddress) {
        if let Self::Tcp(connections) = self {
            connections.close(connection);
        }
    }

    /// Joins a multicast group. It carries datagrams only.
    pub(crate) fn join_multicast(&self, group: &Ipv6Addr) -> io::Result<()> {
        match self {
            Self::Udp(socket) if socket.local_addr()?.ip().is_loopback() => {
                Err(io::Error::other("no multicast on loopback"))
            }
            Self::Udp(socket) if socket.local_addr()?.is_ipv6() => {
                socket.join_multicast_v6(group, 0)
            }
            Self::Udp(_) => Err(io::Error::other("a socket of IPv4")),
            Self::Tcp(_) => Err(io::Error::other("no multicast over TCP")),
        }
    }
}

/// Errors of one datagram, not of the socket: a timeout, a peer that has gone.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
    )
}
