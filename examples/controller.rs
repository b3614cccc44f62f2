//! A controller: establishes sessions with a device and sends it something, or sends to groups.
//!
//! ```text
//! cargo run --release --example controller -- pase --peer 127.0.0.1:5540 --send read
//! cargo run --release --example controller -- case --peer [::1]:5540 --fabric fabric.json --times 3
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
//! `group` needs no session: it sends commands to the groups of the fabric file, which nobody
//! answers. Without `--counters` their counters begin anew in each run, which serves for tests of
//! one run alone: two that use one counter under one key give their messages away.
//!
//! `examples/device.rs` is its counterpart; `examples/support/udp.rs` holds the loop.

mod support;

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use matter_session::Group;
use std::process::ExitCode;

use lexopt::Arg::{Long, Value};
use matter_session::crypto::Passcode;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{FabricIndex, MessageType, NodeId, Peer, ProtocolId};
use matter_session::manager::{ConnectError, Event, HandshakeHandle, SessionHandle};
use matter_session::rand_core::UnwrapErr;
use matter_session::session::Transports;

use matter_session_testing::fabric_file::{FabricFile, Role};
use matter_session_testing::loss::Loss;
use matter_session_testing::new_fabric;
use matter_session_testing::program::{self, TEST_PASSCODE};
use matter_session_testing::protocols::{
    ECHO, ECHO_REQUEST, ON_OFF_COMMANDS, READ_REQUEST, READ_VENDOR_NAME, REPORT_DATA, invoke_on_off,
};
use support::args;
use support::counters::Counters;
use support::udp::{Happening, Message, Node};
use support::{Result, report};

const USAGE: &str =
    "controller pase|case --peer ADDR:PORT [--passcode N] [--fabric FILE] [--times N]
       [--send echo|read|close] [--echo-size N] [--large] [--announce-tcp] [--drop rx:N,tx:N]
controller new-fabric FILE
controller group --fabric FILE [--peer ADDR:PORT] [--times N] [--privacy] [--no-clock]
       [--counters FILE] [--drop tx:N]

  --times      so many handshakes, one after the other; so many commands to each group
  --send       what to do with each session (default: echo)
  --echo-size  octets to be echoed (default: 32)
  --large      send messages of more than 1232 octets
  --announce-tcp  say in handshakes that this node speaks TCP as well, which it does not
  --drop       lose the N-th datagram received or sent, on purpose
  --peer       of groups: send there, and not to their multicast addresses
  --privacy    hide the headers of messages to groups
  --no-clock   do not know the time, which tells which of a group's keys is for sending
  --counters   keep the counters of messages to groups in a file
  --pcap FILE    record what is sent and received
  --keylog FILE  log all keys, to read the recording: a build with the feature `keylog` can";

/// The largest message over TCP that is announced.
const MAX_TCP_MESSAGE: u32 = 64_000;
/// How often a handshake is begun while the peer is busy.
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
    send: Send,
    echo_size: usize,
    large: bool,
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
        send: Send::Echo,
        echo_size: 32,
        large: false,
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
                args.send = match args::value::<String>(&mut parser)?.as_str() {
                    "echo" => Send::Echo,
                    "read" => Send::Read,
                    "close" => Send::Close,
                    other => return Err(format!("cannot send {other:?}").into()),
                }
            }
            Long("echo-size") => args.echo_size = args::value(&mut parser)?,
            Long("large") => args.large = true,
            Long("announce-tcp") => args.announce_tcp = true,
            Long("drop") => args.loss = args::value(&mut parser)?,
            Long("privacy") => args.privacy = true,
            Long("no-clock") => args.has_calendar = false,
            Long("counters") => args.counters = Counters::open(parser.value()?.as_ref())?,
            Long("pcap") => args.pcap = Some(args::value(&mut parser)?),
            Long("keylog") => args.keylog = Some(args::value(&mut parser)?),
            Long("help") => {
                println!("{USAGE}");
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
    let mut config = args::config(args.large);
    if args.announce_tcp {
        let parameters = config.parameters.with_tcp(Transports::TCP_CLIENT, MAX_TCP_MESSAGE);
        config = config.with_parameters(parameters);
    }
    let mut node = Node::bind(any, config, args.loss)?;
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
            return send_to_groups(&mut node, fabric, args.times, args.privacy, args.peer);
        }
        What::NewFabric => return Err("which file?".into()),
    };
    let peer = args.peer.ok_or("--peer is missing")?;
    let mut controller = Controller { node, peer, way, sessions: Vec::new() };
    let outcome = controller.meet(args.times, args.send, args.echo_size);
    // Also after a failure: the peer shall know of it.
    controller.leave()?;
    outcome
}

