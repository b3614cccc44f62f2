//! The end of sessions leaves nothing behind.

use matter_session::ids::{MessageType, NodeId, Peer, ProtocolId};
use matter_session::manager::{
    CloseReason, Config, Event, HandshakeHandle, OpenError, SendError, SessionHandle,
};
use matter_session::wire::ProtocolHeader;

use crate::net::{Authority, Fate, IM, Net, index, udp};
use crate::twin::{Plan, Twin, header};

/// Two members of a fabric, one session, and the sizes before there was any.
fn members() -> (Net, Authority, SessionHandle, SessionHandle, Vec<String>) {
    let mut net = Net::pair();
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    let start = net.table_sizes();
    let (a, b) = net.case(200);
    (net, authority, a, b, start)
}

#[test]
fn a_close_with_exchanges_open_tells_the_peer_and_leaves_nothing_at_either_end() {
    for closer in 0..2 {
        let (mut net, _, a, b, start) = members();
        let sessions = [a, b];
        for (n, session) in sessions.into_iter().enumerate() {
            *net.node(n).manager.data_mut(session).unwrap() = 40 + n as u32;
        }
        // Open exchanges: one owes an acknowledgement, one has a message under way that does not
        // arrive, one is at rest, one is closing.
        let exchange = net.say(0, a, 2);
        net.pump();
        net.on_send(|_| Fate::Lost);
        net.say(1, b, 2);
        let closing = net.say(0, a, 4);
        net.close_exchange(0, closing);
        net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
        net.pump();
        net.on_send(|_| Fate::Arrives);
        net.call(closer, |manager, cx| manager.close_session(cx, sessions[closer]));
        net.run(1000);
        for (n, session) in sessions.into_iter().enumerate() {
            let reason = if n == closer { CloseReason::Local } else { CloseReason::Peer };
            assert_eq!(net.node(n).closed(), [(session, 40 + n as u32, reason)]);
            assert_eq!(net.nodes[n].manager.sessions().len(), 0);
            assert_eq!(net.nodes[n].manager.sessions().exchange_count(), 0);
        }
        assert_eq!(net.node(0).acknowledged(exchange), closer == 1);
        let send =
            net.call(0, |manager, cx| manager.send(cx, exchange, MessageType::new(IM, 4), b""));
        assert_eq!(send, Err(SendError::Closed));
        let open = net.call(0, |manager, cx| manager.open_exchange(cx, a));
        assert_eq!(open, Err(OpenError::Closed));
        net.call(0, |manager, cx| manager.close_session(cx, a));
        assert_eq!(net.node(0).closed().len(), 1);
        assert_eq!(net.table_sizes(), start);
    }
}

#[test]
fn a_lost_goodbye_leaves_the_other_end_defunct_and_nothing_else() {
    let (mut net, _, a, b, start) = members();
    let (older, waiting) = (net.say(0, a, 2), net.say(0, a, 4));
    net.pump();
    net.lose(&[0, 1, 2]); // two acknowledgements and the goodbye
    net.call(1, |manager, cx| manager.close_session(cx, b));
    net.run(1000);
    assert_eq!(net.node(0).manager.sessions().len(), 1);
    net.run(20_000);
    assert!(net.node(0).undelivered(older) && net.node(0).undelivered(waiting));
    assert!(net.nodes[0].manager.session(a).unwrap().is_defunct());
    // Nobody is sent to a session whose peer does not answer.
    let offered =
        |net: &Net| net.nodes[0].manager.session_with(Peer::new(index(1), NodeId::new(200)));
    assert_eq!(offered(&net), None);
    let (fresh, _) = net.case(200);
    assert_eq!(offered(&net), Some(fresh));
    for session in [a, fresh] {
        net.call(0, |manager, cx| manager.close_session(cx, session));
    }
    assert_eq!(net.table_sizes(), start);
}

