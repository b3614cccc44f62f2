//! Message counters at the edges of their window and near their end.

use matter_session::group::SecurityPolicy;
use matter_session::ids::{Group, GroupId, MessageType, NodeId, Peer};
use matter_session::manager::{
    BatchMessage, CloseReason, Event, GroupSendError, SendError, SessionHandle,
};
use proptest::prelude::*;

use crate::net::{Authority, IM, Net, index, udp};
use crate::twin::{self, Plan, Twin, answer, bare, header};

/// Few enough that the application must be warned.
const FEW: u32 = 1 << 21;
/// Half of all counters.
const FAR: u32 = 1 << 31;

fn session_at(counter: u32) -> (Net, SessionHandle, Twin) {
    let mut net = Net::pair();
    let plan = Plan::case(1, 5, udp(7)).with_counter(counter);
    let (session, twin) = plan.begin(&mut net, 0).unwrap();
    (net, session, twin)
}

/// With an allocator, a session remembers so many counters before the largest one.
const WINDOW: u32 = 256;

/// The rule of secure unicast messages, as a set: larger ones are new, and of those shortly before the
/// largest those that were not seen.
#[derive(Default)]
struct Model {
    seen: Vec<u32>,
}

impl Model {
    fn is_new(&mut self, counter: u32) -> bool {
        let max = self.seen.iter().copied().max().unwrap_or(0);
        let recent = counter > max || max - counter <= WINDOW && counter < max;
        let new = recent && counter != 0 && !self.seen.contains(&counter);
        // Nothing before the first counter can be told from what was seen.
        if new {
            self.seen.push(counter);
        }
        new
    }
}

/// Every message is handed in; new ones are delivered once, the others acknowledged again.
fn check(counters: &[u32]) {
    let (mut net, _, twin) = session_at(1);
    let mut model = Model::default();
    for &counter in counters {
        let (delivered, since) = (net.node(0).got.len(), net.sent.len());
        let octets = twin.seal_at(counter, &header(1, true, None));
        net.hand(0, udp(7), &octets).unwrap();
        net.run(300);
        let new = net.node(0).got.len() == delivered + 1;
        assert_eq!(new, model.is_new(counter), "{counter:#x} of {counters:x?}");
        let acks = twin.read_all(&net, since);
        assert_eq!(acks.len(), 1, "{counter:#x} of {counters:x?}");
        assert!(acks[0].acknowledges(counter));
    }
    net.assert_clean();
}

#[test]
fn counters_near_two_to_the_32_do_not_wrap() {
    let top = u32::MAX - 1;
    check(&[top - 300, top, top - 1, top - 256, top - 257, 1, 0, 5, top - 255, top - 32, top]);
    check(&[u32::MAX - 257, u32::MAX - 1, 2, u32::MAX - 257, 0x8000_0000]);
}

#[test]
fn the_edges_of_the_window_are_256_messages_apart() {
    check(&[1000, 744, 743, 999, 744, 1001, 745, 744, 1257, 1002, 1001, 1000, 1514, 1257, 1258]);
    check(&[1000, 968, 967, 1033, 1001, 1000, 1032, 968, 967]);
    // The first messages of a session, in any order.
    check(&[3, 1, 2, 0, 257, 258, 1, 2, 259, 3, 4]);
}

