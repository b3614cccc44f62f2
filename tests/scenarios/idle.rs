//! Exchanges on which nothing is said for long.

use core::time::Duration;

use matter_session::ids::MessageType;
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    Config, Dropped, Event, ExchangeHandle, Fixed, Heap, SendError, Storage,
};

use crate::net::{IM, Net, udp};
use crate::twin::{Plan, answer, header};

type Small =
    Fixed<Sessions<4>, Exchanges<5>, Handshakes<2>, Fabrics<2>, Records<4>, MessageBytes<8000>>;

fn expired<S: Storage>(net: &Net<S>, exchange: ExchangeHandle) -> usize {
    let expired = |event: &&Event<u32>| matches!(event, Event::ExchangeExpired { exchange: e, .. } if *e == exchange);
    net.nodes[0].events.iter().filter(expired).count()
}

fn long_commands<S: Storage>() {
    let mut net = Net::<S>::stored(vec![(udp(1), Config::default())]);
    let (session, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    // The longest wait that a device can ask for when it is to join a network takes 255 s.
    let exchange = net.say(0, session, 8);
    net.pump();
    let request = twin.read_all(&net, 0)[0].counter;
    let id = exchange.id().get();
    net.hand(0, udp(7), &twin.seal(&answer(id, false, Some(request))).0).unwrap();
    let (octets, _) = twin.seal(&header(9, true, None));
    net.hand(0, udp(7), &octets).unwrap();
    let theirs = net.node(0).got.last().unwrap().exchange;
    net.run(255_000);
    let since = net.node(0).got.len();
    net.hand(0, udp(7), &twin.seal(&answer(id, true, None)).0).unwrap();
    assert_eq!(net.node(0).got.len(), since + 1, "the response is delivered");
    net.answer(0, theirs, 3);
    assert_eq!((expired(&net, exchange), expired(&net, theirs)), (0, 0));
}

#[test]
fn a_command_may_take_255_seconds_at_either_end() {
    long_commands::<Heap>();
    long_commands::<Small>();
}

fn tells<S: Storage>(config: Config, lifetime: u64) {
    let mut net = Net::<S>::stored(vec![(udp(1), config)]);
    let (session, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    let own = net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
    net.hand(0, udp(7), &twin.seal(&header(9, true, None)).0).unwrap();
    let theirs = net.node(0).got[0].exchange;
    let closed = net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap();
    net.close_exchange(0, closed);
    net.run(lifetime - 1);
    assert_eq!((expired(&net, own), expired(&net, theirs)), (0, 0));
    // Of the peer's exchange the clock starts with the acknowledgement.
    net.run(201);
    assert_eq!((expired(&net, own), expired(&net, theirs)), (1, 1));
    assert_eq!(expired(&net, closed), 0, "the application has closed it");
    for exchange in [own, theirs] {
        let sent = net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 3), b"x"));
        assert_eq!(sent, Err(SendError::Closed));
    }
    let late = answer(own.id().get(), true, None);
    assert_eq!(net.hand(0, udp(7), &twin.seal(&late).0), Err(Dropped::Unsolicited));
    net.assert_clean();
}

#[test]
fn an_exchange_that_the_manager_closes_because_it_was_idle_is_told_of() {
    let short = Config::default().with_exchange_lifetime(Duration::from_secs(10));
    tells::<Heap>(short.clone(), 10_000);
    tells::<Small>(short, 10_000);
    tells::<Heap>(Config::default(), 300_000);
}

/// No event is lost: an exchange is kept while too many events wait.
#[test]
fn while_the_application_does_not_poll_its_events_no_idle_exchange_is_closed() {
    let config = Config::default()
        .with_exchange_lifetime(Duration::from_secs(10))
        .with_events(1)
        .with_own_exchanges_per_session(20);
    let mut net = Net::<Heap>::stored(vec![(udp(1), config)]);
    let (session, _twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    net.node(0).polls = false;
    let own: Vec<_> =
        (0..20).map(|_| net.call(0, |m, cx| m.open_exchange(cx, session)).unwrap()).collect();
    net.run(100_000);
    assert_eq!(net.node(0).manager.sessions().exchange_count(), 19, "one is told of");
    net.node(0).polls = true;
    net.run(30_000);
    assert!(own.iter().all(|exchange| expired(&net, *exchange) == 1));
    net.assert_clean();
}