#[test]
fn whatever_ends_during_a_pending_signature_every_slot_is_freed() {
    type End = fn(&mut Net, HandshakeHandle, [SessionHandle; 2]);
    let ends: [(&str, End); 9] = [
        ("close by the initiator", |net, _, [a, _]| net.call(0, |m, cx| m.close_session(cx, a))),
        ("close by the responder", |net, _, [_, b]| net.call(1, |m, cx| m.close_session(cx, b))),
        ("close of the peer", |net, _, _| {
            net.call(0, |m, cx| {
                m.sessions_mut().close_with_peer(cx, Peer::new(index(1), NodeId::new(200)))
            });
        }),
        ("close of all", |net, _, _| net.call(1, |m, cx| m.sessions_mut().close_all(cx))),
        ("cancel", |net, handshake, _| assert!(net.node(0).manager.handshakes().cancel(handshake))),
        ("removal at the initiator", |net, _, _| {
            assert!(net.call(0, |m, cx| m.fabrics_mut().remove(cx, index(1))));
        }),
        ("removal at the responder", |net, _, _| {
            assert!(net.call(1, |m, cx| m.fabrics_mut().remove(cx, index(1))));
        }),
        ("loss of the network", |net, _, _| net.on_send(|_| Fate::Lost)),
        ("loss of the connection", |net, _, _| {
            net.call(0, |m, cx| m.connections().handle_disconnect(cx, udp(2)));
        }),
    ];
    for signer in 0..2 {
        for (name, end) in ends {
            for signs_late in [false, true] {
                let name = format!("{name}, signer {signer}, late {signs_late}");
                let (mut net, mut authority, a, b, start) = members();
                for n in 0..2 {
                    // A resumption asks for no signature.
                    net.call(n, |m, cx| m.records_mut().forget_all(cx));
                }
                net.node(signer).signs = false;
                let handshake = net
                    .call(0, |m, cx| {
                        m.connect_case(cx, udp(2), Peer::new(index(1), NodeId::new(200)))
                    })
                    .unwrap();
                net.run(50);
                assert_eq!(net.node(signer).requests.len(), 1, "{name}");
                let exchange = net.say(0, a, 2);
                end(&mut net, handshake, [a, b]);
                net.run(100);
                let signed = net.node(signer).requests.remove(0);
                if signs_late {
                    let signed =
                        signed.sign_with(net.node(signer).keys.get_mut(&index(1)).unwrap());
                    net.call(signer, |m, cx| m.complete_signature(cx, signed).is_ok());
                }
                net.run(70_000);
                assert!(net.node(signer).requests.is_empty(), "{name}");
                let told = net.node(0).acknowledged(exchange) || net.node(0).undelivered(exchange);
                assert!(told || net.node(0).closed().len() == 1, "{name}");
                net.on_send(|_| Fate::Arrives);
                for n in 0..2 {
                    net.call(n, |m, cx| m.sessions_mut().close_all(cx));
                    if net.nodes[n].manager.fabrics().get(index(1)).is_none() {
                        authority.join(&mut net, n, [100, 200][n]);
                    }
                }
                assert_eq!(net.table_sizes(), start, "{name}");
            }
        }
    }
}

/// Whatever ends a session, each message in flight on it has one event, before the end of the
/// session is told.
#[test]
fn a_message_in_flight_on_a_session_that_ends_is_reported_undelivered() {
    type End = fn(&mut Net, SessionHandle, &mut Twin);
    let ends: [(&str, End); 5] = [
        ("eviction", |net, _, _| {
            Plan::case(2, 6, udp(8)).begin(net, 0).unwrap();
        }),
        ("close by this node", |net, session, _| {
            net.call(0, |m, cx| m.close_session(cx, session));
        }),
        ("close by the peer", |net, _, twin| {
            let close = ProtocolHeader {
                protocol: ProtocolId::SECURE_CHANNEL,
                opcode: 0x40,
                ..header(9, false, None)
            };
            let octets = twin.seal_payload(&close, &[0, 0, 0, 0, 0, 0, 3, 0]);
            net.hand(0, udp(7), &octets).unwrap();
        }),
        ("removal of the fabric", |net, _, _| {
            assert!(net.call(0, |m, cx| m.fabrics_mut().remove(cx, index(1))));
        }),
        ("close of all", |net, _, _| net.call(0, |m, cx| m.sessions_mut().close_all(cx))),
    ];
    for (name, end) in ends {
        let mut net = Net::with(vec![(
            udp(1),
            Config::default().with_sessions(1).with_less_than_specified(),
        )]);
        Authority::new(1, false).join(&mut net, 0, 1);
        let (session, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
        let own = net.say(0, session, 2);
        net.hand(0, udp(7), &twin.seal(&header(1, true, None)).0).unwrap();
        let answered = net.node(0).got[0].exchange;
        net.answer(0, answered, 3);
        net.close_exchange(0, answered);
        net.pump();
        let idle = net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
        end(&mut net, session, &mut twin);
        net.pump();
        let place = |is: &dyn Fn(&Event<u32>) -> bool| net.nodes[0].events.iter().position(is);
        let closed = place(&|event| matches!(event, Event::Closed { .. })).unwrap();
        for exchange in [own, answered] {
            let of = |event: &Event<u32>| matches!(event, Event::Undelivered { exchange: e, .. } if *e == exchange);
            assert!(place(&of).is_some_and(|place| place < closed), "{name}");
            assert!(!net.nodes[0].acknowledged(exchange), "{name}");
        }
        assert!(!net.node(0).undelivered(idle), "{name}");
        net.assert_clean();
    }
}
