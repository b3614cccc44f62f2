//! CASE: full and resumed, in both roles.

use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{MessageType, NodeId, Peer};
use matter_session::manager::{Config, Event};
use matter_session::session::SessionKind;
use matter_session_testing::raw::{SIGMA2, is_invalid_parameter};

use crate::net::{Authority, Fate, IM, Net, index, udp};

fn resumed(net: &Net, n: usize) -> bool {
    let last = net.nodes[n].events.iter().rev().find_map(|event| match event {
        Event::Established { resumed, .. } => Some(*resumed),
        _ => None,
    });
    last.expect("no session was established")
}

fn members(with_icac: bool) -> Net {
    let mut net = Net::pair();
    let mut authority = Authority::new(1, with_icac);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    net
}

#[test]
fn case_makes_a_session_with_and_without_intermediate_certificate() {
    for with_icac in [false, true] {
        let mut net = members(with_icac);
        net.dial_case(0, 1, 1, 200);
        net.run(1000);
        let (a, b) = (net.node(0).established(), net.node(1).established());
        assert!(!resumed(&net, 0) && !resumed(&net, 1));
        for (n, session, own, peer) in [(0, a, 100, 200), (1, b, 200, 100)] {
            let session = net.nodes[n].manager.session(session).unwrap();
            let identity = session.session().identity();
            assert_eq!(identity.kind(), SessionKind::Case);
            assert_eq!(identity.fabric(), Some(index(1)));
            assert_eq!(identity.local_node(), NodeId::new(own));
            assert_eq!(identity.peer_node(), NodeId::new(peer));
            assert_eq!(identity.tags().iter().count(), 1);
        }
        let exchange = net.say(0, a, 2);
        net.run(1000);
        assert!(net.node(0).acknowledged(exchange));
        assert_eq!(net.node(1).got[0].payload, [2; 20]);
        assert_eq!(
            net.node(1).manager.session_with(Peer::new(index(1), NodeId::new(100))),
            Some(b)
        );
        net.assert_clean();
    }
}

#[test]
fn the_certificates_of_the_peer_are_lent_with_the_event() {
    let mut net = members(true);
    net.node(0).polls = false;
    net.node(0).signs = false;
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let Some(Event::SignRequest(request)) = net.node(0).manager.poll_event() else { panic!() };
    let signed = request.sign_with(net.node(0).keys.get_mut(&index(1)).unwrap());
    assert!(net.call(0, |manager, cx| manager.complete_signature(cx, signed).is_ok()));
    net.run(1000);
    assert!(net.node(0).manager.handshakes().peer_certificates().is_none());
    let event = net.node(0).manager.poll_event();
    assert!(matches!(event, Some(Event::Established { handshake: Some(_), .. })));
    let [node, peer] = &mut net.nodes[..] else { panic!() };
    let theirs = node.manager.handshakes().peer_certificates().unwrap();
    let noc = peer.manager.fabrics().get(index(1)).unwrap().noc();
    assert!(format!("{theirs:?}").len() > 10 && !noc.is_empty());
    while net.node(0).manager.poll_event().is_some() {}
    assert!(net.node(0).manager.handshakes().peer_certificates().is_none());
    net.assert_clean();
}

#[test]
fn a_wrong_sigma2_is_reported_as_invalid_parameter_reliably() {
    let mut net = members(false);
    net.on_send(|d| if d.handshake_opcode() == Some(SIGMA2) { Fate::Lost } else { Fate::Arrives });
    net.dial_case(0, 1, 1, 200);
    net.pump();
    let sent = net.sent.iter().find(|d| d.handshake_opcode() == Some(SIGMA2));
    let mut sigma2 = sent.unwrap().octets.clone();
    let middle = sigma2.len() / 2;
    sigma2[middle] ^= 1; // within the certificates
    let since = net.sent.len();
    net.hand(0, udp(2), &sigma2).unwrap();
    net.pump();
    let reports = net.sent_by(0, since);
    assert_eq!(reports.len(), 1);
    assert!(is_invalid_parameter(&reports[0].octets), "{:x?}", reports[0].octets);
    assert_eq!(reports[0].octets[16] & 4, 4, "asks for an acknowledgement");
    assert_eq!(net.node(0).failures(), [HandshakeError::Undecryptable]);
    let refused = HandshakeError::Refused(Refusal::InvalidParameter);
    assert_eq!(net.node(1).failures(), [refused]);
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
}

