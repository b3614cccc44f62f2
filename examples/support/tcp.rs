//! TCP connections that carry messages: one thread accepts them, and one reads each.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use matter_session::manager::PeerAddress;
use matter_session::stream::{GrowingBuffer, StreamDecoder, StreamEncoder, StreamError};

/// What a socket has received.
pub(crate) enum Arrival {
    Message(PeerAddress, Vec<u8>),
    /// A connection is lost.
    Lost(PeerAddress),
    /// The peer has sent over a connection what is no message.
    Broken(PeerAddress, StreamError),
}

/// The connections of a node, by their numbers.
pub(crate) struct Connections {
    open: HashMap<u32, Connection>,
    /// Each connection gets a new number, so that no two are mixed up.
    last: u32,
    news: Receiver<News>,
    teller: Sender<News>,
    limit: u32,
}

struct Connection {
    stream: TcpStream,
    /// Whether a message has come or gone: nobody has used an accepted connection at first.
    has_begun: bool,
}

enum News {
    Accepted(TcpStream),
    Arrived(Arrival),
}

impl Connections {
    /// `limit`: the longest message in bytes that a peer may send.
    pub(crate) fn new(limit: u32) -> Self {
        let (teller, news) = mpsc::channel();
        Self { open: HashMap::new(), last: 0, news, teller, limit }
    }

    /// Accepts connections from now on. Returns the address, with the port that the system chose.
    pub(crate) fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let tells = self.teller.clone();
        thread::spawn(move || {
            let accepted = listener.incoming().flatten();
            accepted.map(News::Accepted).try_for_each(|news| tells.send(news))
        });
        Ok(address)
    }

    /// Connects to a peer.
    pub(crate) fn connect(&mut self, to: SocketAddr) -> io::Result<PeerAddress> {
        self.add(TcpStream::connect(to)?)
    }

    fn add(&mut self, stream: TcpStream) -> io::Result<PeerAddress> {
        stream.set_nodelay(true)?;
        self.last += 1;
        let (connection, tells) = (PeerAddress::Tcp(self.last), self.teller.clone());
        let (decoder, reads) = (StreamDecoder::growing(self.limit), stream.try_clone()?);
        // Peers can open more connections than the system has threads.
        thread::Builder::new().spawn(move || {
            let tell = |arrival| tells.send(News::Arrived(arrival)).is_ok();
            let end = read(decoder, reads, |message| tell(Arrival::Message(connection, message)));
            tell(match end {
                Some(error) => Arrival::Broken(connection, error),
                None => Arrival::Lost(connection),
            });
        })?;
        self.open.insert(self.last, Connection { stream, has_begun: false });
        Ok(connection)
    }

    /// Sends a message behind its length.
    pub(crate) fn send(&mut self, to: PeerAddress, message: &[u8]) {
        let Some(connection) = number(to).and_then(|number| self.open.get_mut(&number)) else {
            return;
        };
        connection.has_begun = true;
        // The manager has kept to the length that the peer declared.
        if let Ok(prefix) = StreamEncoder::new(u32::MAX).prefix(message) {
            // The thread that reads will notice if the connection is lost.
            let _ = connection.stream.write_all(&[&prefix, message].concat());
        }
    }

    /// Waits for something to arrive, this long at most or without an end.
    pub(crate) fn receive(&mut self, wait: Option<Duration>) -> io::Result<Option<Arrival>> {
        // This object holds a sender too, so that the channel has no other error than a timeout.
        let news = match wait {
            Some(wait) => self.news.recv_timeout(wait).ok(),
            None => self.news.recv().ok(),
        };
        match news {
            Some(News::Accepted(stream)) => {
                // An error is one of this connection, which is dropped. The others go on.
                let _ = self.add(stream);
                Ok(None)
            }
            Some(News::Arrived(arrival)) => {
                if let Arrival::Message(from, _) = &arrival
                    && let Some(connection) =
                        number(*from).and_then(|number| self.open.get_mut(&number))
                {
                    connection.has_begun = true;
                }
                Ok(Some(arrival))
            }
            None => Ok(None),
        }
    }

    /// Closes the connections that were in use and are not any more.
    pub(crate) fn close_unused(&mut self, mut is_in_use: impl FnMut(PeerAddress) -> bool) {
        let begun = self.open.iter().filter(|(_, connection)| connection.has_begun);
        let begun: Vec<_> = begun.map(|(number, _)| PeerAddress::Tcp(*number)).collect();
        for connection in begun {
            if !is_in_use(connection) {
                self.close(connection);
            }
        }
    }

    pub(crate) fn close(&mut self, connection: PeerAddress) {
        if let Some(connection) = number(connection).and_then(|number| self.open.remove(&number)) {
            // It may be closed already.
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }
}

const fn number(address: PeerAddress) -> Option<u32> {
    match address {
        PeerAddress::Tcp(number) => Some(number),
        _ => None,
    }
}

/// Reads messages until the connection ends, or cannot be read any further.
fn read(
    mut decoder: StreamDecoder<GrowingBuffer>,
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

#[cfg(all(test, unix))]
mod tests {
    use core::net::Ipv4Addr;
    use std::net::UdpSocket;
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn an_accepted_connection_that_is_of_no_use_ends_no_node() {
        let mut connections = Connections::new(1280);
        // A stream whose options cannot be set.
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let broken = TcpStream::from(OwnedFd::from(socket));
        assert!(broken.set_nodelay(true).is_err());
        connections.teller.send(News::Accepted(broken)).unwrap();
        assert!(matches!(connections.receive(Some(Duration::ZERO)), Ok(None)));
        assert!(connections.open.is_empty());

        let at = connections.listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let _peer = TcpStream::connect(at).unwrap();
        assert!(matches!(connections.receive(None), Ok(None)));
        assert_eq!(connections.open.len(), 1);
    }
}
