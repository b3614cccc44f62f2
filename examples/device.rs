//! A device: serves PASE within a commissioning window that stays open, and CASE on a fabric.
//!
//! ```text
//! cargo run --release --example device -- --listen 127.0.0.1:5540
//! cargo run --release --example device -- --listen [::1]:5540 --fabric fabric.json
//! cargo run --release --example device -- --listen [::1]:5540 --fabric fabric.json --tcp
//! ```
//! `controller new-fabric fabric.json` makes such a file.
//!
//! It prints `READY`, then a line for each session and message. Peers may send to its echo protocol, or read,
//! write and invoke anything: reports are empty, everything else succeeds. It hears the groups that
//! the fabric file puts it in, by multicast if it listens on `[::]:5540`, and prints `HEARD` for each
//! message. It sends to no group; when it asks a sender for its counter, its own is one in memory.
//! `examples/controller.rs` is its counterpart; `examples/support/node.rs` holds the loop. With
//! `--tcp` it accepts TCP connections instead of datagrams, and messages of up to 64,000 bytes.

#[macro_use]
mod support;

use core::net::SocketAddr;
use core::time::Duration;
use std::process::ExitCode;

use lexopt::Arg::Long;
use matter_session::crypto::{Passcode, PbkdfParameters, RustCrypto, Verifier};
use matter_session::manager::{CommissioningWindow, Config, Event, SessionHandle};
use matter_session::rand_core::UnwrapErr;
use matter_session::session::{SessionKind, Transports};
use matter_session::time::Instant;
use matter_session::{FabricIndex, Group, MessageType};

use matter_session_testing::fabric_file::{FabricFile, Role};
use matter_session_testing::loss::Loss;
use matter_session_testing::program::{self, TEST_PASSCODE};
use matter_session_testing::protocols;
use support::args;
use support::groups::Heard;
use support::link::Link;
use support::node::{Happening, Message, Node};
use support::{Result, report};

const USAGE: &str = "device --listen ADDR:PORT [--passcode N] [--fabric FILE] [--drop rx:N,tx:N]
       [--busy N] [--forget] [--tcp] [--seconds S] [--pcap FILE] [--keylog FILE]

  --drop     lose the N-th datagram received or sent, on purpose
  --busy     turn the first N handshakes away as busy
  --forget   forget resumption records as soon as they are made
  --tcp      accept TCP connections, and no datagrams
  --seconds  end after that time
  --pcap     record what is sent and received; not over TCP
  --keylog   log all keys, to read the recording: a build with the feature `keylog` can";

/// How long a commissioner may take: then its session ends, and another one gets its turn.
const FAIL_SAFE: Duration = Duration::from_secs(60);
/// What a peer that is turned away is asked to wait.
const BUSY_WAIT: Duration = Duration::from_millis(500);
/// The fewest that are allowed: this device shall start fast.
const PBKDF_ITERATIONS: u32 = PbkdfParameters::MIN_ITERATIONS;

struct Args {
    listen: SocketAddr,
    passcode: Passcode,
    fabric: Option<String>,
    loss: Loss,
    busy: u32,
    forget: bool,
    tcp: bool,
    seconds: Option<Duration>,
    pcap: Option<String>,
    keylog: Option<String>,
}

fn main() -> ExitCode {
    program::start("device", parse(), run)
}