#[test]
fn a_second_session_is_resumed_and_its_id_is_new() {
    let mut net = members(false);
    net.case(200);
    let record = |net: &Net, n: usize, peer| {
        net.nodes[n]
            .manager
            .dangerous_record(Peer::new(index(1), NodeId::new(peer)))
            .unwrap()
            .clone()
    };
    let first = record(&net, 0, 200);
    assert_eq!(first.id, record(&net, 1, 100).id);
    let since = net.sent.len();
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert!(resumed(&net, 0) && resumed(&net, 1));
    let second = record(&net, 0, 200);
    assert_ne!(first.id, second.id);
    assert_eq!(second.id, record(&net, 1, 100).id);
    assert_eq!(first.shared_secret, second.shared_secret);
    let opcodes: Vec<_> = net.sent[since..].iter().filter_map(|d| d.handshake_opcode()).collect();
    assert_eq!(opcodes, [0x30, 0x33, 0x40, 0x10]);
    // And the other way round, with the same record.
    net.dial_case(1, 0, 1, 100);
    net.run(1000);
    assert!(resumed(&net, 0) && resumed(&net, 1));
    assert_eq!(net.node(0).manager.sessions().len(), 3);
    net.assert_clean();
}

#[test]
fn a_responder_without_the_record_insists_on_the_full_handshake() {
    let mut net = members(false);
    net.case(200);
    net.call(1, |m, cx| m.records_mut().forget_all(cx));
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert!(!resumed(&net, 0) && !resumed(&net, 1));
    assert!(net.node(0).failures().is_empty());
    // Both hold the new record, which serves.
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert!(resumed(&net, 0));
    net.assert_clean();
}

#[test]
fn several_fabrics_with_the_same_node_ids_stay_apart() {
    let mut net = Net::pair();
    for fabric in 1..=3 {
        let mut authority = Authority::new(fabric, fabric == 2);
        authority.join(&mut net, 0, 100);
        authority.join(&mut net, 1, 200);
    }
    for fabric in 1..=3 {
        net.dial_case(0, 1, fabric, 200);
    }
    net.run(1000);
    for n in 0..2 {
        assert_eq!(net.nodes[n].manager.sessions().len(), 3);
        assert_eq!(net.nodes[n].manager.records().len(), 3);
    }
    for fabric in 1..=3 {
        let peer = (index(fabric), NodeId::new(200));
        let session = net.node(0).manager.session_with(Peer::new(peer.0, peer.1)).unwrap();
        let session = net.nodes[0].manager.session(session).unwrap();
        assert_eq!(session.session().identity().fabric(), Some(index(fabric)));
    }
    net.assert_clean();
}

#[test]
fn many_handshakes_at_once_are_served_up_to_the_limit() {
    let config = Config::default().with_sessions_per_peer(32);
    let mut net = Net::members_with(vec![(udp(1), config.clone()), (udp(2), config)]);
    for _ in 0..32 {
        net.dial_case(0, 1, 1, 200);
    }
    net.run(3000);
    assert_eq!(net.node(1).manager.sessions().len(), 32);
    net.assert_clean();
}

#[test]
fn retransmissions_suit_the_timing_that_the_responder_has_declared() {
    use matter_session::session::SessionParameters;
    let slow = SessionParameters::matter_1_6().with_intervals(5000, 2000, 4000);
    let config = Config::default().with_parameters(slow);
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), config)]);
    // The responder is not heard any more: a copy of its Sigma2 would bring Sigma3 again at once.
    let mut lost = false;
    net.on_send(move |d| {
        lost |= d.handshake_opcode() == Some(0x32);
        if lost { Fate::Lost } else { Fate::Arrives }
    });
    net.dial_case(0, 1, 1, 200);
    net.run(20_000);
    let sent: Vec<_> = net.sent_by(0, 0);
    let at: Vec<_> =
        sent.iter().filter(|d| d.handshake_opcode() == Some(0x32)).map(|d| d.at).collect();
    assert!((2200..=2760).contains(&(at[1] - at[0])), "{at:?}");
    net.assert_clean();
}

#[test]
fn the_first_message_suits_the_timing_that_was_discovered() {
    use matter_session::session::SessionParameters;
    let patient = Config::default().with_longest_interval(core::time::Duration::from_secs(60));
    let mut net = Net::with(vec![(udp(1), patient), (udp(2), Config::default())]);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    net.on_send(|_| Fate::Lost);
    let sleepy = SessionParameters::default().with_intervals(60_000, 300, 4000);
    let handshake = net.call(0, |manager, cx| {
        let handshake =
            manager.connect_case(cx, udp(2), Peer::new(index(1), NodeId::new(200))).unwrap();
        assert!(manager.handshakes().expect_timing(cx, handshake, sleepy).is_ok());
        handshake
    });
    net.run(59_000);
    assert_eq!(net.sent.len(), 1, "a minute is not over");
    assert_eq!(net.nodes[0].manager.handshakes().len(), 1);
    assert!(net.call(0, |manager, _| manager.handshakes().cancel(handshake)));
    assert_eq!(net.nodes[0].manager.handshakes().len(), 0);
    assert!(
        !net.call(0, |manager, cx| manager
            .handshakes()
            .expect_timing(cx, handshake, sleepy)
            .is_ok())
    );
}

