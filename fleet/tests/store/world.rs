//! A device, and processes that are one controller, without sockets: datagrams are handed over.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::thread;

use fleet::identity::Identity;
use fleet::store::{Answer, Order, Settings, Store};
use fleet::{RowKey, system_rng};
use matter_session::context::{Context, Services};
use matter_session::crypto::{RustCrypto, Secret, SigningKey};
use matter_session::ids::{CaseAuthTags, FabricId, FabricIndex, NodeId, Peer};
use matter_session::manager::{Config, Event, HeapSessionManager, PeerAddress};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::ResumptionId;
use matter_session::time::Instant;
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{Packet, ProtocolHeader};

use crate::authority::Authority;

pub(crate) const DEVICE: NodeId = NodeId::new(0xD1);
const CONTROLLER: NodeId = NodeId::new(0xC0);
/// How long a process waits for a claim.
pub(crate) const CLAIM_WAIT: Duration = Duration::from_millis(250);
/// The lifetime of records.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

/// How a process answers a Sigma1 that names a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Resumed,
    InFull,
    /// It waits for the store.
    Waits,
}

fn address(n: u16) -> PeerAddress {
    PeerAddress::Udp(SocketAddr::from((Ipv4Addr::LOCALHOST, n)))
}

pub(crate) fn device() -> Peer {
    Peer::new(FabricIndex::MIN, DEVICE)
}

pub(crate) fn settings(address: SocketAddr, process: u8) -> Settings {
    Settings {
        address,
        timeout: Duration::from_secs(5),
        lease: Duration::from_secs(1),
        process,
        key: RowKey::new(Secret::new([7; 32])),
    }
}

/// A record of a peer that was never met.
pub(crate) fn record(peer: u64, id: u8) -> ResumptionRecord {
    let mut bytes = [0; ResumptionRecord::ENCODED_LEN];
    (bytes[0], bytes[1]) = (3, 1);
    bytes[10..18].copy_from_slice(&peer.to_le_bytes());
    bytes[18..34].fill(id);
    bytes[34..66].fill(id ^ 0x5A);
    ResumptionRecord::from_bytes(&bytes).unwrap()
}

pub(crate) fn peer_of(record: &ResumptionRecord) -> Peer {
    Peer::new(record.fabric, record.peer)
}

pub(crate) fn save(store: &mut Store, record: &ResumptionRecord, expires_in: Duration) {
    let (peer, id) = (peer_of(record), record.id);
    store.order(Order::Save { peer, id, record: record.to_bytes(), expires_in });
}

