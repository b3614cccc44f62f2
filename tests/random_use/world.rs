//! Three managers, one thoughtless application, and what is on its way between them.

use std::collections::VecDeque;

use matter_session::handshake::{Claimed, SignRequest, Signed};
use matter_session::ids::Group;
use matter_session::manager::{
    Dropped, Event, ExchangeHandle, HandshakeHandle, PeerAddress, Received, SessionHandle, Storage,
};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::SessionKind;
use matter_session_testing::rng::Dice;

use super::node::{FABRICS, NODES, Node, coin, id, members, tables};

/// Everything that was ever handed out, by all managers, and is given to any of them.
#[derive(Default)]
pub struct Pool {
    pub sessions: VecDeque<SessionHandle>,
    /// With the node whose it is.
    pub exchanges: VecDeque<(usize, ExchangeHandle)>,
    pub handshakes: VecDeque<HandshakeHandle>,
    pub requests: VecDeque<SignRequest>,
    pub signed: VecDeque<Signed>,
    pub claimed: VecDeque<Claimed>,
    pub records: VecDeque<ResumptionRecord>,
    pub fabrics: VecDeque<Vec<u8>>,
    pub datagrams: VecDeque<Datagram>,
}

pub struct Datagram {
    pub from: PeerAddress,
    pub to: PeerAddress,
    pub bytes: Vec<u8>,
}

pub struct World<S: Storage> {
    pub nodes: Vec<Node<S>>,
    pub pool: Pool,
    pub wire: VecDeque<Datagram>,
    pub dice: Dice,
    pub figures: Figures,
    pub traces: bool,
}

/// What has happened, so that nobody takes a world in which nothing does for a safe one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub calls: u64,
    pub pase: u64,
    pub full: u64,
    pub resumed: u64,
    pub failed: u64,
    pub closed: u64,
    pub messages: u64,
    pub acknowledged: u64,
    pub undelivered: u64,
    pub unanswered: u64,
    pub group_messages: u64,
    pub synchronized: u64,
    pub check_ins: u64,
    pub refused: u64,
    pub claims: u64,
}

impl Figures {
    /// What happens often. Neither a response that stays away until its deadline, nor the answer to
    /// a request for a counter does among random calls: `tests/scenarios` and `tests/attacks` have
    /// them.
    pub const fn frequent(&self) -> [u64; 13] {
        let Self { calls, pase, full, resumed, failed, closed, messages, .. } = *self;
        let Self { acknowledged, undelivered, group_messages, .. } = *self;
        let Self { check_ins, refused, claims, .. } = *self;
        [
            calls,
            pase,
            full,
            resumed,
            failed,
            closed,
            messages,
            acknowledged,
            undelivered,
            group_messages,
            check_ins,
            refused,
            claims,
        ]
    }

    pub const fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.pase += other.pase;
        self.full += other.full;
        self.resumed += other.resumed;
        self.failed += other.failed;
        self.closed += other.closed;
        self.messages += other.messages;
        self.acknowledged += other.acknowledged;
        self.undelivered += other.undelivered;
        self.group_messages += other.group_messages;
        self.synchronized += other.synchronized;
        self.check_ins += other.check_ins;
        self.refused += other.refused;
        self.claims += other.claims;
    }
}

/// Keeps what is new, and forgets the oldest.
pub fn keep<T>(pool: &mut VecDeque<T>, new: T) {
    if pool.len() >= 32 {
        pool.pop_front();
    }
    pool.push_back(new);
}

/// Mostly one of the newest.
pub fn pick<'a, T>(pool: &'a VecDeque<T>, dice: &mut Dice) -> Option<&'a T> {
    let newest = (pool.len() as u64).min(if coin(dice) { 3 } else { 32 });
    (newest > 0).then(|| &pool[pool.len() - 1 - dice.below(newest) as usize])
}

/// The addresses of a node: over UDP, and the numbers of connections, which two ends share here.
pub fn address(n: usize, kind: u64) -> PeerAddress {
    match kind {
        0 => PeerAddress::Tcp(n as u32),
        1 => PeerAddress::Link(n as u32),
        _ => PeerAddress::Udp(([127, 0, 0, 1], n as u16).into()),
    }
}

impl<S: Storage> World<S> {
    pub fn new(seed: u64, traces: bool) -> Self {
        let mut dice = Dice::new(seed);
        let nodes = (0..NODES).map(|_| Node::new(&mut dice)).collect();
        let (pool, wire) = (Pool::default(), VecDeque::new());
        let mut world = Self { nodes, pool, wire, dice, figures: Figures::default(), traces };
        world.begin(Dice::new(seed));
        world
    }

