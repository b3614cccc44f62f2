//! Two managers, their applications, and a network that does what the input says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::OnceLock;
use std::time::Duration;

use matter_session::context::{Context, Services};
use matter_session::crypto::{Passcode, Secret};
use matter_session::fabric::GroupKey;
use matter_session::group::{EpochStart, GroupEpoch, GroupKeySet, SecurityPolicy};
use matter_session::handshake::SignRequest;
use matter_session::ids::{
    FabricIndex, Group, GroupId, GroupKeySetId, MessageType, NodeId, Peer, ProtocolId,
};
use matter_session::manager::{
    Config, ConnectError, Dropped, Event, ExchangeHandle, GroupMessage, GroupSettings, Heap,
    PeerAddress, Received, SessionHandle, SessionManager,
};
use matter_session::time::Instant;

use crate::Input;
use matter_session_testing::net::{Memory, compute};
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyAuthority, ToyMember};

type Manager = SessionManager<Toy, Heap>;

#[derive(Debug)]
enum Op {
    Case(bool),
    Pase(bool, bool),
    OpenWindow(bool),
    CloseWindow(bool),
    Say(bool, u8, u8),
    Answer(bool, u8),
    CloseExchange(bool, u8),
    Expect(bool, u8, u16),
    Close(bool, u8),
    Forget(bool),
    RemoveFabric(bool),
    /// Time passes, and nothing arrives.
    Wait(u16),
    /// Everything arrives, in order, for so many milliseconds.
    Run(u16),
    Deliver(u8),
    Lose(u8),
    Twice(u8),
    Alter(u8, u16, u8),
    Cut(u8, u16),
    /// An old datagram, from its sender or from elsewhere.
    Replay(u8, bool),
    Inject(bool, Vec<u8>),
    /// The application stops to poll events, or goes on.
    Lag(bool),
    /// The operational key takes its time, or does not.
    SlowKey(bool),
    Sign(bool, u8),
    Disconnected(bool),
    ClockBack(u8),
    /// A message to a group.
    Tell(bool, u8),
    /// Other keys of a key set.
    Rotate(bool, u8),
    /// Leaves a group, or enters it again.
    Leave(bool, u8),
    /// A handshake at several addresses, one of which leads to the other node.
    CaseAtSeveral(bool, u8),
    /// The application says where a peer is, that it listens, or that its network is slow.
    Reach(bool, u8, u8),
    /// A Check-In message, with this payload and with or without a request for acknowledgement.
    CheckIn(bool, bool, Vec<u8>),
}

impl Op {
    /// One octet says which and where, those behind it the rest.
    fn read(input: &mut Input<'_>) -> Self {
        let octet = input.octet();
        let n = octet & 0x80 != 0;
        match octet & 0x1F {
            0 => Self::Case(n),
            1 => Self::Pase(n, octet & 0x40 == 0),
            2 => Self::OpenWindow(n),
            3 => Self::CloseWindow(n),
            4 => Self::Say(n, input.octet(), input.octet()),
            5 => Self::Answer(n, input.octet()),
            6 => Self::CloseExchange(n, input.octet()),
            7 => Self::Close(n, input.octet()),
            8 => Self::Forget(n),
            9 => Self::RemoveFabric(n),
            10 => Self::Wait(input.word()),
            11 => Self::Run(input.word()),
            12 => Self::Lose(input.octet()),
            13 => Self::Twice(input.octet()),
            14 => Self::Alter(input.octet(), input.word(), input.octet()),
            15 => Self::Cut(input.octet(), input.word()),
            16 => Self::Replay(input.octet(), n),
            17 => Self::Inject(n, input.octets().to_vec()),
            18 => Self::Lag(n),
            19 => Self::SlowKey(n),
            20 => Self::Sign(n, input.octet()),
            21 => Self::Disconnected(n),
            22 => Self::ClockBack(input.octet()),
            23 => Self::Tell(n, input.octet()),
            29 => Self::Rotate(n, input.octet()),
            30 => Self::Leave(n, input.octet()),
            28 => Self::Expect(n, input.octet(), input.word()),
            25 => Self::CaseAtSeveral(n, input.octet()),
            26 => Self::Reach(n, input.octet(), input.octet()),
            24 => Self::CheckIn(n, octet & 0x40 == 0, input.octets().to_vec()),
            _ => Self::Deliver(octet >> 5),
        }
    }
}

