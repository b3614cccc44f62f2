//! A controller: establishes sessions with a device and sends it something, or sends to groups.
//!
//! ```text
//! cargo run --release --example controller -- pase --peer 127.0.0.1:5540 --send read
//! cargo run --release --example controller -- case --peer [::1]:5540 --fabric fabric.json --times 3
//! cargo run --release --example controller -- case --peer [::1]:5540 --fabric fabric.json --tcp
//! cargo run --release --example controller -- group --fabric fabric.json --counters counters
//! cargo run --release --example controller -- new-fabric fabric.json
//! ```
//! `new-fabric` makes the keys and certificates of a fabric of two, for this program and for
//! `device --fabric`.
//!
//! Each session gets a line, and so does the answer; from the second CASE on the former session is
//! resumed if the peer agrees. The exit code is 0 if every handshake gave a session and every
//! answer came, else 1.
//!
//! With `--tcp` each handshake has a TCP connection of its own, and messages may have 64,000 bytes.
//! If the connection is lost, the program connects again and repeats the request once.
//!
//! `group` needs no session: it sends commands to the groups of the fabric file, which nobody
//! answers. Without `--counters` their counters begin anew in each run, which serves for tests of
//! one run alone: two that use one counter under one key give their messages away.
//!
//! `examples/device.rs` is its counterpart; `examples/support/node.rs` holds the loop.

#[macro_use]
mod support;

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::process::ExitCode;

use lexopt::Arg::{Long, Value};
use matter_session::crypto::Passcode;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{FabricIndex, MessageType, NodeId, Peer, ProtocolId};
use matter_session::manager::{CloseReason, Config, Event, HandshakeHandle, SessionHandle};
use matter_session::rand_core::UnwrapErr;
use matter_session::session::Transports;

use matter_session_testing::fabric_file::{FabricFile, Role};
use matter_session_testing::loss::Loss;
use matter_session_testing::new_fabric;
use matter_session_testing::program::{self, TEST_PASSCODE};
use matter_session_testing::protocols::{
    ECHO, ECHO_REQUEST, READ_REQUEST, READ_VENDOR_NAME, REPORT_DATA, echo_payload,
};
use support::args;
use support::counters::Counters;
use support::link::Link;
use support::node::{Happening, Message, Node};
use support::{Result, groups, report};

const USAGE: &str =
    "controller pase|case --peer ADDR:PORT [--passcode N] [--fabric FILE] [--times N]
       [--send echo|read|close] [--requests N] [--echo-size N] [--tcp]
       [--announce-tcp] [--drop rx:N,tx:N]
controller new-fabric FILE
controller group --fabric FILE [--peer ADDR:PORT] [--times N] [--privacy] [--no-clock]
       [--counters FILE] [--drop tx:N]

  --times      so many handshakes, one after the other; so many commands to each group
  --send       what to do with each session (default: echo)
  --requests   how many of them on each session (default: 1)
  --echo-size  bytes to be echoed (default: 32)
  --tcp        speak TCP
  --announce-tcp  say in handshakes that this node speaks TCP as well, though it does not
  --drop       lose the N-th datagram received or sent, on purpose
  --peer       of groups: send there, and not to their multicast addresses
  --privacy    hide the headers of messages to groups
  --no-clock   do not know the time, which tells which of a group's keys is for sending
  --counters   keep the counters of messages to groups in a file
  --pcap FILE    record what is sent and received
  --keylog FILE  log all keys, to read the recording: a build with the feature `keylog` can";

/// How often a handshake is begun while the peer is busy, or connections are lost.
const TRIES: u32 = 3;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long messages that nobody acknowledges are repeated before the program ends.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

struct Args {
    what: What,
    peer: Option<SocketAddr>,
    passcode: Passcode,
    fabric: Option<String>,
    times: u32,
    use_for: Use,
    tcp: bool,
    announce_tcp: bool,
    loss: Loss,
    privacy: bool,
    has_calendar: bool,
    counters: Counters,
    pcap: Option<String>,
    keylog: Option<String>,
}

#[derive(Clone, Copy)]
enum What {
    Pase,
    Case,
    Group,
    NewFabric,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Send {
    Echo,
    Read,
    Close,
}

/// The actions on each session.
#[derive(Clone, Copy)]
struct Use {
    send: Send,
    requests: u32,
    echo_size: usize,
}

/// The peer may have received the request, or not.
#[derive(Debug)]
struct ConnectionLost;

impl fmt::Display for ConnectionLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was lost before the answer came")
    }
}

impl core::error::Error for ConnectionLost {}

fn main() -> ExitCode {
    program::start("controller", parse(), run)
}

