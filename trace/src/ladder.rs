//! The messages as lines: who sent what to whom, when, how often, and how long answers took.

use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use crate::talk::acknowledgement;
use crate::trace::{Message, Trace};

/// Columns for the name of a message.
const NAME: usize = 32;

/// How the ladder is drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// With the fields of each message.
    pub fields: bool,
}

/// Draws all messages.
#[must_use]
pub fn draw(trace: &Trace, style: Style) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut text, trace, style);
    text
}

fn write_all(text: &mut String, trace: &Trace, style: Style) -> fmt::Result {
    let Some(start) = trace.messages.first().map(|message| message.at) else {
        return writeln!(text, "no messages");
    };
    let nodes = nodes(trace);
    for (number, address) in nodes.iter().enumerate() {
        writeln!(text, "{:>3}  {address}", label(number))?;
    }
    writeln!(text)?;
    for (index, message) in trace.messages.iter().enumerate() {
        let node = |address: SocketAddr| {
            nodes.iter().position(|node| *node == address).map_or_else(String::new, label)
        };
        let (from, to) = (node(message.from), node(message.to));
        let time = seconds(message.at.saturating_sub(start));
        let (name, len) = (message.name(), message.bytes.len());
        write!(text, "{time:>10}  {from:>2} ──▶ {to:<2}  {name:<NAME$} {len:>5} bytes")?;
        remarks(text, trace, index, message)?;
        writeln!(text)?;
        if style.fields {
            message
                .description()
                .for_each_field(&mut |name, value| writeln!(text, "{:20}{name:<20} {value}", ""))?;
        }
    }
    Ok(())
}

fn remarks(text: &mut String, trace: &Trace, index: usize, message: &Message) -> fmt::Result {
    if let Some(first) = message.copy_of.and_then(|first| trace.messages.get(first)) {
        let since = seconds(message.at.saturating_sub(first.at));
        write!(text, "  sent again, {since} s after the first")?;
        if first.from != message.from {
            write!(text, ", by another sender")?;
        }
    }
    if message.wrong_key {
        write!(text, "  no key in the log opens it")?;
    }
    if let Some(report) = message.report() {
        write!(text, "  {}", matter_session::describe::StatusName(&report))?;
    }
    let wants_ack = message.inner.is_some_and(|header| header.needs_ack);
    if wants_ack && message.copy_of.is_none() {
        match acknowledgement(trace, index, usize::MAX).and_then(|place| trace.messages.get(place))
        {
            Some(reply) => {
                let after = seconds(reply.at.saturating_sub(message.at));
                write!(text, "  acknowledged after {after} s")?;
            }
            None => write!(text, "  never acknowledged")?,
        }
    }
    Ok(())
}

/// The nodes in the order in which they appear.
fn nodes(trace: &Trace) -> Vec<SocketAddr> {
    let mut nodes = Vec::new();
    for address in trace.messages.iter().flat_map(|message| [message.from, message.to]) {
        if !nodes.contains(&address) {
            nodes.push(address);
        }
    }
    nodes
}

/// A, B, up to Z, then numbers.
fn label(number: usize) -> String {
    match u8::try_from(number) {
        Ok(letter) if letter < 26 => char::from(b'A' + letter).to_string(),
        _ => number.to_string(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}

/// One line on the whole capture.
#[must_use]
pub fn summary(trace: &Trace) -> String {
    let handshakes = crate::talk::handshakes(trace);
    let established = handshakes.iter().filter(|handshake| handshake.is_established(trace)).count();
    let copies = trace.messages.iter().filter(|message| message.copy_of.is_some()).count();
    let sealed = trace.messages.iter().filter(|message| message.inner.is_none()).count();
    format!(
        "{} messages, {copies} of them sent again, {sealed} not opened; {} handshakes, {established} \
         established",
        trace.messages.len(),
        handshakes.len()
    )
}
