//! Attacks of authenticated peers, and of recordings, on exchanges and on what they send.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use matter_session::ids::MessageType;
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    Config, Dropped, ExchangeHandle, Fixed, Heap, OpenError, PeerAddress, SendError, SessionHandle,
    Storage,
};
use matter_session::session::SessionParameters;
use matter_session::wire::ProtocolHeader;

use crate::net::{Authority, Dice, Fate, IM, Net, udp};
use crate::twin::{Plan, Twin, answer, header};

/// The tables of a device with five exchanges.
type Five =
    Fixed<Sessions<16>, Exchanges<5>, Handshakes<2>, Fabrics<5>, Records<5>, MessageBytes<5120>>;
type Eight =
    Fixed<Sessions<24>, Exchanges<8>, Handshakes<2>, Fabrics<5>, Records<15>, MessageBytes<5120>>;

/// What a peer declares that wants to be waited for as long as possible.
fn an_hour() -> SessionParameters {
    SessionParameters::matter_1_6().with_intervals(3_600_000, 3_600_000, 65_535)
}

fn server<S: Storage>(config: Config) -> Net<S> {
    Net::stored(vec![(udp(1), config)])
}

fn begin<S: Storage>(net: &mut Net<S>, fabric: u8, peer: u64, port: u16) -> (SessionHandle, Twin) {
    let plan = Plan::case(fabric, peer, udp(port));
    Plan { peer_parameters: an_hour(), ..plan }.begin(net, 0).unwrap()
}

fn is_open<S: Storage>(net: &mut Net<S>, exchange: ExchangeHandle) -> bool {
    net.node(0).manager.sessions().max_payload(exchange, IM).is_some()
}

/// Four node ids of fabric 2 begin as many exchanges as they can on many sessions and acknowledge
/// nothing. Peers of other fabrics and the application find room, and so does another peer of
/// fabric 2 where there are more places than greedy peers.
fn greedy_peers_leave_room<S: Storage>(config: Config, sessions: u16, exchanges: u16) {
    let mut net = server::<S>(config);
    net.node(0).answers = true;
    let mut honest: Vec<_> =
        [(1, 5), (3, 6)].into_iter().map(|(f, p)| begin(&mut net, f, p, 7)).collect();
    if net.node(0).manager.config().max_exchanges == 100 {
        // There are places for more peers than those four.
        honest.push(begin(&mut net, 2, 7, 7));
    }
    let mut greedy = Vec::new();
    for peer in 0..4 {
        for n in 0..sessions {
            greedy.push(begin(&mut net, 2, 50 + peer, 100 + n).1);
        }
    }
    let mut next = 2000;
    let mut greed = |net: &mut Net<S>| {
        for twin in &mut greedy {
            for _ in 0..exchanges {
                next += 1;
                let octets = twin.seal(&header(next, true, None)).0;
                let _ = net.hand(0, twin.address, &octets);
                net.pump();
            }
        }
    };
    for round in 0..20_u16 {
        greed(&mut net);
        for (_, twin) in &mut honest {
            // A request that gets no answer, so that nothing of honest peers stays.
            let request = ProtocolHeader { opcode: 3, ..header(1000 + round, true, None) };
            let octets = twin.seal(&request).0;
            assert_eq!(net.hand(0, twin.address, &octets), Ok(()), "round {round}");
            let exchange = net.node(0).got.last().unwrap().exchange;
            assert!(is_open(&mut net, exchange), "round {round}");
            net.close_exchange(0, exchange);
            net.pump();
        }
        let session = honest[0].0;
        let own = net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
        greed(&mut net);
        assert!(is_open(&mut net, own), "round {round}");
        net.close_exchange(0, own);
        net.run(30_000);
    }
    // All of it ends within minutes, whatever the peers declared.
    net.run(300_000);
    net.assert_clean();
}

#[test]
fn peers_of_one_fabric_that_acknowledge_nothing_leave_room_for_others_and_for_own_exchanges() {
    greedy_peers_leave_room::<Five>(Config::default(), 2, 5);
    greedy_peers_leave_room::<Eight>(Config::default(), 4, 8);
    greedy_peers_leave_room::<Heap>(Config::default().with_exchanges(100), 16, 16);
    greedy_peers_leave_room::<Heap>(Config::default(), 16, 16);
}

/// The rule of shares, as plain as it can be said.
#[derive(Clone, Debug)]
struct Held {
    fabric: u8,
    peer: u64,
    session: usize,
    exchange: ExchangeHandle,
    used: u64,
}

