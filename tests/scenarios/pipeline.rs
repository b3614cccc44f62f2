//! Many messages on one session at once, of which some are lost: what is acknowledged was
//! delivered.

use std::collections::{BTreeMap, BTreeSet};

use matter_session::ids::MessageType;
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    Config, Event, ExchangeHandle, Fixed, Heap, OpenError, SessionHandle, Storage,
};
use matter_session::wire::ProtocolHeader;

use crate::net::{Authority, Dice, Fate, IM, Net, udp};
use crate::twin::{Plan, Twin, answer, bare, header};

/// A device with sixteen exchanges, and one with five.
type Sixteen =
    Fixed<Sessions<4>, Exchanges<16>, Handshakes<2>, Fabrics<2>, Records<4>, MessageBytes<8000>>;
type Five =
    Fixed<Sessions<4>, Exchanges<5>, Handshakes<2>, Fabrics<2>, Records<4>, MessageBytes<8000>>;

/// Every message that other implementations can still tell from a duplicate has a counter that is
/// at most so much less than the largest.
const WINDOW: u32 = 32;

const REQUESTS: usize = 64;

/// Loses one datagram of five, and none more than three times: by chance alone, one of three
/// thousand messages would be lost five times, and rightly reported as undelivered.
fn lossy<S: Storage>(net: &mut Net<S>, seed: u64) {
    let (mut dice, mut lost) = (Dice::new(seed), BTreeMap::<Vec<u8>, u32>::new());
    net.on_send(move |sent| {
        let times = lost.entry(sent.octets.clone()).or_default();
        if dice.below(5) > 0 || *times == 3 {
            return Fate::Late(5);
        }
        *times += 1;
        Fate::Lost
    });
}

/// An application that has requests to make, opens as many exchanges as it may, and closes each
/// when the response has come.
struct Client {
    session: SessionHandle,
    waiting: Vec<u8>,
    begun: BTreeMap<u8, ExchangeHandle>,
    /// How many messages were read that the node got.
    read: usize,
}

impl Client {
    fn new(session: SessionHandle, requests: usize) -> Self {
        let waiting = (0..requests as u8).rev().collect();
        Self { session, waiting, begun: BTreeMap::new(), read: 0 }
    }

    fn act<S: Storage>(&mut self, net: &mut Net<S>) {
        close_answered(net, 0, &mut self.read);
        while let Some(&next) = self.waiting.last() {
            let session = self.session;
            let sent = net.call(0, |m, cx| {
                let exchange = m.open_exchange(cx, session).ok()?;
                m.send(cx, exchange, MessageType::new(IM, 2), &[next]).ok()?;
                Some(exchange)
            });
            let Some(exchange) = sent else { return };
            self.waiting.pop();
            self.begun.insert(next, exchange);
        }
    }
}

/// Closes the exchanges of the messages that a node has got since.
fn close_answered<S: Storage>(net: &mut Net<S>, n: usize, read: &mut usize) {
    let node = net.node(n);
    for got in &node.got[*read..] {
        node.manager.close_exchange(got.exchange);
    }
    *read = node.got.len();
}

/// Runs requests from node 0 to node 1. Returns which were delivered, and which were acknowledged.
fn requests<S: Storage>(own: usize, seed: u64) -> (BTreeSet<u8>, BTreeSet<u8>) {
    let client = Config::default().with_own_exchanges_per_session(own);
    let mut net = Net::<S>::stored(vec![(udp(1), client), (udp(2), Config::default())]);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    let (a, _) = net.case(200);
    net.node(1).answers = true;
    lossy(&mut net, seed);
    let (mut client, mut read) = (Client::new(a, REQUESTS), 0);
    let ends = net.now + 60_000;
    while net.now < ends {
        client.act(&mut net);
        net.run(5);
        close_answered(&mut net, 1, &mut read);
    }
    assert!(client.waiting.is_empty());
    let delivered: Vec<u8> = net.node(1).got.iter().map(|got| got.payload[0]).collect();
    let once: BTreeSet<u8> = delivered.iter().copied().collect();
    assert_eq!(once.len(), delivered.len(), "delivered once");
    let of = |told: &dyn Fn(ExchangeHandle) -> bool| {
        client.begun.iter().filter(|(_, e)| told(**e)).map(|(n, _)| *n).collect::<BTreeSet<_>>()
    };
    let acknowledged = of(&|exchange| net.nodes[0].acknowledged(exchange));
    let undelivered = of(&|exchange| net.nodes[0].undelivered(exchange));
    assert!(acknowledged.is_disjoint(&undelivered));
    assert_eq!(acknowledged.len() + undelivered.len(), REQUESTS, "each is told of");
    for node in 0..2 {
        for exchange in client.begun.values() {
            net.node(node).manager.close_exchange(*exchange);
        }
    }
    net.assert_clean();
    (once, acknowledged)
}