#[test]
fn a_jump_of_two_to_the_31_is_one_message_like_any_other() {
    check(&[5, 5 + FAR, 5, 6, 5 + FAR - 256, 5 + FAR - 257, 5 + FAR + 1]);
    check(&[5, 4 + FAR, 5]);
    check(&[1, u32::MAX - 1, FAR, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_counters_is_judged_as_by_a_plain_set(
        base in prop_oneof![0..4_u32, FAR - 50..FAR, u32::MAX - 730..u32::MAX - 700],
        steps in prop::collection::vec(prop_oneof![0_u32..90, 0_u32..600], 1..40),
    ) {
        let counters: Vec<_> = steps.iter().map(|step| base + step).collect();
        check(&counters);
    }
}

/// How many counters the application cannot use: they are for acknowledgements and for the end.
const KEPT: u32 = 64;

#[test]
fn a_session_whose_counter_ends_is_offered_no_more_and_closes_with_its_peer_told() {
    for in_flight in [false, true] {
        let (mut net, session, mut twin) = session_at(u32::MAX - KEPT - 3);
        let peer = Peer::new(index(1), NodeId::new(5));
        let exchange = net.say(0, session, 2);
        let spare = net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
        net.pump();
        let request = twin.read_all(&net, 0)[0].counter;
        let id = exchange.id().get();
        if !in_flight {
            let ack = bare(answer(id, false, Some(request)));
            net.hand(0, udp(7), &twin.seal(&ack).0).unwrap();
        }
        let mut buf = [0; 128];
        let mut send_once = |net: &mut Net| {
            net.call(0, |m, cx| {
                m.send_unreliable(cx, spare, MessageType::new(IM, 2), b"x", &mut buf).map(|_| ())
            })
        };
        assert_eq!(net.nodes[0].manager.session_with(peer), Some(session));
        assert_eq!([send_once(&mut net), send_once(&mut net)], [Ok(()), Ok(())]);
        assert_eq!(net.nodes[0].manager.session_with(peer), None, "offered no more");
        assert_eq!(send_once(&mut net), Err(SendError::CounterExhausted));
        let (last, _) = twin.seal(&header(1, true, None));
        if in_flight {
            // What is in flight is repeated as ever, and what comes is acknowledged.
            let since = net.sent.len();
            net.hand(0, udp(7), &last).unwrap();
            net.run(500);
            let read = twin.read_all(&net, since);
            assert!(read.iter().any(|read| read.header.opcode == 0x10));
            assert!(read.iter().any(|read| read.counter == request));
            assert!(net.node(0).closed().is_empty());
            let ack = bare(answer(id, false, Some(request)));
            net.hand(0, udp(7), &twin.seal(&ack).0).unwrap();
        }
        net.pump();
        assert!(net.node(0).acknowledged(exchange));
        assert_eq!(net.node(0).closed(), [(session, 0, CloseReason::CounterExhausted)]);
        let read = twin.read_all(&net, 0);
        assert_eq!(read.iter().filter(|read| read.is_close_session()).count(), 1);
        net.assert_clean();
    }
}

/// Messages that are sent together end a session as single ones do: while nothing is in flight, or when
/// that has arrived.
#[test]
fn messages_sent_together_close_a_session_whose_counter_ends() {
    for in_flight in [false, true] {
        let (mut net, session, mut twin) = session_at(u32::MAX - KEPT - 1);
        let [first, second] =
            [(); 2].map(|()| net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap());
        let kind = MessageType::new(IM, 2);
        let together = |net: &mut Net| {
            let mut batch = [first, second].map(|exchange| BatchMessage::new(exchange, kind, b"x"));
            net.call(0, |m, cx| m.send_all(cx, &mut batch));
            batch.map(|message| message.result().unwrap())
        };
        if in_flight {
            assert_eq!(together(&mut net), [Ok(()), Err(SendError::CounterExhausted)]);
            net.pump();
            assert!(net.node(0).closed().is_empty());
            let request = twin.read_all(&net, 0)[0].counter;
            let ack = bare(answer(first.id().get(), false, Some(request)));
            net.hand(0, udp(7), &twin.seal(&ack).0).unwrap();
        } else {
            let mut buf = [0; 128];
            let last =
                net.call(0, |m, cx| m.send_unreliable(cx, first, kind, b"x", &mut buf).map(|_| ()));
            assert_eq!(last, Ok(()));
            let refused = [Err(SendError::CounterExhausted), Err(SendError::Closed)];
            assert_eq!(together(&mut net), refused);
        }
        net.pump();
        assert_eq!(net.node(0).closed(), [(session, 0, CloseReason::CounterExhausted)]);
    }
}

/// A peer can use up what is kept, with messages that ask for acknowledgements. The session closes
/// while the peer can be told, and no counter comes twice.
#[test]
fn acknowledgements_at_the_end_of_the_counter_leave_one_for_the_end_of_the_session() {
    let (mut net, session, mut twin) = session_at(u32::MAX - KEPT - 1);
    let exchange = net.say(0, session, 2);
    for received in 0.. {
        assert!(received < 2 * KEPT, "it closes");
        let _ = net.hand(0, udp(7), &twin.seal(&header(1, true, None)).0);
        net.run(20);
        if !net.node(0).closed().is_empty() {
            break;
        }
    }
    assert!(net.node(0).undelivered(exchange));
    net.run(20_000);
    assert_eq!(net.node(0).closed(), [(session, 0, CloseReason::CounterExhausted)]);
    let mut octets: Vec<_> = net.sent.iter().map(|sent| sent.octets.clone()).collect();
    octets.sort_unstable();
    octets.dedup();
    let mut counters: Vec<_> = octets.iter().map(|o| twin.read(o).unwrap().counter).collect();
    counters.sort_unstable();
    let all = counters.len();
    counters.dedup();
    assert_eq!(counters.len(), all, "no counter before two messages");
    assert!(twin.read_all(&net, 0).iter().any(twin::Read::is_close_session));
    net.assert_clean();
}

/// A node is a member of a group, and has this much of its counter left.
fn group_sender(left: u64) -> Net {
    let mut net = Net::pair();
    let mut authority = Authority::new(1, false);
    for n in 0..2 {
        authority.join(&mut net, n, 100 + n as u64);
        net.join_group(n, index(1), 1, SecurityPolicy::TrustFirst, &[7]);
    }
    net.node(0).bounds.stored = [Some((1 << 32) - left); 2];
    net
}

#[test]
fn a_node_stops_sending_to_groups_before_a_counter_comes_twice() {
    let mut net = group_sender(3);
    let to = Group::new(index(1), GroupId::new(1));
    let mut buf = [0; 100];
    let mut send = |net: &mut Net| {
        net.call(0, |m, cx| {
            let kind = MessageType::new(IM, 8);
            let sent = m.groups_mut().send(cx, to, kind, b"on", &mut buf)?;
            Ok(sent.datagram.to_vec())
        })
    };
    for _ in 0..3 {
        let sent: Result<_, GroupSendError> = send(&mut net);
        assert_eq!(net.hand(1, udp(1), &sent.unwrap()), Ok(()), "received");
    }
    for restarts in 0..3 {
        let refused = send(&mut net).unwrap_err();
        assert_eq!(format!("{refused:?}"), "CounterExhausted", "after {restarts} restarts");
        // Its bounds are all that the node keeps.
        let stored = net.node(0).bounds.stored;
        let mut again = group_sender(3);
        again.node(0).bounds.stored = stored;
        net = again;
    }
}

#[test]
fn the_application_is_warned_once_two_million_group_messages_before_the_end() {
    let mut net = group_sender(u64::from(FEW) + 2);
    for sent in 1..=5 {
        net.multicast(0, index(1), 1, b"on");
        net.pump();
        let low = |event: &&Event<u32>| format!("{event:?}").starts_with("GroupCounterLow");
        let warnings = net.nodes[0].events.iter().filter(low).count();
        assert_eq!(warnings, usize::from(sent > 2), "after {sent} messages");
    }
}

fn warnings(net: &Net, session: SessionHandle) -> usize {
    let low = |e: &&Event<u32>| matches!(e, Event::CounterLow { session: s, .. } if *s == session);
    net.nodes[0].events.iter().filter(low).count()
}

#[test]
fn the_application_is_warned_once_two_million_messages_before_the_end() {
    let (mut net, session, _) = session_at(u32::MAX - FEW - 3);
    let exchange = net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
    for sent in 1..=10 {
        let mut buf = [0; 128];
        net.call(0, |m, cx| {
            m.send_unreliable(cx, exchange, MessageType::new(IM, 2), b"x", &mut buf)
        })
        .unwrap();
        net.pump();
        assert_eq!(warnings(&net, session), usize::from(sent > 3), "after {sent} messages");
    }
    let left = net.nodes[0].manager.session(session).unwrap().session().remaining_messages();
    assert!(left > 2_000_000);
    net.assert_clean();
}

#[test]
fn a_session_that_does_nothing_but_acknowledge_is_warned_of_too() {
    let (mut net, session, mut twin) = session_at(u32::MAX - FEW - 3);
    for received in 1..=10 {
        let (octets, _) = twin.seal(&header(1, true, None));
        net.hand(0, udp(7), &octets).unwrap();
        net.run(300);
        assert_eq!(warnings(&net, session), usize::from(received > 3), "after {received} of them");
    }
    net.assert_clean();
}
