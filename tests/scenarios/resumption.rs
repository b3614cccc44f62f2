//! Resumptions that cannot be: they lead to the full handshake, silently, and cost nobody a record.

use core::time::Duration;
use matter_session::Peer;

use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::NodeId;
use matter_session::manager::{CloseReason, Config, Event};
use matter_session::resumption::ResumptionRecord;

use crate::net::{Authority, Dice, Fate, Net, index, udp};
use crate::raw::{REPORT, Raw, SIGMA1, SIGMA2, SIGMA2_RESUME, disguised, parts};

const CONTROLLER: usize = 0;
const DEVICE: usize = 1;

fn record(net: &Net, n: usize) -> Option<ResumptionRecord> {
    let peer = if n == CONTROLLER { 200 } else { 100 };
    net.nodes[n].manager.dangerous_record(Peer::new(index(1), NodeId::new(peer))).cloned()
}

fn members(config: [Config; 2]) -> (Net, Authority) {
    let mut net = Net::with([udp(1), udp(2)].into_iter().zip(config).collect());
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, CONTROLLER, 100);
    authority.join(&mut net, DEVICE, 200);
    (net, authority)
}

/// Two nodes that could resume.
fn acquainted() -> (Net, Authority) {
    let (mut net, authority) = members([Config::default(), Config::default()]);
    net.case(200);
    net.settle();
    assert_eq!(record(&net, CONTROLLER).unwrap().id, record(&net, DEVICE).unwrap().id);
    (net, authority)
}

/// Dials, and says whether the session that comes of it was resumed: on both ends alike.
fn dial(net: &mut Net) -> bool {
    for node in &mut net.nodes {
        node.events.clear();
    }
    net.dial_case(CONTROLLER, DEVICE, 1, 200);
    net.run(3000);
    let [a, b] = [CONTROLLER, DEVICE].map(|n| {
        let mut events = net.nodes[n].events.iter();
        let established = events.find_map(|event| match event {
            Event::Established { resumed, .. } => Some(*resumed),
            _ => None,
        });
        assert!(net.nodes[n].failures().is_empty(), "{n}: {:?}", net.nodes[n].failures());
        established.unwrap_or_else(|| panic!("no session on {n}"))
    });
    assert_eq!(a, b);
    let session = net.node(CONTROLLER).established();
    let exchange = net.say(CONTROLLER, session, 2);
    net.run(1000);
    assert!(net.node(CONTROLLER).acknowledged(exchange));
    net.close_exchange(CONTROLLER, exchange);
    assert_eq!(record(net, CONTROLLER).unwrap().id, record(net, DEVICE).unwrap().id);
    a
}

/// A Sigma1 that offers to resume and does not arrive.
fn offer(net: &mut Net) -> Vec<u8> {
    let since = net.sent.len();
    net.on_send(|_| Fate::Lost);
    net.dial_case(CONTROLLER, DEVICE, 1, 200);
    net.run(10_000);
    net.on_send(|_| Fate::Arrives);
    net.sent[since].octets.clone()
}

/// Time after which a copy of a Sigma1 is answered again.
const FORGOTTEN: u64 = 20_000;

fn answer_to(net: &mut Net, octets: &[u8]) -> u8 {
    let since = net.sent.len();
    net.hand(DEVICE, udp(9), octets).unwrap();
    net.pump();
    let answers = net.sent_by(DEVICE, since);
    parts(&answers[0].octets).unwrap().0
}

#[test]
fn an_offer_with_a_bad_mic_gets_the_full_handshake_and_costs_nobody_the_record() {
    let (mut net, _) = acquainted();
    let sigma1 = offer(&mut net);
    let before = [CONTROLLER, DEVICE].map(|n| record(&net, n));
    let mic = sigma1.len() - 17..sigma1.len() - 1;
    for (n, at) in mic.enumerate() {
        let mut octets = disguised(&sigma1, n as u64);
        octets[at] ^= 1;
        assert_eq!(answer_to(&mut net, &octets), SIGMA2, "octet {n} of the code");
        net.run(FORGOTTEN);
    }
    net.run(100_000);
    assert_eq!([CONTROLLER, DEVICE].map(|n| record(&net, n)), before);
    assert!(dial(&mut net));
    net.assert_clean();
}

