//! Full tables of sessions, and peers that have as many as they may: who makes room, against a plain list that knows the rule and nothing
//! else.

use core::cmp::Reverse;

use matter_session::ids::{FabricIndex, LocalSessionId, NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{CloseReason, Config, Fixed, Heap, SessionHandle, Storage};
use matter_session::session::SessionKind;
use proptest::prelude::*;

use crate::net::{Fate, Net, index, udp};
use crate::twin::{Plan, Twin, header};

/// A session as the list has it.
struct Known {
    handle: SessionHandle,
    twin: Twin,
    /// Fabric and peer of a CASE session.
    peer: Option<(u8, u64)>,
    heard: u64,
    active: u64,
    defunct: bool,
}

/// A peer that has as many sessions as it may gives one up, whether or not the table is full:
/// defunct, idle longest.
///
/// What the specification and its implementations make of a full table, one rule after another:
/// most sessions on the fabric; the newcomer's fabric; most sessions with the peer; the
/// newcomer's peer, unless it is the only working session with it; defunct; idle longest; oldest.
/// CASE sessions make room for CASE sessions, PASE sessions for PASE sessions; of several PASE
/// sessions one for a CASE session.
fn victim(known: &[Known], newcomer: Option<(u8, u64)>, limits: Limits) -> Option<usize> {
    let case = known.iter().filter(|k| k.peer.is_some()).count();
    let idle = |n: &usize| (known[*n].defunct, Reverse(known[*n].active), Reverse(*n));
    let own = |n: &usize| newcomer.is_some() && known[*n].peer == newcomer;
    if (0..known.len()).filter(own).count() >= limits.of_peer.max(1).into() {
        return (0..known.len()).filter(own).max_by_key(idle);
    }
    if known.len() <= limits.sessions && (newcomer.is_none() || case < limits.sessions) {
        return None;
    }
    let of = |peer: Option<(u8, u64)>| known.iter().filter(|k| k.peer == peer).count();
    let on = |fabric: u8| {
        known.iter().filter(|k| k.peer.is_some_and(|(other, _)| other == fabric)).count()
    };
    let rank = |n: &usize| {
        let k = &known[*n];
        let Some((fabric, _)) = k.peer else { return ((0, false), 0, false, idle(n)) };
        let own = newcomer.is_some_and(|(other, _)| other == fabric);
        let only_working = of(k.peer) == 1 && !k.defunct;
        ((on(fabric), own), of(k.peer), newcomer == k.peer && !only_working, idle(n))
    };
    let takes_from_case = newcomer.is_some() && of(None) <= 1;
    let may_go = |n: &usize| known[*n].peer.is_some() == takes_from_case;
    let mut candidates: Vec<_> = (0..known.len()).filter(may_go).collect();
    if candidates.is_empty() {
        candidates.extend(0..known.len());
    }
    candidates.into_iter().max_by_key(rank)
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Case(u8, u64),
    Pase,
    /// The peer says something.
    Hear(usize),
    /// The node says something, which the peer acknowledges.
    Say(usize),
    /// The node says something in vain.
    Lose(usize),
    Close(usize),
    ClosePeer(u8, u64),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let (fabric, peer, pick) = (1..=4_u8, 1..=3_u64, 0..100_usize);
    prop_oneof![
        30 => (fabric.clone(), peer.clone()).prop_map(|(f, p)| Op::Case(f, p)),
        2 => Just(Op::Pase),
        8 => pick.clone().prop_map(Op::Hear),
        4 => pick.clone().prop_map(Op::Say),
        6 => pick.clone().prop_map(Op::Lose),
        2 => pick.prop_map(Op::Close),
        1 => (fabric, peer).prop_map(|(f, p)| Op::ClosePeer(f, p)),
        4 => (0..500_u64).prop_map(Op::Wait),
    ]
}

/// Most CASE sessions, in all and of one peer.
#[derive(Clone, Copy, Debug)]
struct Limits {
    sessions: usize,
    of_peer: u8,
}

impl Limits {
    fn new(sessions: usize) -> Self {
        Self { sessions, of_peer: Config::default().max_sessions_per_peer }
    }
}

struct World<S: Storage> {
    net: Net<S>,
    limits: Limits,
    known: Vec<Known>,
    last_id: u16,
    serial: u16,
}

/// Room for three sessions of each of the four fabrics.
const SESSIONS: usize = 12;
type Arrays = Fixed<
    Sessions<{ SESSIONS + 1 }>,
    Exchanges<32>,
    Handshakes<2>,
    Fabrics<1>,
    Records<1>,
    MessageBytes<2600>,
>;

impl<S: Storage> World<S> {
    fn new(limits: Limits) -> Self {
        let config = Config::default()
            .with_sessions(limits.sessions)
            .with_sessions_per_peer(limits.of_peer)
            .with_exchanges(32);
        let mut net = Net::stored(vec![(udp(1), config)]);
        // Which id comes next: that of a session that was is not given again.
        let (first, _) = Plan::case(1, 1, udp(7)).begin(&mut net, 0).unwrap();
        net.call(0, |m, cx| m.close_session(cx, first));
        net.pump();
        net.node(0).events.clear();
        Self { net, limits, known: Vec::new(), last_id: first.local_session_id().get(), serial: 0 }
    }

    /// The newcomer is let in, and if it must be somebody goes: the one that the list names, with
    /// a goodbye that it understands, sent once.
    fn open(&mut self, peer: Option<(u8, u64)>) {
        let count =
            |f: u8| self.known.iter().filter(|k| k.peer.is_some_and(|(of, _)| of == f)).count();
        let victim = victim(&self.known, peer, self.limits);
        let before: Vec<usize> = (0..=4).map(count).collect();
        let pase = self.known.iter().filter(|k| k.peer.is_none()).count();

        let (closed, since) = (self.net.node(0).closed().len(), self.net.sent.len());
        self.serial += 1;
        let address = udp(1000 + self.serial);
        let plan = peer.map_or_else(|| Plan::pase(address), |(f, p)| Plan::case(f, p, address));
        let (handle, twin) = plan.begin(&mut self.net, 0).unwrap();
        self.net.pump();
        // Ids go round: the next one that is free.
        let in_use = |id: u16| self.known.iter().any(|k| k.handle.local_session_id().get() == id);
        while {
            self.last_id = self.last_id.wrapping_add(1);
            self.last_id == 0 || in_use(self.last_id)
        } {}
        assert_eq!(handle.local_session_id().get(), self.last_id);

        let gone = self.net.node(0).closed().split_off(closed);
        match victim {
            None => assert!(gone.is_empty(), "{gone:?}"),
            Some(n) => {
                let victim = self.known.remove(n);
                assert_eq!(gone, [(victim.handle, 0, CloseReason::Evicted)]);
                let sent = &self.net.sent[since..];
                assert_eq!(sent.len(), 1, "one goodbye");
                assert_eq!(sent[0].to, victim.twin.address);
                let goodbye = victim.twin.read(&sent[0].octets).unwrap();
                assert!(goodbye.is_close_session() && !goodbye.header.needs_ack);
            }
        }
        let now = self.net.now;
        self.known.push(Known { handle, twin, peer, heard: now, active: now, defunct: false });
        // Three sessions for each fabric, as long as there is room for so many; PASE has a place
        // of its own.
        if self.limits.sessions >= 12 && peer.is_some() {
            for fabric in 1..=4 {
                let after = self.known.iter().filter(|k| k.peer.is_some_and(|p| p.0 == fabric));
                assert!(after.count() >= before[usize::from(fabric)].min(3), "fabric {fabric}");
            }
            assert!(self.known.iter().filter(|k| k.peer.is_none()).count() >= pase.min(1));
        }
    }

    fn apply(&mut self, op: Op) {
        // Which of two uses in one moment was the earlier is nobody's promise.
        self.net.run(1);
        let len = self.known.len().max(1);
        match op {
            Op::Case(fabric, peer) => self.open(Some((fabric, peer))),
            Op::Pase => self.open(None),
            Op::Wait(millis) => self.net.run(millis),
            Op::ClosePeer(fabric, peer) => {
                let node = NodeId::new(peer);
                self.net.call(0, |m, cx| {
                    m.sessions_mut().close_with_peer(cx, Peer::new(index(fabric), node))
                });
                self.known.retain(|k| k.peer != Some((fabric, peer)));
            }
            Op::Hear(n) | Op::Say(n) | Op::Lose(n) | Op::Close(n) => {
                let Some(known) = self.known.get_mut(n % len) else { return };
                let session = known.handle;
                match op {
                    Op::Hear(_) => {
                        let octets = known.twin.seal(&header(1, false, None)).0;
                        let address = known.twin.address;
                        self.net.hand(0, address, &octets).unwrap();
                        (known.heard, known.active, known.defunct) =
                            (self.net.now, self.net.now, false);
                    }
                    Op::Say(_) | Op::Lose(_) => {
                        let since = self.net.sent.len();
                        let exchange = self.net.say(0, session, 2);
                        self.net.close_exchange(0, exchange);
                        self.net.pump();
                        known.active = self.net.now;
                        if let Op::Say(_) = op {
                            let read = known.twin.read(&self.net.sent[since].octets).unwrap();
                            let id = exchange.id().get();
                            let ack = crate::twin::answer(id, false, Some(read.counter));
                            let octets = known.twin.seal(&crate::twin::bare(ack)).0;
                            let address = known.twin.address;
                            self.net.hand(0, address, &octets).unwrap();
                            (known.heard, known.defunct) = (self.net.now, false);
                        } else {
                            self.net.run(20_000);
                            known.active = self.net.sent.last().unwrap().at;
                            known.defunct = known.peer.is_some();
                        }
                    }
                    _ => {
                        self.net.call(0, |m, cx| m.close_session(cx, session));
                        self.known.remove(n % len);
                    }
                }
            }
        }
        self.net.pump();
    }

    /// The manager has what the list has, and finds it in each way that there is.
    fn check(&self) {
        let manager = &self.net.nodes[0].manager;
        assert_eq!(manager.sessions().len(), self.known.len());
        let mut all: Vec<_> = self.known.iter().map(|k| k.handle).collect();
        all.sort_unstable();
        assert!(
            manager.sessions().iter().map(|s| s.handle()).eq(all.iter().copied()),
            "by ascending id"
        );
        for k in &self.known {
            let session = manager.session(k.handle).unwrap();
            assert_eq!(session.is_defunct(), k.defunct);
            assert_eq!(session.session().last_activity().as_millis(), k.active);
            assert_eq!(session.session().kind() == SessionKind::Case, k.peer.is_some());
            let id = k.handle.local_session_id();
            assert_eq!(manager.sessions().by_id(id), Some(k.handle));
        }
        let free = LocalSessionId::new(self.last_id.wrapping_add(1).max(1)).unwrap();
        let taken = self.known.iter().any(|k| k.handle.local_session_id() == free);
        assert_eq!(manager.sessions().by_id(free).is_some(), taken);
        for fabric in 1..=5 {
            for peer in 1..=4 {
                let with = |k: &&Known| k.peer == Some((fabric, peer));
                let of_peer: Vec<_> = self.known.iter().filter(with).collect();
                assert!(of_peer.len() <= self.limits.of_peer.max(1).into());
                let (fabric, node): (FabricIndex, _) = (index(fabric), NodeId::new(peer));
                let mut found: Vec<_> =
                    manager.sessions().with_peer(Peer::new(fabric, node)).collect();
                let mut expected: Vec<_> = of_peer.iter().map(|k| k.handle).collect();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected);
                // The newest of those that heard last, and no defunct one.
                let working = of_peer.iter().filter(|k| !k.defunct);
                let offered = working.max_by_key(|k| k.heard);
                assert_eq!(
                    manager.session_with(Peer::new(fabric, node)),
                    offered.map(|k| k.handle)
                );
            }
        }
        let pase = self.known.iter().rev().find(|k| k.peer.is_none());
        assert_eq!(manager.sessions().pase(), pase.map(|k| k.handle));
    }
}

