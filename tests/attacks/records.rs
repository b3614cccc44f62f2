//! Resumption records: sessions that come back, records that outlive what they rest on, records
//! that one peer takes from another.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use matter_session::crypto::RustCrypto;
use matter_session::fabric::Fabric;
use matter_session::handshake::ClaimRequest;
use matter_session::handshake::case::messages::Sigma2Resume;
use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    Config, Datagram, Event, Fixed, Heap, Received, SessionManager, Storage,
};
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::ResumptionId;
use matter_session::time::MatterTime;

use crate::net::{Authority, Dice, Fate, Net, Network, index, udp};

const CONTROLLER: usize = 0;
const DEVICE: usize = 1;
const SIGMA1: u8 = 0x30;
const SIGMA2_RESUME: u8 = 0x33;
const REPORT: u8 = 0x40;

/// An initiator's datagram as if another one had sent it, who has begun `n` handshakes before.
fn again(datagram: &[u8], n: u32) -> Vec<u8> {
    let mut octets = datagram.to_vec();
    octets[4..8].copy_from_slice(&(n + 1).to_le_bytes());
    octets[8..16].copy_from_slice(&0x1234_u64.to_le_bytes());
    octets[18..20].copy_from_slice(&(n as u16).to_le_bytes());
    octets
}

/// The report of success of the initiator that sent this Sigma1, in answer to a message.
fn success(sigma1: &[u8], answered: &[u8]) -> Vec<u8> {
    let mut octets = sigma1[..22].to_vec();
    octets[4..8].copy_from_slice(&0x0FFF_FFFF_u32.to_le_bytes());
    (octets[16], octets[17]) = (3, REPORT);
    octets.extend(&answered[4..8]);
    octets.extend([0; 8]);
    octets
}

/// The opcode and payload of an unsecured datagram of a responder.
fn answer(octets: &[u8]) -> (u8, &[u8]) {
    let acks = 4 * usize::from(octets[16] & 2 != 0);
    (octets[17], &octets[22 + acks..])
}

/// Repeats a recorded Sigma1 until the session that comes of it has the id of the recorded
/// messages, reports success, and repeats those. Returns how many Sigma1 were answered with a
/// resumption.
fn repeat_session(
    net: &mut Net,
    sigma1: &[u8],
    messages: &[Vec<u8>],
    keeper: &mut Keeper,
) -> usize {
    let attacker = udp(9);
    let id = u16::from_le_bytes([messages[0][1], messages[0][2]]);
    for n in 0..66_000 {
        let (sigma1, since) = (again(sigma1, n), net.sent.len());
        let _ = net.hand(DEVICE, attacker, &sigma1);
        net.pump();
        keeper.work(net);
        for _ in 0..300 {
            if net.sent_by(DEVICE, since).iter().any(|d| d.to == attacker && d.octets.len() > 40) {
                break;
            }
            keeper.run(net, 1);
        }
        let answers = net.sent_by(DEVICE, since);
        let answer_of = |d: &&&crate::net::Datagram| d.to == attacker && d.octets.len() > 40;
        let Some(sent) = answers.iter().find(answer_of) else { return n as usize };
        let (opcode, payload) = answer(&sent.octets);
        if opcode != SIGMA2_RESUME {
            return n as usize;
        }
        let session = Sigma2Resume::parse(payload).unwrap().responder_session_id.get();
        if session == id {
            let report = success(&sigma1, &sent.octets);
            net.hand(DEVICE, attacker, &report).unwrap();
            for message in messages {
                let _ = net.hand(DEVICE, attacker, message);
            }
            return n as usize + 1;
        }
        net.now += 1;
        net.sent.clear();
    }
    panic!("the id of the session has not come");
}

/// What survives a restart of the device: the bytes of its record.
type Durable = Rc<RefCell<Option<Vec<u8>>>>;

/// What the store is to do, in this order.
enum Write {
    Put(Vec<u8>),
    Delete(Option<ClaimRequest>),
}

/// Where the application of the device keeps its record: written late, in the order of the orders.
struct Keeper {
    durable: Durable,
    orders: VecDeque<(u64, Write)>,
    lag: u64,
    /// The manager calls a `ResumptionStore`, and events tell nothing.
    with_store: Option<Cached>,
}

impl Keeper {
    fn new(durable: Durable, lag: u64) -> Self {
        Self { durable, orders: VecDeque::new(), lag, with_store: None }
    }

