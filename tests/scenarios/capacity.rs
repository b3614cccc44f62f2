//! Tables that are full: what is refused, and that it gets through later.

use core::time::Duration;

use matter_session::crypto::Passcode;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    Config, ConnectError, Dropped, Fixed, Heap, OpenError, SessionHandle, Shards, Storage,
};

use crate::net::{Authority, Fate, Net, PASSCODE, index, udp};
use crate::twin::{Plan, Twin, header};

/// A node with three exchanges, of which one peer may have two, and two peers.
fn small<S: Storage>() -> (Net<S>, [SessionHandle; 2], [Twin; 2]) {
    let config = Config::default().with_exchanges(3).with_exchanges_per_session(2);
    let mut net = Net::<S>::stored(vec![(udp(1), config)]);
    let mut begin = |peer, port| Plan::case(1, peer, udp(port)).begin(&mut net, 0).unwrap();
    let ((a, first), (b, second)) = (begin(5, 7), begin(6, 8));
    (net, [a, b], [first, second])
}

fn full_tables_get_it_later<S: Storage>() {
    type Fill<S> = fn(&mut Net<S>, [SessionHandle; 2], &mut [Twin; 2]);
    let fills: [(&str, Fill<S>); 3] = [
        ("own exchanges, and one of another peer", |net, [a, b], [_, other]| {
            net.hand(0, udp(8), &other.seal(&header(1, false, None)).0).unwrap();
            for session in [a, b] {
                net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
            }
        }),
        ("one of each peer", |net, _, [peer, other]| {
            net.hand(0, udp(7), &peer.seal(&header(1, false, None)).0).unwrap();
            net.hand(0, udp(8), &other.seal(&header(1, false, None)).0).unwrap();
        }),
        ("as many of this peer as it may have", |net, _, [peer, _]| {
            for exchange in 1..=2 {
                net.hand(0, udp(7), &peer.seal(&header(exchange, false, None)).0).unwrap();
            }
        }),
    ];
    for (name, fill) in fills {
        let (mut net, sessions, mut twins) = small::<S>();
        fill(&mut net, sessions, &mut twins);
        let (delivered, since) = (net.node(0).got.len(), net.sent.len());
        let open = net.node(0).manager.sessions().exchange_count();
        let (octets, counter) = twins[0].seal(&header(77, true, None));
        let before = net.node(0).facts();
        // The peer repeats it; meanwhile others of its messages may come.
        for repetition in 0..4 {
            assert_eq!(net.hand(0, udp(7), &octets), Err(Dropped::NoExchange), "{name}");
            net.run(300);
            assert_eq!(net.node(0).facts(), before, "{name}, repetition {repetition}");
        }
        assert_eq!(net.sent.len(), since, "{name}: nothing is acknowledged");
        assert_eq!(net.node(0).got.len(), delivered, "{name}: nothing is delivered");
        // A place becomes free.
        net.run(300_000);
        assert_eq!(net.node(0).manager.sessions().exchange_count(), 0, "{open} are gone");
        net.hand(0, udp(7), &octets).unwrap();
        net.run(300);
        assert_eq!(net.node(0).got.len(), delivered + 1, "{name}: not taken for a duplicate");
        let acks = twins[0].read_all(&net, since);
        assert_eq!(acks.len(), 1, "{name}");
        assert!(acks[0].acknowledges(counter), "{name}");
        net.hand(0, udp(7), &octets).unwrap();
        assert_eq!(net.node(0).got.len(), delivered + 1, "{name}: delivered once");
        net.assert_clean();
    }
}

#[test]
fn a_reliable_message_without_room_is_neither_acknowledged_nor_forgotten_and_gets_in_later() {
    full_tables_get_it_later::<Heap>();
    full_tables_get_it_later::<
        Fixed<Sessions<4>, Exchanges<3>, Handshakes<2>, Fabrics<1>, Records<1>, MessageBytes<2600>>,
    >();
}

#[test]
fn a_full_table_of_exchanges_is_no_obstacle_to_messages_on_those_in_it() {
    let (mut net, [a, b], mut twins) = small::<Heap>();
    for exchange in 1..=2 {
        net.hand(0, udp(7), &twins[0].seal(&header(exchange, false, None)).0).unwrap();
    }
    net.call(0, |m, cx| m.open_exchange(cx, b)).unwrap();
    assert_eq!(net.call(0, |m, cx| m.open_exchange(cx, a)), Err(OpenError::TooMany));
    let (octets, counter) = twins[0].seal(&header(2, true, None));
    net.hand(0, udp(7), &octets).unwrap();
    net.run(300);
    assert_eq!(net.node(0).got.len(), 3);
    assert!(twins[0].read_all(&net, 0)[0].acknowledges(counter));
    net.assert_clean();
}

