//! Recorded Sigma1 messages without end, while honest nodes and the device itself go on.

use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Event, Fixed, Heap, PeerAddress, Storage};

use super::{DEVICE, HONEST, host, members, record};
use crate::net::{Dice, Fate, Net, udp};
use crate::raw::disguised;

type Few =
    Fixed<Sessions<8>, Exchanges<8>, Handshakes<2>, Fabrics<5>, Records<15>, MessageBytes<5120>>;
type One =
    Fixed<Sessions<8>, Exchanges<8>, Handshakes<1>, Fabrics<5>, Records<15>, MessageBytes<5120>>;

const SECONDS: u64 = 120;

/// Of each hundred handshakes, those that were served: of the honest node, and of the device
/// itself.
#[derive(Debug)]
struct Served {
    honest: usize,
    own: usize,
}

/// One handshake a second of the honest node and one of the device to it, under so many recorded
/// Sigma1 messages a second. Each message takes 20 ms.
fn besiege<S: Storage>(
    net: &mut Net<S>,
    per_second: u64,
    sigma1: impl Fn(u64) -> (PeerAddress, Vec<u8>),
) -> Served {
    net.on_send(|_| Fate::Late(20));
    let (mut honest, mut own) = (0, 0);
    let (mut n, mut dice) = (0, Dice::new(7));
    for second in 0..SECONDS {
        for part in 0..10 {
            // The honest node begins at another moment of each second.
            let begins = part == second * 7 % 10;
            if begins {
                for n in [DEVICE, HONEST] {
                    net.call(n, |m, cx| m.records_mut().forget_all(cx));
                }
                net.node(HONEST).events.clear();
                net.dial_case(HONEST, DEVICE, 1, 200);
            }
            if part == (second * 7 + 5) % 10 {
                let events = &net.nodes[HONEST].events;
                let served =
                    |e: &&Event<u32>| matches!(e, Event::Established { handshake: Some(_), .. });
                honest += events.iter().filter(served).count();
                net.node(DEVICE).events.clear();
                let dialled = {
                    let to = net.nodes[HONEST].address;
                    let peer = super::Peer::new(super::index(1), super::NodeId::new(300));
                    net.call(DEVICE, |m, cx| m.connect_case(cx, to, peer))
                };
                if dialled.is_ok() {
                    net.run(1);
                }
            }
            let due = (second * 10 + part + 1) * per_second / 10;
            while n < due {
                let (from, octets) = sigma1(n);
                let delay = dice.below(1000);
                net.inject(from, udp(2), &octets, delay);
                n += 1;
            }
            if begins {
                let events = &net.nodes[DEVICE].events;
                let served =
                    |e: &&Event<u32>| matches!(e, Event::Established { handshake: Some(_), .. });
                own += events.iter().filter(served).count();
            }
            net.run(100);
        }
    }
    let share = |served: usize| served * 100 / (SECONDS as usize - 1);
    let served = Served { honest: share(honest), own: share(own) };
    println!("{per_second} a second: {served:?}");
    served
}

/// Each from another host, as another node, with another random.
fn from_everywhere<S: Storage>(slots: usize, per_second: u64) -> Served {
    let mut net = members::<S>(slots);
    let sigma1 = record(&mut net, 64);
    besiege(&mut net, per_second, |n| {
        (host(1000 + n), disguised(&sigma1[n as usize % sigma1.len()], n))
    })
}

#[test]
fn one_recorded_sigma1_a_second_keeps_nobody_out() {
    let served = [
        from_everywhere::<Heap>(Config::default().max_handshakes, 1),
        from_everywhere::<Heap>(16, 1),
        from_everywhere::<Heap>(4, 1),
        from_everywhere::<Heap>(2, 1),
        from_everywhere::<Few>(2, 1),
    ];
    for served in served {
        assert!(served.honest >= 95 && served.own == 100, "{served:?}");
    }
}

#[test]
fn ten_recorded_sigma1_a_second_from_everywhere_keep_nobody_out_of_sixteen_slots() {
    for served in [from_everywhere::<Heap>(32, 10), from_everywhere::<Heap>(16, 10)] {
        assert!(served.honest >= 95 && served.own == 100, "{served:?}");
    }
}

/// Four are accepted in a second, of the eleven that come.
#[test]
fn of_two_slots_under_ten_recorded_sigma1_a_second_honest_nodes_get_their_share() {
    for served in [from_everywhere::<Heap>(2, 10), from_everywhere::<Few>(2, 10)] {
        assert!(served.honest >= 25 && served.own == 100, "{served:?}");
    }
}

#[test]
fn with_one_slot_own_handshakes_are_served_all_the_same() {
    let served = from_everywhere::<One>(1, 1);
    assert!(served.honest >= 50 && served.own == 100, "{served:?}");
}

#[test]
fn one_host_keeps_nobody_out_however_much_it_sends() {
    for (slots, per_second) in [(2, 1), (2, 10), (2, 100), (16, 100)] {
        let mut net = members::<Heap>(slots);
        let sigma1 = record(&mut net, 64);
        let served = besiege(&mut net, per_second, |n| {
            (udp(3000 + n as u16), disguised(&sigma1[n as usize % sigma1.len()], n))
        });
        assert!(served.honest >= 95 && served.own == 100, "{slots} {per_second}: {served:?}");
    }
}

#[test]
fn one_recorded_sigma1_keeps_nobody_out_however_often_it_is_repeated() {
    for (slots, per_second) in [(2, 10), (2, 100), (16, 100)] {
        let mut net = members::<Heap>(slots);
        let sigma1 = record(&mut net, 1).remove(0);
        let served = besiege(&mut net, per_second, |n| (host(1000 + n), disguised(&sigma1, n)));
        assert!(served.honest >= 95 && served.own == 100, "{slots} {per_second}: {served:?}");
    }
}
