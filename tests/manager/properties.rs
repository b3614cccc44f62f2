//! Whatever two applications do over whatever network: no panic, no message delivered twice,
//! both ends agree, tables stay within their limits.

use std::collections::BTreeSet;

use proptest::prelude::*;

use matter_session::group::SecurityPolicy;
use matter_session::ids::MessageType;
use matter_session::ids::Peer;
use matter_session::ids::{Group, GroupId, GroupKeySetId};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Groups, Handshakes, KeySets, MessageBytes, Records, Senders, Sessions,
};
use matter_session::manager::{
    Config, ExchangeHandle, Fixed, GroupSettings, Heap, SessionHandle, Storage, WithGroups,
};

use matter_session::resumption::ResumptionRecord;

use crate::net::groups::key_set;
use crate::net::{Authority, Dice, Fate, IM, Net, PASSCODE, index, udp};

#[derive(Clone, Debug)]
enum Op {
    Case(usize),
    Pase(usize),
    OpenWindow(usize),
    CloseWindow(usize),
    Say(usize, usize),
    Answer(usize, usize),
    CloseExchange(usize, usize),
    Close(usize, usize),
    Forget(usize),
    RemoveFabric(usize),
    Run(u64),
    Timeout(usize),
    ClockBack(u64),
    Replay(usize, usize),
    Garble(usize, usize),
    /// Its application stops to poll events, or goes on.
    Lag(usize),
    /// Its operational key takes its time, or does not.
    SlowKey(usize),
    Sign(usize, usize),
    Disconnected(usize),
    /// Installs a group key set, or other keys of it: set 1 trusts first, set 2 asks.
    Keys(usize, u16, u8),
    RemoveKeys(usize, u16),
    Join(usize, u16, u16),
    Leave(usize, u16),
    /// A message to a group that comes so late, or never.
    Tell(usize, u16, u64),
    /// One comes that was sent before.
    TellAgain(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let node = 0..2_usize;
    let pick = any::<prop::sample::Index>().prop_map(|i| i.index(1000));
    prop_oneof![
        4 => node.clone().prop_map(Op::Case),
        1 => node.clone().prop_map(Op::Pase),
        1 => node.clone().prop_map(Op::OpenWindow),
        1 => node.clone().prop_map(Op::CloseWindow),
        10 => (node.clone(), pick.clone()).prop_map(|(n, i)| Op::Say(n, i)),
        6 => (node.clone(), pick.clone()).prop_map(|(n, i)| Op::Answer(n, i)),
        4 => (node.clone(), pick.clone()).prop_map(|(n, i)| Op::CloseExchange(n, i)),
        1 => (node.clone(), pick.clone()).prop_map(|(n, i)| Op::Close(n, i)),
        1 => node.clone().prop_map(Op::Forget),
        1 => node.clone().prop_map(Op::RemoveFabric),
        8 => (0..3000_u64).prop_map(Op::Run),
        2 => node.clone().prop_map(Op::Timeout),
        1 => (0..3000_u64).prop_map(Op::ClockBack),
        2 => (node.clone(), pick.clone()).prop_map(|(n, i)| Op::Replay(n, i)),
        2 => (node.clone(), pick.clone()).prop_map(|(n, i)| Op::Garble(n, i)),
        1 => node.clone().prop_map(Op::Lag),
        1 => node.clone().prop_map(Op::SlowKey),
        2 => (node.clone(), pick.clone()).prop_map(|(n, i)| Op::Sign(n, i)),
        1 => node.clone().prop_map(Op::Disconnected),
        3 => (node.clone(), 1..4_u16, 0..3_u8).prop_map(|(n, set, key)| Op::Keys(n, set, key)),
        1 => (node.clone(), 1..4_u16).prop_map(|(n, set)| Op::RemoveKeys(n, set)),
        3 => (node.clone(), 1..4_u16, 1..4_u16).prop_map(|(n, group, set)| Op::Join(n, group, set)),
        1 => (node.clone(), 1..4_u16).prop_map(|(n, group)| Op::Leave(n, group)),
        10 => (node.clone(), 1..4_u16, 0..1000_u64).prop_map(|(n, group, t)| Op::Tell(n, group, t)),
        2 => (node, pick).prop_map(|(n, i)| Op::TellAgain(n, i)),
    ]
}

struct World<S: Storage = Heap> {
    net: Net<S>,
    authority: Authority,
    /// What was sent, by a number in the payload.
    serial: u32,
    /// Messages to groups, and who has sent them.
    groups: Vec<(usize, Vec<u8>)>,
    /// How many datagrams the story has told.
    told: usize,
}

const SESSIONS: usize = 4;
const EXCHANGES: usize = 8;
const HANDSHAKES: usize = 3;
const FABRICS: usize = 2;
const RECORDS: usize = 1;
/// Of each fabric, and as many key sets.
const GROUPS: usize = 2;
/// As many as arrays have.
const WAITING: usize = 4;

/// What the world needs: one session more for PASE, and room for every message to be long.
type Arrays = WithGroups<
    Fixed<
        Sessions<{ SESSIONS + 1 }>,
        Exchanges<EXCHANGES>,
        Handshakes<HANDSHAKES>,
        Fabrics<FABRICS>,
        Records<RECORDS>,
        MessageBytes<{ (EXCHANGES + 2 * HANDSHAKES + WAITING) * 1280 }>,
    >,
    KeySets<{ FABRICS * GROUPS }>,
    Groups<{ FABRICS * GROUPS }>,
    Senders<{ 2 * FABRICS * GROUPS }>,
>;

/// Less than the settings say, of everything.
type Small = WithGroups<
    Fixed<Sessions<3>, Exchanges<3>, Handshakes<2>, Fabrics<1>, Records<1>, MessageBytes<2600>>,
    KeySets<1>,
    Groups<1>,
    Senders<2>,
>;

impl<S: Storage> World<S> {
    fn new(seed: u64) -> Self {
        let config = Config::default()
            .with_sessions(SESSIONS)
            .with_exchanges(EXCHANGES)
            .with_exchanges_per_session(3)
            .with_exchange_lifetime(core::time::Duration::from_secs(60))
            .with_events(4)
            .with_replies(SESSIONS + 1)
            .with_fabrics(FABRICS)
            .with_groups(GROUPS, GROUPS)
            .with_group_senders(1, WAITING)
            .with_records(RECORDS, core::time::Duration::from_secs(30))
            .with_handshakes(HANDSHAKES, core::time::Duration::from_millis(100));
        let mut net = Net::stored(vec![(udp(1), config.clone()), (udp(2), config)]);
        let mut authority = Authority::new(1, false);
        authority.join(&mut net, 0, 100);
        authority.join(&mut net, 1, 200);
        let mut dice = Dice::new(seed);
        let loss = dice.below(40);
        net.on_send(move |_| match dice.below(100) {
            n if n < loss => Fate::Lost,
            n if n < loss + 10 => Fate::Copies(2 + dice.below(2) as u8, dice.below(2000)),
            n if n < loss + 25 => Fate::Late(dice.below(2000)),
            _ => Fate::Arrives,
        });
        let mut world = Self { net, authority, serial: 0, groups: Vec::new(), told: 0 };
        for (n, set) in [(0, 2), (1, 2), (0, 1), (1, 1)] {
            world.apply(&Op::Keys(n, set, 0));
            world.apply(&Op::Join(n, set, set));
        }
        world
    }

