//! How a node reaches others: over a UDP socket whose network loses datagrams, or over TCP
//! connections.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;

use matter_session::manager::{PeerAddress, Transmit};
use matter_session::stream::{StreamDecoder, StreamEncoder, StreamError};

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

/// What arrives.
pub(crate) enum Arrival {
    Message(PeerAddress, Vec<u8>),
    /// A connection is lost.
    Lost(PeerAddress),
    /// What came over a connection makes no sense.
    Broken(PeerAddress, StreamError),
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
            self.socket.send_to(transmit.datagram, to)?;
        }
        Ok(())
    }

    fn receive(&mut self, wait: Duration) -> Outcome<Option<Arrival>> {
        self.socket.set_read_timeout(Some(wait))?;
        let mut buffer = [0; 1280];
        match self.socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                let datagram = buffer.get(..len).unwrap_or_default();
                Ok(Some(Arrival::Message(from.into(), datagram.to_vec())))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn close(&mut self, _: PeerAddress) {}
}

/// TCP connections: one thread accepts them, and one each reads.
pub(crate) struct Tcp<'w> {
    listens_at: SocketAddr,
    connections: HashMap<u32, TcpStream>,
    /// Connections are numbered in turn, so that no two are mixed up.
    last: u32,
    news: Receiver<News>,
    teller: Sender<News>,
    limit: u32,
    wire: &'w Wire,
    direction: Direction,
}

enum News {
    Accepted(TcpStream),
    Arrived(Arrival),
}

impl<'w> Tcp<'w> {
    /// `limit`: the longest message in octets that a peer may send.
    pub(crate) fn bind(direction: Direction, wire: &'w Wire, limit: u32) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let listens_at = listener.local_addr()?;
        let (teller, news) = mpsc::channel();
        let tells = teller.clone();
        thread::spawn(move || {
            let accepted = listener.incoming().flatten();
            accepted.map(News::Accepted).try_for_each(|news| tells.send(news))
        });
        let (connections, last) = (HashMap::new(), 0);
        Ok(Self { listens_at, connections, last, news, teller, limit, wire, direction })
    }

    fn add(&mut self, stream: TcpStream) -> Outcome<PeerAddress> {
        stream.set_nodelay(true)?;
        self.last += 1;
        let (connection, tells) = (PeerAddress::Tcp(self.last), self.teller.clone());
        let (decoder, reads) = (StreamDecoder::growing(self.limit), stream.try_clone()?);
        thread::spawn(move || {
            let tell = |arrival| tells.send(News::Arrived(arrival)).is_ok();
            let end = read(decoder, reads, |message| tell(Arrival::Message(connection, message)));
            tell(match end {
                Some(error) => Arrival::Broken(connection, error),
                None => Arrival::Lost(connection),
            });
        });
        self.connections.insert(self.last, stream);
        Ok(connection)
    }
}

/// Reads messages until the connection ends, or cannot be read any further.
fn read(
    mut decoder: StreamDecoder<matter_session::stream::GrowingBuffer>,
    mut stream: TcpStream,
    tell: impl Fn(Vec<u8>) -> bool,
) -> Option<StreamError> {
    while let Ok(len @ 1..) = stream.read(decoder.space()) {
        decoder.advance(len);
        loop {
            match decoder.poll_message() {
                Ok(Some(message)) if tell(message.to_vec()) => {}
                Ok(Some(_)) => return None,
                Ok(None) => break,
                Err(error) => return Some(error),
            }
        }
    }
    None
}

impl Link for Tcp<'_> {
    fn address(&self) -> Outcome<SocketAddr> {
        Ok(self.listens_at)
    }

    fn reach(&mut self, to: SocketAddr) -> Outcome<PeerAddress> {
        self.add(TcpStream::connect(to)?)
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> Outcome {
        let PeerAddress::Tcp(connection) = transmit.to else { return Ok(()) };
        let Some(stream) = self.connections.get_mut(&connection) else { return Ok(()) };
        self.wire.carry(self.direction, transmit.datagram);
        // The manager goes by what the peer has declared.
        let prefix = StreamEncoder::new(u32::MAX).prefix(transmit.datagram)?;
        // Whoever reads will find it out if the connection is lost.
        let _ = stream.write_all(&[&prefix, transmit.datagram].concat());
        Ok(())
    }

    fn receive(&mut self, wait: Duration) -> Outcome<Option<Arrival>> {
        match self.news.recv_timeout(wait) {
            Ok(News::Arrived(arrival)) => Ok(Some(arrival)),
            Ok(News::Accepted(stream)) => self.add(stream).map(|_| None),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn close(&mut self, connection: PeerAddress) {
        if let PeerAddress::Tcp(connection) = connection
            && let Some(stream) = self.connections.remove(&connection)
        {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
