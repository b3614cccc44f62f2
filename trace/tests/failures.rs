//! Recorded failures, each explained in one sentence.

mod support;

use std::time::Duration;

use matter_session::MessageType;
use matter_session::ids::MessageCounter;
use matter_session::manager::Config;
use matter_session::session::{SessionParameters, Transports};
use matter_session::wire::secure_channel::Opcode;
use matter_session_testing::net::{Authority, Datagram, Fate, IM, Net, PASSCODE, udp};

use matter_trace::verdict;
use support::{A, B, explain, log, members, pair, pcap, record, restart, trace};

#[test]
fn a_wrong_passcode() {
    let mut net = pair();
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE + 1);
    net.run(5000);
    assert_eq!(
        explain(&record(&net), &[]),
        [format!(
            "Wrong passcode: {A} refused the confirmation in PASE Pake2 of {B}, as the two have \
             different passcodes."
        )]
    );
}

#[test]
fn a_wrong_fabric() {
    let mut net = Net::with([5540, 5541].map(|port| (udp(port), Config::default())).into());
    Authority::new(1, false).join(&mut net, 0, 100);
    Authority::new(2, false).join(&mut net, 1, 200);
    net.dial_case(0, 1, 1, 200);
    net.run(5000);
    assert_eq!(
        explain(&record(&net), &[]),
        [format!(
            "No shared root: {B} is not the node on the fabric that the Sigma1 of {A} is for."
        )]
    );
}

#[test]
fn a_closed_window() {
    let mut net = pair();
    net.dial_pase(0, 1, PASSCODE);
    net.run(5000);
    assert_eq!(
        explain(&record(&net), &[]),
        [format!(
            "Closed window: {B} refused the PBKDFParamRequest of {A}, as its commissioning window \
             is not open."
        )]
    );
}

/// Turns the report that refuses a message into an acknowledgement of it.
fn acknowledging(report: &Datagram) -> Datagram {
    const NEEDS_ACK: u8 = 4;
    assert_eq!(report.handshake_opcode(), Some(Opcode::STATUS_REPORT.0));
    let mut octets = report.octets.clone();
    // A message header with the node id of the initiator, flags, opcode, exchange, protocol,
    // acknowledgement.
    octets.truncate(16 + 10);
    octets[16] &= !NEEDS_ACK;
    octets[17] = Opcode::MRP_STANDALONE_ACK.0;
    Datagram { octets, ..report.clone() }
}

/// Some nodes acknowledge a PBKDFParamRequest and say nothing.
#[test]
fn a_closed_window_of_a_node_that_says_nothing() {
    let mut net = pair();
    net.dial_pase(0, 1, PASSCODE);
    net.run(5000);
    let mut seen = vec![net.sent[0].clone(), acknowledging(&net.sent[1])];
    assert_eq!(
        explain(&pcap(&seen), &[]),
        ["Nothing went wrong."],
        "the capture ends where the answer may still come"
    );
    net.sent.clear();
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.run(1000);
    seen.append(&mut net.sent);
    assert_eq!(
        explain(&pcap(&seen), &[]),
        [format!(
            "Closed window: {B} acknowledged the PBKDFParamRequest of {A} and said nothing else, \
             as some nodes do whose commissioning window is not open."
        )]
    );
}

/// Other implementations may refuse for other reasons.
#[test]
fn a_handshake_that_is_refused_with_another_code() {
    const BAD_PRECONDITION: u8 = 2;
    let mut net = pair();
    net.dial_pase(0, 1, PASSCODE);
    net.run(5000);
    let mut trace = trace(&record(&net), &[]);
    let report = trace.messages.iter_mut().find(|message| message.report().is_some()).unwrap();
    report.payload[0] = BAD_PRECONDITION;
    assert_eq!(
        verdict::explain(&trace),
        [format!(
            "Refused: {B} answered PBKDFParamRequest of {A} with BAD_PRECONDITION, \
             INVALID_PARAMETER."
        )]
    );
}

#[test]
fn a_handshake_that_breaks_off() {
    let mut net = pair();
    // Nothing arrives after Sigma2.
    net.on_send(|datagram| match datagram.handshake_opcode().map(Opcode) {
        Some(Opcode::CASE_SIGMA1 | Opcode::CASE_SIGMA2) => Fate::Arrives,
        _ => Fate::Lost,
    });
    net.dial_case(0, 1, 1, 200);
    net.settle();
    assert_eq!(
        explain(&record(&net), &[]),
        [format!(
            "Broken off: {A} sent CASE Sigma3 5 times in its handshake with {B} and got no answer."
        )]
    );
}