#[test]
fn an_id_that_was_used_before_gets_the_full_handshake() {
    let (mut net, _) = acquainted();
    let used = record(&net, CONTROLLER).unwrap();
    let sigma1 = offer(&mut net);
    assert!(dial(&mut net));
    assert_ne!(record(&net, DEVICE).unwrap().id, used.id, "the id rotates");
    // By somebody who has recorded the offer, and by a controller that restores an old copy.
    let current = record(&net, DEVICE);
    assert_eq!(answer_to(&mut net, &disguised(&sigma1, 1)), SIGMA2);
    assert_eq!(record(&net, DEVICE), current);
    assert_eq!(net.call(CONTROLLER, |m, cx| m.records_mut().restore(cx, used)), Ok(()));
    assert!(!dial(&mut net));
    assert!(dial(&mut net));
    net.assert_clean();
}

/// The report that ends a resumption proves nothing: whoever keeps an offer from arriving can hand
/// it in himself and report success. Once, and nobody can use what comes of it.
#[test]
fn an_offer_that_was_intercepted_makes_one_session_for_nobody() {
    let one = Config::default().with_sessions(1).with_less_than_specified();
    let (mut net, _) = members([Config::default(), one]);
    let (_, former) = net.case(200);
    net.settle();
    let sigma1 = offer(&mut net);
    let before = record(&net, DEVICE).unwrap();
    for n in 0..4 {
        let octets = disguised(&sigma1, n);
        let answer = answer_to(&mut net, &octets);
        assert_eq!(answer, if n == 0 { SIGMA2_RESUME } else { SIGMA2 });
        let report = Raw { flags: 1, ..Raw::like(&octets, REPORT, &[0; 8]) };
        net.hand(DEVICE, udp(9), &report.octets()).unwrap();
        net.run(FORGOTTEN);
    }
    // The peer's session gave way to it, and its record has an id that the peer has not heard of.
    let closed = net.node(DEVICE).closed();
    assert_eq!(closed, [(former, 0, CloseReason::Evicted)]);
    let after = record(&net, DEVICE).unwrap();
    assert_ne!(after.id, before.id);
    assert_eq!(after.shared_secret, before.shared_secret);
    net.run(100_000);
    assert!(!dial(&mut net));
    assert!(dial(&mut net));
    net.assert_clean();
}

#[test]
fn an_id_that_is_lost_on_its_way_leads_to_the_full_handshake_at_worst() {
    // Sigma2Resume never arrives: both keep the old record, but the device does not answer from it
    // again.
    let (mut net, _) = acquainted();
    let before = [CONTROLLER, DEVICE].map(|n| record(&net, n));
    net.on_send(|d| {
        if d.handshake_opcode() == Some(SIGMA2_RESUME) { Fate::Lost } else { Fate::Arrives }
    });
    net.dial_case(CONTROLLER, DEVICE, 1, 200);
    net.run(61_000);
    assert_eq!([CONTROLLER, DEVICE].map(|n| record(&net, n)), before);
    net.on_send(|_| Fate::Arrives);
    assert!(!dial(&mut net));
    assert!(dial(&mut net));
    // The controller's report never arrives: the controller alone has the new id.
    net.on_send(|d| {
        let report = d.from == udp(1) && d.handshake_opcode() == Some(REPORT);
        if report { Fate::Lost } else { Fate::Arrives }
    });
    let device = record(&net, DEVICE);
    net.dial_case(CONTROLLER, DEVICE, 1, 200);
    net.run(61_000);
    assert_eq!(record(&net, DEVICE), device);
    let id = |n| record(&net, n).unwrap().id;
    assert_ne!(id(CONTROLLER), id(DEVICE));
    net.on_send(|_| Fate::Arrives);
    assert!(!dial(&mut net));
    assert!(dial(&mut net));
    net.assert_clean();
}