fn agrees<S: Storage>(limits: Limits, ops: &[Op]) {
    let mut world = World::<S>::new(limits);
    for &op in ops {
        world.apply(op);
        world.check();
    }
    let mut net = world.net;
    net.call(0, |m, cx| m.sessions_mut().close_all(cx));
    net.assert_clean();
    assert_eq!(net.nodes[0].manager.sessions().len(), 0);
}

fn limits() -> impl Strategy<Value = Limits> {
    let sessions = prop_oneof![1..=5_usize, Just(SESSIONS)];
    let few =
        (sessions.clone(), 1..=4_u8).prop_map(|(sessions, of_peer)| Limits { sessions, of_peer });
    prop_oneof![few, sessions.prop_map(Limits::new)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn sessions_make_room_as_a_plain_list_says_on_the_heap(
        limits in limits(),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        agrees::<Heap>(limits, &ops);
    }

    #[test]
    fn sessions_make_room_as_a_plain_list_says_in_arrays(
        limits in limits(),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        agrees::<Arrays>(limits, &ops);
    }
}

/// What has become of a session before the table is full.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Working,
    Heard,
    Defunct,
}

/// Fabrics with equally many sessions, and a newcomer that belongs to none of them.
fn of_tied_fabrics_the_whole_order_decides<S: Storage>(each: usize, sessions: &[(u64, Fact)]) {
    let fabrics = (sessions.len() / each).min(3);
    let mut world = World::<S>::new(Limits::new(fabrics * each));
    let tied = &sessions[..fabrics * each];
    for (n, &(peer, _)) in tied.iter().enumerate() {
        world.apply(Op::Case(u8::try_from(n % fabrics).unwrap() + 1, peer));
    }
    for (n, &(_, fact)) in tied.iter().enumerate() {
        match fact {
            Fact::Working => {}
            Fact::Heard => world.apply(Op::Hear(n)),
            Fact::Defunct => world.apply(Op::Lose(n)),
        }
    }
    assert_eq!(world.known.len(), fabrics * each);
    world.apply(Op::Case(4, 1));
    world.check();
}

