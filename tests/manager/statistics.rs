//! The counters of a manager, beside what the network and the application have seen.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use matter_session::ids::LocalSessionId;
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    Config, Dropped, Event, ExchangeHandle, Fixed, Heap, Histogram, Statistics, Storage,
};

use crate::net::{Authority, Dice, Fate, Net, PASSCODE, udp};

type Device =
    Fixed<Sessions<4>, Exchanges<8>, Handshakes<4>, Fabrics<1>, Records<4>, MessageBytes<5120>>;

/// What the network has seen of a node.
#[derive(Default)]
struct Seen {
    sent: BTreeSet<Vec<u8>>,
    repetitions: u32,
    arrived: BTreeSet<Vec<u8>>,
    arrivals: u32,
}

/// What the application has seen of a node.
#[derive(Default)]
struct Told {
    begun: BTreeMap<ExchangeHandle, u64>,
    times: Vec<u64>,
    undelivered: u32,
    established: u32,
    failed: u32,
}

impl Told {
    fn take<S: Storage>(&mut self, net: &mut Net<S>, n: usize) {
        let now = net.now;
        for event in net.node(n).events.drain(..) {
            match event {
                Event::Acknowledged { exchange, .. } => {
                    self.times.push(now - self.begun.remove(&exchange).unwrap());
                }
                Event::Undelivered { .. } => self.undelivered += 1,
                Event::Established { .. } => self.established += 1,
                Event::HandshakeFailed { .. } => self.failed += 1,
                _ => {}
            }
        }
    }
}

/// The classes of times as `Histogram` describes them.
fn classes(times: &[u64]) -> Vec<(Option<u32>, u32)> {
    let mut from = 0;
    let class = |n: u32| {
        let limit = (n < 11).then(|| 8 << n);
        let below = |time: u64| limit.is_none_or(|limit: u32| time < limit.into());
        let count = times.iter().filter(|time| **time >= from && below(**time)).count() as u32;
        from = limit.unwrap_or(0).into();
        (limit, count)
    };
    (0..Histogram::LEN as u32).map(class).collect()
}

fn outcomes(statistics: &Statistics) -> (u32, u32) {
    let handshakes = &statistics.handshakes;
    let established = handshakes.pase + handshakes.case + handshakes.resumed;
    let all: u32 = handshakes.iter().map(|(_, count)| count).sum();
    (established, all - established)
}

/// Two nodes of one fabric.
fn two_members<S: Storage>() -> Net<S> {
    let nodes = [1, 2].map(|port| (udp(port), Config::default()));
    let mut net = Net::<S>::stored(nodes.into());
    let mut authority = Authority::new(1, false);
    let _ = [100, 200].map(|node| authority.join(&mut net, (node / 100 - 1) as usize, node));
    net
}

/// Makes a network of two nodes lose, repeat and delay, and notes what it sees.
fn watch<S: Storage>(net: &mut Net<S>, seed: u64) -> Rc<RefCell<[Seen; 2]>> {
    let seen = Rc::new(RefCell::new([Seen::default(), Seen::default()]));
    let (noted, mut dice) = (Rc::clone(&seen), Dice::new(seed));
    net.on_send(move |datagram| {
        let from = usize::from(datagram.from == udp(2));
        let mut seen = noted.borrow_mut();
        let is_new = seen[from].sent.insert(datagram.octets.clone());
        seen[from].repetitions += u32::from(!is_new);
        let (copies, fate) = match dice.below(8) {
            0 | 1 => (0, Fate::Lost),
            2 => (2, Fate::Copies(2, dice.below(50))),
            3 => (1, Fate::Late(dice.below(300))),
            _ => (1, Fate::Arrives),
        };
        if copies > 0 {
            seen[1 - from].arrived.insert(datagram.octets.clone());
        }
        seen[1 - from].arrivals += copies;
        fate
    });
    seen
}

