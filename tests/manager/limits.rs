//! Full tables, and applications that do not keep up.

use core::time::Duration;

use matter_session::crypto::Passcode;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::MessageType;
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Groups, Handshakes, KeySets, MessageBytes, Records, Senders, Sessions,
};
use matter_session::manager::{
    Config, ConnectError, Event, FabricTableError, Fixed, Heap, OpenError, SendError, Storage,
    WindowError, WithGroups,
};

use crate::net::{Authority, Fate, IM, Net, PASSCODE, index, udp, window};

fn members(a: Config, b: Config) -> Net {
    Net::members_with(vec![(udp(1), a), (udp(2), b)])
}

#[test]
fn one_peer_cannot_take_all_exchanges() {
    let many = Config::default().with_own_exchanges_per_session(20);
    let mut net = members(many.clone(), many.with_exchanges_per_session(5));
    let (a, b) = net.case(200);
    let (other, _) = net.case(200);
    for _ in 0..20 {
        net.say(0, a, 2);
    }
    net.pump();
    assert_eq!(net.node(1).got.len(), 5);
    net.say(0, other, 4);
    net.pump();
    assert_eq!(net.node(1).got.len(), 6);
    // What this node begins itself is not limited by it.
    for _ in 0..10 {
        net.say(1, b, 6);
    }
    net.pump();
    assert_eq!(net.node(0).got.len(), 10);
    net.assert_clean();
}

#[test]
fn the_application_is_told_when_its_own_exchanges_are_too_many() {
    let mut net = members(Config::default().with_sessions(8).with_exchanges(3), Config::default());
    let (a, _) = net.case(200);
    let open = |net: &mut Net| net.call(0, |m, cx| m.open_exchange(cx, a));
    let first = open(&mut net).unwrap();
    open(&mut net).unwrap();
    let before = net.node(0).facts();
    assert_eq!(open(&mut net), Err(OpenError::TooMany));
    assert_eq!(net.node(0).facts(), before);
    net.close_exchange(0, first);
    open(&mut net).unwrap();
    net.assert_clean();
}

#[test]
fn handshakes_beyond_the_limit_are_told_to_wait_and_may_come_again() {
    let few = Config::default().with_handshakes(2, Duration::from_millis(1234));
    let mut net = members(Config::default(), few);
    net.node(1).signs = false;
    for _ in 0..3 {
        net.dial_case(0, 1, 1, 200);
    }
    net.run(1000);
    // The slots wait for signatures of this node. Nobody gets one while it may work on them.
    let busy = Refusal::Busy { wait: Duration::from_millis(3400) };
    assert_eq!(net.node(0).failures(), [HandshakeError::Refused(busy)]);
    assert_eq!(net.node(1).manager.statistics().busy, 1);
    assert_eq!(net.node(1).manager.handshakes().len(), 2);
    // This node itself gets one at once, as long as peers have any.
    for own in 0..3 {
        let (to, peer) = (udp(1), Peer::new(index(1), NodeId::new(100)));
        let dial = net.call(1, |m, cx| m.connect_case(cx, to, peer)).map(drop);
        assert_eq!(dial, if own < 2 { Ok(()) } else { Err(ConnectError::TooMany) });
    }
    net.settle();
    net.run(60_000);
    net.node(1).signs = true;
    net.node(1).requests.clear();
    net.case(200);
    net.assert_clean();
}

#[test]
fn a_node_that_is_set_busy_turns_everybody_away() {
    let mut net = members(Config::default(), Config::default());
    net.open_window(1);
    net.node(1).manager.handshakes().set_busy(Some(Duration::from_secs(9)));
    net.dial_case(0, 1, 1, 200);
    net.dial_pase(0, 1, PASSCODE);
    net.run(1000);
    let busy = HandshakeError::Refused(Refusal::Busy { wait: Duration::from_secs(9) });
    assert_eq!(net.node(0).failures(), [busy, busy]);
    net.node(1).manager.handshakes().set_busy(None);
    net.case(200);
    net.assert_clean();
}

