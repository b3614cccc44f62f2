//! Attacks by way of connections of reliable transports.

use std::time::{Duration, Instant};

use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    CloseReason, Config, Fixed, Heap, NoSession, PeerAddress, SessionHandle, Storage,
};
use matter_session::wire::StatusReport;

use crate::net::{Dice, Net, udp};
use crate::twin::{Plan, Twin, header};

type Device =
    Fixed<Sessions<12>, Exchanges<8>, Handshakes<2>, Fabrics<5>, Records<9>, MessageBytes<2600>>;

fn server<S: Storage>() -> Net<S> {
    Net::stored(vec![(udp(1), Config::default().with_sessions(65_534))])
}

fn begin<S: Storage>(net: &mut Net<S>, peer: u64, address: PeerAddress) -> (SessionHandle, Twin) {
    Plan::case(1, peer, address).begin(net, 0).unwrap()
}

/// How long it takes to ask for, and to end, connections that nothing uses.
fn time_of_strangers(sessions: u32) -> Duration {
    let mut net = server::<Heap>();
    for n in 0..sessions {
        begin(&mut net, n.into(), PeerAddress::Tcp(n));
    }
    let start = Instant::now();
    for stranger in 1_000_000..1_003_000 {
        let stranger = PeerAddress::Tcp(stranger);
        assert!(!net.node(0).manager.connections().is_in_use(stranger));
        let report = StatusReport::close_session();
        let sent = net.call(0, |m, cx| {
            m.connections().handle_disconnect(cx, stranger);
            m.connections().send_status_report(cx, stranger, &report)
        });
        assert_eq!(sent, Err(NoSession));
    }
    start.elapsed()
}

/// The work for a stranger's connection does not grow with the number of sessions: by a factor of
/// thousands it would.
#[test]
fn the_connection_of_a_stranger_costs_the_same_beside_many_sessions_as_beside_few() {
    let few = time_of_strangers(10);
    let many = time_of_strangers(40_000);
    let most = few.max(Duration::from_millis(2)) * 40;
    assert!(many < most, "{many:?} beside many, {few:?} beside few");
}

/// Against a list: who uses which connection, whatever begins and ends.
fn connections_are_those_of_a_list<S: Storage>(seed: u64, most: usize) {
    let mut net = server::<S>();
    let mut dice = Dice::new(seed);
    let mut list = Vec::<(SessionHandle, PeerAddress)>::new();
    let address = |dice: &mut Dice| match dice.below(3) {
        0 => PeerAddress::Tcp(dice.below(4) as u32),
        1 => PeerAddress::Link(dice.below(4) as u32),
        _ => udp(2 + dice.below(4) as u16),
    };
    for step in 0..600 {
        let connection = address(&mut dice);
        match dice.below(5) {
            0..3 if list.len() < most => {
                let peer = dice.below(20);
                let (session, _) = begin(&mut net, peer, connection);
                list.push((session, connection));
            }
            3 => {
                net.call(0, |m, cx| m.connections().handle_disconnect(cx, connection));
                let closed = net.nodes[0].closed();
                let over: Vec<_> = list.extract_if(.., |(_, at)| *at == connection).collect();
                for (session, _) in over {
                    let reason = closed.iter().find(|closed| closed.0 == session).map(|c| c.2);
                    assert_eq!(reason, None, "not polled yet");
                    assert!(net.node(0).manager.session(session).is_none(), "{step}");
                }
                net.pump();
            }
            _ => {
                if let Some((session, _)) = list.pop() {
                    net.call(0, |m, cx| m.close_session(cx, session));
                }
                net.pump();
            }
        }
        assert_eq!(net.node(0).manager.sessions().len(), list.len(), "{step}");
        for number in 0..4 {
            for connection in
                [PeerAddress::Tcp(number), PeerAddress::Link(number), udp(2 + number as u16)]
            {
                let used = list.iter().any(|(_, at)| *at == connection);
                let found = net.node(0).manager.connections().is_in_use(connection);
                assert_eq!(found, used, "{step}: {connection}");
            }
        }
    }
    let lost = net.nodes[0].closed().iter().filter(|c| c.2 == CloseReason::Disconnected).count();
    assert!(lost > 10);
}

#[test]
fn the_sessions_over_a_connection_are_those_of_a_plain_list() {
    for seed in 0..20 {
        connections_are_those_of_a_list::<Heap>(seed, 40);
        connections_are_those_of_a_list::<Device>(seed, 8);
    }
}

/// A number of a connection is used again after it is lost. Nothing that was for the first peer is
/// sent to the second.
fn nothing_goes_to_the_next<S: Storage>() {
    for connection in [PeerAddress::Tcp(4), PeerAddress::Link(4)] {
        let mut net = server::<S>();
        let (first, mut twin) = begin(&mut net, 5, connection);
        let (second, other) = begin(&mut net, 6, connection);
        let (elsewhere, stays) = begin(&mut net, 7, PeerAddress::Tcp(9));
        // A CloseSession, an acknowledgement, a report, a message in flight; and one for another.
        let stray = twin.seal(&header(1, true, None)).0;
        net.hand(0, connection, &stray).unwrap();
        net.say(0, first, 2);
        let report = StatusReport::close_session();
        net.call(0, |m, cx| m.connections().send_status_report(cx, connection, &report)).unwrap();
        net.call(0, |m, cx| m.close_session(cx, second));
        net.call(0, |m, cx| m.close_session(cx, elsewhere));
        net.call(0, |m, cx| m.connections().handle_disconnect(cx, connection));
        assert!(!net.node(0).manager.connections().is_in_use(connection));
        let (_, next) = begin(&mut net, 8, connection);
        net.run(60_000);
        let to_next = net.sent.iter().filter(|sent| sent.to == connection).count();
        assert_eq!(to_next, 0, "{connection}");
        assert!(other.read_all(&net, 0).is_empty() && next.read_all(&net, 0).is_empty());
        assert!(stays.read_all(&net, 0).iter().any(|read| read.is_close_session()));
    }
}

#[test]
fn short_messages_for_a_lost_connection_are_not_sent_over_the_next_with_its_number() {
    nothing_goes_to_the_next::<Heap>();
    nothing_goes_to_the_next::<Device>();
}

/// The same for the report that refuses a stranger.
#[test]
fn a_refusal_for_a_lost_connection_is_not_sent_over_the_next_with_its_number() {
    let mut net = Net::<Heap>::members_with(vec![
        (PeerAddress::Tcp(1), Config::default()),
        (PeerAddress::Tcp(2), Config::default()),
    ]);
    net.node(1).manager.handshakes().set_busy(Some(Duration::from_secs(1)));
    net.dial_case(0, 1, 1, 200);
    let now = net.instant();
    let sigma1 = net.node(0).manager.poll_transmit(now).unwrap().datagram.to_vec();
    net.hand(1, PeerAddress::Tcp(1), &sigma1).unwrap();
    net.call(1, |m, cx| m.connections().handle_disconnect(cx, PeerAddress::Tcp(1)));
    assert!(net.node(1).manager.poll_transmit(now).is_none());
}
