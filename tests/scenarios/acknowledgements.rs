//! Acknowledgements: which count, and how often each leaves.

use std::collections::{BTreeMap, BTreeSet};

use matter_session::ids::MessageType;
use matter_session::ids::Peer;
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};

use matter_session::manager::{
    Config, Dropped, ExchangeHandle, Fixed, SendError, SessionHandle, Storage,
};

use crate::net::{Authority, Fate, IM, Net, index, udp};
use crate::twin::{Plan, Twin, answer, bare, header};

/// Whatever was sent again was the same: no counter stands before different octets.
fn assert_sealed_once<S: Storage>(net: &Net<S>) {
    let mut sealed = BTreeMap::new();
    for sent in net.sent.iter().filter(|sent| sent.octets[1..3] != [0, 0]) {
        let name = (sent.from, sent.to, sent.octets[1..8].to_vec());
        let first = sealed.entry(name).or_insert(&sent.octets);
        assert_eq!(*first, &sent.octets);
    }
}

#[test]
fn a_stale_acknowledgement_one_of_the_future_and_one_for_another_exchange_change_nothing() {
    for standalone in [true, false] {
        let mut net = Net::pair();
        let begin = |net: &mut Net, port| {
            Plan::case(1, 5, udp(port)).with_counter(100).begin(net, 0).unwrap()
        };
        let (first, mut twin) = begin(&mut net, 7);
        let (second, mut other) = begin(&mut net, 8);
        let exchange = net.say(0, first, 2); // counter 100
        let neighbour = net.say(0, first, 4); // counter 101
        let elsewhere = net.say(0, second, 6); // counter 100, too
        let id = exchange.id().get();
        let mut hand = |net: &mut Net, to_second: bool, header| {
            let header = if standalone { bare(header) } else { header };
            let twin = if to_second { &mut other } else { &mut twin };
            let _ = net.hand(0, twin.address, &twin.seal(&header).0);
            net.run(1);
        };
        for (name, to_second, header) in [
            ("none", false, answer(id, false, None)),
            ("stale", false, answer(id, false, Some(99))),
            ("from long ago", false, answer(id, false, Some(0))),
            ("the next", false, answer(id, false, Some(102))),
            ("the far future", false, answer(id, false, Some(u32::MAX))),
            ("of the neighbour", false, answer(id, false, Some(101))),
            ("on no exchange", false, answer(id.wrapping_add(99), false, Some(100))),
            ("in the wrong role", false, header(id, false, Some(100))),
            ("on another session", true, answer(id, false, Some(100))),
        ] {
            hand(&mut net, to_second, header);
            for (exchange, whose) in [(exchange, "own"), (neighbour, "next"), (elsewhere, "far")] {
                assert!(!net.node(0).acknowledged(exchange), "{name}, {whose}");
                let sent = net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), b"x"));
                assert_eq!(sent, Err(SendError::InFlight), "{name}, {whose}");
            }
        }
        hand(&mut net, false, answer(id, false, Some(100)));
        assert!(net.node(0).acknowledged(exchange));
        assert!(!net.node(0).acknowledged(neighbour) && !net.node(0).acknowledged(elsewhere));
        // The next message on it: the acknowledgement of the first is stale now.
        net.answer(0, exchange, 8);
        hand(&mut net, false, answer(id, false, Some(100)));
        let sent = net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), b"x"));
        assert_eq!(sent, Err(SendError::InFlight));
        net.run(20_000);
        assert!(net.node(0).undelivered(exchange) && net.node(0).undelivered(neighbour));
        assert_sealed_once(&net);
        net.assert_clean();
    }
}

#[test]
fn the_acknowledgement_that_a_duplicate_carries_is_not_looked_at() {
    let mut net = Net::pair();
    let plan = Plan::case(1, 5, udp(7)).with_counter(100);
    let (session, twin) = plan.begin(&mut net, 0).unwrap();
    let exchange = net.say(0, session, 2);
    let id = exchange.id().get();
    net.hand(0, udp(7), &twin.seal_at(9, &answer(id, false, None))).unwrap();
    net.hand(0, udp(7), &twin.seal_at(9, &answer(id, false, Some(100)))).unwrap();
    net.pump();
    assert!(!net.node(0).acknowledged(exchange));
    net.hand(0, udp(7), &twin.seal_at(10, &answer(id, false, Some(100)))).unwrap();
    net.pump();
    assert!(net.node(0).acknowledged(exchange));
    net.assert_clean();
}