    /// Handles the events of the device, and writes what is due.
    fn work(&mut self, net: &mut Net) {
        let due = net.now + self.lag;
        for event in core::mem::take(&mut net.node(DEVICE).events) {
            if let Event::RecordChanged { peer, .. } = event {
                let bytes = net.call(DEVICE, |m, _| m.records_mut().export(peer));
                let write = bytes.map(|bytes| Write::Put(bytes.as_bytes().to_vec()));
                self.orders.push_back((due, write.unwrap_or(Write::Delete(None))));
            }
        }
        if let Some(store) = &self.with_store {
            let saved = store.0.borrow_mut().saved.drain(..).collect::<Vec<_>>();
            self.orders.extend(saved.into_iter().map(|bytes| (due, Write::Put(bytes))));
        }
        for request in core::mem::take(&mut net.node(DEVICE).claims) {
            self.orders.push_back((due, Write::Delete(Some(request))));
        }
        while self.orders.front().is_some_and(|(due, _)| *due <= net.now) {
            match self.orders.pop_front().unwrap().1 {
                Write::Put(bytes) => *self.durable.borrow_mut() = Some(bytes),
                Write::Delete(request) => {
                    *self.durable.borrow_mut() = None;
                    if let Some(request) = request {
                        let claimed = request.complete(true);
                        let complete =
                            net.call(DEVICE, |m, cx| m.records_mut().complete_claim(cx, claimed));
                        let _ = complete; // it may come too late
                    }
                }
            }
        }
    }

    fn run(&mut self, net: &mut Net, millis: u64) {
        for _ in 0..millis {
            net.run(1);
            self.work(net);
        }
    }
}

/// A store that reads from memory and writes late.
#[derive(Clone, Default)]
struct Cached(Rc<RefCell<Cache>>);

#[derive(Default)]
struct Cache {
    rows: BTreeMap<Peer, ResumptionRecord>,
    saved: Vec<Vec<u8>>,
}

impl ResumptionStore for Cached {
    fn by_id(&mut self, of: FabricIndex, id: &ResumptionId, n: usize) -> Option<ResumptionRecord> {
        let cache = self.0.borrow();
        cache.rows.values().filter(|row| (row.fabric, row.id) == (of, *id)).nth(n).cloned()
    }

    fn by_peer(&mut self, peer: Peer) -> Option<ResumptionRecord> {
        self.0.borrow().rows.get(&peer).cloned()
    }

    fn claim(&mut self, peer: Peer, id: &ResumptionId) -> Claim {
        let mut cache = self.0.borrow_mut();
        if cache.rows.get(&peer).is_none_or(|row| row.id != *id) {
            return Claim::Refused;
        }
        cache.rows.remove(&peer);
        Claim::Pending
    }

    fn save(&mut self, record: &ResumptionRecord) {
        let mut cache = self.0.borrow_mut();
        cache.rows.insert(Peer::new(record.fabric, record.peer), record.clone());
        cache.saved.push(record.to_bytes().as_bytes().to_vec());
    }

    fn remove(&mut self, peer: Peer) {
        self.0.borrow_mut().rows.remove(&peer);
    }

    fn remove_fabric(&mut self, _: FabricIndex) {}
}

/// How the device keeps its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    /// It exports its record and restores it, and does not take part in claims.
    Exports,
    /// It also deletes what a peer claims.
    Claims,
    /// It has a `ResumptionStore`.
    Store,
}

fn config(keeps: Keeps) -> Config {
    let wait = if keeps == Keeps::Exports { 0 } else { 200 };
    Config::default().with_claim_wait(Duration::from_millis(wait))
}

/// Prepares a new life of the device.
fn begin(net: &mut Net, keeps: Keeps, durable: &Durable, lag: u64) -> Keeper {
    let mut keeper = Keeper::new(durable.clone(), lag);
    let stored = durable.borrow().as_deref().map(|b| ResumptionRecord::from_bytes(b).unwrap());
    net.node(DEVICE).grants = false;
    if keeps == Keeps::Store {
        let store = Cached::default();
        let rows = stored.into_iter().map(|r| (Peer::new(r.fabric, r.peer), r));
        store.0.borrow_mut().rows.extend(rows);
        net.node(DEVICE).store = Some(Box::new(store.clone()));
        keeper.with_store = Some(store);
    } else if let Some(record) = stored {
        assert_eq!(net.call(DEVICE, |m, cx| m.records_mut().restore(cx, record)), Ok(()));
    }
    keeper
}

