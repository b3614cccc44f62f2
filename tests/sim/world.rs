//! A world: nodes, their network, and what happens to them.

use core::cell::RefCell;
use std::rc::Rc;

use matter_session::manager::PeerAddress;
use matter_session::time::Instant;

use super::book::{Book, Figures};
use super::hostile::{self, Hostile};
use super::ledger::{Ledger, is_control, is_group};
use super::node::{Luck, Scene};
use super::setting;
pub use super::setting::AnyNode;
use super::store::Finds;
use super::suite::{FABRICS, NODES, Suite};
use super::wire::{Datagram, Wire, over_tcp, over_udp, udp};
use matter_session_testing::rng::Dice;

/// The same of every node.
macro_rules! each {
    ($any:expr, $node:ident => $value:expr) => {
        match $any {
            AnyNode::Heap($node) => $value,
            AnyNode::Arrays($node) => $value,
            AnyNode::Small($node) => $value,
        }
    };
}
pub(super) use each;

/// A node acts on its scene.
macro_rules! at {
    ($world:expr, $n:expr, $node:ident, $scene:ident => $value:expr) => {{
        let world = &mut *$world;
        let $scene = &mut Scene {
            now: Instant::from_millis(world.now + world.clocks[$n]),
            dice: &mut world.dice,
            book: &mut world.book,
            ledger: &world.ledger,
            addresses: &world.addresses,
            traces: world.traces,
        };
        each!(&mut world.nodes[$n], $node => $value)
    }};
}
pub(super) use at;

pub struct World<X: Suite> {
    pub now: u64,
    pub nodes: Vec<AnyNode<X>>,
    pub addresses: Vec<PeerAddress>,
    /// Every place where each node has been.
    pub homes: Vec<Vec<PeerAddress>>,
    /// How much each node's clock is ahead.
    pub clocks: Vec<u64>,
    /// How late each node wakes up, in ms.
    late: Vec<u64>,
    /// Nodes that take datagrams in, and do nothing else.
    frozen: Vec<bool>,
    pub wire: Wire,
    pub hostile: Hostile<X>,
    pub dice: Dice,
    pub book: Book,
    pub ledger: Rc<RefCell<Ledger>>,
    next_port: u16,
    pub traces: bool,
}

impl<X: Suite> World<X> {
    pub fn new(seed: u64, traces: bool) -> Self {
        let mut dice = Dice::new(seed);
        let count = 3 + dice.below(NODES as u64 - 2) as usize;
        let ledger = Rc::new(RefCell::new(Ledger::default()));
        let is_narrow = dice.below(2) == 0;
        let nodes = (0..count).map(|name| {
            let kind = if name < 2 { name as u64 } else { dice.below(3) };
            let luck = Luck::new(Dice::new(dice.roll()), is_narrow);
            setting::node(name, kind, luck, &mut dice, &ledger)
        });
        let nodes: Vec<_> = nodes.collect();
        let mut wire = Wire::new(&mut dice);
        let book = Book::new(dice.below(2) == 0);
        if book.is_hostile {
            wire.altered = [0, 0, 3, 20][dice.below(4) as usize];
        }
        let addresses: Vec<_> = (0..count).map(|n| udp(100 + n as u16)).collect();
        let mut world = Self {
            now: 1_000_000,
            homes: addresses.iter().map(|address| vec![*address]).collect(),
            addresses,
            clocks: (0..count).map(|_| dice.below(3) * 1_000_000).collect(),
            late: (0..count).map(|_| [0, 0, 0, 20, 300][dice.below(5) as usize]).collect(),
            frozen: vec![false; count],
            nodes,
            wire,
            hostile: Hostile::new(&ledger),
            book,
            dice,
            ledger,
            next_port: 200,
            traces,
        };
        for n in 0..count {
            for fabric in 0..FABRICS {
                if (n < 2 && fabric == 0) || world.dice.below(10) < 7 {
                    each!(&mut world.nodes[n], node => node.join(fabric, 0));
                }
            }
            for _ in 0..3 {
                at!(&mut world, n, node, scene => node.administer(scene));
            }
        }
        world
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.traces {
            eprintln!("{:>10} {}", self.now, what());
        }
    }

    /// A life of troubles.
    pub fn live(&mut self, steps: u64) {
        for _ in 0..steps {
            self.step();
            let millis = match self.dice.below(40) {
                0..24 => self.dice.below(40),
                24..36 => self.dice.below(1_000),
                36..39 => self.dice.below(10_000),
                _ => self.dice.below(100_000),
            };
            self.run(millis);
        }
    }

