//! A peer with several addresses: one handshake, whose first message is sent to each in turn.

use core::time::Duration;

use matter_session::crypto::Passcode;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    Config, ConnectError, Event, Fixed, HandshakeHandle, PeerAddress, Storage,
};
use matter_session::session::SessionParameters;

use crate::net::{Authority, Fate, Net, PASSCODE, index, udp};
use crate::raw::{REPORT, SIGMA1};

type Arrays =
    Fixed<Sessions<4>, Exchanges<8>, Handshakes<2>, Fabrics<2>, Records<2>, MessageBytes<3000>>;

fn device() -> Peer {
    Peer::new(index(1), NodeId::new(200))
}

fn connect<S: Storage>(net: &mut Net<S>, to: &[PeerAddress]) -> HandshakeHandle {
    net.call(0, |m, cx| m.connect_case(cx, to, device())).unwrap()
}

/// Node 0 and a device of one fabric. The device is at port 20.
fn members<S: Storage>(config: Config) -> Net<S> {
    let device = Config::default().with_less_than_specified();
    let mut net = Net::stored(vec![(udp(1), config.with_less_than_specified()), (udp(20), device)]);
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    net
}

/// When node 0 sent something to an address since a place in the list, after the begin.
fn times<S: Storage>(net: &Net<S>, to: PeerAddress, begin: u64) -> Vec<u64> {
    let sent = net.sent.iter().filter(|sent| sent.from == udp(1) && sent.to == to);
    sent.map(|sent| sent.at - begin).collect()
}

fn assert_mrp(at: &[u64], interval: u64) {
    assert_eq!(at.len(), 5, "{at:?}");
    for (pair, grown) in at.windows(2).zip([10, 10, 16, 25]) {
        let least = interval * 11 / 10 * grown / 10;
        assert!((least - 2..=least * 13 / 10 + 4).contains(&(pair[1] - pair[0])), "{at:?}");
    }
}

/// The events about one handshake.
fn ends<S: Storage>(net: &mut Net<S>, handshake: HandshakeHandle) -> usize {
    let is_about = |event: &&Event<u32>| match event {
        Event::Established { handshake: by, .. } | Event::HandshakeFailed { handshake: by, .. } => {
            *by == Some(handshake)
        }
        _ => false,
    };
    net.node(0).events.iter().filter(is_about).count()
}

fn the_second_address_answers<S: Storage>() {
    let mut net = members::<S>(Config::default());
    let begin = net.now;
    let handshake = connect(&mut net, &[udp(2), udp(20), udp(3)]);
    net.run(249);
    assert!(times(&net, udp(20), begin).is_empty());
    net.run(60_000);
    assert_eq!(times(&net, udp(2), begin), [0], "nothing more once another one has answered");
    assert_eq!(times(&net, udp(20), begin)[0], 250);
    assert!(times(&net, udp(3), begin).is_empty());
    let sigma1: Vec<_> =
        net.sent.iter().filter(|sent| sent.handshake_opcode() == Some(0x30)).collect();
    assert_eq!(sigma1.len(), 2);
    assert_eq!(sigma1[0].octets, sigma1[1].octets, "the same bytes and counter");
    let a = net.node(0).established();
    assert_eq!(net.nodes[0].manager.session(a).unwrap().peer_address(), udp(20));
    assert_eq!(ends(&mut net, handshake), 1);
    assert_eq!(net.nodes[0].manager.sessions().len(), 1);
    net.assert_clean();
}

#[test]
fn the_first_address_that_answers_wins_and_nothing_more_goes_to_the_others_on_the_heap() {
    the_second_address_answers::<matter_session::Heap>();
}

#[test]
fn the_first_address_that_answers_wins_and_nothing_more_goes_to_the_others_in_arrays() {
    the_second_address_answers::<Arrays>();
}

#[test]
fn a_first_address_that_answers_at_once_is_the_only_one_that_is_used() {
    let mut net = members::<matter_session::Heap>(Config::default());
    connect(&mut net, &[udp(20), udp(2), udp(3)]);
    net.run(20_000);
    assert!(net.node(0).try_established().is_some());
    assert!(net.sent.iter().all(|sent| sent.to == udp(20) || sent.to == udp(1)));
    net.assert_clean();
}

#[test]
fn each_address_has_its_own_five_transmissions_a_delay_after_the_one_before() {
    for delay in [250, 100, 2_000] {
        let config = Config::default().with_connection_attempt_delay(Duration::from_millis(delay));
        let mut net = members::<matter_session::Heap>(config);
        let begin = net.now;
        net.cut();
        let handshake = connect(&mut net, &[udp(2), udp(3), udp(4), udp(5)]);
        net.run(4_000);
        assert!(net.node(0).failures().is_empty());
        net.run(20_000);
        for (n, port) in (2..=5).enumerate() {
            let at = times(&net, udp(port), begin);
            assert_eq!(at[0], delay * n as u64);
            assert_mrp(&at, 500);
        }
        assert_eq!(net.node(0).failures(), [HandshakeError::TimedOut]);
        assert_eq!(ends(&mut net, handshake), 1);
        assert_eq!(net.nodes[0].manager.sessions().len(), 0);
        net.on_send(|_| Fate::Arrives);
        net.assert_clean();
    }
}

