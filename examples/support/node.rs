//! A node behind a UDP socket, or behind TCP connections: the loop to copy.
//!
//! Each turn lets time pass, sends what is due, tells one event, and then sleeps until a message
//! or the manager's next deadline. There is no other timer, and over UDP no other thread.

use core::net::{Ipv6Addr, SocketAddr};
use std::io;
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
use super::link::Link;
use super::tcp::Arrival;
use matter_session_testing::fabric_file::FabricFile;
use matter_session_testing::loss::Loss;

/// A session manager, and what it asks of its surroundings: sockets, clocks, randomness, keys.
pub(crate) struct Node {
    pub(crate) manager: HeapSessionManager,
    /// Those of what it sends to groups.
    pub(crate) counters: Counters,
    /// Whether it knows the calendar time.
    pub(crate) has_calendar: bool,
    key_file: KeyFile,
    capture: Option<Capture>,
    link: Link,
    started: Clock,
    rng: UnwrapErr<getrandom::SysRng>,
    keys: Vec<(FabricIndex, SigningKey)>,
    loss: Loss,
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
    pub(crate) fn new(link: Link, config: Config, loss: Loss) -> Self {
        let mut rng = UnwrapErr(getrandom::SysRng);
        Self {
            manager: HeapSessionManager::new(config, RustCrypto, &mut rng),
            counters: Counters::default(),
            has_calendar: true,
            key_file: KeyFile::default(),
            capture: None,
            link,
            started: Clock::now(),
            rng,
            keys: Vec::new(),
            loss,
        }
    }

    /// Records what passes the socket from now on in a pcap, and the keys in a key log.
    pub(crate) fn watch(&mut self, pcap: Option<&str>, keylog: Option<&str>) -> io::Result<()> {
        if let Some(path) = pcap {
            self.capture = Some(Capture::create(path, self.link.local_address()?)?);
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

    /// Returns the address of a peer for the manager. Over TCP, connects to the peer.
    pub(crate) fn reach(&mut self, peer: SocketAddr) -> io::Result<PeerAddress> {
        self.link.reach(peer)
    }

    pub(super) fn join_multicast(&self, group: &Ipv6Addr) -> io::Result<()> {
        self.link.join_multicast(group)
    }

    /// Sends a datagram that is no answer to anybody: an error is for the caller to handle.
    pub(super) fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        if self.loss.sends() {
            self.link.send(to.into(), datagram)?;
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

    /// Sends everything that the manager has ready, and closes connections that it does not need.
    fn transmit(&mut self) -> io::Result<()> {
        let now = self.now();
        while let Some(transmit) = self.manager.poll_transmit(now) {
            if !self.loss.sends() {
                continue;
            }
            // A datagram that the socket refuses counts as lost: it is retransmitted. Any peer can
            // cause this, for instance by an address that nothing can be sent to.
            if let Err(error) = self.link.send(transmit.to, transmit.datagram) {
                say!("UNSENT to {}: {error}", transmit.to);
                continue;
            }
            if let (PeerAddress::Udp(to), Some(capture)) = (transmit.to, &mut self.capture) {
                capture.sent(to, transmit.datagram)?;
            }
        }
        let Self { link, manager, .. } = self;
        link.close_unused(|connection| manager.connections().is_in_use(connection));
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

    /// Waits for a message, but not beyond the next deadline.
    fn receive(&mut self, until: Option<Instant>) -> io::Result<Option<Happening>> {
        let now = self.now();
        let deadline = [self.manager.poll_timeout(), until].into_iter().flatten().min();
        let wait = deadline.map(|due| due.saturating_since(now));
        let arrival = self.link.receive(wait)?;
        if let (Some(Arrival::Message(PeerAddress::Udp(from), message)), Some(capture)) =
            (&arrival, &mut self.capture)
        {
            capture.received(*from, message)?;
        }
        match arrival {
            Some(Arrival::Message(from, mut message)) if self.loss.receives() => {
                Ok(self.handle(from, &mut message))
            }
            Some(Arrival::Broken(connection, error)) => {
                say!("BROKEN {connection}: {error}");
                if let Some(report) = error.report() {
                    // A peer without a session gets no report.
                    let _ = self.with(|manager, cx| {
                        manager.connections().send_status_report(cx, connection, &report)
                    });
                    self.transmit()?;
                }
                self.end(connection);
                Ok(None)
            }
            Some(Arrival::Lost(connection)) => {
                self.end(connection);
                Ok(None)
            }
            Some(Arrival::Message(..)) | None => Ok(None),
        }
    }

    /// Ends what ran over a connection, which is lost or of no use.
    fn end(&mut self, connection: PeerAddress) {
        self.with(|manager, cx| manager.connections().handle_disconnect(cx, connection));
        self.link.close(connection);
    }

    fn handle(&mut self, from: PeerAddress, message: &mut [u8]) -> Option<Happening> {
        self.with(|manager, cx| match manager.handle_datagram(cx, from, message) {
            Received::Message(message) => Some(Happening::Message(Message {
                session: message.session,
                exchange: message.exchange,
                protocol: message.kind.protocol,
                opcode: message.kind.opcode,
                payload: message.payload.to_vec(),
            })),
            Received::Group(message) => Some(Happening::Group(message.into())),
            Received::Dropped(reason) => {
                say!("DROPPED a datagram of {from}: {reason}");
                None
            }
            _ => None,
        })
    }
}

/// The calendar time, against which certificates are checked, and which group keys begin by.
fn wall_clock(is_known: bool) -> WallClock {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).ok().filter(|_| is_known);
    let time = unix.and_then(|unix| MatterTime::from_unix_seconds(unix.as_secs()));
    time.map_or(WallClock::Unknown, WallClock::Known)
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use matter_session::crypto::Passcode;
    use matter_session_testing::program::TEST_PASSCODE;

    use super::*;

    #[test]
    fn a_datagram_that_the_socket_refuses_ends_no_node() {
        let link = Link::udp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let mut node = Node::new(link, Config::default(), Loss::default());
        // Anybody can send from port 0, and no socket sends to it.
        let nowhere = PeerAddress::Udp((Ipv4Addr::LOCALHOST, 0).into());
        assert!(node.link.send(nowhere, &[0]).is_err());
        let passcode = Passcode::new(TEST_PASSCODE).unwrap();
        node.with(|manager, cx| manager.connect_pase(cx, nowhere, passcode)).unwrap();
        let turned = node.turn(Some(node.now()));
        assert!(matches!(turned, Ok(None)), "{turned:?}");
    }
}
