//! Nodes that restart, messages of sessions that are gone, and reports that nobody has signed.

use core::time::Duration;

use matter_session::exchange::max_transmission_time;
use matter_session::ids::Peer;
use matter_session::manager::{Config, Dropped, Event};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::SessionParameters;

use crate::net::{Fate, Net, index, udp};
use crate::raw::{ACK, Raw, SIGMA1};

/// A node starts anew, with its fabrics, its keys and, if so, its records.
fn restart(net: &mut Net, n: usize, remembers: bool) {
    let fresh = {
        let address = net.nodes[n].address;
        // Another seed for another life.
        let mut others = vec![(udp(9), Config::default()); 5];
        // Its application deletes what it has stored when a peer claims it.
        let config = Config::default().with_claim_wait(Duration::from_millis(200));
        others.push((address, config));
        Net::with(others).nodes.remove(5)
    };
    let mut stored = [0; matter_session::fabric::Fabric::ENCODED_MAX_LEN];
    let former = core::mem::replace(&mut net.nodes[n], fresh);
    let node = &mut net.nodes[n];
    for fabric in former.manager.fabrics().iter() {
        let len = fabric.encode(&mut stored).unwrap();
        node.manager.fabrics_mut().restore(&stored[..len]).unwrap();
    }
    node.keys = former.keys;
    if remembers {
        for record in former.manager.dangerous_records() {
            let stored = record.to_bytes();
            let record = ResumptionRecord::from_bytes(stored.as_bytes()).unwrap();
            assert_eq!(net.call(n, |m, cx| m.records_mut().restore(cx, record)), Ok(()));
        }
    }
}

/// By when a message counts as lost.
fn patience() -> u64 {
    let peer = SessionParameters::default();
    max_transmission_time(peer.idle_interval(), peer.idle_interval(), Duration::ZERO).as_millis()
        as u64
}

#[test]
fn who_talks_to_a_node_that_has_restarted_notices_in_time_and_finds_it_again() {
    for restarts in 0..2 {
        for remembers in [false, true] {
            let what = format!("{restarts} restarts, remembers: {remembers}");
            let (mut net, a, b) = Net::with_case();
            net.settle();
            let speaker = 1 - restarts;
            restart(&mut net, restarts, remembers);
            let since = net.sent.len();
            let exchange = net.say(speaker, [a, b][speaker], 2);
            net.run(patience());
            assert!(net.node(speaker).undelivered(exchange), "{what}");
            assert_eq!(net.sent_by(speaker, since).len(), 5, "{what}");
            assert_eq!(net.sent_by(restarts, since).len(), 0, "{what}: silence");
            let former = [a, b][restarts].local_session_id();
            assert_eq!(net.node(restarts).dropped, [Dropped::UnknownSession(former); 5]);
            let session = net.nodes[speaker].manager.session([a, b][speaker]).unwrap();
            assert!(session.is_defunct(), "{what}");
            // Either of them begins.
            for (from, node) in [(speaker, [200, 100]), (restarts, [200, 100])] {
                net.node(from).events.clear();
                net.dial_case(from, 1 - from, 1, node[from]);
                net.run(1000);
                let session = net.node(from).established();
                let exchange = net.say(from, session, 2);
                net.run(1000);
                assert!(net.node(from).acknowledged(exchange), "{what}");
                let peer = matter_session::ids::NodeId::new(node[from]);
                let offered =
                    net.nodes[from].manager.session_with(Peer::new(index(1), peer)).unwrap();
                let offered = net.nodes[from].manager.session(offered).unwrap();
                assert!(!offered.is_defunct(), "{what}: the living one is offered");
            }
            net.assert_clean();
        }
    }
}

#[test]
fn the_first_handshake_after_a_restart_resumes_if_the_record_was_stored() {
    for remembers in [false, true] {
        let (mut net, ..) = Net::with_case();
        net.settle();
        restart(&mut net, 1, remembers);
        net.dial_case(0, 1, 1, 200);
        net.run(1000);
        let resumed =
            |event: &Event<u32>| matches!(event, Event::Established { resumed: true, .. });
        assert_eq!(net.nodes[0].events.iter().any(resumed), remembers);
        net.assert_clean();
    }
}

