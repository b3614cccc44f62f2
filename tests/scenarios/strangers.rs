//! What strangers send at random, in bulk and from anywhere.

use core::time::Duration;

use matter_session::manager::{Config, Event};

use crate::counting::Work;
use crate::lab::{Party, case, converse, members};
use crate::net::{Authority, Dice, Fate, Net, PASSCODE, udp};
use crate::raw::{ACK, PAKE1, PBKDF_REQUEST, Raw, SIGMA1, SIGMA2, SIGMA3, disguised, parts};

/// The largest answer to anything that is not accepted, in octets.
const SHORT: usize = 36;

/// Sigma1 of a node of another fabric.
fn sigma1_elsewhere() -> Vec<u8> {
    let mut stranger = Party::new(udp(9), Config::default(), 9);
    stranger.join(&mut Authority::new(2, false), 100);
    stranger.dial(udp(2), 200);
    stranger.take().remove(0).1
}

#[test]
fn five_hundred_sigma1_that_mean_nobody_here_cost_no_session_and_no_curve_arithmetic() {
    let device = Config::default().with_sessions(4);
    let (mut a, mut b) = members(Config::default(), device, false);
    for _ in 0..4 {
        case(&mut a, &mut b);
    }
    assert_eq!(b.manager.sessions().len(), 4, "the table is full");
    let before = (b.sessions(), b.records());
    b.crypto.take();
    b.events.clear();
    let elsewhere = sigma1_elsewhere();
    let mut dice = Dice::new(1);
    for n in 0..500 {
        let unknown = n % 2 == 0;
        let octets = if unknown {
            disguised(&elsewhere, n)
        } else {
            let payload: Vec<u8> = (0..dice.below(250)).map(|_| dice.roll() as u8).collect();
            disguised(&Raw::new(SIGMA1, &payload).octets(), n)
        };
        let _ = b.hand(udp(1000 + n as u16), &octets);
        let work = b.crypto.take();
        let expected = if unknown { Work { hmac: 1, ..Work::NONE } } else { Work::NONE };
        assert_eq!(work, expected, "one HMAC per key of each fabric for {n}, and nothing else");
        assert_eq!(b.manager.handshakes().len(), 0, "no slot is held");
        let sent = b.take();
        assert_eq!(sent.len(), 1, "{n}");
        assert_eq!(sent[0].0, udp(1000 + n as u16));
        assert!(sent[0].1.len() <= SHORT && sent[0].1.len() <= octets.len() + 14);
    }
    assert_eq!((b.sessions(), b.records()), before);
    assert!(b.events.iter().all(|event| matches!(event, Event::HandshakeFailed { .. })));
    // A genuine node gets in right after, resumed or not.
    for forgets in [false, true] {
        b.events.clear();
        if forgets {
            a.call(|m, cx| m.records_mut().forget_all(cx));
        }
        a.dial(b.address, 200);
        converse(&mut a, &mut b);
        let established = |event: &Event<u32>| matches!(event, Event::Established { .. });
        assert_eq!(b.events.iter().filter(|event| established(event)).count(), 1);
        assert_eq!(b.manager.sessions().len(), 4);
    }
}

/// 22 octets: the least that has a protocol header and says who sent it.
fn flood(n: u64) -> Vec<u8> {
    let raw = Raw {
        counter: n as u32,
        node: 0x5000 + n,
        exchange: n as u16,
        flags: [4, 5][n as usize / 3 % 2],
        opcode: n as u8,
        protocol: [0, 1, 2, 0x77][n as usize % 4],
        ack: None,
        payload: Vec::new(),
    };
    raw.octets()
}

#[test]
fn thousands_of_small_datagrams_do_not_disturb_a_secure_session() {
    let (mut net, a, _) = Net::with_case();
    net.settle();
    net.node(1).answers = true;
    for round in 0..100 {
        let exchange = net.say(0, a, 2);
        let before = net.node(1).facts();
        for n in 0..50 {
            let n = round * 50 + n;
            let octets = flood(n);
            assert_eq!(octets.len(), 22);
            let since = net.sent.len();
            let from = udp(2000 + n as u16);
            let _ = net.hand(1, from, &octets);
            let now = net.instant();
            // What is sent to strangers, as they are no nodes of this network.
            let mut replies = 0;
            while let Some(transmit) = net.nodes[1].manager.poll_transmit(now) {
                replies += 1;
                assert_eq!(transmit.to, from);
                assert!(transmit.datagram.len() <= SHORT, "{n}: {}", transmit.datagram.len());
            }
            assert!(replies <= 1, "{n}");
            assert_eq!(net.sent.len(), since);
        }
        while let Some(event) = net.nodes[1].manager.poll_event() {
            assert!(matches!(event, Event::HandshakeFailed { .. }), "{event:?}");
        }
        assert_eq!(net.node(1).facts(), before, "nothing is remembered of strangers");
        net.run(300);
        assert!(net.node(0).acknowledged(exchange), "{round}");
        assert_eq!(net.node(0).got.last().map(|got| got.exchange), Some(exchange));
        net.close_exchange(0, exchange);
        let theirs = net.node(1).got.last().unwrap().exchange;
        net.close_exchange(1, theirs);
    }
    assert_eq!(net.node(1).got.len(), 100);
    net.assert_clean();
}

