//! A network in one process, in virtual time: nodes with addresses, datagrams that a test can
//! lose, repeat or hold back.

mod authority;
mod compute;
pub mod groups;

use std::collections::BTreeMap;

use matter_session::context::{Context, Services};
use matter_session::crypto::{Crypto, Passcode, PbkdfParameters, SigningKey, Verifier};
use matter_session::handshake::{ClaimRequest, HandshakeError, SignRequest};
use matter_session::ids::{FabricIndex, NodeId, Peer, ProtocolId, MessageType};
use matter_session::manager::{
    CloseReason, CommissioningWindow, Config, Dropped, Event, ExchangeHandle, Heap, PeerAddress,
    Received, SessionHandle, SessionManager, Storage,
};
use matter_session::resumption::ResumptionStore;
use matter_session::time::{Instant, MatterTime, WallClock};

pub use self::authority::{Authority, Membership, members};
pub use self::compute::compute;
pub use self::groups::{Bounds, Heard, Memory};
pub use crate::rng::Dice;
use crate::{BACKEND, Backend};

pub const IM: ProtocolId = ProtocolId::INTERACTION_MODEL;
pub const PASSCODE: u32 = 20_202_021;

/// Longer than anything is kept that is not meant to last, in milliseconds.
const LINGERS: u64 = 400_000;

pub type Manager<S = Heap, C = Backend> = SessionManager<C, S, u32>;

/// A message that an application got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    pub session: SessionHandle,
    pub exchange: ExchangeHandle,
    pub first: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// A node: a manager, and an application that notes what it is told.
pub struct Node<S: Storage = Heap, C: Crypto = Backend> {
    pub manager: Manager<S, C>,
    pub address: PeerAddress,
    pub rng: Dice,
    pub events: Vec<Event<u32>>,
    pub got: Vec<Got>,
    pub dropped: Vec<Dropped>,
    pub keys: BTreeMap<FabricIndex, SigningKey>,
    /// Signs at once what it is asked to sign; otherwise requests wait here.
    pub signs: bool,
    pub requests: Vec<SignRequest>,
    /// Grants at once what a peer claims; otherwise claims wait here. It does not keep records
    /// itself, so nothing has to be deleted.
    pub grants: bool,
    pub claims: Vec<ClaimRequest>,
    /// Answers each message with opcode + 1, like a server.
    pub answers: bool,
    /// Polls its events.
    pub polls: bool,
    /// Where it keeps resumption records, if not in its manager.
    pub store: Option<Box<dyn ResumptionStore>>,
    /// Where it keeps its group counters.
    pub bounds: Bounds,
    /// The group messages that it got.
    pub heard: Vec<Heard>,
    /// The calendar time at the zero of its monotonic clock, in seconds since 2000, if it knows
    /// that.
    pub epoch: Option<u32>,
    /// Lets handshakes compute all they have to at once; otherwise that takes one call of
    /// `handle_timeout` for each part.
    pub computes: bool,
    /// Adds to the services of every call what a feature of the library has.
    pub equip: Option<Equip>,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: PeerAddress,
    pub to: PeerAddress,
    pub octets: Vec<u8>,
    pub at: u64,
}

impl Datagram {
    /// Whether it is unsecured, and its opcode then.
    pub fn handshake_opcode(&self) -> Option<u8> {
        let [flags, s0, s1, ..] = self.octets[..] else { return None };
        let node_ids = usize::from(flags & 4 != 0) + usize::from(flags & 3 == 1);
        (s0 == 0 && s1 == 0).then(|| self.octets[8 + 8 * node_ids + 1])
    }
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Arrives,
    Lost,
    /// Arrives as often, the later ones later by so much each.
    Copies(u8, u64),
    Late(u64),
}

/// Adds something to the services of a call.
pub type Equip = Box<dyn for<'a> Fn(Services<'a>) -> Services<'a>>;

type Hook = Box<dyn FnMut(&Datagram) -> Fate>;
type Route = Box<dyn Fn(&Datagram) -> Option<usize>>;

/// Nodes on the default backend.
pub type Net<S = Heap> = Network<S, Backend>;