/// The device dies, and begins again with its fabric and what it has stored.
fn restart(net: &mut Net, keeps: Keeps, durable: &Durable, lag: u64) -> Keeper {
    let node = net.node(DEVICE);
    let mut fabric = [0; Fabric::ENCODED_MAX_LEN];
    let len = node.manager.fabrics().iter().next().unwrap().encode(&mut fabric).unwrap();
    node.manager = SessionManager::new(config(keeps), RustCrypto, &mut Dice::new(4711));
    node.manager.fabrics_mut().restore(&fabric[..len]).unwrap();
    node.events.clear();
    node.claims.clear();
    begin(net, keeps, durable, lag)
}

/// Two nodes; the device has stored its record.
fn acquainted(keeps: Keeps, lag: u64) -> (Net, Keeper, Durable) {
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), config(keeps))]);
    let durable = Durable::default();
    let mut keeper = begin(&mut net, keeps, &durable, lag);
    net.dial_case(CONTROLLER, DEVICE, 1, 200);
    keeper.run(&mut net, 1000);
    assert!(durable.borrow().is_some());
    net.node(CONTROLLER).events.clear();
    (net, keeper, durable)
}

/// The commands that the controller has sent since.
fn commands(net: &Net, since: usize) -> Vec<Vec<u8>> {
    let sent = net.sent_by(CONTROLLER, since);
    let commands = sent.into_iter().filter(|d| d.octets[1..3] != [0, 0] && d.octets.len() > 40);
    commands.map(|d| d.octets.clone()).collect()
}

fn assert_executed_once(net: &Net, when: &str) {
    let executed: Vec<_> = net.nodes[DEVICE].got.iter().map(|got| got.opcode).collect();
    let mut once = executed.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(executed.len(), once.len(), "{executed:?} {when}");
}

/// The device dies at any time, and its store is behind by up to 100 ms. An attacker who has
/// recorded everything repeats the Sigma1 and the commands, as often as the id of the session takes.
#[test]
fn a_device_that_restarts_with_an_older_record_executes_no_command_again() {
    for keeps in [Keeps::Exports, Keeps::Claims, Keeps::Store] {
        for lag in [0, 7, 100] {
            let (mut resumptions, mut executed, mut attacks) = (0, 0, 0);
            for dies in (0..24).chain([40, 60, 120, 121, 130, 240, 250]) {
                let when = format!("{keeps:?}, behind by {lag} ms, dies after {dies} ms");
                let (mut net, mut keeper, durable) = acquainted(keeps, lag);
                net.on_send(|_| Fate::Late(3));
                let since = net.sent.len();
                net.dial_case(CONTROLLER, DEVICE, 1, 200);
                net.pump();
                let sigma1 = net.sent[since].octets.clone();
                let mut said = false;
                for _ in 0..dies {
                    keeper.run(&mut net, 1);
                    if let Some(session) = net.nodes[CONTROLLER].try_established()
                        && !said
                    {
                        for opcode in [2, 4, 6] {
                            net.say(CONTROLLER, session, opcode);
                        }
                        said = true;
                    }
                }
                let commands = commands(&net, since);
                let before = net.nodes[DEVICE].got.len();
                executed += before;
                let mut keeper = restart(&mut net, keeps, &durable, lag);
                net.on_send(|_| Fate::Arrives);
                if !commands.is_empty() {
                    attacks += 1;
                    resumptions += repeat_session(&mut net, &sigma1, &commands, &mut keeper);
                }
                assert_executed_once(&net, &when);
            }
            assert!(executed > 0 && attacks > 0, "{keeps:?} {lag}: {executed}, {attacks}");
            assert_eq!(resumptions, 0, "{keeps:?} {lag}: there is nothing to resume");
        }
    }
}

/// The report that ends the handshake and the commands come in one call. The application, whose
/// store is synchronous, hears of the new record after that.
#[test]
fn commands_in_the_same_call_as_the_handshake_are_executed_once() {
    for keeps in [Keeps::Claims, Keeps::Store] {
        let (mut net, mut keeper, durable) = acquainted(keeps, 0);
        let since = net.sent.len();
        net.on_send(|d| {
            let is_report = d.handshake_opcode() == Some(REPORT) && d.from == udp(1);
            if is_report { Fate::Lost } else { Fate::Arrives }
        });
        net.dial_case(CONTROLLER, DEVICE, 1, 200);
        keeper.run(&mut net, 5);
        let session = net.node(CONTROLLER).established();
        for opcode in [2, 4, 6] {
            net.say(CONTROLLER, session, opcode);
        }
        net.on_send(|_| Fate::Lost);
        net.pump();
        let sigma1 = net.sent[since].octets.clone();
        let mut sent: Vec<_> =
            net.sent_by(CONTROLLER, since).iter().skip(1).map(|d| d.octets.clone()).collect();
        assert_eq!(sent.len(), 4, "the report and three commands");
        let executed = net.call(DEVICE, |m, cx| {
            let mut batch: Vec<_> = sent.iter_mut().map(|d| Datagram::new(udp(1), d)).collect();
            m.handle_datagrams(cx, &mut batch);
            let received = batch.iter_mut().filter_map(Datagram::take);
            received.filter(|received| matches!(received, Received::Message(_))).count()
        });
        assert_eq!(executed, 3, "{keeps:?}");
        // It dies before the application has polled an event.
        let commands = commands(&net, since);
        let mut keeper = restart(&mut net, keeps, &durable, 0);
        net.on_send(|_| Fate::Arrives);
        assert_eq!(repeat_session(&mut net, &sigma1, &commands, &mut keeper), 0, "{keeps:?}");
        assert_eq!(net.nodes[DEVICE].got, [], "{keeps:?}");
    }
}

