//! Who gets a slot when all are taken.

use core::time::Duration;

use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, ConnectError, Event, Fixed, Heap, PeerAddress, Storage};

use super::{DEVICE, HONEST, SENDER, host, joined, members, record, running};
use crate::net::{Fate, Net, PASSCODE, index, udp};
use crate::raw::{ACK, REPORT, Raw, SIGMA2, disguised, parts};

const HOUR: u32 = 3_600_000;

type Slots<const N: usize> =
    Fixed<Sessions<8>, Exchanges<8>, Handshakes<N>, Fabrics<5>, Records<15>, MessageBytes<30_000>>;

/// How long a handshake takes up a slot whose initiator falls silent after its first message.
fn held(declares: Option<u32>, pase: bool, resumes: bool) -> u64 {
    let mut sender = Config::default();
    if let Some(interval) = declares {
        sender.parameters = sender.parameters.with_intervals(interval, interval, u16::MAX);
    }
    let mut net = joined::<Heap>(vec![(udp(1), sender), (udp(2), Config::default())]);
    if resumes {
        net.case(200);
        net.settle();
    }
    net.open_window(DEVICE);
    net.on_send(|sent| if sent.to == udp(1) { Fate::Lost } else { Fate::Arrives });
    if pase {
        net.dial_pase(SENDER, DEVICE, PASSCODE);
    } else {
        net.dial_case(SENDER, DEVICE, 1, 200);
    }
    net.pump();
    assert_eq!(running(&mut net), 1);
    let begin = net.now;
    while running(&mut net) == 1 {
        net.run(50);
    }
    net.now - begin
}

#[test]
fn what_an_initiator_declares_does_not_keep_its_slot_longer() {
    for (pase, resumes) in [(false, false), (true, false), (false, true)] {
        let plain = held(None, pase, resumes);
        assert!((3000..5000).contains(&plain), "{plain}");
        for interval in [65_535, HOUR, u32::MAX] {
            let declared = held(Some(interval), pase, resumes);
            assert!(declared.abs_diff(plain) < 1000, "{declared} for {plain}");
        }
    }
}

/// The initiator tells that it sleeps: nobody knows whether that is true.
#[test]
fn sigma2_is_repeated_at_the_default_intervals_whatever_sigma1_declares() {
    for interval in [300, 4000, HOUR] {
        let mut sender = Config::default();
        sender.parameters = sender.parameters.with_intervals(interval, interval, 0);
        let mut net = joined::<Heap>(vec![(udp(1), sender), (udp(2), Config::default())]);
        // One Sigma1 arrives, as a copy of it would bring a Sigma2 ahead of its time.
        let mut first = true;
        net.on_send(move |sent| {
            let arrives = sent.from == udp(1) && core::mem::take(&mut first);
            if arrives { Fate::Arrives } else { Fate::Lost }
        });
        net.dial_case(SENDER, DEVICE, 1, 200);
        net.run(10_000);
        let sigma2 = net.sent.iter().filter(|sent| sent.handshake_opcode() == Some(SIGMA2));
        let at: Vec<_> = sigma2.map(|sent| sent.at).collect();
        let waits: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits.len() >= 4, "{waits:?}");
        let grown = [(330, 415), (330, 415), (525, 665), (840, 1060)];
        for (wait, (least, most)) in waits.iter().zip(grown) {
            assert!((least..=most).contains(wait), "{interval}: {waits:?}");
        }
    }
}

/// After the handshake, what the peer declared counts.
#[test]
fn intervals_of_an_established_session_are_those_that_its_peer_declared() {
    let mut sender = Config::default();
    sender.parameters = sender.parameters.with_intervals(4000, 4000, 0);
    let mut net = joined::<Heap>(vec![(udp(1), sender), (udp(2), Config::default())]);
    let (_, b) = net.case(200);
    net.settle();
    net.on_send(|_| Fate::Lost);
    let since = net.sent.len();
    net.say(DEVICE, b, 2);
    net.run(10_000);
    let at: Vec<_> = net.sent_by(DEVICE, since).iter().map(|sent| sent.at).collect();
    assert!(at[1] - at[0] >= 4400, "{at:?}");
}

/// Half-open handshakes in all slots, each from another host.
fn fill<S: Storage>(net: &mut Net<S>, slots: usize) {
    let sigma1 = record(net, slots);
    for (n, octets) in sigma1.iter().enumerate() {
        let n = n as u64;
        net.hand(DEVICE, host(1000 + n), &disguised(octets, n)).unwrap();
        net.pump();
    }
    assert_eq!(running(net), slots);
}

fn dial_own<S: Storage>(net: &mut Net<S>) -> Result<(), ConnectError> {
    let (to, peer) = (net.nodes[HONEST].address, Peer::new(index(1), NodeId::new(300)));
    net.call(DEVICE, |m, cx| m.connect_case(cx, to, peer)).map(drop)
}