/// Who gives way to a newcomer: the place in the list of peers' exchanges.
fn gives_way(held: &[Held], fabric: u8, peer: u64) -> Option<usize> {
    let of = |f: u8| held.iter().filter(|held| held.fabric == f).count();
    let of_peer = |f: u8, p: u64| held.iter().filter(|h| (h.fabric, h.peer) == (f, p)).count();
    let largest = held.iter().map(|held| of(held.fabric)).max()?;
    let fabrics: BTreeSet<u8> =
        held.iter().map(|held| held.fabric).filter(|f| of(*f) == largest).collect();
    let from = if largest >= of(fabric) + 2 {
        // Of several that hold as much, that with the largest index.
        *fabrics.last()?
    } else {
        fabric
    };
    let peers = held.iter().filter(|held| held.fabric == from).map(|held| held.peer);
    let victim = peers.max_by_key(|p| (of_peer(from, *p), *p))?;
    if from == fabric && of_peer(from, victim) < of_peer(fabric, peer) + 2 {
        return None;
    }
    let theirs = held.iter().enumerate().filter(|(_, h)| (h.fabric, h.peer) == (from, victim));
    theirs.min_by_key(|(_, held)| held.used).map(|(n, _)| n)
}

fn shares_are_those_of_the_model<S: Storage>(capacity: usize, seed: u64) {
    let per_session = 5;
    let config = Config::default().with_exchanges(capacity).with_exchanges_per_session(per_session);
    let mut net = server::<S>(config);
    let mut dice = Dice::new(seed);
    let plans = [(1, 1), (1, 1), (1, 2), (2, 1), (2, 3), (3, 4), (3, 4), (3, 4)];
    let mut twins: Vec<_> = plans.iter().map(|(f, p)| begin(&mut net, *f, *p, 7)).collect();
    let kept = if capacity > 1 { (capacity / 4).max(1) } else { 0 };
    let (mut held, mut own) = (Vec::<Held>::new(), Vec::<ExchangeHandle>::new());
    let mut next = 1;
    let mut displaced = 0;
    for step in 0..400 {
        net.now += 1;
        let session = dice.below(plans.len() as u64) as usize;
        let (fabric, peer) = plans[session];
        match dice.below(12) {
            0..7 => {
                next += 1;
                let octets = twins[session].1.seal(&header(next, false, None)).0;
                let got = net.hand(0, udp(7), &octets);
                let of_session = held.iter().filter(|held| held.session == session).count();
                let free = held.len() < capacity - kept && held.len() + own.len() < capacity;
                let gone = if of_session >= per_session || free {
                    None
                } else {
                    gives_way(&held, fabric, peer)
                };
                let fits = of_session < per_session && (free || gone.is_some());
                assert_eq!(got, if fits { Ok(()) } else { Err(Dropped::NoExchange) }, "{step}");
                if let Some(gone) = gone {
                    held.remove(gone);
                    displaced += 1;
                }
                if fits {
                    let exchange = net.node(0).got.last().unwrap().exchange;
                    held.push(Held { fabric, peer, session, exchange, used: net.now });
                }
            }
            7 => {
                let (handle, _) = twins[session];
                let opened = net.call(0, |m, cx| m.open_exchange(cx, handle));
                let fits = own.len() < capacity - kept && held.len() + own.len() < capacity;
                assert_eq!(opened.is_ok(), fits, "{step}");
                assert!(fits || opened == Err(OpenError::TooMany));
                own.extend(opened);
            }
            8 => {
                if let Some(used) = held.get_mut(dice.below(capacity as u64) as usize) {
                    let exchange = used.exchange;
                    used.used = net.now;
                    let mut buf = [0; 100];
                    net.call(0, |m, cx| {
                        m.send_unreliable(cx, exchange, MessageType::new(IM, 3), b"x", &mut buf)
                            .map(|_| ())
                    })
                    .unwrap();
                }
            }
            9 | 10 => {
                let n = dice.below(capacity as u64) as usize;
                if n < held.len() {
                    let exchange = held.remove(n).exchange;
                    net.close_exchange(0, exchange);
                }
            }
            _ => {
                if let Some(exchange) = own.pop() {
                    net.close_exchange(0, exchange);
                }
            }
        }
        for exchange in held.iter().map(|held| held.exchange).chain(own.iter().copied()) {
            assert!(is_open(&mut net, exchange), "{step}");
        }
        let open = net.node(0).manager.sessions().exchange_count();
        assert_eq!(open, held.len() + own.len(), "{step}");
    }
    assert!(displaced > 0 || capacity < 3, "{displaced}");
}

#[test]
fn shares_of_exchanges_are_those_of_a_plain_model() {
    for seed in 0..30 {
        for capacity in [1, 2, 3, 5, 8, 13] {
            shares_are_those_of_the_model::<Heap>(capacity, seed);
        }
        for capacity in [1, 2, 5, 8] {
            shares_are_those_of_the_model::<Eight>(capacity, seed);
        }
    }
}