    fn session(&self, n: usize, i: usize) -> Option<SessionHandle> {
        let sessions: Vec<_> =
            self.net.nodes[n].manager.sessions().iter().map(|s| s.handle()).collect();
        (!sessions.is_empty()).then(|| sessions[i % sessions.len()])
    }

    fn exchange(&self, n: usize, i: usize) -> Option<ExchangeHandle> {
        let got = &self.net.nodes[n].got;
        (!got.is_empty()).then(|| got[got.len() - 1 - i % got.len().min(4)].exchange)
    }

    fn send(&mut self, n: usize, exchange: ExchangeHandle) {
        self.serial += 1;
        let mut payload = self.serial.to_le_bytes().to_vec();
        if self.serial.is_multiple_of(3) {
            payload.resize(1100, 0);
        }
        let _ = self.net.call(n, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &payload));
    }

    /// Sends a message to a group, if that is possible.
    fn tell(&mut self, n: usize, group: u16, delay: u64) {
        self.serial += 1;
        let payload = self.serial.to_le_bytes();
        let mut buf = [0; 64];
        let sent = self.net.call(n, |m, cx| {
            let to = Group::new(index(1), GroupId::new(group));
            m.groups_mut()
                .send(cx, to, MessageType::new(IM, 8), &payload, &mut buf)
                .map(|sent| sent.datagram.len())
        });
        if let Ok(len) = sent {
            self.groups.push((n, buf[..len].to_vec()));
            if delay < 800 {
                self.net.inject([udp(1), udp(2)][n], [udp(2), udp(1)][n], &buf[..len], delay);
            }
        }
    }

