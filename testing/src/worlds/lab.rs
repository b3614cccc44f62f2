//! Nodes in a world, their wire, and the book of what they said and heard.

use core::cell::RefCell;
use core::convert::Infallible;
use core::fmt::Debug;
use core::hash::{Hash, Hasher};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::DefaultHasher;
use std::rc::Rc;
use std::sync::OnceLock;

use matter_session::context::{Context, Services};
use matter_session::ids::{FabricIndex, MessageType, NodeId, Peer};
use matter_session::manager::{
    Config, Dropped, Event, ExchangeHandle, HandshakeHandle, PeerAddress, Received, SessionHandle,
    SessionManager, Storage,
};
use matter_session::rand_core::{TryCryptoRng, TryRng};
use matter_session::time::Instant;

use super::Act;
use super::seals::{Backend, Seals, backend};
use super::store::{Copy, Store};
use crate::net::{IM, Memory};
use crate::rng::Dice;
use crate::toy::{ToyAuthority, ToyMember};

pub type Manager<S> = SessionManager<Backend, S>;

/// The node ids, by node.
pub const IDS: [u64; 2] = [100, 200];
/// Where the attacker is.
pub const ELSEWHERE: u16 = 666;

/// What the nodes of a fabric hold.
pub fn members() -> &'static [ToyMember; 2] {
    static MEMBERS: OnceLock<[ToyMember; 2]> = OnceLock::new();
    MEMBERS.get_or_init(|| {
        let mut rng = Dice::new(1);
        let mut authority = ToyAuthority::new(1, false, &mut rng);
        IDS.map(|id| authority.admit(id, &mut rng))
    })
}

pub fn peer(n: usize) -> Peer {
    Peer::new(FabricIndex::MIN, NodeId::new(IDS[n]))
}

pub fn udp(port: u16) -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], port).into())
}

/// The first session id of a life is always the same. An attacker reaches every id by repeats; a
/// world in which it needs none is explored deeper.
struct FirstId<'a>(&'a mut Dice, bool);

impl TryRng for FirstId<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let word = self.0.roll() as u32;
        let is_first = core::mem::replace(&mut self.1, false);
        Ok(if is_first { word & 0xFFFF_0000 | 0x0100 } else { word })
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(dst)
    }
}

impl TryCryptoRng for FirstId<'_> {}

/// A datagram that a node has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub from: usize,
    /// Its place among all that its sender has sent.
    serial: u32,
    pub to: PeerAddress,
    pub bytes: Vec<u8>,
}

impl Datagram {
    /// Its opcode, if it belongs to a handshake.
    pub fn opcode(&self) -> Option<u8> {
        (self.bytes.get(1..3)? == [0, 0]).then(|| self.bytes.get(17).copied())?
    }

    fn is_multicast(&self) -> bool {
        matches!(self.to, PeerAddress::Udp(to) if to.ip().is_multicast())
    }
}

/// A node: a manager, and the least of an application.
pub struct Node<S: Storage> {
    pub manager: Manager<S>,
    pub address: PeerAddress,
    config: Config,
    /// Which of [`members`] it is.
    member: usize,
    rng: Dice,
    pub store: Store,
    pub bounds: Memory,
    /// Everything that it was ever given, in order: two nodes with one story are in one state.
    story: u64,
    serial: u32,
    /// The sizes of its tables when it was made.
    fresh: String,
    /// What it says on each session that it has begun.
    pub says: usize,
    /// Answers requests; otherwise it keeps their exchanges open until it is told to close them.
    pub answers: bool,
    pub sessions: Vec<SessionHandle>,
    /// Exchanges that it has not closed, of peers and its own.
    pub open: Vec<ExchangeHandle>,
    /// The message in flight on each exchange, by its number.
    in_flight: BTreeMap<ExchangeHandle, u16>,
    /// Handshakes that it began and of which it has not heard.
    pub waits: BTreeSet<HandshakeHandle>,
    /// How its handshakes failed.
    pub failed: usize,
    pub established: usize,
}

/// What was said, and what has become of it.
#[derive(Debug, Default)]
struct Said {
    by: usize,
    /// The datagram that carries it.
    datagram: Vec<u8>,
    delivered: u32,
    /// It was given back to the receiver's application as not wanted.
    reported: bool,
}