/// Nodes, and what is on its way between them.
pub struct Network<S: Storage, C: Crypto> {
    pub now: u64,
    pub nodes: Vec<Node<S, C>>,
    /// Every datagram that was sent, whatever became of it.
    pub sent: Vec<Datagram>,
    queue: BTreeMap<(u64, u64), Datagram>,
    serial: u64,
    hook: Hook,
    route: Option<Route>,
}

pub fn udp(port: u16) -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], port).into())
}

impl<C: Crypto + Default> Network<Heap, C> {
    /// Two nodes on UDP.
    pub fn pair() -> Self {
        Self::with(vec![(udp(1), Config::default()), (udp(2), Config::default())])
    }

    pub fn with(nodes: Vec<(PeerAddress, Config)>) -> Self {
        Self::stored(nodes)
    }

    /// Two nodes of one fabric, with the node ids 100 and 200.
    pub fn members() -> Self {
        Self::members_with(vec![(udp(1), Config::default()), (udp(2), Config::default())])
    }

    /// The first two of these nodes are in one fabric, with the node ids 100 and 200.
    pub fn members_with(nodes: Vec<(PeerAddress, Config)>) -> Self {
        let mut net = Self::with(nodes);
        let mut authority = Authority::new(1, false);
        authority.join(&mut net, 0, 100);
        authority.join(&mut net, 1, 200);
        net
    }

    /// Two nodes with a CASE session: node 0 dialled node 1.
    pub fn with_case() -> (Self, SessionHandle, SessionHandle) {
        let mut net = Self::members();
        let (a, b) = net.case(200);
        (net, a, b)
    }
}

impl<S: Storage, C: Crypto + Default> Network<S, C> {
    /// Nodes with the storage that the type says.
    pub fn stored(nodes: Vec<(PeerAddress, Config)>) -> Self {
        let nodes = nodes.into_iter().zip(1..);
        let nodes = nodes.map(|((address, config), seed)| Node::new(address, config, seed));
        Self {
            now: 1_000_000,
            nodes: nodes.collect(),
            sent: Vec::new(),
            queue: BTreeMap::new(),
            serial: 0,
            hook: Box::new(|_| Fate::Arrives),
            route: None,
        }
    }

    /// Says which node gets a datagram, for nodes that share an address.
    pub fn route_by(&mut self, route: impl Fn(&Datagram) -> Option<usize> + 'static) {
        self.route = Some(Box::new(route));
    }

    pub fn on_send(&mut self, hook: impl FnMut(&Datagram) -> Fate + 'static) {
        self.hook = Box::new(hook);
    }

    /// Loses all datagrams from now on; returns how many were sent before.
    pub fn cut(&mut self) -> usize {
        self.on_send(|_| Fate::Lost);
        self.sent.len()
    }

    /// Loses the datagrams with these places in the order of sending, from now on.
    pub fn lose(&mut self, which: &[usize]) {
        let which = which.to_vec();
        let mut n = 0;
        self.on_send(move |_| {
            n += 1;
            if which.contains(&(n - 1)) { Fate::Lost } else { Fate::Arrives }
        });
    }