fn tied_sessions() -> impl Strategy<Value = Vec<(u64, Fact)>> {
    let fact = prop_oneof![Just(Fact::Working), Just(Fact::Heard), Just(Fact::Defunct)];
    prop::collection::vec((1..=3_u64, fact), 8..=12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 155, ..ProptestConfig::default() })]

    #[test]
    fn among_tied_fabrics_the_order_is_that_of_a_plain_list(
        each in 2..=4_usize,
        sessions in tied_sessions(),
    ) {
        of_tied_fabrics_the_whole_order_decides::<Heap>(each, &sessions);
        of_tied_fabrics_the_whole_order_decides::<Arrays>(each, &sessions);
    }
}

#[test]
fn a_newcomer_of_a_third_fabric_ends_a_defunct_session_and_no_working_one() {
    let mut net = Net::with(vec![(udp(1), Config::default().with_sessions(6))]);
    let dead: Vec<_> = (0..3).map(|n| begin(&mut net, 1, n + 1, 10 + n as u16).0).collect();
    for session in &dead {
        make_defunct(&mut net, *session);
    }
    let working: Vec<_> = (0..3).map(|n| begin(&mut net, 2, n + 1, 20 + n as u16).0).collect();
    begin(&mut net, 3, 1, 30);
    net.pump();
    assert_eq!(net.nodes[0].closed(), [(dead[0], 0, CloseReason::Evicted)]);
    assert!(working.iter().all(|session| net.nodes[0].manager.session(*session).is_some()));
}