#[test]
fn lost_acknowledgements_heal_and_every_repetition_has_the_octets_of_the_first() {
    for lost in 0..=4 {
        let (mut net, a, _) = Net::with_case();
        net.node(1).answers = true;
        let mut left = lost;
        net.on_send(move |sent| {
            let lose = sent.from == udp(2) && left > 0;
            left -= usize::from(lose);
            if lose { Fate::Lost } else { Fate::Arrives }
        });
        let since = net.sent.len();
        let exchange = net.say(0, a, 2);
        net.run(20_000);
        assert!(net.node(0).acknowledged(exchange), "{lost} lost");
        assert_eq!(net.node(1).got.len(), 1, "delivered once");
        assert_eq!(net.node(0).got.len(), 1, "answered once");
        let said: BTreeSet<_> =
            net.sent_by(0, since).iter().map(|d| d.octets[4..8].to_vec()).collect();
        assert!(said.len() <= 3, "the message, and acknowledgements of the answer");
        assert_sealed_once(&net);
        net.assert_clean();
    }
}

/// What a message in flight said of acknowledgements it says to the end.
#[test]
fn a_repetition_does_not_take_up_what_has_been_received_since() {
    let mut net = Net::pair();
    let (session, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    let exchange = net.say(0, session, 2);
    for _ in 0..3 {
        let (octets, _) = twin.seal(&answer(exchange.id().get(), true, None));
        net.hand(0, udp(7), &octets).unwrap();
        net.run(500);
    }
    net.run(20_000);
    let read = twin.read_all(&net, 0);
    let repeated: Vec<_> = read.iter().filter(|read| read.header.needs_ack).collect();
    assert_eq!(repeated.len(), 5);
    assert!(repeated.iter().all(|read| read.header.ack.is_none()));
    assert_sealed_once(&net);
    net.assert_clean();
}

/// A node that owes the acknowledgement of the peer's last message on an exchange.
struct Debt<S: Storage> {
    net: Net<S>,
    session: SessionHandle,
    exchange: ExchangeHandle,
    twin: Twin,
    counter: u32,
}

impl<S: Storage> Debt<S> {
    /// `in_flight`: with a message of its own under way, which carries no acknowledgement.
    fn new(config: Config, in_flight: bool) -> Self {
        let mut net = Net::<S>::stored(vec![(udp(1), config)]);
        Authority::new(1, false).join(&mut net, 0, 1);
        let (session, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
        net.hand(0, udp(7), &twin.seal(&header(1, false, None)).0).unwrap();
        let exchange = net.node(0).got[0].exchange;
        if in_flight {
            net.answer(0, exchange, 4);
        }
        let (octets, counter) = twin.seal(&header(1, true, None));
        net.hand(0, udp(7), &octets).unwrap();
        Self { net, session, exchange, twin, counter }
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let exchange = self.exchange;
        self.net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), payload))
    }

    /// How many datagrams have carried it, those that were sent again counted once; and how many
    /// of them were nothing but acknowledgements.
    fn paid(&self) -> (usize, usize) {
        let sent: BTreeSet<_> = self.net.sent.iter().map(|sent| &sent.octets).collect();
        let read = sent.into_iter().filter_map(|octets| self.twin.read(octets).ok());
        let carried: Vec<_> = read.filter(|read| read.acknowledges(self.counter)).collect();
        let standalone = carried.iter().filter(|read| read.header.opcode == 0x10).count();
        (carried.len(), standalone)
    }

    fn pays_once(mut self, what: &str) {
        self.net.run(20_000);
        assert_eq!(self.paid(), (1, 1), "{what}");
        self.net.assert_clean();
    }
}