    /// Each node becomes a member of some fabrics.
    pub fn begin(&mut self, dice: Dice) {
        self.dice = dice;
        for n in 0..NODES {
            for fabric in members().iter().take(1 + self.dice.below(FABRICS as u64) as usize) {
                let added = self.nodes[n].manager.fabrics_mut().add(&fabric[n].credentials());
                if let Ok(index) = added {
                    self.nodes[n].enter_groups(index, &mut self.dice);
                }
            }
        }
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.traces {
            eprintln!("{}", what());
        }
    }

    pub fn live(&mut self, calls: u32) {
        for _ in 0..calls {
            let n = self.dice.below(NODES as u64) as usize;
            match self.dice.below(10) {
                0..4 => self.call(n),
                4..8 => self.carry(),
                _ => self.pass(n),
            }
        }
    }

    /// Everything that is polled, and what is on the wire arrives, mostly.
    fn carry(&mut self) {
        for n in 0..NODES {
            if self.dice.below(8) != 0 {
                self.poll(n);
            }
        }
        for _ in 0..self.dice.below(8) {
            let Some(datagram) = self.wire.pop_front() else { return };
            if self.dice.below(10) != 0 {
                self.arrive(&datagram);
            }
            keep(&mut self.pool.datagrams, datagram);
        }
    }

    /// Takes some or all of what a node has to send and to say.
    fn poll(&mut self, n: usize) {
        /// No backlog is longer.
        const MOST: usize = 20_000;
        for _ in 0..MOST {
            let event = self.nodes[n].manager.poll_event();
            let Some(event) = event else { break };
            self.event(n, event);
        }
        let now = self.nodes[n].instant();
        for sent in 0.. {
            assert!(sent < MOST, "node {n} sends without end");
            let Some(transmit) = self.nodes[n].manager.poll_transmit(now) else { return };
            let (to, bytes) = (transmit.to, transmit.datagram.to_vec());
            self.send(n, to, bytes);
            if self.dice.below(50) == 0 {
                return;
            }
        }
    }

    pub fn send(&mut self, n: usize, to: PeerAddress, bytes: Vec<u8>) {
        let from = match to {
            PeerAddress::Tcp(_) => address(n, 0),
            PeerAddress::Link(_) => address(n, 1),
            _ => address(n, 2),
        };
        self.wire.push_back(Datagram { from, to, bytes });
        if self.wire.len() > 64 {
            self.wire.pop_front();
        }
    }

    fn event(&mut self, n: usize, event: Event<Box<u64>>) {
        match event {
            Event::SignRequest(request) => match self.dice.below(6) {
                0 => keep(&mut self.pool.requests, request),
                1 => {
                    let signed = self.sign(n, request);
                    keep(&mut self.pool.signed, signed);
                }
                _ => {
                    let signed = self.sign(n, request);
                    let _ = self.nodes[n].call(|m, cx| m.complete_signature(cx, signed));
                }
            },
            Event::ClaimRequest(request) => {
                self.figures.claims += 1;
                let claimed = request.complete(self.dice.below(3) != 0);
                if self.dice.below(3) == 0 {
                    keep(&mut self.pool.claimed, claimed);
                } else {
                    let _ = self.nodes[n].call(|m, cx| m.records_mut().complete_claim(cx, claimed));
                }
            }
            Event::Established { session, resumed, .. } => {
                let established = self.nodes[n].manager.session(session);
                let is_pase = established.is_some_and(|s| s.session().kind() == SessionKind::Pase);
                self.figures.pase += u64::from(is_pase);
                self.figures.resumed += u64::from(resumed);
                self.figures.full += u64::from(!resumed && !is_pase);
                keep(&mut self.pool.sessions, session);
            }
            Event::HandshakeFailed { .. } => self.figures.failed += 1,
            Event::Closed { .. } => self.figures.closed += 1,
            Event::Acknowledged { .. } => self.figures.acknowledged += 1,
            Event::Undelivered { .. } => self.figures.undelivered += 1,
            Event::NoResponse { .. } => self.figures.unanswered += 1,
            Event::RecordChanged { peer, .. } => {
                let stored = self.nodes[n].manager.records_mut().export(peer);
                if let Some(bytes) = stored {
                    let record = ResumptionRecord::from_bytes(bytes.as_bytes()).expect("exported");
                    keep(&mut self.pool.records, record);
                }
            }
            Event::GroupMessages => {
                for count in 0.. {
                    assert!(count < 1_000, "group messages without end");
                    if self.nodes[n].manager.groups_mut().poll_message().is_none() {
                        return;
                    }
                    self.figures.synchronized += 1;
                }
            }
            _ => {}
        }
    }

    /// With the key of the fabric, or what is taken for it.
    pub fn sign(&mut self, n: usize, request: SignRequest) -> Signed {
        let fabric = usize::from(request.fabric().get() - 1).min(FABRICS - 1);
        request.sign_with(&mut members()[fabric][n].key.clone())
    }

