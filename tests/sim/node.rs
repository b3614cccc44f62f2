//! A node: a manager, and an application that keeps an account of what it did and was told.

use core::cell::RefCell;
use core::convert::Infallible;
use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use matter_session::context::{Context, Services};
use matter_session::handshake::{ClaimRequest, SignRequest};
use matter_session::ids::{CaseAuthTag, FabricIndex, NodeId, ProtocolId};
use matter_session::manager::{
    Config, ExchangeHandle, GroupSettings, HandshakeHandle, PeerAddress, SessionHandle,
    SessionManager, Storage,
};
use matter_session::rand_core::{TryCryptoRng, TryRng};
use matter_session::session::SessionKind;
use matter_session::time::{Instant, MatterTime, WallClock};

use super::book::{Book, Challenge, End};
use super::counters::Bounds;
use super::ledger::{Ledger, Watched, watched};
use super::store::{Copies, Stored};
use super::suite::{Suite, node_id, node_of};
use super::vault::Vault;
use matter_session_testing::rng::Dice;

pub const IM: ProtocolId = ProtocolId::INTERACTION_MODEL;

pub type Manager<X, S> = SessionManager<Watched<<X as Suite>::Crypto>, S, u64>;

/// What a node sees of its world while it acts.
pub struct Scene<'a> {
    /// The reading of the node's own clock.
    pub now: Instant,
    pub dice: &'a mut Dice,
    pub book: &'a mut Book,
    pub ledger: &'a RefCell<Ledger>,
    /// Where the nodes are.
    pub addresses: &'a [PeerAddress],
    pub traces: bool,
}

impl Scene<'_> {
    pub fn tell(&self, node: usize, what: impl FnOnce() -> String) {
        if self.traces {
            eprintln!("{:>10} node {node}: {}", self.now.as_millis(), what());
        }
    }
}

/// Most entries of each table.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub sessions: usize,
    pub exchanges: usize,
    pub handshakes: usize,
    pub fabrics: usize,
    pub records: usize,
    pub events: usize,
    pub key_sets: usize,
    pub groups: usize,
    pub senders: usize,
    pub waiting: usize,
}

pub struct Node<X: Suite, S: Storage> {
    pub name: usize,
    pub life: u32,
    pub manager: Manager<X, S>,
    pub crypto: Watched<X::Crypto>,
    pub rng: Luck,
    pub config: Config,
    pub limits: Limits,
    pub app: App,
    /// Keeps the records in place of the manager.
    pub vault: Option<Vault>,
    /// Keeps the bounds of its group counters.
    pub bounds: Bounds,
    /// What it knows of the time.
    pub wall: WallClock,
    /// What a restart may find, if it has no vault.
    pub copies: Copies<Stored>,
    /// How many there were so far.
    pub memberships: u64,
}

/// The random numbers of a node. Narrow ones make the small numbers, counters above all, collide.
#[derive(Clone, Debug)]
pub struct Luck {
    dice: Dice,
    is_narrow: bool,
}

impl Luck {
    pub const fn new(dice: Dice, is_narrow: bool) -> Self {
        Self { dice, is_narrow }
    }

    pub fn roll(&mut self) -> u64 {
        self.dice.roll()
    }
}

impl TryRng for Luck {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let word = self.dice.roll() as u32;
        Ok(if self.is_narrow { word % 4 } else { word })
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.dice.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.dice.try_fill_bytes(dst)
    }
}

impl TryCryptoRng for Luck {}

