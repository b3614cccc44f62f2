//! Three controller processes, killed one after the other, and a store that is killed under them.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command as Program, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant as Clock;
use std::{env, thread};

use matter_session::crypto::{RustCrypto, Secret};
use matter_session::ids::{CaseAuthTags, FabricId, NodeId};
use matter_session::manager::{Config, HeapSessionManager};
use matter_session::rand_core::Rng;

use crate::assignment::{Process, owner};
use crate::authority::Authority;
use crate::controller::{How, Report};
use crate::devices::{CONTROLLER, Command, Devices, Tally};
use crate::identity::Identity;
use crate::redis_server::RedisServer;
use crate::{Outcome, RowKey, system_rng};

/// The processes.
const PROCESSES: [Process; 3] = [1, 2, 3];
/// The one that is killed.
const VICTIM: Process = 1;
/// How long a process counts as alive after it was last seen.
pub const LEASE: Duration = Duration::from_secs(1);
/// How many devices of each process connect to it by themselves.
const COMERS: usize = 5;

/// Devices, controller processes and their store.
struct Fleet {
    store: RedisServer,
    identity: Identity,
    devices: Vec<(NodeId, SocketAddr)>,
    commands: Sender<Command>,
    tally: Arc<Mutex<Tally>>,
    running: BTreeMap<Process, Child>,
    addresses: BTreeMap<Process, SocketAddr>,
    reporter: Sender<(Process, Report)>,
    reports: Receiver<(Process, Report)>,
    /// Who has had an answer of which device, and on which session. While processes start, one that
    /// has not seen the others yet may have one of a device that is not its own.
    answers: BTreeMap<(NodeId, Process), How>,
    /// The devices that have connected by themselves.
    came: Vec<(NodeId, Process, How)>,
    /// How many requests each process has had answered, and not.
    served: BTreeMap<Process, (u64, u64)>,
    patience: Duration,
}

/// Runs the demonstration with so many devices for each of three processes, and prints what it sees.
///
/// # Errors
/// Something that must hold does not, or a program cannot be started.
pub fn run(devices_each: usize) -> Outcome {
    let mut fleet = Fleet::start(devices_each * PROCESSES.len())?;
    let begin = Clock::now();
    for process in PROCESSES {
        fleet.launch(process)?;
    }
    fleet.settle("all processes start")?;
    let count = fleet.devices.len();
    println!("{count} devices answer {} s after the start", seconds(begin));

    fleet.take_over("with all records", How::Resumed)?;
    fleet.devices_come("the store has the records", How::Resumed)?;
    fleet.store_is_away()?;
    fleet.store.wipe()?;
    fleet.store.restart()?;
    fleet.store_is_back();
    println!("the store is back, empty");
    fleet.take_over("without records", How::InFull)?;
    fleet.store.restart()?;
    fleet.store_is_back();
    println!("the store was killed and is back with its rows");
    fleet.devices_come("rows of a former life cannot be claimed", How::InFull)?;
    fleet.devices_come("rows of this one can", How::Resumed)?;
    fleet.take_over("with rows of both lives", How::Resumed)?;

    let tally = *fleet.tally.lock().unwrap_or_else(PoisonError::into_inner);
    let Tally { sessions, repeated, .. } = tally;
    println!("{sessions} sessions, {repeated} with the keys of another");
    check(repeated == 0, "a device has seen two sessions of equal keys")
}