    pub fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// Calls a node's manager.
    pub fn call<R>(
        &mut self,
        n: usize,
        f: impl FnOnce(&mut Manager<S, C>, &mut Context<'_>) -> R,
    ) -> R {
        let now = self.instant();
        let node = &mut self.nodes[n];
        let wall = node.wall(now);
        let mut services = services(&mut node.rng, &mut node.store, &mut node.bounds, &node.equip);
        let mut cx = services.at(now).with_wall(wall);
        let result = f(&mut node.manager, &mut cx);
        if node.computes {
            compute(&mut node.manager, &mut cx);
        }
        result
    }

    /// Puts a datagram on the wire.
    pub fn inject(&mut self, from: PeerAddress, to: PeerAddress, octets: &[u8], delay: u64) {
        self.serial += 1;
        let at = self.now + delay;
        let datagram = Datagram { from, to, octets: octets.to_vec(), at };
        self.queue.insert((at, self.serial), datagram);
    }

    /// Hands a datagram to a node at once.
    pub fn hand(&mut self, n: usize, from: PeerAddress, octets: &[u8]) -> Result<(), Dropped> {
        let mut octets = octets.to_vec();
        let now = self.instant();
        let node = &mut self.nodes[n];
        let wall = node.wall(now);
        let mut services = services(&mut node.rng, &mut node.store, &mut node.bounds, &node.equip);
        let mut cx = services.at(now).with_wall(wall);
        let received = node.manager.handle_datagram(&mut cx, from, &mut octets);
        if node.computes {
            compute(&mut node.manager, &mut cx);
        }
        match received {
            Received::Message(m) => {
                let got = Got {
                    session: m.session,
                    exchange: m.exchange,
                    first: m.first,
                    opcode: m.kind.opcode,
                    payload: m.payload.to_vec(),
                };
                if node.answers && m.kind.opcode % 2 == 0 {
                    let opcode = m.kind.opcode + 1;
                    node.manager.send(&mut cx, m.exchange, MessageType::new(IM, opcode), m.payload).unwrap();
                }
                node.got.push(got);
                Ok(())
            }
            Received::Group(message) => {
                node.heard.push(message.into());
                Ok(())
            }
            Received::Dropped(reason) => {
                node.dropped.push(reason);
                Err(reason)
            }
            _ => Ok(()),
        }
    }

    /// Takes what every node has to send and say.
    fn drain(&mut self) {
        let now = self.instant();
        for node in &mut self.nodes {
            loop {
                node.poll_events(now);
                let Some(transmit) = node.manager.poll_transmit(now) else { break };
                let datagram = Datagram {
                    from: node.address,
                    to: transmit.to,
                    octets: transmit.datagram.to_vec(),
                    at: self.now,
                };
                let (copies, delay) = match (self.hook)(&datagram) {
                    Fate::Arrives => (1, 0),
                    Fate::Lost => (0, 0),
                    Fate::Copies(copies, apart) => (copies, apart),
                    Fate::Late(by) => {
                        self.serial += 1;
                        self.queue.insert((self.now + by, self.serial), datagram.clone());
                        (0, 0)
                    }
                };
                for copy in 0..u64::from(copies) {
                    self.serial += 1;
                    self.queue.insert((self.now + copy * delay, self.serial), datagram.clone());
                }
                self.sent.push(datagram);
            }
        }
    }

    /// Everything that happens without time passing.
    pub fn pump(&mut self) {
        for _ in 0..100_000 {
            self.drain();
            let Some(entry) = self.queue.first_entry().filter(|e| e.key().0 <= self.now) else {
                return;
            };
            let datagram = entry.remove();
            let to = match &self.route {
                Some(route) => route(&datagram),
                None => self.nodes.iter().position(|node| node.address == datagram.to),
            };
            if let Some(to) = to {
                let _ = self.hand(to, datagram.from, &datagram.octets);
            }
        }
        panic!("an endless conversation");
    }

    /// The next moment at which something happens by itself.
    fn next(&self) -> Option<u64> {
        let timers = self.nodes.iter().filter_map(|node| node.manager.poll_timeout());
        let datagrams = self.queue.first_key_value().map(|((at, _), _)| *at);
        timers.map(Instant::as_millis).chain(datagrams).min()
    }

    /// Lets so many milliseconds pass.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        self.pump();
        let mut steps = 0;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            for n in 0..self.nodes.len() {
                self.call(n, |manager, cx| manager.handle_timeout(cx));
            }
            self.pump();
            steps += 1;
            assert!(steps < 100_000, "timers without end");
        }
        self.now = end;
        self.pump();
    }

    /// Long enough for every handshake and message to arrive or be given up.
    pub fn settle(&mut self) {
        self.run(20_000);
    }

    pub fn node(&mut self, n: usize) -> &mut Node<S, C> {
        &mut self.nodes[n]
    }

    /// Opens the commissioning window of a node. A session that it serves stays until it is closed.
    pub fn open_window(&mut self, n: usize) {
        let window = window_on(&C::default()).with_fail_safe(None);
        self.call(n, |m, cx| m.window().open(cx, window)).unwrap();
    }

    pub fn dial_pase(&mut self, from: usize, to: usize, passcode: u32) {
        let to = self.nodes[to].address;
        let passcode = Passcode::new(passcode).unwrap();
        self.call(from, |manager, cx| manager.connect_pase(cx, to, passcode)).unwrap();
    }

    pub fn dial_case(&mut self, from: usize, to: usize, fabric: u8, node: u64) {
        let to = self.nodes[to].address;
        let (fabric, node) = (index(fabric), NodeId::new(node));
        self.call(from, |manager, cx| manager.connect_case(cx, to, Peer::new(fabric, node))).unwrap();
    }

    /// Makes a session: node 0 dials node 1 on its first fabric.
    pub fn case(&mut self, node: u64) -> (SessionHandle, SessionHandle) {
        self.dial_case(0, 1, 1, node);
        self.run(1000);
        let (a, b) = (self.nodes[0].established(), self.nodes[1].established());
        self.nodes[0].events.clear();
        self.nodes[1].events.clear();
        (a, b)
    }

    /// Opens an exchange of a node and sends a message on it.
    pub fn say(&mut self, n: usize, session: SessionHandle, opcode: u8) -> ExchangeHandle {
        self.call(n, |manager, cx| {
            let exchange = manager.open_exchange(cx, session).unwrap();
            manager.send(cx, exchange, MessageType::new(IM, opcode), &[opcode; 20]).unwrap();
            exchange
        })
    }

    /// Sends on an exchange.
    pub fn answer(&mut self, n: usize, exchange: ExchangeHandle, opcode: u8) {
        self.call(n, |manager, cx| manager.send(cx, exchange, MessageType::new(IM, opcode), &[opcode; 20])).unwrap();
    }

    pub fn close_exchange(&mut self, n: usize, exchange: ExchangeHandle) {
        self.nodes[n].manager.close_exchange(exchange);
    }

    /// The sizes of all tables, once nothing is kept that is meant to last.
    pub fn table_sizes(&mut self) -> Vec<String> {
        self.run(LINGERS);
        for n in 0..self.nodes.len() {
            self.call(n, |m, cx| m.records_mut().forget_all(cx));
        }
        self.pump();
        let tables = |node: &Node<S, C>| {
            let manager = format!("{:?}", node.manager);
            manager.split_once("statistics").unwrap().0.to_owned()
        };
        self.nodes.iter().map(tables).collect()
    }

    /// After all that lingers has gone: nothing is left but sessions and records.
    pub fn assert_clean(&mut self) {
        self.run(LINGERS);
        for node in &self.nodes {
            node.assert_clean();
        }
    }

    /// The datagrams of one direction since a place in the list.
    pub fn sent_by(&self, n: usize, since: usize) -> Vec<&Datagram> {
        let from = self.nodes[n].address;
        self.sent[since..].iter().filter(|datagram| datagram.from == from).collect()
    }
}

