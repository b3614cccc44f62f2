//! A request that comes again while its answer is in flight.

use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Fixed, Heap, Storage};

use crate::net::{Net, udp};
use crate::twin::{Plan, Read, Twin, header};

type Small =
    Fixed<Sessions<4>, Exchanges<5>, Handshakes<2>, Fabrics<2>, Records<4>, MessageBytes<8000>>;

/// A node that has received a request and answered it: the octets of the request, and its counter.
fn answered<S: Storage>() -> (Net<S>, Twin, Vec<u8>, u32) {
    let mut net = Net::<S>::stored(vec![(udp(1), Config::default())]);
    let (_, mut twin) = Plan::case(1, 5, udp(7)).begin(&mut net, 0).unwrap();
    let (request, counter) = twin.seal(&header(1, true, None));
    net.hand(0, udp(7), &request).unwrap();
    let exchange = net.node(0).got[0].exchange;
    net.answer(0, exchange, 3);
    net.pump();
    (net, twin, request, counter)
}

fn answers(read: &[Read]) -> usize {
    read.iter().filter(|read| read.header.opcode == 3 && read.header.needs_ack).count()
}

fn repeats_at_once<S: Storage>() {
    let (mut net, twin, request, counter) = answered::<S>();
    let since = net.sent.len();
    net.now += 50;
    net.hand(0, udp(7), &request).unwrap();
    net.pump();
    let read = twin.read_all(&net, since);
    assert_eq!((answers(&read), read.len()), (1, 1), "the answer, and no other acknowledgement");
    assert!(read[0].acknowledges(counter));
    assert_eq!(net.sent[since].octets, net.sent[since - 1].octets, "the same octets");
    net.assert_clean();
}

#[test]
fn a_request_that_is_repeated_while_its_answer_is_in_flight_gets_the_answer_at_once() {
    repeats_at_once::<Heap>();
    repeats_at_once::<Small>();
}

/// How often the answer leaves, and when it is given up, with a recording of the request handed in
/// every so many milliseconds.
fn under_replays(every: u64) -> (Vec<u64>, u64) {
    let (mut net, twin, request, _) = answered::<Heap>();
    let (start, exchange) = (net.now, net.node(0).got[0].exchange);
    let mut given_up = 0;
    while given_up == 0 {
        if every > 0 {
            net.hand(0, udp(7), &request).unwrap();
        }
        net.run(if every == 0 { 5 } else { every });
        if net.node(0).undelivered(exchange) {
            given_up = net.now - start;
        }
    }
    let sent = net.sent.iter().filter(|sent| twin.read(&sent.octets).unwrap().header.opcode == 3);
    let at: Vec<_> = sent.map(|sent| sent.at - start).collect();
    (at, given_up)
}

#[test]
fn replays_of_a_request_add_no_transmission_of_its_answer_and_do_not_end_it_sooner() {
    let (alone, usual) = under_replays(0);
    assert_eq!(alone.len(), 5);
    for every in [1, 5, 50, 100] {
        let (at, given_up) = under_replays(every);
        assert_eq!(at.len(), 5, "{every}: {at:?}");
        // Jitter makes the waits differ by a quarter.
        assert!(given_up * 5 >= usual * 4, "{every}: after {given_up} ms, usually {usual}");
        // Of two transmissions in a row, one leaves when it is due.
        assert!(at[2] >= 600, "{every}: {at:?}");
        assert!(at[4] >= 1200, "{every}: {at:?}");
    }
}

/// A request that was acknowledged already, and of which another came since, is not repeated for.
#[test]
fn only_the_request_that_the_answer_in_flight_acknowledges_brings_it_again() {
    let (mut net, mut twin, request, counter) = answered::<Heap>();
    let (newer, newer_counter) = twin.seal(&header(1, true, None));
    net.hand(0, udp(7), &newer).unwrap();
    net.run(250);
    for (octets, counter) in [(&request, counter), (&newer, newer_counter)] {
        let since = net.sent.len();
        net.hand(0, udp(7), octets).unwrap();
        net.pump();
        let read = twin.read_all(&net, since);
        assert_eq!((answers(&read), read.len()), (0, 1));
        assert!(read[0].acknowledges(counter));
    }
    net.assert_clean();
}