/// A displaced exchange ends as others do: what was delivered is acknowledged, and what was in
/// flight is reported.
#[test]
fn a_displaced_exchange_acknowledges_what_was_delivered_and_reports_what_was_in_flight() {
    for answers in [false, true] {
        let mut net = server::<Five>(Config::default());
        let (session, mut greedy) = begin(&mut net, 2, 50, 8);
        let (_, mut honest) = begin(&mut net, 1, 5, 7);
        let mut counters = Vec::new();
        for exchange in 1..=4 {
            net.now += 1;
            let (octets, counter) = greedy.seal(&header(exchange, true, None));
            net.hand(0, udp(8), &octets).unwrap();
            counters.push(counter);
            let exchange = net.node(0).got.last().unwrap().exchange;
            if answers {
                net.answer(0, exchange, 3);
                net.pump();
            }
        }
        let all: Vec<_> = net.node(0).got.iter().map(|got| got.exchange).collect();
        for exchange in 1..=2 {
            net.now += 1;
            net.hand(0, udp(7), &honest.seal(&header(exchange, true, None)).0).unwrap();
        }
        net.pump();
        let open: Vec<_> = all.iter().map(|exchange| is_open(&mut net, *exchange)).collect();
        assert_eq!(open, [false, false, true, true], "the two that were idle longest");
        for (n, exchange) in all.iter().enumerate() {
            assert_eq!(net.node(0).undelivered(*exchange), answers && n < 2, "{n}");
        }
        assert!(!net.node(0).manager.session(session).unwrap().is_defunct());
        let sent = net.call(0, |m, cx| m.send(cx, all[0], MessageType::new(IM, 5), b"x"));
        assert_eq!(sent, Err(SendError::Closed));
        let since = net.sent.len();
        net.run(30_000);
        let read = greedy.read_all(&net, 0);
        for counter in counters {
            assert!(read.iter().any(|read| read.acknowledges(counter)), "{counter}");
        }
        // Nothing of a displaced message is sent again.
        let later = greedy.read_all(&net, since);
        let mut answers_sent = later.iter().filter(|read| read.header.opcode == 3);
        assert!(answers_sent.all(|read| read.header.exchange.get() > 2));
        // A message that was delivered on one is a duplicate still.
        let since = net.node(0).got.len();
        net.hand(0, udp(8), &greedy.seal_at(1, &header(1, true, None))).unwrap();
        assert_eq!(net.node(0).got.len(), since);
        net.run(240_000);
        net.assert_clean();
    }
}

#[test]
fn a_message_in_flight_to_a_peer_that_declares_an_hour_is_given_up_within_minutes() {
    let mut net = server::<Heap>(Config::default());
    let (session, _twin) = begin(&mut net, 1, 5, 7);
    let exchange = net.say(0, session, 2);
    net.run(100_000);
    assert!(!net.node(0).undelivered(exchange), "a device that listens every 15 s hears it");
    net.run(140_000);
    assert!(net.node(0).undelivered(exchange));
    net.assert_clean();
}

#[test]
fn an_interval_of_nothing_repeats_no_message_without_a_wait() {
    let mut net = server::<Heap>(Config::default().with_longest_interval(Duration::ZERO));
    assert_eq!(net.node(0).manager.config().longest_interval, Duration::from_millis(100));
    let (session, _twin) = begin(&mut net, 1, 5, 7);
    net.say(0, session, 2);
    net.run(5000);
    let at: Vec<_> = net.sent.iter().map(|sent| sent.at).collect();
    assert_eq!(at.len(), 5);
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 100), "{at:?}");
}

/// Fills the table, so that all that begins an exchange is refused; and empties it.
fn fill<S: Storage>(net: &mut Net<S>, session: SessionHandle) -> Vec<ExchangeHandle> {
    let mut own = Vec::new();
    while let Ok(exchange) = net.call(0, |m, cx| m.open_exchange(cx, session)) {
        own.push(exchange);
    }
    own
}

/// A node whose table is full: of own exchanges, and of those of a peer.
fn full<S: Storage>() -> (Net<S>, SessionHandle, Twin, ExchangeHandle, Twin) {
    let mut net = server::<S>(Config::default().with_exchanges(3));
    let (session, mut twin) = begin(&mut net, 1, 5, 7);
    let (other, blocker) = begin(&mut net, 1, 6, 8);
    net.hand(0, udp(7), &twin.seal(&header(999, false, None)).0).unwrap();
    fill(&mut net, other);
    let held = net.node(0).got[0].exchange;
    (net, session, twin, held, blocker)
}