/// What was sent on one secure session, as its receiver got it.
#[derive(Debug, Default)]
struct Reception {
    largest: u32,
    seen: BTreeSet<u32>,
    /// Messages that came for the first time when 32 newer ones had come. The protocol has them
    /// acknowledged unread.
    late: BTreeSet<u32>,
}

pub struct Lab<S: Storage> {
    pub now: u64,
    pub nodes: Vec<Node<S>>,
    pub wire: Vec<Datagram>,
    /// Every datagram that was ever sent, once.
    pub tape: Vec<Datagram>,
    pub seals: Rc<RefCell<Seals>>,
    said: Vec<Said>,
    receptions: BTreeMap<(usize, [u8; 2]), Reception>,
    /// The first promise that was broken.
    pub fault: Option<&'static str>,
    /// Prints what happens.
    pub traces: bool,
}

impl<S: Storage> Lab<S> {
    /// Nodes that are members of one fabric, each with a copy of what it had stored.
    pub fn new(configs: Vec<Config>, copies: &[Copy]) -> Self {
        let seals = Rc::new(RefCell::new(Seals::default()));
        let mut lab = Self {
            now: 1_000_000,
            nodes: Vec::new(),
            wire: Vec::new(),
            tape: Vec::new(),
            seals,
            said: Vec::new(),
            receptions: BTreeMap::new(),
            fault: None,
            traces: false,
        };
        for (n, config) in configs.into_iter().enumerate() {
            lab.add(n, n, config, Store::with(copies[n].clone()));
        }
        lab
    }

    /// One more node, with the credentials of some member.
    pub fn add(&mut self, n: usize, member: usize, config: Config, store: Store) {
        let mut rng = Dice::new(1 + n as u64);
        let manager = Manager::new(config.clone(), backend(&self.seals), &mut rng);
        self.nodes.push(Node {
            manager,
            address: udp(1 + n as u16),
            config,
            member,
            rng,
            store,
            bounds: Memory::default(),
            story: 0,
            serial: 0,
            fresh: String::new(),
            says: 0,
            answers: true,
            sessions: Vec::new(),
            open: Vec::new(),
            in_flight: BTreeMap::new(),
            waits: BTreeSet::new(),
            failed: 0,
            established: 0,
        });
        self.start(n, self.nodes[n].store.copies() - 1);
    }