/// What the application knows and wants.
#[derive(Default)]
pub struct App {
    /// Fabrics, with the certificate of this node.
    pub fabrics: BTreeMap<FabricIndex, (usize, usize)>,
    /// What it has stored.
    pub stored_fabrics: BTreeMap<FabricIndex, Vec<u8>>,
    pub stored_records: BTreeMap<(FabricIndex, NodeId), Vec<u8>>,
    /// Handshakes whose end was not told yet, and how others ended.
    pub dialling: BTreeSet<HandshakeHandle>,
    pub dialled: BTreeMap<HandshakeHandle, Option<SessionHandle>>,
    pub sessions: BTreeMap<SessionHandle, Known>,
    pub exchanges: BTreeMap<ExchangeHandle, Talk>,
    /// Group key sets with the numbers of their keys, and groups.
    pub key_sets: BTreeMap<(FabricIndex, u16), Range<usize>>,
    pub groups: BTreeMap<(FabricIndex, u16), GroupSettings>,
    /// Each time that it becomes a member of a fabric, or starts with it, has a number.
    pub memberships: BTreeMap<FabricIndex, u64>,
    /// Fabrics that have no room for another sender, as it was told.
    pub full: BTreeSet<FabricIndex>,
    /// Those among them that had no room for a sender of which the hostile node has no key.
    pub crowded: BTreeSet<FabricIndex>,
    pub requests: Vec<SignRequest>,
    pub claims: Vec<ClaimRequest>,
    /// What was sealed into a buffer of the application.
    pub outbox: VecDeque<(PeerAddress, Vec<u8>)>,
    pub lags: bool,
    pub signs_late: bool,
    /// Answers nothing any more.
    pub is_silent: bool,
    /// Closes each exchange that a peer begins at once, where it is silent.
    pub hangs_up: bool,
    pub acknowledged: BTreeSet<u64>,
}

/// A session that lives, or whose end was not told yet.
pub struct Known {
    pub challenge: Challenge,
    pub end: End,
    /// What the manager keeps for the application.
    pub context: u64,
    pub is_told: bool,
}

impl App {
    /// Whether it waits to hear of a message.
    pub fn waits(&self) -> bool {
        self.exchanges.values().any(|talk| !talk.waits.is_empty())
    }
}

/// An exchange as the application knows it.
pub struct Talk {
    pub session: SessionHandle,
    pub is_ours: bool,
    pub is_closed: bool,
    /// The messages that were sent reliably and of which it has heard nothing, by their numbers.
    pub waits: VecDeque<u64>,
    /// How often it has begun to wait for a response of which it was not told that it is overdue.
    pub requests: u32,
}

impl Talk {
    pub fn on(session: SessionHandle, is_ours: bool) -> Self {
        Self { session, is_ours, is_closed: false, waits: VecDeque::new(), requests: 0 }
    }
}

impl<X: Suite, S: Storage> Node<X, S> {
    pub fn new(
        name: usize,
        config: Config,
        limits: Limits,
        rng: Luck,
        ledger: Rc<RefCell<Ledger>>,
    ) -> Self {
        let crypto = watched(X::crypto(), ledger, name);
        let mut rng = rng;
        let manager = SessionManager::new(config.clone(), crypto.clone(), &mut rng);
        let vault = rng.roll().is_multiple_of(3).then(|| Vault::new(Dice::new(rng.roll())));
        let bounds = Bounds::new(Dice::new(rng.roll()));
        let knows = rng.roll().is_multiple_of(3);
        let wall = WallClock::Known(MatterTime::from_seconds(800_000_000));
        let wall = if knows { wall } else { WallClock::Unknown };
        let app = App::default();
        Self {
            name,
            life: 0,
            manager,
            crypto,
            rng,
            config,
            limits,
            app,
            vault,
            bounds,
            wall,
            copies: Copies::default(),
            memberships: 0,
        }
    }

    /// The manager, and what a call of it needs.
    pub fn with_services(&mut self) -> (&mut Manager<X, S>, Services<'_>) {
        let services = Services::new(&mut self.rng).with_wall(self.wall);
        let services = services.with_counters(&mut self.bounds);
        let services = match &mut self.vault {
            Some(vault) => services.with_resumption(vault),
            None => services,
        };
        (&mut self.manager, services)
    }