struct Node {
    manager: Manager,
    rng: Dice,
    requests: Vec<SignRequest>,
    polls: bool,
    signs: bool,
    heard: Vec<(SessionHandle, ExchangeHandle)>,
    bounds: Memory,
    /// Messages to groups: the group and the payload.
    group_heard: Vec<(u16, Vec<u8>)>,
}

#[derive(Clone)]
struct Datagram {
    from: PeerAddress,
    to: usize,
    octets: Vec<u8>,
    /// As it was sent, if it was.
    sent: Option<Vec<u8>>,
}

struct World {
    now: u64,
    over_tcp: bool,
    nodes: [Node; 2],
    wire: VecDeque<Datagram>,
    past: VecDeque<Datagram>,
    /// Who sent which number, on the session with which attestation challenge.
    said: BTreeMap<u32, (usize, [u8; 16])>,
    delivered: BTreeSet<u32>,
    /// Who told what to which group.
    told: Vec<(usize, u16, Vec<u8>)>,
    sent: usize,
}

const SESSIONS: usize = 3;
const EXCHANGES: usize = 6;
const HANDSHAKES: usize = 3;
const RECORDS: usize = 1;
const IDS: [u64; 2] = [100, 200];
const IM: ProtocolId = ProtocolId::INTERACTION_MODEL;

/// The first octet of an input whose nodes speak TCP.
const OVER_TCP: u8 = 0xFF;

fn members() -> &'static [ToyMember; 2] {
    static MEMBERS: OnceLock<[ToyMember; 2]> = OnceLock::new();
    MEMBERS.get_or_init(|| {
        let mut rng = Dice::new(1);
        let mut authority = ToyAuthority::new(1, true, &mut rng);
        IDS.map(|id| authority.admit(id, &mut rng))
    })
}

/// Operations one after another; then nothing is in the way any more, and all comes to rest.
///
/// Over TCP too the network does what the input says: whoever sits on it can.
pub fn manager(data: &[u8]) {
    let over_tcp = data.first() == Some(&OVER_TCP);
    let mut input = Input(&data[usize::from(over_tcp)..]);
    let mut world = World::new(over_tcp);
    for _ in 0..200 {
        if input.is_empty() {
            break;
        }
        world.apply(Op::read(&mut input));
        world.check();
    }
    world.recover();
}

impl World {
    fn new(over_tcp: bool) -> Self {
        let config = Config::default()
            .with_sessions(SESSIONS)
            .with_less_than_specified()
            .with_exchanges(EXCHANGES)
            .with_exchanges_per_session(3)
            .with_events(4)
            .with_replies(SESSIONS + 1)
            .with_fabrics(2)
            .with_records(RECORDS, Duration::from_secs(30))
            .with_handshakes(HANDSHAKES, Duration::from_millis(100));
        let node = |n: usize| {
            let mut rng = Dice::new(7 + n as u64);
            let mut manager = Manager::new(config.clone(), Toy, &mut rng);
            manager.fabrics_mut().add(&members()[n].credentials()).unwrap();
            let mut node = Node {
                manager,
                rng,
                requests: Vec::new(),
                polls: true,
                signs: true,
                heard: Vec::new(),
                bounds: Memory::default(),
                group_heard: Vec::new(),
            };
            node.enter_groups();
            node
        };
        Self {
            now: 1_000_000,
            over_tcp,
            nodes: [node(0), node(1)],
            wire: VecDeque::new(),
            past: VecDeque::new(),
            said: BTreeMap::new(),
            delivered: BTreeSet::new(),
            told: Vec::new(),
            sent: 0,
        }
    }

