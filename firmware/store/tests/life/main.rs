//! The whole life of a device, from the first commissioning to the reset to the factory's state and
//! on. The power fails after each byte that is written or erased, and again while the device starts.
//! A plain model says what must be true after each restart:
//!
//! - no fabric is half commissioned, no update half done;
//! - no record is there that was answered from, replaced, or of a node that this one was before;
//! - no value of a counter comes twice;
//! - nothing that was removed comes back, also if the same fabric is joined again;
//! - a reset that was begun ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod device;
mod flash;
mod ledger;
mod memory;

use flash_store::memory::Kind;
use matter_session::PeerAddress;
use matter_session::context::Services;
use matter_session::ids::Peer;
use matter_session::manager::Event;
use matter_session::resumption::ResumptionRecord;
use matter_session::time::Instant;
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyAuthority, ToyKey, ToyMember};

use self::device::{Device, Node, config, index, node_id};
use self::flash::{Change, Chip, Flash};
use self::ledger::{Counter, Ledger};

/// The node id of the controller on each fabric.
const CONTROLLER: u64 = 1;
/// Every how many written bytes the power fails, and before each write: a build without optimization
/// takes too long for each byte. Erased bytes are alike, so fewer of them serve.
const EVERY: usize = if cfg!(debug_assertions) { 509 } else { 1 };
const EVERY_ERASED: usize = 97 * EVERY;

/// Three fabrics, with what the controller and the device get of each.
struct World {
    controller: [ToyMember; 3],
    device: [Vec<ToyMember>; 3],
}

impl World {
    fn new() -> Self {
        let mut rng = Dice::new(1);
        let mut authorities = [1, 2, 3].map(|at| ToyAuthority::new(at, false, &mut rng));
        let controller = authorities.each_mut().map(|it| it.admit(CONTROLLER, &mut rng));
        let device = authorities
            .each_mut()
            .map(|it| (10..13).map(|node| it.admit(node, &mut rng)).collect());
        Self { controller, device }
    }

    fn keys(&self) -> Vec<ToyKey> {
        self.device.iter().flatten().map(|member| member.key.clone()).collect()
    }
}

/// A device at rest: what its flash holds, what must be true of it, and what its controller holds.
#[derive(Clone)]
struct Rest {
    chip: Chip,
    ledger: Ledger,
    records: Vec<Vec<u8>>,
}

impl Rest {
    /// A device that was never started.
    fn new() -> Self {
        Self { chip: Chip::new(), ledger: Ledger::default(), records: Vec::new() }
    }
}

/// A device and its controller. Their operations return `None` when the power has failed.
struct Life<'w> {
    world: &'w World,
    device: Device,
    ledger: Ledger,
    controller: Node,
    rng: Dice,
}

fn now() -> Instant {
    Instant::from_millis(1_000)
}

fn udp(port: u16) -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], port).into())
}

impl<'w> Life<'w> {
    fn resume(world: &'w World, rest: &Rest) -> Self {
        let device = Device::start(Flash::new(rest.chip.clone()), &world.keys()).unwrap();
        let mut rng = Dice::new(3);
        let mut controller = Node::new(config(), Toy, &mut rng);
        for member in &world.controller {
            controller.fabrics_mut().add(&member.credentials()).unwrap();
        }
        for record in &rest.records {
            let record = ResumptionRecord::from_bytes(record).unwrap();
            let mut services = Services::new(&mut rng);
            controller.records_mut().restore(&mut services.at(now()), record).unwrap();
        }
        Self { world, device, ledger: rest.ledger.clone(), controller, rng }
    }

    fn rest(mut self) -> Rest {
        let mut export = |peer| self.controller.records_mut().export(peer);
        let peers =
            (1..=3).flat_map(|at| (10..13).map(move |id| Peer::new(index(at), node_id(id))));
        let records = peers.filter_map(|peer| Some(export(peer)?.as_bytes().to_vec())).collect();
        Rest { chip: self.device.flash.chip(), ledger: self.ledger, records }
    }

    fn alive(&self) -> Option<()> {
        (!self.device.is_off()).then_some(())
    }

    /// What the device does succeeds, unless the power fails.
    fn done(&self, done: bool) -> Option<()> {
        assert!(done || self.device.is_off(), "it fails, and there is power");
        done.then_some(())
    }