#[test]
fn no_event_is_lost_when_nobody_polls() {
    let config = Config::default().with_events(6).with_sessions(40).with_exchanges(64);
    let config = config.with_own_exchanges_per_session(40);
    let mut net = members(Config::default(), config);
    let sessions: Vec<_> = (0..4).map(|_| net.case(200)).collect();
    net.settle();
    for (n, (_, b)) in sessions.iter().enumerate() {
        *net.node(1).manager.data_mut(*b).unwrap() = n as u32 + 1;
    }
    net.node(1).polls = false;
    // The application sends until it is told to poll.
    let mut sent = 0;
    for _ in 0..40 {
        let exchange = net.call(1, |m, cx| m.open_exchange(cx, sessions[0].1)).unwrap();
        match net.call(1, |m, cx| m.send(cx, exchange, MessageType::new(IM, 2), b"x")) {
            Ok(()) => sent += 1,
            Err(error) => assert_eq!(error, SendError::Backlog),
        }
        net.run(300);
    }
    assert!((6..10).contains(&sent), "{sent}");
    // Nothing new is begun, and all is refused in a way that can be repeated.
    net.dial_case(0, 1, 1, 200);
    net.run(100);
    assert!(matches!(net.node(0).failures()[..], [HandshakeError::Refused(Refusal::Busy { .. })]));
    let opened = net.call(1, |m, cx| m.window().open(cx, window()));
    assert_eq!(opened, Err(WindowError::Backlog));
    let to = udp(1);
    let passcode = || Passcode::new(PASSCODE).unwrap();
    let dial = net.call(1, |m, cx| m.connect_pase(cx, to, passcode()));
    assert_eq!(dial, Err(ConnectError::Backlog));
    // Messages still come in, and everything can still end.
    net.say(0, sessions[1].0, 2);
    net.pump();
    assert_eq!(net.node(1).got.len(), 1);
    net.call(0, |m, cx| m.close_session(cx, sessions[0].0));
    net.pump();
    net.call(1, |m, cx| assert!(m.fabrics_mut().remove(cx, index(1))));
    net.node(1).polls = true;
    net.settle();
    let mut contexts: Vec<_> = net.node(1).closed().iter().map(|closed| closed.1).collect();
    contexts.sort_unstable();
    assert_eq!(contexts, [1, 2, 3, 4]);
    let acknowledged =
        |e: &&Event<u32>| matches!(e, Event::Acknowledged { .. } | Event::Undelivered { .. });
    assert_eq!(net.nodes[1].events.iter().filter(acknowledged).count(), sent);
    net.assert_clean();
}

#[test]
fn a_handshake_pauses_while_events_are_not_polled() {
    let mut net = members(Config::default(), Config::default().with_events(1));
    net.dial_case(0, 1, 1, 200);
    net.node(1).polls = false;
    net.run(700);
    // The signing request waits; nothing more is taken in.
    assert_eq!(net.node(1).manager.handshakes().len(), 1);
    net.node(1).polls = true;
    net.settle();
    net.node(0).established();
    net.node(1).established();
    net.assert_clean();
}

#[test]
fn an_unreliable_message_says_how_much_room_it_needs() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
    let before = net.node(0).facts();
    let mut small = [0; 20];
    let sent = net.call(0, |m, cx| {
        m.send_unreliable(cx, exchange, MessageType::new(IM, 2), b"12345", &mut small)
    });
    let Err(SendError::BufferTooSmall { needed }) = sent else { panic!("{sent:?}") };
    assert_eq!(net.node(0).facts(), before);
    let mut buf = vec![0; needed];
    net.call(0, |m, cx| {
        m.send_unreliable(cx, exchange, MessageType::new(IM, 2), b"12345", &mut buf)
    })
    .unwrap();
    net.assert_clean();
}

#[test]
fn handles_of_what_is_gone_name_nothing() {
    let (mut net, a, _) = Net::with_case();
    let exchange = net.say(0, a, 2);
    net.call(0, |m, cx| m.close_session(cx, a));
    for _ in 0..3 {
        net.run(1000);
        net.case(200);
    }
    let manager = &mut net.node(0).manager;
    assert!(manager.session(a).is_none());
    assert!(manager.data_mut(a).is_none());
    assert!(manager.sessions().max_payload(exchange, IM).is_none());
    manager.close_exchange(exchange);
    assert!(manager.sessions_mut().associate_fabric(a, index(1)).is_err());
    let mut buf = [0; 128];
    let sent = net
        .call(0, |m, cx| m.send_unreliable(cx, exchange, MessageType::new(IM, 2), b"", &mut buf));
    assert!(matches!(sent, Err(SendError::Closed)));
    net.assert_clean();
}