fn parse() -> Result<Option<Args>> {
    let mut parser = lexopt::Parser::from_env();
    let mut what = None;
    let mut args = Args {
        what: What::Pase,
        peer: None,
        passcode: Passcode::new(TEST_PASSCODE)?,
        fabric: None,
        times: 1,
        use_for: Use { send: Send::Echo, requests: 1, echo_size: 32 },
        tcp: false,
        announce_tcp: false,
        loss: Loss::default(),
        privacy: false,
        has_calendar: true,
        counters: Counters::default(),
        pcap: None,
        keylog: None,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Value(handshake) if handshake == "pase" => what = Some(What::Pase),
            Value(handshake) if handshake == "case" => what = Some(What::Case),
            Value(groups) if groups == "group" => what = Some(What::Group),
            Value(new) if new == "new-fabric" && what.is_none() => {
                what = Some(What::NewFabric);
                args.fabric = Some(args::value(&mut parser)?);
            }
            Long("peer") => args.peer = Some(args::value(&mut parser)?),
            Long("passcode") => args.passcode = args::passcode(&mut parser)?,
            Long("fabric") => args.fabric = Some(args::value(&mut parser)?),
            Long("times") => args.times = args::value(&mut parser)?,
            Long("send") => {
                args.use_for.send = match args::value::<String>(&mut parser)?.as_str() {
                    "echo" => Send::Echo,
                    "read" => Send::Read,
                    "close" => Send::Close,
                    other => return Err(format!("cannot send {other:?}").into()),
                }
            }
            Long("requests") => args.use_for.requests = args::value(&mut parser)?,
            Long("echo-size") => args.use_for.echo_size = args::value(&mut parser)?,
            Long("tcp") => args.tcp = true,
            Long("announce-tcp") => args.announce_tcp = true,
            Long("drop") => args.loss = args::value(&mut parser)?,
            Long("privacy") => args.privacy = true,
            Long("no-clock") => args.has_calendar = false,
            Long("counters") => args.counters = Counters::open(parser.value()?.as_ref())?,
            Long("pcap") => args.pcap = Some(args::value(&mut parser)?),
            Long("keylog") => args.keylog = Some(args::value(&mut parser)?),
            Long("help") => {
                say!("{USAGE}");
                return Ok(None);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    args.what = what.ok_or("which, pase, case, group or new-fabric?")?;
    Ok(Some(args))
}

fn run(args: Args) -> Result<()> {
    if let (What::NewFabric, Some(path)) = (args.what, &args.fabric) {
        return new_fabric::write(path, &mut UnwrapErr(getrandom::SysRng));
    }
    let any: SocketAddr = match args.peer {
        Some(SocketAddr::V4(_)) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        Some(SocketAddr::V6(_)) | None => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let mut config = Config::default();
    if args.tcp || args.announce_tcp {
        config = args::announcing(config, Transports::TCP_CLIENT);
    }
    let link = if args.tcp { Link::tcp(None, args::MAX_TCP_MESSAGE)? } else { Link::udp(any)? };
    let mut node = Node::new(link, config, args.loss);
    node.has_calendar = args.has_calendar;
    node.counters = args.counters;
    node.watch(args.pcap.as_deref(), args.keylog.as_deref())?;
    let fabric = args.fabric.map(|path| FabricFile::read(&path, Role::Initiator)).transpose()?;
    let fabric = || fabric.ok_or("--fabric is missing");
    let way = match args.what {
        What::Pase => Way::Pase(args.passcode),
        What::Case => {
            let fabric = fabric()?;
            let peer = fabric.peer;
            Way::Case(node.join(fabric)?, peer)
        }
        What::Group => {
            let fabric = node.join(fabric()?)?;
            return groups::send_to_all(&mut node, fabric, args.times, args.privacy, args.peer);
        }
        What::NewFabric => return Err("which file?".into()),
    };
    let peer = args.peer.ok_or("--peer is missing")?;
    let mut controller = Controller { node, peer, way, sessions: Vec::new() };
    let outcome = controller.meet(args.times, args.use_for);
    // Also after a failure: the peer shall know of it.
    controller.leave()?;
    outcome
}

struct Controller {
    node: Node,
    peer: SocketAddr,
    way: Way,
    /// Those that are open.
    sessions: Vec<SessionHandle>,
}

enum Way {
    Pase(Passcode),
    Case(FabricIndex, NodeId),
}

impl Controller {
    fn meet(&mut self, times: u32, use_for: Use) -> Result<()> {
        for time in 1..=times {
            let mut session = self.establish()?;
            for _ in 0..use_for.requests {
                match self.request(session, use_for) {
                    // An echo and a report change nothing, so that the peer may do them twice.
                    Err(error) if error.is::<ConnectionLost>() => {
                        say!("LOST {error}");
                        session = self.establish()?;
                        self.request(session, use_for)?;
                    }
                    outcome => outcome?,
                }
            }
            // A device serves one commissioner at a time: the next session needs the place.
            if use_for.send == Send::Close || (time < times && matches!(self.way, Way::Pase(_))) {
                self.close(session);
                self.sessions.pop();
            }
        }
        Ok(())
    }

    fn request(&mut self, session: SessionHandle, use_for: Use) -> Result<()> {
        match use_for.send {
            Send::Echo => self.echo(session, use_for.echo_size),
            Send::Read => self.read(session),
            Send::Close => Ok(()),
        }
    }

    /// Settles what is in flight and then closes the sessions, so that the peer need not keep them.
    fn leave(&mut self) -> Result<()> {
        self.node.drain(LAST_PATIENCE)?;
        for session in core::mem::take(&mut self.sessions) {
            self.close(session);
        }
        Ok(self.node.drain(LAST_PATIENCE)?)
    }

    fn close(&mut self, session: SessionHandle) {
        self.node.with(|manager, cx| manager.close_session(cx, session));
    }

    /// A session with the peer. Tries three times in all if connections are lost, or if the peer is
    /// busy: then this waits as told.
    fn establish(&mut self) -> Result<SessionHandle> {
        for tries in 1.. {
            let handshake = self.connect()?;
            match self.outcome(handshake)? {
                Ok(session) => {
                    self.sessions.push(session);
                    return Ok(session);
                }
                Err(HandshakeError::Refused(Refusal::Busy { wait })) if tries < TRIES => {
                    say!("BUSY wait={}", wait.as_millis());
                    let until = self.node.now() + self.spread(wait);
                    while self.node.now() < until {
                        self.node.turn(Some(until))?;
                    }
                }
                Err(error @ HandshakeError::Disconnected) if tries < TRIES => {
                    say!("FAILED handshake: {error}");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err("no try is left".into())
    }

    /// A wait, and up to a quarter more: others were told the same one, and would come back with
    /// this program.
    fn spread(&mut self, wait: Duration) -> Duration {
        let random = self.node.with(|_, cx| cx.rng().next_u32() % 256);
        wait + wait / 4 * random / 255
    }

    fn connect(&mut self) -> Result<HandshakeHandle> {
        let (way, peer) = (&self.way, self.node.reach(self.peer)?);
        Ok(self.node.with(|manager, cx| match way {
            Way::Pase(passcode) => manager.connect_pase(cx, peer, passcode.clone()),
            Way::Case(fabric, node) => manager.connect_case(cx, peer, Peer::new(*fabric, *node)),
        })?)
    }

    /// What becomes of a handshake. The manager sees to it that something does, in time.
    fn outcome(&mut self, ours: HandshakeHandle) -> Result<Result<SessionHandle, HandshakeError>> {
        loop {
            match self.node.turn(None)? {
                Some(Happening::Event(Event::Established {
                    session, handshake, resumed, ..
                })) if handshake == Some(ours) => {
                    if let Some(line) = report::session_line(&self.node.manager, session, resumed) {
                        say!("{line}");
                    }
                    return Ok(Ok(session));
                }
                Some(Happening::Event(Event::HandshakeFailed { handshake, error, .. }))
                    if handshake == Some(ours) =>
                {
                    return Ok(Err(error));
                }
                Some(Happening::Message(message)) => self.acknowledge(&message),
                _ => {}
            }
        }
    }

    fn echo(&mut self, session: SessionHandle, size: usize) -> Result<()> {
        let payload = echo_payload(size);
        let answer = self.ask(session, ECHO, ECHO_REQUEST, &payload)?;
        let kind = (answer.protocol, answer.opcode);
        if kind != (ECHO, ECHO_REQUEST + 1) || answer.payload != payload {
            return Err("not an echo".into());
        }
        Ok(())
    }

    fn read(&mut self, session: SessionHandle) -> Result<()> {
        let protocol = ProtocolId::INTERACTION_MODEL;
        let answer = self.ask(session, protocol, READ_REQUEST, READ_VENDOR_NAME)?;
        say!("REPORT {}", report::hex(&answer.payload));
        if (answer.protocol, answer.opcode) != (protocol, REPORT_DATA) {
            return Err("not a report".into());
        }
        Ok(())
    }

    /// One request, one answer, on an exchange of their own.
    fn ask(
        &mut self,
        session: SessionHandle,
        protocol: ProtocolId,
        opcode: u8,
        payload: &[u8],
    ) -> Result<Message> {
        let exchange = self.node.with(|manager, cx| manager.open_exchange(cx, session))?;
        self.node.with(|manager, cx| {
            manager.send(cx, exchange, MessageType::new(protocol, opcode), payload)
        })?;
        let until = self.node.now() + PATIENCE;
        while self.node.now() < until {
            match self.node.turn(Some(until))? {
                Some(Happening::Message(message)) => {
                    self.acknowledge(&message);
                    if message.exchange == exchange {
                        say!("{}", report::message_line("ANSWER", &message));
                        return Ok(message);
                    }
                }
                Some(Happening::Event(Event::Undelivered { exchange: e, .. })) if e == exchange => {
                    return Err("the request was not acknowledged".into());
                }
                Some(Happening::Event(Event::Closed { session: s, reason, .. }))
                    if s == session =>
                {
                    say!("CLOSED local={} {reason:?}", s.local_session_id().get());
                    return Err(match reason {
                        CloseReason::Disconnected => ConnectionLost.into(),
                        _ => "the session was closed before the answer came".into(),
                    });
                }
                _ => {}
            }
        }
        Err("no answer came".into())
    }

    /// Nothing will be sent on the exchange any more, so the acknowledgement leaves at once.
    fn acknowledge(&mut self, message: &Message) {
        self.node.manager.close_exchange(message.exchange);
    }
}