    fn address(&self, n: usize) -> PeerAddress {
        if self.over_tcp {
            PeerAddress::Tcp(n as u32)
        } else {
            PeerAddress::Udp(([127, 0, 0, 1], n as u16).into())
        }
    }

    fn call<R>(&mut self, n: usize, f: impl FnOnce(&mut Manager, &mut Context<'_>) -> R) -> R {
        let Node { manager, rng, bounds, .. } = &mut self.nodes[n];
        let mut services = Services::new(rng).with_counters(bounds);
        let mut cx = services.at(Instant::from_millis(self.now));
        let result = f(manager, &mut cx);
        compute(manager, &mut cx);
        result
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Case(n) => self.dial(n.into()),
            Op::CaseAtSeveral(n, which) => {
                let n = usize::from(n);
                let mut to = [9, 8, 7].map(|port| self.address(port));
                to[usize::from(which) % 3] = self.address(1 - n);
                let peer = Peer::new(FabricIndex::MIN, NodeId::new(IDS[1 - n]));
                let begun = self.call(n, |m, cx| m.connect_case(cx, to, peer));
                assert!(!self.over_tcp || begun == Err(ConnectError::SeveralConnections));
            }
            Op::Reach(n, which, how) => {
                let n = usize::from(n);
                let peer = Peer::new(FabricIndex::MIN, NodeId::new(IDS[1 - n]));
                let Some(session) = self.session(n, which) else { return };
                let (to, boost) = (self.address(1 - n), Duration::from_millis(how.into()));
                self.call(n, |m, cx| match how % 4 {
                    0 => m.sessions_mut().peer_is_awake(cx, peer),
                    1 => m.sessions_mut().set_retransmission_boost(session, boost),
                    2 => assert!(m.sessions_mut().move_session(session, to).is_ok()),
                    _ => {
                        let elsewhere = PeerAddress::Udp(([127, 0, 0, 1], 9).into());
                        let _ = m.sessions_mut().move_session(session, elsewhere);
                    }
                });
            }
            Op::Pase(n, right) => {
                let passcode = Passcode::new(if right { 20_202_021 } else { 20_202_022 }).unwrap();
                let to = self.address(1 - usize::from(n));
                let _ = self.call(n.into(), |m, cx| m.connect_pase(cx, to, passcode));
            }
            Op::OpenWindow(n) => {
                let passcode = Passcode::new(20_202_021).unwrap();
                let _ = self.call(n.into(), |m, cx| m.window().open_for(cx, &passcode, None));
            }
            Op::CloseWindow(n) => self.call(n.into(), |m, _| m.window().close()),
            Op::Say(n, which, len) => {
                let n = usize::from(n);
                let Some(session) = self.session(n, which) else { return };
                let opened = self.call(n, |m, cx| m.open_exchange(cx, session));
                if let Ok(exchange) = opened {
                    self.say(n, (session, exchange), len);
                }
            }
            Op::Answer(n, which) => {
                if let Some(heard) = self.heard(n.into(), which) {
                    self.say(n.into(), heard, which);
                }
            }
            Op::CloseExchange(n, which) => {
                if let Some((_, exchange)) = self.heard(n.into(), which) {
                    self.call(n.into(), |m, _| m.close_exchange(exchange));
                }
            }
            Op::Expect(n, which, millis) => {
                if let Some((_, exchange)) = self.heard(n.into(), which) {
                    let processing = Duration::from_millis(millis.into());
                    self.call(n.into(), |m, cx| {
                        m.sessions_mut().expect_response(cx, exchange, processing)
                    });
                }
            }
            Op::Close(n, which) => {
                if let Some(session) = self.session(n.into(), which) {
                    self.call(n.into(), |m, cx| m.close_session(cx, session));
                }
            }
            Op::Forget(n) => self.call(n.into(), |m, cx| m.records_mut().forget_all(cx)),
            Op::RemoveFabric(n) => {
                assert!(self.call(n.into(), |m, cx| m.fabrics_mut().remove(cx, FabricIndex::MIN)));
                let credentials = members()[usize::from(n)].credentials();
                let added = self.call(n.into(), |m, _| m.fabrics_mut().add(&credentials));
                assert_eq!(added, Ok(FabricIndex::MIN));
                // The counters of senders are gone with it.
                let node = &mut self.nodes[usize::from(n)];
                node.group_heard.clear();
                node.enter_groups();
            }
            Op::Wait(millis) => {
                self.now += u64::from(millis);
                self.timeouts();
            }
            Op::Run(millis) => self.run(millis.into()),
            Op::Deliver(i) => {
                if let Some(at) = self.on_the_wire(i) {
                    let datagram = self.wire.remove(at).unwrap();
                    self.hand(datagram, true);
                }
            }
            Op::Lose(i) => {
                if let Some(at) = self.on_the_wire(i) {
                    self.wire.remove(at);
                }
            }
            Op::Twice(i) => {
                if let Some(at) = self.on_the_wire(i) {
                    let copy = self.wire[at].clone();
                    self.wire.push_back(copy);
                }
            }
            Op::Alter(i, at, change) => {
                let Some(which) = self.on_the_wire(i) else { return };
                let datagram = &mut self.wire[which];
                let len = datagram.octets.len();
                datagram.octets[usize::from(at) % len] ^= change;
            }
            Op::Cut(i, len) => {
                let Some(which) = self.on_the_wire(i) else { return };
                let datagram = &mut self.wire[which];
                datagram.octets.truncate(len.into());
                if datagram.octets.is_empty() {
                    self.wire.remove(which);
                }
            }
            Op::Replay(i, elsewhere) => {
                let Some(mut datagram) = pick(self.past.len(), i).map(|i| self.past[i].clone())
                else {
                    return;
                };
                if elsewhere {
                    datagram.from = self.address(9);
                }
                self.hand(datagram, true);
            }
            Op::Inject(n, octets) => {
                let to = usize::from(n);
                self.hand(Datagram { from: self.address(1 - to), to, sent: None, octets }, true);
            }
            Op::Lag(n) => self.nodes[usize::from(n)].polls ^= true,
            Op::SlowKey(n) => self.nodes[usize::from(n)].signs ^= true,
            Op::Sign(n, which) => {
                let n = usize::from(n);
                if let Some(at) = pick(self.nodes[n].requests.len(), which) {
                    let request = self.nodes[n].requests.swap_remove(at);
                    let signed = request.sign_with(&mut members()[n].key.clone());
                    self.call(n, |m, cx| m.complete_signature(cx, signed).is_ok());
                }
            }
            Op::Disconnected(n) => {
                let peer = self.address(1 - usize::from(n));
                self.call(n.into(), |m, cx| m.connections().handle_disconnect(cx, peer));
            }
            Op::ClockBack(millis) => self.now -= u64::from(millis),
            Op::Tell(n, which) => self.tell(n.into(), 1 + u16::from(which % 2)),
            Op::Rotate(n, which) => {
                let keys = [&[7][..], &[7, 8], &[7, 8, 9], &[8, 9]][usize::from(which >> 1) % 4];
                self.nodes[usize::from(n)].install(1 + u16::from(which % 2), keys);
            }
            Op::Leave(n, which) => {
                let group = Group::new(FabricIndex::MIN, GroupId::new(1 + u16::from(which % 2)));
                let node = &mut self.nodes[usize::from(n)];
                if !node.manager.groups_mut().remove(group) {
                    node.enter_groups();
                }
            }
            Op::CheckIn(n, wants_ack, payload) => {
                let to = usize::from(n);
                let flags = 1 | u8::from(wants_ack) << 2;
                let mut octets = vec![4, 0, 0, 0, 9, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
                octets.extend([flags, 0x50, 1, 2, 0, 0]);
                octets.extend(&payload);
                let (from, before) = (self.address(1 - to), self.facts(to));
                let received = self.call(to, |m, cx| {
                    let received = m.handle_datagram(cx, from, &mut octets);
                    matches!(received, Received::CheckIn { payload: it, .. } if it == &payload[..])
                });
                assert!(received);
                assert_eq!(self.facts(to), before);
            }
        }
        self.drain();
    }

    /// Sends to a group: over UDP, as groups know nothing else.
    fn tell(&mut self, n: usize, group: u16) {
        if self.over_tcp {
            return;
        }
        let mut payload = (self.told.len() as u32).to_le_bytes().to_vec();
        payload.resize(4 + self.told.len() % 90, group as u8);
        let (to, mut buf) = (Group::new(FabricIndex::MIN, GroupId::new(group)), [0; 200]);
        let sent = self.call(n, |m, cx| {
            let sent = m.groups_mut().send(cx, to, MessageType::new(IM, 8), &payload, &mut buf);
            sent.map(|transmit| transmit.datagram.to_vec())
        });
        if let Ok(octets) = sent {
            self.told.push((n, group, payload));
            let datagram =
                Datagram { from: self.address(n), to: 1 - n, sent: Some(octets.clone()), octets };
            self.past.push_back(datagram.clone());
            self.wire.push_back(datagram);
        }
    }

    fn dial(&mut self, n: usize) {
        let (to, node) = (self.address(1 - n), NodeId::new(IDS[1 - n]));
        let _ = self.call(n, |m, cx| m.connect_case(cx, to, Peer::new(FabricIndex::MIN, node)));
    }

    fn say(&mut self, n: usize, (session, exchange): (SessionHandle, ExchangeHandle), len: u8) {
        let serial = self.said.len() as u32;
        let mut payload = serial.to_le_bytes().to_vec();
        payload.resize(4 + usize::from(len) * 4, len);
        let sent = self.call(n, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &payload));
        if sent.is_ok() {
            let challenge = self.challenge(n, session);
            self.said.insert(serial, (n, challenge.unwrap()));
        }
    }

