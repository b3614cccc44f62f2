//! Devices, each with a manager, a certificate and a socket of its own, on one thread.
//!
//! Each looks at the keys of all its sessions: if two are equal, somebody has answered one Sigma1
//! twice.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeSet, HashSet};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};

use matter_session::crypto::RustCrypto;
use matter_session::ids::{CaseAuthTags, FabricIndex, MessageType, NodeId, Peer};
use matter_session::manager::{
    Config, Event, HeapSessionManager, PeerAddress, Received, SessionHandle,
};
use matter_session::time::Instant;
use mio::{Events, Interest, Poll, Token};

use crate::authority::Authority;
use crate::node::{MAX_DATAGRAM, Node};
use crate::{Outcome, Uptime, system_rng};

/// The node id of the controllers.
pub const CONTROLLER: NodeId = NodeId::new(0xC0);
/// The node ids of devices count up from here.
const FIRST: u64 = 0xD_0000;
/// How many devices compute before sockets are read again.
const AT_ONCE: usize = 8;
/// The longest wait for a datagram.
const TICK: Duration = Duration::from_millis(20);

/// What the devices have seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Sessions that were established.
    pub sessions: usize,
    /// Sessions whose keys a former session of the same device had.
    pub repeated: usize,
    /// Handshakes that failed.
    pub failed: usize,
}

/// What a device is to do.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// Connects to a controller process, as it does after it was restarted.
    Connect(NodeId, SocketAddr),
}

struct Device {
    id: NodeId,
    node: Node,
    due: Option<Instant>,
    /// The attestation challenges of its sessions: they are derived together with the keys, and are
    /// equal if those are.
    challenges: HashSet<[u8; 16]>,
}

/// The devices.
pub struct Devices {
    devices: Vec<Device>,
    poll: Poll,
    due: BTreeSet<(Instant, usize)>,
    uptime: Uptime,
    fabric: FabricIndex,
    tally: Arc<Mutex<Tally>>,
}

impl Devices {
    /// Makes so many devices and admits them to the fabric.
    ///
    /// # Errors
    /// There are not enough sockets: see `ulimit -n`.
    pub(crate) fn admit(count: usize, authority: &mut Authority) -> Outcome<Self> {
        let (poll, uptime) = (Poll::new()?, Uptime::start());
        let mut devices = Vec::new();
        for (id, token) in (FIRST..).map(NodeId::new).zip(0..count) {
            let config = Config::default()
                .with_sessions(16)
                .with_exchanges(16)
                .with_handshakes(4, Duration::from_secs(1))
                .with_records(4, Duration::from_secs(30 * 24 * 3600));
            let mut rng = system_rng();
            let mut manager = HeapSessionManager::new(config, RustCrypto, &mut rng);
            let (_, key) = authority.admit(&mut manager, id, CaseAuthTags::NONE, &mut rng)?;
            let mut node = Node::new(manager, key, uptime)
                .map_err(|error| format!("a socket for each device: {error} (see ulimit -n)"))?;
            poll.registry().register(&mut node.socket, Token(token), Interest::READABLE)?;
            devices.push(Device { id, node, due: None, challenges: HashSet::new() });
        }
        let (due, tally) = (BTreeSet::new(), Arc::default());
        Ok(Self { devices, poll, due, uptime, fabric: FabricIndex::MIN, tally })
    }

    /// Returns where each device is.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn addresses(&self) -> Outcome<Vec<(NodeId, SocketAddr)>> {
        let addresses = self.devices.iter();
        addresses.map(|device| Ok((device.id, device.node.socket.local_addr()?))).collect()
    }

    /// Returns what the devices have seen, which changes while they run.
    #[must_use]
    pub fn tally(&self) -> Arc<Mutex<Tally>> {
        Arc::clone(&self.tally)
    }

    /// Runs the devices until the sender of commands is dropped.
    ///
    /// # Errors
    /// The operating system does not wait for sockets.
    pub fn run(&mut self, commands: &Receiver<Command>) -> Outcome {
        let mut ready = Events::with_capacity(256);
        loop {
            let now = self.uptime.now();
            let next = self.due.first().map_or(TICK, |(due, _)| due.saturating_since(now));
            match self.poll.poll(&mut ready, Some(next.min(TICK))) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(error.into());
                }
                _ => {}
            }
            for event in &ready {
                self.receive(event.token().0);
            }
            let now = self.uptime.now();
            let due = self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, device)| *device);
            for device in due.take(AT_ONCE).collect::<Vec<_>>() {
                self.advance(device);
            }
            match commands.try_recv() {
                Ok(Command::Connect(device, to)) => self.connect(device, to),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }

    fn receive(&mut self, index: usize) {
        let Some(Device { node, .. }) = self.devices.get_mut(index) else { return };
        let mut buffer = [0; MAX_DATAGRAM];
        while let Some((datagram, from)) = node.read(&mut buffer) {
            // It answers every request.
            node.manager_answers(datagram, from);
        }
        self.advance(index);
    }

    fn advance(&mut self, index: usize) {
        let Some(device) = self.devices.get_mut(index) else { return };
        for event in device.node.advance() {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Event::Established { session, .. } => {
                    tally.sessions += 1;
                    tally.repeated += usize::from(!device.is_new(session));
                }
                Event::HandshakeFailed { .. } => tally.failed += 1,
                _ => {}
            }
        }
        device.node.transmit();
        let due = device.node.manager.poll_timeout();
        if let Some(former) = core::mem::replace(&mut device.due, due) {
            self.due.remove(&(former, index));
        }
        self.due.extend(due.map(|due| (due, index)));
    }

    fn connect(&mut self, id: NodeId, to: SocketAddr) {
        let peer = Peer::new(self.fabric, CONTROLLER);
        let place = self.devices.iter_mut().enumerate().find(|(_, device)| device.id == id);
        let Some((index, device)) = place else { return };
        let connected =
            device.node.with(|manager, cx| manager.connect_case(cx, PeerAddress::Udp(to), peer));
        if connected.is_err() {
            self.tally.lock().unwrap_or_else(PoisonError::into_inner).failed += 1;
        }
        self.advance(index);
    }
}

impl Device {
    /// Returns true if no former session had the keys of this one.
    fn is_new(&mut self, session: SessionHandle) -> bool {
        let session = self.node.manager.session(session);
        session.is_none_or(|session| {
            self.challenges.insert(*session.session().attestation_challenge())
        })
    }
}

impl Node {
    fn manager_answers(&mut self, datagram: &mut [u8], from: SocketAddr) {
        self.with(|manager, cx| {
            if let Received::Message(message) = manager.handle_datagram(cx, from.into(), datagram) {
                let (exchange, payload) = (message.exchange, message.payload);
                // A peer that cannot be answered asks again.
                let _ = manager.send(cx, exchange, MessageType::REPORT_DATA, payload);
                manager.close_exchange(exchange);
            }
        });
    }
}