#[test]
fn the_delay_is_ten_milliseconds_at_least() {
    let config = Config::default().with_connection_attempt_delay(Duration::ZERO);
    let mut net = members::<matter_session::Heap>(config);
    let begin = net.now;
    net.cut();
    connect(&mut net, &[udp(2), udp(3)]);
    net.run(9);
    assert!(times(&net, udp(3), begin).is_empty());
    net.run(1);
    assert_eq!(times(&net, udp(3), begin), [10]);
}

#[test]
fn pase_takes_several_addresses_too() {
    let mut net = members::<matter_session::Heap>(Config::default());
    net.open_window(1);
    let begin = net.now;
    let passcode = Passcode::new(PASSCODE).unwrap();
    net.call(0, |m, cx| m.connect_pase(cx, [udp(2), udp(20)], passcode)).unwrap();
    net.run(20_000);
    assert_eq!(times(&net, udp(2), begin), [0]);
    assert_eq!(times(&net, udp(20), begin)[0], 250);
    let a = net.node(0).established();
    assert_eq!(net.nodes[0].manager.session(a).unwrap().peer_address(), udp(20));
    assert!(net.node(1).try_established().is_some());
    net.assert_clean();
}

#[test]
fn a_responder_that_is_reached_at_two_addresses_takes_the_copy_for_a_duplicate() {
    for pase in [false, true] {
        let mut net = members::<matter_session::Heap>(Config::default());
        net.open_window(1);
        // Both lead to the device, whose answer takes half a second.
        net.route_by(|sent| match sent.to {
            to if to == udp(1) => Some(0),
            _ => Some(1),
        });
        net.on_send(|sent| if sent.from == udp(20) { Fate::Late(400) } else { Fate::Arrives });
        let to = [udp(20), udp(21)];
        let handshake = match pase {
            true => {
                let passcode = Passcode::new(PASSCODE).unwrap();
                net.call(0, |m, cx| m.connect_pase(cx, to, passcode)).unwrap()
            }
            false => connect(&mut net, &to),
        };
        net.run(20_000);
        assert_eq!(ends(&mut net, handshake), 1);
        assert_eq!(net.node(0).failures(), []);
        assert_eq!(net.node(1).failures(), []);
        for n in 0..2 {
            assert!(net.node(n).try_established().is_some());
            assert_eq!(net.nodes[n].manager.sessions().len(), 1);
        }
        net.on_send(|_| Fate::Arrives);
        net.assert_clean();
    }
}

#[test]
fn a_responder_may_answer_from_an_address_that_was_not_discovered() {
    let mut net = members::<matter_session::Heap>(Config::default());
    net.route_by(|sent| match sent.to {
        to if to == udp(1) => Some(0),
        to if to == udp(2) => None,
        _ => Some(1),
    });
    connect(&mut net, &[udp(2), udp(30)]);
    net.run(5_000);
    let a = net.node(0).established();
    assert_eq!(net.nodes[0].manager.session(a).unwrap().peer_address(), udp(20));
}

#[test]
fn a_session_is_resumed_at_several_addresses() {
    let mut net = members::<matter_session::Heap>(Config::default());
    for resumes in [false, true] {
        net.node(0).events.clear();
        connect(&mut net, &[udp(2), udp(20)]);
        net.run(5_000);
        let resumed = |event: &Event<u32>| match event {
            Event::Established { resumed, .. } => Some(*resumed),
            _ => None,
        };
        let events: Vec<_> = net.node(0).events.iter().filter_map(resumed).collect();
        assert_eq!(events, [resumes]);
    }
}

#[test]
fn a_cancelled_handshake_is_reported_where_it_was_sent_and_sends_to_no_further_address() {
    let mut net = members::<matter_session::Heap>(Config::default());
    net.cut();
    let handshake = connect(&mut net, &[udp(2), udp(3), udp(4)]);
    net.run(300);
    let to = |net: &Net<_>| net.sent.iter().map(|sent| sent.to).collect::<Vec<_>>();
    assert_eq!(to(&net), [udp(2), udp(3)]);
    assert!(net.node(0).manager.handshakes().cancel(handshake));
    net.run(60_000);
    let mut reported = to(&net).split_off(2);
    reported.sort();
    assert_eq!(reported, [udp(2), udp(3)]);
    let opcodes = net.sent.iter().map(|sent| sent.handshake_opcode());
    let opcodes: Vec<_> = opcodes.map(Option::unwrap).collect();
    assert_eq!(opcodes, [SIGMA1, SIGMA1, REPORT, REPORT]);
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
}

#[test]
fn lists_without_an_address_or_with_a_connection_are_refused_and_take_no_slot() {
    let mut net = members::<matter_session::Heap>(Config::default());
    let connect = |net: &mut Net, to: &[PeerAddress]| {
        net.call(0, |m, cx| m.connect_case(cx, to, device()).map(drop))
    };
    assert_eq!(connect(&mut net, &[]), Err(ConnectError::NoAddress));
    for to in [[udp(2), PeerAddress::Tcp(1)], [PeerAddress::Link(1), PeerAddress::Link(2)]] {
        assert_eq!(connect(&mut net, &to), Err(ConnectError::SeveralConnections));
    }
    assert_eq!(net.node(0).manager.handshakes().len(), 0);
    assert_eq!(connect(&mut net, &[PeerAddress::Tcp(1)]), Ok(()));
}

