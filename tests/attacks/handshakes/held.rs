//! Who can keep a slot from others: members that acknowledge nothing, strangers while the
//! application works, forged addresses, one host at the commissioning window.

use core::time::Duration;

use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Event, Fixed, Heap, PeerAddress, Storage};

use super::{DEVICE, HONEST, SENDER, host, joined, members, record, running};
use crate::net::{Authority, Dice, Fate, Net, PASSCODE, index, udp};
use crate::raw::{REPORT, disguised};

/// Tables of a device, with places for all handshakes of the guest: `Config` says how many a node
/// has.
type Wide = Fixed<
    Sessions<8>,
    Exchanges<8>,
    Handshakes<100>,
    Fabrics<5>,
    Records<15>,
    MessageBytes<65_000>,
>;

/// How many sessions a node has established as their initiator, since it was last asked.
fn established<S: Storage>(net: &mut Net<S>, n: usize) -> usize {
    let own = |e: &&Event<u32>| matches!(e, Event::Established { .. });
    let count = net.nodes[n].events.iter().filter(own).count();
    net.node(n).events.clear();
    count
}

/// Tries a handshake of the device to the honest node, and one of the honest node to the device.
/// Returns which of them found a slot and were served.
fn both_are_served<S: Storage>(net: &mut Net<S>) -> (bool, bool) {
    let (to, peer) = (net.nodes[HONEST].address, Peer::new(index(1), NodeId::new(300)));
    let own = net.call(DEVICE, |m, cx| m.connect_case(cx, to, peer));
    if let Ok(own) = own {
        net.node(DEVICE).manager.handshakes().cancel(own);
    }
    net.call(HONEST, |m, cx| m.records_mut().forget_all(cx));
    established(net, HONEST);
    net.dial_case(HONEST, DEVICE, 1, 200);
    net.run(200);
    (own.is_ok(), established(net, HONEST) == 1)
}

/// A guest, member of another fabric, completes ten handshakes a second and acknowledges none of the
/// reports that it has succeeded.
fn unacknowledged_reports<S: Storage>(slots: usize) {
    let config = |slots| Config::default().with_handshakes(slots, Duration::from_millis(300));
    let nodes = vec![(host(66), config(600)), (udp(2), config(slots)), (host(77), config(16))];
    let mut net = Net::<S>::stored(nodes);
    let (mut home, mut guests) = (Authority::new(1, false), Authority::new(2, false));
    home.join(&mut net, DEVICE, 200);
    home.join(&mut net, HONEST, 300);
    guests.join(&mut net, SENDER, 666);
    guests.join(&mut net, DEVICE, 667);
    net.on_send(|sent| {
        let is_report = sent.handshake_opcode() == Some(REPORT);
        if sent.to == host(66) && is_report { Fate::Lost } else { Fate::Late(10) }
    });
    let guest = Peer::new(index(1), NodeId::new(667));
    let mut completed = 0;
    for n in 0..600 {
        net.call(SENDER, |m, cx| m.records_mut().forget_all(cx));
        let _ = net.call(SENDER, |m, cx| m.connect_case(cx, udp(2), guest));
        net.run(100);
        completed += established(&mut net, DEVICE);
        net.node(DEVICE).events.clear();
        if n % 60 == 35 {
            assert_eq!(both_are_served(&mut net), (true, true), "{slots} slots, {n}");
        }
    }
    assert!(completed > 100, "{completed}");
}

#[test]
fn a_member_that_acknowledges_no_success_keeps_no_slot_from_others() {
    for slots in [2, 4, 16] {
        unacknowledged_reports::<Heap>(slots);
    }
    unacknowledged_reports::<Wide>(2);
    unacknowledged_reports::<Wide>(4);
}

/// The device waits for its secure element, or for the deletion of a record, while strangers begin
/// as many handshakes as it has slots.
fn what_the_application_works_for_stays(claims: bool, slots: usize) {
    let mut device = Config::default().with_handshakes(slots, Duration::from_millis(300));
    device.claim_wait = Duration::from_secs(2);
    let nodes = [(udp(1), Config::default()), (udp(2), device), (host(77), Config::default())];
    let mut net = joined::<Heap>(nodes.into());
    let sigma1 = record(&mut net, slots);
    let peer = Peer::new(index(1), NodeId::new(300));
    if claims {
        net.dial_case(HONEST, DEVICE, 1, 200);
        net.settle();
        net.node(DEVICE).events.clear();
        assert!(net.node(DEVICE).manager.records_mut().export(peer).is_some());
    }
    (net.node(DEVICE).signs, net.node(DEVICE).grants) = (false, false);
    net.dial_case(HONEST, DEVICE, 1, 200);
    net.run(1500);
    for (n, octets) in (0..).zip(&sigma1) {
        let _ = net.hand(DEVICE, host(1000 + n), &disguised(octets, n));
        net.pump();
    }
    if claims {
        let claim = net.node(DEVICE).claims.remove(0);
        let done = net
            .call(DEVICE, |m, cx| m.records_mut().complete_claim(cx, claim.complete(true)).is_ok());
        assert!(done, "{slots} slots");
    } else {
        let request = net.node(DEVICE).requests.remove(0);
        let key = net.nodes[DEVICE].keys.get_mut(&request.fabric()).unwrap();
        let signed = request.sign_with(key);
        let done = net.call(DEVICE, |m, cx| m.complete_signature(cx, signed).is_ok());
        assert!(done, "{slots} slots");
    }
    net.run(500);
    assert!(net.nodes[HONEST].try_established().is_some(), "{slots} slots");
}

