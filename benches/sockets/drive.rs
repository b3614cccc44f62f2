//! Makes load through one or more sockets, and measures what it costs both processes.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::ErrorKind;
use std::time::Instant as Clock;

use matter_session_testing::program::Result;
use mio::{Events, Poll, Token};

use crate::process::cpu_time;
use crate::udp::{Inbox, Socket};

/// How long a round waits for its last answers, and a connection for its session.
const PATIENCE: Duration = Duration::from_secs(20);

/// What goes through one socket.
pub(crate) trait Load {
    /// Begins what is needed before requests. Until it is settled, nothing is measured.
    fn connect(&mut self) -> Result<()>;
    /// Whether new requests are made.
    fn set_running(&mut self, running: bool);
    /// Handles what was read. Returns how many datagrams there were.
    fn handle<'b>(&mut self, read: impl Iterator<Item = (SocketAddr, &'b mut [u8])>) -> usize;
    /// Sends what is to be sent. Returns how many datagrams that were.
    fn turn(&mut self, socket: &Socket) -> Result<usize>;
    /// When `turn` is due, even if nothing arrives.
    fn patience(&self) -> Duration;
    /// How many requests were answered so far.
    fn answered(&self) -> u64;
    /// Whether all is connected, answered and acknowledged.
    fn is_settled(&self) -> bool;
}

/// What a round has cost.
pub(crate) struct Spent {
    requests: u64,
    datagrams: u64,
    time: Duration,
    server: Duration,
    load: Duration,
}

impl Spent {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.time.as_secs_f64()
    }

    /// Microseconds of a core in the server.
    pub(crate) fn per_request(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// The same in this process.
    pub(crate) fn load_per_request(&self) -> f64 {
        self.load.as_secs_f64() * 1e6 / self.requests as f64
    }

    pub(crate) fn datagrams_per_request(&self) -> f64 {
        self.datagrams as f64 / self.requests as f64
    }
}

struct Way<L> {
    socket: Socket,
    load: L,
    /// There may be something to read.
    ready: bool,
}

pub(crate) struct Drive<L> {
    ways: Vec<Way<L>>,
    poll: Poll,
    events: Events,
    inbox: Inbox,
    datagrams: usize,
}

impl<L: Load> Drive<L> {
    pub(crate) fn new(loads: impl IntoIterator<Item = L>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut ways = Vec::new();
        for (n, load) in loads.into_iter().enumerate() {
            let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), &poll, Token(n))?;
            ways.push(Way { socket, load, ready: false });
        }
        let inbox = Inbox::new(&ways.first().ok_or("no sockets")?.socket);
        Ok(Self { ways, poll, events: Events::with_capacity(64), inbox, datagrams: 0 })
    }

    pub(crate) fn connect(&mut self) -> Result<()> {
        for way in &mut self.ways {
            way.load.connect()?;
        }
        self.settle()
    }

    /// Makes requests for so long. The rest of their answers are not counted.
    pub(crate) fn run(&mut self, server: u32, time: Duration) -> Result<Spent> {
        for way in &mut self.ways {
            way.load.set_running(true);
        }
        let begin = Clock::now();
        let before = self.counts(server)?;
        self.turn_all()?;
        while begin.elapsed() < time {
            self.step()?;
        }
        let (after, time) = (self.counts(server)?, begin.elapsed());
        for way in &mut self.ways {
            way.load.set_running(false);
        }
        self.settle()?;
        let requests = after.0 - before.0;
        if requests == 0 {
            return Err("no request was answered".into());
        }
        let datagrams = (after.1 - before.1) as u64;
        Ok(Spent {
            requests,
            datagrams,
            time,
            server: after.2 - before.2,
            load: after.3 - before.3,
        })
    }

    fn counts(&self, server: u32) -> Result<(u64, usize, Duration, Duration)> {
        let answered = self.ways.iter().map(|way| way.load.answered()).sum();
        Ok((answered, self.datagrams, cpu_time(server)?, cpu_time(std::process::id())?))
    }

    fn settle(&mut self) -> Result<()> {
        let begin = Clock::now();
        self.turn_all()?;
        while !self.ways.iter().all(|way| way.load.is_settled()) {
            self.step()?;
            if begin.elapsed() > PATIENCE {
                return Err("the server does not answer".into());
            }
        }
        Ok(())
    }

    fn turn_all(&mut self) -> Result<()> {
        for way in &mut self.ways {
            self.datagrams += way.load.turn(&way.socket)?;
        }
        Ok(())
    }

    /// Reads what there is and answers it, or else waits.
    fn step(&mut self) -> Result<()> {
        let mut idle = true;
        for way in self.ways.iter_mut().filter(|way| way.ready) {
            way.ready = way.socket.read(&mut self.inbox)?;
            if way.ready {
                idle = false;
                self.datagrams += way.load.handle(self.inbox.datagrams());
                self.datagrams += way.load.turn(&way.socket)?;
            }
        }
        if idle { self.wait() } else { Ok(()) }
    }

    fn wait(&mut self) -> Result<()> {
        let patience = self.ways.iter().map(|way| way.load.patience()).min().min(Some(PATIENCE));
        match self.poll.poll(&mut self.events, patience) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &self.events {
            self.ways[event.token().0].ready = true;
        }
        for way in self.ways.iter_mut().filter(|way| way.load.patience().is_zero()) {
            self.datagrams += way.load.turn(&way.socket)?;
        }
        Ok(())
    }
}
