//! Requests that get no response, and when the application is told.

use core::time::Duration;

use matter_session::ids::{MessageType, NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    BatchMessage, Config, Event, ExchangeHandle, Fixed, Heap, PeerAddress, SendError,
    SessionHandle, Storage,
};
use matter_session::session::SessionParameters;
use matter_session::wire::ProtocolHeader;

use crate::net::{Fate, IM, Net, index, udp};
use crate::twin::{Plan, Twin, answer, bare, header};

type Small =
    Fixed<Sessions<4>, Exchanges<5>, Handshakes<2>, Fabrics<2>, Records<4>, MessageBytes<8000>>;

/// How long five transmissions take at most, as the specification has it: the wait after the n-th
/// one is i * 1.1 * 1.6^max(0, n - 1) * (1 + jitter / 4), in whole milliseconds, margin and jitter
/// in 1024ths. The recipient listens at the first interval for the first wait.
fn five_transmissions(first: u128, later: u128) -> u128 {
    let wait = |n: u32| {
        let margined = if n == 0 { first } else { later } * 1127 / 1024;
        let exponent = n.saturating_sub(1);
        margined * 16_u128.pow(exponent) / 10_u128.pow(exponent) * (1024 + 255) / 1024
    };
    (0..5).map(wait).sum()
}

/// A session whose peer does what a test says.
struct Talk<S: Storage> {
    net: Net<S>,
    session: SessionHandle,
    twin: Twin,
    peer: SessionParameters,
    /// When a message of the peer was received last.
    heard: u64,
}

impl<S: Storage> Talk<S> {
    fn over(address: PeerAddress, config: Config, peer: SessionParameters) -> Self {
        let mut net = Net::<S>::stored(vec![(udp(1), config)]);
        let plan = Plan { peer_parameters: peer, ..Plan::case(1, 5, address) };
        let (session, twin) = plan.begin(&mut net, 0).unwrap();
        let heard = net.now;
        Self { net, session, twin, peer, heard }
    }

    fn new(config: Config) -> Self {
        Self::over(udp(7), config, SessionParameters::default())
    }

    /// The longest time of a request that is sent now and of a response.
    fn both_ways(&self) -> u64 {
        let config = self.net.nodes[0].manager.config();
        let longest = u32::try_from(config.longest_interval.as_millis()).unwrap();
        let interval = |declared: u32| declared.clamp(100, longest).into();
        let active = interval(self.peer.active_interval_ms);
        let is_active = self.net.now - self.heard < self.peer.active_threshold_ms.into();
        let first = if is_active { active } else { interval(self.peer.idle_interval_ms) };
        let own = config.parameters.active_interval_ms.into();
        let boosts = 10 * config.retransmission_boost.as_millis();
        let both = five_transmissions(first, active) + five_transmissions(own, own) + boosts;
        u64::try_from(both).unwrap()
    }

    /// Sends a request, which arrives.
    fn request(&mut self) -> (ExchangeHandle, u32) {
        let since = self.net.sent.len();
        let exchange = self.net.say(0, self.session, 2);
        self.net.pump();
        let request = self.twin.read_all(&self.net, since).pop().unwrap();
        (exchange, request.counter)
    }

    fn hand(&mut self, header: &ProtocolHeader) {
        let from = self.twin.address;
        let datagram = self.twin.seal(header).0;
        self.net.hand(0, from, &datagram).unwrap();
        self.heard = self.net.now;
    }

    fn acknowledge(&mut self, exchange: ExchangeHandle, request: u32) {
        self.hand(&bare(answer(exchange.id().get(), false, Some(request))));
    }

    /// Sends a request that is acknowledged at once.
    fn acknowledged(&mut self) -> ExchangeHandle {
        let (exchange, request) = self.request();
        self.acknowledge(exchange, request);
        exchange
    }

    fn count(&self, exchange: ExchangeHandle) -> usize {
        count(&self.net, exchange)
    }

    /// The deadline is this one, to the millisecond, and is told of once.
    fn assert_due_in(&mut self, exchange: ExchangeHandle, millis: u64) {
        assert_eq!(self.count(exchange), 0);
        self.net.run(millis - 1);
        assert_eq!(self.count(exchange), 0, "not before {millis} ms");
        self.net.run(1);
        assert_eq!(self.count(exchange), 1, "at {millis} ms");
        self.net.run(100_000);
        assert_eq!(self.count(exchange), 1, "once");
        assert!(!self.net.nodes[0].undelivered(exchange));
        self.net.node(0).events.clear();
    }