#[test]
fn timing_that_is_discovered_late_counts_for_the_message_in_flight() {
    use matter_session::session::SessionParameters;
    let patient = Config::default().with_longest_interval(core::time::Duration::from_secs(60));
    let mut net = Net::with(vec![(udp(1), patient), (udp(2), Config::default())]);
    Authority::new(1, false).join(&mut net, 0, 100);
    net.on_send(|_| Fate::Lost);
    assert!(net.nodes[0].manager.handshakes().is_empty());
    let peer = Peer::new(index(1), NodeId::new(200));
    let handshake = net.call(0, |manager, cx| manager.connect_case(cx, udp(2), peer).unwrap());
    net.pump();
    assert_eq!(net.sent.len(), 1);
    let due = |net: &mut Net| {
        net.call(0, |manager, cx| manager.poll_timeout().unwrap().saturating_since(cx.now()))
            .as_millis()
    };
    assert!((330..2000).contains(&due(&mut net)), "nothing is known of the peer");
    let sleepy = SessionParameters::default().with_intervals(60_000, 300, 4000);
    net.call(0, |manager, cx| manager.handshakes().expect_timing(cx, handshake, sleepy)).unwrap();
    assert!(due(&mut net) >= 59_000);
    net.run(59_000);
    assert_eq!(net.sent.len(), 1, "a minute is not over");
    assert!(!net.nodes[0].manager.handshakes().is_empty());
}

/// What the documentation advises: use the session that is offered, or wait for the handshake that
/// is under way, or connect.
fn request(net: &mut Net, peer: Peer) -> bool {
    net.call(0, |m, cx| match m.session_with(peer) {
        Some(session) => {
            let exchange = m.open_exchange(cx, session).unwrap();
            m.send(cx, exchange, MessageType::new(IM, 2), b"on").unwrap();
            m.close_exchange(exchange);
            true
        }
        None => {
            if m.handshakes().with_peer(peer).is_none() {
                m.connect_case(cx, udp(2), peer).unwrap();
            }
            false
        }
    })
}

#[test]
fn a_handshake_under_way_to_a_peer_is_found_until_it_ends() {
    let mut net = members(false);
    let other = Peer::new(index(1), NodeId::new(201));
    let peer = Peer::new(index(1), NodeId::new(200));
    let with = |net: &mut Net, peer| net.node(0).manager.handshakes().with_peer(peer);
    assert_eq!(with(&mut net, peer), None);
    let begin = |net: &mut Net| net.call(0, |m, cx| m.connect_case(cx, udp(2), peer)).unwrap();
    let handshake = begin(&mut net);
    assert_eq!((with(&mut net, peer), with(&mut net, other)), (Some(handshake), None));
    net.run(1000);
    assert_eq!(with(&mut net, peer), None, "established");
    let handshake = begin(&mut net);
    assert_eq!(with(&mut net, peer), Some(handshake));
    assert!(net.node(0).manager.handshakes().cancel(handshake));
    assert_eq!(with(&mut net, peer), None, "cancelled");
    net.on_send(|_| Fate::Lost);
    let first = begin(&mut net);
    begin(&mut net);
    assert_eq!(with(&mut net, peer), Some(first), "of two, the first");
    net.run(70_000);
    assert_eq!(with(&mut net, peer), None, "failed");
    // The peer's own handshake is none of ours.
    net.on_send(|d| if d.from == udp(1) { Fate::Lost } else { Fate::Arrives });
    net.dial_case(1, 0, 1, 100);
    net.pump();
    assert_eq!(net.node(0).manager.handshakes().len(), 1);
    assert_eq!(with(&mut net, peer), None);
}

/// A request every ten seconds to a device that restarts in between.
#[test]
fn requests_to_a_device_that_has_restarted_get_through_again() {
    let mut net = members(false);
    let peer = Peer::new(index(1), NodeId::new(200));
    let mut begun = 0;
    for n in 0..60 {
        if n == 10 {
            let mut fresh = members(false);
            std::mem::swap(&mut net.nodes[1].manager, &mut fresh.nodes[1].manager);
            std::mem::swap(&mut net.nodes[1].keys, &mut fresh.nodes[1].keys);
        }
        request(&mut net, peer);
        begun = begun.max(net.node(0).manager.handshakes().len());
        assert!(request(&mut net, peer) || net.node(0).manager.handshakes().len() == 1);
        net.run(10_000);
    }
    assert_eq!(begun, 1, "never two at once");
    let got = net.node(1).got.len();
    assert!(got >= 100, "{got} of 120");
}