#[test]
fn addresses_that_come_twice_or_are_too_many_are_left_out() {
    let mut net = members::<matter_session::Heap>(Config::default());
    net.cut();
    let begin = net.now;
    let to: Vec<_> = (2..20).flat_map(|port| [udp(port), udp(2), udp(port)]).collect();
    connect(&mut net, &to);
    net.run(30_000);
    for port in 2..20 {
        let at = times(&net, udp(port), begin);
        if port < 10 {
            assert_eq!(at[0], 250 * (u64::from(port) - 2));
            assert_mrp(&at, 500);
        } else {
            assert!(at.is_empty());
        }
    }
}

#[test]
fn a_sleeper_at_several_addresses_is_sent_its_message_at_each_when_it_is_awake() {
    let sleepy = SessionParameters::matter_1_6().with_intervals(3_600_000, 300, 2_000);
    let config = Config::default().with_longest_interval(Duration::from_secs(3600));
    let mut net = members::<matter_session::Heap>(config);
    net.cut();
    let begin = net.now;
    net.call(0, |m, cx| {
        let handshake = m.connect_case(cx, [udp(2), udp(3)], device()).unwrap();
        assert!(m.handshakes().expect_timing(cx, handshake, sleepy).is_ok());
    });
    net.run(30_000);
    assert_eq!(net.sent.len(), 2);
    net.call(0, |m, cx| m.sessions_mut().peer_is_awake(cx, device()));
    net.run(1);
    // One after the other: that which was tried last is first.
    assert_eq!(times(&net, udp(3), begin), [250, 30_000]);
    assert_eq!(times(&net, udp(2), begin), [0, 30_001]);
}

#[test]
fn attempts_that_are_all_late_are_made_one_after_the_other() {
    let mut net = members::<matter_session::Heap>(Config::default());
    net.cut();
    let begin = net.now;
    connect(&mut net, &[udp(2), udp(3), udp(4)]);
    // Nobody calls the node for a while.
    net.now += 10_000;
    net.run(0);
    for (n, port) in (2..5).enumerate() {
        assert_eq!(times(&net, udp(port), begin), [10_000 + n as u64]);
        let next = net.nodes[0].manager.poll_timeout().unwrap();
        assert!(next > net.instant(), "no timer is left that is over");
        net.run(1);
    }
    assert_eq!(net.sent.len(), 3);
}

#[test]
fn a_refusal_is_told_if_no_other_address_answers() {
    let mut net = members::<matter_session::Heap>(Config::default());
    net.node(1).manager.handshakes().set_busy(Some(Duration::from_secs(7)));
    let begin = net.now;
    let handshake = connect(&mut net, &[udp(20), udp(2)]);
    net.run(60_000);
    assert_eq!(times(&net, udp(20), begin), [0]);
    let at = times(&net, udp(2), begin);
    assert_eq!(at[0], 0, "at once after the refusal");
    assert_mrp(&at, 500);
    let busy = HandshakeError::Refused(Refusal::Busy { wait: Duration::from_secs(7) });
    assert_eq!(net.node(0).failures(), [busy]);
    assert_eq!(ends(&mut net, handshake), 1);
    let address = net.node(0).events.iter().find_map(|event| match event {
        Event::HandshakeFailed { address, .. } => Some(*address),
        _ => None,
    });
    assert_eq!(address, Some(udp(20)));
    let counted = &net.nodes[0].manager.statistics().handshakes;
    assert_eq!((counted.refused, counted.timed_out), (1, 0), "as the event says");
    net.assert_clean();
}

/// A device that has acknowledged the message works on its answer, whatever else becomes known of
/// it.
#[test]
fn a_responder_that_has_acknowledged_is_not_given_up_because_it_is_said_to_be_awake() {
    let sleepy = SessionParameters::matter_1_6().with_intervals(500, 300, 4_000);
    for says in 0..3 {
        let mut net = members::<matter_session::Heap>(Config::default());
        net.node(1).signs = false;
        let handshake = connect(&mut net, &[udp(2), udp(20)]);
        net.run(1_000);
        net.call(0, |m, cx| match says {
            0 => m.sessions_mut().peer_is_awake(cx, device()),
            1 => assert!(m.handshakes().expect_timing(cx, handshake, sleepy).is_ok()),
            _ => {}
        });
        net.run(20_000);
        assert_eq!(net.node(0).failures(), [], "{says}");
        let request = net.node(1).requests.pop().unwrap();
        let signed = request.sign_with(net.node(1).keys.get_mut(&index(1)).unwrap());
        assert!(net.call(1, |m, cx| m.complete_signature(cx, signed).is_ok()));
        net.run(1_000);
        assert_eq!(ends(&mut net, handshake), 1);
        assert!(net.node(0).try_established().is_some(), "{says}");
    }
}