impl Fleet {
    fn start(count: usize) -> Outcome<Self> {
        let store = RedisServer::start()?;
        let mut rng = system_rng();
        let mut authority = Authority::found(FabricId::new(0x2906).ok_or("zero")?, &mut rng)?;
        let mut manager = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
        let none = CaseAuthTags::NONE;
        let (_, key) = authority.admit(&mut manager, CONTROLLER, none, &mut rng)?;
        let mut rows = Secret::zero();
        rng.fill_bytes(rows.as_mut_bytes());
        let identity = Identity::of(&manager, &key, RowKey::new(rows))?;
        let mut devices = Devices::admit(count, &mut authority)?;
        let (addresses, tally) = (devices.addresses()?, devices.tally());
        let (commands, commanded) = mpsc::channel();
        thread::spawn(move || {
            if let Err(error) = devices.run(&commanded) {
                eprintln!("the devices have ended: {error}");
            }
        });
        let (reporter, reports) = mpsc::channel();
        // A full handshake takes some milliseconds on each side, in a debug build some hundred.
        let each = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 50 });
        let count = u32::try_from(count)?;
        Ok(Self {
            store,
            identity,
            devices: addresses,
            commands,
            tally,
            running: BTreeMap::new(),
            addresses: BTreeMap::new(),
            reporter,
            reports,
            answers: BTreeMap::new(),
            came: Vec::new(),
            served: BTreeMap::new(),
            patience: Duration::from_secs(30) + each * count,
        })
    }

    /// Starts a controller process.
    fn launch(&mut self, process: Process) -> Outcome {
        let mut child = Program::new(env::current_exe()?)
            .args(["controller", &process.to_string(), &self.store.address().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        for (device, address) in &self.devices {
            writeln!(input, "{} {address}", device.get())?;
        }
        writeln!(input)?;
        self.identity.write(input)?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let reporter = self.reporter.clone();
        thread::spawn(move || {
            // Ends with the child.
            for line in output.lines().map_while(Result::ok) {
                match line.parse() {
                    Ok(report) => drop(reporter.send((process, report))),
                    Err(_) => eprintln!("process {process}: {line}"),
                }
            }
        });
        self.running.insert(process, child);
        Ok(())
    }

    /// Kills a controller process without warning.
    fn kill(&mut self, process: Process) -> Outcome {
        let mut child = self.running.remove(&process).ok_or("it does not run")?;
        child.kill()?;
        child.wait()?;
        // What it said before.
        self.listen_for(Duration::ZERO);
        self.served.remove(&process);
        Ok(())
    }

    /// Takes what the processes say, for so long.
    fn listen_for(&mut self, time: Duration) {
        let end = Clock::now() + time;
        while let Ok((process, report)) =
            self.reports.recv_timeout(end.saturating_duration_since(Clock::now()))
        {
            match report {
                Report::Listening(address) => drop(self.addresses.insert(process, address)),
                Report::Answered(device, how) => {
                    self.answers.insert((device, process), how);
                }
                Report::Came(device, how) => self.came.push((device, process, how)),
                Report::Live(_) => {}
                Report::Served(answered, not) => {
                    self.served.insert(process, (answered, not));
                }
            }
        }
    }

    fn wait(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) -> Outcome {
        let end = Clock::now() + self.patience;
        while !is_so(self) {
            check(Clock::now() < end, what)?;
            self.listen_for(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits until each device has answered the process that it is assigned to.
    fn settle(&mut self, what: &str) -> Outcome {
        self.wait(what, |fleet| {
            fleet.devices.iter().all(|(device, _)| fleet.serving(*device).is_some())
        })
    }

    /// Returns the process that a device is assigned to, and its session, if the device has answered.
    fn serving(&self, device: NodeId) -> Option<(Process, How)> {
        let process = owner(device, self.running.keys().copied())?;
        self.answers.get(&(device, process)).map(|how| (process, *how))
    }

    /// Returns the devices that a process serves.
    fn served_by(&self, process: Process) -> impl Iterator<Item = NodeId> {
        let devices = self.devices.iter().map(|(device, _)| *device);
        devices.filter(move |device| self.serving(*device).is_some_and(|(by, _)| by == process))
    }

    /// Kills a process, waits until all its devices answer others, and starts it again.
    fn take_over(&mut self, what: &str, expected: How) -> Outcome {
        let lost: BTreeSet<_> = self.served_by(VICTIM).collect();
        check(!lost.is_empty(), "the process that is killed serves devices")?;
        let begin = Clock::now();
        self.kill(VICTIM)?;
        // What counts is what they answer from now on.
        self.answers.retain(|(device, process), _| *process != VICTIM && !lost.contains(device));
        self.settle("the devices of a process that was killed answer others")?;
        let time = seconds(begin);
        let resumed =
            |device: &&NodeId| self.serving(**device).is_some_and(|(_, how)| how == How::Resumed);
        let resumed = lost.iter().filter(resumed).count();
        let in_full = lost.len() - resumed;
        println!(
            "{what}: a process is killed, and its {} devices answer others {time} s later, the \
             lease of {} s included: {resumed} resumed, {in_full} in full",
            lost.len(),
            LEASE.as_secs(),
        );
        match expected {
            // One whose record was not written when the process was killed.
            How::Resumed => check(resumed * 10 >= lost.len() * 9, "they resume")?,
            How::InFull => check(resumed == 0, "nothing is resumed from records that are lost")?,
        }
        self.launch(VICTIM)?;
        self.settle("a process that comes back gets its devices back")
    }

    /// Lets some devices connect by themselves: to the process that has their session, and to one
    /// that has never had one.
    fn devices_come(&mut self, what: &str, expected: How) -> Outcome {
        self.came.clear();
        let mut wanted = Vec::new();
        for process in PROCESSES {
            let served = self.served_by(process).take(COMERS);
            wanted.extend(served.zip(PROCESSES.into_iter().cycle()));
        }
        for (device, process) in &wanted {
            let to = self.addresses.get(process).ok_or("an address")?;
            self.commands.send(Command::Connect(*device, *to))?;
        }
        let count = wanted.len();
        self.wait("devices connect by themselves", |fleet| fleet.came.len() >= count)?;
        let resumed = self.came.iter().filter(|(_, _, how)| *how == How::Resumed).count();
        println!("{what}: {count} devices connect to any process, {resumed} resume");
        let as_expected = match expected {
            How::Resumed => resumed * 10 >= count * 9,
            How::InFull => resumed == 0,
        };
        check(as_expected, what)
    }

    /// Kills the store: the processes serve on.
    fn store_is_away(&mut self) -> Outcome {
        self.store.kill();
        self.listen_for(LEASE);
        let before = self.served.clone();
        self.devices_come("the store is away", How::InFull)?;
        self.listen_for(LEASE * 3);
        for process in PROCESSES {
            let at = |served: &BTreeMap<_, _>| served.get(&process).copied().unwrap_or_default();
            let (before, after) = (at(&before), at(&self.served));
            let answered = after.0 - before.0;
            println!("the store is away: process {process} has {answered} requests answered");
            check(answered > 0, "a process serves its devices while the store is away")?;
            check(after.1 == before.1, "every request is answered while the store is away")?;
        }
        Ok(())
    }

    /// Waits until all processes have seen the store, and each other, for a lease.
    fn store_is_back(&mut self) {
        self.listen_for(LEASE * 3);
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(format!("does not hold: {what}").into()) }
}

fn seconds(since: Clock) -> String {
    let millis = since.elapsed().as_millis();
    format!("{}.{:02}", millis / 1000, millis % 1000 / 10)
}