pub fn index(fabric: u8) -> FabricIndex {
    FabricIndex::new(fabric).unwrap()
}

fn services<'a>(
    rng: &'a mut Dice,
    store: &'a mut Option<Box<dyn ResumptionStore>>,
    bounds: &'a mut Bounds,
    equip: &Option<Equip>,
) -> Services<'a> {
    let services = Services::new(rng).with_counters(bounds);
    let services = match equip {
        Some(equip) => equip(services),
        None => services,
    };
    match store {
        Some(store) => services.with_resumption(&mut **store),
        None => services,
    }
}

pub fn window() -> CommissioningWindow {
    window_on(&BACKEND)
}

fn window_on<C: Crypto>(crypto: &C) -> CommissioningWindow {
    let pbkdf = PbkdfParameters::new(1000, &[7; 16]).unwrap();
    let passcode = Passcode::new(PASSCODE).unwrap();
    let verifier = Verifier::generate(crypto, &passcode, &pbkdf).unwrap();
    CommissioningWindow::new(verifier, pbkdf)
}

impl<S: Storage, C: Crypto + Default> Node<S, C> {
    fn new(address: PeerAddress, config: Config, seed: u64) -> Self {
        let mut rng = Dice::new(seed);
        Self {
            manager: SessionManager::new(config, C::default(), &mut rng),
            address,
            rng,
            events: Vec::new(),
            got: Vec::new(),
            dropped: Vec::new(),
            keys: BTreeMap::new(),
            signs: true,
            requests: Vec::new(),
            grants: true,
            claims: Vec::new(),
            answers: false,
            polls: true,
            store: None,
            bounds: Bounds::default(),
            heard: Vec::new(),
            epoch: None,
            computes: true,
            equip: None,
        }
    }

