//! The host at the other end of the node's serial line: carries datagrams to and from UDP, and
//! gives the node what a factory and an administrator would have given it.
//!
//! ```text
//! bridge --line PATH --listen ADDR:PORT [--passcode N] [--fabric FILE] ...
//! ```
//! It takes the options of `examples/device.rs` and prints the same lines, so that whatever runs
//! that example can run the emulated device instead.

mod element;
mod line;
mod reset;

use core::net::SocketAddr;
use std::net::UdpSocket;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use firmware::frame::{self, Setup, kind};
use lexopt::Arg::Long;
use lexopt::ValueExt;
use matter_session::crypto::{Passcode, PbkdfParameters, RustCrypto, Verifier};
use matter_session::rand_core::{Rng, UnwrapErr};
use matter_session::time::MatterTime;
use matter_session_testing::fabric_file::{FabricFile, Role};
use matter_session_testing::loss::Loss;
use matter_session_testing::program::{self, Result, TEST_PASSCODE};

use self::element::SecureElement;
use self::line::Line;
use self::reset::Reset;

const USAGE: &str = "bridge --line PATH --listen ADDR:PORT [--passcode N] [--fabric FILE]
       [--drop rx:N,tx:N] [--busy N] [--forget] [--monitor PATH] [--reset-before N]

  --line     the socket at which the emulated UART is served
  --drop     lose the N-th datagram to or from the node
  --busy     the node turns the first N handshakes away as busy
  --forget   the node forgets resumption records as soon as they are made
  --monitor  the socket of the emulator's monitor
  --reset-before
             reset the node when the N-th Sigma1 comes, and hand that to it afterwards";

/// How long the emulator may take to serve its UART.
const PATIENCE: Duration = Duration::from_secs(20);

struct Args {
    line: String,
    listen: SocketAddr,
    passcode: Passcode,
    fabric: Option<String>,
    loss: Loss,
    busy: u32,
    forget: bool,
    reset: Option<Reset>,
}

fn main() -> ExitCode {
    program::start("bridge", parse(), run)
}