#[test]
fn a_busy_responder() {
    let mut net = pair();
    net.node(1).manager.handshakes().set_busy(Some(Duration::from_millis(700)));
    net.dial_case(0, 1, 1, 200);
    net.run(5000);
    assert_eq!(
        explain(&record(&net), &[]),
        [format!("Busy: {B} has no room for a handshake with {A} and asked it to wait 700 ms.")]
    );
}

#[test]
fn a_lost_answer() {
    let mut net = pair();
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    net.on_send(|datagram| match datagram.from == udp(5541) {
        true => Fate::Lost,
        false => Fate::Arrives,
    });
    net.say(0, session, 8);
    net.settle();
    assert_eq!(
        explain(&record(&net), &[keys]),
        [format!(
            "Lost answer: {B} sent its InvokeResponse 5 times and {A} acknowledged none, but sent \
             the request 5 times."
        )]
    );
}

/// Sessions are numbered for each of both sides, and so are exchanges: what belongs to an answer
/// is told by what it acknowledges.
#[test]
fn an_answer_that_is_lost_while_nobody_repeats_its_request_is_one_that_is_never_answered() {
    let mut net = pair();
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    let id = net.nodes[0].manager.session(session).unwrap().session().local_session_id();
    net.on_send(|datagram| match datagram.from == udp(5541) {
        true => Fate::Lost,
        false => Fate::Arrives,
    });
    let before = net.sent.len();
    net.say(0, session, 8);
    net.settle();
    let never =
        [format!("Never answered: {B} sent InvokeResponse on session {id} to {A} 5 times.")];
    // It acknowledges another message than the request.
    let mut other = trace(&record(&net), &[keys]);
    for answer in other.messages.iter_mut().filter(|message| message.name() == "InvokeResponse") {
        answer.inner.as_mut().unwrap().ack = Some(MessageCounter::new(1));
    }
    assert_eq!(verdict::explain(&other)[..1], never);
    // The request is sent once.
    let request = net.sent[before].clone();
    net.sent.retain(|datagram| datagram.octets != request.octets);
    net.sent.insert(before, request);
    assert_eq!(explain(&record(&net), &[keys]), never);
}

#[test]
fn an_unknown_session_after_a_restart() {
    let mut net = pair();
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    let id = net.nodes[0].manager.session(session).unwrap().session().peer_session_id();
    restart(&mut net, 1, Config::default(), 5);
    net.say(0, session, 8);
    net.settle();
    net.case(200);
    let expected = [format!(
        "Unknown session: {B} has forgotten session {id}, most likely by a restart, as nothing more \
         of it came on that session, but it took part in a later handshake with {A}."
    )];
    assert_eq!(explain(&record(&net), &[keys]), expected);
    assert_eq!(explain(&record(&net), &[]), expected, "no keys are needed");
}

/// One message is lost, and the session goes on.
#[test]
fn a_session_that_goes_on_working_is_not_unknown() {
    let mut net = pair();
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    let id = net.nodes[0].manager.session(session).unwrap().session().peer_session_id();
    let before = net.cut();
    net.say(0, session, 8);
    net.run(10);
    let lost = net.sent[before].octets.clone();
    net.on_send(move |datagram| if datagram.octets == lost { Fate::Lost } else { Fate::Arrives });
    for _ in ["beside the lost one", "after it"] {
        let exchange = net.say(0, session, 8);
        net.settle();
        net.close_exchange(0, exchange);
    }
    net.case(200);
    let never = format!("Never answered: {A} sent InvokeRequest on session {id} to {B} 5 times.");
    assert_eq!(explain(&record(&net), &[keys]), [never]);
}

#[test]
fn a_handshake_of_the_peer_with_another_node_does_not_make_a_session_unknown() {
    let mut net = pair();
    let (session, _) = net.case(200);
    let id = net.nodes[0].manager.session(session).unwrap().session().peer_session_id();
    net.nodes.push(Net::with(vec![(udp(5542), Config::default())]).nodes.remove(0));
    net.on_send(|datagram| match datagram.from == udp(5540) {
        true => Fate::Lost,
        false => Fate::Arrives,
    });
    net.say(0, session, 8);
    net.settle();
    net.open_window(1);
    net.dial_pase(2, 1, PASSCODE);
    net.run(1000);
    net.node(2).established();
    let never =
        format!("Never answered: {A} sent encrypted message on session {id} to {B} 5 times.");
    assert_eq!(explain(&record(&net), &[]), [never]);
}

