//! Requests and answers between two processes over real sockets: what they cost the process that
//! answers, beside an echo of plain datagrams of the same lengths.
//!
//! The servers are processes of their own. The rows take turns, so whatever else the machine does
//! meanwhile falls on all of them. Linux alone tells what a process costs in the way that is used
//! here.

mod drive;
mod echo;
mod node;
mod process;
#[path = "../../examples/udp/mod.rs"]
mod udp;

use core::iter;
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use drive::{Drive, Load, Spent};
use echo::EchoLoad;
use lexopt::Arg::Long;
use lexopt::ValueExt;
use matter_session_testing::program::{self, Result};
use node::{Exchanges, NodeLoad};
use process::Server;

const USAGE: &str = "sockets [OPTIONS]

  --sessions N   how many sessions in all, or as many echoes as they would make (default: 16)
  --window N     how many requests are out on each session, 5 at most (default: 4)
  --sockets N,N  how many sockets send them; each row is measured with each (default: 1,16)
  --size N       bytes of payload (default: 64)
  --time MS      how long each row is measured in each round (default: 300)
  --rounds N     how often (default: 5)
  --only WORD    only rows whose names have this in them, and the echo
  --quick        one round of 50 ms, to see that it works";

/// So many sessions with one peer are kept by matter.js 0.17.9, and all of these are with one.
const MATTER_JS_SESSIONS: usize = 5;

struct Args {
    sessions: usize,
    window: usize,
    sockets: Vec<usize>,
    size: usize,
    time: Duration,
    rounds: usize,
    only: String,
}

impl Args {
    fn has(&self, row: Row) -> bool {
        row == Row::Echo || row.name().contains(&self.only)
    }
}

/// What a server does, and how it is called in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    /// `std` alone: one system call for each datagram.
    EchoByOne,
    /// The calls that a node makes here.
    Echo,
    /// Each request goes on an exchange that is open, and acknowledges the last answer.
    Kept,
    /// Each request has an exchange of its own, as reads have. The last acknowledgement is a
    /// message of its own.
    Each,
    /// The same, answered by matter.js.
    MatterJs,
}

impl Row {
    const ALL: [Self; 5] = [Self::EchoByOne, Self::Echo, Self::Kept, Self::Each, Self::MatterJs];

    const fn name(self) -> &'static str {
        match self {
            Self::EchoByOne => "echo, single calls",
            Self::Echo => "echo",
            Self::Kept => "ours, one exchange",
            Self::Each => "ours, an exchange each",
            Self::MatterJs => "matter.js, the same",
        }
    }
}

fn main() -> ExitCode {
    program::start("sockets", parse(), |command| match command {
        Command::Serve(what, fabric) => process::serve(&what, fabric.as_deref()),
        Command::Measure(args) => {
            let fabric = process::make_fabric()?;
            let measured = measure(&args, &fabric);
            fs::remove_file(fabric)?;
            measured
        }
    })
}

enum Command {
    Measure(Args),
    /// What this program does in the other process.
    Serve(String, Option<String>),
}