    fn apply(&mut self, op: &Op) {
        let net = &mut self.net;
        let address = [udp(1), udp(2)];
        match *op {
            Op::Case(n) => {
                let node = matter_session::ids::NodeId::new(if n == 0 { 200 } else { 100 });
                let _ = net
                    .call(n, |m, cx| m.connect_case(cx, address[1 - n], Peer::new(index(1), node)));
            }
            Op::Pase(n) => {
                let passcode = matter_session::crypto::Passcode::new(PASSCODE).unwrap();
                let _ = net.call(n, |m, cx| m.connect_pase(cx, address[1 - n], passcode));
            }
            Op::OpenWindow(n) => {
                let window = crate::net::window();
                let _ = net.call(n, |m, cx| m.window().open(cx, window));
            }
            Op::CloseWindow(n) => net.node(n).manager.window().close(),
            Op::Say(n, i) => {
                let Some(session) = self.session(n, i) else { return };
                let opened = self.net.call(n, |m, cx| m.open_exchange(cx, session));
                if let Ok(exchange) = opened {
                    self.send(n, exchange);
                }
            }
            Op::Answer(n, i) => {
                if let Some(exchange) = self.exchange(n, i) {
                    self.send(n, exchange);
                }
            }
            Op::CloseExchange(n, i) => {
                if let Some(exchange) = self.exchange(n, i) {
                    self.net.close_exchange(n, exchange);
                }
            }
            Op::Close(n, i) => {
                if let Some(session) = self.session(n, i) {
                    self.net.call(n, |m, cx| m.close_session(cx, session));
                }
            }
            Op::Forget(n) => net.call(n, |m, cx| m.records_mut().forget_all(cx)),
            Op::RemoveFabric(n) => {
                net.call(n, |m, cx| m.fabrics_mut().remove(cx, index(1)));
                self.authority.join(net, n, [100, 200][n]);
                // Counters of senders are gone, too.
                net.node(n).heard.clear();
            }
            Op::Run(millis) => net.run(millis),
            Op::Timeout(n) => net.call(n, |m, cx| m.handle_timeout(cx)),
            Op::ClockBack(millis) => net.now -= millis,
            Op::Lag(n) => net.node(n).polls ^= true,
            Op::SlowKey(n) => net.node(n).signs ^= true,
            Op::Sign(n, i) => {
                let requests = &mut net.node(n).requests;
                if !requests.is_empty() {
                    let request = requests.swap_remove(i % requests.len());
                    let signed = request.sign_with(net.node(n).keys.get_mut(&index(1)).unwrap());
                    net.call(n, |m, cx| m.complete_signature(cx, signed).is_ok());
                }
            }
            Op::Disconnected(n) => {
                net.call(n, |m, cx| m.connections().handle_disconnect(cx, address[1 - n]))
            }
            Op::Keys(n, set, key) => {
                let policy = if set == 1 {
                    SecurityPolicy::TrustFirst
                } else {
                    SecurityPolicy::CacheAndSync
                };
                let keys = [&[7, 8][..], &[7], &[8, 9, 10]][usize::from(key)];
                let manager = &mut net.node(n).manager;
                let _ = key_set(set, policy, keys, |set| {
                    manager.groups_mut().set_key_set(index(1), set)
                });
            }
            Op::RemoveKeys(n, set) => {
                net.node(n).manager.groups_mut().remove_key_set(index(1), GroupKeySetId::new(set));
            }
            Op::Join(n, group, set) => {
                let settings = GroupSettings::new(GroupKeySetId::new(set));
                let settings = if group == 2 { settings.with_privacy() } else { settings };
                let _ = net
                    .node(n)
                    .manager
                    .groups_mut()
                    .set(Group::new(index(1), GroupId::new(group)), settings);
            }
            Op::Leave(n, group) => {
                net.node(n).manager.groups_mut().remove(Group::new(index(1), GroupId::new(group)));
            }
            Op::Tell(n, group, delay) => self.tell(n, group, delay),
            Op::TellAgain(n, i) => {
                if !self.groups.is_empty() {
                    let (from, octets) =
                        &self.groups[self.groups.len() - 1 - i % self.groups.len()];
                    let _ = net.hand(n, address[*from], octets);
                }
            }
            Op::Replay(n, i) | Op::Garble(n, i) => {
                let old: Vec<_> = net.sent.iter().filter(|d| d.to == address[n]).collect();
                if old.is_empty() {
                    return;
                }
                let mut octets = old[old.len() - 1 - i % old.len()].octets.clone();
                if let Op::Garble(..) = op {
                    let at = i % octets.len();
                    octets[at] ^= 1 << (i % 8);
                }
                let _ = net.hand(n, address[1 - n], &octets);
            }
        }
    }

