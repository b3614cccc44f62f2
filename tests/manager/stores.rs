//! Resumption records in a store of the application, alone and shared.

use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use matter_session::context::Context;
use matter_session::handshake::HandshakeError;
use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::manager::{Config, Event, RestoreError};
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::ResumptionId;

use crate::net::{Authority, Fate, Manager, Net, index, udp};

/// What a database would hold, as bytes.
#[derive(Default)]
struct Database {
    rows: BTreeMap<(u8, u64), Vec<u8>>,
    /// Fails to save what it is given.
    full: bool,
    /// Whose record has, or once had, an id.
    ids: BTreeMap<[u8; 16], (u8, u64)>,
    /// Goes by those that records once had, too, and keeps those of fabrics that are left.
    stale: bool,
    calls: usize,
}

/// A user of a database, which others may use, too.
#[derive(Clone, Default)]
struct Store(Rc<RefCell<Database>>);

impl Store {
    fn find(&self, wanted: impl Fn(&ResumptionRecord) -> bool) -> Option<ResumptionRecord> {
        let mut database = self.0.borrow_mut();
        database.calls += 1;
        let records = database.rows.values().map(|row| ResumptionRecord::from_bytes(row).unwrap());
        records.into_iter().find(wanted)
    }

    fn len(&self) -> usize {
        self.0.borrow().rows.len()
    }
}

impl ResumptionStore for Store {
    fn by_id(&mut self, _: FabricIndex, id: &ResumptionId, n: usize) -> Option<ResumptionRecord> {
        let holder = {
            let database = self.0.borrow();
            database.ids.get(id.as_bytes()).copied().filter(|_| database.stale)
        };
        let found = self.find(|record| {
            record.id == *id || holder == Some((record.fabric.get(), record.peer.get()))
        });
        found.filter(|_| n == 0)
    }

    fn by_peer(&mut self, Peer { fabric, node: peer }: Peer) -> Option<ResumptionRecord> {
        self.find(|record| (record.fabric, record.peer) == (fabric, peer))
    }

    fn claim(&mut self, peer: Peer, id: &ResumptionId) -> Claim {
        if self.by_peer(peer).is_none_or(|record| record.id != *id) {
            return Claim::Refused;
        }
        self.remove(peer);
        Claim::Granted
    }

    fn save(&mut self, record: &ResumptionRecord) {
        let mut database = self.0.borrow_mut();
        let key = (record.fabric.get(), record.peer.get());
        database.rows.remove(&key);
        if !database.full {
            database.ids.insert(*record.id.as_bytes(), key);
            database.rows.insert(key, record.to_bytes().as_bytes().to_vec());
        }
    }

    fn remove(&mut self, Peer { fabric, node: peer }: Peer) {
        self.0.borrow_mut().rows.remove(&(fabric.get(), peer.get()));
    }

    fn remove_fabric(&mut self, fabric: FabricIndex) {
        let mut database = self.0.borrow_mut();
        let stale = database.stale;
        database.rows.retain(|(of, _), _| stale || *of != fabric.get());
    }
}

/// Nodes of one fabric, each with a store that every call is given. The last ones are one node.
struct Fleet {
    net: Net,
    stores: Vec<Store>,
}

impl Fleet {
    fn pair() -> Self {
        let net = Net::members();
        Self { net, stores: vec![Store::default(), Store::default()] }.with_stores()
    }

    fn with_stores(mut self) -> Self {
        for (node, store) in self.net.nodes.iter_mut().zip(&self.stores) {
            node.store = Some(Box::new(store.clone()));
        }
        self
    }