#[test]
fn a_full_table_makes_room_for_every_mix_of_fabric_and_peer_and_never_with_the_newcomer() {
    // Every newcomer to tables of every shape: how many sessions with each of three peers on each
    // of two fabrics, the first of them defunct or not.
    for shape in [[3, 0, 0, 3, 0, 0], [1, 1, 1, 1, 1, 1], [2, 1, 0, 3, 0, 0], [4, 1, 0, 0, 0, 1]] {
        for defunct in [None, Some(0), Some(3), Some(5)] {
            for newcomer in 0..9 {
                let peer = |n: usize| (n as u8 / 3 + 1, n as u64 % 3 + 1);
                let mut world = World::<Heap>::new(Limits::new(6));
                for (n, &count) in shape.iter().enumerate() {
                    for _ in 0..count {
                        let (fabric, peer) = peer(n);
                        world.apply(Op::Case(fabric, peer));
                        world.apply(Op::Wait(1));
                    }
                }
                world.apply(Op::Pase);
                if let Some(n) = defunct {
                    world.apply(Op::Lose(n));
                }
                let (fabric, peer) = peer(newcomer);
                world.apply(Op::Case(fabric, peer));
                world.check();
                assert_eq!(world.known.len(), 7);
                let newest = world.known.last().unwrap();
                assert_eq!(newest.peer, Some((fabric, peer)), "it is there itself");
                assert!(world.known.iter().any(|k| k.peer.is_none()), "and so is PASE");
            }
        }
    }
}

