//! Clocks that go wrong, and callers that come late.

use core::time::Duration;

use matter_session::manager::Config;

use crate::net::{Fate, Net, PASSCODE, udp};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// How long a datagram takes.
const TRIP: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pase,
    Case,
    Resumed,
    Conversation,
}

const KINDS: [Kind; 4] = [Kind::Pase, Kind::Case, Kind::Resumed, Kind::Conversation];

/// Two nodes in the middle of something: after so many trips of datagrams.
fn amid(kind: Kind, trips: u64) -> Net {
    let nodes = [udp(1), udp(2)].map(|address| (address, Config::default()));
    let mut net = Net::members_with(nodes.into());
    // Far from zero, where a clock could not go back.
    net.now = 100 * DAY;
    net.open_window(1);
    let sessions = matches!(kind, Kind::Resumed | Kind::Conversation).then(|| {
        let sessions = net.case(200);
        net.settle();
        sessions
    });
    for node in &mut net.nodes {
        node.events.clear();
    }
    net.sent.clear();
    net.on_send(|_| Fate::Late(TRIP));
    net.node(1).answers = true;
    match kind {
        Kind::Pase => net.dial_pase(0, 1, PASSCODE),
        Kind::Case | Kind::Resumed => net.dial_case(0, 1, 1, 200),
        Kind::Conversation => {
            let (a, b) = sessions.unwrap();
            net.say(0, a, 2);
            net.say(1, b, 5);
        }
    }
    net.run(trips * TRIP + 1);
    net
}

/// A node is told that it is another time, and asked for all that it has to send.
fn wake(net: &mut Net) -> usize {
    let since = net.sent.len();
    for n in 0..2 {
        for _ in 0..5 {
            net.call(n, |manager, cx| manager.handle_timeout(cx));
        }
    }
    net.pump();
    net.sent.len() - since
}

/// Whatever became of what was running, both can begin anew.
fn assert_recovered(net: &mut Net, what: &str) {
    net.on_send(|_| Fate::Arrives);
    net.run(70_000);
    for n in 0..2 {
        assert_eq!(net.nodes[n].manager.handshakes().len(), 0, "{what}: {n}");
        net.node(n).events.clear();
    }
    net.dial_case(0, 1, 1, 200);
    net.run(2000);
    let (a, b) = (net.node(0).established(), net.node(1).established());
    for (n, session) in [(0, a), (1, b)] {
        let exchange = net.say(n, session, 6);
        net.run(2000);
        assert!(net.node(n).acknowledged(exchange), "{what}: {n}");
    }
    net.assert_clean();
}

/// At every step of every handshake: nothing breaks, nothing bursts, and what was running goes on.
#[test]
fn a_clock_that_jumps_back_ends_nothing_and_bursts_nothing() {
    for kind in KINDS {
        for trips in 0..6 {
            for back in [1, 500, HOUR, DAY] {
                let what = format!("{kind:?}, {back} ms back after {trips} trips");
                let mut net = amid(kind, trips);
                net.now -= back;
                assert!(wake(&mut net) <= 4, "{what}");
                // As long as the clock has to go again, and what then is left to do.
                net.run(back + 70_000);
                for n in 0..2 {
                    assert!(net.nodes[n].failures().is_empty(), "{what}: {n}");
                }
                let sessions = net.nodes[0].manager.sessions().len();
                assert_eq!(sessions, if kind == Kind::Resumed { 2 } else { 1 }, "{what}");
                assert!(net.sent.len() <= 30, "{what}: {} datagrams", net.sent.len());
                assert_recovered(&mut net, &what);
            }
        }
    }
}

/// What is lost meanwhile is repeated once per message, and what has lasted too long ends.
#[test]
fn a_clock_that_leaps_bursts_nothing_and_ends_what_is_over() {
    for kind in KINDS {
        for trips in 0..6 {
            for ahead in [1000, 61_000, HOUR, DAY] {
                let what = format!("{kind:?}, {ahead} ms ahead after {trips} trips");
                let mut net = amid(kind, trips);
                // Nothing of what was on its way arrives.
                net.on_send(|_| Fate::Lost);
                net.now += ahead;
                // Per node: an exchange and a handshake, each at most one message and two
                // acknowledgements, or a report.
                assert!(wake(&mut net) <= 8, "{what}");
                assert!(wake(&mut net) <= 4, "{what}: once more");
                assert_eq!(wake(&mut net), 0, "{what}: and nothing more at that time");
                assert_recovered(&mut net, &what);
            }
        }
    }
}

#[test]
fn an_hour_in_which_nobody_calls_loses_nothing_that_can_still_be_had() {
    for kind in KINDS {
        for trips in 0..6 {
            let what = format!("{kind:?} after {trips} trips");
            let mut net = amid(kind, trips);
            // Only the device sleeps; what it was sent meanwhile is in the socket's buffer.
            net.now += HOUR;
            net.call(1, |manager, cx| manager.handle_timeout(cx));
            let since = net.sent.len();
            net.pump();
            assert!(net.sent_by(1, since).len() <= 4, "{what}");
            net.run(10_000);
            assert!(net.sent.len() <= 30, "{what}");
            assert_recovered(&mut net, &what);
        }
    }
}

/// The clock stands still while datagrams come and go.
#[test]
fn a_clock_that_stands_still_hinders_no_handshake() {
    for kind in [Kind::Pase, Kind::Case, Kind::Resumed] {
        let mut net = amid(kind, 0);
        net.on_send(|_| Fate::Arrives);
        let queued = net.sent[0].clone();
        net.hand(1, queued.from, &queued.octets).unwrap();
        let now = net.now;
        net.pump();
        assert_eq!(net.now, now);
        net.node(0).established();
        net.node(1).established();
    }
}

/// A message in flight for an hour: sent again once, and acknowledged.
#[test]
fn an_hour_without_a_call_to_handle_timeout_loses_no_message() {
    let (mut net, a, _) = Net::with_case();
    net.on_send(|_| Fate::Lost);
    let exchange = net.say(0, a, 2);
    net.pump();
    net.on_send(|_| Fate::Arrives);
    net.now += HOUR;
    let since = net.sent.len();
    net.call(0, |manager, cx| manager.handle_timeout(cx));
    net.pump();
    assert_eq!(net.sent_by(0, since).len(), 1);
    net.run(1000);
    assert!(net.node(0).acknowledged(exchange));
    net.assert_clean();
}

#[test]
fn windows_and_records_end_late_at_worst() {
    let config = Config::default().with_records(4, Duration::from_secs(3600));
    let mut net = Net::members_with([udp(1), udp(2)].map(|at| (at, config.clone())).into());
    net.now = 100 * DAY;
    net.case(200);
    let mut timed = crate::net::window();
    timed.duration = Some(Duration::from_secs(180));
    net.call(1, |m, cx| m.window().open(cx, timed)).unwrap();
    net.now -= DAY;
    net.run(DAY + 170_000);
    assert!(net.nodes[1].manager.window().is_open());
    assert_eq!(net.nodes[1].manager.records().len(), 1);
    net.run(11_000);
    assert!(!net.nodes[1].manager.window().is_open());
    net.now += DAY;
    wake(&mut net);
    assert_eq!(net.nodes[1].manager.records().len(), 0);
    net.assert_clean();
}
