//! Peers that sleep: how long an acknowledgement is waited for, and from when on.

use core::ops::RangeInclusive;
use core::time::Duration;

use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{Config, Event, ExchangeHandle, SessionHandle};
use matter_session::session::SessionParameters;

use crate::net::{Fate, Net, index, udp};

/// Two members; one of them declares these intervals.
fn members(sleeper: usize, parameters: SessionParameters) -> Net {
    let mut configs = [Config::default(), Config::default()];
    configs[sleeper].parameters = parameters;
    // The peers of these devices wait for them as long as they sleep.
    configs[1 - sleeper].longest_interval = Duration::from_secs(3600);
    let [a, b] = configs;
    Net::members_with(vec![(udp(1), a), (udp(2), b)])
}

/// The backoff from an interval in milliseconds: 10 % more, 1.6 times as much for each repetition
/// after the first, up to a quarter of jitter.
fn wait(interval: u64, grown: u32) -> RangeInclusive<u64> {
    let least = interval * 11 * 16_u64.pow(grown) / 10_u64.pow(grown + 1);
    least - 2..=least * 5 / 4 + 2
}

/// When node 0 sent the datagrams since a place in the list.
fn times(net: &Net, n: usize, since: usize) -> Vec<u64> {
    net.sent_by(n, since).iter().map(|sent| sent.at).collect()
}

fn assert_waits(at: &[u64], expected: &[(u64, u32)]) {
    let waits: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), expected.len(), "{waits:?}");
    for (waited, &(interval, grown)) in waits.iter().zip(expected) {
        assert!(wait(interval, grown).contains(waited), "{waits:?}, {expected:?}");
    }
}

/// A conversation with a device that listens once a minute, and every 300 ms for a while after it
/// has spoken, which it did 250 ms ago.
fn conversation() -> (Net, SessionHandle, SessionHandle) {
    const THRESHOLD: u16 = 1300;
    let sleepy = SessionParameters::matter_1_6().with_intervals(60_000, 300, THRESHOLD);
    let mut net = members(1, sleepy);
    let (a, b) = net.case(200);
    net.run(20_000);
    let exchange = net.say(1, b, 2);
    net.pump();
    let ours = net.node(0).got[0].exchange;
    net.answer(0, ours, 3);
    net.pump();
    net.answer(1, exchange, 4);
    net.run(250);
    (net, a, b)
}

#[test]
fn in_the_middle_of_an_exchange_the_base_interval_follows_the_peer_at_every_transmission() {
    let (mut net, _, b) = conversation();
    let ours = net.node(0).got[0].exchange;
    let since = net.sent.len();
    net.on_send(|sent| if sent.from == udp(1) { Fate::Lost } else { Fate::Arrives });
    net.answer(0, ours, 5);
    let begin = net.now;
    // Three transmissions while it is awake, the third wait is grown once. At the fourth it has
    // been silent for longer than its threshold.
    net.run(3000);
    let at = times(&net, 0, since);
    assert_waits(&at, &[(300, 0), (300, 0), (300, 1)]);
    assert!(at[2] - begin < 1050 && at[3] - begin >= 1050, "{at:?}");
    // It speaks, on another exchange, right before the last transmission; awake again, it is
    // given up soon.
    let last = net.nodes[0].manager.poll_timeout().unwrap().as_millis();
    assert!(wait(60_000, 2).contains(&(last - at[3])), "{last} {at:?}");
    net.run(last - net.now - 500);
    net.say(1, b, 6);
    net.run(500);
    let sent = net.sent_by(0, since);
    let repeated: Vec<_> = sent.iter().filter(|d| d.octets == sent[0].octets).collect();
    assert_eq!(repeated.len(), 5);
    assert_eq!(repeated[4].at, last);
    assert!(!net.node(0).undelivered(ours));
    net.run(*wait(300, 3).start() - 1);
    assert!(!net.node(0).undelivered(ours));
    net.run(*wait(300, 3).end() - *wait(300, 3).start() + 2);
    assert!(net.node(0).undelivered(ours));
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
}

#[test]
fn a_device_that_sleeps_for_a_minute_is_waited_for_that_long_five_times() {
    let (mut net, ..) = conversation();
    net.run(5000);
    let ours = net.node(0).got[0].exchange;
    let since = net.sent.len();
    net.on_send(|_| Fate::Lost);
    net.answer(0, ours, 5);
    let longest: u64 = [0, 0, 1, 2, 3].iter().map(|&grown| *wait(60_000, grown).end()).sum();
    net.run(longest);
    assert_waits(&times(&net, 0, since), &[(60_000, 0), (60_000, 0), (60_000, 1), (60_000, 2)]);
    assert!(net.node(0).undelivered(ours));
    assert_eq!(net.node(0).manager.sessions().exchange_count(), 0, "nor is it kept any longer");
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
}