#[test]
fn strangers_take_no_slot_while_the_application_works_for_it() {
    for slots in [1, 2, 4, 16] {
        what_the_application_works_for_stays(false, slots);
        what_the_application_works_for_stays(true, slots);
    }
}

/// The wait in a Busy report is not that for the end of a claim: then the handshake goes on, and its
/// slot is not free.
#[test]
fn a_node_that_is_busy_with_a_claim_names_a_wait_after_which_a_newcomer_gets_in() {
    for claim_wait in [500, 1500, 2500] {
        let mut device = Config::default().with_handshakes(1, Duration::from_millis(100));
        device.claim_wait = Duration::from_millis(claim_wait);
        let nodes = [(udp(1), Config::default()), (udp(2), device), (host(77), Config::default())];
        let mut net = joined::<Heap>(nodes.into());
        let peer = Peer::new(index(1), NodeId::new(300));
        net.dial_case(HONEST, DEVICE, 1, 200);
        net.settle();
        assert!(net.node(DEVICE).manager.records_mut().export(peer).is_some());
        (net.node(DEVICE).signs, net.node(DEVICE).grants) = (false, false);
        // The peer falls silent after its Sigma1, and the application answers nothing.
        net.on_send(|sent| if sent.to == host(77) { Fate::Lost } else { Fate::Arrives });
        net.dial_case(HONEST, DEVICE, 1, 200);
        net.pump();
        assert_eq!(net.nodes[DEVICE].claims.len(), 1);
        net.run(50);
        net.dial_case(SENDER, DEVICE, 1, 200);
        net.pump();
        let failures = net.nodes[SENDER].failures();
        let [HandshakeError::Refused(Refusal::Busy { wait })] = failures[..] else {
            panic!("{failures:?}")
        };
        net.node(SENDER).events.clear();
        net.run(wait.as_millis() as u64);
        net.node(DEVICE).signs = true;
        net.dial_case(SENDER, DEVICE, 1, 200);
        net.run(500);
        let served = net.nodes[SENDER].try_established().is_some();
        assert!(
            served,
            "a claim of {claim_wait} ms, told {wait:?}: {:?}",
            net.nodes[SENDER].failures()
        );
    }
}

/// If the secure element never answers, others get the slots after a while.
#[test]
fn an_application_that_works_for_ever_keeps_no_slot_for_ever() {
    let mut net = members::<Heap>(2);
    let sigma1 = record(&mut net, 4);
    net.node(DEVICE).signs = false;
    for (n, octets) in (0..).zip(&sigma1[..2]) {
        net.hand(DEVICE, host(1000 + n), &disguised(octets, n)).unwrap();
    }
    for (millis, takes) in [(3_399, false), (1, true)] {
        net.run(millis);
        let before = net.node(DEVICE).requests.len();
        let _ = net.hand(DEVICE, host(3000), &disguised(&sigma1[2], 9));
        net.pump();
        assert_eq!(net.node(DEVICE).requests.len() - before, usize::from(takes), "{millis}");
    }
}

/// All slots but one are taken; one handshake comes from the address of the honest node. The honest
/// node takes the last slot, and a stranger wants one.
#[test]
fn a_handshake_from_a_forged_address_costs_the_owner_of_the_address_no_handshake() {
    for slots in [2, 4, 16, 32] {
        let mut net = members::<Heap>(slots);
        let sigma1 = record(&mut net, slots + 1);
        let forged = PeerAddress::Udp(([10, 0, 0, 77], 9).into());
        let _ = net.hand(DEVICE, forged, &disguised(&sigma1[0], 7000));
        for (n, octets) in (0..).zip(&sigma1[2..slots]) {
            let _ = net.hand(DEVICE, host(1000 + n), &disguised(octets, n));
        }
        net.pump();
        assert_eq!(running(&mut net), slots - 1);
        net.on_send(|_| Fate::Late(20));
        net.dial_case(HONEST, DEVICE, 1, 200);
        net.run(25);
        let _ = net.hand(DEVICE, host(3000), &disguised(&sigma1[slots], 7001));
        net.run(500);
        assert!(net.nodes[HONEST].try_established().is_some(), "{slots} slots");
    }
}