#[test]
fn a_key_mismatch() {
    let mut net = pair();
    let (session, _) = net.case(200);
    let id = net.nodes[0].manager.session(session).unwrap().session().peer_session_id();
    // The node starts anew, draws the same numbers, and gives the same session id to another peer.
    restart(&mut net, 1, Config::default(), 1);
    let keys = log(net.node(1));
    net.open_window(1);
    net.nodes.push(Net::with(vec![(udp(5542), Config::default())]).nodes.remove(0));
    net.dial_pase(2, 1, PASSCODE);
    net.run(1000);
    let other = net.node(2).established();
    let other = net.nodes[2].manager.session(other).unwrap().session().peer_session_id();
    assert_eq!(id, other);
    net.say(0, session, 8);
    net.settle();
    net.sent.drain(..);
    net.say(0, session, 8);
    net.settle();
    assert_eq!(
        explain(&record(&net), &[keys]),
        [format!(
            "Key mismatch: {A} sealed a message to session {id} of {B} with a key that is not the \
             one in the key log."
        )]
    );
}

#[test]
fn a_replay() {
    let mut net = pair();
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    let before = net.sent.len();
    net.say(0, session, 8);
    net.run(1000);
    let recorded = net.sent[before].clone();
    net.run(100_000);
    let attacker = udp(6666);
    let at = net.now;
    net.inject(attacker, udp(5541), &recorded.octets, 0);
    net.run(1000);
    let mut seen = net.sent.clone();
    let place = seen.iter().position(|datagram| datagram.at > at).unwrap_or(seen.len());
    seen.insert(place, Datagram { from: attacker, at, ..recorded });
    assert_eq!(net.node(1).got.len(), 1, "it was delivered once");
    assert_eq!(
        explain(&pcap(&seen), &[keys]),
        [format!(
            "Replay: 127.0.0.1:6666 sent {B} a copy of the InvokeRequest that {A} had sent 101 s \
             before."
        )]
    );
}

#[test]
fn session_parameters_that_an_old_peer_does_not_read_past() {
    let new = SessionParameters::matter_1_6();
    let with_tcp = new.with_tcp(Transports::TCP_CLIENT, 64_000);
    let old = SessionParameters::default().with_revisions(17, 11, 0x0103_0000);
    let [dialling, answering] =
        [with_tcp, new].map(|parameters| Config::default().with_parameters(parameters));
    let mut net = members([dialling, answering]);
    let keys = log(net.node(0));
    net.case(200);
    // Its firmware is replaced by an old one, whose nodes do not see that a Sigma1 resumes: as if
    // they had no record.
    restart(&mut net, 1, Config::default().with_parameters(old), 5);
    net.sent.clear();
    net.case(200);
    assert_eq!(
        explain(&record(&net), &[keys]),
        [format!(
            "Session parameters: {B} is of version 1.3.0 and overlooked that {A} wanted to resume, \
             as nodes before 1.4.2 stop reading a Sigma1 at session parameters with tags above 7."
        )]
    );
}

#[test]
fn a_message_behind_the_window() {
    let mut net = pair();
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    let id = net.nodes[0].manager.session(session).unwrap().session().peer_session_id();
    // Somebody holds back the first message, with all of its copies.
    let first = net.sent.len();
    let mut held = None;
    net.on_send(move |datagram| match *held.get_or_insert_with(|| datagram.octets.clone()) {
        ref octets if *octets == datagram.octets => Fate::Lost,
        _ => Fate::Arrives,
    });
    let lost = net.say(0, session, 8);
    net.settle();
    assert!(net.node(0).undelivered(lost), "its sender has given up");
    for _ in 0..300 {
        let exchange = net.say(0, session, 10);
        net.run(1);
        net.close_exchange(0, exchange);
        for got in std::mem::take(&mut net.node(1).got) {
            net.close_exchange(1, got.exchange);
        }
        net.run(1);
    }
    // It arrives now. Captured near the receiver.
    let mut held = net.sent.remove(first);
    net.sent.retain(|datagram| datagram.octets != held.octets);
    held.at = net.now;
    assert!(net.hand(1, held.from, &held.octets).is_ok(), "taken for a duplicate");
    net.sent.push(held);
    assert!(net.node(1).got.is_empty(), "not delivered");
    assert_eq!(
        explain(&record(&net), &[keys]),
        [format!(
            "Behind the window: the InvokeRequest of {A} on session {id} came to {B} after one \
             whose counter is 600 larger, and was not acknowledged."
        )]
    );
}