#[test]
fn a_peer_that_names_an_hour_holds_a_message_no_longer_than_the_node_lets_it() {
    const HOUR: u32 = 3_600_000;
    for (longest, least, most) in [(HOUR, 11 * 3600, 15 * 3600), (15_000, 150, 220)] {
        let absurd = SessionParameters::matter_1_6().with_intervals(HOUR, HOUR, u16::MAX);
        let longest = Duration::from_millis(longest.into());
        let patient = Config::default().with_longest_interval(longest);
        let impatient = Config::default().with_parameters(absurd);
        let mut net = Net::members_with(vec![(udp(1), patient), (udp(2), impatient)]);
        let (a, _) = net.case(200);
        net.on_send(|sent| if sent.to == udp(2) { Fate::Lost } else { Fate::Arrives });
        let since = net.sent.len();
        let exchange = net.say(0, a, 2);
        net.run(least * 1000);
        assert!(!net.node(0).undelivered(exchange));
        net.run((most - least) * 1000);
        assert!(net.node(0).undelivered(exchange), "{longest:?}");
        assert_eq!(net.sent_by(0, since).len(), 5);
        net.run(300_000);
        assert_eq!(net.node(0).manager.sessions().exchange_count(), 0);
    }
}

#[test]
fn messages_of_handshakes_follow_the_sleep_that_discovery_announced_and_no_declared_one() {
    let sleepy = SessionParameters::matter_1_6().with_intervals(4000, 300, 1000);
    // An initiator that sleeps: Sigma1 has told the responder so, which anybody could have done.
    let mut net = members(0, sleepy);
    // One Sigma1 arrives, as a copy of it would bring a Sigma2 ahead of its time.
    let mut first = true;
    net.on_send(move |sent| {
        let arrives = sent.from == udp(1) && core::mem::take(&mut first);
        if arrives { Fate::Arrives } else { Fate::Lost }
    });
    net.dial_case(0, 1, 1, 200);
    net.run(14_000);
    let sigma2: Vec<_> =
        net.sent.iter().filter(|d| d.handshake_opcode() == Some(0x31)).map(|d| d.at).collect();
    assert!(sigma2.len() >= 5, "{sigma2:?}");
    assert_waits(&sigma2[..5], &[(300, 0), (300, 0), (300, 1), (300, 2)]);
    net.on_send(|_| Fate::Arrives);
    net.run(60_000);
    net.assert_clean();

    // A responder that sleeps: discovery has told the initiator so. Not heard yet, it is idle.
    let mut net = members(1, sleepy);
    net.on_send(|_| Fate::Lost);
    let expected = sleepy;
    net.call(0, |m, cx| {
        let handshake = m.connect_case(cx, udp(2), Peer::new(index(1), NodeId::new(200))).unwrap();
        assert!(m.handshakes().expect_timing(cx, handshake, expected).is_ok());
    });
    net.run(40_000);
    assert_waits(&times(&net, 0, 0), &[(4000, 0), (4000, 0), (4000, 1), (4000, 2)]);
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
}

#[test]
fn the_wait_for_an_acknowledgement_begins_when_the_message_leaves() {
    let (mut net, a, _) = Net::with_case();
    let since = net.cut();
    net.say(0, a, 2);
    net.call(0, |m, cx| m.connect_case(cx, udp(2), Peer::new(index(1), NodeId::new(200)))).unwrap();
    // Nobody polls for a while; time passes, though.
    for _ in 0..100 {
        net.now += 100;
        net.call(0, |m, cx| m.handle_timeout(cx));
    }
    let begin = net.now;
    net.run(5000);
    let by = |secure: bool| -> Vec<u64> {
        let sent = net.sent_by(0, since);
        sent.iter().filter(|d| d.handshake_opcode().is_none() == secure).map(|d| d.at).collect()
    };
    for (at, grown) in [(by(true), [0, 0, 1, 2]), (by(false), [0, 0, 1, 2])] {
        assert_eq!(at[0], begin);
        // Ten seconds without a word: the idle interval of 500 ms.
        assert_waits(&at, &grown.map(|grown| (500, grown)));
    }
}

/// A device that listens once an hour, has been silent for long, and loses the first message of a
/// node that waits for it as long. Returns the exchange too.
fn asleep() -> (Net, SessionHandle, ExchangeHandle) {
    let sleepy = SessionParameters::matter_1_6().with_intervals(3_600_000, 300, 2000);
    let mut net = members(1, sleepy);
    let (a, _) = net.case(200);
    net.run(20_000);
    net.cut();
    let exchange = net.say(0, a, 2);
    net.run(60_000);
    (net, a, exchange)
}

fn device() -> Peer {
    Peer::new(index(1), NodeId::new(200))
}

fn wake(net: &mut Net) {
    net.call(0, |m, cx| m.sessions_mut().peer_is_awake(cx, device()));
}

