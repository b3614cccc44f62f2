//! A node behind a UDP socket: the loop to copy.
//!
//! Each turn lets time pass, sends what is due, tells one event, and then sleeps until a datagram
//! or the manager's next deadline. There is no other thread and no other timer.

use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::time::{Instant as Clock, SystemTime, UNIX_EPOCH};

use matter_session::context::{Context, Services};
use matter_session::crypto::{RustCrypto, SigningKey};
use matter_session::ids::{FabricIndex, ProtocolId};
use matter_session::manager::{
    Config, Event, ExchangeHandle, HeapSessionManager, PeerAddress, Received, SessionHandle,
};
use matter_session::rand_core::UnwrapErr;
use matter_session::time::{Instant, MatterTime, WallClock};

use super::Result;
use super::capture::Capture;
use super::counters::Counters;
use super::groups::Heard;
use super::keylog::KeyFile;
use matter_session_testing::fabric_file::FabricFile;
use matter_session_testing::loss::Loss;

/// A session manager, and what it asks of its surroundings: socket, clocks, randomness, keys.
pub(crate) struct Node {
    pub(crate) manager: HeapSessionManager,
    /// Those of what it sends to groups.
    pub(crate) counters: Counters,
    /// Whether it knows the calendar time.
    pub(crate) has_calendar: bool,
    key_file: KeyFile,
    capture: Option<Capture>,
    socket: UdpSocket,
    started: Clock,
    rng: UnwrapErr<getrandom::SysRng>,
    keys: Vec<(FabricIndex, SigningKey)>,
    loss: Loss,
    datagram: Vec<u8>,
}

/// What the application hears of.
#[derive(Debug)]
pub(crate) enum Happening {
    Event(Event<()>),
    Message(Message),
    Group(Heard),
}