    /// AddNOC with the first certificate of the fabric.
    fn add(&mut self, fabric: u8) -> Option<()> {
        self.alive()?;
        let member = &self.world.device[usize::from(fabric) - 1][0];
        self.ledger.arm(fabric);
        let added = self.device.add(&member.credentials());
        assert_eq!(added.unwrap_or_else(|at| at), index(fabric));
        self.done(added.is_ok())?;
        let mut complete = self.ledger.state.clone();
        complete.fabrics.insert(fabric, self.device.stored(index(fabric)));
        self.ledger.is_armed(fabric, complete);
        Some(())
    }

    /// UpdateNOC with another certificate of the fabric.
    fn update(&mut self, fabric: u8, to: usize) -> Option<()> {
        self.alive()?;
        let member = &self.world.device[usize::from(fabric) - 1][to];
        self.ledger.arm(fabric);
        let updated = self.device.update(index(fabric), &member.credentials());
        self.done(updated)?;
        let mut complete = self.ledger.state.clone();
        complete.fabrics.insert(fabric, self.device.stored(index(fabric)));
        self.ledger.is_armed(fabric, complete);
        Some(())
    }

    fn complete(&mut self, fabric: u8) -> Option<()> {
        self.alive()?;
        self.ledger.begin_completion();
        let completed = self.device.complete(index(fabric));
        self.done(completed)?;
        self.ledger.completed();
        Some(())
    }

    fn expire(&mut self, fabric: u8) -> Option<()> {
        self.alive()?;
        let undone = self.device.expire(index(fabric));
        self.done(undone)?;
        self.ledger.expired();
        Some(())
    }

    fn remove(&mut self, fabric: u8) -> Option<()> {
        self.alive()?;
        self.ledger.begin(self.ledger.state.without(fabric));
        let removed = self.device.remove(index(fabric));
        self.done(removed)?;
        self.ledger.acknowledge();
        Some(())
    }

    fn reset(&mut self) -> Option<()> {
        self.alive()?;
        self.ledger.begin(Default::default());
        let reset = self.device.reset();
        self.done(reset)?;
        self.ledger.acknowledge();
        Some(())
    }

    fn keep(&mut self, kind: Kind, fabric: u8, id: u64, value: Option<&[u8]>) -> Option<()> {
        self.alive()?;
        let (mut next, key) = (self.ledger.state.clone(), (kind as u8, fabric, id));
        match value {
            Some(value) => drop(next.items.insert(key, value.to_vec())),
            None => drop(next.items.remove(&key)),
        }
        self.ledger.begin(next);
        let kept = self.device.keep(kind, index(fabric), id, value);
        self.done(kept)?;
        self.ledger.acknowledge();
        Some(())
    }

    fn count(&mut self, counter: Counter) -> Option<()> {
        self.alive()?;
        let value = self.device.count(counter);
        self.done(value.is_some())?;
        self.ledger.count(counter, value?);
        Some(())
    }

