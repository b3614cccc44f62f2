//! Nodes in a world, their wire, their clock, and what an adversary can do to them.

use core::cell::RefCell;
use core::fmt::Debug;
use core::hash::{Hash, Hasher};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::DefaultHasher;
use std::rc::Rc;
use std::sync::OnceLock;

use matter_session::context::{Context, Services};
use matter_session::manager::{Config, PeerAddress, SessionManager, Storage};
use matter_session::time::Instant;

use super::Act;
use super::book::{Reception, Said};
use super::node::{Datagram, ELSEWHERE, FirstId, Manager, Node, members, udp};
use super::seals::{Seals, backend};
use super::store::{Copy, Store};
use crate::net::{Memory, compute};
use crate::rng::Dice;

pub struct Lab<S: Storage> {
    pub now: u64,
    pub nodes: Vec<Node<S>>,
    pub wire: Vec<Datagram>,
    /// Every datagram that was ever sent, once.
    pub tape: Vec<Datagram>,
    pub seals: Rc<RefCell<Seals>>,
    pub(super) said: Vec<Said>,
    /// By receiver and its session id.
    pub(super) receptions: BTreeMap<(usize, [u8; 2]), Reception>,
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
        let mut first = FirstId::new(&mut node.rng);
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
            eprintln!("{:>8} node {n}: {:.160}", self.now, format!("{what:02x?}"));
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
        let mut services = Services::new(rng).with_counters(bounds);
        let mut cx = services.at(now);
        let result = f(manager, &mut cx);
        compute(manager, &mut cx);
        result
    }

    /// Takes what all nodes have to send and to say.
    pub fn drain(&mut self) {
        for n in 0..self.nodes.len() {
            self.drain_node(n);
        }
    }

    pub(super) fn drain_node(&mut self, n: usize) {
        let now = self.instant();
        for _ in 0..200 {
            // What the manager says by itself comes before what the application has to say to it.
            let node = &mut self.nodes[n];
            let Some(transmit) = node.manager.poll_transmit(now) else {
                let Some(event) = node.manager.poll_event() else { return };
                self.event(n, event);
                continue;
            };
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
                m.sessions_mut().close_all(cx);
                m.window().close();
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

fn digest(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
