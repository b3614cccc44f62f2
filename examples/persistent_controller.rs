//! A controller that is killed at any moment and comes back as the same node: fabric, operational
//! key and resumption records are in an embedded database.
//!
//! ```text
//! cargo run --release --example persistent_controller
//! ```
//! Without arguments it runs three devices, and the controller as a child process that dials them
//! in turn, for ever. It kills that child without warning several times and looks at which
//! sessions the next one resumes: all but the one that was being made at that moment, at most.

#[macro_use]
mod ladder;
mod persistent {
    #[cfg(test)]
    mod faults;
    pub(crate) mod guarded;
    pub(crate) mod store;
    #[cfg(test)]
    mod tests;
}

use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{BufRead, BufReader, Write, stdout};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant as Clock;
use std::{env, fs, thread};

use ladder::{Authority, Outcome, system_rng};
use matter_session::context::Services;
use matter_session::crypto::{RustCrypto, SigningKey};
use matter_session::ids::{CaseAuthTags, FabricId, FabricIndex, NodeId, Peer};
use matter_session::manager::{Config, Event, HeapSessionManager, PeerAddress, SessionHandle};
use matter_session::rand_core::Rng;
use matter_session::time::Instant;

use persistent::store::Store;

const CONTROLLER: NodeId = NodeId::new(0xC0);
const DEVICES: [NodeId; 3] = [NodeId::new(0xD1), NodeId::new(0xD2), NodeId::new(0xD3)];
const LIVES: usize = 6;
/// The longest wait for a session.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Outcome {
    let mut args = env::args().skip(1);
    match args.next() {
        None => demonstrate(),
        Some(path) => {
            let devices = args.map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?;
            control(Path::new(&path), &devices)
        }
    }
}

fn demonstrate() -> Outcome {
    let mut rng = system_rng();
    let file = File(env::temp_dir().join(format!("matter-session-{}.redb", std::process::id())));
    let mut authority = Authority::found(FabricId::new(0x2906).ok_or("zero")?, &mut rng)?;
    // What a commissioner does with the controller, once in its life.
    let mut node = Node::bind()?;
    node.join(&mut authority, CONTROLLER)?;
    let mut store = Store::open(&file.0)?;
    for (fabric, key) in node.manager.fabrics().iter().zip(&node.key) {
        store.keep_fabric(fabric, key)?;
    }
    drop((store, node));

    let mut devices = Vec::new();
    for id in DEVICES {
        let mut device = Node::bind()?;
        device.join(&mut authority, id)?;
        devices.push(device);
    }
    let addresses: Vec<_> =
        devices.iter().map(|device| device.socket.local_addr()).collect::<Result<_, _>>()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for device in &mut devices {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    if let Err(error) = device.turn(None) {
                        eprintln!("a device failed: {error}");
                        return;
                    }
                }
            });
        }
        let outcome = kill_again_and_again(&file.0, &addresses);
        over.store(true, Ordering::Relaxed);
        outcome
    })
}