#[test]
fn an_owed_acknowledgement_leaves_once_although_a_send_fails() {
    let mut debt = Debt::<matter_session::manager::Heap>::new(Config::default(), false);
    assert!(matches!(debt.send(&[0; 3000]), Err(SendError::TooLong { .. })));
    let exchange = debt.exchange;
    let sent = debt.net.call(0, |m, cx| {
        m.send_unreliable(cx, exchange, MessageType::new(IM, 2), b"x", &mut [0; 20]).err()
    });
    assert!(matches!(sent, Some(SendError::BufferTooSmall { .. })));
    debt.pays_once("too long");

    let mut debt = Debt::<matter_session::manager::Heap>::new(Config::default(), true);
    assert_eq!(debt.send(b"x"), Err(SendError::InFlight));
    debt.pays_once("in flight");

    let mut debt =
        Debt::<matter_session::manager::Heap>::new(Config::default().with_events(1), false);
    debt.net.node(0).polls = false;
    let (acknowledged, session) = (debt.twin.seal(&header(2, false, None)).0, debt.session);
    debt.net.hand(0, udp(7), &acknowledged).unwrap();
    let spare = debt.net.say(0, session, 2);
    debt.net.pump();
    let of = debt.twin.read_all(&debt.net, 0).last().unwrap().counter;
    let (octets, _) = debt.twin.seal(&answer(spare.id().get(), false, Some(of)));
    debt.net.hand(0, udp(7), &octets).unwrap();
    assert_eq!(debt.send(b"x"), Err(SendError::Backlog));
    debt.net.run(1000);
    assert_eq!(debt.paid(), (1, 1), "while the application lags behind");
    debt.net.node(0).polls = true;
    debt.pays_once("backlog");

    let mut debt = Debt::<
        Fixed<Sessions<3>, Exchanges<6>, Handshakes<2>, Fabrics<1>, Records<1>, MessageBytes<2600>>,
    >::new(Config::default().with_less_than_specified(), false);
    let session = debt.session;
    loop {
        let sent = debt.net.call(0, |m, cx| {
            let exchange = m.open_exchange(cx, session).unwrap();
            m.send(cx, exchange, MessageType::new(IM, 2), &[0; 1000])
        });
        if let Err(error) = sent {
            assert_eq!(error, SendError::NoRoom);
            break;
        }
    }
    assert_eq!(debt.send(&[0; 1000]), Err(SendError::NoRoom));
    debt.pays_once("no room");
}

