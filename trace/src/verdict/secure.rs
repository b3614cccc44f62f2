//! What went wrong with messages of sessions.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use matter_session::ids::MessageType;
use matter_session::wire::SessionRoute;

use super::{Finding, times};
use crate::talk::{Transmissions, acknowledgement, handshakes, transmissions};
use crate::trace::{Message, Trace};

/// How far behind the newest message every receiver still accepts one. [Core, "Message Reception
/// State"]
const SMALLEST_WINDOW: u32 = 32;

/// How long an answer may take before its absence is worth a sentence, in seconds.
const ANSWER_SECS: u64 = 10;

/// The direction of a session: its id at the receiver, and the two ends.
type Flow = (SocketAddr, SocketAddr, u16);

pub(super) fn findings(trace: &Trace) -> Vec<Finding> {
    let mut found = Vec::new();
    let owners = owners(trace);
    let mut newest: HashMap<Flow, u32> = HashMap::new();
    let mut mistaken: HashSet<Flow> = HashSet::new();
    for (index, message) in trace.messages.iter().enumerate() {
        if message.copy_of.is_some() {
            continue;
        }
        let sent = transmissions(trace, index);
        let replays = sent.replays.iter().filter_map(|place| trace.messages.get(*place));
        found.extend(replays.map(|replay| replayed(message, replay)));
        if !is_unicast(message) {
            continue;
        }
        let flow = (message.from, message.to, message.session_id());
        let newest = newest.entry(flow).or_insert(0);
        let behind = newest.saturating_sub(message.counter());
        *newest = message.counter().max(*newest);
        let text = if message.wrong_key && is_known(&owners, message) {
            // Nothing on such a session can arrive: said once.
            mistaken.insert(flow).then(|| mismatch(message))
        } else {
            judge(trace, index, message, &sent, behind)
        };
        found.extend(text.map(|text| Finding::new(message.at, text)));
    }
    found
}

/// The nodes that are known to receive by a session id, as a message to them was opened.
fn owners(trace: &Trace) -> HashMap<u16, HashSet<SocketAddr>> {
    let mut owners: HashMap<_, HashSet<_>> = HashMap::new();
    for message in trace.messages.iter().filter(|message| message.session.is_some()) {
        owners.entry(message.session_id()).or_default().insert(message.to);
    }
    owners
}

/// Whether the key log speaks of the session of a message that it does not open. Ids are not
/// unique: the session may be one of two other nodes.
fn is_known(owners: &HashMap<u16, HashSet<SocketAddr>>, message: &Message) -> bool {
    owners.get(&message.session_id()).is_none_or(|nodes| nodes.contains(&message.to))
}

fn is_unicast(message: &Message) -> bool {
    message.outer.is_some_and(|header| matches!(header.route, SessionRoute::Unicast(_)))
}

fn replayed(message: &Message, replay: &Message) -> Finding {
    let (name, from, to) = (message.name(), message.from, message.to);
    let seconds = replay.at.saturating_sub(message.at).as_secs();
    let again = replay.from;
    Finding::new(
        replay.at,
        format!(
            "Replay: {again} sent {to} a copy of the {name} that {from} had sent {seconds} s \
             before."
        ),
    )
}

fn mismatch(message: &Message) -> String {
    let (id, from, to) = (message.session_id(), message.from, message.to);
    format!(
        "Key mismatch: {from} sealed a message to session {id} of {to} with a key that is not the \
         one in the key log."
    )
}