/// A message of a secure session, copied out so that nothing is borrowed while it is answered.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) session: SessionHandle,
    pub(crate) exchange: ExchangeHandle,
    pub(crate) protocol: ProtocolId,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Node {
    pub(crate) fn bind(address: SocketAddr, config: Config, loss: Loss) -> io::Result<Self> {
        let mut rng = UnwrapErr(getrandom::SysRng);
        Ok(Self {
            manager: HeapSessionManager::new(config, RustCrypto, &mut rng),
            counters: Counters::default(),
            has_calendar: true,
            key_file: KeyFile::default(),
            capture: None,
            socket: UdpSocket::bind(address)?,
            started: Clock::now(),
            rng,
            keys: Vec::new(),
            loss,
            datagram: vec![0; 0xFFFF],
        })
    }

    /// Records what passes the socket from now on in a pcap, and the keys in a key log.
    pub(crate) fn watch(&mut self, pcap: Option<&str>, keylog: Option<&str>) -> io::Result<()> {
        if let Some(path) = pcap {
            self.capture = Some(Capture::create(path, self.socket.local_addr()?)?);
        }
        if let Some(path) = keylog {
            self.key_file = KeyFile::create(path)?;
        }
        Ok(())
    }

    /// Makes this node a member of a fabric, and of its groups.
    pub(crate) fn join(&mut self, fabric: FabricFile) -> Result<FabricIndex> {
        let index = self.manager.fabrics_mut().add(&fabric.credentials())?;
        for group in &fabric.groups {
            self.set_group(index, group)?;
        }
        self.keys.push((index, fabric.key));
        Ok(index)
    }

    /// The monotonic clock that drives every timer of the manager.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Calls the manager with its surroundings of this moment.
    pub(crate) fn with<R>(
        &mut self,
        call: impl FnOnce(&mut HeapSessionManager, &mut Context<'_>) -> R,
    ) -> R {
        let now = self.now();
        let services = Services::new(&mut self.rng)
            .with_wall(wall_clock(self.has_calendar))
            .with_counters(&mut self.counters);
        let mut services = self.key_file.equip(services);
        let mut cx = services.at(now);
        call(&mut self.manager, &mut cx)
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn join_multicast(&self, address: &Ipv6Addr) -> io::Result<()> {
        self.socket.join_multicast_v6(address, 0)
    }

    /// Sends a datagram that is no answer to anybody, so that no error of it is passing.
    pub(super) fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        if self.loss.sends() {
            self.socket.send_to(datagram, to)?;
            if let Some(capture) = &mut self.capture {
                capture.sent(to, datagram)?;
            }
        }
        Ok(())
    }

    /// One turn of the loop, sleeping until `until` at most. `None`: nothing that the application
    /// must hear of, but time may have passed.
    pub(crate) fn turn(&mut self, until: Option<Instant>) -> io::Result<Option<Happening>> {
        self.with(|manager, cx| manager.handle_timeout(cx));
        // What must leave does so before the application reacts to an event.
        self.transmit()?;
        match self.manager.poll_event() {
            Some(event) => Ok(self.sign(event).map(Happening::Event)),
            // Those that have waited until their sender told its counter.
            None => match self.manager.groups_mut().poll_message() {
                Some(message) => Ok(Some(Happening::Group(message.into()))),
                None => self.receive(until),
            },
        }
    }

    /// Sends everything that the manager has ready.
    fn transmit(&mut self) -> io::Result<()> {
        let now = self.now();
        while let Some(transmit) = self.manager.poll_transmit(now) {
            let PeerAddress::Udp(to) = transmit.to else { continue };
            if !self.loss.sends() {
                continue;
            }
            if let Err(error) = self.socket.send_to(transmit.datagram, to)
                && !is_passing(&error)
            {
                return Err(error);
            }
            if let Some(capture) = &mut self.capture {
                capture.sent(to, transmit.datagram)?;
            }
        }
        Ok(())
    }

    /// Completes a request for a signature; every other event is for the application.
    fn sign(&mut self, event: Event<()>) -> Option<Event<()>> {
        let Event::SignRequest(request) = event else { return Some(event) };
        let fabric = request.fabric();
        // Without a key the handshake stops here, and its timer ends it.
        let (_, key) = self.keys.iter_mut().find(|(index, _)| *index == fabric)?;
        let signed = request.sign_with(key);
        self.with(|manager, cx| manager.complete_signature(cx, signed).is_ok());
        None
    }

    /// Waits for a datagram, but not beyond the next deadline.
    fn receive(&mut self, until: Option<Instant>) -> io::Result<Option<Happening>> {
        let now = self.now();
        let deadline = [self.manager.poll_timeout(), until].into_iter().flatten().min();
        // A timeout of zero would be none at all.
        let wait = deadline.map(|due| due.saturating_since(now).max(Duration::from_millis(1)));
        self.socket.set_read_timeout(wait)?;
        let (len, from) = match self.socket.recv_from(&mut self.datagram) {
            Ok(received) => received,
            Err(error) if is_passing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(capture) = &mut self.capture {
            capture.received(from, self.datagram.get(..len).unwrap_or_default())?;
        }
        if !self.loss.receives() {
            return Ok(None);
        }
        let now = self.now();
        let services = Services::new(&mut self.rng)
            .with_wall(wall_clock(self.has_calendar))
            .with_counters(&mut self.counters);
        let mut services = self.key_file.equip(services);
        let mut cx = services.at(now);
        let datagram = self.datagram.get_mut(..len).unwrap_or_default();
        match self.manager.handle_datagram(&mut cx, from.into(), datagram) {
            Received::Message(message) => Ok(Some(Happening::Message(Message {
                session: message.session,
                exchange: message.exchange,
                protocol: message.kind.protocol,
                opcode: message.kind.opcode,
                payload: message.payload.to_vec(),
            }))),
            Received::Group(message) => Ok(Some(Happening::Group(message.into()))),
            Received::Dropped(reason) => {
                println!("DROPPED a datagram of {from}: {reason}");
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

/// The calendar time, against which certificates are checked, and which group keys begin by.
fn wall_clock(is_known: bool) -> WallClock {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).ok().filter(|_| is_known);
    let time = unix.and_then(|unix| MatterTime::from_unix_seconds(unix.as_secs()));
    time.map_or(WallClock::Unknown, WallClock::Known)
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
