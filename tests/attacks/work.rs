//! How much a node computes for messages of attackers.

use core::cell::Cell;

use matter_session::crypto::{AesCcm, Cipher, RustCrypto, Secret, Suite};
use matter_session::ids::{Group, GroupId, NodeId, Peer};
use matter_session::manager::{Config, Event, GroupSettings, Heap, SessionManager};
use matter_session_testing::observed::{Observed, Observer, Use};

use crate::counting::{Counting, Work};
use crate::groups::TRUST;
use crate::net::{Authority, Dice, Fate, Net, Network, PASSCODE, index, udp};
use crate::raw::{PAKE1, Raw, SIGMA3, disguised};

/// How often keys of AES-CCM were used, by [`Use`].
type Uses = [u32; 4];

thread_local! {
    static USES: Cell<Uses> = const { Cell::new([0; 4]) };
}

#[derive(Clone, Copy, Default)]
struct Counted;

struct Counter;

impl Observer for Counter {
    fn uses(&self, what: Use) {
        let mut uses = USES.get();
        uses[what as usize] += 1;
        USES.set(uses);
    }
}

impl Cipher for Counted {
    type Aead = Observed<AesCcm, Counter>;

    fn aead(&self, key: &Secret<16>) -> Self::Aead {
        Observed { inner: RustCrypto.aead(key), observer: Counter }
    }
}

type Measured = Network<Heap, Suite<Counted, RustCrypto>>;

/// What a node computes and sends for a datagram from elsewhere.
fn cost(net: &mut Measured, n: usize, datagram: &[u8]) -> (Uses, usize) {
    net.on_send(|_| Fate::Lost);
    let since = net.sent.len();
    USES.set([0; 4]);
    let _ = net.hand(n, udp(66), datagram);
    net.pump();
    let uses = USES.get();
    (uses, net.sent.len() - since)
}

/// Every bit that could be flipped, some bits further apart.
fn forgeries(datagram: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (4..datagram.len()).map(|at| {
        let mut forged = datagram.to_vec();
        forged[at] ^= 1 << (at % 8);
        forged
    })
}

#[test]
fn a_forged_message_of_a_session_costs_one_aes_ccm_and_a_repeated_one_two() {
    let mut net = Measured::members();
    let (a, _) = net.case(200);
    net.run(1000);
    net.on_send(|_| Fate::Lost);
    let since = net.sent.len();
    net.say(0, a, 2);
    net.pump();
    let message = net.sent[since].octets.clone();
    let before = net.nodes[1].facts();
    for forged in forgeries(&message) {
        let (uses, sent) = cost(&mut net, 1, &forged);
        assert!(uses == [0, 1, 0, 0] || uses == [0; 4], "{uses:?}");
        assert_eq!(sent, 0);
    }
    assert_eq!(net.nodes[1].facts(), before, "nothing is remembered of forgeries");
    assert_eq!(cost(&mut net, 1, &message), ([0, 1, 0, 0], 0), "the genuine one");
    net.run(1000);
    for _ in 0..100 {
        // Opened, and acknowledged again.
        assert_eq!(cost(&mut net, 1, &message), ([1, 1, 0, 0], 1));
    }
}

#[test]
fn a_forged_message_of_a_group_costs_one_try_for_each_key_and_two_more_if_its_header_is_hidden() {
    for hidden in [false, true] {
        let mut net = Measured::with([1, 2].map(|n| (udp(n), Config::default())).to_vec());
        let mut authority = Authority::new(1, false);
        for n in 0..2 {
            authority.join(&mut net, n, 100 + n as u64);
            net.join_group(n, index(1), 1, TRUST, &[7]);
            // Keys of other session ids are not tried.
            for group in 2..10 {
                net.join_group(n, index(1), group, TRUST, &[group as u8 + 20]);
            }
            let group = Group::new(index(1), GroupId::new(1));
            let settings = GroupSettings::new(matter_session::ids::GroupKeySetId::new(1));
            let settings = if hidden { settings.with_privacy() } else { settings };
            net.node(n).manager.groups_mut().set(group, settings).unwrap();
        }
        let message = net.group_datagram(0, index(1), 1, b"on");
        let before = net.nodes[1].facts();
        for forged in forgeries(&message) {
            let (uses, sent) = cost(&mut net, 1, &forged);
            let [sealed, opened, tried, readable] = uses;
            assert_eq!((sealed, opened, sent), (0, 0, 0));
            assert!(tried <= 1 && readable <= if hidden { 2 } else { 0 }, "{uses:?}");
        }
        assert_eq!(net.nodes[1].facts(), before);
        net.hand(1, udp(1), &message).unwrap();
        assert_eq!(net.heard(1), [b"on"]);
    }
}

