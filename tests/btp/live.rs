//! matter.js at the other end of a pipe: `interop/run.sh --btp` runs this. `MATTER_JS_PEER` names the
//! folder of its script, `interop/matterjs`, where its packages are installed; without it the test
//! is skipped.
//!
//! `BTP_RECORD=FILE` writes what happened as vectors, which `matterjs.rs` replays.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant as Clock};

use matter_session::btp::{BTP_MAX_SEGMENT, BtpConfig};
use matter_session::time::Instant;
use serde_json::{Value, json};

use crate::{Session, client, message, server};

/// The running script.
struct MatterJs {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl MatterJs {
    fn start(folder: &str, role: &str, segment: u16, window: u8) -> Self {
        let mut child = Command::new("node")
            .arg(format!("{folder}/btp.mjs"))
            .args([role, &segment.to_string(), &window.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        assert_eq!(lines.recv_timeout(Duration::from_secs(60)).as_deref(), Ok("ready"));
        Self { input: child.stdin.take().unwrap(), child, lines }
    }

    fn say(&mut self, word: &str, bytes: &[u8]) {
        writeln!(self.input, "{word} {}", hex(bytes)).unwrap();
    }
}

impl Drop for MatterJs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    matter_session_testing::hex(&text.into())
}

/// The lengths of our messages. Those of matter.js are longer by one byte.
const LENGTHS: [usize; 7] = [1, 8, 300, 1231, 1231, 1231, 1231];

/// Runs one of our sessions against matter.js. Each sends a message when the last one of the other
/// has arrived; the last ones of `lengths` go at once in both directions. Returns the record.
fn run(mut session: Session, mut peer: MatterJs, lengths: &[usize]) -> Vec<Value> {
    let start = Clock::now();
    let (mut record, mut value) = (Vec::new(), [0; BTP_MAX_SEGMENT]);
    let (mut ours, mut theirs, mut sent) = (0, 0, 0);
    while ours < lengths.len() || theirs < lengths.len() || !session.is_settled() {
        let at = u64::try_from(start.elapsed().as_millis()).unwrap();
        assert!(at < 60_000, "{ours} and {theirs} messages have arrived");
        let now = Instant::from_millis(at);
        session.handle_timeout(now).unwrap();
        // A turn is the arrival of both messages of the turn before.
        if session.is_open() && sent < lengths.len() && (ours.min(theirs) == sent || sent > 3) {
            let ours = message(lengths[sent]);
            if session.send(&ours).is_ok() {
                record.push(json!({ "at": at, "send": ours.len() }));
                peer.say("send", &message(lengths[sent] + 1));
                sent += 1;
            }
        }
        while let Some(packet) = session.poll_transmit(&mut value, now) {
            record.push(json!({ "at": at, "out": hex(packet) }));
            peer.say("packet", packet);
        }
        let line = match peer.lines.recv_timeout(Duration::from_millis(20)) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => panic!("matter.js has ended"),
        };
        let (word, text) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "packet" => {
                let at = u64::try_from(start.elapsed().as_millis()).unwrap();
                let now = Instant::from_millis(at);
                record.push(json!({ "at": at, "in": text }));
                let arrived = session.handle_packet(&unhex(text), now).unwrap();
                if let Some(arrived) = arrived {
                    assert_eq!(arrived, message(lengths[theirs] + 1));
                    record.push(json!({ "at": at, "message": arrived.len() }));
                    theirs += 1;
                }
                session.handle_subscription(now);
            }
            "message" => {
                assert_eq!(unhex(text), message(lengths[ours]));
                ours += 1;
            }
            _ => panic!("{line}"),
        }
    }
    record
}

#[test]
fn messages_arrive_at_matter_js_and_from_it_in_both_roles() {
    let Ok(folder) = env::var("MATTER_JS_PEER") else {
        println!("skipped: MATTER_JS_PEER is not set");
        return;
    };
    let mut runs = Vec::new();
    for (segment, window, messages) in [(244_u16, 6_u8, 5), (20, 4, 7)] {
        for role in ["client", "server"] {
            let config = BtpConfig::default().with_att_mtu(segment + 3).with_window(window);
            let (session, other) = if role == "client" {
                (client(config), "peripheral")
            } else {
                (server(config), "central")
            };
            let peer = MatterJs::start(&folder, other, segment, window);
            let events = run(session, peer, &LENGTHS[..messages]);
            runs.push(json!({
                "role": role, "segment": segment, "window": window, "messages": messages,
                "events": events,
            }));
        }
    }
    if let Ok(file) = env::var("BTP_RECORD") {
        let record = json!({
            "format": "matterjs-btp-1",
            "matterjs": "0.17.9",
            "generator": "tests/btp/live.rs with interop/matterjs/btp.mjs",
            "runs": runs,
        });
        // One event on each line.
        let text = record.to_string().replace("{\"at\"", "\n{\"at\"");
        std::fs::write(file, format!("{text}\n")).unwrap();
    }
}