/// Sends newer messages on the exchange that is open, so that the window moves on.
fn pass<S: Storage>(net: &mut Net<S>, twin: &mut Twin, messages: u32) {
    for _ in 0..messages {
        net.hand(0, udp(7), &twin.seal(&header(999, false, None)).0).unwrap();
    }
}

fn a_refused_message_is_delivered_later<S: Storage>() {
    for newer in [0, 1, 32, 33, 255, 256, 257, 300] {
        let (mut net, _, mut twin, held, _) = full::<S>();
        let (octets, counter) = twin.seal(&header(1, true, None));
        assert_eq!(net.hand(0, udp(7), &octets), Err(Dropped::NoExchange));
        pass(&mut net, &mut twin, newer);
        let before = net.node(0).got.len();
        assert_eq!(net.hand(0, udp(7), &octets), Err(Dropped::NoExchange), "{newer}");
        net.pump();
        assert!(!twin.read_all(&net, 0).iter().any(|read| read.acknowledges(counter)));
        assert_eq!(net.node(0).got.len(), before);
        net.close_exchange(0, held);
        assert_eq!(net.hand(0, udp(7), &octets), Ok(()), "{newer}");
        assert_eq!(net.node(0).got.len(), before + 1, "{newer}: delivered");
        assert!(net.node(0).got[before].first);
        net.run(300);
        assert!(twin.read_all(&net, 0).iter().any(|read| read.acknowledges(counter)), "{newer}");
        // Never twice: not while its exchange is open, and not after.
        let exchange = net.node(0).got[before].exchange;
        let since = net.sent.len();
        for _ in 0..2 {
            assert_eq!(net.hand(0, udp(7), &octets), Ok(()));
            net.run(300);
            net.close_exchange(0, exchange);
            net.run(300);
        }
        assert_eq!(net.node(0).got.len(), before + 1, "{newer}: delivered once");
        let again = twin.read_all(&net, since);
        assert!(again.iter().any(|read| read.acknowledges(counter)), "{newer}");
        net.assert_clean();
    }
}

#[test]
fn a_message_refused_for_want_of_an_exchange_is_delivered_once_behind_any_number_of_newer_ones() {
    a_refused_message_is_delivered_later::<Heap>();
    a_refused_message_is_delivered_later::<Eight>();
}

/// However many are refused: none is acknowledged that was not delivered, none delivered twice.
/// Returns how many were delivered.
fn many_refused_messages<S: Storage>(seed: u64, sessions: u64, lifetime: u64) -> usize {
    let mut net = server::<S>(Config::default().with_exchanges(3).with_exchanges_per_session(2));
    let mut dice = Dice::new(seed);
    let (other, _) = begin(&mut net, 9, 9, 9);
    let mut own = fill(&mut net, other);
    let mut twins: Vec<_> = (0..sessions).map(|n| begin(&mut net, 1, n, 20 + n as u16).1).collect();
    let mut all = BTreeMap::<(usize, u32), Vec<u8>>::new();
    let mut next = 0;
    for _ in 0..1500 {
        match dice.below(10) {
            0..3 => {
                next += 1;
                let n = dice.below(sessions) as usize;
                let (octets, counter) = twins[n].seal(&header(next, true, None));
                all.insert((n, counter), octets.clone());
                let _ = net.hand(0, twins[n].address, &octets);
            }
            3 => {
                // Messages that begin no exchange move the window on.
                let n = dice.below(sessions) as usize;
                for _ in 0..dice.below(120) {
                    let octets = twins[n].seal(&answer(7, false, None)).0;
                    let _ = net.hand(0, twins[n].address, &octets);
                }
            }
            4..8 if !all.is_empty() => {
                // Any message comes again.
                let n = dice.below(all.len() as u64) as usize;
                let ((twin, _), octets) = all.iter().nth(n).unwrap();
                let _ = net.hand(0, twins[*twin].address, octets);
            }
            8 => {
                own = match own.is_empty() {
                    true => fill(&mut net, other),
                    false => {
                        own.drain(..).map(|own| net.close_exchange(0, own)).fold(vec![], |v, ()| v)
                    }
                };
            }
            _ => {
                for got in 0..net.node(0).got.len() {
                    let exchange = net.node(0).got[got].exchange;
                    net.close_exchange(0, exchange);
                }
                net.run(dice.below(lifetime));
            }
        }
    }
    net.run(1000);
    let mut delivered = BTreeSet::new();
    for got in &net.nodes[0].got {
        assert!(delivered.insert(got.exchange.id().get()), "delivered twice");
    }
    for (n, twin) in twins.iter().enumerate() {
        for read in twin.read_all(&net, 0) {
            let acked = read.header.ack.unwrap().get();
            assert!(all.contains_key(&(n, acked)));
            assert!(delivered.contains(&read.header.exchange.get()), "acknowledged in vain");
        }
    }
    delivered.len()
}