fn all_arrive<S: Storage>(name: &str, own: &[usize], least: usize) {
    for &own in own {
        for seed in 0..3 {
            let what = format!("{name}, {own} at once, seed {seed}");
            let (delivered, acknowledged) = requests::<S>(own, seed);
            let lost: Vec<_> = acknowledged.difference(&delivered).collect();
            assert!(lost.is_empty(), "{what}: acknowledged, lost: {lost:?}");
            assert!(delivered.len() >= least, "{what}: {}", delivered.len());
        }
    }
}

/// A peer with few places can refuse a message each time that it comes, where its other transmissions
/// are lost: a place is held until the acknowledgement of the answer arrives, and a request that is
/// sent for the first time may come first when the place is free. Such a message is reported as
/// undelivered. With a place to spare none is.
#[test]
fn all_of_64_requests_arrive_from_this_node_however_many_it_may_begin_at_once() {
    all_arrive::<Heap>("heap", &[1, 5, 16, 40, 64], REQUESTS);
    all_arrive::<Sixteen>("16 exchanges", &[1, 5], REQUESTS);
    all_arrive::<Sixteen>("16 exchanges", &[16], REQUESTS - 1);
    all_arrive::<Five>("5 exchanges", &[1, 3], REQUESTS);
    all_arrive::<Five>("5 exchanges", &[5], REQUESTS - 2);
}

