//! Many devices on a few managers in one process, without sockets and without a store: what a
//! session takes in memory, and how many a core establishes.
//!
//! A device lives for its handshake, one request and the answer; the session stays in the manager
//! of the controller. All but a few devices resume, from records that are made up. Their
//! certificates differ in the node id alone and are not signed: a resumption does not use them.

use core::ops::Range;
use core::time::Duration;
use std::time::Instant as Clock;

use matter_session::context::{Context, Services};
use matter_session::crypto::{RustCrypto, Secret, SigningKey};
use matter_session::fabric::{CompressedFabricId, Fabric};
use matter_session::ids::{CaseAuthTags, FabricId, FabricIndex, MessageType, NodeId, Peer};
use matter_session::manager::{
    Config, Event, HeapSessionManager, PeerAddress, Received, SessionHandle,
};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::{ResumptionId, SessionParameters};
use matter_session::time::Instant;
use stats_alloc::INSTRUMENTED_SYSTEM;

use crate::assignment::{Process, owner};
use crate::authority::Authority;
use crate::devices::CONTROLLER;
use crate::identity::Identity;
use crate::{Outcome, RowKey, system_rng};

/// The node ids of devices count up from here: all take eight bytes in a certificate.
const FIRST: u64 = 0x0100_0000_0000_0000;
/// How many devices have certificates that are signed, and make a full handshake.
const IN_FULL: usize = 200;
const NOW: Instant = Instant::from_millis(1);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// Runs the simulation and prints what it measures.
///
/// # Errors
/// A session is not established, or not by resumption.
pub fn run(devices: usize, managers: Process) -> Outcome {
    if devices == 0 || managers == 0 {
        return Err("no devices, or no managers".into());
    }
    let mut world = World::new(devices, managers)?;
    println!("{devices} devices, {managers} managers, one thread for both sides");

    let empty = heap();
    for n in 0..devices {
        world.give_record(n)?;
    }
    let with_records = heap();
    println!("records: {} bytes each", (with_records - empty) / devices);

    let resumed = world.connect_all(0..devices, true)?;
    let each = heap().saturating_sub(with_records) / devices;
    let sessions: Vec<_> =
        world.managers.iter().map(|node| node.manager.sessions().len()).collect();
    if sessions.iter().sum::<usize>() != devices {
        return Err("a session is missing".into());
    }
    println!("sessions: {each} bytes each, beside the records; by manager {sessions:?}");
    resumed.print("a resumption, a request and its answer", devices);
    let full = world.connect_all(devices..devices + IN_FULL, false)?;
    full.print("a full handshake, a request and its answer", IN_FULL);
    Ok(())
}

/// Where time went.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    both: Duration,
    controller: Duration,
}

impl Times {
    fn print(&self, what: &str, count: usize) {
        let rate = |time: Duration| count as u128 * 1_000_000 / time.as_micros().max(1);
        let each = |time: Duration| time.as_micros() / count as u128;
        let Self { both, controller } = *self;
        println!(
            "{what}: {} us for both sides ({} a second), {} us for the controller's ({} a second)",
            each(both),
            rate(both),
            each(controller),
            rate(controller),
        );
    }
}

