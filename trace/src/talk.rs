//! Which messages belong together: handshakes, and transmissions of one message.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use matter_session::wire::MessageKind;
use matter_session::wire::secure_channel::Opcode;

use crate::trace::{Message, Trace};

/// The messages of one handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// Who began it.
    pub initiator: SocketAddr,
    /// With whom.
    pub responder: SocketAddr,
    /// Its messages, without bare acknowledgements, repetitions and replays.
    pub messages: Vec<usize>,
    /// Whether the responder has sent anything, and be it an acknowledgement.
    pub is_answered: bool,
}

impl Handshake {
    /// Whether somebody reported success.
    #[must_use]
    pub fn is_established(&self, trace: &Trace) -> bool {
        let mut messages = self.messages.iter().filter_map(|index| trace.messages.get(*index));
        messages.any(|message| message.report().is_some_and(|report| report.is_success()))
    }
}

/// Finds the handshakes, in the order of their first messages.
#[must_use]
pub fn handshakes(trace: &Trace) -> Vec<Handshake> {
    let mut found: BTreeMap<_, Handshake> = BTreeMap::new();
    for (index, message) in trace.messages.iter().enumerate() {
        let (Some(kind), Some(inner)) = (message.outer.map(|header| header.kind()), message.inner)
        else {
            continue;
        };
        let (node, from_initiator) = match kind {
            Ok(MessageKind::FromInitiator(node)) => (node, true),
            Ok(MessageKind::FromResponder(node)) => (node, false),
            _ => continue,
        };
        let begins = from_initiator && message.opcode().is_some_and(Opcode::begins_handshake);
        let key = (node, inner.exchange);
        if begins && !found.contains_key(&key) {
            let (initiator, responder) = (message.from, message.to);
            let messages = Vec::new();
            found.insert(key, Handshake { initiator, responder, messages, is_answered: false });
        }
        let Some(handshake) = found.get_mut(&key) else { continue };
        handshake.is_answered |= !from_initiator;
        if message.copy_of.is_none() && !message.is_bare_ack() {
            handshake.messages.push(index);
        }
    }
    let mut all: Vec<_> = found.into_values().collect();
    all.sort_by_key(|handshake| handshake.messages.first().copied());
    all
}

/// How a message was sent: when first, and when again.
#[derive(Clone, Debug)]
pub struct Transmissions {
    /// The places of all transmissions by its sender, the first one first.
    pub all: Vec<usize>,
    /// The copies that somebody else sent, or long after they were acknowledged.
    pub replays: Vec<usize>,
}

/// A sender that still repeats a message does so within this time, unless its peer sleeps.
const LONGEST_REPETITION_SECS: u64 = 60;

/// The transmissions of the message at a place, which is the first of its kind.
#[must_use]
pub fn transmissions(trace: &Trace, first: usize) -> Transmissions {
    let mut found = Transmissions { all: vec![first], replays: Vec::new() };
    let Some(message) = trace.messages.get(first) else { return found };
    for index in trace.copies.get(&first).into_iter().flatten().copied() {
        let Some(copy) = trace.messages.get(index) else { continue };
        let is_late = copy.at.saturating_sub(message.at).as_secs() > LONGEST_REPETITION_SECS;
        if copy.from != message.from || (is_late && acknowledgement(trace, first, index).is_some())
        {
            found.replays.push(index);
        } else {
            found.all.push(index);
        }
    }
    found
}

/// The message that acknowledges the one at a place, before the place `end`.
///
/// Without keys nobody knows: then the next encrypted message the other way counts.
#[must_use]
pub fn acknowledgement(trace: &Trace, index: usize, end: usize) -> Option<usize> {
    let message = trace.messages.get(index)?;
    let acknowledges = |other: &Message| match (&message.inner, &other.inner) {
        (Some(_), Some(_)) => {
            other.acknowledges(message.counter()) && other.session == message.session
        }
        (None, None) => other.session_id() != 0,
        _ => false,
    };
    let later = trace.messages.iter().enumerate().take(end).skip(index + 1);
    later
        .filter(|(_, other)| other.from == message.to && other.to == message.from)
        .find(|(_, other)| acknowledges(other))
        .map(|(place, _)| place)
}
