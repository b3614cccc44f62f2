//! Attacks and misuses that once succeeded.

use core::time::Duration;
use matter_session::Peer;

use matter_session::manager::{Config, PeerAddress, RestoreError};
use matter_session::resumption::ResumptionRecord;

use crate::net::{Fate, Net, index, udp};

fn members(nodes: Vec<(PeerAddress, Config)>) -> Net {
    Net::members_with(nodes)
}

/// Over a reliable transport nothing but the first transmission keeps a closed exchange.
#[test]
fn the_last_message_of_a_closed_exchange_leaves_over_tcp() {
    let tcp = PeerAddress::Tcp;
    let mut net = members(vec![(tcp(1), Config::default()), (tcp(2), Config::default())]);
    let (a, _) = net.case(200);
    let first = net.say(0, a, 2);
    net.close_exchange(0, first);
    net.say(0, a, 4);
    net.run(1000);
    let opcodes: Vec<_> = net.node(1).got.iter().map(|got| got.opcode).collect();
    assert_eq!(opcodes, [2, 4]);
    net.assert_clean();
}

#[test]
fn a_signature_for_a_handshake_that_timed_out_sends_nothing() {
    let mut net = members(vec![(udp(1), Config::default()), (udp(2), Config::default())]);
    net.node(1).signs = false;
    net.dial_case(0, 1, 1, 200);
    net.run(60_050);
    assert_eq!(net.node(1).failures().len(), 1);
    net.run(1000);
    let request = net.node(1).requests.remove(0);
    let signed = request.sign_with(net.node(1).keys.get_mut(&index(1)).unwrap());
    let since = net.sent.len();
    assert!(!net.call(1, |manager, cx| manager.complete_signature(cx, signed).is_ok()));
    net.run(1000);
    assert!(net.sent_by(1, since).is_empty());
    net.assert_clean();
}

/// The keys of a resumed session come from the initiator's random alone: whoever repeats a
/// Sigma1 while its handshake is open must not get a second session of the same keys.
#[test]
fn a_repeated_resumption_makes_no_second_session_of_the_same_keys() {
    let mut net = members(vec![(udp(1), Config::default()), (udp(2), Config::default())]);
    net.case(200);
    net.settle();
    net.on_send(|d| {
        let report = d.from == udp(1) && d.handshake_opcode() == Some(0x40);
        if report { Fate::Late(250) } else { Fate::Arrives }
    });
    let since = net.sent.len();
    net.dial_case(0, 1, 1, 200);
    net.pump();
    // The same Sigma1 as another unsecured node.
    let mut copy = net.sent[since].octets.clone();
    copy[8] ^= 1;
    net.inject(udp(9), udp(2), &copy, 0);
    net.pump();
    // A report that anybody can write.
    let mut report = vec![4, 0, 0, 0, 1, 0, 0, 0];
    report.extend(&copy[8..16]);
    report.extend([1, 0x40, copy[18], copy[19], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    net.inject(udp(9), udp(2), &report, 0);
    net.run(1000);
    let mut challenges: Vec<_> = net.nodes[1]
        .manager
        .sessions()
        .iter()
        .map(|session| *session.session().attestation_challenge())
        .collect();
    let count = challenges.len();
    challenges.sort_unstable();
    challenges.dedup();
    assert_eq!(challenges.len(), count, "no two sessions have the same keys");
    assert_eq!(count, 2, "the first one, and the resumed one");
    net.node(0).established();
    net.assert_clean();
}

#[test]
fn records_that_come_and_go_push_out_no_event() {
    let config = Config::default().with_events(4).with_records(1, Duration::from_secs(600));
    let mut net = members(vec![
        (udp(1), config.with_sessions(1).with_exchanges(1).with_less_than_specified()),
        (udp(2), Config::default()),
    ]);
    net.case(200);
    net.node(0).polls = false;
    let record: ResumptionRecord = net.nodes[0].manager.dangerous_records().next().unwrap().clone();
    let peer = Peer::new(record.fabric, record.peer);
    let mut restored = Ok(());
    for _ in 0..200 {
        net.call(0, |m, cx| m.records_mut().forget(cx, peer));
        restored = net.call(0, |m, cx| m.records_mut().restore(cx, record.clone()));
    }
    assert_eq!(restored, Err(RestoreError::Backlog));
    assert!(RestoreError::Backlog.is_temporary());
    let session = net.nodes[0].manager.sessions().iter().next().unwrap().handle();
    net.call(0, |manager, cx| manager.close_session(cx, session));
    net.node(0).polls = true;
    net.pump();
    assert_eq!(net.node(0).closed().len(), 1);
    assert_eq!(net.call(0, |m, cx| m.records_mut().restore(cx, record)), Ok(()));
}

#[test]
fn the_longest_boost_is_a_wait_and_no_overflow() {
    let mut config = Config::default();
    config.retransmission_boost = Duration::MAX;
    let mut net = members(vec![(udp(1), config), (udp(2), Config::default())]);
    let (a, _) = net.case(200);
    net.say(0, a, 2);
    net.run(1000);
    assert_eq!(net.node(1).got.len(), 1);
}