    /// The controller connects to the device. Returns whether the session was resumed.
    fn connect(&mut self, fabric: u8, node: u64) -> Option<bool> {
        self.alive()?;
        let peer = Peer::new(index(fabric), node_id(node));
        let mut services = Services::new(&mut self.rng);
        self.controller.connect_case(&mut services.at(now()), udp(2), peer).unwrap();
        let (mut established, mut moved) = (None, true);
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now());
        while core::mem::take(&mut moved) {
            while is_due(self.controller.poll_timeout()) {
                moved = true;
                self.controller.handle_timeout(&mut Services::new(&mut self.rng).at(now()));
            }
            while is_due(self.device.node.poll_timeout()) {
                moved = true;
                self.device.compute();
                self.device.react(&mut self.ledger)?;
            }
            while let Some(event) = self.controller.poll_event() {
                moved = true;
                match event {
                    Event::SignRequest(request) => {
                        let key = &mut self.world.controller[usize::from(fabric) - 1].key.clone();
                        let signed = request.sign_with(key);
                        let mut services = Services::new(&mut self.rng);
                        let mut cx = services.at(now());
                        self.controller.complete_signature(&mut cx, signed).unwrap();
                    }
                    Event::Established { resumed, .. } => established = Some(resumed),
                    _ => {}
                }
            }
            while let Some(sent) = self.controller.poll_transmit(now()) {
                moved = true;
                let mut datagram = sent.datagram.to_vec();
                self.device.receive(udp(1), &mut datagram);
                self.device.react(&mut self.ledger)?;
            }
            while let Some(sent) = self.device.node.poll_transmit(now()) {
                moved = true;
                let mut datagram = sent.datagram.to_vec();
                let mut services = Services::new(&mut self.rng);
                let mut cx = services.at(now());
                let _ = self.controller.handle_datagram(&mut cx, udp(2), &mut datagram);
            }
        }
        Some(established.expect("a session"))
    }

    /// The device restarts with power; its state must be one of those that may be.
    fn restart(&mut self, what: &dyn Fn() -> String) {
        let flash = self.device.flash.clone();
        flash.0.borrow_mut().restore_power();
        let device = Device::start(flash, &self.world.keys());
        self.device = device.unwrap_or_else(|| panic!("{}: it does not start", what()));
        self.ledger.check(&self.device.found, &self.device.records(), what);
    }

    /// Goes on after a restart: counters count, and the fabrics that are gone are joined again.
    fn go_on(&mut self) -> Option<()> {
        for counter in [Counter::Data, Counter::Control, Counter::CheckIn] {
            self.count(counter)?;
        }
        for fabric in 1..=3 {
            if !self.ledger.state.fabrics.contains_key(&fabric) {
                self.add(fabric)?;
                self.complete(fabric)?;
            }
        }
        Some(())
    }
}