/// So many handshakes a second from the address of the honest node and from everywhere. Returns how
/// many of twenty-four of the honest node's are served.
fn served_under_a_forged_address(slots: usize, forged: u64, others: u64) -> usize {
    let mut net = members::<Heap>(slots);
    let sigma1 = record(&mut net, 64);
    net.on_send(|_| Fate::Late(20));
    let (mut served, mut n, mut dice) = (0, 0, Dice::new(7));
    for second in 0..120 {
        for k in 0..forged + others {
            let from = match k {
                _ if k < forged => {
                    PeerAddress::Udp(([10, 0, 0, 77], 10_000 + (n % 50_000) as u16).into())
                }
                _ => host(1000 + n),
            };
            let delay = dice.below(1000);
            net.inject(from, udp(2), &disguised(&sigma1[n as usize % 64], n), delay);
            n += 1;
        }
        let at = dice.below(900);
        net.run(at);
        if second % 5 == 3 {
            for n in [DEVICE, HONEST] {
                net.call(n, |m, cx| m.records_mut().forget_all(cx));
            }
            established(&mut net, HONEST);
            net.dial_case(HONEST, DEVICE, 1, 200);
        }
        net.run(1000 - at);
        if second % 5 == 4 {
            served += established(&mut net, HONEST);
        }
    }
    served
}

/// Who forges the address of a node takes away a part of its share, and not all of it.
#[test]
fn a_node_is_served_although_handshakes_come_from_its_forged_address() {
    let floods = [(16, 0, 10, 22), (16, 5, 5, 12), (16, 10, 0, 22), (32, 5, 5, 22)];
    for (slots, forged, others, least) in floods {
        let served = served_under_a_forged_address(slots, forged, others);
        assert!(served >= least, "{slots} slots, {forged} forged, {others} others: {served}");
    }
}

/// A PBKDFParamRequest of a commissioner that is lost, and the device with its window open.
fn at_the_window(slots: usize) -> (Net, Vec<u8>) {
    let mut net = members::<Heap>(slots);
    net.open_window(DEVICE);
    net.on_send(|_| Fate::Lost);
    net.dial_pase(SENDER, DEVICE, PASSCODE);
    net.pump();
    let request = net.sent.last().unwrap().octets.clone();
    net.run(70_000);
    net.on_send(|sent| if sent.to == host(5000) { Fate::Lost } else { Fate::Late(10) });
    (net, request)
}

/// Requests at random times from one host; a commissioner tries once.
#[test]
fn one_host_does_not_keep_the_commissioning_window_to_itself() {
    for per_second in [2, 10] {
        let served = (0..20).filter(|seed| {
            let mut dice = Dice::new(seed * 77 + per_second);
            let (mut net, request) = at_the_window(16);
            let at = 12_000 + dice.below(10_000);
            for n in 0..per_second * 25 {
                let delay = dice.below(25_000);
                net.inject(host(5000), udp(2), &disguised(&request, n), delay);
            }
            net.run(at);
            net.dial_pase(HONEST, DEVICE, PASSCODE);
            net.run(3000);
            net.nodes[HONEST].try_established().is_some()
        });
        let served = served.count();
        assert!(served >= 19, "{per_second} a second: {served} of 20");
    }
}

/// With one slot, the handshake that the window serves gives way to those of the device.
#[test]
fn a_silent_commissioner_keeps_no_slot_from_own_handshakes() {
    for slots in [1, 2] {
        let (mut net, request) = at_the_window(slots);
        for n in 0..20 {
            net.inject(host(5000), udp(2), &disguised(&request, n), 0);
            net.run(300);
            let (to, peer) = (net.nodes[HONEST].address, Peer::new(index(1), NodeId::new(300)));
            let own = net.call(DEVICE, |m, cx| m.connect_case(cx, to, peer));
            assert!(own.is_ok(), "{slots} slots");
            net.node(DEVICE).manager.handshakes().cancel(own.unwrap());
        }
    }
}

/// Handles are numbers, and all managers count alike.
#[test]
fn a_handle_of_another_manager_ends_no_handshake_of_a_peer() {
    let mut net = members::<Heap>(4);
    net.node(DEVICE).signs = false;
    net.dial_case(HONEST, DEVICE, 1, 200);
    net.pump();
    assert_eq!(running(&mut net), 1);
    let peer = Peer::new(index(1), NodeId::new(200));
    for _ in 0..8 {
        let foreign = net.call(SENDER, |m, cx| m.connect_case(cx, host(9), peer)).unwrap();
        assert!(!net.node(DEVICE).manager.handshakes().cancel(foreign));
        let timing = Config::default().parameters;
        let set = net.call(DEVICE, |m, cx| m.handshakes().expect_timing(cx, foreign, timing));
        assert!(set.is_err());
    }
    assert_eq!(running(&mut net), 1);
}