#[test]
fn replies_to_strangers_give_way_and_those_of_secure_sessions_stay() {
    let config = Config::default().with_replies(16);
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), config)]);
    let sessions: Vec<_> = (0..8).map(|_| net.case(200)).collect();
    net.settle();
    // Nobody polls: eight goodbyes between thousands of replies.
    for n in 0..4000 {
        if n % 500 == 250 {
            let (_, b) = sessions[n as usize / 500];
            net.call(1, |manager, cx| manager.close_session(cx, b));
        }
        let _ = net.hand(1, udp(9000), &flood(n));
    }
    let since = net.sent.len();
    net.run(1000);
    let sent = net.sent_by(1, since);
    assert_eq!(sent.iter().filter(|datagram| datagram.to == udp(1)).count(), 8);
    assert_eq!(sent.len(), 16, "no more wait than may");
    assert_eq!(net.node(0).closed().len(), 8);
    assert!(net.node(1).manager.statistics().replies_dropped > 1000);
    net.assert_clean();
}

/// An application that sends one datagram for each that it receives.
#[test]
fn a_flood_of_refusals_does_not_hold_up_a_secure_message() {
    let (mut net, _, b) = Net::with_case();
    net.settle();
    let sigma1 = sigma1_elsewhere();
    let now = net.instant();
    for n in 0..100 {
        let _ = net.hand(1, udp(9), &disguised(&sigma1, n));
        let _ = net.nodes[1].manager.poll_event();
    }
    net.say(1, b, 2);
    let mut polled = 0;
    loop {
        let _ = net.hand(1, udp(9), &disguised(&sigma1, 1000 + polled));
        let _ = net.nodes[1].manager.poll_event();
        polled += 1;
        let transmit = net.nodes[1].manager.poll_transmit(now).unwrap();
        if transmit.to == udp(1) {
            break;
        }
    }
    assert!(polled <= 2, "{polled}");
}

/// One slot for the commissioner and one for everybody else.
#[test]
fn strangers_between_two_messages_of_a_commissioner_replace_nothing_of_his() {
    let device = Config::default().with_handshakes(2, Duration::from_millis(500));
    let mut net = Net::with(vec![(udp(1), Config::default()), (udp(2), device)]);
    net.open_window(1);
    Authority::new(1, false).join(&mut net, 1, 200);
    net.on_send(|_| Fate::Late(10));
    net.dial_pase(0, 1, PASSCODE);
    let sigma1 = sigma1_elsewhere();
    let mut n = 0;
    while net.node(0).try_established().is_none() {
        assert!(n < 1000, "the commissioner gets through");
        for opcode in [SIGMA1, SIGMA2, SIGMA3, PBKDF_REQUEST, PAKE1, ACK, 0xFF] {
            for payload in [&[][..], &[0x15, 0x18], &[0; 40]] {
                n += 1;
                let octets = disguised(&Raw::new(opcode, payload).octets(), n);
                let _ = net.hand(1, udp(3000 + n as u16), &octets);
                let _ = net.hand(1, udp(3000 + n as u16), &disguised(&sigma1, n));
            }
        }
        net.run(10);
    }
    net.run(1000);
    assert_eq!(net.node(1).manager.sessions().len(), 1);
    net.assert_clean();
}

#[test]
fn of_ended_handshakes_the_one_that_ended_first_makes_room() {
    let device = Config::default().with_handshakes(3, Duration::from_secs(5));
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), device)]);
    let mut firsts = Vec::new();
    for _ in 0..4 {
        net.call(0, |m, cx| m.records_mut().forget_all(cx));
        let since = net.sent.len();
        net.case(200);
        firsts.push(net.sent[since].octets.clone());
    }
    // The fourth has taken the place of the first. The others still know what they have seen.
    for n in [1, 2, 3, 0] {
        net.hand(1, udp(1), &firsts[n]).unwrap();
        let since = net.sent.len();
        net.pump();
        let answers: Vec<_> = net.sent_by(1, since);
        let opcode = answers.first().and_then(|datagram| parts(&datagram.octets)).unwrap().0;
        assert_eq!(opcode, if n == 0 { SIGMA2 } else { ACK }, "{n}");
    }
}

/// A message that is repeated is acknowledged on the session: that takes a counter of it, and it
/// counts as used. Who repeats one again and again keeps its session from making room.
#[test]
fn a_session_whose_messages_are_repeated_counts_as_used() {
    for repeats in [false, true] {
        let device = Config::default().with_sessions(2).with_less_than_specified();
        let nodes = [Config::default(), device, Config::default(), Config::default()];
        let mut net = Net::with((1..).map(udp).zip(nodes).collect());
        let mut authority = Authority::new(1, false);
        for (n, node) in [100, 200, 300, 400].into_iter().enumerate() {
            authority.join(&mut net, n, node);
        }
        let (a, older) = net.case(200);
        let since = net.sent.len();
        net.say(0, a, 2);
        net.run(1000);
        let message = net.sent_by(0, since)[0].octets.clone();
        net.dial_case(2, 1, 1, 200);
        net.run(1000);
        let newer = net.node(1).established();
        if repeats {
            let since = net.sent.len();
            net.inject(udp(9), udp(2), &message, 0);
            net.run(1000);
            let sent = net.sent_by(1, since);
            assert_eq!((sent.len(), sent[0].to, sent[0].octets.len()), (1, udp(1), 34));
        }
        net.node(1).events.clear();
        net.dial_case(3, 1, 1, 200);
        net.run(1000);
        let gone = if repeats { newer } else { older };
        assert_eq!(net.node(1).closed().iter().map(|c| c.0).collect::<Vec<_>>(), [gone]);
        net.assert_clean();
    }
}