    /// Everything that can be seen of the nodes, and of the network since the last call.
    fn story(&mut self) -> String {
        let mut story = format!("{:?}", &self.net.sent[self.told..]);
        self.told = self.net.sent.len();
        for node in &mut self.net.nodes {
            let records: Vec<_> =
                node.manager.dangerous_records().map(ResumptionRecord::to_bytes).collect();
            let records: Vec<_> = records.iter().map(|record| *record.as_bytes()).collect();
            let events = core::mem::take(&mut node.events);
            let dropped = core::mem::take(&mut node.dropped);
            let (due, manager) = (node.manager.poll_timeout(), &node.manager);
            let facts = node.facts();
            story += &format!("{manager:?} {facts} {due:?} {events:?} {dropped:?} {records:?}");
            story += &format!("{:?} {:?}", node.got.last(), node.heard);
        }
        story
    }

    /// Nothing is in the way any more, and all that was under way ends.
    fn recover(&mut self) {
        self.net.on_send(|_| Fate::Arrives);
        for node in &mut self.net.nodes {
            (node.polls, node.signs) = (true, true);
            node.requests.clear();
        }
        self.net.run(140_000);
        for node in &mut self.net.nodes {
            node.events.clear();
            node.got.clear();
            let state = format!("{:?}", node.manager);
            assert!(state.contains("syncs: 0") && state.contains("waiting: 0"), "{state}");
        }
    }

    fn check(&mut self) {
        for node in &mut self.net.nodes {
            assert!(node.manager.sessions().len() <= SESSIONS + 1);
            assert!(node.manager.sessions().exchange_count() <= EXCHANGES);
            assert!(node.manager.handshakes().len() <= HANDSHAKES);
            let mut seen = BTreeSet::new();
            for got in &node.got {
                assert!(seen.insert(got.payload.clone()), "delivered twice: {got:?}");
            }
            let mut seen = BTreeSet::new();
            for heard in &node.heard {
                assert!(seen.insert(heard.payload.clone()), "heard twice: {heard:?}");
            }
        }
    }
}

/// Few by default, as each case is a long story; more with `PROPTEST_CASES`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_operations_over_any_network(seed: u64, ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::<Heap>::new(seed);
        for op in &ops {
            world.apply(op);
            world.check();
        }
        // What is left works, and everything comes to rest.
        world.recover();
        world.check();
        let (a, _) = world.net.case(200);
        let exchange = world.net.say(0, a, 2);
        world.net.run(1000);
        prop_assert!(world.net.nodes[0].acknowledged(exchange));
        prop_assert_eq!(world.net.nodes[1].got.len(), 1);
        world.net.assert_clean();
        // A session that both ends have is the same session.
        let challenges = |n: usize| -> BTreeSet<[u8; 16]> {
            let sessions = world.net.nodes[n].manager.sessions();
            sessions.iter().map(|s| *s.session().attestation_challenge()).collect()
        };
        prop_assert!(challenges(0).intersection(&challenges(1)).count() >= 1);
    }

    /// A small device that runs out of everything: it loses messages, and nothing else.
    #[test]
    fn any_operations_on_a_small_device(seed: u64, ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::<Small>::new(seed);
        for op in &ops {
            world.apply(op);
            world.check();
        }
        world.recover();
        let (a, _) = world.net.case(200);
        world.net.assert_clean();
        // All octets are free. Those of another long message are kept for handshakes.
        let exchange = world.net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
        let sent = world.net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &[7; 1200 - 63]));
        prop_assert_eq!(sent, Ok(()));
    }

    /// The same operations on tables of both kinds: the same datagrams, messages, events and
    /// facts after each.
    #[test]
    fn both_kinds_of_storage_agree(seed: u64, ops in prop::collection::vec(op(), 1..120)) {
        let (mut heap, mut fixed) = (World::<Heap>::new(seed), World::<Arrays>::new(seed));
        for op in &ops {
            heap.apply(op);
            fixed.apply(op);
            prop_assert_eq!(heap.story(), fixed.story(), "after {:?}", op);
        }
        heap.recover();
        fixed.recover();
        prop_assert_eq!(heap.story(), fixed.story());
        fixed.net.assert_clean();
    }
}