    pub fn arrive(&mut self, datagram: &Datagram) {
        let to = match datagram.to {
            PeerAddress::Tcp(n) | PeerAddress::Link(n) => vec![n as usize],
            PeerAddress::Udp(to) if to.ip().is_multicast() => (0..NODES).collect(),
            PeerAddress::Udp(to) => vec![to.port().into()],
            _ => return,
        };
        for n in to.into_iter().filter(|n| *n < NODES) {
            self.hand(n, datagram.from, &mut datagram.bytes.clone());
        }
    }

    pub fn hand(&mut self, n: usize, from: PeerAddress, bytes: &mut [u8]) {
        let Self { nodes, figures, pool, dice, .. } = self;
        nodes[n].call(|m, cx| match m.handle_datagram(cx, from, bytes) {
            Received::Message(message) => {
                figures.messages += 1;
                keep(&mut pool.sessions, message.session);
                keep(&mut pool.exchanges, (n, message.exchange));
                if coin(dice) {
                    let _ = m.send(cx, message.exchange, message.kind, message.payload);
                }
            }
            Received::Group(_) => figures.group_messages += 1,
            Received::CheckIn { .. } => figures.check_ins += 1,
            Received::Dropped(Dropped::NoExchange | Dropped::Backlog) => figures.refused += 1,
            _ => {}
        });
    }

    /// Time passes for a node, or jumps.
    fn pass(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let due = node.manager.poll_timeout().map(|due| due.as_millis());
        node.now = match (self.dice.below(20), due) {
            (0, _) => node.now.saturating_sub(self.dice.below(100_000)),
            (1, _) => node.now.saturating_add(self.dice.below(100_000_000)),
            (2, _) => node.now.saturating_add(self.dice.below(100_000)),
            (3..12, Some(due)) if due < u64::MAX / 2 => node.now.max(due),
            _ => node.now.saturating_add(self.dice.below(500)),
        };
        if self.dice.below(6) != 0 {
            node.call(|m, cx| m.handle_timeout(cx));
        }
    }

    /// Everything is closed and removed, and time passes. Every table is empty then.
    pub fn close(&mut self) {
        self.pool = Pool::default();
        self.wire.clear();
        for n in 0..NODES {
            self.tell(|| format!("node {n} closes"));
            for _ in 0..4 {
                self.nodes[n].call(|m, cx| {
                    m.handshakes().set_busy(None);
                    m.sessions_mut().close_all(cx);
                    m.window().close();
                    m.records_mut().forget_all(cx);
                    let fabrics: Vec<_> = m.fabrics().iter().map(|f| f.index()).collect();
                    for fabric in fabrics {
                        let groups: Vec<_> = m.groups().iter(fabric).map(|(id, _)| id).collect();
                        for group in groups {
                            m.groups_mut().remove(Group::new(fabric, group));
                        }
                        assert!(m.fabrics_mut().remove(cx, fabric));
                    }
                    for connection in (0..=9).flat_map(|c| [address(c, 0), address(c, 1)]) {
                        m.connections().handle_disconnect(cx, connection);
                    }
                });
                self.rest(n);
            }
            let node = &self.nodes[n];
            assert_eq!(tables(&node.manager), node.fresh, "node {n}");
            assert!(node.manager.is_settled(), "node {n}");
        }
        self.wire.clear();
    }

    /// Time passes until a node waits for nothing.
    fn rest(&mut self, n: usize) {
        /// So many timers at one moment are too many.
        const MOST: usize = 5_000;
        for timers in 0.. {
            self.drop_output(n);
            let node = &mut self.nodes[n];
            let Some(due) = node.manager.poll_timeout() else { return };
            // What is due at the end of all time never comes.
            if due.as_millis() == u64::MAX {
                return;
            }
            assert!(timers < MOST, "node {n} has timers without end: {:?}", node.manager);
            node.now = node.now.max(due.as_millis());
            node.call(|m, cx| m.handle_timeout(cx));
        }
    }

    /// Nothing of it arrives. Requests to sign get no answer.
    fn drop_output(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        for count in 0.. {
            assert!(count < 20_000, "node {n} has output without end");
            let event = node.manager.poll_event().is_some();
            let sent = node.manager.poll_transmit(node.instant()).is_some();
            let told = node.manager.groups_mut().poll_message().is_some();
            if !event && !sent && !told {
                return;
            }
        }
    }
}

/// The node id of some node, or of none.
pub fn any_node(dice: &mut Dice) -> u64 {
    if dice.below(20) == 0 { dice.roll() } else { id(dice.below(NODES as u64) as usize) }
}
