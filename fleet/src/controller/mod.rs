//! A controller process: serves the devices that are assigned to it, and takes over those of a
//! process that died. [`Controller::turn`] is the loop.

mod lookup;
mod report;
#[cfg(test)]
mod tests;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use matter_session::crypto::RustCrypto;
use matter_session::ids::{FabricIndex, MessageType, NodeId, Peer};
use matter_session::manager::{
    Config, Event, HandshakeHandle, HeapSessionManager, PeerAddress, Received, SessionHandle,
};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::ResumptionId;
use matter_session::time::Instant;
use mio::{Events, Interest, Poll, Token, Waker};

use self::lookup::Lookups;
pub use self::report::{How, Report};
use crate::assignment::View;
use crate::identity::Identity;
use crate::node::{MAX_DATAGRAM, Node};
use crate::store::{self, Answer, Order, Store};
use crate::{Outcome, Uptime, system_rng};

/// How often it looks at all devices. A process with thousands of them needs a queue by time.
const TICK: Duration = Duration::from_millis(10);
/// How long it waits for a record before it connects without one.
const RECORD_WAIT: Duration = Duration::from_millis(500);
/// How long a claim may take. The peer retransmits after 300 ms.
const CLAIM_WAIT: Duration = Duration::from_millis(250);
/// How long it waits after a failed handshake before it connects again.
const RETRY: Duration = Duration::from_secs(1);

const SOCKET: Token = Token(0);
const STORE: Token = Token(1);

/// What a controller process is to do.
#[derive(Debug)]
pub struct Settings {
    /// How it uses the store.
    pub store: store::Settings,
    /// All devices of the fleet.
    pub devices: Vec<(NodeId, SocketAddr)>,
    /// How often it asks each of its devices something.
    pub interval: Duration,
    /// How many devices it connects to at a time.
    pub handshakes: usize,
}

struct Device {
    address: SocketAddr,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// No session. It connects at this time or later.
    Absent(Instant),
    /// Its record is being fetched. It connects without one at this time.
    Loading(Instant),
    Connecting(HandshakeHandle),
    Served {
        session: SessionHandle,
        how: How,
        answered: bool,
        ask: Instant,
    },
}

/// A controller process.
pub struct Controller {
    node: Node,
    uptime: Uptime,
    poll: Poll,
    store: Store,
    view: View,
    lookups: Lookups,
    fabric: FabricIndex,
    devices: BTreeMap<NodeId, Device>,
    /// The id of the last record of each peer that came from the store, or went there.
    stored: BTreeMap<Peer, ResumptionId>,
    interval: Duration,
    handshakes: usize,
    beats: Duration,
    next_tick: Instant,
    next_beat: Instant,
    served: (u64, u64),
    reported: (u64, u64),
    reports: Vec<Report>,
}