    /// A copy of what each node stores when it has joined the fabric, and nothing more.
    pub fn joined() -> &'static [Copy; 2] {
        static COPIES: OnceLock<[Copy; 2]> = OnceLock::new();
        COPIES.get_or_init(|| {
            let seals = Rc::default();
            [0, 1].map(|n| {
                let config = Config::default();
                let mut manager =
                    SessionManager::<_, S>::new(config, backend(&seals), &mut Dice::new(1));
                manager.fabrics_mut().add(&members()[n].credentials()).unwrap();
                let mut store = Store::default();
                store.keep_fabric(&mut manager);
                store.newest()
            })
        })
    }

    /// The same after the two nodes had a session, from which they can resume.
    pub fn acquainted() -> &'static [Copy; 2] {
        static COPIES: OnceLock<[Copy; 2]> = OnceLock::new();
        COPIES.get_or_init(|| {
            let mut lab = Self::new(vec![Config::default(); 2], Self::joined());
            lab.connect(0, 1);
            lab.drain();
            lab.finish();
            assert_eq!(lab.nodes[1].established, 1);
            [0, 1].map(|n| lab.nodes[n].store.newest())
        })
    }

    /// A life of a node begins with a copy of what it had stored.
    fn start(&mut self, n: usize, copy: usize) {
        let now = self.instant();
        let crypto = backend(&self.seals);
        let node = &mut self.nodes[n];
        let mut first = FirstId(&mut node.rng, true);
        node.manager = Manager::new(node.config.clone(), crypto, &mut first);
        node.store.restore_fabric(copy, &mut node.manager);
        node.fresh = tables(&node.manager);
        let mut services = Services::new(&mut node.rng);
        node.store.restore_record(copy, &mut node.manager, &mut services.at(now));
        node.sessions.clear();
        node.open.clear();
        node.in_flight.clear();
        node.waits.clear();
        self.receptions.retain(|(to, _), _| *to != n);
        self.note(n, ("starts", copy));
    }

    pub fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    pub fn fail(&mut self, fault: &'static str) {
        self.fault.get_or_insert(fault);
    }

    /// What a node was given becomes part of its story.
    pub fn note(&mut self, n: usize, what: impl Hash + Debug) {
        if self.traces {
            eprintln!("{:>8} node {n}: {what:02x?}", self.now);
        }
        let story = (self.nodes[n].story, self.now, what);
        self.nodes[n].story = digest(&story);
    }

    /// Two worlds with one state have one future.
    pub fn state(&self) -> u64 {
        let stories: Vec<_> = self.nodes.iter().map(|node| node.story).collect();
        let mut wire: Vec<_> = self.wire.iter().map(|d| (d.from, d.serial)).collect();
        wire.sort_unstable();
        digest(&(self.now, stories, wire))
    }

    pub fn call<R>(
        &mut self,
        n: usize,
        f: impl FnOnce(&mut Manager<S>, &mut Context<'_>) -> R,
    ) -> R {
        let now = self.instant();
        let Node { manager, rng, bounds, .. } = &mut self.nodes[n];
        f(manager, &mut Services::new(rng).with_counters(bounds).at(now))
    }

    /// A node begins CASE with another one. Returns false if its manager refuses.
    pub fn connect(&mut self, n: usize, to: usize) -> bool {
        self.note(n, ("connects", to));
        let address = self.nodes[to].address;
        let begun = self.call(n, |m, cx| m.connect_case(cx, address, peer(to)));
        self.nodes[n].waits.extend(begun.ok());
        begun.is_ok()
    }

    /// A node says something, on an exchange that it has open or on a new one.
    pub fn say(&mut self, n: usize, session: SessionHandle, on: Option<ExchangeHandle>) -> bool {
        let number = self.said.len() as u16;
        self.note(n, ("says", session, on));
        let exchange = match on {
            Some(exchange) => exchange,
            None => match self.call(n, |m, cx| m.open_exchange(cx, session)) {
                Ok(exchange) => {
                    self.nodes[n].open.push(exchange);
                    exchange
                }
                Err(_) => return false,
            },
        };
        let mut payload = [0; 20];
        payload[..2].copy_from_slice(&number.to_le_bytes());
        let kind = MessageType::new(IM, 2);
        if self.call(n, |m, cx| m.send(cx, exchange, kind, &payload)).is_err() {
            return false;
        }
        self.said.push(Said { by: n, ..Said::default() });
        self.nodes[n].in_flight.insert(exchange, number);
        let since = self.tape.len();
        self.drain_node(n);
        let carries = |d: &&Datagram| d.opcode().is_none() && d.bytes.len() >= 14 + 20 + 16;
        if let Some(datagram) = self.tape[since..].iter().find(carries) {
            self.said[usize::from(number)].datagram = datagram.bytes.clone();
        }
        true
    }

    /// Its peer gets 40 short messages of a node at once, which ask for no acknowledgement.
    pub fn burst(&mut self, n: usize, to: usize, exchange: ExchangeHandle) {
        self.note(n, ("bursts", exchange));
        for _ in 0..40 {
            let mut buf = [0; 100];
            let sealed = self.call(n, |m, cx| {
                let kind = MessageType::new(IM, 3);
                let sent = m.send_unreliable(cx, exchange, kind, &[0xFF, 0xFF], &mut buf);
                sent.map(|transmit| transmit.datagram.to_vec())
            });
            let Ok(bytes) = sealed else { return };
            let from = self.nodes[n].address;
            self.hand(to, from, &bytes);
        }
    }

    pub fn close_exchange(&mut self, n: usize, exchange: ExchangeHandle) {
        self.note(n, ("closes", exchange));
        self.nodes[n].open.retain(|other| *other != exchange);
        self.nodes[n].manager.close_exchange(exchange);
    }

    /// Hands a datagram to a node.
    pub fn hand(&mut self, n: usize, from: PeerAddress, bytes: &[u8]) {
        let reception = Self::receives(&mut self.receptions, n, bytes);
        let mut octets = bytes.to_vec();
        let now = self.instant();
        let Node { manager, rng, bounds, .. } = &mut self.nodes[n];
        let mut services = Services::new(rng).with_counters(bounds);
        let mut heard = None;
        let dropped = match manager.handle_datagram(&mut services.at(now), from, &mut octets) {
            Received::Message(message) => {
                let number = message.payload.first_chunk().copied().map(u16::from_le_bytes);
                heard = Some((message.exchange, message.first, message.kind.opcode, number));
                None
            }
            Received::Group(message) => {
                let number = message.payload.first_chunk().copied().map(u16::from_le_bytes);
                let number = number.expect("a number");
                self.delivered(n, number);
                None
            }
            received => received.dropped(),
        };
        if self.traces {
            eprintln!("{:>8} node {n} gets {bytes:02x?}: {heard:?} {dropped:?}", self.now);
        }
        // What cannot be read, or belongs to nothing, changes nothing.
        let is_nothing = matches!(
            dropped,
            Some(
                Dropped::Decode(_)
                    | Dropped::UnknownSession
                    | Dropped::UnknownHandshake
                    | Dropped::OtherTransport
                    | Dropped::Group
            )
        );
        if !is_nothing {
            self.note(n, (from, bytes));
            if let Some(counter) = reception {
                self.receptions.entry((n, [bytes[1], bytes[2]])).or_default().receive(counter);
            }
        }
        if matches!(dropped, Some(Dropped::Unsolicited | Dropped::Misplaced))
            && let Some(said) = self.said.iter_mut().find(|said| said.datagram == bytes)
        {
            said.reported = true;
        }
        if let Some((exchange, first, opcode, number)) = heard {
            self.hears(n, exchange, first, opcode, number.expect("a number"));
        }
    }

    /// The counter of a message on a secure session.
    fn receives(
        receptions: &mut BTreeMap<(usize, [u8; 2]), Reception>,
        n: usize,
        bytes: &[u8],
    ) -> Option<u32> {
        let [0, s0, s1, 0, counter @ ..] = bytes else { return None };
        if (*s0, *s1) == (0, 0) {
            return None;
        }
        receptions.entry((n, [*s0, *s1])).or_default();
        counter.first_chunk().copied().map(u32::from_le_bytes)
    }

    fn hears(&mut self, n: usize, on: ExchangeHandle, first: bool, opcode: u8, number: u16) {
        // Of a burst.
        if opcode == 3 {
            return;
        }
        if first {
            self.nodes[n].open.push(on);
        }
        self.delivered(n, number);
        if opcode == 2 && first && self.nodes[n].answers {
            self.answer(n, on);
        } else if !first {
            self.close_exchange(n, on);
        }
    }

    /// Answers the request of an exchange, and closes it.
    pub fn answer(&mut self, n: usize, exchange: ExchangeHandle) {
        let number = self.said.len() as u16;
        self.note(n, ("answers", exchange));
        let mut payload = [0; 20];
        payload[..2].copy_from_slice(&number.to_le_bytes());
        let kind = MessageType::new(IM, 5);
        if self.call(n, |m, cx| m.send(cx, exchange, kind, &payload)).is_ok() {
            self.said.push(Said { by: n, ..Said::default() });
            self.nodes[n].in_flight.insert(exchange, number);
        }
        self.close_exchange(n, exchange);
    }

    /// Notes a message to a group that a node will say next. Returns its number.
    pub fn announce(&mut self, n: usize) -> u16 {
        self.said.push(Said { by: n, ..Said::default() });
        self.said.len() as u16 - 1
    }

    /// An application got a message.
    pub fn delivered(&mut self, n: usize, number: u16) {
        let Some(said) = self.said.get_mut(usize::from(number)) else {
            return self.fail("a message that nobody has sent");
        };
        said.delivered += 1;
        let (own, again) = (said.by == n, said.delivered > 1);
        if own {
            self.fail("a message comes back to its sender");
        }
        if again {
            self.fail("delivered twice");
        }
    }

    /// A node has restarted. What it got in former lives may come again, but for one message.
    pub fn forgive(&mut self, n: usize, but: u16) {
        for (number, said) in (0..).zip(&mut self.said) {
            if said.by != n && number != but {
                said.delivered = 0;
            }
        }
    }

    pub fn deliveries(&self, number: u16) -> u32 {
        self.said[usize::from(number)].delivered
    }

    /// A message is acknowledged that was neither delivered nor reported to its receiver.
    fn acknowledged(&mut self, number: u16) {
        if self.traces {
            eprintln!("{:>8} message {number} is acknowledged", self.now);
        }
        let said = &self.said[usize::from(number)];
        let is_late = self.receptions.values().any(|reception| {
            let counter = said.datagram.get(4..8).and_then(|bytes| bytes.first_chunk());
            counter.is_some_and(|c| reception.late.contains(&u32::from_le_bytes(*c)))
        });
        if said.delivered == 0 && !said.reported && !is_late {
            self.fail("acknowledged and not delivered");
        }
    }

    /// Takes what all nodes have to send and to say.
    pub fn drain(&mut self) {
        for n in 0..self.nodes.len() {
            self.drain_node(n);
        }
    }

    fn drain_node(&mut self, n: usize) {
        let now = self.instant();
        for _ in 0..200 {
            while let Some(event) = self.nodes[n].manager.poll_event() {
                self.event(n, event);
            }
            let node = &mut self.nodes[n];
            let Some(transmit) = node.manager.poll_transmit(now) else { return };
            let (to, bytes) = (transmit.to, transmit.datagram.to_vec());
            let datagram = self.record(n, to, bytes);
            // What is sent to the attacker is recorded and no more.
            if datagram.is_multicast() || self.nodes.iter().any(|node| node.address == to) {
                self.wire.push(datagram);
            }
        }
        self.fail("a node sends without end");
    }

    /// The tape gets what a node sends.
    pub fn record(&mut self, n: usize, to: PeerAddress, bytes: Vec<u8>) -> Datagram {
        self.nodes[n].serial += 1;
        let datagram = Datagram { from: n, serial: self.nodes[n].serial, to, bytes };
        if self.tape.iter().all(|other| other.bytes != datagram.bytes) {
            self.tape.push(datagram.clone());
        }
        datagram
    }

    fn event(&mut self, n: usize, event: Event<()>) {
        match event {
            Event::SignRequest(request) => {
                let mut key = members()[self.nodes[n].member].key.clone();
                let signed = request.sign_with(&mut key);
                let _ = self.call(n, |m, cx| m.complete_signature(cx, signed));
            }
            Event::Established { session, handshake, .. } => {
                let node = &mut self.nodes[n];
                node.established += 1;
                node.sessions.push(session);
                if let Some(handshake) = handshake {
                    node.waits.remove(&handshake);
                    for _ in 0..node.says {
                        self.say(n, session, None);
                    }
                }
            }
            Event::HandshakeFailed { handshake: Some(handshake), .. } => {
                self.nodes[n].waits.remove(&handshake);
                self.nodes[n].failed += 1;
            }
            Event::Acknowledged { exchange, .. } => {
                if let Some(number) = self.nodes[n].in_flight.remove(&exchange) {
                    self.acknowledged(number);
                }
            }
            Event::Undelivered { exchange, .. } => {
                self.nodes[n].in_flight.remove(&exchange);
                self.close_exchange(n, exchange);
            }
            Event::Closed { session, .. } => {
                self.nodes[n].sessions.retain(|other| *other != session);
            }
            Event::RecordChanged { peer, .. } => {
                let node = &mut self.nodes[n];
                node.store.record_changed(&mut node.manager, peer);
            }
            Event::GroupMessages => {
                let mut numbers = Vec::new();
                while let Some(message) = self.nodes[n].manager.groups_mut().poll_message() {
                    numbers.push(u16::from_le_bytes(*message.payload.first_chunk().unwrap()));
                }
                for number in numbers {
                    self.delivered(n, number);
                }
            }
            _ => {}
        }
    }

    /// The wire in the order in which honest networks deliver.
    pub fn sort(&mut self) {
        self.wire.sort_by_key(|datagram| (datagram.serial, datagram.from));
    }

    /// The story goes on: the oldest datagram arrives, or the next timer runs within a time.
    pub fn next(&self, within: u64) -> Option<Act> {
        if !self.wire.is_empty() {
            return Some(Act::Deliver(0));
        }
        let timer = self.timer()?;
        (timer <= self.now + within).then_some(Act::Tick)
    }

    fn timer(&self) -> Option<u64> {
        self.nodes.iter().filter_map(|node| node.manager.poll_timeout()).map(|t| t.as_millis()).min()
    }

    /// What an adversary can do in every world: to what is in flight, with what was recorded, and
    /// to the clock. Restarts and more are up to the world.
    pub fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        for i in 0..self.wire.len() as u8 {
            acts.push(Act::Lose(i));
            if i > 0 {
                acts.push(Act::Deliver(i));
            }
        }
        for (k, datagram) in (0..).zip(&self.tape) {
            acts.push(Act::Replay(k, true));
            // A secure session does not ask where its messages come from.
            if datagram.opcode().is_some() {
                acts.push(Act::Replay(k, false));
            }
        }
        if !self.wire.is_empty() && self.timer().is_some() {
            acts.push(Act::Tick);
        }
        acts
    }

    /// All copies that a node may find at a restart.
    pub fn restarts(&self, n: usize) -> impl Iterator<Item = Act> {
        (0..self.nodes[n].store.copies()).map(move |copy| Act::Restart(n as u8, copy as u8))
    }

    pub fn act(&mut self, act: Act) {
        match act {
            Act::Deliver(i) => {
                let Datagram { from, to, bytes, .. } = self.wire.remove(i.into());
                self.arrive(from, self.nodes[from].address, to, &bytes);
            }
            Act::Lose(i) => drop(self.wire.remove(i.into())),
            Act::Replay(k, elsewhere) => {
                let Datagram { from, to, bytes, .. } = self.tape[usize::from(k)].clone();
                let address = if elsewhere { udp(ELSEWHERE) } else { self.nodes[from].address };
                self.arrive(from, address, to, &bytes);
            }
            Act::Restart(n, copy) => self.start(n.into(), copy.into()),
            Act::Tick => self.tick(),
            Act::Sleep(seconds) => self.now += 1000 * u64::from(seconds),
            Act::Other(_) => unreachable!("the world knows it"),
        }
        self.drain();
        self.sort();
        if self.seals.borrow().repeats {
            self.fail("two messages under one nonce");
        }
    }

    /// A datagram comes to where it was sent; one to a group comes to all.
    fn arrive(&mut self, sender: usize, from: PeerAddress, to: PeerAddress, bytes: &[u8]) {
        let is_group = matches!(to, PeerAddress::Udp(to) if to.ip().is_multicast());
        for n in 0..self.nodes.len() {
            if n != sender && (is_group || self.nodes[n].address == to) {
                self.hand(n, from, bytes);
            }
        }
    }

    fn tick(&mut self) {
        let Some(timer) = self.timer() else { return };
        self.now = self.now.max(timer);
        let now = self.instant();
        for n in 0..self.nodes.len() {
            if self.nodes[n].manager.poll_timeout().is_some_and(|due| due <= now) {
                self.note(n, "timeout");
                self.call(n, |m, cx| m.handle_timeout(cx));
                if self.nodes[n].manager.poll_timeout().is_some_and(|due| due <= now) {
                    self.fail("a timer is due in the past");
                }
            }
        }
    }

    /// Nothing is in the way any more, and all comes to rest.
    pub fn settle(&mut self, within: u64) {
        let end = self.now + within;
        for _ in 0..2_000 {
            self.sort();
            match self.next(end.saturating_sub(self.now)) {
                Some(act) => self.act(act),
                None => return self.now = end,
            }
        }
        self.fail("a world without rest");
    }

    /// Everything is closed and forgotten. Every table must be as it was at the start then.
    pub fn finish(&mut self) {
        self.settle(100_000);
        for n in 0..self.nodes.len() {
            for exchange in core::mem::take(&mut self.nodes[n].open) {
                self.close_exchange(n, exchange);
            }
            self.call(n, |m, cx| {
                m.close_sessions(cx);
                m.window_mut().close();
            });
        }
        self.drain();
        self.settle(100_000);
        let stores: Vec<_> = self.nodes.iter().map(|node| node.store.clone()).collect();
        for (n, store) in stores.into_iter().enumerate() {
            self.call(n, |m, cx| m.records_mut().forget_all(cx));
            self.drain_node(n);
            self.nodes[n].store = store;
        }
        if self.nodes.iter().any(|node| tables(&node.manager) != node.fresh) {
            self.fail("a table that does not return to its start");
        }
    }
}

/// The sizes of all tables of a manager but those of its groups.
fn tables<S: Storage>(manager: &Manager<S>) -> String {
    let text = format!("{manager:?}");
    text.split_once("groups").map_or(text.clone(), |(tables, _)| tables.to_owned())
}

impl Reception {
    fn receive(&mut self, counter: u32) {
        if self.seen.insert(counter) && counter.saturating_add(32) < self.largest {
            self.late.insert(counter);
        }
        self.largest = self.largest.max(counter);
    }
}

fn digest(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
