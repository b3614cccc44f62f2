//! Several controller processes that are one node of a fabric, on a shared store.
//!
//! ```text
//! cargo run --release -p matter-fleet                     # 3 processes, 50 devices each
//! cargo run --release -p matter-fleet -- --devices 1000
//! cargo run --release -p matter-fleet -- --simulate 100000 --managers 8
//! ```
//! It starts a `redis-server`, which must be installed, and itself again for each process.

use core::net::SocketAddr;
use core::time::Duration;
use std::alloc::System;
use std::io::{BufRead, Write, stdin, stdout};

use fleet::assignment::Process;
use fleet::controller::{Controller, Settings};
use fleet::identity::Identity;
use fleet::{Outcome, demonstration, simulation, store};
use lexopt::prelude::*;
use matter_session::ids::NodeId;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// The simulation counts with it.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Outcome {
    let (mut devices, mut simulated, mut managers) = (50, None, 8);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("devices") => devices = args.value()?.parse()?,
            Long("simulate") => simulated = Some(args.value()?.parse()?),
            Long("managers") => managers = args.value()?.parse()?,
            Value(role) if role == "controller" => {
                let process = args.value()?.parse()?;
                return control(process, args.value()?.parse()?);
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    match simulated {
        Some(devices) => simulation::run(devices, managers),
        None => demonstration::run(devices),
    }
}

/// A controller process: its input has the devices, a line each, an empty line, and the identity.
fn control(process: Process, store: SocketAddr) -> Outcome {
    let mut input = stdin().lock();
    let mut devices = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let Some((id, address)) = line.trim_end().split_once(' ') else { break };
        devices.push((NodeId::new(id.parse()?), address.parse()?));
    }
    let identity = Identity::read(input)?;
    let store = store::Settings {
        address: store,
        timeout: Duration::from_millis(200),
        lease: demonstration::LEASE,
        process,
        key: identity.rows.clone(),
    };
    let interval = Duration::from_secs(1);
    let settings = Settings { store, devices, interval, handshakes: 16 };
    let mut controller = Controller::start(&identity, settings)?;
    let mut output = stdout().lock();
    loop {
        let reports = controller.turn()?;
        for report in &reports {
            writeln!(output, "{report}")?;
        }
        if !reports.is_empty() {
            output.flush()?;
        }
    }
}