/// Waits for the answer to the last order.
pub(crate) fn answer(store: &mut Store) -> Answer {
    for _ in 0..60_000 {
        match store.poll_answer() {
            Some(answer) => return answer,
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("every order gets an answer");
}

pub(crate) fn load(store: &mut Store, peer: Peer) -> Option<ResumptionRecord> {
    store.order(Order::Load(peer));
    match answer(store) {
        Answer::Loaded(of, record) if of == peer => record.map(|record| *record),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn find(store: &mut Store, id: ResumptionId) -> Option<ResumptionRecord> {
    store.order(Order::Find(id));
    match answer(store) {
        Answer::Found(of, record) if of == id => record.map(|record| *record),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn beat(store: &mut Store) -> Option<Vec<u8>> {
    store.order(Order::Beat);
    match answer(store) {
        Answer::Live(live) => live,
        other => panic!("{other:?}"),
    }
}

/// A manager, and the key that it signs with.
pub(crate) struct Node {
    pub(crate) manager: HeapSessionManager,
    key: SigningKey,
    pub(crate) now: Instant,
}

impl Node {
    pub(crate) fn with<R>(
        &mut self,
        act: impl FnOnce(&mut HeapSessionManager, &mut Context<'_>) -> R,
    ) -> R {
        let mut rng = system_rng();
        act(&mut self.manager, &mut Services::new(&mut rng).at(self.now))
    }

    /// Computes what is due, and returns what happened.
    fn events(&mut self) -> Vec<Event<()>> {
        let mut events = Vec::new();
        loop {
            self.with(|manager, cx| manager.handle_timeout(cx));
            let before = events.len();
            while let Some(event) = self.manager.poll_event() {
                events.push(event);
            }
            if events.len() == before && !self.manager.handshakes().is_computing() {
                return events;
            }
        }
    }

    fn sign(&mut self, event: Event<()>) -> Option<Event<()>> {
        let Event::SignRequest(request) = event else { return Some(event) };
        let signed = request.sign_with(&mut self.key);
        self.with(|manager, cx| manager.complete_signature(cx, signed)).unwrap();
        None
    }

    fn hand(&mut self, from: PeerAddress, mut datagram: Vec<u8>) {
        self.with(|manager, cx| {
            let _ = manager.handle_datagram(cx, from, &mut datagram);
        });
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.manager.poll_transmit(self.now) {
            sent.push(transmit.datagram.to_vec());
        }
        sent
    }
}

/// The device and what all processes of the controller have.
pub(crate) struct World {
    pub(crate) device: Node,
    identity: Identity,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut rng = system_rng();
        let mut authority = Authority::found(FabricId::new(1).unwrap(), &mut rng).unwrap();
        let mut admit = |node| {
            let mut manager = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
            let none = CaseAuthTags::NONE;
            let (_, key) = authority.admit(&mut manager, node, none, &mut system_rng()).unwrap();
            Node { manager, key, now: Instant::ZERO }
        };
        let (device, controller) = (admit(DEVICE), admit(CONTROLLER));
        let rows = settings(([0; 4], 0).into(), 0).key;
        let identity = Identity::of(&controller.manager, &controller.key, rows).unwrap();
        Self { device, identity }
    }

    /// A process that knows the identity of the node, and nothing else.
    pub(crate) fn process(&self, settings: Settings) -> Process {
        let config = Config::default().with_claim_wait(CLAIM_WAIT).with_records(64, LIFETIME);
        let mut manager = HeapSessionManager::new(config, RustCrypto, &mut system_rng());
        let key = self.identity.assume(&mut manager).unwrap();
        let address = address(5540 + u16::from(settings.process));
        let node = Node { manager, key, now: Instant::ZERO };
        Process { node, store: Store::start(settings, || {}), address }
    }

    /// Lets a process connect to the device, and save the record. Returns whether it resumed.
    pub(crate) fn meet(&mut self, process: &mut Process) -> bool {
        let to = address(1);
        process.node.with(|manager, cx| manager.connect_case(cx, to, device())).unwrap();
        let mut how = None;
        for _ in 0..20 {
            for event in process.node.events() {
                match process.node.sign(event) {
                    Some(Event::Established { resumed, .. }) => how = Some(resumed),
                    Some(Event::RecordChanged { peer, .. }) => process.keep(peer),
                    _ => {}
                }
            }
            for datagram in process.node.sent() {
                self.device.hand(process.address, datagram);
            }
            for event in self.device.events() {
                let _ = self.device.sign(event);
            }
            for datagram in self.device.sent() {
                process.node.hand(to, datagram);
            }
        }
        // Orders are executed in their order.
        let _ = beat(&mut process.store);
        how.unwrap()
    }

    /// The first message of the device, which wants to resume, as an attacker records it too.
    pub(crate) fn sigma1(&mut self) -> Vec<u8> {
        let controller = Peer::new(FabricIndex::MIN, CONTROLLER);
        let connect = |manager: &mut HeapSessionManager, cx: &mut Context<'_>| {
            manager.connect_case(cx, address(5540), controller)
        };
        let handshake = self.device.with(connect).unwrap();
        let sigma1 = self.device.sent().remove(0);
        assert!(self.device.manager.handshakes().cancel(handshake));
        // The report of that reaches nobody.
        let _ = self.device.sent();
        sigma1
    }

    pub(crate) fn records(&self) -> Vec<ResumptionId> {
        self.device.manager.records().iter().map(|record| record.id).collect()
    }
}

/// A process of the controller.
pub(crate) struct Process {
    pub(crate) node: Node,
    pub(crate) store: Store,
    address: PeerAddress,
}

impl Process {
    fn keep(&mut self, peer: Peer) {
        let record = self.node.manager.records_mut().export(peer).unwrap();
        let id = self.node.manager.records().get(peer).unwrap().id;
        self.store.order(Order::Save { peer, id, record, expires_in: LIFETIME });
    }

    /// Restores the record of the device, as the store has it.
    pub(crate) fn fetch(&mut self) -> bool {
        let record = load(&mut self.store, device());
        let found = record.is_some();
        self.node.with(|manager, cx| {
            record.map(|record| manager.records_mut().restore(cx, record).unwrap())
        });
        found
    }

    /// Handles a Sigma1 as far as that goes without the store.
    pub(crate) fn begin(&mut self, sigma1: &[u8]) -> Reply {
        self.node.hand(address(2), sigma1.to_vec());
        self.proceed()
    }

    /// Handles what is due.
    pub(crate) fn proceed(&mut self) -> Reply {
        for event in self.node.events() {
            match event {
                Event::ClaimRequest(request) => self.store.order(Order::Claim(request)),
                Event::SignRequest(_) => return Reply::InFull,
                _ => {}
            }
        }
        let resumed =
            self.node.sent().iter().any(|sent| opcode(sent) == Opcode::CASE_SIGMA2_RESUME);
        if resumed { Reply::Resumed } else { Reply::Waits }
    }

    /// Waits for the store.
    pub(crate) fn claimed(&mut self) -> Reply {
        let Answer::Claimed(claimed) = answer(&mut self.store) else { panic!("not a claim") };
        self.node.with(|manager, cx| manager.records_mut().complete_claim(cx, claimed)).unwrap();
        self.proceed()
    }

    /// Answers a Sigma1, with the help of the store.
    pub(crate) fn reply(&mut self, sigma1: &[u8]) -> Reply {
        match self.begin(sigma1) {
            Reply::Waits => self.claimed(),
            reply => reply,
        }
    }
}

fn opcode(datagram: &[u8]) -> Opcode {
    let mut datagram = datagram.to_vec();
    let (_, _, body) = Packet::parse(&mut datagram).unwrap().into_parts();
    ProtocolHeader::parse(body).map_or(Opcode(0), |(header, _)| Opcode(header.opcode))
}