#[test]
fn a_full_store_forgets_the_oldest_and_its_peer_gets_the_full_handshake() {
    let device = Config::default().with_records(1, Duration::from_secs(3600));
    let nodes = [Config::default(), device, Config::default()];
    let mut net = Net::with((1..).map(udp).zip(nodes).collect());
    let mut authority = Authority::new(1, false);
    for (n, node) in [100, 200, 300].into_iter().enumerate() {
        authority.join(&mut net, n, node);
    }
    for round in 0..4 {
        for n in [0, 2] {
            for again in [false, true] {
                net.node(n).events.clear();
                net.dial_case(n, 1, 1, 200);
                net.run(2000);
                let resumed =
                    |event: &Event<u32>| matches!(event, Event::Established { resumed: true, .. });
                assert!(net.node(n).try_established().is_some());
                assert_eq!(net.nodes[n].events.iter().any(resumed), again, "{round} {n}");
                assert_eq!(net.nodes[1].manager.records().len(), 1);
            }
        }
    }
    net.assert_clean();
}

#[test]
fn a_record_past_its_lifetime_is_not_resumed_from_whoever_remembers_it() {
    let long = Config::default().with_records(8, Duration::from_secs(36_000));
    let short = Config::default().with_records(8, Duration::from_secs(3600));
    for config in [[long.clone(), short.clone()], [short, long]] {
        let (mut net, _) = members(config);
        assert!(!dial(&mut net));
        net.run(3_500_000);
        assert!(dial(&mut net));
        // The use of a record does not make it younger.
        net.run(100_000);
        let kept = [CONTROLLER, DEVICE].map(|n| record(&net, n).is_some());
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 1);
        assert!(!dial(&mut net));
        assert!(dial(&mut net));
        net.assert_clean();
    }
}

#[test]
fn removing_or_updating_a_fabric_takes_its_records_with_it() {
    for (n, node) in [(CONTROLLER, 100), (DEVICE, 200)] {
        for removes in [false, true] {
            let (mut net, mut authority) = acquainted();
            let member = authority.admit(node);
            net.call(n, |manager, cx| {
                let credentials = &member.credentials();
                if removes {
                    assert!(manager.fabrics_mut().remove(cx, index(1)));
                    assert_eq!(manager.fabrics_mut().add(credentials), Ok(index(1)));
                } else {
                    manager.fabrics_mut().update(cx, index(1), credentials).unwrap();
                }
            });
            net.node(n).keys.insert(index(1), member.key);
            net.run(1000);
            assert_eq!(record(&net, n), None);
            assert!(record(&net, 1 - n).is_some());
            assert!(!dial(&mut net));
            assert!(dial(&mut net));
            net.assert_clean();
        }
    }
}

/// What ends a record while a handshake resumes from it.
#[derive(Clone, Copy, Debug)]
enum End {
    Forget,
    ForgetAll,
    Update,
    Remove,
}