    fn challenge(&self, n: usize, session: SessionHandle) -> Option<[u8; 16]> {
        let session = self.nodes[n].manager.session(session)?;
        Some(*session.session().attestation_challenge())
    }

    fn session(&self, n: usize, which: u8) -> Option<SessionHandle> {
        let sessions: Vec<_> =
            self.nodes[n].manager.sessions().iter().map(|s| s.handle()).collect();
        pick(sessions.len(), which).map(|i| sessions[i])
    }

    fn heard(&self, n: usize, which: u8) -> Option<(SessionHandle, ExchangeHandle)> {
        let heard = &self.nodes[n].heard;
        pick(heard.len().min(4), which).map(|back| heard[heard.len() - 1 - back])
    }

    fn on_the_wire(&self, which: u8) -> Option<usize> {
        pick(self.wire.len(), which)
    }

    /// Hands a datagram over. What is refused changes nothing; to look at that takes longer than
    /// all else, so it is looked at when asked.
    fn hand(&mut self, datagram: Datagram, looks: bool) {
        let Datagram { from, to, sent, mut octets } = datagram;
        // What was altered twice may be as it was.
        let genuine = sent.as_ref() == Some(&octets);
        let before = looks.then(|| self.facts(to));
        let Node { manager, rng, heard, bounds, group_heard, .. } = &mut self.nodes[to];
        let mut services = Services::new(rng).with_counters(bounds);
        let mut cx = services.at(Instant::from_millis(self.now));
        let received = manager.handle_datagram(&mut cx, from, &mut octets);
        compute(manager, &mut cx);
        match received {
            Received::Message(message) => {
                assert!(genuine, "delivered what was altered");
                let serial = message.payload.first_chunk().copied().map(u32::from_le_bytes);
                let serial = serial.expect("a number");
                let (exchange, session) = (message.exchange, message.session);
                heard.push((session, exchange));
                let challenge = self.challenge(to, session).unwrap();
                assert_eq!(self.said.get(&serial), Some(&(1 - to, challenge)), "{serial}");
                assert!(self.delivered.insert(serial), "{serial} delivered twice");
            }
            Received::Group(message) => group_heard.push(told(message)),
            Received::CheckIn { .. } => {
                let after = looks.then(|| self.facts(to));
                assert_eq!(before, after, "handed on, and nothing changed");
            }
            // The counter of a control message is spent.
            Received::Dropped(Dropped::Unsolicited | Dropped::Misplaced | Dropped::GroupAnswer) => {
            }
            Received::Dropped(_) => {
                let after = looks.then(|| self.facts(to));
                assert_eq!(before, after, "refused, and nothing changed");
            }
            _ => {}
        }
    }