/// Has two nodes talk, until nothing is on its way. Returns what their applications have seen.
fn talk<S: Storage>(net: &mut Net<S>, seed: u64) -> [Told; 2] {
    let mut told = [Told::default(), Told::default()];
    let mut dice = Dice::new(seed);
    for round in 0..=40 {
        let n = dice.below(2) as usize;
        let session = net.nodes[n].manager.sessions().iter().next().map(|s| s.handle());
        let open = net.nodes[n].manager.sessions().exchange_count();
        match session {
            // The last messages arrive or are given up.
            _ if round == 40 => {}
            Some(session) if dice.below(10) > 0 && open < 2 => {
                let exchange = net.say(n, session, 1);
                told[n].begun.insert(exchange, net.now);
                net.close_exchange(n, exchange);
            }
            None => net.dial_case(0, 1, 1, 200),
            Some(_) => {}
        }
        for _ in 0..if round < 40 { dice.below(1200) } else { 15_000 } {
            net.run(1);
            for n in 0..2 {
                for got in core::mem::take(&mut net.node(n).got) {
                    net.close_exchange(n, got.exchange);
                }
            }
            // Within the same millisecond.
            net.pump();
            for (n, told) in told.iter_mut().enumerate() {
                told.take(net, n);
            }
        }
    }
    net.run(100_000);
    for (n, told) in told.iter_mut().enumerate() {
        let before = told.times.len();
        told.take(net, n);
        assert_eq!(told.times.len(), before, "nothing was on its way so long");
    }
    told
}

fn agrees_with_the_network<S: Storage>(seed: u64) {
    let mut net = two_members::<S>();
    let seen = watch(&mut net, seed);
    let told = talk(&mut net, seed + 1);
    for (n, told) in told.iter().enumerate() {
        let statistics = net.nodes[n].manager.statistics();
        let seen = &seen.borrow()[n];
        assert_eq!(statistics.sent, seen.sent.len() as u32);
        assert_eq!(statistics.retransmissions, seen.repetitions);
        assert!(statistics.sent > 20 && statistics.retransmissions > 0, "{statistics}");
        // Each datagram counts once, and is new once.
        let dropped = net.nodes[n].dropped.len() as u32;
        assert_eq!(statistics.dropped_in_all(), u64::from(dropped));
        for (name, count) in statistics.drops() {
            let reasons = net.nodes[n].dropped.iter().map(|reason| reason.name());
            assert_eq!(count, reasons.filter(|reason| *reason == name).count() as u32, "{name}");
        }
        assert_eq!(statistics.received + statistics.duplicates + dropped, seen.arrivals);
        assert!(statistics.received <= seen.arrived.len() as u32);
        assert!(statistics.received + dropped >= seen.arrived.len() as u32);
        assert!(statistics.duplicates > 0, "{statistics}");
        assert_eq!(statistics.given_up, told.undelivered);
        assert_eq!(statistics.acknowledged.iter().collect::<Vec<_>>(), classes(&told.times));
        assert_eq!(outcomes(statistics), (told.established, told.failed));
        assert_eq!(statistics.handshakes.total.count(), told.established);
    }
}

fn a_session_agrees_with_the_network<S: Storage>(seed: u64) {
    let mut net = two_members::<S>();
    net.dial_case(0, 1, 1, 200);
    net.settle();
    let session = |net: &Net<S>, n: usize| {
        let sessions = net.nodes[n].manager.sessions();
        assert_eq!(sessions.iter().count(), 1);
        *sessions.iter().next().unwrap().statistics()
    };
    let before = [0, 1].map(|n| session(&net, n));
    assert_eq!(before.map(|before| before.acknowledged.mean()), [None; 2]);
    let seen = watch(&mut net, seed);
    let told = talk(&mut net, seed + 1);
    for (n, told) in told.iter().enumerate() {
        let (seen, counted, before) = (&seen.borrow()[n], session(&net, n), before[n]);
        assert_eq!(counted.sent - before.sent, seen.sent.len() as u32);
        assert_eq!(counted.retransmissions - before.retransmissions, seen.repetitions);
        assert_eq!(counted.received - before.received, seen.arrived.len() as u32);
        let again = seen.arrivals - seen.arrived.len() as u32;
        assert_eq!(counted.duplicates - before.duplicates, again);
        assert_eq!(counted.given_up, told.undelivered);
        assert!(seen.repetitions > 0 && again > 0);
        let (times, latency) = (&told.times, counted.acknowledged);
        let mean = times.iter().sum::<u64>() / times.len() as u64;
        assert_eq!(
            [latency.shortest(), latency.mean(), latency.longest()],
            [*times.iter().min().unwrap(), mean, *times.iter().max().unwrap()]
                .map(|time| Some(Duration::from_millis(time)))
        );
    }
}

#[test]
fn every_count_of_a_session_is_what_the_network_and_the_application_have_seen() {
    for seed in 0..3 {
        a_session_agrees_with_the_network::<Heap>(seed);
        a_session_agrees_with_the_network::<Device>(seed);
    }
}

#[test]
fn every_count_is_what_the_network_and_the_application_have_seen() {
    for seed in 0..3 {
        agrees_with_the_network::<Heap>(seed);
        agrees_with_the_network::<Device>(seed);
    }
}

fn count(net: &Net, n: usize) -> Statistics {
    net.nodes[n].manager.statistics().clone()
}