    fn step(&mut self) {
        let n = self.dice.below(self.nodes.len() as u64) as usize;
        match self.dice.below(100) {
            0..74 => at!(self, n, node, scene => node.act(scene)),
            74..84 if self.book.is_hostile => {
                for _ in 0..=self.dice.below(4) {
                    let what = self.harass();
                    self.book.figures.hostile += u64::from(what.is_some());
                    self.tell(|| what.unwrap_or_default());
                }
            }
            84..86 => {
                let other = self.dice.below(self.nodes.len() as u64) as usize;
                self.wire.apart.push((self.addresses[n], self.addresses[other]));
                self.tell(|| format!("nodes {n} and {other} are apart"));
                self.disconnect(n, other);
            }
            86..90 => self.wire.apart.clear(),
            90..92 => self.change_address(n),
            92..94 => {
                let finds = match self.dice.below(4) {
                    0 => Finds::NoRecords,
                    1 => Finds::Newest,
                    _ => Finds::Older(self.dice.roll()),
                };
                self.disconnect_all(n);
                at!(self, n, node, scene => node.restart(scene, finds));
                if self.dice.below(4) == 0 {
                    self.change_address(n);
                }
            }
            94 => self.set_clock(n),
            95 => self.frozen[n] = true,
            96..99 => self.frozen.fill(false),
            _ => {}
        }
    }

    /// The connection between two nodes is lost, if there is one; both are told.
    fn disconnect(&mut self, a: usize, b: usize) {
        self.wire.disconnect(self.addresses[a], self.addresses[b]);
        for (n, peer) in [(a, b), (b, a)] {
            let peer = over_tcp(self.addresses[peer]);
            at!(self, n, node, scene => node.lose_connection(scene, peer));
        }
    }

    fn disconnect_all(&mut self, n: usize) {
        for other in 0..self.nodes.len() {
            self.disconnect(n, other);
        }
    }

    fn change_address(&mut self, n: usize) {
        self.disconnect_all(n);
        self.next_port += 1;
        self.addresses[n] = udp(self.next_port);
        self.homes[n].push(self.addresses[n]);
        self.tell(|| format!("node {n} is at {} now", self.addresses[n]));
    }

    /// A clock goes back a little, or leaps.
    fn set_clock(&mut self, n: usize) {
        let clock = self.clocks[n];
        self.clocks[n] = match self.dice.below(4) {
            0 => clock + 24 * 3_600_000,
            1 => clock + self.dice.below(10_000),
            _ => clock.saturating_sub(self.dice.below(3_000)),
        };
        self.tell(|| format!("the clock of node {n}: from {clock} to {}", self.clocks[n]));
    }

    /// When a node wants to be called, by the clock of the world.
    fn due(&self, n: usize) -> Option<u64> {
        let due = each!(&self.nodes[n], node => node.due())?.as_millis();
        Some(due.saturating_sub(self.clocks[n]) + self.late[n])
    }

    /// Takes what a node has to say and to send. Returns whether it sent anything but control
    /// messages of groups.
    fn drain(&mut self, n: usize) -> bool {
        let mut others = false;
        at!(self, n, node, scene => node.poll_events(scene));
        let mut count = 0;
        while let Some((to, octets)) = at!(self, n, node, scene => node.transmit(scene)) {
            let (is_tcp, is_control) = (to.is_reliable(), is_control(&octets));
            others |= !is_control;
            self.book.figures.syncs += u64::from(is_control);
            if matches!(to, PeerAddress::Udp(to) if to.ip().is_multicast()) {
                assert!(is_group(&octets) && !is_control, "not a message to a group");
                self.multicast(n, &octets);
                continue;
            }
            let from = if is_tcp { over_tcp(self.addresses[n]) } else { self.addresses[n] };
            let passes = self.wire.send(self.now, Datagram { from, to, octets }, &mut self.dice);
            let mut places = self.addresses.iter();
            let known = hostile::is_at(to) || places.any(|address| *address == over_udp(to));
            if is_tcp && !(passes && known) {
                at!(self, n, node, scene => node.lose_connection(scene, to));
            }
            at!(self, n, node, scene => node.poll_events(scene));
            count += 1;
            assert!(count < 1_000, "node {n} sends without end");
        }
        others
    }

    /// A message comes to every node that listens, and at times back to its sender.
    fn multicast(&mut self, n: usize, octets: &[u8]) {
        let loops = self.dice.below(4) == 0;
        let from = self.addresses[n];
        let listeners = (0..self.nodes.len()).filter(|other| *other != n || loops);
        for to in listeners.map(|other| self.addresses[other]).collect::<Vec<_>>() {
            let datagram = Datagram { from, to, octets: octets.to_vec() };
            self.wire.send(self.now, datagram, &mut self.dice);
        }
    }