#[test]
fn a_flood_of_requests_leaves_room_behind() {
    let few = Config::default().with_handshakes(4, Duration::from_secs(1));
    let mut net = members(Config::default(), few);
    net.on_send(|d| if d.to == udp(2) { Fate::Arrives } else { Fate::Lost });
    for _ in 0..200 {
        net.dial_case(0, 1, 1, 200);
        net.run(50);
        let id = net.nodes[0].manager.handshakes().len();
        assert!(id <= 32);
        if id == 32 {
            net.run(20_000);
        }
    }
    assert!(net.node(1).manager.handshakes().len() <= 4);
    net.on_send(|_| Fate::Arrives);
    net.run(70_000);
    net.node(0).events.clear();
    net.case(200);
    net.assert_clean();
}

/// How many fabrics a node can join, of five.
fn joins<S: Storage>(config: Config) -> usize {
    let mut net = Net::<S>::stored(vec![(udp(1), config)]);
    let joined = (1..=5).filter(|n| {
        let member = Authority::new(*n, false).admit(100);
        match net.node(0).manager.fabrics_mut().add(&member.credentials()) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error, FabricTableError::TooMany);
                false
            }
        }
    });
    joined.count()
}

#[test]
fn a_node_joins_no_more_fabrics_than_it_has_three_case_sessions_for() {
    type Device<const SESSIONS: usize> = Fixed<
        Sessions<SESSIONS>,
        Exchanges<4>,
        Handshakes<2>,
        Fabrics<5>,
        Records<2>,
        MessageBytes<2600>,
    >;
    for sessions in [1, 2, 3, 5, 6, 14, 15, 100] {
        let config = Config::default().with_sessions(sessions);
        assert_eq!(joins::<Heap>(config.clone()), (sessions / 3).min(5), "{sessions}");
        assert_eq!(joins::<Heap>(config.with_less_than_specified()), 5, "{sessions}");
    }
    // One place is for PASE.
    assert_eq!(joins::<Device<3>>(Config::default()), 0);
    assert_eq!(joins::<Device<9>>(Config::default()), 2);
    assert_eq!(joins::<Device<10>>(Config::default()), 3);
    assert_eq!(joins::<Device<16>>(Config::default()), 5);
    assert_eq!(joins::<Device<3>>(Config::default().with_less_than_specified()), 5);
}

#[test]
fn a_node_joins_no_more_fabrics_than_it_has_twelve_senders_for_under_each_key_set() {
    type Light<const KEY_SETS: usize, const SENDERS: usize> = WithGroups<
        Fixed<
            Sessions<16>,
            Exchanges<4>,
            Handshakes<2>,
            Fabrics<5>,
            Records<2>,
            MessageBytes<2600>,
        >,
        KeySets<KEY_SETS>,
        Groups<5>,
        Senders<SENDERS>,
    >;
    let config = Config::default;
    assert_eq!(joins::<Light<15, 180>>(config()), 5, "the default");
    assert_eq!(joins::<Light<15, 179>>(config()), 4);
    assert_eq!(joins::<Light<5, 60>>(config()), 5);
    assert_eq!(joins::<Light<5, 59>>(config()), 4);
    assert_eq!(joins::<Light<1, 12>>(config()), 1);
    assert_eq!(joins::<Light<1, 11>>(config()), 0);
    assert_eq!(joins::<Light<1, 1>>(config().with_less_than_specified()), 5);
    // A fabric that may have fewer key sets needs fewer places.
    let one = config().with_groups(1, 5);
    assert_eq!(joins::<Light<15, 60>>(one), 5);
    // Where there are no key sets there are no senders.
    assert_eq!(joins::<Light<1, 1>>(config().with_groups(0, 5)), 5);
    assert_eq!(joins::<Heap>(config().with_groups(0, 0)), 5);
    assert_eq!(joins::<Heap>(config().with_group_senders(0, 4)), 5);
}