#[test]
fn a_peer_that_never_answers() {
    let mut net = pair();
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    let id = net.nodes[0].manager.session(session).unwrap().session().peer_session_id();
    let before = net.cut();
    net.say(0, session, 8);
    net.settle();
    let never = format!("Never answered: {A} sent InvokeRequest on session {id} to {B} 5 times.");
    assert_eq!(explain(&record(&net), &[keys]), [never]);
    net.sent.drain(..before);
    let never =
        format!("Never answered: {A} sent encrypted message on session {id} to {B} 5 times.");
    assert_eq!(explain(&record(&net), &[]), [never]);
    net.sent.clear();
    net.dial_case(0, 1, 1, 200);
    net.settle();
    let never = format!("Never answered: {A} sent CASE Sigma1 to {B} 5 times.");
    assert_eq!(explain(&record(&net), &[]), [never]);
}

#[test]
fn a_request_that_is_acknowledged_and_not_answered() {
    let mut net = pair();
    net.node(1).answers = false;
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    net.say(0, session, 8);
    net.settle();
    // Something else goes on.
    let exchange = net.call(1, |manager, cx| {
        let session = manager.sessions().iter().next().unwrap().handle();
        let exchange = manager.open_exchange(cx, session).unwrap();
        manager.send(cx, exchange, MessageType::new(IM, 1), &[]).unwrap();
        exchange
    });
    net.run(1000);
    net.close_exchange(1, exchange);
    let expected =
        [format!("No answer: {B} acknowledged the InvokeRequest of {A} and never answered it.")];
    assert_eq!(explain(&record(&net), &[keys]), expected);
}

/// Each side numbers the exchanges that it opens.
#[test]
fn a_message_on_an_exchange_of_the_peer_with_the_same_id_is_no_answer() {
    let mut net = pair();
    net.node(1).answers = false;
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    net.say(0, session, 8);
    net.settle();
    let exchange = net.call(1, |manager, cx| {
        let session = manager.sessions().iter().next().unwrap().handle();
        let exchange = manager.open_exchange(cx, session).unwrap();
        manager.send(cx, exchange, MessageType::new(IM, 1), &[]).unwrap();
        exchange
    });
    net.run(1000);
    net.close_exchange(1, exchange);
    let mut trace = trace(&record(&net), &[keys]);
    let mut headers = trace.messages.iter_mut().filter(|message| message.session.is_some());
    let asked = headers.next().unwrap().inner.unwrap().exchange;
    let of_peer = headers.filter(|message| message.from.port() == 5541 && !message.is_bare_ack());
    for message in of_peer {
        message.inner.as_mut().unwrap().exchange = asked;
    }
    assert_eq!(
        verdict::explain(&trace),
        [format!("No answer: {B} acknowledged the InvokeRequest of {A} and never answered it.")]
    );
}

/// PASE, CASE, a resumption, requests, repaired losses, a goodbye.
#[test]
fn in_a_fair_trace_nothing_went_wrong() {
    let mut net = pair();
    let keys = [log(net.node(0)), log(net.node(1))];
    net.open_window(1);
    net.lose(&[0, 3, 9, 17, 23]);
    net.dial_pase(0, 1, PASSCODE);
    net.run(10_000);
    for _ in ["full", "resumed"] {
        net.dial_case(0, 1, 1, 200);
        net.run(10_000);
        let session = net.node(0).established();
        for opcode in [2, 8, 2] {
            let exchange = net.say(0, session, opcode);
            net.run(10_000);
            net.close_exchange(0, exchange);
        }
        net.call(0, |manager, cx| manager.close_session(cx, session));
        net.run(10_000);
    }
    assert!(net.sent.len() > 30);
    for logs in [&keys[..], &keys[..1], &keys[1..], &[]] {
        let said = explain(&record(&net), logs);
        assert_eq!(said, ["Nothing went wrong."]);
    }
}

/// Ids are numbers of 16 bits: two sessions of other nodes may have the one that a key log has.
#[test]
fn a_session_of_other_nodes_with_the_same_id_is_no_key_mismatch() {
    let mut net = pair();
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    let exchange = net.say(0, session, 8);
    net.run(1000);
    net.close_exchange(0, exchange);
    net.run(1000);
    let request = net.sent_by(0, 0).into_iter().find(|sent| sent.octets[1..3] != [0, 0]).unwrap();
    // The same header between two others, under another key.
    let mut octets = request.octets.clone();
    octets[20] ^= 1;
    let at = net.now + 1;
    let other = Datagram { from: udp(5540), to: udp(7777), octets, at };
    let mut seen = net.sent.clone();
    seen.push(other);
    assert_eq!(explain(&pcap(&seen), &[keys]), ["Nothing went wrong."]);
}
