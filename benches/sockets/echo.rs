//! Plain datagrams that come back: the least that any protocol over these sockets costs.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;
use std::time::Instant as Clock;

use matter_session_testing::program::Result;
use mio::{Events, Poll, Token};

use crate::drive::Load;
use crate::process::ready;
use crate::udp::{Inbox, Outbox, Socket};

/// After so long what has not come back is lost.
const PATIENCE: Duration = Duration::from_millis(100);

/// Echoes with one system call for each datagram that is read, and one for each that is sent.
pub(crate) fn serve_by_one() -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    ready(socket.local_addr()?);
    let mut buffer = [0; 1280];
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..len], from)?;
    }
}

/// Echoes with the calls that a node makes.
pub(crate) fn serve() -> Result<()> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1));
    let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), &poll, Token(0))?;
    ready(socket.local_addr()?);
    let (mut inbox, mut outbox) = (Inbox::new(&socket), Outbox::new());
    loop {
        if !socket.read(&mut inbox)? {
            poll.poll(&mut events, None)?;
        }
        for (from, datagram) in inbox.datagrams() {
            outbox.push(&socket, from, datagram);
        }
        outbox.flush(&socket);
    }
}

/// Keeps so many datagrams of one length on the way.
pub(crate) struct EchoLoad {
    server: SocketAddr,
    most: usize,
    datagram: Vec<u8>,
    outbox: Outbox,
    running: bool,
    out: usize,
    answered: u64,
    last: Clock,
}

impl EchoLoad {
    pub(crate) fn new(server: SocketAddr, most: usize, len: usize) -> Self {
        Self {
            server,
            most,
            datagram: vec![0x5A; len],
            outbox: Outbox::new(),
            running: false,
            out: 0,
            answered: 0,
            last: Clock::now(),
        }
    }

    fn waited(&self) -> Duration {
        PATIENCE.saturating_sub(self.last.elapsed())
    }
}

impl Load for EchoLoad {
    fn connect(&mut self) -> Result<()> {
        Ok(())
    }

    fn set_running(&mut self, running: bool) {
        self.running = running;
    }

    fn handle<'b>(&mut self, read: impl Iterator<Item = (SocketAddr, &'b mut [u8])>) -> usize {
        let count = read.count();
        self.out = self.out.saturating_sub(count);
        self.answered += count as u64;
        self.last = Clock::now();
        count
    }

    fn turn(&mut self, socket: &Socket) -> Result<usize> {
        if self.waited().is_zero() {
            self.out = 0;
            self.last = Clock::now();
        }
        let mut sent = 0;
        while self.running && self.out < self.most {
            self.outbox.push(socket, self.server, &self.datagram);
            self.out += 1;
            sent += 1;
        }
        self.outbox.flush(socket);
        Ok(sent)
    }

    fn patience(&self) -> Duration {
        self.waited()
    }

    fn answered(&self) -> u64 {
        self.answered
    }

    fn is_settled(&self) -> bool {
        self.out == 0
    }
}