/// What the peer's window of 32 needs, at the peer: a message in flight is never repeated behind
/// it, and none is begun that would put one there.
#[test]
fn no_message_in_flight_falls_behind_a_window_of_32() {
    for own in [5, 64] {
        let config = Config::default().with_own_exchanges_per_session(own);
        let mut net = Net::<Heap>::stored(vec![(udp(1), config)]);
        let (session, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
        let mut client = Client::new(session, 200);
        let (mut seen, mut largest, mut unanswered) = (0, 0, BTreeSet::new());
        for _ in 0..4000 {
            client.act(&mut net);
            net.run(5);
            let read = twin.read_all(&net, seen);
            seen = net.sent.len();
            for message in read {
                largest = largest.max(message.counter);
                assert!(largest - message.counter <= WINDOW, "{own}: {}", message.counter);
                // Each seventh message gets through at its third transmission only.
                let lost = message.payload.first().is_some_and(|n| n % 7 == 0);
                let third = !unanswered.insert((message.counter, 1))
                    && !unanswered.insert((message.counter, 2));
                if message.header.needs_ack && (!lost || third) {
                    let header = answer(message.header.exchange.get(), true, Some(message.counter));
                    let octets = twin.seal(&ProtocolHeader { opcode: 3, ..header }).0;
                    let _ = net.hand(0, udp(7), &octets);
                }
            }
        }
        assert!(client.waiting.is_empty(), "{own}: {} wait", client.waiting.len());
        assert!(client.begun.values().all(|exchange| net.node(0).acknowledged(*exchange)));
        net.assert_clean();
    }
}

/// A sender as connectedhomeip is one: it begins 40 exchanges at once, repeats what is not
/// acknowledged, acknowledges each response at once, and looks at no window.
struct Controller {
    twin: Twin,
    /// The requests by exchange: octets, counter, when they are sent next, how often they were.
    flights: BTreeMap<u16, (Vec<u8>, u32, u64, u32)>,
    read: usize,
    /// Those that were acknowledged.
    done: BTreeSet<u16>,
}

impl Controller {
    fn act<S: Storage>(&mut self, net: &mut Net<S>, dice: &mut Dice) {
        for message in self.twin.read_all(net, self.read) {
            if dice.below(5) == 0 {
                continue;
            }
            let id = message.header.exchange.get();
            if self.flights.get(&id).is_some_and(|flight| message.acknowledges(flight.1)) {
                self.flights.remove(&id);
                self.done.insert(id);
            }
            if message.header.needs_ack {
                let ack = bare(header(id, false, Some(message.counter)));
                let octets = self.twin.seal(&ack).0;
                if dice.below(5) != 0 {
                    let _ = net.hand(0, udp(7), &octets);
                }
            }
        }
        self.read = net.sent.len();
        for (octets, _, next, sent) in self.flights.values_mut() {
            if net.now >= *next && *sent < 5 {
                *next = net.now + [330, 330, 528, 844, 1351][*sent as usize];
                *sent += 1;
                if dice.below(5) != 0 {
                    let _ = net.hand(0, udp(7), octets);
                }
            }
        }
    }
}

/// How many of so many requests are delivered, how many acknowledged ones are not.
fn controller<S: Storage>(requests: u16, seed: u64) -> (usize, usize) {
    let mut net = Net::<S>::stored(vec![(udp(1), Config::default())]);
    net.node(0).answers = true;
    let (_, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    let mut flights = BTreeMap::new();
    for id in 0..requests {
        let (octets, counter) = twin.seal(&header(id, true, None));
        flights.insert(id, (octets, counter, net.now, 0));
    }
    let mut controller = Controller { twin, flights, read: 0, done: BTreeSet::new() };
    let (mut dice, mut read) = (Dice::new(seed), 0);
    for _ in 0..2000 {
        controller.act(&mut net, &mut dice);
        close_answered(&mut net, 0, &mut read);
        net.run(5);
    }
    let delivered: BTreeSet<u16> =
        net.node(0).got.iter().map(|got| got.exchange.id().get()).collect();
    assert_eq!(net.node(0).got.len(), delivered.len(), "delivered once");
    (delivered.len(), controller.done.difference(&delivered).count())
}

fn nothing_acknowledged_is_lost<S: Storage>(name: &str) {
    for requests in [40, 64] {
        let (mut delivered, mut lost) = (0, 0);
        for seed in 0..8 {
            let (arrived, acknowledged) = controller::<S>(requests, seed);
            delivered += arrived;
            lost += acknowledged;
        }
        println!("{name}: {delivered} of {} arrive, {lost} lost", 8 * u32::from(requests));
        assert_eq!(lost, 0, "{name}, {requests}: acknowledged and not delivered");
    }
}

#[test]
fn of_40_requests_of_a_controller_at_once_none_is_acknowledged_that_is_not_delivered() {
    nothing_acknowledged_is_lost::<Heap>("heap");
    nothing_acknowledged_is_lost::<Sixteen>("16 exchanges");
    nothing_acknowledged_is_lost::<Five>("5 exchanges");
}

/// How often the application was told that it can open an exchange on a session.
fn told<S: Storage>(net: &Net<S>, session: SessionHandle) -> usize {
    let available = |event: &&Event<u32>| matches!(event, Event::ExchangeAvailable { session: s, .. } if *s == session);
    net.nodes[0].events.iter().filter(available).count()
}

#[test]
fn a_node_begins_five_exchanges_on_a_session_and_is_told_of_the_next_place_once() {
    let mut net = Net::<Heap>::stored(vec![(udp(1), Config::default())]);
    let (session, _twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    let (other, _) = Plan::case(1, 6, udp(8)).begin(&mut net, 0).unwrap();
    let open = |net: &mut Net, session| net.call(0, |m, cx| m.open_exchange(cx, session));
    let mut own: Vec<_> = (0..5).map(|_| open(&mut net, session).unwrap()).collect();
    for _ in 0..3 {
        assert_eq!(open(&mut net, session), Err(OpenError::SessionFull));
    }
    open(&mut net, other).unwrap();
    net.pump();
    assert_eq!(told(&net, session), 0, "while there is none");
    for times in 1..=3 {
        net.close_exchange(0, own.pop().unwrap());
        net.pump();
        assert_eq!(told(&net, session), 1, "once, {times}");
    }
    own.extend((0..3).map(|_| open(&mut net, session).unwrap()));
    assert_eq!(open(&mut net, session), Err(OpenError::SessionFull));
    // One that has a message in flight takes its place until it is acknowledged or given up.
    let exchange = own[0];
    net.answer(0, exchange, 2);
    net.close_exchange(0, exchange);
    net.pump();
    assert_eq!(told(&net, session), 1);
    net.run(20_000);
    assert_eq!(told(&net, session), 2);
    assert_eq!(told(&net, other), 0);
}

/// The table of all sessions can be full before a session has its five.
#[test]
fn a_session_on_which_the_full_table_refused_an_exchange_is_told_of_the_next_place() {
    let config = Config::default().with_exchanges(4);
    let mut net = Net::<Heap>::stored(vec![(udp(1), config)]);
    let sessions: Vec<_> =
        (5..8).map(|peer| Plan::case(1, peer, udp(7)).begin(&mut net, 0).unwrap().0).collect();
    let open = |net: &mut Net, session| net.call(0, |m, cx| m.open_exchange(cx, session));
    let own: Vec<_> = (0..3).map(|_| open(&mut net, sessions[0]).unwrap()).collect();
    assert_eq!(open(&mut net, sessions[1]), Err(OpenError::TooMany));
    assert_eq!(open(&mut net, sessions[2]), Err(OpenError::TooMany));
    // One that ends is told of no more.
    net.call(0, |m, cx| m.close_session(cx, sessions[1]));
    net.pump();
    net.close_exchange(0, own[0]);
    net.pump();
    assert_eq!([0, 1, 2].map(|n| told(&net, sessions[n])), [0, 0, 1]);
    open(&mut net, sessions[2]).unwrap();
}