    fn expect(&mut self, exchange: ExchangeHandle, processing: Duration) -> bool {
        self.net.call(0, |m, cx| m.sessions_mut().expect_response(cx, exchange, processing))
    }
}

fn count<S: Storage>(net: &Net<S>, exchange: ExchangeHandle) -> usize {
    let told = |event: &&Event<u32>| matches!(event, Event::NoResponse { exchange: e, .. } if *e == exchange);
    net.nodes[0].events.iter().filter(told).count()
}

fn expired<S: Storage>(net: &Net<S>, exchange: ExchangeHandle) -> usize {
    let told = |event: &&Event<u32>| matches!(event, Event::ExchangeExpired { exchange: e, .. } if *e == exchange);
    net.nodes[0].events.iter().filter(told).count()
}

const MINUTE: Duration = Duration::from_secs(60);

fn exact<S: Storage>() {
    let with = |idle, active, threshold| {
        SessionParameters::default().with_intervals(idle, active, threshold)
    };
    for peer in
        [with(500, 300, 4000), with(5000, 300, 300), with(800, 2000, 0), with(3_600_000, 0, 1)]
    {
        for own in [with(500, 300, 4000), with(2000, 1500, 4000)] {
            for idle in [true, false] {
                for processing in [0, 1, 2000, 30_000] {
                    let config = Config::default()
                        .with_parameters(own)
                        .with_processing_time(Duration::from_millis(processing));
                    let mut talk = Talk::<S>::over(udp(7), config, peer);
                    if idle {
                        talk.net.run(4000);
                    }
                    let due = talk.both_ways() + processing;
                    let exchange = talk.acknowledged();
                    talk.assert_due_in(exchange, due);
                }
            }
        }
    }
}

#[test]
fn a_request_without_a_response_is_told_of_at_the_deadline_to_the_millisecond() {
    exact::<Heap>();
    exact::<Small>();
    // With all defaults: 4,224 ms each way, and two seconds.
    let mut talk = Talk::<Heap>::new(Config::default());
    let exchange = talk.acknowledged();
    talk.assert_due_in(exchange, 4224 + 2000 + 4224);
}

#[test]
fn the_boost_of_retransmissions_counts_for_both_ways() {
    let config = Config::default().with_retransmission_boost(Duration::from_millis(1500));
    let mut talk = Talk::<Heap>::new(config);
    let due = talk.both_ways() + 2000;
    assert_eq!(due, 4224 + 2000 + 4224 + 15_000);
    let exchange = talk.acknowledged();
    talk.assert_due_in(exchange, due);
}

#[test]
fn the_boost_of_one_session_counts_for_both_ways_too() {
    let config = Config::default().with_retransmission_boost(Duration::from_millis(500));
    let mut talk = Talk::<Heap>::new(config);
    let boost = Duration::from_millis(1000);
    talk.net.node(0).manager.sessions_mut().set_retransmission_boost(talk.session, boost);
    let exchange = talk.acknowledged();
    talk.assert_due_in(exchange, 4224 + 2000 + 4224 + 15_000);
}

#[test]
fn over_tcp_and_btp_the_deadline_is_that_of_the_transport() {
    for (address, each_way) in [(PeerAddress::Tcp(3), 30_000), (PeerAddress::Link(3), 15_000)] {
        let peer = SessionParameters::default();
        let mut talk = Talk::<Heap>::over(address, Config::default(), peer);
        let (exchange, _) = talk.request();
        talk.assert_due_in(exchange, 2 * each_way + 2000);
        let (exchange, _) = talk.request();
        talk.net.run(2 * each_way + 1999);
        let response = answer(exchange.id().get(), false, None);
        talk.hand(&response);
        talk.net.run(100_000);
        assert_eq!(talk.count(exchange), 0, "answered at the last moment");
    }
}

fn unacknowledged<S: Storage>() {
    for idle in [false, true] {
        let peer = SessionParameters::default().with_intervals(5000, 300, 300);
        let mut talk = Talk::<S>::over(udp(7), Config::default(), peer);
        if idle {
            talk.net.run(300);
        }
        let (exchange, _) = talk.request();
        talk.net.run(200_000);
        assert!(talk.net.nodes[0].undelivered(exchange));
        assert_eq!(talk.count(exchange), 0, "told by the other event");
        assert!(talk.net.nodes[0].manager.session(talk.session).unwrap().is_defunct());
    }
}

