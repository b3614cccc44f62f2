//! A device: a manager, its memory, and the commands that its application serves.

use flash_store::memory::{Kept, Kind, Memory, StoredFabric, Undone};
use matter_session::check_in::IcdCounter;
use matter_session::context::Services;
use matter_session::fabric::{Fabric, FabricCredentials};
use matter_session::group::{GroupCounter, GroupCounters};
use matter_session::ids::{FabricIndex, Group, GroupId, GroupKeySetId, NodeId, Peer};
use matter_session::manager::{Config, Event, GroupSettings, Heap, SessionManager};
use matter_session::resumption::ResumptionRecord;
use matter_session::time::Instant;
use matter_session_testing::net::groups::key_set;
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyKey};

use super::flash::{Flash, REGION};
use super::ledger::{Counter, Ledger, Records, State};

pub(crate) type Node = SessionManager<Toy, Heap>;
/// The Check-In messages between two writes of their bound.
const BLOCK: u32 = 2;

pub(crate) fn config() -> Config {
    Config::default().with_claim_wait(core::time::Duration::from_millis(500))
}

pub(crate) fn index(fabric: u8) -> FabricIndex {
    FabricIndex::new(fabric).unwrap()
}

pub(crate) struct Device {
    pub(crate) node: Node,
    pub(crate) flash: Flash,
    memory: Memory<Flash>,
    rng: Dice,
    counters: GroupCounters,
    check_in: Option<IcdCounter>,
    /// What was found at the start.
    pub(crate) found: State,
    /// Keys in the secure element.
    keys: Vec<ToyKey>,
}

fn now() -> Instant {
    Instant::from_millis(1_000)
}

impl Device {
    /// Starts on a flash; `None` if the power fails meanwhile.
    pub(crate) fn start(flash: Flash, keys: &[ToyKey]) -> Option<Self> {
        let mut rng = Dice::new(7);
        let mut node = Node::new(config(), Toy, &mut rng);
        let (mut memory, lost) = Memory::open(flash.clone(), REGION)?;
        assert!(!lost);
        let mut found = State::default();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(now());
        memory.each(|kept| match kept {
            Kept::Fabric(bytes) => {
                let at = node.fabrics_mut().restore(bytes).unwrap();
                found.fabrics.insert(at.get(), bytes.to_vec());
            }
            Kept::Item(item) if item.kind == Kind::Record => {
                let record = ResumptionRecord::from_bytes(item.value).unwrap();
                node.records_mut().restore(&mut cx, record).unwrap();
            }
            Kept::Item(item) => {
                let key = (item.kind as u8, item.fabric.get(), item.id);
                assert!(found.items.insert(key, item.value.to_vec()).is_none(), "each item once");
                restore_item(&mut node, item.kind, item.fabric, item.id, item.value);
            }
        });
        let bound = memory.check_in_bound().unwrap();
        let check_in = bound.map(|bound| IcdCounter::restored(bound, BLOCK));
        let (counters, keys) = (GroupCounters::new(), keys.to_vec());
        Some(Self { node, flash, memory, rng, counters, check_in, found, keys })
    }

    pub(crate) fn is_off(&self) -> bool {
        self.flash.0.borrow().is_off()
    }

    pub(crate) fn records(&self) -> Records {
        let of = |peer: Peer| (peer.fabric.get(), peer.node.get());
        self.node.records().iter().map(|it| (of(it.peer), *it.id.as_bytes())).collect()
    }

    /// The stored form of a fabric.
    pub(crate) fn stored(&self, at: FabricIndex) -> Vec<u8> {
        let mut bytes = [0; Fabric::ENCODED_MAX_LEN];
        let len = self.node.fabrics().get(at).unwrap().encode(&mut bytes).unwrap();
        bytes[..len].to_vec()
    }

    /// AddNOC. Returns the index if the command is answered with success.
    pub(crate) fn add(
        &mut self,
        credentials: &FabricCredentials<'_>,
    ) -> Result<FabricIndex, FabricIndex> {
        let at = self.node.fabrics_mut().add(credentials).unwrap();
        if self.memory.keep_added(self.node.fabrics().get(at).unwrap()) {
            return Ok(at);
        }
        self.node.fabrics_mut().remove(&mut Services::new(&mut self.rng).at(now()), at);
        Err(at)
    }

    /// UpdateNOC. Returns whether the command is answered with success.
    pub(crate) fn update(&mut self, at: FabricIndex, credentials: &FabricCredentials<'_>) -> bool {
        let mut buf = StoredFabric::zero();
        let former = self.memory.fabric(at, &mut buf).unwrap();
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(now());
        self.node.fabrics_mut().update(&mut cx, at, credentials).unwrap();
        let kept = self.memory.keep_updated(self.node.fabrics().get(at).unwrap());
        if !kept {
            self.node.fabrics_mut().replace(&mut cx, former).unwrap();
        }
        kept
    }

    /// CommissioningComplete.
    pub(crate) fn complete(&mut self, at: FabricIndex) -> bool {
        self.memory.complete(at)
    }

    /// The fail-safe expires. Returns whether what it was for is undone.
    pub(crate) fn expire(&mut self, at: FabricIndex) -> bool {
        let mut buf = StoredFabric::zero();
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(now());
        match self.memory.roll_back(at, &mut buf) {
            Some(Undone::Replaced(bytes)) => {
                self.node.fabrics_mut().replace(&mut cx, bytes).is_ok()
            }
            Some(Undone::Removed) => self.node.fabrics_mut().remove(&mut cx, at),
            Some(Undone::Nothing) => true,
            None => false,
        }
    }