fn own_handshakes_get_every_slot<S: Storage>(slots: usize) {
    let mut net = members::<S>(slots);
    fill(&mut net, slots);
    let sigma1 = record(&mut net, 1).remove(0);
    net.on_send(|_| Fate::Late(50));
    for n in 0..slots {
        assert_eq!(dial_own(&mut net), Ok(()), "{n} of {slots}");
        net.pump();
    }
    // They are nobody's to take: not of peers, and not of the next one of this node.
    assert_eq!(dial_own(&mut net), Err(ConnectError::TooMany));
    net.hand(DEVICE, host(5000), &disguised(&sigma1, 9)).unwrap();
    net.run(2000);
    let own = |e: &&Event<u32>| matches!(e, Event::Established { handshake: Some(_), .. });
    assert_eq!(net.nodes[DEVICE].events.iter().filter(own).count(), slots);
}

#[test]
fn own_handshakes_get_a_slot_while_strangers_hold_all() {
    for slots in [1, 2, 16] {
        own_handshakes_get_every_slot::<Heap>(slots);
    }
    own_handshakes_get_every_slot::<Slots<1>>(1);
    own_handshakes_get_every_slot::<Slots<2>>(2);
    own_handshakes_get_every_slot::<Slots<8>>(8);
}

/// Hands the device a Sigma1 of a new host, and returns the opcode of its answer.
fn begin<S: Storage>(net: &mut Net<S>, from: PeerAddress, sigma1: &[u8], n: u64) -> u8 {
    let since = net.sent.len();
    net.hand(DEVICE, from, &disguised(sigma1, n)).unwrap();
    net.pump();
    let sent = net.sent_by(DEVICE, since);
    let answer = sent.iter().find(|sent| sent.to == from).expect("an answer");
    parts(&answer.octets).unwrap().0
}

#[test]
fn the_oldest_half_open_handshake_gives_its_slot_to_a_newcomer_after_the_first_round_trip() {
    for (slots, grace) in [(1, 200), (2, 400), (4, 800), (16, 1000)] {
        let mut net = members::<Heap>(slots);
        let sigma1 = record(&mut net, slots + 3);
        for (n, octets) in (0..).zip(&sigma1[..slots]) {
            assert_eq!(begin(&mut net, host(100 + n), octets, n), SIGMA2);
            net.run(1);
        }
        let last = slots as u64 + 200;
        net.run(grace - slots as u64 - 1);
        assert_eq!(
            begin(&mut net, host(last), &sigma1[slots], last),
            REPORT,
            "within a round trip"
        );
        net.run(1);
        let since = net.sent.len();
        assert_eq!(begin(&mut net, host(last), &sigma1[slots], last), SIGMA2);
        // The one that lost its slot is told to come again.
        let told: Vec<_> =
            net.sent_by(DEVICE, since).iter().filter(|d| d.to != host(last)).cloned().collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].to, host(100), "the oldest");
        assert_eq!(parts(&told[0].octets).unwrap().1[..4], [8, 0, 0, 0], "a Busy report");
        assert_eq!(running(&mut net), slots);
        net.run(70_000);
        net.nodes[DEVICE].assert_clean();
    }
}

#[test]
fn a_sigma1_that_means_no_fabric_here_takes_no_slot_from_anybody() {
    let mut net = members::<Heap>(2);
    fill(&mut net, 2);
    net.run(3000);
    assert_eq!(running(&mut net), 2);
    let sigma1 = record(&mut net, 1).remove(0);
    let before = net.nodes[DEVICE].failures();
    for n in 0..32 {
        // Another random: the destination id does not fit.
        let mut octets = disguised(&sigma1, 100 + n);
        octets[22 + 1 + 3 + n as usize] ^= 1;
        net.hand(DEVICE, host(4000 + n), &octets).unwrap();
    }
    assert_eq!(running(&mut net), 2);
    assert_eq!(net.nodes[DEVICE].failures(), before);
}

/// The acknowledgement of what the device sent last to a host.
fn acknowledge(net: &mut Net, from: PeerAddress, sigma1: &[u8], n: u64) {
    let sent = net.sent.iter().rev().find(|sent| sent.to == from).unwrap();
    let acked = u32::from_le_bytes(sent.octets[4..8].try_into().unwrap());
    let first = disguised(sigma1, n);
    let ack = Raw { flags: 1, ack: Some(acked), ..Raw::like(&first, ACK, &[]) };
    net.hand(DEVICE, from, &ack.octets()).unwrap();
}

