//! Message counters at the edges of their window and near their end.

use matter_session::ids::MessageType;
use matter_session::manager::{Event, SendError, SessionHandle};
use proptest::prelude::*;

use crate::net::{IM, Net, udp};
use crate::twin::{Plan, Twin, header};

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

/// The rule of secure unicast messages, as a set: larger ones are new, and of the 32 before the
/// largest those that were not seen.
#[derive(Default)]
struct Model {
    seen: Vec<u32>,
}

impl Model {
    fn is_new(&mut self, counter: u32) -> bool {
        let max = self.seen.iter().copied().max().unwrap_or(0);
        let recent = counter > max || max - counter <= 32 && counter < max;
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
    check(&[top - 40, top, top - 1, top - 32, top - 33, 1, 0, 5, top - 31, top]);
    check(&[u32::MAX - 33, u32::MAX - 1, 2, u32::MAX - 33, 0x8000_0000]);
}

#[test]
fn the_edges_of_the_window_are_32_messages_apart() {
    check(&[1000, 968, 967, 999, 968, 1001, 969, 968, 1033, 1002, 1001, 1000, 1066, 1033, 1034]);
    // The first messages of a session, in any order.
    check(&[3, 1, 2, 0, 33, 34, 1, 35, 3, 4]);
}

#[test]
fn a_jump_of_two_to_the_31_is_one_message_like_any_other() {
    check(&[5, 5 + FAR, 5, 6, 5 + FAR - 32, 5 + FAR - 33, 5 + FAR + 1]);
    check(&[5, 4 + FAR, 5]);
    check(&[1, u32::MAX - 1, FAR, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_counters_is_judged_as_by_a_plain_set(
        base in prop_oneof![0..4_u32, FAR - 50..FAR, u32::MAX - 130..u32::MAX - 100],
        steps in prop::collection::vec(0_u32..90, 1..40),
    ) {
        let counters: Vec<_> = steps.iter().map(|step| base + step).collect();
        check(&counters);
    }
}

#[test]
fn sending_stops_hard_at_the_last_counter_and_nothing_leaves_after_it() {
    let (mut net, session, mut twin) = session_at(u32::MAX - 4);
    let since = net.cut();
    let exchange = net.say(0, session, 2);
    let spare = net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
    net.run(100);
    let mut buf = [0; 128];
    let mut send_once = |net: &mut Net| {
        let sent = net
            .call(0, |m, cx| m.send_unreliable(cx, spare, MessageType::new(IM, 2), b"x", &mut buf));
        sent.map(|transmit| twin.read(transmit.datagram).unwrap().counter)
    };
    let counters: Vec<_> = (0..3).map(|_| send_once(&mut net).unwrap()).collect();
    assert_eq!(counters, [u32::MAX - 3, u32::MAX - 2, u32::MAX - 1]);
    for _ in 0..3 {
        assert_eq!(send_once(&mut net), Err(SendError::CounterExhausted));
        let sent = net.call(0, |m, cx| m.send(cx, spare, MessageType::new(IM, 2), b"x"));
        assert_eq!(sent, Err(SendError::CounterExhausted));
    }
    // What was sealed before is still repeated, the same octets; an acknowledgement, a goodbye
    // and anything else would need a counter that there is none of.
    let (octets, _) = twin.seal(&header(1, true, None));
    net.hand(0, udp(7), &octets).unwrap();
    net.run(20_000);
    net.call(0, |m, cx| m.close_session(cx, session));
    net.pump();
    let sent = &net.sent[since..];
    assert_eq!(sent.len(), 5);
    assert!(sent.iter().all(|d| d.octets == sent[0].octets));
    assert!(net.node(0).undelivered(exchange));
    net.assert_clean();
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