#[test]
fn no_message_is_acknowledged_that_was_refused_and_not_delivered_however_many_there_are() {
    for seed in 0..6 {
        for (sessions, lifetime) in [(1, 100), (3, 1000), (12, 100), (12, 100_000)] {
            assert!(many_refused_messages::<Eight>(seed, sessions, lifetime) > 20);
            assert!(many_refused_messages::<Heap>(seed, sessions, lifetime) > 20);
        }
    }
}

/// A copy of a refused message that somebody kept is not delivered long after its sender has given
/// it up.
#[test]
fn a_refused_message_is_not_delivered_long_after_its_sender_has_given_up() {
    let (mut net, _, mut twin, _, _) = full::<Heap>();
    let (octets, counter) = twin.seal(&header(1, true, None));
    assert_eq!(net.hand(0, udp(7), &octets), Err(Dropped::NoExchange));
    pass(&mut net, &mut twin, 300);
    net.run(301_000);
    let before = net.node(0).got.len();
    assert_eq!(net.hand(0, udp(7), &octets), Err(Dropped::NoExchange));
    net.run(1000);
    assert_eq!(net.node(0).got.len(), before);
    assert!(!twin.read_all(&net, 0).iter().any(|read| read.acknowledges(counter)));
}

/// The sources of output of a node, each of which a recorded datagram makes busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    /// A message on an exchange that is open, repeated: its acknowledgement is due again.
    Exchange,
    /// The same on the exchange whose answer is waited for.
    SameExchange,
    /// A message on an exchange that is closed, repeated.
    Stray,
    /// An unsecured message that asks for an acknowledgement.
    Unsecured,
    /// A Sigma1 of a running handshake, repeated.
    Handshake,
}

/// Once per datagram received, one datagram is polled. Every source gets its turn.
fn everybody_gets_a_turn<S: Storage>(mix: &[Busy]) {
    let mut net = Net::<S>::stored(vec![(udp(1), Config::default()), (udp(2), Config::default())]);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    // Sessions with lower and with higher ids than that of the peer with the answer.
    let (_, mut low) = begin(&mut net, 1, 5, 7);
    let (_, mut honest) = begin(&mut net, 1, 6, 8);
    let (_, mut high) = begin(&mut net, 1, 9, 9);
    let (first, _) = low.seal(&header(1, true, None));
    let (stray, _) = high.seal(&header(1, true, None));
    let (request, _) = honest.seal(&header(1, true, None));
    net.hand(0, udp(7), &first).unwrap();
    net.hand(0, udp(9), &stray).unwrap();
    let closed = net.node(0).got[1].exchange;
    net.close_exchange(0, closed);
    net.pump();
    // A handshake whose Sigma1 is repeated, with the answer of the node lost.
    net.on_send(|sent| if sent.from == udp(1) { Fate::Lost } else { Fate::Arrives });
    net.dial_case(1, 0, 1, 100);
    net.node(0).signs = false;
    net.pump();
    let sigma1 = net.sent_by(1, 0).first().unwrap().octets.clone();
    let mut unsecured = sigma1.clone();
    unsecured[8 + 8 + 1] = 0x40;
    net.hand(0, udp(8), &request).unwrap();
    net.run(100);
    let exchange = net.node(0).got.last().unwrap().exchange;
    net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 3), b"answer")).unwrap();
    let now = net.instant();
    let recorded = |busy: &Busy| -> (PeerAddress, Vec<u8>) {
        match busy {
            Busy::Exchange => (udp(7), first.clone()),
            Busy::SameExchange => (udp(8), request.clone()),
            Busy::Stray => (udp(9), stray.clone()),
            Busy::Unsecured => (udp(70), unsecured.clone()),
            Busy::Handshake => (udp(2), sigma1.clone()),
        }
    };
    let mut sent = BTreeMap::<PeerAddress, usize>::new();
    let (mut answered, mut polls) = (None, 0);
    for turn in 0..100 {
        let (from, octets) = recorded(&mix[turn % mix.len()]);
        let _ = net.hand(0, from, &octets);
        if let Some(transmit) = net.node(0).manager.poll_transmit(now) {
            polls += 1;
            *sent.entry(transmit.to).or_default() += 1;
            let answer = honest.read(transmit.datagram);
            if transmit.to == udp(8) && answer.is_ok_and(|read| read.payload == b"answer") {
                answered = answered.or(Some(turn));
            }
        }
    }
    assert!(answered.is_some_and(|turn| turn < 12), "{mix:?}: {answered:?} of {polls}, {sent:?}");
    for busy in mix {
        let (to, _) = recorded(busy);
        let share = sent.get(&to).copied().unwrap_or(0);
        assert!(share >= 8, "{mix:?}, {busy:?}: {sent:?}");
    }
}