#[test]
fn a_request_that_is_not_even_acknowledged_is_undelivered_and_makes_the_session_defunct() {
    unacknowledged::<Heap>();
    unacknowledged::<Small>();
}

#[test]
fn a_session_whose_peer_acknowledges_and_does_not_respond_is_not_defunct() {
    let mut talk = Talk::<Heap>::new(Config::default());
    let exchange = talk.acknowledged();
    talk.net.run(20_000);
    assert_eq!(talk.count(exchange), 1);
    assert!(!talk.net.nodes[0].manager.session(talk.session).unwrap().is_defunct());
    let peer = Peer::new(index(1), NodeId::new(5));
    assert_eq!(talk.net.nodes[0].manager.session_with(peer), Some(talk.session));
}

/// The peer sleeps after its threshold, so that retransmissions take longer than the plan.
#[test]
fn a_request_that_arrives_late_leaves_its_peer_the_whole_time_for_the_response() {
    let peer = SessionParameters::default().with_intervals(15_000, 300, 300);
    let mut talk = Talk::<Heap>::over(udp(7), Config::default(), peer);
    let (exchange, request) = talk.request();
    talk.net.run(30_000);
    let is_end = |event: &Event<u32>| !matches!(event, Event::PeerSilent { .. });
    assert!(!talk.net.nodes[0].events.iter().any(is_end), "it is still in flight");
    talk.acknowledge(exchange, request);
    let own = u64::try_from(five_transmissions(300, 300)).unwrap();
    talk.assert_due_in(exchange, 2000 + own);
}

fn rounds<S: Storage>() {
    let mut talk = Talk::<S>::new(Config::default());
    let mut due = talk.both_ways() + 2000;
    let mut exchange = talk.acknowledged();
    let id = |exchange: ExchangeHandle| exchange.id().get();
    for round in 0..4 {
        talk.net.run(due - 1);
        // A response of several messages: each is answered but the last.
        let response = answer(id(exchange), round % 2 == 0, None);
        talk.hand(&response);
        talk.net.run(5);
        assert_eq!(talk.count(exchange), 0, "{round}");
        let since = talk.net.sent.len();
        due = talk.both_ways() + 2000;
        talk.net.answer(0, exchange, 3);
        talk.net.pump();
        let request = talk.twin.read_all(&talk.net, since).pop().unwrap().counter;
        talk.acknowledge(exchange, request);
    }
    talk.assert_due_in(exchange, due);
    // The response acknowledges the request.
    let request;
    (exchange, request) = talk.request();
    let response = answer(id(exchange), false, Some(request));
    talk.hand(&response);
    talk.net.run(100_000);
    assert_eq!(talk.count(exchange), 0);
}

#[test]
fn each_message_of_the_peer_ends_the_deadline_and_each_request_begins_another() {
    rounds::<Heap>();
    rounds::<Small>();
}

#[test]
fn a_message_that_does_not_acknowledge_the_request_is_no_response_to_it() {
    let mut talk = Talk::<Heap>::new(Config::default());
    let due = talk.both_ways() + 2000;
    let (exchange, request) = talk.request();
    let id = exchange.id().get();
    talk.hand(&answer(id, false, None));
    talk.net.run(100);
    talk.acknowledge(exchange, request);
    talk.assert_due_in(exchange, due - 100);
}

/// Acknowledgements, duplicates, and handshake messages, which are not for the application.
#[test]
fn nothing_but_a_message_for_the_application_is_a_response() {
    let mut talk = Talk::<Heap>::new(Config::default());
    let due = talk.both_ways() + 2000;
    let (first, request) = talk.request();
    let id = |exchange: ExchangeHandle| exchange.id().get();
    let response = talk.twin.seal(&answer(id(first), true, Some(request))).0;
    talk.net.hand(0, udp(7), &response).unwrap();
    // The next request on it.
    let since = talk.net.sent.len();
    talk.net.answer(0, first, 3);
    talk.net.pump();
    let request = talk.twin.read_all(&talk.net, since).pop().unwrap().counter;
    talk.acknowledge(first, request);
    for _ in 0..5 {
        talk.net.run(100);
        talk.net.hand(0, udp(7), &response).unwrap();
        let bare = bare(answer(id(first), false, Some(request)));
        talk.hand(&bare);
        let sigma1 = ProtocolHeader { opcode: 0x30, ..bare };
        let sigma1 = talk.twin.seal(&sigma1).0;
        assert!(talk.net.hand(0, udp(7), &sigma1).is_err());
    }
    talk.assert_due_in(first, due - 500);
}