/// Sends commands to each group of a fabric. Whether anybody hears them, nobody knows.
fn send_to_groups(
    node: &mut Node,
    fabric: FabricIndex,
    times: u32,
    privacy: bool,
    instead: Option<SocketAddr>,
) -> Result<()> {
    let groups: Vec<_> = node.manager.groups().iter(fabric).collect();
    for (group, settings) in groups.iter().filter(|_| privacy) {
        node.manager.groups_mut().set(Group::new(fabric, *group), settings.with_privacy())?;
    }
    for (_, command) in (0..times).zip(ON_OFF_COMMANDS.into_iter().cycle()) {
        for (group, _) in &groups {
            let payload = invoke_on_off(command);
            let to = Group::new(fabric, *group);
            let address = node.send_group(to, MessageType::INVOKE_REQUEST, &payload, instead)?;
            println!("SENT group={group} address={address} payload={}", report::hex(&payload));
        }
    }
    Ok(())
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
    fn meet(&mut self, times: u32, send: Send, echo_size: usize) -> Result<()> {
        for time in 1..=times {
            let session = self.establish()?;
            self.sessions.push(session);
            match send {
                Send::Echo => self.echo(session, echo_size)?,
                Send::Read => self.read(session)?,
                Send::Close => {}
            }
            // A device serves one commissioner at a time: the next session needs the place.
            if send == Send::Close || (time < times && matches!(self.way, Way::Pase(_))) {
                self.close(session);
                self.sessions.pop();
            }
        }
        Ok(())
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

    /// A session with the peer. If it is busy this waits as told, and tries three times in all.
    fn establish(&mut self) -> Result<SessionHandle> {
        for _ in 1..TRIES {
            let handshake = self.connect()?;
            let wait = match self.outcome(handshake)? {
                Err(HandshakeError::Refused(Refusal::Busy { wait })) => wait,
                outcome => return Ok(outcome?),
            };
            println!("BUSY wait={}", wait.as_millis());
            let until = self.node.now() + self.spread(wait);
            while self.node.now() < until {
                self.node.turn(Some(until))?;
            }
        }
        let handshake = self.connect()?;
        Ok(self.outcome(handshake)??)
    }

    /// A wait, and up to a quarter more: others were told the same one, and would come back with
    /// this program.
    fn spread(&mut self, wait: Duration) -> Duration {
        let random = self.node.with(|_, cx| cx.rng().next_u32() % 256);
        wait + wait / 4 * random / 255
    }

    fn connect(&mut self) -> Result<HandshakeHandle, ConnectError> {
        let (way, peer) = (&self.way, self.peer.into());
        self.node.with(|manager, cx| match way {
            Way::Pase(passcode) => manager.connect_pase(cx, peer, passcode.clone()),
            Way::Case(fabric, node) => manager.connect_case(cx, peer, Peer::new(*fabric, *node)),
        })
    }

    /// What becomes of a handshake. The manager sees to it that something does, in time.
    fn outcome(&mut self, ours: HandshakeHandle) -> Result<Result<SessionHandle, HandshakeError>> {
        loop {
            match self.node.turn(None)? {
                Some(Happening::Event(Event::Established {
                    session, handshake, resumed, ..
                })) if handshake == Some(ours) => {
                    if let Some(line) = report::session_line(&self.node.manager, session, resumed) {
                        println!("{line}");
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
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
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
        println!("REPORT {}", report::hex(&answer.payload));
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
                        println!("ANSWER opcode={} size={}", message.opcode, message.payload.len());
                        return Ok(message);
                    }
                }
                Some(Happening::Event(Event::Undelivered { exchange: e, .. })) if e == exchange => {
                    return Err("the request was not acknowledged".into());
                }
                Some(Happening::Event(Event::Closed { session: s, .. })) if s == session => {
                    return Err("the session was closed before the answer came".into());
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
