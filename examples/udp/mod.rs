//! A UDP socket for many datagrams: one system call reads all that have arrived, and one sends
//! all those of equal length to one peer.
//!
//! Shared by an example and a bench; not an example itself. `quinn-udp` makes the calls:
//! `recvmmsg`, GSO and GRO on Linux, and what there is on other systems. An async runtime needs the
//! same three types; it awaits the socket where these programs use `mio`.

use core::array;
use core::iter;
use core::net::SocketAddr;
use std::io::{self, ErrorKind, IoSliceMut};

use mio::{Interest, Poll, Token};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};

/// The longest datagram that is read whole. A longer one is cut, and then is not authentic.
const LONGEST: usize = 1280;
/// Bytes of unread datagrams that the system is asked to keep. It may keep fewer.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A socket that never blocks.
pub(crate) struct Socket {
    io: mio::net::UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    /// Binds a socket. `poll` reports under `token` when there is something to read. It does so
    /// once: call [`read`](Self::read) until it returns false before you wait again.
    pub(crate) fn bind(address: SocketAddr, poll: &Poll, token: Token) -> io::Result<Self> {
        let mut io = mio::net::UdpSocket::bind(address)?;
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        state.set_recv_buffer_size(UdpSockRef::from(&io), RECEIVE_BUFFER)?;
        poll.registry().register(&mut io, token, Interest::READABLE)?;
        Ok(Self { io, state })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Reads what has arrived, as much as one call can. Returns false if there is nothing more.
    pub(crate) fn read(&self, inbox: &mut Inbox) -> io::Result<bool> {
        inbox.len = 0;
        let mut buffers = inbox.memory.chunks_exact_mut(inbox.size);
        let mut buffers: [_; BATCH_SIZE] =
            array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        let io = UdpSockRef::from(&self.io);
        match self.state.recv(io, &mut buffers, &mut inbox.read) {
            Ok(len) => inbox.len = len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            // Some systems report here that a datagram which was sent did not arrive.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Sends a datagram, or several of this length.
    fn send(&self, destination: SocketAddr, contents: &[u8], length: usize) -> io::Result<()> {
        let segment_size = (contents.len() > length).then_some(length);
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        self.state.try_send(UdpSockRef::from(&self.io), &transmit)
    }
}

/// The buffers that datagrams are read into. They are used again for each call.
pub(crate) struct Inbox {
    memory: Vec<u8>,
    /// The size of one buffer: a peer's datagrams of equal length can share it (GRO).
    size: usize,
    read: [RecvMeta; BATCH_SIZE],
    len: usize,
}

impl Inbox {
    pub(crate) fn new(socket: &Socket) -> Self {
        let size = LONGEST.saturating_mul(socket.state.gro_segments()).min(usize::from(u16::MAX));
        let memory = vec![0; size.saturating_mul(BATCH_SIZE)];
        Self { memory, size, read: [RecvMeta::default(); BATCH_SIZE], len: 0 }
    }

    /// Returns the datagrams that the last call has read, and who sent them.
    pub(crate) fn datagrams(&mut self) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        let buffers = self.memory.chunks_exact_mut(self.size);
        buffers.zip(self.read.iter().take(self.len)).flat_map(|(buffer, read)| {
            let bytes = buffer.get_mut(..read.len).unwrap_or_default();
            iter::repeat(read.addr).zip(bytes.chunks_mut(read.stride.max(1)))
        })
    }
}

/// Datagrams that are ready to be sent. Those of one length to one peer will share a call (GSO).
pub(crate) struct Outbox {
    /// Used from the front on.
    shares: [Share; 8],
    count: usize,
}

/// The datagrams of one call. A share is free while it is empty.
struct Share {
    to: SocketAddr,
    length: usize,
    bytes: Vec<u8>,
}

impl Outbox {
    /// Maximum number of datagrams that wait here. A datagram can overtake earlier ones of another
    /// length, but no more than these. Receivers allow for that: a replay window has at least 32
    /// places.
    const MOST: usize = 32;

    pub(crate) fn new() -> Self {
        let to = SocketAddr::from(([0; 4], 0));
        let shares = array::from_fn(|_| Share { to, length: 0, bytes: Vec::new() });
        Self { shares, count: 0 }
    }

    /// Adds a datagram. Sends the earlier ones first if there is no room.
    pub(crate) fn push(&mut self, socket: &Socket, to: SocketAddr, datagram: &[u8]) {
        let most = datagram.len().saturating_mul(socket.state.max_gso_segments());
        let has_room = |share: &Share| {
            let same = (share.to, share.length) == (to, datagram.len());
            share.bytes.is_empty() || same && share.bytes.len() < most
        };
        if self.count == Self::MOST || !self.shares.iter().any(has_room) {
            self.flush(socket);
        }
        if let Some(share) = self.shares.iter_mut().find(|share| has_room(share)) {
            (share.to, share.length) = (to, datagram.len());
            share.bytes.extend_from_slice(datagram);
            self.count = self.count.saturating_add(1);
        }
    }

    /// Sends all. A datagram that the socket refuses counts as lost: Matter retransmits it.
    pub(crate) fn flush(&mut self, socket: &Socket) {
        for share in self.shares.iter_mut().take_while(|share| !share.bytes.is_empty()) {
            let several = share.bytes.len() > share.length;
            let sent = socket.send(share.to, &share.bytes, share.length);
            // `quinn-udp` sets the maximum to 1 if the network cannot divide what it is given.
            if sent.is_err() && several && socket.state.max_gso_segments() == 1 {
                for datagram in share.bytes.chunks(share.length) {
                    let _ = socket.send(share.to, datagram, datagram.len());
                }
            }
            share.bytes.clear();
        }
        self.count = 0;
    }
}
