//! The command line. See the README of this package.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;
use matter_trace::ladder::{self, Style};
use matter_trace::verdict::FAIR;
use matter_trace::{Keys, Trace, capture, export, findings, trace};

const USAGE: &str =
    "matter-trace [--keys FILE]... [--port N|all]... [--fields] [--write FILE] CAPTURE

  --keys FILE   a key log, as the feature `keylog` writes it; of both nodes if there are two
  --port N      datagrams from or to this port (default: 5540), or from all ports
  --fields      the fields of each message
  --write FILE  the messages as pcapng, decrypted as far as there are keys";

#[derive(Default)]
struct Args {
    capture: PathBuf,
    keys: Vec<PathBuf>,
    ports: Vec<u16>,
    all_ports: bool,
    style: Style,
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match parse().and_then(|args| args.map_or(Ok(true), |args| run(&args))) {
        Ok(true) => ExitCode::SUCCESS,
        // Something went wrong in the capture.
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("matter-trace: {error}");
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<Option<Args>, Box<dyn Error>> {
    let mut parser = lexopt::Parser::from_env();
    let mut args = Args::default();
    let mut capture = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("keys") => args.keys.push(parser.value()?.into()),
            Long("port") => {
                let port = parser.value()?;
                if port == "all" { args.all_ports = true } else { args.ports.push(port.parse()?) }
            }
            Long("fields") => args.style.fields = true,
            Long("write") => args.write = Some(parser.value()?.into()),
            Value(file) if capture.is_none() => capture = Some(file),
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(None);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    args.capture = capture.ok_or("name a capture; --help says more")?.into();
    if args.ports.is_empty() && !args.all_ports {
        args.ports.push(trace::MATTER_PORT);
    }
    if args.all_ports {
        args.ports.clear();
    }
    Ok(Some(args))
}

/// Returns true if nothing went wrong.
fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let named = |path: &PathBuf, error: &dyn Error| format!("{}: {error}", path.display());
    let mut keys = Keys::default();
    for path in &args.keys {
        let log = fs::read_to_string(path).map_err(|error| named(path, &error))?;
        keys.add(&log).map_err(|error| named(path, &error))?;
    }
    let file = fs::read(&args.capture).map_err(|error| named(&args.capture, &error))?;
    let datagrams = capture::read(&file).map_err(|error| named(&args.capture, &error))?;
    let trace = Trace::new(datagrams, &args.ports, keys);

    print!("{}", ladder::draw(&trace, args.style));
    println!("\n{}", ladder::summary(&trace));
    let start = trace.messages.first().map(|message| message.at).unwrap_or_default();
    let findings = findings(&trace);
    for finding in &findings {
        let at = finding.at.saturating_sub(start).as_secs_f64();
        let times =
            if finding.times > 1 { format!(" ({} times)", finding.times) } else { String::new() };
        println!("{at:.3}  {}{times}", finding.text);
    }
    if findings.is_empty() {
        println!("{FAIR}");
    }
    if let Some(path) = &args.write {
        fs::write(path, export::pcapng(&trace)?).map_err(|error| named(path, &error))?;
    }
    Ok(findings.is_empty())
}
