//! Recorded failures, each explained in one sentence.

mod support;

use std::time::Duration;

use matter_session::MessageType;
use matter_session::manager::Config;
use matter_session::session::{SessionParameters, Transports};
use matter_session::time::MatterTime;
use matter_session_testing::net::{Authority, Datagram, Fate, IM, Net, PASSCODE, udp};

use support::{explain, know_the_date, log, members, pair, pcap, record, restart};

const A: &str = "127.0.0.1:5540";
const B: &str = "127.0.0.1:5541";

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

#[test]
fn an_expired_certificate() {
    for expired in [0, 1] {
        let mut net = Net::with([5540, 5541].map(|port| (udp(port), Config::default())).into());
        let mut authority = Authority::new(1, true);
        for (n, node) in [100, 200].into_iter().enumerate() {
            // It ended a day ago.
            let end = MatterTime::from_seconds(support::TODAY - 86_400);
            authority.until = (n == expired).then_some(end);
            authority.join(&mut net, n, node);
        }
        know_the_date(&mut net);
        let keys = log(net.node(0));
        net.dial_case(0, 1, 1, 200);
        net.run(5000);
        let (by, of) = if expired == 0 { (B, A) } else { (A, B) };
        assert_eq!(
            explain(&record(&net), &[keys]),
            [format!(
                "Expired certificate: {by} refused the operational certificate of {of}, which \
                 ended on 2025-12-31."
            )]
        );
        let message = if expired == 0 { "CASE Sigma3" } else { "CASE Sigma2" };
        assert_eq!(
            explain(&record(&net), &[]),
            [format!(
                "Refused certificates: {by} refused {message} of {of}, and a key log of either \
                 would tell more."
            )]
        );
    }
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
        "Unknown session: {B} has forgotten session {id}, most likely by a restart, as it answered \
         none of the messages of {A} on it but a later handshake."
    )];
    assert_eq!(explain(&record(&net), &[keys]), expected);
    assert_eq!(explain(&record(&net), &[]), expected, "no keys are needed");
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