fn after<S: Storage>() {
    let mut talk = Talk::<S>::new(Config::default());
    for last_moment in [false, true] {
        let due = talk.both_ways() + 2000;
        let exchange = talk.acknowledged();
        talk.net.run(due);
        assert_eq!(talk.count(exchange), 1);
        talk.net.run(299_999);
        assert_eq!(expired(&talk.net, exchange), 0);
        if last_moment {
            let got = talk.net.node(0).got.len();
            talk.hand(&answer(exchange.id().get(), false, None));
            assert_eq!(talk.net.node(0).got.len(), got + 1, "a late response is received");
            talk.net.close_exchange(0, exchange);
        } else {
            talk.net.run(1);
            assert_eq!(expired(&talk.net, exchange), 1);
            let sent =
                talk.net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 3), b"x"));
            assert_eq!(sent, Err(SendError::Closed));
        }
        assert_eq!(talk.count(exchange), 1);
    }
    talk.net.assert_clean();
}

#[test]
fn a_late_response_is_received_until_the_exchange_expires_five_minutes_later() {
    after::<Heap>();
    after::<Small>();
}

fn each_request<S: Storage>() {
    let mut talk = Talk::<S>::new(Config::default());
    for processing in [0, 500, 60_000, 1_000_000] {
        // Before it is acknowledged, or afterwards.
        for acknowledged in [true, false] {
            let due = talk.both_ways() + processing;
            let (exchange, request) = talk.request();
            if acknowledged {
                talk.acknowledge(exchange, request);
            }
            let due = if acknowledged { talk.both_ways() + processing } else { due };
            assert!(talk.expect(exchange, Duration::from_millis(processing)));
            if !acknowledged {
                talk.acknowledge(exchange, request);
            }
            talk.assert_due_in(exchange, due);
            talk.net.close_exchange(0, exchange);
        }
    }
    // No deadline: the exchange ends by its lifetime.
    let exchange = talk.acknowledged();
    assert!(talk.expect(exchange, Duration::MAX));
    talk.net.run(299_999);
    assert_eq!(talk.count(exchange) + expired(&talk.net, exchange), 0);
    talk.net.run(1);
    assert_eq!((talk.count(exchange), expired(&talk.net, exchange)), (0, 1));
    assert!(!talk.expect(exchange, MINUTE), "it is closed");
    let without = Config::default().with_processing_time(Duration::MAX);
    let mut talk = Talk::<S>::new(without);
    let exchange = talk.acknowledged();
    talk.net.run(100_000);
    assert_eq!(talk.count(exchange), 0);
    let due = talk.both_ways() + 60_000;
    assert!(talk.expect(exchange, MINUTE));
    talk.assert_due_in(exchange, due);
    talk.net.assert_clean();
}

#[test]
fn the_application_sets_the_time_for_a_request_and_may_set_none() {
    each_request::<Heap>();
    each_request::<Small>();
}

#[test]
fn the_application_may_wait_again_and_again_while_the_peer_is_there() {
    let mut talk = Talk::<Heap>::new(Config::default());
    let exchange = talk.acknowledged();
    talk.net.run(20_000);
    assert_eq!(talk.count(exchange), 1);
    // Longer than any exchange is kept that is idle.
    for round in 0..10 {
        talk.net.node(0).events.clear();
        let due = talk.both_ways() + 60_000;
        assert!(talk.expect(exchange, MINUTE), "{round}");
        talk.net.run(due - 1);
        assert_eq!(talk.count(exchange), 0);
        talk.net.run(1);
        assert_eq!(talk.count(exchange), 1);
    }
    let got = talk.net.node(0).got.len();
    talk.hand(&answer(exchange.id().get(), false, None));
    assert_eq!(talk.net.node(0).got.len(), got + 1);
}

