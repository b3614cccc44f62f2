//! How a node reaches others: over a UDP socket whose network loses datagrams, or over TCP
//! connections.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;

use matter_session::manager::{PeerAddress, Transmit};

use super::tcp::{Arrival, Connections};
use super::{Direction, Outcome, Wire};

/// What the loop of a node needs of a transport.
pub(crate) trait Link: Send {
    /// Where others reach this node.
    fn address(&self) -> Outcome<SocketAddr>;

    /// What the node at an address is to be called; connects to it if that is needed.
    fn reach(&mut self, to: SocketAddr) -> Outcome<PeerAddress>;

    fn send(&mut self, transmit: &Transmit<'_>) -> Outcome;

    /// Waits so long at most.
    fn receive(&mut self, wait: Duration) -> Outcome<Option<Arrival>>;

    /// Ends a connection.
    fn close(&mut self, connection: PeerAddress);
}

pub(crate) struct Udp<'w> {
    socket: UdpSocket,
    wire: &'w Wire,
    direction: Direction,
}

impl<'w> Udp<'w> {
    pub(crate) fn bind(direction: Direction, wire: &'w Wire) -> Outcome<Self> {
        Ok(Self { socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, wire, direction })
    }
}

impl Link for Udp<'_> {
    fn address(&self) -> Outcome<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    fn reach(&mut self, to: SocketAddr) -> Outcome<PeerAddress> {
        Ok(to.into())
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> Outcome {
        let arrives = self.wire.carry(self.direction, transmit.datagram);
        if let PeerAddress::Udp(to) = transmit.to
            && arrives
        {
            // A datagram that the socket refuses counts as lost: it is retransmitted.
            let _ = self.socket.send_to(transmit.datagram, to);
        }
        Ok(())
    }

    fn receive(&mut self, wait: Duration) -> Outcome<Option<Arrival>> {
        self.socket.set_read_timeout(Some(wait))?;
        let mut buffer = [0; 1280];
        // An error is a timeout, or is caused by a peer: on some systems by a long datagram.
        let Ok((len, from)) = self.socket.recv_from(&mut buffer) else { return Ok(None) };
        let datagram = buffer.get(..len).unwrap_or_default();
        Ok(Some(Arrival::Message(from.into(), datagram.to_vec())))
    }

    fn close(&mut self, _: PeerAddress) {}
}

pub(crate) struct Tcp<'w> {
    listens_at: SocketAddr,
    connections: Connections,
    wire: &'w Wire,
    direction: Direction,
}

impl<'w> Tcp<'w> {
    /// `limit`: the longest message in bytes that a peer may send.
    pub(crate) fn bind(direction: Direction, wire: &'w Wire, limit: u32) -> Outcome<Self> {
        let connections = Connections::new(limit);
        let listens_at = connections.listen((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { listens_at, connections, wire, direction })
    }
}

impl Link for Tcp<'_> {
    fn address(&self) -> Outcome<SocketAddr> {
        Ok(self.listens_at)
    }

    fn reach(&mut self, to: SocketAddr) -> Outcome<PeerAddress> {
        Ok(self.connections.connect(to)?)
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> Outcome {
        self.wire.carry(self.direction, transmit.datagram);
        self.connections.send(transmit.to, transmit.datagram);
        Ok(())
    }

    fn receive(&mut self, wait: Duration) -> Outcome<Option<Arrival>> {
        Ok(self.connections.receive(Some(wait))?)
    }

    fn close(&mut self, connection: PeerAddress) {
        self.connections.close(connection);
    }
}