#[test]
fn a_message_that_waits_for_a_sleeper_is_sent_at_once_when_the_application_says_it_is_awake() {
    let (mut net, a, exchange) = asleep();
    let since = net.sent.len();
    let begin = net.now;
    net.run(1_000_000);
    assert!(times(&net, 0, since).is_empty(), "it would be repeated after more than an hour");
    net.on_send(|_| Fate::Arrives);
    wake(&mut net);
    net.pump();
    assert_eq!(times(&net, 0, since), [begin + 1_000_000]);
    let session = net.nodes[0].manager.session(a).unwrap().session();
    assert!(session.is_peer_active(net.instant()));
    let received = session.last_received().unwrap().as_millis();
    assert!(received < begin, "nothing was received on the session");
    net.run(1_000);
    assert!(net.node(0).acknowledged(exchange));
    let silent = |event: &&Event<u32>| matches!(event, Event::PeerSilent { .. });
    assert_eq!(net.node(0).events.iter().filter(silent).count(), 0, "it slept");
    net.close_exchange(0, exchange);
    net.assert_clean();
}

#[test]
fn after_a_peer_woke_up_its_active_interval_counts_until_the_threshold() {
    let (mut net, _, exchange) = asleep();
    let since = net.sent.len();
    wake(&mut net);
    net.run(20_000_000);
    // The second transmission of five at once; the others at the active interval, until it has been
    // awake for two seconds.
    let at = times(&net, 0, since);
    assert_waits(&at, &[(300, 0), (300, 1), (300, 2)]);
    assert!(net.node(0).undelivered(exchange));
}

#[test]
fn however_often_a_peer_is_said_to_be_awake_a_message_is_sent_five_times() {
    let (mut net, _, exchange) = asleep();
    let since = net.sent.len();
    for _ in 0..100 {
        wake(&mut net);
        net.pump();
    }
    assert_eq!(times(&net, 0, since).len(), 1, "it is waited for as an active peer already");
    let begin = net.now;
    while !net.node(0).undelivered(exchange) {
        net.run(10);
        wake(&mut net);
    }
    let at = times(&net, 0, since);
    assert_waits(&at, &[(300, 0), (300, 1), (300, 2)]);
    let all: u64 = [0, 1, 2, 3].iter().map(|&grown| *wait(300, grown).start()).sum();
    assert!(net.now - begin >= all, "it is given up no sooner");
    net.run(20_000_000);
    assert_eq!(times(&net, 0, since).len(), 4);
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
}

#[test]
fn a_message_sent_five_times_to_a_sleeper_is_given_up_if_it_does_not_answer_awake() {
    let sleepy = SessionParameters::matter_1_6().with_intervals(60_000, 300, 2000);
    let mut net = members(1, sleepy);
    let (a, _) = net.case(200);
    net.run(20_000);
    let since = net.cut();
    let exchange = net.say(0, a, 2);
    while times(&net, 0, since).len() < 5 {
        net.run(1_000);
    }
    wake(&mut net);
    net.run(*wait(300, 3).start() - 1);
    assert!(!net.node(0).undelivered(exchange));
    net.run(*wait(300, 3).end() - *wait(300, 3).start() + 2);
    assert!(net.node(0).undelivered(exchange));
    assert_eq!(times(&net, 0, since).len(), 5);
}

#[test]
fn replays_do_not_keep_a_message_from_a_peer_that_woke_up() {
    let sleepy = SessionParameters::matter_1_6().with_intervals(3_600_000, 300, 2000);
    let mut net = members(1, sleepy);
    let (_, b) = net.case(200);
    net.say(1, b, 2);
    net.pump();
    let request = net.sent.last().unwrap().octets.clone();
    let ours = net.node(0).got[0].exchange;
    net.run(20_000);
    let since = net.cut();
    net.answer(0, ours, 3);
    net.run(60_000);
    // A recording brings one transmission ahead of its time.
    net.hand(0, udp(2), &request).unwrap();
    net.run(60_000);
    assert_eq!(times(&net, 0, since).len(), 2);
    wake(&mut net);
    net.run(100);
    assert_eq!(times(&net, 0, since).len(), 3);
}

#[test]
fn a_handshake_with_a_sleeper_goes_on_when_it_is_awake_and_other_peers_are_not_concerned() {
    let sleepy = SessionParameters::matter_1_6().with_intervals(3_600_000, 300, 2000);
    let mut net = members(1, sleepy);
    net.cut();
    net.call(0, |m, cx| {
        for node in [200, 201] {
            let peer = Peer::new(index(1), NodeId::new(node));
            let handshake = m.connect_case(cx, udp(2), peer).unwrap();
            assert!(m.handshakes().expect_timing(cx, handshake, sleepy).is_ok());
        }
    });
    net.run(30_000);
    assert_eq!(net.sent.len(), 2);
    net.on_send(|_| Fate::Arrives);
    wake(&mut net);
    net.run(2_000);
    assert!(net.node(0).try_established().is_some());
    let sigma1 = net.sent.iter().filter(|sent| sent.handshake_opcode() == Some(0x30)).count();
    assert_eq!(sigma1, 3);
}