    fn call<R>(&mut self, n: usize, f: impl FnOnce(&mut Manager, &mut Context<'_>) -> R) -> R {
        self.net.call(n, f)
    }

    /// Dials, and says of both sides whether they resumed.
    fn dial(&mut self, from: usize, to: usize, node: u64) -> [bool; 2] {
        self.net.dial_case(from, to, 1, node);
        self.net.settle();
        [from, to].map(|n| {
            let events = core::mem::take(&mut self.net.node(n).events);
            let changed = |event: &Event<u32>| matches!(event, Event::RecordChanged { .. });
            assert!(!events.iter().any(changed), "the store knows already");
            let resumed = |event: &Event<u32>| match event {
                Event::Established { resumed, .. } => Some(*resumed),
                _ => None,
            };
            events.iter().find_map(resumed).expect("a session")
        })
    }
}

/// The application names a store from some time on.
#[test]
fn a_record_of_the_own_table_goes_when_the_store_gets_the_next_one() {
    let mut net = Net::members();
    net.case(200);
    net.settle();
    let own = |net: &mut Net| [0, 1].map(|n| net.node(n).manager.records().len());
    assert_eq!(own(&mut net), [1, 1]);
    let mut fleet = Fleet { net, stores: vec![Store::default(), Store::default()] }.with_stores();
    for node in &mut fleet.net.nodes {
        node.events.clear();
    }
    fleet.net.dial_case(0, 1, 1, 200);
    fleet.net.settle();
    assert_eq!(fleet.stores.iter().map(Store::len).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(own(&mut fleet.net), [0, 0]);
}

#[test]
fn a_store_takes_the_place_of_the_managers_table() {
    let mut fleet = Fleet::pair();
    assert_eq!(fleet.dial(0, 1, 200), [false, false]);
    for n in 0..2 {
        assert_eq!((fleet.net.nodes[n].manager.records().len(), fleet.stores[n].len()), (0, 1));
    }
    assert_eq!(fleet.dial(0, 1, 200), [true, true]);
    assert_eq!(fleet.dial(0, 1, 200), [true, true]);
    fleet.net.assert_clean();
}

/// The next fabric has the index of the one that was left, and other nodes.
#[test]
fn a_record_that_outlives_its_fabric_makes_nobody_a_peer_on_the_next() {
    let mut fleet = Fleet::pair();
    assert_eq!(fleet.dial(0, 1, 200), [false, false]);
    for n in 0..2 {
        fleet.stores[n].0.borrow_mut().stale = true;
        assert!(fleet.call(n, |manager, cx| manager.fabrics_mut().remove(cx, index(1))));
        fleet.net.settle();
        assert_eq!(fleet.stores[n].len(), 1);
        fleet.net.node(n).events.clear();
    }
    let mut authority = Authority::new(2, false);
    authority.join(&mut fleet.net, 0, 777);
    authority.join(&mut fleet.net, 1, 200);
    let stale = fleet.stores[1].find(|_| true).unwrap();
    assert_eq!((stale.fabric, stale.peer), (index(1), NodeId::new(100)));
    let restored = fleet.call(1, |manager, cx| manager.records_mut().restore(cx, stale));
    assert_eq!(restored, Err(RestoreError::UnknownFabric));
    // The initiator still has a record of node 200 on an index 1, and the responder takes any id.
    assert_eq!(fleet.dial(0, 1, 200), [false, false]);
    let peers: Vec<_> = fleet.net.nodes[1]
        .manager
        .sessions()
        .iter()
        .map(|s| s.session().identity().peer_node())
        .collect();
    assert_eq!(peers, [NodeId::new(777)]);
}

#[test]
fn what_a_store_has_lost_costs_one_full_handshake() {
    let mut fleet = Fleet::pair();
    fleet.dial(0, 1, 200);
    for n in 0..2 {
        fleet.stores[n].0.borrow_mut().rows.clear();
        assert_eq!(fleet.dial(0, 1, 200), [false, false]);
        assert_eq!(fleet.dial(0, 1, 200), [true, true]);
    }
    // The record is lost that cannot be saved, and no session with it.
    fleet.stores[1].0.borrow_mut().full = true;
    assert_eq!(fleet.dial(0, 1, 200), [true, true]);
    assert_eq!(fleet.stores[1].len(), 0);
    assert_eq!(fleet.dial(0, 1, 200), [false, false]);
    fleet.net.assert_clean();
}

#[test]
fn a_fabric_that_is_left_or_updated_takes_its_records_from_the_store() {
    let mut fleet = Fleet::pair();
    fleet.dial(0, 1, 200);
    let member = Authority::new(1, false).admit(200);
    let updated = fleet
        .call(1, |manager, cx| manager.fabrics_mut().update(cx, index(1), &member.credentials()));
    assert_eq!((updated, fleet.stores[1].len()), (Ok(()), 0));
    assert_eq!(fleet.stores[0].len(), 1);
    assert!(fleet.call(0, |manager, cx| manager.fabrics_mut().remove(cx, index(1))));
    assert_eq!(fleet.stores[0].len(), 0);
}

#[derive(Clone, Copy, Debug)]
enum Forgets {
    Peer,
    All,
}

impl Fleet {
    /// One node forgets the other.
    fn forget(&mut self, n: usize, forgets: Forgets) {
        let peer = NodeId::new([200, 100][n]);
        self.call(n, |manager, cx| match forgets {
            Forgets::Peer => manager.records_mut().forget(cx, Peer::new(index(1), peer)),
            Forgets::All => manager.records_mut().forget_all(cx),
        });
    }
}

#[test]
fn a_peer_that_is_forgotten_leaves_no_record_in_the_store() {
    for forgets in [Forgets::Peer, Forgets::All] {
        for n in 0..2 {
            let mut fleet = Fleet::pair();
            fleet.dial(0, 1, 200);
            let stranger = fleet.stores[n].find(|_| true).unwrap();
            let stranger = ResumptionRecord { peer: NodeId::new(300), ..stranger };
            fleet.stores[n].save(&stranger);
            fleet.forget(n, forgets);
            let left = usize::from(matches!(forgets, Forgets::Peer));
            assert_eq!(fleet.stores[n].len(), left, "another peer's stays: {forgets:?}");
            assert_eq!(fleet.stores[1 - n].len(), 1);
            fleet.stores[n].remove(Peer::new(index(1), stranger.peer));
            assert_eq!(fleet.dial(0, 1, 200), [false, false], "{forgets:?} {n}");
            assert_eq!(fleet.dial(0, 1, 200), [true, true], "{forgets:?} {n}");
            fleet.net.assert_clean();
        }
    }
}

/// The record of a resumption that runs is in the handshake, too: it must not come back from there.
#[test]
fn a_peer_that_is_forgotten_while_it_resumes_does_not_come_back_to_the_store() {
    const SIGMA1: u8 = 0x30;
    const SIGMA2_RESUME: u8 = 0x33;
    for forgets in [Forgets::Peer, Forgets::All] {
        for (n, on_its_way) in [(0, SIGMA1), (0, SIGMA2_RESUME), (1, SIGMA2_RESUME)] {
            let what = format!("{forgets:?} on {n}, {on_its_way:#x} on its way");
            let mut fleet = Fleet::pair();
            fleet.dial(0, 1, 200);
            let secret = fleet.stores[n].find(|_| true).unwrap().shared_secret;
            fleet.net.on_send(move |d| match d.handshake_opcode() {
                Some(opcode) if opcode == on_its_way => Fate::Late(50),
                _ => Fate::Arrives,
            });
            fleet.net.dial_case(0, 1, 1, 200);
            fleet.net.pump();
            fleet.forget(n, forgets);
            assert_eq!(fleet.stores[n].len(), 0, "{what}");
            fleet.net.settle();
            if n == 1 {
                assert_eq!(fleet.net.nodes[1].failures(), [HandshakeError::Rejected], "{what}");
            }
            let came_back = |record: &ResumptionRecord| record.shared_secret == secret;
            assert_eq!(fleet.stores[n].find(came_back), None, "{what}");
            let events = &fleet.net.nodes[n].events;
            let resumed =
                |event: &Event<u32>| matches!(event, Event::Established { resumed: true, .. });
            assert!(!events.iter().any(resumed), "{what}");
            fleet.net.assert_clean();
        }
    }
}

#[test]
fn a_record_of_the_managers_own_expires_without_the_store() {
    let lifetime = core::time::Duration::from_secs(3600);
    let config = || Config::default().with_records(8, lifetime);
    let mut net = Net::members_with(vec![(udp(1), config()), (udp(2), config())]);
    net.case(200);
    let own = net.nodes[0].manager.dangerous_records().next().unwrap().clone();
    let stores = vec![Store::default(), Store::default()];
    let mut fleet = Fleet { net, stores }.with_stores();
    fleet.stores[0].save(&own);
    fleet.net.run(3_700_000);
    assert_eq!((fleet.net.nodes[0].manager.records().len(), fleet.stores[0].len()), (0, 1));
}

/// Strangers cannot make a node search its database: they do not know a destination id.
#[test]
fn only_who_knows_the_fabric_causes_lookups() {
    let mut fleet = Fleet::pair();
    fleet.dial(0, 1, 200);
    fleet.dial(0, 1, 200);
    let calls = fleet.stores[1].0.borrow().calls;
    let sigma1 = |d: &&crate::net::Datagram| d.handshake_opcode() == Some(0x30);
    let mut sigma1 = fleet.net.sent.iter().rev().find(sigma1).unwrap().octets.clone();
    // Another random, which begins at octet 26: no destination id fits.
    sigma1[30] ^= 1;
    sigma1[8] ^= 1;
    fleet.net.hand(1, udp(9), &sigma1).unwrap();
    assert_eq!(fleet.stores[1].0.borrow().calls, calls);
    fleet.net.assert_clean();
}

/// Two processes that are one node share their records. A Sigma1 and its copy reach one each:
/// without a claim both would make the same keys of it.
#[test]
fn of_two_processes_with_one_store_one_resumes_a_record() {
    let net = Net::with([1, 2, 3].map(|port| (udp(port), Default::default())).into());
    let shared = Store::default();
    let stores = vec![Store::default(), shared.clone(), shared];
    let mut fleet = Fleet { net, stores }.with_stores();
    let mut authority = Authority::new(1, false);
    authority.join(&mut fleet.net, 0, 100);
    for n in 1..3 {
        authority.join(&mut fleet.net, n, 200);
    }
    // One process made the record, the other resumes from it, and the first again.
    assert_eq!(fleet.dial(0, 1, 200), [false, false]);
    assert_eq!(fleet.dial(0, 2, 200), [true, true]);
    assert_eq!(fleet.dial(0, 1, 200), [true, true]);

    // The attacker copies a Sigma1 to the other process, in the guise of another unsecured node.
    let since = fleet.net.sent.len();
    fleet.net.on_send(|d| match d.handshake_opcode() {
        Some(0x40) if d.from == udp(1) => Fate::Late(50),
        _ => Fate::Arrives,
    });
    fleet.net.dial_case(0, 1, 1, 200);
    fleet.net.pump();
    let mut copy = fleet.net.sent[since].octets.clone();
    copy[8] ^= 1;
    fleet.net.inject(udp(9), udp(3), &copy, 0);
    fleet.net.pump();
    let answered = |n: usize| fleet.net.sent_by(n, since)[0].handshake_opcode();
    assert_eq!(answered(1), Some(0x33), "Sigma2Resume");
    assert_eq!(answered(2), Some(0x31), "Sigma2: the full handshake");
    fleet.net.settle();
    let keys = |n: usize| {
        let manager = &fleet.net.nodes[n].manager;
        manager
            .sessions()
            .iter()
            .map(|s| *s.session().attestation_challenge())
            .collect::<BTreeSet<_>>()
    };
    assert!(keys(1).is_disjoint(&keys(2)), "no keys are in both");
    fleet.net.node(0).events.clear();
    fleet.net.node(1).events.clear();
    assert_eq!(fleet.dial(0, 2, 200), [true, true], "the genuine peer has lost nothing");
    fleet.net.assert_clean();
}

/// A peer offers an id that it had before; the store answers with what the record is now. Its keys
/// would not be the peer's.
#[test]
fn a_record_with_another_id_than_was_asked_for_is_not_resumed() {
    let mut fleet = Fleet::pair();
    assert_eq!(fleet.dial(0, 1, 200), [false, false]);
    let backup = fleet.stores[0].0.borrow().rows.clone();
    assert_eq!(fleet.dial(1, 0, 100), [true, true]);
    fleet.stores[0].0.borrow_mut().rows = backup;
    fleet.stores[1].0.borrow_mut().stale = true;
    assert_eq!(fleet.dial(0, 1, 200), [false, false]);
    fleet.net.assert_clean();
}

#[test]
fn the_store_forgets_the_record_of_a_resumed_session_on_which_the_peer_is_never_heard() {
    let mut fleet = Fleet::pair();
    let peer = Peer::new(index(1), NodeId::new(200));
    for resumed in [false, true] {
        fleet.net.case(200);
        fleet.net.on_send(|d| match d.handshake_opcode() {
            Some(_) => Fate::Arrives,
            None => Fate::Lost,
        });
        let session = fleet.net.nodes[0].manager.session_with(peer).unwrap();
        fleet.net.say(0, session, 2);
        fleet.net.run(20_000);
        assert_eq!(fleet.stores[0].len(), usize::from(!resumed));
    }
}