#[test]
fn no_mix_of_recordings_starves_an_answer_or_a_handshake_when_each_datagram_gets_one_poll() {
    use Busy::*;
    let all = [Exchange, SameExchange, Stray, Unsecured, Handshake];
    for set in 1_usize..1 << all.len() {
        let mix: Vec<_> =
            all.iter().enumerate().filter(|(n, _)| set & 1 << n != 0).map(|(_, b)| *b).collect();
        everybody_gets_a_turn::<Heap>(&mix);
        everybody_gets_a_turn::<Eight>(&mix);
        // One of them far more often than the others.
        for busy in &mix {
            let mut uneven = vec![*busy; 3];
            uneven.extend(&mix);
            let mut rare = mix.clone();
            rare.retain(|other| other == busy);
            if rare.len() == mix.len() {
                everybody_gets_a_turn::<Heap>(&uneven);
            }
        }
    }
}

/// A long answer on the newest exchange of a node.
fn answer_at_length<S: Storage>(
    net: &mut Net<S>,
    from: PeerAddress,
    twin: &mut Twin,
    exchange: u16,
) -> Result<(), SendError> {
    let octets = twin.seal(&header(exchange, false, None)).0;
    net.hand(0, from, &octets).unwrap();
    let exchange = net.node(0).got.last().unwrap().exchange;
    net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 3), &[9; 1202]))
}

/// A peer that leaves long answers unacknowledged, on as many exchanges as it can.
fn long_answers_leave_room<S: Storage>(fabrics: u8) {
    let mut net = Net::<S>::stored(vec![(udp(1), Config::default()), (udp(2), Config::default())]);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    let (_, mut greedy) = begin(&mut net, 1, 50, 7);
    let mut others: Vec<_> =
        (2..=fabrics).map(|f| begin(&mut net, f, 5, 10 + u16::from(f)).1).collect();
    let (_, mut neighbour) = begin(&mut net, 1, 6, 30);
    let mut held = 0;
    for exchange in 1..=5 {
        match answer_at_length(&mut net, udp(7), &mut greedy, exchange) {
            Ok(()) => held += 1,
            Err(error) => assert_eq!(error, SendError::NoRoom),
        }
    }
    assert!(held > 0, "{fabrics}");
    // Every other fabric gets an answer, and so does another peer of the same fabric.
    for twin in &mut others {
        let (from, mut answered) = (twin.address, false);
        answered |= answer_at_length(&mut net, from, twin, 1).is_ok();
        assert!(answered, "{fabrics} fabrics, {held} held");
    }
    if fabrics < 3 {
        let answered = answer_at_length(&mut net, udp(30), &mut neighbour, 1);
        assert_eq!(answered, Ok(()), "{fabrics} fabrics, {held} held");
    }
    // A handshake finds room.
    net.on_send(|sent| match sent.to {
        to if to == udp(1) || to == udp(2) => Fate::Arrives,
        _ => Fate::Lost,
    });
    net.dial_case(1, 0, 1, 100);
    net.run(2000);
    assert!(net.node(1).try_established().is_some(), "{:?}", net.nodes[1].failures());
    net.run(600_000);
    net.nodes[0].assert_clean();
}

#[test]
fn long_answers_that_nobody_acknowledges_leave_room_for_handshakes_and_for_every_fabric() {
    long_answers_leave_room::<Eight>(1);
    long_answers_leave_room::<Eight>(2);
    long_answers_leave_room::<Eight>(3);
    long_answers_leave_room::<
        Fixed<
            Sessions<24>,
            Exchanges<8>,
            Handshakes<2>,
            Fabrics<5>,
            Records<9>,
            MessageBytes<{ 1243 + 6 * 1265 }>,
        >,
    >(5);
}

/// The smallest tables have one message in all: it is used, and there is nothing to keep.
#[test]
fn a_table_with_room_for_one_message_uses_it() {
    type Tiny =
        Fixed<Sessions<3>, Exchanges<4>, Handshakes<1>, Fabrics<1>, Records<1>, MessageBytes<1280>>;
    let mut net = server::<Tiny>(Config::default());
    let (_, mut twin) = begin(&mut net, 1, 5, 7);
    assert_eq!(answer_at_length(&mut net, udp(7), &mut twin, 1), Ok(()));
    assert_eq!(answer_at_length(&mut net, udp(7), &mut twin, 2), Err(SendError::NoRoom));
}