/// Nodes of fabric 1: a victim, a peer of it, and a hostile node that hands out the id which the
/// peer hands out.
fn with_hostile() -> Net {
    let mut net = Net::with((1..4).map(|port| (udp(port), Config::default())).collect());
    let mut authority = Authority::new(1, false);
    for (n, node) in [100, 200, 300].into_iter().enumerate() {
        authority.join(&mut net, n, node);
    }
    net
}

/// Connects, and says whether the session was resumed.
fn connects(net: &mut Net, from: usize, to: usize) -> Option<bool> {
    net.node(from).events.clear();
    net.dial_case(from, to, 1, [100, 200, 300][to]);
    net.run(3000);
    let mut events = net.nodes[from].events.iter();
    events.find_map(|event| match event {
        Event::Established { resumed, .. } => Some(*resumed),
        _ => None,
    })
}

#[test]
fn an_id_that_a_hostile_node_hands_out_again_costs_no_other_peer_its_record() {
    for order in [[1, 2], [2, 1]] {
        let mut net = with_hostile();
        for peer in order {
            net.node(peer).rng = Dice::new(88);
            assert_eq!(connects(&mut net, 0, peer), Some(false));
        }
        // In both roles.
        assert_eq!(connects(&mut net, 1, 0), Some(true), "{order:?}");
        for peer in order {
            net.node(peer).rng = Dice::new(99);
            connects(&mut net, 0, peer);
        }
        for peer in order {
            assert_eq!(connects(&mut net, 0, peer), Some(true), "{order:?}");
        }
    }
}

fn crowd<S: Storage>() {
    let device = Config::default().with_records(4, Duration::from_secs(3600));
    let nodes = core::iter::once(device).chain(core::iter::repeat_n(Config::default(), 10));
    let mut net = Network::<S, RustCrypto>::stored((1..).map(udp).zip(nodes).collect());
    let (mut first, mut second) = (Authority::new(1, false), Authority::new(2, false));
    first.join(&mut net, 0, 200);
    let other = second.join(&mut net, 0, 200);
    for n in 1..3 {
        first.join(&mut net, n, 100 + n as u64);
    }
    for n in 3..11 {
        second.join(&mut net, n, 100 + n as u64);
    }
    for n in 1..11 {
        net.dial_case(n, 0, 1, 200);
        net.run(1000);
        assert!(net.node(n).try_established().is_some(), "{n}");
    }
    let count =
        |fabric| net.nodes[0].manager.records().iter().filter(|r| r.peer.fabric == fabric).count();
    assert_eq!([index(1), other].map(count), [2, 2]);
}

#[test]
fn a_fabric_that_makes_many_records_evicts_none_of_a_smaller_fabric() {
    type Device = Fixed<
        Sessions<16>,
        Exchanges<8>,
        Handshakes<2>,
        Fabrics<5>,
        Records<4>,
        MessageBytes<5120>,
    >;
    crowd::<Heap>();
    crowd::<Device>();
}

/// Declares the longest intervals in a message of a handshake that declares the default ones.
fn slowed(message: &[u8]) -> Vec<u8> {
    let mut octets = message.to_vec();
    let declared = [0x25, 1, 0xF4, 1, 0x25, 2, 0x2C, 1, 0x25, 3, 0xA0, 0x0F];
    let at = octets.windows(12).position(|window| window == declared).expect("parameters");
    octets[at..at + 12].copy_from_slice(&[0x25, 1, 255, 255, 0x25, 2, 255, 255, 0x25, 3, 0, 0]);
    octets
}