    /// RemoveFabric.
    pub(crate) fn remove(&mut self, at: FabricIndex) -> bool {
        let gone = self.memory.forget_fabric(at);
        if gone {
            self.node.fabrics_mut().remove(&mut Services::new(&mut self.rng).at(now()), at);
        }
        gone
    }

    pub(crate) fn reset(&mut self) -> bool {
        self.memory.reset()
    }

    /// KeySetWrite, AddGroup, RegisterClient and their counterparts.
    pub(crate) fn keep(
        &mut self,
        kind: Kind,
        at: FabricIndex,
        id: u64,
        value: Option<&[u8]>,
    ) -> bool {
        if let Some(value) = value {
            restore_item(&mut self.node, kind, at, id, value);
        }
        // A client gets the counter: it must not begin elsewhere after a restart.
        let counts = kind != Kind::Client || self.check_in_counter().is_some();
        counts && self.memory.keep(kind, at, id, value)
    }

    fn check_in_counter(&mut self) -> Option<&mut IcdCounter> {
        if self.check_in.is_none() {
            let mut counter = IcdCounter::random(BLOCK, &mut self.rng);
            if let Some(bound) = counter.bound_to_store()
                && self.memory.keep_check_in_bound(bound)
            {
                counter.stored(bound);
                self.check_in = Some(counter);
            }
        }
        self.check_in.as_mut()
    }

    /// The next value of a counter, which a message may have; `None` if the store fails.
    pub(crate) fn count(&mut self, counter: Counter) -> Option<u32> {
        let Self { memory, rng, counters, .. } = self;
        let used = match counter {
            Counter::Data => {
                counters.take_data(memory, rng).ok()?;
                counters.remaining(GroupCounter::Data)
            }
            Counter::Control => {
                counters.take_control(memory, rng).ok()?;
                counters.remaining(GroupCounter::Control)
            }
            Counter::CheckIn => {
                let first = self.check_in_counter()?.check_in(&[]);
                if let Ok(message) = first {
                    return Some(message.counter());
                }
                let bound = first.unwrap_err().bound;
                if !self.memory.keep_check_in_bound(bound) {
                    return None;
                }
                let counter = self.check_in.as_mut().unwrap();
                counter.stored(bound);
                return Some(counter.check_in(&[]).unwrap().counter());
            }
        };
        Some(((1 << 32) - used.unwrap()) as u32 - 1)
    }

    pub(crate) fn receive(&mut self, from: matter_session::PeerAddress, datagram: &mut [u8]) {
        let mut services = Services::new(&mut self.rng);
        let _ = self.node.handle_datagram(&mut services.at(now()), from, datagram);
    }

    /// Computes the next part of what is due.
    pub(crate) fn compute(&mut self) {
        self.node.handle_timeout(&mut Services::new(&mut self.rng).at(now()));
    }

    /// Reacts to what has happened, until the power fails.
    pub(crate) fn react(&mut self, ledger: &mut Ledger) -> Option<()> {
        while let Some(event) = self.node.poll_event() {
            match event {
                Event::SignRequest(request) => {
                    let public = self.node.fabrics().get(request.fabric()).unwrap().public_key();
                    let key = self.keys.iter_mut().find(|key| key.public_key() == public);
                    let signed = request.sign_with(key.unwrap());
                    let mut services = Services::new(&mut self.rng);
                    self.node.complete_signature(&mut services.at(now()), signed).unwrap();
                }
                Event::ClaimRequest(request) => {
                    let is_gone = self.keep_record(ledger, request.peer(), None);
                    let mut services = Services::new(&mut self.rng);
                    let mut cx = services.at(now());
                    let claimed = request.complete(is_gone);
                    self.node.records_mut().complete_claim(&mut cx, claimed).unwrap();
                }
                Event::RecordChanged { peer, .. } => {
                    let record = self.node.records_mut().export(peer);
                    self.keep_record(ledger, peer, record.as_ref());
                }
                _ => {}
            }
            // A device without power answers nothing.
            (!self.is_off()).then_some(())?;
        }
        Some(())
    }

    fn keep_record(
        &mut self,
        ledger: &mut Ledger,
        peer: Peer,
        record: Option<&flash_store::memory::StoredRecord>,
    ) -> bool {
        let of = (peer.fabric.get(), peer.node.get());
        let id = record
            .map(|record| *ResumptionRecord::from_bytes(record.as_bytes()).unwrap().id.as_bytes());
        ledger.begin_record(of, id);
        let kept = self.memory.keep_record(peer, record);
        if kept {
            ledger.record_kept(of, id);
        }
        kept
    }
}

/// The manager gets what is stored: the value is a seed for the keys of a set, and the number of the
/// key set of a group.
fn restore_item(node: &mut Node, kind: Kind, at: FabricIndex, id: u64, value: &[u8]) {
    let low = u16::try_from(id).unwrap();
    match kind {
        Kind::KeySet => key_set(low, Default::default(), value, |set| {
            node.groups_mut().set_key_set(at, set).unwrap();
        }),
        Kind::Group => {
            let settings = GroupSettings::new(GroupKeySetId::new(value[0].into()));
            node.groups_mut().set(Group::new(at, GroupId::new(low)), settings).unwrap();
        }
        Kind::Client | Kind::Record => {}
    }
}

pub(crate) const fn node_id(id: u64) -> NodeId {
    NodeId::new(id)
}