#[test]
fn handshakes_count_by_how_they_end() {
    let mut net = Net::members();
    net.case(200);
    net.case(200);
    for n in 0..2 {
        let handshakes = count(&net, n).handshakes;
        assert_eq!((handshakes.case, handshakes.resumed, handshakes.pase), (1, 1, 0));
    }
    net.open_window(1);
    net.dial_pase(0, 1, 20_202_022);
    net.settle();
    net.dial_pase(0, 1, PASSCODE);
    net.settle();
    let [a, b] = [0, 1].map(|n| count(&net, n).handshakes);
    assert_eq!((a.pase, a.unproven, a.refused), (1, 1, 0));
    assert_eq!((b.pase, b.unproven + b.refused), (1, 1));
    net.dial_case(0, 1, 1, 300);
    net.settle();
    assert_eq!(count(&net, 0).handshakes.refused, 1, "no such node");
    net.cut();
    net.dial_case(0, 1, 1, 200);
    net.run(70_000);
    assert_eq!(count(&net, 0).handshakes.timed_out, 1);
    assert_eq!(outcomes(&count(&net, 0)), (3, 3));
}

/// The responder's key takes 100 ms to sign, and each datagram 20 ms.
#[test]
fn handshakes_tell_how_long_they_waited_for_whom() {
    let mut net = Net::members();
    net.on_send(|_| Fate::Late(20));
    net.node(1).signs = false;
    net.dial_case(0, 1, 1, 200);
    net.run(120);
    let request = net.node(1).requests.remove(0);
    let signed = request.sign_with(net.node(1).keys.values_mut().next().unwrap());
    net.call(1, |m, cx| m.complete_signature(cx, signed)).unwrap();
    net.run(1000);
    let [a, b] = [0, 1].map(|n| count(&net, n).handshakes);
    // 140 ms to Sigma2 and 40 ms to the report; the own key signs at once.
    assert_eq!(a.peer.iter().collect::<Vec<_>>(), classes(&[140, 40]));
    assert_eq!(a.application.iter().collect::<Vec<_>>(), classes(&[0]));
    assert_eq!(a.total.iter().collect::<Vec<_>>(), classes(&[180]));
    // From Sigma2 to Sigma3.
    assert_eq!(b.peer.iter().collect::<Vec<_>>(), classes(&[40]));
    assert_eq!(b.application.iter().collect::<Vec<_>>(), classes(&[100]));
    assert_eq!(b.total.iter().collect::<Vec<_>>(), classes(&[140]));
}

#[test]
fn evictions_count_by_what_was_full() {
    let config = Config::default()
        .with_sessions(3)
        .with_sessions_per_peer(2)
        .with_records(1, Duration::from_secs(3600));
    let config = config.with_less_than_specified();
    let mut net = Net::with((1..=4).map(|port| (udp(port), config.clone())).collect());
    let mut authority = Authority::new(1, false);
    for n in 0..4 {
        authority.join(&mut net, n, 100 * (n as u64 + 1));
    }
    let connect = |net: &mut Net, peer: usize| {
        net.dial_case(0, peer, 1, 100 * (peer as u64 + 1));
        net.run(1000);
    };
    for _ in 0..3 {
        connect(&mut net, 1);
    }
    let evicted = count(&net, 0).evicted;
    assert_eq!((evicted.sessions_of_peer, evicted.sessions, evicted.records), (1, 0, 0));
    connect(&mut net, 2);
    connect(&mut net, 3);
    let evicted = count(&net, 0).evicted;
    assert_eq!((evicted.sessions_of_peer, evicted.sessions, evicted.records), (1, 1, 2));
    assert_eq!(evicted.iter().map(|(_, count)| count).sum::<u32>(), 4);
}

#[test]
fn statistics_are_readable() {
    let (mut net, a, _) = Net::with_case();
    net.say(0, a, 2);
    net.settle();
    let _ = net.hand(1, udp(1), &[0; 3]);
    let text = count(&net, 1).to_string();
    for line in ["received: ", "sent: ", "dropped, Malformed: 1\n", "handshakes, case: 1\n"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("evicted") && !text.contains(": 0\n"), "{text}");
    let text = format!("{:?}", count(&net, 1));
    assert!(text.contains("dropped: {\"Malformed\": 1}"), "{text}");
    let text = count(&net, 0).to_string();
    assert!(text.contains("acknowledged: <"), "{text}");
    let id = LocalSessionId::new(7).unwrap();
    assert_eq!(Dropped::UnknownSession(id).to_string(), "unknown session 7");
}