fn parse() -> Result<Option<Args>> {
    let mut parser = lexopt::Parser::from_env();
    let (mut line, mut listen) = (None, None);
    let mut args = Args {
        line: String::new(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        passcode: Passcode::new(TEST_PASSCODE)?,
        fabric: None,
        loss: Loss::default(),
        busy: 0,
        forget: false,
        reset: None,
    };
    let (mut monitor, mut before) = (None, None);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("line") => line = Some(parser.value()?.string()?),
            Long("listen") => listen = Some(parser.value()?.parse()?),
            Long("passcode") => args.passcode = Passcode::new(parser.value()?.parse()?)?,
            Long("fabric") => args.fabric = Some(parser.value()?.string()?),
            Long("drop") => args.loss = parser.value()?.string()?.parse()?,
            Long("busy") => args.busy = parser.value()?.parse()?,
            Long("forget") => args.forget = true,
            Long("monitor") => monitor = Some(parser.value()?.string()?),
            Long("reset-before") => before = Some(parser.value()?.parse()?),
            Long("help") => {
                println!("{USAGE}");
                return Ok(None);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    args.line = line.ok_or("--line is missing")?;
    args.listen = listen.ok_or("--listen is missing")?;
    args.reset = monitor.zip(before).map(|(monitor, before)| Reset::new(monitor, before));
    Ok(Some(args))
}

fn run(mut args: Args) -> Result<()> {
    let mut line = Line::connect(&args.line, PATIENCE)?;
    line.await_reset()?;
    line.request(kind::SETUP, &[&setup(&args)?.to_bytes()])?;
    let mut key = None;
    if let Some(path) = &args.fabric {
        let file = FabricFile::read(path, Role::Responder)?;
        let fabric = fabric_frame(&file)?;
        line.request(
            kind::FABRIC,
            &[&fabric.head(), fabric.root, fabric.icac.unwrap_or_default(), fabric.noc],
        )?;
        line.request(kind::COMPLETE, &[])?;
        key = Some(file.key);
    }
    let element = SecureElement::new(key, line.clone());
    let socket = UdpSocket::bind(args.listen)?;
    println!("READY {}", args.listen);
    let (loss, reset) = (core::mem::take(&mut args.loss), args.reset.take());
    let (answers, waiting) = mpsc::channel();
    let again = Box::new(move |line: &mut Line, reset: &Reset| {
        // The other thread reads the answers.
        if !matches!(waiting.recv(), Ok(Answer::Awake)) {
            return Err("the node was not reset".into());
        }
        line.send(kind::SETUP, &[&setup(&args)?.to_bytes()])?;
        let until = Instant::now() + PATIENCE;
        loop {
            match waiting.recv_timeout(Duration::from_millis(50)) {
                Ok(Answer::Done(true)) => return Ok(()),
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {
                    reset.wake_emulator()?
                }
                _ => return Err("the node does not come back".into()),
            }
        }
    });
    carry(line, element, socket, loss, reset.map(|reset| (reset, again as Again)), &answers)
}

/// What the node says to its host alone.
enum Answer {
    Awake,
    Done(bool),
}

/// Gives a node that was reset what it needs.
type Again = Box<dyn FnMut(&mut Line, &Reset) -> Result<()> + Send>;

/// Both directions. Ends when the emulator does.
fn carry(
    mut line: Line,
    element: SecureElement,
    socket: UdpSocket,
    loss: Loss,
    reset: Option<(Reset, Again)>,
    answers: &mpsc::Sender<Answer>,
) -> Result<()> {
    let (to_node, from_node) = (line.clone(), socket.try_clone()?);
    let loss = Arc::new(Mutex::new(loss));
    let incoming = loss.clone();
    thread::spawn(move || {
        if let Err(error) = receive(&socket, to_node, &incoming, reset) {
            eprintln!("bridge: {error}");
            std::process::exit(1);
        }
    });
    while let Some((kind, body)) = line.next()? {
        match kind {
            kind::DATAGRAM => {
                let Some((to, datagram)) = body.split_first_chunk() else { continue };
                if loss.lock().is_ok_and(|mut loss| loss.sends()) {
                    // A peer that has gone is no reason to end.
                    let _ = from_node.send_to(datagram, frame::read_address(*to));
                }
            }
            kind::SIGN => element.begin(&body),
            kind::AWAKE => drop(answers.send(Answer::Awake)),
            kind::DONE => drop(answers.send(Answer::Done(body.get(1) == Some(&1)))),
            _ => println!("{}", report(kind, &body)),
        }
    }
    Ok(())
}

fn receive(
    socket: &UdpSocket,
    mut line: Line,
    loss: &Mutex<Loss>,
    mut reset: Option<(Reset, Again)>,
) -> Result<()> {
    let mut datagram = [0; 0xFFFF];
    loop {
        let (len, from) = match socket.recv_from(&mut datagram) {
            Ok(received) => received,
            // The echo of a datagram that found nobody.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error.into()),
        };
        let datagram = &datagram[..len];
        if let Some((reset, again)) = &mut reset
            && reset.is_due(datagram)
        {
            reset.run()?;
            again(&mut line, reset)?;
        }
        let passes = loss.lock().is_ok_and(|mut loss| loss.receives());
        // What is longer than the node's buffer its network interface would drop, too.
        if passes && frame::ADDRESS + len <= frame::MAX_BODY {
            line.send(kind::DATAGRAM, &[&frame::write_address(from), datagram])?;
        }
    }
}

/// What the node tells, as `examples/device.rs` prints it.
fn report(kind: u8, body: &[u8]) -> String {
    let number = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
    match (kind, body.len()) {
        (kind::SESSION, 21) => {
            let kind = ["pase", "case", "case-resumed"].get(usize::from(body[0]));
            let attestation: String = body[5..].iter().map(|o| format!("{o:02x}")).collect();
            let (local, peer) = (number(1), number(3));
            let kind = kind.unwrap_or(&"unknown");
            format!("SESSION kind={kind} local={local} peer={peer} attestation={attestation}")
        }
        (kind::FAILED, _) => "FAILED handshake".into(),
        (kind::NOT_KEPT, _) => "FAILED store".into(),
        (kind::CLOSED, 2) => format!("CLOSED local={}", number(0)),
        _ => format!("UNKNOWN frame {kind} of {} octets", body.len()),
    }
}

fn setup(args: &Args) -> Result<Setup> {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let (mut seed, mut salt) = ([0; 32], [0; 32]);
    rng.fill_bytes(&mut seed);
    rng.fill_bytes(&mut salt);
    let iterations = PbkdfParameters::MIN_ITERATIONS;
    let pbkdf = PbkdfParameters::new(iterations, &salt)?;
    let verifier = Verifier::generate(&RustCrypto, &args.passcode, &pbkdf)?;
    let unix = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let time = MatterTime::from_unix_seconds(unix).ok_or("the clock is before 2000")?.as_seconds();
    let verifier = *verifier.to_bytes().as_bytes();
    let (busy, forget) = (args.busy, args.forget);
    Ok(Setup { seed, time, iterations, salt, verifier, busy, forget })
}

/// What the node gets of a fabric: everything but its key.
fn fabric_frame(file: &FabricFile) -> Result<frame::Fabric<'_>> {
    let credentials = file.credentials();
    let matter_session::fabric::Ipk::EpochKey(ipk) =
        credentials.ipks.first().ok_or("no identity protection key")?
    else {
        return Err("the identity protection key is no epoch key".into());
    };
    let (root, icac, noc) = (credentials.root, credentials.icac, credentials.noc);
    Ok(frame::Fabric { ipk: *ipk.as_bytes(), root, icac, noc })
}