/// A message over TCP that is longer than what a fabric can count on is sent when no other is in
/// flight.
#[test]
fn a_message_longer_than_a_share_is_sent_over_tcp_when_no_other_is_in_flight() {
    type Small =
        Fixed<Sessions<4>, Exchanges<4>, Handshakes<2>, Fabrics<2>, Records<1>, MessageBytes<2600>>;
    let mut net = server::<Small>(Config::default());
    let plan = Plan::case(1, 5, PeerAddress::Tcp(7));
    let (tcp, _) = plan.begin(&mut net, 0).unwrap();
    let (other, mut peer) = begin(&mut net, 2, 6, 8);
    let open = |net: &mut Net<Small>, session| net.call(0, |m, cx| m.open_exchange(cx, session));
    let (long, short) = (open(&mut net, tcp).unwrap(), open(&mut net, other).unwrap());
    let send = |net: &mut Net<Small>, exchange, len| {
        net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 3), &vec![7; len]))
    };
    assert_eq!(send(&mut net, short, 100), Ok(()));
    assert_eq!(send(&mut net, long, 2400), Err(SendError::NoRoom));
    net.pump();
    let of = peer.read_all(&net, 0)[0].counter;
    let octets = peer.seal(&answer(short.id().get(), false, Some(of))).0;
    net.hand(0, udp(8), &octets).unwrap();
    assert_eq!(send(&mut net, long, 2400), Ok(()));
    assert_eq!(send(&mut net, short, 100), Err(SendError::NoRoom));
    net.run(100);
    assert_eq!(send(&mut net, short, 1100), Ok(()), "its bytes are free when it is sent");
}

/// A recorded message of a session whose exchange is closed, repeated without end.
fn goodbyes_stay<S: Storage>(distinct: u16) {
    let mut net = server::<S>(Config::default().with_replies(8));
    let (closing, goodbye) = begin(&mut net, 1, 5, 7);
    let (_, mut twin) = begin(&mut net, 1, 6, 8);
    let mut recorded = Vec::new();
    for exchange in 0..distinct {
        let (octets, counter) = twin.seal(&header(exchange, true, None));
        net.hand(0, udp(8), &octets).unwrap();
        let exchange = net.node(0).got.last().unwrap().exchange;
        net.close_exchange(0, exchange);
        recorded.push((octets, counter));
        net.pump();
    }
    let since = net.sent.len();
    net.call(0, |m, cx| m.close_session(cx, closing));
    for _ in 0..20 {
        for (octets, _) in &recorded {
            net.hand(0, udp(8), octets).unwrap();
        }
    }
    net.pump();
    let read = goodbye.read_all(&net, since);
    assert!(read.iter().any(|read| read.is_close_session()), "{distinct} recordings");
    // Every message is acknowledged once while its acknowledgement waits.
    let acks = twin.read_all(&net, since);
    let acked: Vec<_> = acks.iter().map(|read| read.header.ack.unwrap().get()).collect();
    let once: BTreeSet<_> = acked.iter().copied().collect();
    assert_eq!(once.len(), acked.len());
    assert_eq!(once.len(), usize::from(distinct.min(7)));
    let counters: BTreeSet<_> = recorded.iter().map(|(_, counter)| *counter).collect();
    assert!(once.is_subset(&counters));
}

#[test]
fn acknowledgements_of_repeated_messages_push_no_close_session_out_of_the_queue() {
    for distinct in [1, 3, 7, 20] {
        goodbyes_stay::<Heap>(distinct);
        goodbyes_stay::<Eight>(distinct);
    }
}

/// A full queue of CloseSession reports drops the acknowledgement, which the peer asks for again.
#[test]
fn a_queue_full_of_close_session_reports_takes_no_acknowledgement() {
    let mut net = server::<Eight>(Config::default());
    let (_, mut twin) = begin(&mut net, 1, 6, 8);
    let (octets, counter) = twin.seal(&header(1, true, None));
    net.hand(0, udp(8), &octets).unwrap();
    let exchange = net.node(0).got[0].exchange;
    net.close_exchange(0, exchange);
    net.pump();
    let closing: Vec<_> = (0..8).map(|n| begin(&mut net, 2, 50 + n, 100 + n as u16)).collect();
    for (session, _) in &closing {
        net.call(0, |m, cx| m.close_session(cx, *session));
    }
    let since = net.sent.len();
    net.hand(0, udp(8), &octets).unwrap();
    net.pump();
    for (_, goodbye) in &closing {
        assert!(goodbye.read_all(&net, since).iter().any(|read| read.is_close_session()));
    }
    assert!(twin.read_all(&net, since).is_empty());
    net.hand(0, udp(8), &octets).unwrap();
    net.pump();
    assert!(twin.read_all(&net, since).iter().any(|read| read.acknowledges(counter)));
}