    fn wake(&mut self, n: usize) {
        at!(self, n, node, scene => node.timeout(scene));
        self.drain(n);
        let now = self.now + self.clocks[n];
        let due = each!(&self.nodes[n], node => node.due());
        // What is computed is due at once, until it is done.
        let computes = each!(&mut self.nodes[n], node => node.manager.handshakes().is_computing());
        let is_past = due.is_some_and(|due| due.as_millis() < now);
        assert!(computes || !is_past, "node {n} is due in the past");
    }

    /// Everything that happens without time passing.
    fn settle(&mut self) {
        /// A message that leaves over TCP wakes its node once more, and each part that a handshake
        /// computes does.
        const MOST_WAKES: u32 = 2_000;
        let mut wakes = 0;
        for _ in 0..10_000 {
            for n in 0..self.nodes.len() {
                if !self.frozen[n] {
                    self.drain(n);
                }
            }
            if let Some(datagram) = self.wire.take(self.now) {
                self.deliver(datagram);
                continue;
            }
            let is_due =
                |n: &usize| !self.frozen[*n] && self.due(*n).is_some_and(|d| d <= self.now);
            let due: Vec<_> = (0..self.nodes.len()).filter(is_due).collect();
            if due.is_empty() {
                return;
            }
            for n in due {
                self.wake(n);
            }
            wakes += 1;
            assert!(wakes < MOST_WAKES, "a timer without end");
        }
        panic!("a conversation without end");
    }

    fn deliver(&mut self, datagram: Datagram) {
        let Datagram { from, to, mut octets } = datagram;
        if let Some(n) = self.addresses.iter().position(|address| *address == over_udp(to)) {
            let is_group = is_group(&octets) && !self.frozen[n];
            if is_group {
                self.drain(n);
            }
            at!(self, n, node, scene => node.receive(scene, from, &mut octets));
            if !self.frozen[n] {
                let answers = self.drain(n);
                assert!(!(is_group && answers), "node {n} answers a group message");
                // An answer is under way to somebody who hears this first.
                if is_control(&octets) && self.dice.below(2) == 0 {
                    at!(self, n, node, scene => node.tell_all_groups(scene));
                    self.drain(n);
                }
            }
            // To look every time would take most of the time.
            if self.wire.count.is_multiple_of(8) {
                each!(&mut self.nodes[n], node => node.check(self.frozen[n]));
            }
        }
    }

    /// The next moment at which something happens by itself.
    fn next(&self) -> Option<u64> {
        let timers = (0..self.nodes.len()).filter(|n| !self.frozen[*n]).filter_map(|n| self.due(n));
        timers.chain(self.wire.next()).min()
    }

    /// Lets time pass.
    pub fn run(&mut self, millis: u64) {
        self.pass(millis);
        for n in 0..self.nodes.len() {
            each!(&mut self.nodes[n], node => node.check(self.frozen[n]));
        }
    }

    fn pass(&mut self, millis: u64) {
        let end = self.now + millis;
        self.settle();
        let mut steps = 0;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.settle();
            steps += 1;
            assert!(steps < 100_000, "timers without end");
        }
        self.now = end;
        self.settle();
    }

    /// Nothing is in the way any more: everything that is under way comes to its end.
    pub fn recover(&mut self) {
        self.tell(|| "everything is well again".into());
        self.wire.heal();
        self.frozen.fill(false);
        self.late.fill(0);
        for n in 0..self.nodes.len() {
            at!(self, n, node, scene => node.recover(scene));
        }
        self.rest();
    }

    /// Runs until nothing is under way, and checks that it stays like that.
    pub fn rest(&mut self) {
        // Whoever alters a first message can name the longest intervals.
        let end = self.now + 4 * 24 * 3_600_000;
        self.settle();
        while !self.is_quiet()
            && let Some(next) = self.next().filter(|next| *next <= end)
        {
            self.pass(next.saturating_sub(self.now));
        }
        // A commissioner that is idle loses its session: the fail-safe expires.
        self.run(60_000);
        for node in &mut self.nodes {
            each!(node, node => node.check_quiet());
        }
        let before = self.wire.count;
        self.run(600_000);
        assert_eq!(self.wire.count, before, "an idle system sends");
    }

    /// Whether nothing is under way.
    fn is_quiet(&self) -> bool {
        let mut nodes = self.nodes.iter();
        self.wire.next().is_none() && nodes.all(|node| each!(node, node => node.is_quiet()))
    }

    pub fn figures(&self) -> Figures {
        Figures { seeds: 1, datagrams: self.wire.count, ..self.book.figures }
    }

    /// Who is a member of a fabric.
    pub fn members(&self, fabric: usize) -> Vec<usize> {
        let member = |n: &usize| each!(&self.nodes[*n], node => node.index_of(fabric)).is_some();
        (0..self.nodes.len()).filter(member).collect()
    }
}