#[test]
fn a_peer_that_repeats_itself_gets_through_once_a_place_is_free() {
    // The last of them is for another session.
    let few = Config::default().with_sessions(8).with_exchanges(3);
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), few)]);
    let (a, _) = net.case(200);
    for _ in 0..2 {
        net.say(0, a, 2);
    }
    net.run(400);
    assert_eq!(net.node(1).got.len(), 2);
    let since = net.sent.len();
    let third = net.say(0, a, 4);
    net.run(500);
    assert!(net.sent_by(1, since).is_empty(), "not acknowledged");
    let theirs = net.node(1).got[0].exchange;
    net.close_exchange(1, theirs);
    net.run(5000);
    assert_eq!(net.node(1).got.len(), 3, "not taken for a duplicate");
    assert!(net.node(0).acknowledged(third));
    net.assert_clean();
}

#[test]
fn with_every_one_of_the_65535_session_ids_in_use_the_error_is_typed_and_comes_at_once() {
    let full = Config::default().with_sessions(usize::MAX).with_exchanges(16);
    let mut net = Net::members_with(vec![(udp(1), Config::default()), (udp(2), full)]);
    let mut last = None;
    for peer in 1..=65_534 {
        last = Plan::case(1, 1000 + peer, udp(7)).begin(&mut net, 1).map(|(handle, _)| handle);
    }
    Plan::pase(udp(8)).begin(&mut net, 1).unwrap();
    let last = last.unwrap();
    assert_eq!(net.node(1).manager.sessions().len(), 65_535);
    for id in 1..=u16::MAX {
        let id = matter_session::ids::LocalSessionId::new(id).unwrap();
        assert!(net.node(1).manager.sessions().by_id(id).is_some());
    }
    let since = net.sent.len();
    for _ in 0..3 {
        let dial = net.call(1, |m, cx| {
            m.connect_case(cx, udp(1), Peer::new(index(1), NodeId::new(100))).err()
        });
        assert_eq!(dial, Some(ConnectError::NoSessionId));
        let passcode = Passcode::new(PASSCODE).unwrap();
        let dial = net.call(1, |m, cx| m.connect_pase(cx, udp(1), passcode).err());
        assert_eq!(dial, Some(ConnectError::NoSessionId));
        assert!(Plan::case(1, 9, udp(7)).begin(&mut net, 1).is_none());
    }
    assert_eq!(net.sent.len(), since);
    // Peers are told to come back; nobody is driven out.
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let wait = Duration::from_secs(5);
    assert_eq!(net.node(0).failures(), [HandshakeError::Refused(Refusal::Busy { wait })]);
    assert_eq!(net.node(1).manager.sessions().len(), 65_535);
    assert!(net.node(1).closed().is_empty());
    // The one that is free again is found, wherever it is.
    net.call(1, |m, cx| m.close_session(cx, last));
    net.pump();
    let (_, theirs) = net.case(200);
    assert_eq!(theirs.local_session_id(), last.local_session_id());
    assert_ne!(theirs, last);
}

/// A shard has few ids. However many sessions it is to hold, handshakes find ids for all their
/// slots: else whoever lets one hang keeps everybody out.
#[test]
fn a_full_shard_has_ids_for_all_its_handshakes() {
    let shards = Shards::new(Shards::MAX, [3; 16]).unwrap();
    let full = Config::default().with_shard(shards.shard(7).unwrap());
    let slots = full.max_handshakes;
    let nodes = [Config::default(), full, Config::default()];
    let mut net = Net::with((1..).map(udp).zip(nodes).collect());
    let mut authority = Authority::new(1, false);
    for (n, node) in [100, 200, 300].into_iter().enumerate() {
        authority.join(&mut net, n, node);
    }
    for peer in 0..300 {
        assert!(Plan::case(1, 1000 + peer, udp(7)).begin(&mut net, 1).is_some(), "{peer}");
    }
    Plan::pase(udp(8)).begin(&mut net, 1).unwrap();
    net.pump();
    net.on_send(|sent| if sent.to == udp(1) { Fate::Lost } else { Fate::Arrives });
    for _ in 1..slots {
        net.dial_case(0, 1, 1, 200);
        net.pump();
    }
    assert_eq!(net.node(1).manager.handshakes().len(), slots - 1);
    net.dial_case(2, 1, 1, 200);
    net.run(100);
    assert!(net.node(2).try_established().is_some(), "{:?}", net.node(2).failures());
    net.run(100_000);
    net.assert_clean();
}

#[test]
fn with_every_exchange_id_of_a_session_in_use_the_error_is_typed() {
    let config = Config::default().with_exchanges(100_000);
    let config = config.with_own_exchanges_per_session(usize::MAX);
    let mut net = Net::with(vec![(udp(1), config)]);
    let (session, _) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    let (other, _) = Plan::case(1, 5, udp(8)).begin(&mut net, 0).unwrap();
    let open = |net: &mut Net, session| net.call(0, |m, cx| m.open_exchange(cx, session));
    let all: Vec<_> = (0..=u16::MAX).map(|_| open(&mut net, session).unwrap()).collect();
    let ids: std::collections::BTreeSet<_> = all.iter().map(|exchange| exchange.id()).collect();
    assert_eq!(ids.len(), 65_536);
    assert_eq!(open(&mut net, session), Err(OpenError::TooMany));
    open(&mut net, other).unwrap();
    net.close_exchange(0, all[1234]);
    assert_eq!(open(&mut net, session).unwrap().id(), all[1234].id());
}