#[test]
fn on_an_exchange_of_the_peer_only_what_the_application_asks_for_is_waited_for() {
    let mut talk = Talk::<Heap>::new(Config::default());
    for asks in [false, true] {
        let id = 9 + u16::from(asks);
        talk.hand(&header(id, false, None));
        let theirs = talk.net.node(0).got.last().unwrap().exchange;
        let since = talk.net.sent.len();
        talk.net.answer(0, theirs, 3);
        talk.net.pump();
        let sent = talk.twin.read_all(&talk.net, since).pop().unwrap().counter;
        talk.hand(&bare(header(id, false, Some(sent))));
        if asks {
            let due = talk.both_ways() + 60_000;
            assert!(talk.expect(theirs, MINUTE));
            talk.assert_due_in(theirs, due);
        } else {
            talk.net.run(100_000);
            assert_eq!(talk.count(theirs), 0);
        }
    }
}

/// The application waits, and sends something before that is over: the time begins anew then.
#[test]
fn on_an_exchange_of_the_peer_what_is_sent_meanwhile_begins_the_time_anew() {
    let mut talk = Talk::<Heap>::new(Config::default());
    talk.hand(&header(9, false, None));
    let theirs = talk.net.node(0).got.last().unwrap().exchange;
    assert!(talk.expect(theirs, MINUTE));
    talk.net.run(5_000);
    let since = talk.net.sent.len();
    let due = talk.both_ways() + 60_000;
    talk.net.answer(0, theirs, 3);
    talk.net.pump();
    let sent = talk.twin.read_all(&talk.net, since).pop().unwrap().counter;
    talk.hand(&bare(header(9, false, Some(sent))));
    talk.assert_due_in(theirs, due);
}

#[test]
fn a_closed_exchange_and_one_that_nothing_was_sent_on_wait_for_nothing() {
    let mut talk = Talk::<Heap>::new(Config::default());
    let session = talk.session;
    let unused = talk.net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
    let mut buf = [0; 100];
    talk.net.call(0, |m, cx| {
        m.send_unreliable(cx, unused, MessageType::new(IM, 2), b"once", &mut buf).unwrap();
    });
    let (in_flight, request) = talk.request();
    talk.net.close_exchange(0, in_flight);
    talk.acknowledge(in_flight, request);
    let acknowledged = talk.acknowledged();
    talk.net.close_exchange(0, acknowledged);
    assert!(!talk.expect(acknowledged, MINUTE));
    talk.net.run(100_000);
    for exchange in [unused, in_flight, acknowledged] {
        assert_eq!(talk.count(exchange), 0);
    }
    let due = talk.both_ways() + 60_000;
    assert!(talk.expect(unused, MINUTE), "what was sent once can be waited for");
    talk.assert_due_in(unused, due);
}

/// No event is lost: a deadline is put off while too many events wait.
#[test]
fn a_deadline_that_passes_while_events_are_not_polled_is_told_of_afterwards() {
    let config = Config::default().with_events(1).with_own_exchanges_per_session(20);
    let mut talk = Talk::<Heap>::new(config);
    let exchanges: Vec<_> = (0..20)
        .map(|_| {
            let exchange = talk.acknowledged();
            talk.net.pump();
            exchange
        })
        .collect();
    talk.net.node(0).polls = false;
    talk.net.run(60_000);
    talk.net.node(0).polls = true;
    talk.net.run(20_000);
    assert!(exchanges.iter().all(|exchange| talk.count(*exchange) == 1));
    talk.net.assert_clean();
}

#[test]
fn messages_that_are_sent_together_have_deadlines_too() {
    let mut talk = Talk::<Heap>::new(Config::default());
    let (session, payload) = (talk.session, [7; 600]);
    let exchanges: Vec<_> =
        (0..4).map(|_| talk.net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap()).collect();
    let kind = MessageType::new(IM, 2);
    let mut batch: Vec<_> =
        exchanges.iter().map(|exchange| BatchMessage::new(*exchange, kind, &payload)).collect();
    let (since, due) = (talk.net.sent.len(), talk.both_ways() + 2000);
    talk.net.call(0, |m, cx| m.send_all(cx, &mut batch));
    assert!(batch.iter().all(|message| message.result() == Some(Ok(()))));
    talk.net.pump();
    for request in talk.twin.read_all(&talk.net, since) {
        let ack = answer(request.header.exchange.get(), false, Some(request.counter));
        talk.hand(&bare(ack));
    }
    talk.net.run(due - 1);
    assert!(exchanges.iter().all(|exchange| talk.count(*exchange) == 0));
    talk.net.run(1);
    assert!(exchanges.iter().all(|exchange| talk.count(*exchange) == 1));
}