fn parse() -> Result<Option<Args>> {
    let mut parser = lexopt::Parser::from_env();
    let mut listen = None;
    let mut args = Args {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        passcode: Passcode::new(TEST_PASSCODE)?,
        fabric: None,
        loss: Loss::default(),
        busy: 0,
        forget: false,
        tcp: false,
        seconds: None,
        pcap: None,
        keylog: None,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => listen = Some(args::value(&mut parser)?),
            Long("passcode") => args.passcode = args::passcode(&mut parser)?,
            Long("fabric") => args.fabric = Some(args::value(&mut parser)?),
            Long("drop") => args.loss = args::value(&mut parser)?,
            Long("busy") => args.busy = args::value(&mut parser)?,
            Long("forget") => args.forget = true,
            Long("tcp") => args.tcp = true,
            Long("seconds") => args.seconds = Some(args::seconds(&mut parser)?),
            Long("pcap") => args.pcap = Some(args::value(&mut parser)?),
            Long("keylog") => args.keylog = Some(args::value(&mut parser)?),
            Long("help") => {
                say!("{USAGE}");
                return Ok(None);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    args.listen = listen.ok_or("--listen is missing")?;
    Ok(Some(args))
}

fn run(args: Args) -> Result<()> {
    let mut config = Config::default();
    let link = if args.tcp {
        config = args::announcing(config, Transports::TCP_SERVER);
        Link::tcp(Some(args.listen), args::MAX_TCP_MESSAGE)?
    } else {
        Link::udp(args.listen)?
    };
    let mut node = Node::new(link, config, args.loss);
    node.watch(args.pcap.as_deref(), args.keylog.as_deref())?;
    if let Some(path) = &args.fabric {
        let fabric = node.join(FabricFile::read(path, Role::Responder)?)?;
        listen_to_groups(&node, fabric);
    }
    open_window(&mut node, &args.passcode)?;
    if args.busy > 0 {
        node.manager.handshakes().set_busy(Some(BUSY_WAIT));
    }
    say!("READY {}", args.listen);

    let end = args.seconds.map(|seconds| node.now() + seconds);
    let mut device = Device { node, forget: args.forget, commissioner: None };
    while end.is_none_or(|end| device.node.now() < end) {
        if device.node.manager.statistics().busy >= args.busy {
            device.node.manager.handshakes().set_busy(None);
        }
        device.turn(end)?;
    }
    Ok(())
}

fn open_window(node: &mut Node, passcode: &Passcode) -> Result<()> {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let pbkdf = PbkdfParameters::random(PBKDF_ITERATIONS, &mut rng)?;
    // A real device gets its verifier in the factory and never knows the passcode.
    let verifier = Verifier::generate(&RustCrypto, passcode, &pbkdf)?;
    let window = CommissioningWindow::new(verifier, pbkdf);
    Ok(node.with(|manager, cx| manager.window().open(cx, window))?)
}

/// Where there is no multicast, datagrams to groups may still come to the node's own address.
fn listen_to_groups(node: &Node, fabric: FabricIndex) {
    for (group, _) in node.manager.groups().iter(fabric) {
        let Some(address) = node.manager.groups().address(Group::new(fabric, group)) else {
            continue;
        };
        match node.listen_to(address) {
            Ok(()) => say!("MEMBER group={group} address={address}"),
            Err(error) => say!("MEMBER group={group} address={address} not joined: {error}"),
        }
    }
}

struct Device {
    node: Node,
    forget: bool,
    /// The PASE session, and when it ends at the latest. No other is served while it lives.
    commissioner: Option<(SessionHandle, Instant)>,
}

impl Device {
    fn turn(&mut self, end: Option<Instant>) -> Result<()> {
        let fail_safe = self.commissioner.map(|(_, expires)| expires);
        match self.node.turn([fail_safe, end].into_iter().flatten().min())? {
            Some(Happening::Event(event)) => self.on_event(event),
            Some(Happening::Message(message)) => self.on_message(&message),
            Some(Happening::Group(heard)) => report_heard(&heard),
            None => {}
        }
        if let Some((session, expires)) = self.commissioner
            && self.node.now() >= expires
        {
            self.node.with(|manager, cx| manager.close_session(cx, session));
            self.commissioner = None;
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<()>) {
        let node = &mut self.node;
        match event {
            Event::Established { session, resumed, .. } => {
                if let Some(line) = report::session_line(&node.manager, session, resumed) {
                    say!("{line}");
                }
                let kind = node.manager.session(session).map(|session| session.session().kind());
                if kind == Some(SessionKind::Pase) {
                    self.commissioner = Some((session, node.now() + FAIL_SAFE));
                }
                if self.forget {
                    node.with(|manager, cx| manager.records_mut().forget_all(cx));
                }
            }
            Event::HandshakeFailed { address: peer, error, .. } => {
                say!("FAILED handshake of {peer}: {error}");
            }
            Event::Closed { session, reason, .. } => {
                say!("CLOSED local={} {reason:?}", session.local_session_id().get());
                self.commissioner.take_if(|(commissioner, _)| *commissioner == session);
            }
            Event::WindowClosed { reason, .. } => {
                say!("WINDOW closed: {reason:?}; no further commissioner is served");
            }
            _ => {}
        }
    }

    /// Answers a request, which acknowledges it; what gets no answer is acknowledged alone.
    fn on_message(&mut self, message: &Message) {
        say!("{}", report::message_line("MESSAGE", message));
        let Message { exchange, protocol, .. } = *message;
        let answer = protocols::answer(protocol, message.opcode, &message.payload);
        let sent = self.node.with(|manager, cx| {
            answer.map_or(Ok(()), |(opcode, payload)| {
                manager.send(cx, exchange, MessageType::new(protocol, opcode), payload)
            })
        });
        if let Err(error) = sent {
            say!("UNANSWERED {error}");
        }
        self.node.manager.close_exchange(exchange);
    }
}

/// A device would now do what is asked. It never answers a group.
fn report_heard(heard: &Heard) {
    let Heard { group, key_set, source, opcode, counter, payload } = heard;
    say!(
        "HEARD group={group} keys={key_set} source={:016x} counter={counter} opcode={opcode} \
         payload={}",
        source.get(),
        report::hex(payload)
    );
}