#[test]
fn an_unreliable_message_that_is_too_long_is_refused_with_the_longest_length() {
    let mut net = server::<Heap>(Config::default());
    let (session, twin) = begin(&mut net, 1, 5, 7);
    let exchange = net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
    let max = net.node(0).manager.sessions().max_payload(exchange, IM).unwrap();
    let mut buf = [0; 3000];
    let mut send = |net: &mut Net, len: usize| {
        let (kind, payload) = (MessageType::new(IM, 3), vec![7; len]);
        net.call(0, |m, cx| {
            let sent = m.send_unreliable(cx, exchange, kind, &payload, &mut buf);
            sent.map(|transmit| transmit.datagram.to_vec())
        })
    };
    let before = net.node(0).facts();
    assert_eq!(send(&mut net, max + 1), Err(SendError::TooLong { max }));
    assert_eq!(send(&mut net, 2900), Err(SendError::TooLong { max }));
    assert_eq!(net.node(0).facts(), before, "nothing has changed");
    let datagram = send(&mut net, max).unwrap();
    assert_eq!(datagram.len(), 1232);
    assert_eq!(twin.read(&datagram).unwrap().payload, vec![7; max]);
}

#[test]
fn an_unreliable_message_on_an_exchange_that_is_gone_is_refused_although_its_id_is_used_again() {
    let mut net = server::<Heap>(Config::default());
    let (_, mut twin) = begin(&mut net, 1, 5, 7);
    let mut stale = Vec::new();
    for _ in 0..2 {
        net.hand(0, udp(7), &twin.seal(&header(1, false, None)).0).unwrap();
        let exchange = net.node(0).got.last().unwrap().exchange;
        stale.push(exchange);
        net.close_exchange(0, exchange);
    }
    net.hand(0, udp(7), &twin.seal(&header(1, false, None)).0).unwrap();
    let live = net.node(0).got.last().unwrap().exchange;
    // One that is closed, and still there because its message is in flight.
    net.hand(0, udp(7), &twin.seal(&header(2, false, None)).0).unwrap();
    let closing = net.node(0).got.last().unwrap().exchange;
    net.answer(0, closing, 3);
    net.close_exchange(0, closing);
    stale.push(closing);
    let mut buf = [0; 200];
    let mut send = |net: &mut Net, exchange| {
        net.call(0, |m, cx| {
            m.send_unreliable(cx, exchange, MessageType::new(IM, 3), b"x", &mut buf).map(|_| ())
        })
    };
    let before = net.node(0).facts();
    for exchange in stale {
        assert_eq!(send(&mut net, exchange), Err(SendError::Closed));
        assert_eq!(net.node(0).facts(), before);
    }
    assert_eq!(send(&mut net, live), Ok(()));
}

/// A recording proves nothing about the peer: not where it is, not that it is awake, not that it
/// answers.
#[test]
fn a_replayed_message_does_not_count_as_one_received() {
    let mut net = server::<Heap>(Config::default());
    let plan = Plan::case(1, 5, udp(7));
    let sleepy = SessionParameters::matter_1_6().with_intervals(10_000, 300, 4000);
    let (session, mut twin) = Plan { peer_parameters: sleepy, ..plan }.begin(&mut net, 0).unwrap();
    let (octets, _) = twin.seal(&header(1, false, None));
    net.hand(0, udp(7), &octets).unwrap();
    let exchange = net.node(0).got[0].exchange;
    net.close_exchange(0, exchange);
    let received = net.node(0).manager.session(session).unwrap().session().last_received();
    // It does not answer: the session is defunct.
    let unanswered = net.say(0, session, 2);
    net.run(290_000);
    assert!(net.node(0).undelivered(unanswered));
    assert!(net.node(0).manager.session(session).unwrap().is_defunct());
    net.hand(0, udp(66), &octets).unwrap();
    let now = net.instant();
    let facts = net.node(0).manager.session(session).unwrap();
    assert!(facts.is_defunct());
    assert_eq!(facts.session().last_received(), received);
    assert!(!facts.session().is_peer_active(now));
    assert_eq!(facts.peer_address(), udp(7));
    // A message that is new does all of that.
    net.hand(0, udp(66), &twin.seal(&header(2, false, None)).0).unwrap();
    let facts = net.node(0).manager.session(session).unwrap();
    assert!(!facts.is_defunct() && facts.session().is_peer_active(now));
    assert_eq!(facts.session().last_received(), Some(now));
    assert_eq!(facts.peer_address(), udp(66));
}