/// A message that waits, because an older one is in flight, has not been sent yet.
#[test]
fn of_a_request_that_waits_to_be_sent_no_response_is_missed() {
    let config = Config::default().with_own_exchanges_per_session(60);
    let mut talk = Talk::<Heap>::new(config);
    // The first one is not acknowledged, so that the last ones wait.
    let (first, _) = talk.request();
    let others: Vec<_> = (0..40).map(|_| talk.net.say(0, talk.session, 2)).collect();
    talk.net.pump();
    assert!(talk.twin.read_all(&talk.net, 0).len() < 41);
    let (mut since, mut ends) = (0, Vec::new());
    for _ in 0..500 {
        for request in talk.twin.read_all(&talk.net, since) {
            let id = request.header.exchange;
            if id != first.id() && !ends.iter().any(|(other, _)| *other == id) {
                ends.push((id, talk.net.now));
                talk.hand(&bare(answer(id.get(), false, Some(request.counter))));
            }
        }
        since = talk.net.sent.len();
        talk.net.run(10);
    }
    assert!(talk.net.nodes[0].undelivered(first));
    assert_eq!(ends.len(), 40);
    let last = ends.iter().map(|(_, at)| *at).max().unwrap();
    assert!(last > talk.heard - 2000, "some have waited for the first one");
    talk.net.run(20_000);
    assert!(others.iter().all(|exchange| talk.count(*exchange) == 1));
    assert_eq!(talk.count(first), 0);
}

/// One event is enough: what is not known to have arrived is waited for no longer.
#[test]
fn a_request_whose_acknowledgement_proves_nothing_is_undelivered_and_no_more() {
    let mut talk = Talk::<Heap>::new(Config::default());
    let (exchange, request) = talk.request();
    let other = talk.net.call(0, |m, cx| m.open_exchange(cx, talk.session)).unwrap();
    let mut buf = [0; 100];
    for _ in 0..40 {
        talk.net.call(0, |m, cx| {
            m.send_unreliable(cx, other, MessageType::new(IM, 2), b"once", &mut buf).unwrap();
        });
    }
    talk.acknowledge(exchange, request);
    talk.net.run(100_000);
    assert!(talk.net.nodes[0].undelivered(exchange));
    assert_eq!(talk.count(exchange), 0);
}

#[test]
fn a_session_that_ends_is_told_of_and_its_requests_are_not() {
    for in_flight in [false, true] {
        let mut talk = Talk::<Heap>::new(Config::default());
        let exchange = if in_flight { talk.request().0 } else { talk.acknowledged() };
        let session = talk.session;
        talk.net.call(0, |m, cx| m.close_session(cx, session));
        talk.net.run(100_000);
        assert_eq!(talk.net.node(0).closed().len(), 1);
        assert_eq!(talk.net.nodes[0].undelivered(exchange), in_flight);
        assert_eq!(talk.count(exchange), 0);
        assert!(!talk.expect(exchange, MINUTE));
        talk.net.assert_clean();
    }
}

/// Between two managers, with losses: every request is told of by one event, or answered.
#[test]
fn every_request_ends_in_a_response_or_in_one_event() {
    for seed in 0..40_u64 {
        let mut net = Net::<Heap>::members();
        let (a, _) = net.case(200);
        net.node(1).answers = seed % 2 == 0;
        let mut dice = crate::net::Dice::new(seed + 1);
        net.on_send(move |_| match dice.below(4) {
            0 => Fate::Lost,
            1 => Fate::Late(dice.below(3000)),
            _ => Fate::Arrives,
        });
        let exchanges: Vec<_> = (0..4).map(|_| net.say(0, a, 2)).collect();
        net.run(60_000);
        for exchange in exchanges {
            let answered = net.nodes[0].got.iter().any(|got| got.exchange == exchange);
            let undelivered = net.nodes[0].undelivered(exchange);
            let unanswered = count(&net, exchange);
            if !net.nodes[1].answers {
                assert_eq!(unanswered + usize::from(undelivered), 1, "{seed}");
            }
            assert!(answered || undelivered || unanswered == 1, "{seed}");
            assert!(!answered || unanswered == 0, "{seed}: what is answered came in time");
        }
    }
}