fn parse() -> Result<Option<Command>> {
    let mut args = Args {
        sessions: 16,
        window: 4,
        sockets: vec![1, 16],
        size: 64,
        time: Duration::from_millis(300),
        rounds: 5,
        only: String::new(),
    };
    let (mut serve, mut fabric) = (None, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("sessions") => args.sessions = parser.value()?.parse()?,
            Long("window") => args.window = parser.value()?.parse()?,
            Long("sockets") => {
                let list = parser.value()?.string()?;
                args.sockets = list.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            Long("size") => args.size = parser.value()?.parse()?,
            Long("time") => args.time = Duration::from_millis(parser.value()?.parse()?),
            Long("rounds") => args.rounds = parser.value()?.parse()?,
            Long("only") => args.only = parser.value()?.string()?,
            Long("quick") => (args.time, args.rounds) = (Duration::from_millis(50), 1),
            Long("serve") => serve = Some(parser.value()?.string()?),
            Long("fabric") => fabric = Some(parser.value()?.string()?),
            // Of cargo.
            Long("bench") => {}
            Long("help") => {
                println!("{USAGE}");
                return Ok(None);
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(Some(match serve {
        Some(what) => Command::Serve(what, fabric),
        None => Command::Measure(args),
    }))
}

fn measure(args: &Args, fabric: &Path) -> Result<()> {
    for sockets in &args.sockets {
        let mut rows = Vec::new();
        for row in Row::ALL.into_iter().filter(|row| args.has(*row)) {
            match start(row, *sockets, args, fabric) {
                Ok(started) => rows.push(started),
                // It may not be installed.
                Err(error) if row == Row::MatterJs => {
                    println!("{}: NOT RUN: {error}", row.name());
                }
                Err(error) => return Err(format!("{}: {error}", row.name()).into()),
            }
        }
        println!(
            "{} sessions, {} requests out on each, {} bytes, {sockets} socket(s)",
            args.sessions, args.window, args.size
        );
        for _ in 0..args.rounds {
            for row in &mut rows {
                let spent = row.load.run(row.server.id(), args.time);
                row.spent.push(spent.map_err(|error| format!("{}: {error}", row.row.name()))?);
            }
        }
        report(&rows);
    }
    Ok(())
}

struct Started {
    row: Row,
    server: Server,
    load: Box<dyn Run>,
    spent: Vec<Spent>,
}

/// A load of either kind.
trait Run {
    fn run(&mut self, server: u32, time: Duration) -> Result<Spent>;
}

impl<L: Load> Run for Drive<L> {
    fn run(&mut self, server: u32, time: Duration) -> Result<Spent> {
        Drive::run(self, server, time)
    }
}

fn start(row: Row, sockets: usize, args: &Args, fabric: &Path) -> Result<Started> {
    let server = match row {
        Row::EchoByOne => Server::own("echo-by-one", fabric)?,
        Row::Echo => Server::own("echo", fabric)?,
        Row::Kept | Row::Each => Server::own("node", fabric)?,
        Row::MatterJs => Server::matter_js(fabric)?,
    };
    let exchanges = match row {
        Row::EchoByOne | Row::Echo => None,
        Row::Kept => Some(Exchanges::Kept),
        Row::Each | Row::MatterJs => Some(Exchanges::Each),
    };
    let most = if row == Row::MatterJs { MATTER_JS_SESSIONS } else { usize::MAX };
    let (sessions, sockets) = (args.sessions.min(most), sockets.min(most));
    // As equal as they can be.
    let sessions = (0..sockets).map(|n| (sessions + n) / sockets);
    let address = server.address();
    let load: Box<dyn Run> = match exchanges {
        None => {
            let len = args.size + node::OVERHEAD;
            Box::new(Drive::new(sessions.map(|n| EchoLoad::new(address, n * args.window, len)))?)
        }
        Some(exchanges) => {
            let loads = sessions
                .map(|n| NodeLoad::new(address, fabric, exchanges, n, args.window, args.size));
            let mut drive = Drive::new(loads.collect::<Result<Vec<_>>>()?)?;
            drive.connect()?;
            Box::new(drive)
        }
    };
    Ok(Started { row, server, load, spent: Vec::new() })
}

/// Medians; ratios are medians of those within a round.
fn report(rows: &[Started]) {
    println!(
        "{:24} {:>11} {:>11} {:>11} {:>9} {:>11} {:>11}",
        "", "requests/s", "a core", "us/request", "by echo", "datagrams", "load us"
    );
    let echo = rows.iter().find(|started| started.row == Row::Echo);
    for Started { row, spent, .. } in rows {
        let of = |fact: fn(&Spent) -> f64| median(spent.iter().map(fact).collect());
        let by_echo = echo.map_or(f64::NAN, |echo| {
            let rounds = iter::zip(spent, &echo.spent);
            median(rounds.map(|(row, echo)| row.per_request() / echo.per_request()).collect())
        });
        println!(
            "{:24} {:>11.0} {:>11.0} {:>11.2} {by_echo:>9.2} {:>11.2} {:>11.2}",
            row.name(),
            of(Spent::rate),
            1e6 / of(Spent::per_request),
            of(Spent::per_request),
            of(Spent::datagrams_per_request),
            of(Spent::load_per_request),
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