#[test]
fn an_owed_acknowledgement_leaves_once_at_the_timer_and_with_whatever_ends_the_wait() {
    type Case = (&'static str, u64, fn(&mut Debt<matter_session::manager::Heap>));
    let cases: [Case; 9] = [
        ("the timer", 200, |_| {}),
        ("close of the exchange", 0, |d| d.net.close_exchange(0, d.exchange)),
        ("close of the session", 0, |d| {
            let session = d.session;
            d.net.call(0, |m, cx| m.close_session(cx, session));
        }),
        ("close of the sessions with the peer", 0, |d| {
            let peer = matter_session::ids::NodeId::new(5);
            d.net.call(0, |m, cx| m.sessions_mut().close_with_peer(cx, Peer::new(index(1), peer)));
        }),
        ("close of all sessions", 0, |d| d.net.call(0, |m, cx| m.sessions_mut().close_all(cx))),
        ("eviction", 0, |d| {
            Plan::case(2, 6, udp(8)).begin(&mut d.net, 0).unwrap();
            assert_eq!(d.net.node(0).manager.sessions().len(), 1);
        }),
        ("removal of the fabric", 0, |d| {
            assert!(d.net.call(0, |m, cx| m.fabrics_mut().remove(cx, index(1))));
        }),
        ("another message of the peer", 0, |d| {
            let (octets, counter) = d.twin.seal(&header(1, true, None));
            d.net.hand(0, udp(7), &octets).unwrap();
            d.net.run(200);
            let read = d.twin.read_all(&d.net, 0);
            assert_eq!(read.iter().filter(|read| read.acknowledges(counter)).count(), 1);
        }),
        ("a repetition of the message", 0, |d| {
            let octets = d.twin.seal_at(d.counter, &header(1, true, None));
            d.net.hand(0, udp(7), &octets).unwrap();
        }),
    ];
    for (name, after, end) in cases {
        let config = Config::default().with_sessions(1).with_less_than_specified();
        let mut debt = Debt::new(config, false);
        let start = debt.net.now;
        end(&mut debt);
        debt.net.run(after);
        assert_eq!(debt.paid(), (1, 1), "{name}");
        let first = debt.net.sent.iter().find(|d| d.to == udp(7)).unwrap();
        assert_eq!(first.at - start, after, "{name}");
        debt.pays_once(name);
    }
}

#[test]
fn a_message_that_carries_the_acknowledgement_leaves_none_to_be_sent_alone() {
    // Before the timer, and after it while nobody has polled what there is to send.
    for wait in [0, 199, 200, 5000] {
        let mut debt = Debt::<matter_session::manager::Heap>::new(Config::default(), false);
        debt.net.now += wait;
        debt.net.call(0, |m, cx| m.handle_timeout(cx));
        debt.send(b"answer").unwrap();
        debt.net.run(20_000);
        assert_eq!(debt.paid(), (1, 0), "after {wait} ms");
        debt.net.assert_clean();
    }
}

#[test]
fn a_peer_that_says_goodbye_is_owed_nothing() {
    let mut debt = Debt::<matter_session::manager::Heap>::new(Config::default(), true);
    let goodbye = matter_session::wire::ProtocolHeader {
        protocol: matter_session::ids::ProtocolId::SECURE_CHANNEL,
        opcode: 0x40,
        ..header(9, false, None)
    };
    let octets = debt.twin.seal_payload(&goodbye, &[0, 0, 0, 0, 0, 0, 3, 0]);
    debt.net.hand(0, udp(7), &octets).unwrap();
    let since = debt.net.sent.len();
    debt.net.run(20_000);
    assert_eq!(debt.net.sent.len(), since, "nothing leaves any more");
    assert_eq!(debt.net.node(0).manager.sessions().len(), 0);
    let octets = debt.twin.seal(&header(1, true, None)).0;
    let refused = debt.net.hand(0, udp(7), &octets);
    assert!(matches!(refused, Err(Dropped::UnknownSession(_))));
    debt.net.assert_clean();
}

/// Every message that was delivered is acknowledged, and every other one is still new when it is
/// repeated.
fn none_is_lost<S: Storage>() {
    for burst in [3, 4, 5, 8, 20] {
        let mut net = Net::<S>::stored(vec![(udp(1), Config::default())]);
        let (_, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
        let mut waiting: Vec<_> = (0..burst).map(|_| twin.seal(&header(1, true, None))).collect();
        let mut rounds = 0;
        while !waiting.is_empty() {
            let since = (net.node(0).got.len(), net.sent.len());
            let taken = waiting.iter().filter(|(octets, _)| net.hand(0, udp(7), octets).is_ok());
            let taken: Vec<_> = taken.map(|(_, counter)| *counter).collect();
            assert!(!taken.is_empty());
            assert_eq!(net.node(0).got.len(), since.0 + taken.len(), "{burst}: delivered once");
            net.run(300);
            let read = twin.read_all(&net, since.1);
            for counter in &taken {
                let acks = read.iter().filter(|read| read.acknowledges(*counter)).count();
                assert_eq!(acks, 1, "{burst}: {counter}");
            }
            waiting.retain(|(_, counter)| !taken.contains(counter));
            rounds += 1;
        }
        assert!(rounds <= burst, "{burst}: {rounds}");
        net.assert_clean();
    }
}

#[test]
fn however_many_messages_come_between_two_polls_no_acknowledgement_is_lost() {
    none_is_lost::<matter_session::manager::Heap>();
    none_is_lost::<
        Fixed<Sessions<3>, Exchanges<6>, Handshakes<2>, Fabrics<1>, Records<1>, MessageBytes<2600>>,
    >();
}