/// A device whose window is open, and a commissioner that does not know the passcode.
fn commissioner() -> (Network<Heap, Counting>, Counting, Net) {
    let mut device = Network::<Heap, Counting>::with(vec![(udp(2), Config::default())]);
    let crypto = Counting::default();
    let node = device.node(0);
    node.manager = SessionManager::new(Config::default(), crypto.clone(), &mut Dice::new(1));
    device.open_window(0);
    (device, crypto, Net::with(vec![(udp(1), Config::default())]))
}

#[test]
fn a_pake1_costs_a_bounded_amount_of_work_and_twenty_of_them_close_the_window() {
    let (mut device, crypto, mut net) = commissioner();
    let point = matter_session::crypto::spake2p::M;
    let payload = [&[0x15, 0x30, 1, 65][..], point.as_bytes(), &[0x18]].concat();
    let mut costs = Vec::new();
    for _ in 0..25 {
        net.on_send(|_| Fate::Lost);
        let passcode = matter_session::crypto::Passcode::new(PASSCODE).unwrap();
        let handshake = net.call(0, |m, cx| m.connect_pase(cx, udp(2), passcode)).unwrap();
        net.pump();
        assert!(net.node(0).manager.handshakes().cancel(handshake));
        let request = net.sent.last().unwrap().octets.clone();
        device.on_send(|_| Fate::Lost);
        crypto.take();
        let _ = device.hand(0, udp(1), &request);
        device.pump();
        assert_eq!(crypto.take(), Work::NONE, "nothing is computed for the request");
        let counter = u32::from_le_bytes(request[4..8].try_into().unwrap()).wrapping_add(1);
        let pake1 = Raw { counter, ..Raw::like(&request, PAKE1, &payload) }.octets();
        let _ = device.hand(0, udp(1), &pake1);
        device.pump();
        costs.push(crypto.take());
        // A copy costs nothing.
        for _ in 0..10 {
            let _ = device.hand(0, udp(1), &pake1);
            device.pump();
            assert_eq!(crypto.take(), Work::NONE);
        }
        device.run(70_000);
        net.run(70_000);
    }
    let attempt = Work { hmac: 2, hkdf: 1, spake: 1, ..Work::NONE };
    assert_eq!(costs[..20], [attempt; 20]);
    assert_eq!(costs[20..], [Work::NONE; 5], "the window is closed");
    let closed = |event: &Event<u32>| matches!(event, Event::WindowClosed { .. });
    assert_eq!(device.nodes[0].events.iter().filter(|event| closed(event)).count(), 1);
}

/// Handshakes by the same ids from many addresses, and a Sigma3 from yet another one.
#[test]
fn a_forged_sigma3_from_elsewhere_costs_one_aes_ccm_however_many_handshakes_have_its_ids() {
    let mut net = Measured::members();
    net.on_send(|_| Fate::Lost);
    let peer = Peer::new(index(1), NodeId::new(200));
    let slots = Config::default().max_handshakes;
    let mut forged = Vec::new();
    for n in 0..slots {
        let since = net.sent.len();
        let handshake = net.call(0, |m, cx| m.connect_case(cx, udp(2), peer)).unwrap();
        net.pump();
        let sigma1 = disguised(&net.sent[since].octets, 7);
        assert!(net.node(0).manager.handshakes().cancel(handshake));
        let _ = net.hand(1, udp(100 + n as u16), &sigma1);
        net.pump();
        let text = [&[0x15, 0x31, 1, 0xF2, 3][..], &[7; 1010], &[0x18]].concat();
        forged = Raw::like(&sigma1, SIGMA3, &text).octets();
    }
    assert_eq!(net.node(1).manager.handshakes().len(), slots);
    let (uses, sent) = cost(&mut net, 1, &forged);
    assert_eq!((uses, sent), ([0, 1, 0, 0], 1));
    assert_eq!(net.node(1).manager.handshakes().len(), slots);
}