    /// Sessions and the sizes of all tables.
    fn facts(&self, n: usize) -> String {
        let manager = &self.nodes[n].manager;
        let sessions: Vec<_> =
            manager.sessions().iter().map(|s| (s.session(), s.peer_address())).collect();
        let tables = format!("{manager:?}");
        let (tables, _statistics) = tables.split_once("statistics").unwrap();
        format!("{sessions:?} {tables} {:?}", manager.poll_timeout())
    }

    fn timeouts(&mut self) {
        for n in [0, 1] {
            self.call(n, |m, cx| m.handle_timeout(cx));
        }
        self.drain();
        for node in &self.nodes {
            let next = node.manager.poll_timeout();
            let now = Instant::from_millis(self.now);
            assert!(next.is_none_or(|next| next > now), "{next:?} is over at {now:?}");
        }
    }

    /// Takes what both have to send and to say.
    fn drain(&mut self) {
        let now = Instant::from_millis(self.now);
        for n in [0, 1] {
            let from = self.address(n);
            let node = &mut self.nodes[n];
            let mut sent = 0;
            loop {
                node.poll_events(n, now);
                let Some(transmit) = node.manager.poll_transmit(now) else { break };
                let to = match transmit.to {
                    PeerAddress::Udp(to) if !self.over_tcp => usize::from(to.port()),
                    PeerAddress::Tcp(to) if self.over_tcp => to as usize,
                    other => panic!("sent to {other}"),
                };
                let octets = transmit.datagram.to_vec();
                assert!(octets.len() <= 1232);
                sent += 1;
                assert!(sent < 100, "a storm");
                if to < 2 {
                    let datagram = Datagram { from, to, sent: Some(octets.clone()), octets };
                    self.past.push_back(datagram.clone());
                    self.wire.push_back(datagram);
                }
            }
            self.sent += sent;
        }
        while self.past.len() > 64 {
            self.past.pop_front();
        }
        // A network that loses what it has no room for.
        while self.wire.len() > 256 {
            self.wire.pop_front();
        }
    }