    /// Calls the manager, and looks which sessions there are then.
    pub fn call<R>(
        &mut self,
        scene: &mut Scene<'_>,
        call: impl FnOnce(&mut Manager<X, S>, &mut Context<'_>) -> R,
    ) -> R {
        let (manager, mut services) = self.with_services();
        let mut context = services.at(scene.now);
        let result = call(manager, &mut context);
        self.look(scene);
        result
    }

    /// Notes the sessions that are new.
    pub fn look(&mut self, scene: &mut Scene<'_>) {
        let fresh = |app: &App, handle| !app.sessions.contains_key(&handle);
        let handles = self.manager.sessions().iter().map(|session| session.handle());
        let handles: Vec<_> = handles.filter(|handle| fresh(&self.app, *handle)).collect();
        for handle in handles {
            let session = self.manager.session(handle).unwrap().session();
            let challenge = *session.attestation_challenge();
            let identity = session.identity();
            let mut end = End {
                node: self.name,
                kind: session.kind(),
                role: session.role(),
                local_id: session.local_session_id().get(),
                peer_id: session.peer_session_id().get(),
                peer: None,
                tags: identity.tags().iter().map(CaseAuthTag::get).collect(),
                issue: 0,
                resumed: None,
            };
            if session.kind() == SessionKind::Case {
                let index = identity.fabric().unwrap();
                let (fabric, issue) = self.app.fabrics[&index];
                assert_eq!(identity.local_node(), node_id(fabric, self.name));
                let peer = node_of(fabric, identity.peer_node()).expect("a peer that nobody is");
                (end.peer, end.issue) = (Some((fabric, peer)), issue);
            }
            scene.tell(self.name, || format!("session {handle:?} {end:?}"));
            scene.book.register(challenge, &end);
            let context = self.rng.roll();
            *self.manager.data_mut(handle).unwrap() = context;
            self.app.sessions.insert(handle, Known { challenge, end, context, is_told: false });
        }
    }

    pub fn timeout(&mut self, scene: &mut Scene<'_>) {
        self.call(scene, |manager, cx| manager.handle_timeout(cx));
    }

    /// The next datagram that leaves.
    pub fn transmit(&mut self, scene: &mut Scene<'_>) -> Option<(PeerAddress, Vec<u8>)> {
        let sent = self.app.outbox.pop_front().or_else(|| {
            let transmit = self.manager.poll_transmit(scene.now)?;
            Some((transmit.to, transmit.datagram.to_vec()))
        });
        if let Some((_, octets)) = &sent {
            scene.ledger.borrow_mut().leave(self.name, self.life, octets);
        }
        sent
    }

    pub fn lose_connection(&mut self, scene: &mut Scene<'_>, peer: PeerAddress) {
        self.call(scene, |manager, cx| manager.connections().handle_disconnect(cx, peer));
    }

    /// Makes the node a member of a fabric, if it has room for that.
    pub fn join(&mut self, fabric: usize, issue: usize) -> Option<FabricIndex> {
        let member = X::pool().member(fabric, self.name, issue);
        let index = self.manager.fabrics_mut().add(&member.credentials()).ok()?;
        self.app.fabrics.insert(index, (fabric, issue));
        self.memberships += 1;
        self.app.memberships.insert(index, self.memberships);
        self.store_fabric(index);
        Some(index)
    }

    /// The peers of whom it has a record.
    pub fn known_peers(&self) -> Vec<(FabricIndex, NodeId)> {
        match &self.vault {
            Some(vault) => vault.rows.keys().copied().collect(),
            None => self
                .manager
                .dangerous_records()
                .map(|record| (record.fabric, record.peer))
                .collect(),
        }
    }

    pub fn index_of(&self, fabric: usize) -> Option<FabricIndex> {
        let mut fabrics = self.app.fabrics.iter();
        fabrics.find(|(_, (of, _))| *of == fabric).map(|(index, _)| *index)
    }
}