#[test]
fn a_peer_that_has_answered_keeps_its_slot_before_one_that_has_not() {
    let mut net = members::<Heap>(2);
    let sigma1 = record(&mut net, 3);
    begin(&mut net, host(1), &sigma1[0], 1);
    acknowledge(&mut net, host(1), &sigma1[0], 1);
    net.run(500);
    begin(&mut net, host(2), &sigma1[1], 2);
    net.run(1000);
    let since = net.sent.len();
    assert_eq!(begin(&mut net, host(3), &sigma1[2], 3), SIGMA2);
    assert!(net.sent_by(DEVICE, since).iter().any(|sent| sent.to == host(2)));
    // But not for long: an answer proves nothing.
    net.run(2000);
    let sigma1 = record(&mut net, 1).remove(0);
    let since = net.sent.len();
    acknowledge(&mut net, host(3), &sigma1, 3);
    begin(&mut net, host(4), &sigma1, 4);
    assert!(net.sent_by(DEVICE, since).iter().any(|sent| sent.to == host(1)));
}

#[test]
fn half_open_handshakes_over_tcp_give_way_as_over_udp() {
    let tcp = PeerAddress::Tcp;
    let mut net = members::<Heap>(2);
    let sigma1 = record(&mut net, 40);
    // Forty connections, and then one with many handshakes.
    for (n, octets) in sigma1.iter().enumerate() {
        let n = n as u64;
        let connection = if n < 20 { n as u32 } else { 1000 };
        let _ = net.hand(DEVICE, tcp(connection), &disguised(octets, n));
        net.run(10);
    }
    assert_eq!(running(&mut net), 2);
    net.run(1000);
    // Another peer is served at once, over UDP and over TCP.
    net.dial_case(HONEST, DEVICE, 1, 200);
    net.run(500);
    net.node(HONEST).established();
    let fresh = record(&mut net, 2);
    for (n, octets) in fresh.iter().enumerate() {
        assert_eq!(begin(&mut net, tcp(2000 + n as u32), octets, 900 + n as u64), SIGMA2);
    }
}

#[test]
fn connections_share_the_slots() {
    let tcp = PeerAddress::Tcp;
    for slots in [2, 8] {
        let mut net = members::<Heap>(slots);
        let sigma1 = record(&mut net, slots + 12);
        for (n, octets) in (0..).zip(&sigma1[..slots]) {
            assert_eq!(begin(&mut net, tcp(1), octets, n), SIGMA2);
        }
        // Another connection gets a slot at once, the first one no second time.
        assert_eq!(begin(&mut net, tcp(2), &sigma1[slots], 300), SIGMA2);
        for n in 1..10 {
            begin(&mut net, tcp(1), &sigma1[slots + n], 300 + n as u64);
            net.run(300);
        }
        let over = |address: PeerAddress| {
            let failed = |e: &&Event<u32>| {
                matches!(e, Event::HandshakeFailed { address: of, error, .. }
                    if *of == address && *error == HandshakeError::Displaced)
            };
            net.nodes[DEVICE].events.iter().filter(failed).count()
        };
        assert!(over(tcp(1)) >= 1);
        assert_eq!(over(tcp(2)), 0, "{slots}");
    }
}

#[test]
fn a_peer_that_does_not_acknowledge_its_session_keeps_no_slot_for_a_minute() {
    let slow = Config::default().parameters.with_intervals(HOUR, HOUR, u16::MAX);
    let device = Config::default().with_handshakes(1, Duration::from_millis(300));
    let sender = Config::default().with_parameters(slow);
    let mut net =
        joined::<Heap>(vec![(udp(1), sender), (udp(2), device), (host(77), Config::default())]);
    net.on_send(|sent| {
        let is_report = sent.handshake_opcode() == Some(REPORT);
        if sent.to == udp(1) && is_report { Fate::Lost } else { Fate::Arrives }
    });
    net.dial_case(SENDER, DEVICE, 1, 200);
    net.run(1000);
    net.node(DEVICE).established();
    net.run(5000);
    net.dial_case(HONEST, DEVICE, 1, 200);
    net.run(1000);
    net.node(HONEST).established();
}

#[test]
fn a_silent_commissioner_gives_way_to_another_one_after_ten_seconds() {
    let silent = PeerAddress::Tcp(1);
    for (millis, serves) in [(9_999, false), (10_000, true)] {
        let nodes = [silent, udp(2), host(77)].map(|address| (address, Config::default()));
        let mut net = joined::<Heap>(nodes.into());
        net.open_window(DEVICE);
        net.on_send(move |sent| if sent.to == silent { Fate::Lost } else { Fate::Arrives });
        net.dial_pase(SENDER, DEVICE, PASSCODE);
        net.run(millis);
        assert_eq!(running(&mut net), 1);
        net.dial_pase(HONEST, DEVICE, PASSCODE);
        net.run(500);
        let failures = net.nodes[HONEST].failures();
        if serves {
            net.node(HONEST).established();
            assert_eq!(net.nodes[DEVICE].failures(), [HandshakeError::Displaced]);
        } else {
            assert!(matches!(failures[..], [HandshakeError::Refused(Refusal::Busy { .. })]));
            assert!(net.nodes[DEVICE].failures().is_empty());
        }
    }
}