    /// Everything that happens within a time.
    fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        let limit = self.sent + 2_000;
        loop {
            self.drain();
            while let Some(datagram) = self.wire.pop_front() {
                self.hand(datagram, false);
                self.drain();
                assert!(self.sent < limit, "an endless conversation");
            }
            let due = self.nodes.iter().filter_map(|node| node.manager.poll_timeout()).min();
            match due.map(Instant::as_millis).filter(|due| *due <= end) {
                Some(due) => self.now = self.now.max(due),
                None => break,
            }
            self.timeouts();
        }
        self.now = end;
    }

    fn check(&mut self) {
        for node in &mut self.nodes {
            let manager = &mut node.manager;
            assert!(manager.sessions().len() <= SESSIONS + 1);
            assert!(manager.sessions().exchange_count() <= EXCHANGES);
            assert!(manager.handshakes().len() <= HANDSHAKES);
            assert!(manager.records().len() <= RECORDS);
            assert_eq!(manager.fabrics().len(), 1);
        }
        for (n, node) in self.nodes.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for (group, payload) in &node.group_heard {
                let number = payload.first_chunk().copied().map(u32::from_le_bytes).unwrap();
                assert_eq!(self.told[number as usize], (1 - n, *group, payload.clone()));
                assert!(seen.insert(number), "{number} heard twice");
            }
        }
    }

    fn recover(&mut self) {
        for node in &mut self.nodes {
            (node.polls, node.signs) = (true, true);
            node.requests.clear();
        }
        self.call(0, |m, _| m.window().close());
        self.call(1, |m, _| m.window().close());
        self.run(500_000);
        self.check();
        // All is silent, and works.
        for node in &mut self.nodes {
            assert_eq!(node.manager.poll_timeout(), None, "{:?}", node.manager);
            assert_eq!(
                node.manager.sessions().exchange_count() + node.manager.handshakes().len(),
                0
            );
        }
        let delivered = self.delivered.len();
        self.dial(0);
        self.run(1_000);
        let peer = Peer::new(FabricIndex::MIN, NodeId::new(IDS[1]));
        let session = self.nodes[0].manager.session_with(peer).expect("a session");
        let exchange = self.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
        self.say(0, (session, exchange), 3);
        self.run(1_000);
        assert_eq!(self.delivered.len(), delivered + 1);
        // Groups, too: at once, or after their sender has told its counter.
        for node in &mut self.nodes {
            node.enter_groups();
        }
        let groups: &[u16] = if self.over_tcp { &[] } else { &[1, 2] };
        for group in groups.iter().copied() {
            let heard = self.nodes[1].group_heard.len();
            self.tell(0, group);
            self.run(3_000);
            assert_eq!(self.nodes[1].group_heard.len(), heard + 1);
        }
        self.check();
    }
}