    /// What it knows of the calendar time.
    fn wall(&self, now: Instant) -> WallClock {
        let seconds = u32::try_from(now.as_millis() / 1000).unwrap();
        self.epoch.map_or(WallClock::Unknown, |epoch| {
            WallClock::Known(MatterTime::from_seconds(epoch + seconds))
        })
    }

    pub fn poll_events(&mut self, now: Instant) {
        while self.polls
            && let Some(event) = self.manager.poll_event()
        {
            match event {
                Event::SignRequest(request) if self.signs => {
                    let key = self.keys.get_mut(&request.fabric()).unwrap();
                    let signed = request.sign_with(key);
                    let wall = self.wall(now);
                    let mut services = services(&mut self.rng, &mut self.store, &mut self.bounds, &self.equip);
                    let mut cx = services.at(now).with_wall(wall);
                    // False when the handshake has ended before its request was polled.
                    let _ = self.manager.complete_signature(&mut cx, signed);
                }
                Event::SignRequest(request) => self.requests.push(request),
                Event::ClaimRequest(request) if self.grants => {
                    let wall = self.wall(now);
                    let mut services = services(&mut self.rng, &mut self.store, &mut self.bounds, &self.equip);
                    let mut cx = services.at(now).with_wall(wall);
                    let _ = self.manager.records_mut().complete_claim(&mut cx, request.complete(true));
                    if self.computes {
                        compute(&mut self.manager, &mut cx);
                    }
                }
                Event::ClaimRequest(request) => self.claims.push(request),
                Event::GroupMessages => {
                    while let Some(message) = self.manager.groups_mut().poll_message() {
                        self.heard.push(message.into());
                    }
                }
                event => self.events.push(event),
            }
        }
    }

    /// The session established last, according to the events.
    pub fn established(&self) -> SessionHandle {
        self.try_established().expect("no session was established")
    }

    pub fn try_established(&self) -> Option<SessionHandle> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Established { session, .. } => Some(*session),
            _ => None,
        })
    }

    /// Why handshakes failed.
    pub fn failures(&self) -> Vec<HandshakeError> {
        let error = |event: &Event<u32>| match event {
            Event::HandshakeFailed { error, .. } => Some(*error),
            _ => None,
        };
        self.events.iter().filter_map(error).collect()
    }

    /// Which sessions closed, with what the application kept for them.
    pub fn closed(&self) -> Vec<(SessionHandle, u32, CloseReason)> {
        let closed = |event: &Event<u32>| match event {
            Event::Closed { session, data, reason, .. } => Some((*session, *data, *reason)),
            _ => None,
        };
        self.events.iter().filter_map(closed).collect()
    }

    pub fn acknowledged(&self, exchange: ExchangeHandle) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, Event::Acknowledged { exchange: e, .. } if *e == exchange))
    }

    pub fn undelivered(&self, exchange: ExchangeHandle) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, Event::Undelivered { exchange: e, .. } if *e == exchange))
    }

    /// The facts of all sessions, and the sizes of all tables.
    pub fn facts(&self) -> String {
        let sessions: Vec<_> =
            self.manager.sessions().iter().map(|s| (format!("{s:?}"), s.peer_address())).collect();
        let manager = format!("{:?}", self.manager);
        let (tables, _statistics) = manager.split_once("statistics").unwrap();
        format!("{sessions:?} {tables}")
    }

    pub fn assert_clean(&self) {
        let state = format!("{:?}", self.manager);
        assert_eq!(self.manager.sessions().exchange_count(), 0, "{state}");
        for table in ["handshakes: 0", "deadlines: 0", "ready: 0", "events: 0"] {
            assert!(state.contains(table), "{state}");
        }
    }
}