fn judge(
    trace: &Trace,
    index: usize,
    message: &Message,
    sent: &Transmissions,
    behind: u32,
) -> Option<String> {
    let count = sent.all.len();
    let (from, to, id) = (message.from, message.to, message.session_id());
    let (name, often) = (message.name(), times(count));
    let wants_ack = message.inner.is_none_or(|header| header.needs_ack);
    if !wants_ack {
        return None;
    }
    if acknowledgement(trace, index, usize::MAX).is_some() {
        return unanswered(trace, index, message);
    }
    if behind > SMALLEST_WINDOW {
        return Some(format!(
            "Behind the window: the {name} of {from} on session {id} came to {to} after one whose \
             counter is {behind} larger, and was not acknowledged."
        ));
    }
    if count < 2 {
        // Its sender did not wait for long, or the capture ends here.
        return None;
    }
    if let Some(asked) = repetitions_of_request(trace, index, message) {
        return Some(format!(
            "Lost answer: {from} sent its {name} {often} and {to} acknowledged none, but sent the \
             request {}.",
            times(asked)
        ));
    }
    Some(if is_forgotten(trace, index, message, sent) {
        format!(
            "Unknown session: {to} has forgotten session {id}, most likely by a restart, as \
             nothing more of it came on that session, but it took part in a later handshake with \
             {from}."
        )
    } else {
        format!("Never answered: {from} sent {name} on session {id} to {to} {often}.")
    })
}

/// Whether the receiver of a message that it does not acknowledge has lost the session: nothing of
/// it came on the session since, and it and the sender make another one.
///
/// Without keys nobody knows the session of an encrypted message. Then none comes at all, as it
/// would be taken for the acknowledgement.
fn is_forgotten(trace: &Trace, index: usize, message: &Message, sent: &Transmissions) -> bool {
    let is_of_peer = |other: &Message| {
        other.from == message.to && other.session.is_some() && other.session == message.session
    };
    let Some(last) = sent.all.last() else { return false };
    let ends = [message.from, message.to];
    !trace.messages.iter().skip(index + 1).any(is_of_peer)
        && handshakes(trace).iter().any(|handshake| {
            handshake.is_answered
                && handshake.messages.first().is_some_and(|begin| begin > last)
                && ends.contains(&handshake.initiator)
                && ends.contains(&handshake.responder)
        })
}

/// How often the request that a message answers was sent, if it was sent again after the answer.
fn repetitions_of_request(trace: &Trace, index: usize, message: &Message) -> Option<usize> {
    let sent = transmissions(trace, request_of(trace, index, message)?).all;
    sent.last().is_some_and(|last| *last > index).then_some(sent.len())
}

/// The request that a message answers, if it is an answer: the message of the peer that it
/// acknowledges.
fn request_of(trace: &Trace, index: usize, message: &Message) -> Option<usize> {
    let header = message.inner.filter(|header| !header.initiator)?;
    let mut earlier = trace.messages.iter().take(index);
    earlier.position(|request| {
        request.copy_of.is_none()
            && request.session == message.session
            && request.from == message.to
            && message.acknowledges(request.counter())
            && request
                .inner
                .is_some_and(|inner| inner.initiator && inner.exchange == header.exchange)
    })
}

/// A request that was acknowledged and not answered.
fn unanswered(trace: &Trace, index: usize, message: &Message) -> Option<String> {
    let header = message.inner.filter(|header| header.initiator)?;
    let is_request = matches!(
        MessageType::new(header.protocol, header.opcode),
        MessageType::READ_REQUEST
            | MessageType::SUBSCRIBE_REQUEST
            | MessageType::WRITE_REQUEST
            | MessageType::INVOKE_REQUEST
            | MessageType::TIMED_REQUEST
    );
    let end = trace.messages.last()?.at;
    if !is_request || end.saturating_sub(message.at).as_secs() < ANSWER_SECS {
        return None;
    }
    let is_answer = |other: &Message| {
        other.session == message.session
            && other.from == message.to
            && !other.is_bare_ack()
            && other
                .inner
                .is_some_and(|inner| !inner.initiator && inner.exchange == header.exchange)
    };
    if trace.messages.iter().skip(index + 1).any(is_answer) {
        return None;
    }
    let (name, from, to) = (message.name(), message.from, message.to);
    Some(format!("No answer: {to} acknowledged the {name} of {from} and never answered it."))
}