/// A session of a peer that is where nobody answers.
fn begin(net: &mut Net, fabric: u8, peer: u64, port: u16) -> (SessionHandle, Twin) {
    net.run(1);
    Plan::case(fabric, peer, udp(port)).begin(net, 0).unwrap()
}

fn make_defunct(net: &mut Net, session: SessionHandle) {
    let exchange = net.say(0, session, 2);
    net.close_exchange(0, exchange);
    net.run(20_000);
    assert!(net.nodes[0].manager.session(session).unwrap().is_defunct());
}

#[test]
fn a_peer_that_has_as_many_sessions_as_it_may_gives_up_one_of_its_own() {
    for (limit, most) in [(0, 1), (1, 1), (2, 2), (3, 3)] {
        let config = Config::default().with_sessions(SESSIONS).with_sessions_per_peer(limit);
        let mut net = Net::with(vec![(udp(1), config)]);
        // Others of its fabric and of another: idle longer, one of them defunct, and all stay.
        let others = [(1, 2, 10), (2, 1, 11), (1, 3, 12)]
            .map(|(fabric, peer, port)| begin(&mut net, fabric, peer, port).0);
        make_defunct(&mut net, others[0]);
        let mut own: Vec<_> = (0..most).map(|n| begin(&mut net, 1, 1, 20 + n)).collect();
        assert!(net.nodes[0].closed().is_empty(), "there is room for as many");
        for turn in 0..4 {
            // The one idle longest, but rather the newest when that is defunct.
            let newest = own.len() - 1;
            let goes = if turn == 2 { newest } else { 0 };
            if turn == 2 {
                make_defunct(&mut net, own[newest].0);
            }
            let since = net.sent.len();
            let newcomer = begin(&mut net, 1, 1, 30 + turn);
            net.pump();
            let (victim, twin) = own.remove(goes);
            own.push(newcomer);
            let closed = net.nodes[0].closed();
            assert_eq!(
                closed[usize::from(turn)..],
                [(victim, 0, CloseReason::Evicted)],
                "limit {limit}, turn {turn}"
            );
            let goodbyes = twin.read_all(&net, since);
            assert!(goodbyes.len() == 1 && goodbyes[0].is_close_session());
            assert_eq!(net.sent.len(), since + 1, "the others are told nothing");
            let manager = &net.nodes[0].manager;
            let stay = own.iter().map(|(handle, _)| handle).chain(&others);
            assert!(stay.into_iter().all(|handle| manager.session(*handle).is_some()));
            assert_eq!(manager.sessions().len(), own.len() + others.len());
        }
        net.assert_clean();
    }
}