impl Controller {
    /// Starts as the node with this identity.
    ///
    /// # Errors
    /// The identity is damaged, or there is no socket.
    pub fn start(identity: &Identity, settings: Settings) -> Outcome<Self> {
        let Settings { store, devices, interval, handshakes } = settings;
        let config = Config::default()
            .with_sessions(devices.len().saturating_mul(2).max(64))
            // Of its own, and as many that devices begin.
            .with_handshakes(handshakes.saturating_mul(2), Duration::from_secs(1))
            .with_exchanges(devices.len().saturating_mul(2).max(64))
            .with_records(devices.len(), Duration::from_secs(30 * 24 * 3600))
            .with_claim_wait(CLAIM_WAIT);
        let mut manager = HeapSessionManager::new(config, RustCrypto, &mut system_rng());
        let key = identity.assume(&mut manager)?;
        let fabric = manager.fabrics().iter().next().ok_or("in no fabric")?.index();
        let uptime = Uptime::start();
        let mut node = Node::new(manager, key, uptime)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut node.socket, SOCKET, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), STORE)?);
        let view = View::new(store.process, store.lease);
        let beats = store.lease / 5;
        // A thread that cannot wake this one is found at its next tick.
        let store = Store::start(store, move || drop(waker.wake()));
        let absent = |address| Device { address, state: State::Absent(Instant::ZERO) };
        let reports = vec![Report::Listening(node.socket.local_addr()?)];
        Ok(Self {
            node,
            uptime,
            poll,
            store,
            view,
            lookups: Lookups::default(),
            fabric,
            devices: devices.into_iter().map(|(id, address)| (id, absent(address))).collect(),
            stored: BTreeMap::new(),
            interval,
            handshakes,
            beats,
            next_tick: Instant::ZERO,
            next_beat: Instant::ZERO,
            served: (0, 0),
            reported: (0, 0),
            reports,
        })
    }

    /// One round of the loop. Returns what happened.
    ///
    /// # Errors
    /// The operating system does not wait for sockets.
    pub fn turn(&mut self) -> Outcome<Vec<Report>> {
        let is_due = self.node.manager.handshakes().is_computing();
        let wait = if is_due { Duration::ZERO } else { TICK };
        let mut ready = Events::with_capacity(8);
        match self.poll.poll(&mut ready, Some(wait)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(error.into());
            }
            _ => {}
        }
        self.receive();
        while let Some(answer) = self.store.poll_answer() {
            self.take(answer);
        }
        for event in self.node.advance() {
            self.handle(event);
        }
        let now = self.uptime.now();
        if self.next_tick <= now {
            self.next_tick = now + TICK;
            self.tick(now);
        }
        self.node.transmit();
        Ok(core::mem::take(&mut self.reports))
    }

    fn receive(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        while let Some((datagram, from)) = self.node.read(&mut buffer) {
            match self.lookups.hold(datagram, from, self.uptime.now()) {
                Some(id) => self.store.order(Order::Find(id)),
                None => self.receive_one(datagram, from),
            }
        }
    }

    fn receive_one(&mut self, datagram: &mut [u8], from: SocketAddr) {
        let received = self.node.with(|manager, cx| {
            let received = manager.handle_datagram(cx, from.into(), datagram);
            let Received::Message(message) = received else { return None };
            manager.close_exchange(message.exchange);
            manager.session(message.session)?.peer().map(|peer| (peer, message.session))
        });
        let Some((peer, from)) = received else { return };
        let Some(device) = self.devices.get_mut(&peer.node) else { return };
        if let State::Served { session, how, answered, .. } = &mut device.state
            && *session == from
        {
            self.served.0 += 1;
            if !core::mem::replace(answered, true) {
                self.reports.push(Report::Answered(peer.node, *how));
            }
        }
    }

    /// Takes an answer of the store.
    fn take(&mut self, answer: Answer) {
        let now = self.uptime.now();
        match answer {
            Answer::Loaded(peer, record) => {
                let state = self.devices.get(&peer.node).map(|device| device.state);
                // A late record is of no use, and may be older than the one that is here now.
                if let Some(State::Loading(_)) = state {
                    self.restore(record);
                    self.connect(peer.node, now);
                }
            }
            Answer::Found(id, record) => {
                if let Some(mut held) = self.lookups.take(&id) {
                    self.restore(record);
                    self.receive_one(&mut held.datagram, held.from);
                }
            }
            Answer::Claimed(claimed) => {
                // The handshake does not wait any more if the answer took too long.
                let _ =
                    self.node.with(|manager, cx| manager.records_mut().complete_claim(cx, claimed));
            }
            Answer::Live(live) => {
                if self.view.update(now, live.as_deref()) {
                    self.reports.push(Report::Live(self.view.len()));
                }
            }
        }
    }

    fn handle(&mut self, event: Event<()>) {
        let now = self.uptime.now();
        match event {
            Event::Established { session, handshake, resumed, .. } => {
                let peer = self.node.manager.session(session).and_then(|session| session.peer());
                let Some(Peer { node, .. }) = peer else { return };
                let how = How::new(resumed);
                if handshake.is_none() {
                    self.reports.push(Report::Came(node, how));
                }
                // A session that a device of another process has begun stays beside.
                let is_mine = handshake.is_some() || self.view.is_mine(node);
                if let Some(device) = self.devices.get_mut(&node).filter(|_| is_mine) {
                    device.state = State::Served { session, how, answered: false, ask: now };
                }
            }
            Event::HandshakeFailed { handshake: Some(failed), .. } => {
                let connecting = |device: &&mut Device| matches!(device.state, State::Connecting(handshake) if handshake == failed);
                if let Some(device) = self.devices.values_mut().find(connecting) {
                    device.state = State::Absent(now + RETRY);
                }
            }
            Event::Closed { session: closed, .. } => self.absent(closed, now),
            Event::NoResponse { exchange, .. } | Event::Undelivered { exchange, .. } => {
                self.served.1 += 1;
                self.node.manager.close_exchange(exchange);
                let sessions = self.node.manager.sessions();
                if let Some(session) = sessions.by_id(exchange.local_session_id()) {
                    self.node.with(|manager, cx| manager.close_session(cx, session));
                    self.absent(session, now);
                }
            }
            Event::ClaimRequest(request) => self.store.order(Order::Claim(request)),
            Event::RecordChanged { peer, .. } => self.save(peer, now),
            _ => {}
        }
    }

    /// Restores a record that the store had. One that the manager refuses costs a full handshake.
    fn restore(&mut self, record: Option<Box<ResumptionRecord>>) {
        let Some(record) = record else { return };
        let (peer, id) = (Peer::new(record.fabric, record.peer), record.id);
        if self.node.with(|manager, cx| manager.records_mut().restore(cx, *record)).is_ok() {
            self.stored.insert(peer, id);
        }
    }

    /// Saves the record of a peer, once. It may have come from the store after the event was queued.
    /// Another process may have claimed and replaced it there meanwhile. Written back, it could be
    /// claimed a second time.
    ///
    /// A record that is gone here is not removed from the store. Another process may have saved a
    /// newer one meanwhile, and rows expire by themselves; those that were claimed stay claimed. A
    /// peer that is not trusted any more is another matter: [`Order::Remove`].
    fn save(&mut self, peer: Peer, now: Instant) {
        let Some(info) = self.node.manager.records().get(peer) else { return };
        if self.stored.get(&peer) == Some(&info.id) {
            return;
        }
        let Some(record) = self.node.manager.records_mut().export(peer) else { return };
        self.stored.insert(peer, info.id);
        let expires_in = info.expires.saturating_since(now);
        self.store.order(Order::Save { peer, id: info.id, record, expires_in });
    }

    fn absent(&mut self, closed: SessionHandle, now: Instant) {
        let served = |device: &&mut Device| matches!(device.state, State::Served { session, .. } if session == closed);
        if let Some(device) = self.devices.values_mut().find(served) {
            device.state = State::Absent(now);
        }
    }

    fn tick(&mut self, now: Instant) {
        if self.next_beat <= now {
            self.next_beat = now + self.beats;
            self.store.order(Order::Beat);
            if self.served != core::mem::replace(&mut self.reported, self.served) {
                self.reports.push(Report::Served(self.served.0, self.served.1));
            }
        }
        while let Some(mut held) = self.lookups.overdue(now) {
            self.receive_one(&mut held.datagram, held.from);
        }
        let under_way =
            |device: &&Device| matches!(device.state, State::Loading(_) | State::Connecting(_));
        let mut under_way = self.devices.values().filter(under_way).count();
        let ids: Vec<_> = self.devices.keys().copied().collect();
        for id in ids {
            let Some(device) = self.devices.get_mut(&id) else { continue };
            let is_mine = self.view.is_mine(id);
            match device.state {
                State::Absent(since) if is_mine && since <= now && under_way < self.handshakes => {
                    under_way += 1;
                    device.state = State::Loading(now + RECORD_WAIT);
                    self.store.order(Order::Load(Peer::new(self.fabric, id)));
                }
                State::Loading(until) if until <= now => self.connect(id, now),
                State::Served { session, .. } if !is_mine => {
                    device.state = State::Absent(now);
                    self.node.with(|manager, cx| manager.close_session(cx, session));
                }
                State::Served { session, ask, .. } if ask <= now => self.ask(id, session, now),
                _ => {}
            }
        }
    }

    fn connect(&mut self, id: NodeId, now: Instant) {
        let Some(device) = self.devices.get_mut(&id) else { return };
        let (to, peer) = (PeerAddress::Udp(device.address), Peer::new(self.fabric, id));
        let connected = self.node.with(|manager, cx| manager.connect_case(cx, to, peer));
        // A manager that has no room for it now has some later.
        device.state = connected.map_or(State::Absent(now + TICK), State::Connecting);
    }

    fn ask(&mut self, id: NodeId, session: SessionHandle, now: Instant) {
        let sent = self.node.with(|manager, cx| {
            let exchange = manager.open_exchange(cx, session).ok()?;
            let sent = manager.send(cx, exchange, MessageType::READ_REQUEST, &[0; 16]);
            if sent.is_err() {
                manager.close_exchange(exchange);
            }
            sent.ok()
        });
        let wait = if sent.is_some() { self.interval } else { TICK };
        if let Some(Device { state: State::Served { ask, .. }, .. }) = self.devices.get_mut(&id) {
            *ask = now + wait;
        }
    }
}