#[test]
fn parameters_altered_in_a_resumption_delay_no_retransmission() {
    for (altered, opcode) in [(CONTROLLER, SIGMA1), (DEVICE, SIGMA2_RESUME)] {
        let mut net = Net::members();
        net.case(200);
        net.settle();
        net.on_send(
            move |d| {
                if d.handshake_opcode() == Some(opcode) { Fate::Lost } else { Fate::Arrives }
            },
        );
        let since = net.sent.len();
        net.dial_case(CONTROLLER, DEVICE, 1, 200);
        net.pump();
        let message = net.sent_by(altered, since).pop().unwrap().octets.clone();
        net.on_send(|_| Fate::Arrives);
        let from = net.nodes[altered].address;
        net.hand(1 - altered, from, &slowed(&message)).unwrap();
        net.run(1000);
        let session = net.node(1 - altered).established();
        let since = net.cut();
        let exchange = net.say(1 - altered, session, 2);
        net.run(12_000);
        let transmissions = net.sent_by(1 - altered, since).len();
        assert_eq!(transmissions, 5, "a retransmission takes long: {opcode:#x} was altered");
        let _ = exchange;
    }
}

const DAY: u64 = 24 * 3600;
const EPOCH: u32 = 800_000_000;

/// Two nodes whose clocks are right. The certificate of one is valid for a day.
fn with_short_certificate(n: usize) -> Net {
    let mut net = Net::with(vec![(udp(1), Config::default()), (udp(2), Config::default())]);
    let mut authority = Authority::new(1, false);
    for (node, id) in [100, 200].into_iter().enumerate() {
        let day = EPOCH + DAY as u32 + 1000;
        let end = MatterTime::from_seconds(day);
        authority.until = (node == n).then_some(end);
        authority.join(&mut net, node, id);
        net.node(node).epoch = Some(EPOCH);
    }
    net
}

#[test]
fn no_session_is_resumed_after_the_certificates_of_the_peer_have_ended() {
    for short in [CONTROLLER, DEVICE] {
        let mut net = with_short_certificate(short);
        // The node itself does not know the time, and tries.
        net.node(short).epoch = None;
        assert_eq!(connects(&mut net, CONTROLLER, DEVICE), Some(false));
        net.run(DAY * 500);
        assert_eq!(connects(&mut net, CONTROLLER, DEVICE), Some(true));
        net.run(DAY * 400);
        assert_eq!(connects(&mut net, CONTROLLER, DEVICE), Some(true));
        net.run(DAY * 200);
        assert_eq!(connects(&mut net, CONTROLLER, DEVICE), None, "the certificate of {short}");
    }
}

#[test]
fn the_lifetime_of_a_record_counts_from_the_full_handshake() {
    for short in [CONTROLLER, DEVICE] {
        let mut nodes = vec![(udp(1), Config::default()), (udp(2), Config::default())];
        nodes[short].1.record_lifetime = Duration::from_secs(3600);
        let mut net = Net::members_with(nodes);
        assert_eq!(connects(&mut net, CONTROLLER, DEVICE), Some(false));
        for _ in 0..3 {
            net.run(1_000_000);
            assert_eq!(connects(&mut net, CONTROLLER, DEVICE), Some(true));
        }
        net.run(700_000);
        assert_eq!(connects(&mut net, CONTROLLER, DEVICE), Some(false), "{short}");
    }
}

/// A node that connects to itself saves one record twice: at each end of the handshake. The copy
/// that was stored in between is asked for before it is answered from.
#[test]
fn a_record_that_was_stored_is_asked_for_although_it_is_saved_once_more() {
    let mut config = Config::default();
    config.claim_wait = Duration::from_secs(1);
    let mut net = Net::<Heap>::stored(vec![(udp(1), config)]);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    let me = Peer::new(index(1), NodeId::new(100));
    net.on_send(|_| Fate::Late(20));
    net.call(0, |m, cx| m.connect_case(cx, udp(1), me)).unwrap();
    let mut stored = None;
    for _ in 0..200 {
        net.run(1);
        if stored.is_none() && net.nodes[0].try_established().is_some() {
            let copy = net.node(0).manager.records_mut().export(me).expect("a record");
            stored = ResumptionRecord::from_bytes(copy.as_bytes()).ok();
        }
    }
    net.settle();
    let id = net.nodes[0].manager.records().get(me).unwrap().id;
    assert_eq!(stored.map(|record| record.id), Some(id));
    net.node(0).grants = false;
    net.call(0, |m, cx| m.connect_case(cx, udp(1), me)).unwrap();
    net.run(200);
    assert_eq!(net.nodes[0].claims.len(), 1);
}