fn told(message: GroupMessage<'_>) -> (u16, Vec<u8>) {
    (message.group.id.get(), message.payload.to_vec())
}

impl Node {
    /// Group 1 trusts first, group 2 asks and hides its headers.
    fn enter_groups(&mut self) {
        for id in [1, 2] {
            self.install(id, &[7, 8]);
            let settings = GroupSettings::new(GroupKeySetId::new(id));
            let settings = if id == 2 { settings.with_privacy() } else { settings };
            let group = Group::new(FabricIndex::MIN, GroupId::new(id));
            let entered = self.manager.groups_mut().set(group, settings);
            assert_eq!(entered, Ok(()));
        }
    }

    fn install(&mut self, id: u16, keys: &[u8]) {
        let asks = id == 2;
        let policy = if asks { SecurityPolicy::CacheAndSync } else { SecurityPolicy::TrustFirst };
        let epoch = |key: &u8| GroupEpoch {
            key: GroupKey::EpochKey(Secret::new([*key; 16])),
            start: EpochStart::from_micros((*key).into()),
        };
        let epochs: Vec<_> = keys.iter().map(epoch).collect();
        let set = GroupKeySet { id: GroupKeySetId::new(id), policy, epochs: &epochs };
        assert_eq!(self.manager.groups_mut().set_key_set(FabricIndex::MIN, &set), Ok(()));
    }

    fn poll_events(&mut self, n: usize, now: Instant) {
        while self.polls
            && let Some(event) = self.manager.poll_event()
        {
            match event {
                Event::SignRequest(request) if self.signs => {
                    let signed = request.sign_with(&mut members()[n].key.clone());
                    let mut services = Services::new(&mut self.rng);
                    let _ = self.manager.complete_signature(&mut services.at(now), signed);
                }
                Event::GroupMessages => {
                    while let Some(message) = self.manager.groups_mut().poll_message() {
                        self.group_heard.push(told(message));
                    }
                }
                Event::SignRequest(request) => self.requests.push(request),
                _ => {}
            }
        }
    }
}

fn pick(len: usize, which: u8) -> Option<usize> {
    (len > 0).then(|| usize::from(which) % len)
}