/// Two nodes and their three sessions, as many as one of them has room for.
fn full_table() -> (Net, Vec<(SessionHandle, SessionHandle)>) {
    let config = Config::default().with_sessions(3).with_exchanges(16);
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), config)]);
    let sessions: Vec<_> = (0..3).map(|_| net.case(200)).collect();
    (net, sessions)
}

#[test]
fn a_session_that_makes_room_for_a_handshake_says_goodbye_to_its_peer() {
    let (mut net, sessions) = full_table();
    *net.node(1).manager.data_mut(sessions[1].1).unwrap() = 77;
    // The first is used again, so the second is idle longest.
    net.run(10);
    net.say(0, sessions[0].0, 2);
    net.run(1000);
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert_eq!(net.node(1).closed(), [(sessions[1].1, 77, CloseReason::Evicted)]);
    assert_eq!(net.node(0).closed(), [(sessions[1].0, 0, CloseReason::Peer)]);
    assert_eq!(net.node(1).manager.sessions().len(), 3);
    assert_eq!(net.node(0).manager.sessions().len(), 3);
    net.assert_clean();
}

#[test]
fn a_defunct_session_makes_room_before_one_that_works() {
    let (mut net, sessions) = full_table();
    net.on_send(|_| Fate::Lost);
    net.say(1, sessions[2].1, 2);
    net.run(20_000);
    net.on_send(|_| Fate::Arrives);
    assert!(net.nodes[1].manager.session(sessions[2].1).unwrap().is_defunct());
    net.case(200);
    assert!(net.nodes[1].manager.session(sessions[2].1).is_none());
    assert!(net.nodes[1].manager.session(sessions[0].1).is_some());
    net.assert_clean();
}

/// Handshakes that end in one moment: of sessions that nobody has used since, the oldest goes.
fn the_oldest_goes_of_those_used_in_one_moment<S: Storage>() {
    let config = Config::default().with_sessions(12).with_sessions_per_peer(4);
    let nodes = (1..=8).map(|port| (udp(port), config.clone())).collect();
    let mut net = Net::<S>::stored(nodes);
    for n in 0..8 {
        let mut open = || Plan::case(1, 5, udp(99)).begin(&mut net, n).unwrap().0;
        let sessions: Vec<_> = (0..12).map(|_| open()).collect();
        net.pump();
        let closed: Vec<_> = net.node(n).closed().iter().map(|(session, ..)| *session).collect();
        assert_eq!(closed, sessions[..8], "{n}");
    }
}

#[test]
fn of_sessions_used_in_one_moment_the_oldest_goes() {
    the_oldest_goes_of_those_used_in_one_moment::<Heap>();
    the_oldest_goes_of_those_used_in_one_moment::<Arrays>();
}

/// The one place of such a node is for PASE.
#[test]
fn a_node_with_one_place_keeps_its_pase_session() {
    let mut net = Net::<
        Fixed<Sessions<1>, Exchanges<4>, Handshakes<2>, Fabrics<1>, Records<1>, MessageBytes<2600>>,
    >::stored(vec![(udp(1), Config::default())]);
    let (pase, _) = Plan::pase(udp(8)).begin(&mut net, 0).unwrap();
    assert!(Plan::case(1, 5, udp(7)).begin(&mut net, 0).is_none());
    net.pump();
    assert_eq!(net.node(0).closed(), []);
    assert!(net.node(0).manager.session(pase).is_some());
}