fn kill_again_and_again(file: &Path, devices: &[SocketAddr]) -> Outcome {
    let mut rng = system_rng();
    for life in 1..=LIVES {
        let mut child = Command::new(env::current_exe()?)
            .arg(file)
            .args(devices.iter().map(SocketAddr::to_string))
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (tell, told) = mpsc::channel();
        let reader = thread::spawn(move || {
            // Ends with the child.
            for line in output.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        // One session with each device, and then until any moment of any handshake.
        let mut first = Vec::new();
        while first.len() < devices.len() {
            match told.recv_timeout(PATIENCE) {
                Ok(line) => first.push(line),
                Err(_) => break,
            }
        }
        thread::sleep(Duration::from_micros((rng.next_u32() % 150_000).into()));
        child.kill()?;
        child.wait()?;
        let _ = reader.join();
        let more = told.try_iter().count();
        say!("life {life}: {}; {more} sessions more, then killed", first.join(", "));
        let resumed = first.iter().filter(|line| line.ends_with("resumed")).count();
        assert_eq!(first.len(), devices.len(), "a session with each device");
        let expected = if life == 1 { 0 } else { devices.len() - 1 };
        assert!(resumed >= expected, "one record is lost at most");
    }
    let records = Store::open(file)?.records()?.len();
    assert_eq!(records, devices.len());
    say!("killed {LIVES} times, {records} records kept, the same node throughout");
    Ok(())
}

/// The controller: takes up where the former process was killed, and dials one device after the
/// other until it is killed itself.
fn control(path: &Path, devices: &[SocketAddr]) -> Outcome {
    let mut store = Store::open(path)?;
    let mut node = Node::bind()?;
    for membership in store.memberships()? {
        node.manager.fabrics_mut().restore(&membership.fabric)?;
        node.key = Some(membership.key);
    }
    let fabric = FabricIndex::MIN;
    let mut rng = system_rng();
    for (device, id) in devices.iter().zip(DEVICES).cycle() {
        let mut services = Services::new(&mut rng).with_resumption(&mut store);
        let mut cx = services.at(node.now());
        node.manager.connect_case(&mut cx, PeerAddress::Udp(*device), Peer::new(fabric, id))?;
        let (session, resumed) = node.await_session(&mut store)?;
        let how = if resumed { "resumed" } else { "in full" };
        writeln!(stdout(), "{id} {how}")?;
        stdout().flush()?;
        let mut services = Services::new(&mut rng).with_resumption(&mut store);
        let mut cx = services.at(node.now());
        node.manager.close_session(&mut cx, session);
    }
    Ok(())
}

/// A manager behind a socket.
struct Node {
    manager: HeapSessionManager,
    socket: UdpSocket,
    key: Option<SigningKey>,
    started: Clock,
}

impl Node {
    fn bind() -> Outcome<Self> {
        let manager = HeapSessionManager::new(Config::default(), RustCrypto, &mut system_rng());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self { manager, socket, key: None, started: Clock::now() })
    }

    fn join(&mut self, authority: &mut Authority, node: NodeId) -> Outcome {
        let none = CaseAuthTags::NONE;
        let (_, key) = authority.admit(&mut self.manager, node, none, &mut system_rng())?;
        self.key = Some(key);
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.started.elapsed().as_millis().try_into().unwrap_or(u64::MAX))
    }

    /// The session that was dialled, and whether it was resumed.
    fn await_session(&mut self, store: &mut Store) -> Outcome<(SessionHandle, bool)> {
        let end = self.now() + PATIENCE;
        while self.now() < end {
            match self.turn(Some(store))? {
                Some(Event::Established { session, resumed, .. }) => return Ok((session, resumed)),
                Some(Event::HandshakeFailed { error, .. }) => return Err(error.into()),
                _ => {}
            }
        }
        Err("no session in time".into())
    }

    /// Sends what is to be sent, then tells one event or waits a moment for a datagram. The store
    /// goes with every call: a device here has none and keeps its records in its manager.
    fn turn(&mut self, store: Option<&mut Store>) -> Outcome<Option<Event<()>>> {
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng);
        if let Some(store) = store {
            services = services.with_resumption(store);
        }
        let mut cx = services.at(self.now());
        self.manager.handle_timeout(&mut cx);
        while let Some(transmit) = self.manager.poll_transmit(cx.now()) {
            if let PeerAddress::Udp(to) = transmit.to {
                // A datagram that the socket refuses counts as lost: it is retransmitted.
                let _ = self.socket.send_to(transmit.datagram, to);
            }
        }
        match (self.manager.poll_event(), &mut self.key) {
            (Some(Event::SignRequest(request)), Some(key)) => {
                let _ = self.manager.complete_signature(&mut cx, request.sign_with(key));
                return Ok(None);
            }
            (Some(event), _) => return Ok(Some(event)),
            (None, _) => {}
        }
        let computes = self.manager.handshakes().is_computing();
        self.socket.set_read_timeout(Some(Duration::from_millis(if computes { 1 } else { 5 })))?;
        let mut buffer = [0; 1280];
        // An error is a timeout, or is caused by a peer: for instance by one that has been killed.
        if let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            cx = services.at(self.now());
            let datagram = buffer.get_mut(..len).unwrap_or_default();
            // What is dropped is counted: anybody can send anything to a socket.
            let _ = self.manager.handle_datagram(&mut cx, from.into(), datagram);
        }
        Ok(None)
    }
}

/// A file that goes with the program.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("a file is left: {error}");
        }
    }
}