type Chapter = fn(&mut Life<'_>) -> Option<()>;

const CHAPTERS: &[(&str, Chapter)] = &[
    ("commission", |life| {
        life.add(1)?;
        assert!(!life.connect(1, 10)?);
        life.complete(1)?;
        assert!(life.connect(1, 10)?);
        Some(())
    }),
    ("commission a second time", |life| {
        life.add(2)?;
        assert!(!life.connect(2, 10)?);
        life.complete(2)
    }),
    ("begin to commission, until the fail-safe expires", |life| {
        life.add(3)?;
        assert!(!life.connect(3, 10)?);
        life.expire(3)?;
        life.add(3)?;
        life.expire(3)
    }),
    ("groups", |life| {
        for (fabric, set) in [(1, 1), (1, 2), (2, 1)] {
            life.keep(Kind::KeySet, fabric, set, Some(&[fabric * 16 + set as u8]))?;
            life.keep(Kind::Group, fabric, 5 + set, Some(&[set as u8]))?;
            life.count(Counter::Data)?;
            life.count(Counter::Control)?;
        }
        // Other keys for a set.
        life.keep(Kind::KeySet, 1, 1, Some(&[0x77, 0x78]))?;
        life.count(Counter::Data)
    }),
    ("Check-In", |life| {
        life.keep(Kind::Client, 1, CONTROLLER, Some(&[0x31; 25]))?;
        for _ in 0..5 {
            life.count(Counter::CheckIn)?;
        }
        life.keep(Kind::Client, 2, CONTROLLER, Some(&[0x32; 25]))?;
        life.keep(Kind::Client, 1, CONTROLLER, Some(&[0x33; 25]))?;
        life.count(Counter::CheckIn)
    }),
    ("resume", |life| {
        assert!(life.connect(1, 10)?);
        assert!(life.connect(2, 10)?);
        assert!(life.connect(1, 10)?);
        Some(())
    }),
    ("begin to update, until the fail-safe expires", |life| {
        life.update(1, 1)?;
        assert!(!life.connect(1, 11)?);
        life.expire(1)?;
        assert!(!life.connect(1, 10)?);
        Some(())
    }),
    ("update", |life| {
        life.update(1, 2)?;
        assert!(!life.connect(1, 12)?);
        life.complete(1)?;
        assert!(life.connect(1, 12)?);
        Some(())
    }),
    ("update, and complete before anything else happens", |life| {
        life.update(2, 1)?;
        life.complete(2)?;
        assert!(!life.connect(2, 11)?);
        Some(())
    }),
    ("give up a client, a group and its keys", |life| {
        life.keep(Kind::Client, 1, CONTROLLER, None)?;
        life.keep(Kind::Group, 1, 7, None)?;
        life.keep(Kind::KeySet, 1, 2, None)
    }),
    ("remove a fabric", |life| life.remove(2)),
    ("update a fabric, and remove it meanwhile", |life| {
        life.add(2)?;
        life.complete(2)?;
        life.keep(Kind::Client, 2, CONTROLLER, Some(&[0x34; 25]))?;
        life.update(2, 1)?;
        assert!(!life.connect(2, 11)?);
        life.remove(2)
    }),
    ("reset to the factory's state", |life| life.reset()),
    ("commission after the reset", |life| {
        for counter in [Counter::Data, Counter::Control, Counter::CheckIn] {
            life.count(counter)?;
        }
        life.add(1)?;
        assert!(!life.connect(1, 10)?);
        life.complete(1)
    }),
];

/// Runs a chapter without a power cut. Returns where the power may fail.
fn live(world: &World, rest: &mut Rest, name: &str, chapter: Chapter) -> Vec<usize> {
    let mut life = Life::resume(world, rest);
    let begun = life.device.flash.changes().len();
    assert!(chapter(&mut life).is_some(), "{name}: it fails");
    let (mut cuts, mut at) = (Vec::new(), 0);
    for change in life.device.flash.changes().into_iter().skip(begun) {
        let (len, every) = match change {
            Change::Write(len) => (len, EVERY),
            Change::Erase(len) => (len, EVERY_ERASED),
        };
        // Within it at those places, and before it wherever that is.
        cuts.extend((at..at + len).filter(|place| *place == at || place % every == 0));
        at += len;
    }
    *rest = life.rest();
    Life::resume(world, rest).restart(&|| format!("after {name}"));
    cuts
}

/// Runs a chapter with a power cut after so many bytes, and goes on.
fn cut(world: &World, rest: &Rest, chapter: Chapter, bytes: usize, what: &dyn Fn() -> String) {
    let mut life = Life::resume(world, rest);
    let torn = [0x00, 0xFF, 0xA5][bytes % 3];
    life.device.flash.0.borrow_mut().cut_after(bytes, torn);
    let _ = chapter(&mut life);
    assert!(life.device.is_off());
    // The power fails again while the device starts.
    let flash = life.device.flash.clone();
    flash.0.borrow_mut().restore_power();
    flash.0.borrow_mut().cut_after(bytes * 31 % 900, torn);
    let _ = Device::start(flash, &[]);
    life.restart(what);
    assert_eq!(life.go_on(), Some(()), "{}", what());
    life.restart(&|| what() + ", and on");
}

#[test]
fn no_power_cut_in_the_whole_life_leaves_anything_half_done_or_brings_anything_back() {
    let (world, mut rest) = (World::new(), Rest::new());
    let mut count = 0;
    for (name, chapter) in CHAPTERS {
        let before = rest.clone();
        let cuts = live(&world, &mut rest, name, *chapter);
        for bytes in &cuts {
            let what = || format!("{name}, cut after {bytes} bytes");
            cut(&world, &before, *chapter, *bytes, &what);
        }
        count += cuts.len();
    }
    assert!(count > 10_000 / EVERY, "{count} cuts");
}

/// What was removed is erased, so that nobody can read it.
#[test]
fn a_reset_leaves_no_secret_in_the_flash() {
    let (world, mut rest) = (World::new(), Rest::new());
    let holds = |rest: &Rest, noc: &[u8]| {
        rest.chip.as_bytes().windows(16).any(|bytes| noc.windows(16).any(|part| part == bytes))
    };
    for (name, chapter) in CHAPTERS {
        live(&world, &mut rest, name, *chapter);
        let nocs = || world.device.iter().flatten().map(|member| member.noc.as_slice());
        if name.starts_with("reset") {
            assert!(!nocs().any(|noc| holds(&rest, &noc[noc.len() - 32..])));
            assert_eq!(rest.ledger.state, Default::default());
        } else if name.starts_with("update") {
            assert!(nocs().any(|noc| holds(&rest, &noc[noc.len() - 32..])));
        }
    }
}