/// At every step of a handshake, and in the middle of a conversation.
#[test]
fn when_both_restart_nobody_answers_an_answer_and_the_network_falls_silent() {
    for step in 0..8 {
        for both in [true, false] {
            let (mut net, a, b) = Net::with_case();
            net.settle();
            net.on_send(|_| Fate::Late(50));
            net.say(0, a, 2);
            net.say(1, b, 4);
            net.call(0, |m, cx| m.records_mut().forget_all(cx));
            net.dial_case(0, 1, 1, 200);
            net.run(50 * step + 10);
            restart(&mut net, 1, false);
            if both {
                restart(&mut net, 0, false);
            }
            let since = net.sent.len();
            // A handshake that nobody goes on with ends after a minute, which is told.
            net.run(100_000);
            let sent = &net.sent[since..];
            // What was on its way may begin one handshake, which nobody goes on with, and want an
            // acknowledgement. Who has not restarted sends each of three messages five times.
            let most = if both { 8 } else { 20 };
            assert!(sent.len() <= most, "step {step}: {} datagrams", sent.len());
            let last = sent.iter().map(|datagram| datagram.at).max().unwrap_or(0);
            assert!(last + 20_000 < net.now, "step {step}: silence in the end");
            net.on_send(|_| Fate::Arrives);
            net.node(0).events.clear();
            net.dial_case(0, 1, 1, 200);
            net.run(1000);
            net.node(0).established();
            net.assert_clean();
        }
    }
}

#[test]
fn a_message_of_a_closed_session_is_met_with_silence() {
    let (mut net, a, b) = Net::with_case();
    let since = net.cut();
    let exchange = net.say(0, a, 2);
    net.pump();
    net.close_exchange(0, exchange);
    let message = net.sent[since].octets.clone();
    net.call(1, |manager, cx| manager.close_session(cx, b));
    net.pump();
    net.on_send(|_| Fate::Arrives);
    let since = net.sent.len();
    assert_eq!(net.hand(1, udp(1), &message), Err(Dropped::UnknownSession(b.local_session_id())));
    net.run(1000);
    assert!(net.sent_by(1, since).is_empty());
}

/// Every general code with every code of the secure channel, from the peer's address and others.
#[test]
fn a_report_that_nobody_has_signed_changes_no_session() {
    let (mut net, a, b) = Net::with_case();
    net.settle();
    let exchange = net.say(0, a, 2);
    net.run(500);
    let before = [net.nodes[0].facts(), net.nodes[1].facts()];
    let events = [0, 1].map(|n| net.nodes[n].events.len());
    let since = net.sent.len();
    let mut handed = 0;
    for general in 0..=16_u16 {
        for code in 0..=6_u16 {
            let mut payload = general.to_le_bytes().to_vec();
            payload.extend([0, 0, 0, 0]);
            payload.extend(code.to_le_bytes());
            for flags in [0, 1] {
                let report = Raw { flags, ..Raw::new(0x40, &payload) }.octets();
                // From an initiator, and to one: with the node id as destination.
                let mut answer = report.clone();
                answer[0] = 1;
                for n in 0..2 {
                    for from in [udp(1), udp(2), udp(9)] {
                        for octets in [&report, &answer] {
                            assert!(net.hand(n, from, octets).is_err());
                            handed += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(handed > 2000);
    net.pump();
    assert_eq!(net.sent.len(), since, "nothing is answered");
    assert_eq!([net.nodes[0].facts(), net.nodes[1].facts()], before);
    assert_eq!([0, 1].map(|n| net.nodes[n].events.len()), events);
    net.close_exchange(0, exchange);
    for (n, session) in [(0, a), (1, b)] {
        let exchange = net.say(n, session, 2);
        net.run(500);
        assert!(net.node(n).acknowledged(exchange));
        net.close_exchange(n, exchange);
    }
    net.assert_clean();
}

/// What asks for an acknowledgement gets one, once; but no acknowledgement and no Check-In message
/// is answered.
#[test]
fn an_answer_to_nothing_gets_no_answer() {
    let (mut net, ..) = Net::with_case();
    net.settle();
    let since = net.sent.len();
    for opcode in (0..=0xFF).filter(|opcode| ![SIGMA1, 0x20].contains(opcode)) {
        for flags in [0, 1, 4, 5] {
            let message = Raw { flags, ..Raw::new(opcode, &[1, 0, 0, 0, 0, 0, 5, 0]) }.octets();
            // From a responder to an initiator that nobody is.
            let mut answer = message.clone();
            answer[0] = 1;
            assert_eq!(net.hand(1, udp(9), &answer), Err(Dropped::UnknownHandshake));
            net.pump();
            assert_eq!(net.sent.len(), since);
            // From an initiator without a handshake.
            let _ = net.hand(1, udp(1), &message);
            net.run(1000);
            let acks: Vec<_> = net.sent.drain(since..).collect();
            let is_check_in = opcode == 0x50 && flags & 1 != 0;
            let expected = usize::from(flags & 4 != 0 && opcode != ACK && !is_check_in);
            assert_eq!(acks.len(), expected, "{opcode:#x} {flags}");
            assert!(acks.iter().all(|ack| ack.handshake_opcode() == Some(ACK)));
        }
    }
    net.assert_clean();
}