/// Bytes of heap in use.
fn heap() -> usize {
    let stats = INSTRUMENTED_SYSTEM.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// A manager and the key that it signs with.
struct Node {
    manager: HeapSessionManager,
    key: SigningKey,
}

impl Node {
    fn with<R>(&mut self, act: impl FnOnce(&mut HeapSessionManager, &mut Context<'_>) -> R) -> R {
        let mut rng = system_rng();
        act(&mut self.manager, &mut Services::new(&mut rng).at(NOW))
    }

    /// Computes what is due. Returns the session that was established, and whether it was resumed.
    fn advance(&mut self) -> Option<(SessionHandle, bool)> {
        let mut established = None;
        loop {
            if self.manager.handshakes().is_computing() {
                self.with(|manager, cx| manager.handle_timeout(cx));
            }
            // A handshake that has ended needs no signature and no claim.
            match self.manager.poll_event() {
                Some(Event::SignRequest(request)) => {
                    let signed = request.sign_with(&mut self.key);
                    let _ = self.with(|manager, cx| manager.complete_signature(cx, signed));
                }
                // A device whose flash has deleted the record at once.
                Some(Event::ClaimRequest(request)) => {
                    let claimed = request.complete(true);
                    let _ =
                        self.with(|manager, cx| manager.records_mut().complete_claim(cx, claimed));
                }
                Some(Event::Established { session, resumed, .. }) => {
                    established = Some((session, resumed));
                }
                Some(_) => {}
                None if self.manager.handshakes().is_computing() => {}
                None => return established,
            }
        }
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.manager.poll_transmit(NOW) {
            sent.push(transmit.datagram.to_vec());
        }
        sent
    }

    /// Handles a datagram. A device answers a request. Returns true for a message.
    fn receive(&mut self, datagram: &mut [u8], answers: bool) -> bool {
        let at = PeerAddress::Udp(([127, 0, 0, 1], 5540).into());
        self.with(|manager, cx| {
            let Received::Message(message) = manager.handle_datagram(cx, at, datagram) else {
                return false;
            };
            let (exchange, payload) = (message.exchange, message.payload);
            if answers {
                // The caller misses an answer that cannot be sent.
                let _ = manager.send(cx, exchange, MessageType::REPORT_DATA, payload);
            }
            manager.close_exchange(exchange);
            true
        })
    }
}

struct World {
    managers: Vec<Node>,
    authority: Authority,
    compressed: CompressedFabricId,
    /// The membership of a device, and where its node id is.
    membership: Vec<u8>,
    places: Vec<usize>,
    key: SigningKey,
}

impl World {
    fn new(devices: usize, count: Process) -> Outcome<Self> {
        let mut rng = system_rng();
        let mut authority = Authority::found(FabricId::new(1).ok_or("zero")?, &mut rng)?;
        let mut first = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
        let none = CaseAuthTags::NONE;
        let (_, key) = authority.admit(&mut first, CONTROLLER, none, &mut rng)?;
        let identity = Identity::of(&first, &key, RowKey::new(Secret::zero()))?;

        let mut template = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
        let id = NodeId::new(FIRST);
        let (index, key) = authority.admit(&mut template, id, none, &mut rng)?;
        let mut bytes = [0; Fabric::ENCODED_MAX_LEN];
        let fabric = template.fabrics().get(index).ok_or("no fabric")?;
        let len = fabric.encode(&mut bytes).map_err(|_| "a fabric is too long")?;
        let membership = bytes.get(..len).unwrap_or_default().to_vec();
        let windows = membership.windows(8).enumerate();
        let is_id = |(at, window): (usize, &[u8])| (window == FIRST.to_le_bytes()).then_some(at);
        let places = windows.filter_map(is_id).collect();

        // Not all managers get the same number.
        let share = devices / usize::from(count).max(1);
        let share = share + share / 8 + IN_FULL;
        let mut managers = Vec::new();
        for _ in 0..count {
            let config = Config::default()
                .with_sessions(share)
                .with_records(share, MONTH)
                .with_exchanges(64);
            let mut manager = HeapSessionManager::new(config, RustCrypto, &mut rng);
            let key = identity.assume(&mut manager)?;
            managers.push(Node { manager, key });
        }
        let compressed = fabric.compressed_id();
        Ok(Self { managers, authority, compressed, membership, places, key })
    }

    /// The record of the session with device `n`, for the side of it whose peer this is. Both
    /// make it up when they need it.
    fn record(&self, n: usize, peer: NodeId) -> ResumptionRecord {
        let number = (n as u64).to_le_bytes();
        let (mut id, mut secret) = ([1; ResumptionId::LEN], Secret::new([2; 32]));
        for bytes in [&mut id[..], secret.as_mut_bytes()] {
            bytes.iter_mut().zip(number).for_each(|(byte, number)| *byte = number);
        }
        ResumptionRecord {
            id: ResumptionId::new(id),
            fabric: FabricIndex::MIN,
            compressed_fabric: self.compressed,
            peer,
            cats: CaseAuthTags::NONE,
            shared_secret: secret,
            valid_until: None,
            authenticated: None,
            parameters: SessionParameters::default(),
            age_seconds: 0,
        }
    }

    /// The manager that serves device `n`, and the node id of the device.
    fn serves(&self, n: usize) -> (usize, NodeId) {
        let device = NodeId::new(FIRST + n as u64);
        let count = Process::try_from(self.managers.len()).unwrap_or(Process::MAX);
        (owner(device, 0..count).map_or(0, usize::from), device)
    }

    fn give_record(&mut self, n: usize) -> Outcome {
        let (manager, device) = self.serves(n);
        let record = self.record(n, device);
        let node = self.managers.get_mut(manager).ok_or("no manager")?;
        Ok(node.with(|manager, cx| manager.records_mut().restore(cx, record))?)
    }

    /// A device, with its record if it is to resume.
    fn device(&mut self, n: usize, resumes: bool) -> Outcome<Node> {
        let config = Config::default().with_claim_wait(Duration::from_millis(250));
        let mut manager = HeapSessionManager::new(config, RustCrypto, &mut system_rng());
        let (_, id) = self.serves(n);
        if !resumes {
            let none = CaseAuthTags::NONE;
            let (_, key) = self.authority.admit(&mut manager, id, none, &mut system_rng())?;
            return Ok(Node { manager, key });
        }
        for at in &self.places {
            let place = self.membership.get_mut(*at..at + 8).ok_or("no place")?;
            place.copy_from_slice(&id.get().to_le_bytes());
        }
        let (content, checksum) = self.membership.split_last_chunk_mut::<4>().ok_or("empty")?;
        *checksum = crc32(content).to_le_bytes();
        manager.fabrics_mut().restore(&self.membership)?;
        let mut node = Node { manager, key: SigningKey::from_bytes(&self.key.to_bytes())? };
        let record = self.record(n, CONTROLLER);
        node.with(|manager, cx| manager.records_mut().restore(cx, record))?;
        Ok(node)
    }

    fn connect_all(&mut self, devices: Range<usize>, resumes: bool) -> Outcome<Times> {
        let mut times = Times::default();
        for n in devices {
            let mut device = self.device(n, resumes)?;
            let (manager, id) = self.serves(n);
            let controller = self.managers.get_mut(manager).ok_or("no manager")?;
            let begin = Clock::now();
            times.controller += connect(controller, &mut device, id, resumes)?;
            times.both += begin.elapsed();
        }
        Ok(times)
    }
}

/// Connects to a device, and asks it something. Returns the time that the controller took.
fn connect(
    controller: &mut Node,
    device: &mut Node,
    id: NodeId,
    resumes: bool,
) -> Outcome<Duration> {
    let to = PeerAddress::Udp(([127, 0, 0, 1], 5541).into());
    let (mut time, mut measured) = (Duration::ZERO, Clock::now());
    let peer = Peer::new(FabricIndex::MIN, id);
    controller.with(|manager, cx| manager.connect_case(cx, to, peer))?;
    let mut answered = false;
    for _ in 0..10 {
        let established = controller.advance();
        // The report of success first: a request that overtakes it is dropped.
        let mut sent = controller.sent();
        if let Some((session, resumed)) = established {
            if resumed != resumes {
                return Err("not established as expected".into());
            }
            let exchange = controller.with(|manager, cx| manager.open_exchange(cx, session))?;
            controller.with(|manager, cx| {
                manager.send(cx, exchange, MessageType::READ_REQUEST, &[0; 16])
            })?;
            sent.extend(controller.sent());
        }
        time += measured.elapsed();
        if sent.is_empty() && answered {
            return Ok(time);
        }
        for mut datagram in sent {
            device.receive(&mut datagram, true);
        }
        let _ = device.advance();
        let sent = device.sent();
        measured = Clock::now();
        for mut datagram in sent {
            answered |= controller.receive(&mut datagram, false);
        }
    }
    if answered { Ok(time) } else { Err("a device does not answer".into()) }
}

/// CRC-32, with which a membership ends.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0xEDB8_8320 };
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