/// The node that forgets, at the time when Sigma1, Sigma2Resume or the report is on its way.
#[test]
fn a_record_that_is_forgotten_while_it_is_resumed_from_does_not_come_back() {
    for end in [End::Forget, End::ForgetAll, End::Update, End::Remove] {
        for (n, node) in [(CONTROLLER, 100), (DEVICE, 200)] {
            for on_its_way in [SIGMA1, SIGMA2_RESUME, REPORT] {
                let what = format!("{end:?} on {n}, {on_its_way:#x} on its way");
                let (mut net, mut authority) = acquainted();
                for node in &mut net.nodes {
                    node.events.clear();
                }
                let secret = record(&net, n).unwrap().shared_secret;
                let since = net.sent.len();
                net.on_send(move |d| {
                    let held = d.handshake_opcode() == Some(on_its_way);
                    if held { Fate::Late(50) } else { Fate::Arrives }
                });
                net.dial_case(CONTROLLER, DEVICE, 1, 200);
                net.pump();
                let offered = parts(&net.sent[since].octets).unwrap();
                assert!(offered.0 == SIGMA1 && offered.1.len() > 200, "{what}");
                // The controller has its session once Sigma2Resume has come.
                let is_over = n == CONTROLLER && on_its_way == REPORT;
                let (peer, member) = (NodeId::new(300 - node), authority.admit(node));
                net.call(n, |manager, cx| match end {
                    End::Forget => manager.records_mut().forget(cx, Peer::new(index(1), peer)),
                    End::ForgetAll => manager.records_mut().forget_all(cx),
                    End::Update => {
                        manager.fabrics_mut().update(cx, index(1), &member.credentials()).unwrap();
                    }
                    End::Remove => assert!(manager.fabrics_mut().remove(cx, index(1))),
                });
                if matches!(end, End::Update) {
                    net.node(n).keys.insert(index(1), member.key);
                }
                net.run(5000);
                let came_back = record(&net, n).is_some_and(|r| r.shared_secret == secret);
                assert!(!came_back, "{what}");
                let resumed =
                    |event: &Event<u32>| matches!(event, Event::Established { resumed: true, .. });
                let events = &net.nodes[n].events;
                assert_eq!(events.iter().any(resumed), is_over, "{what}");
                // What is over is over for both; the next handshake is a full one.
                net.on_send(|_| Fate::Arrives);
                net.run(60_000);
                for n in 0..2 {
                    assert_eq!(net.nodes[n].manager.handshakes().len(), 0, "{what}");
                }
                if !matches!(end, End::Remove) {
                    let was_full = record(&net, n).is_some();
                    assert_eq!(dial(&mut net), was_full, "{what}");
                }
                net.assert_clean();
            }
        }
    }
}

#[test]
fn a_peer_whose_resumption_is_ended_is_told() {
    let (mut net, _) = acquainted();
    net.on_send(|d| {
        let held = d.handshake_opcode() == Some(SIGMA2_RESUME);
        if held { Fate::Late(50) } else { Fate::Arrives }
    });
    net.dial_case(CONTROLLER, DEVICE, 1, 200);
    net.pump();
    // A report overtakes Sigma2Resume.
    net.call(DEVICE, |m, cx| m.records_mut().forget(cx, Peer::new(index(1), NodeId::new(100))));
    net.run(5000);
    let told = HandshakeError::Refused(Refusal::InvalidParameter);
    assert_eq!(net.nodes[CONTROLLER].failures(), [told]);
    assert_eq!(net.nodes[DEVICE].failures(), [HandshakeError::Rejected]);
    assert_eq!(net.nodes[DEVICE].manager.sessions().len(), 1);
    net.on_send(|_| Fate::Arrives);
    assert!(!dial(&mut net));
    net.assert_clean();
}

/// The keys come of the record's secret, its id and the initiator's random, and a responder chooses
/// ids: one that hands out an id again can begin the session again that it once began with it.
#[test]
fn a_peer_that_hands_out_an_id_again_can_repeat_keys_of_its_own() {
    let (mut net, _) = acquainted();
    let mut challenges = Vec::new();
    for _ in 0..2 {
        net.node(CONTROLLER).rng = Dice::new(77);
        net.dial_case(DEVICE, CONTROLLER, 1, 100);
        net.settle();
        net.node(CONTROLLER).rng = Dice::new(88);
        net.dial_case(CONTROLLER, DEVICE, 1, 200);
        net.settle();
        let session = net.node(DEVICE).established();
        let session = net.nodes[DEVICE].manager.session(session).unwrap();
        challenges.push(*session.session().attestation_challenge());
    }
    assert_eq!(challenges[0], challenges[1]);
    net.assert_clean();
}
