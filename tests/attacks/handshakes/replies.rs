//! How much a node sends to an address that may be forged.

use core::time::Duration;

use matter_session::crypto::{Passcode, PbkdfParameters, Verifier};
use matter_session::manager::{CommissioningWindow, Config, Heap, PeerAddress};
use matter_session::session::Transports;
use matter_session_testing::BACKEND;

use super::{DEVICE, SENDER, host, joined, members, record};
use crate::forged::Holder;
use crate::groups::{ASK, ATTACKER, HOME, home};
use crate::net::{Fate, Net, PASSCODE, index, udp};
use crate::raw::{PAKE1, PBKDF_REQUEST, Raw, SIGMA1, SIGMA2, parts};

/// The lengths of all that the device sends to an address that does not answer, in a minute after it
/// got this datagram.
fn replies(net: &mut Net, from: PeerAddress, datagram: &[u8]) -> Vec<usize> {
    net.on_send(|_| Fate::Lost);
    let since = net.sent.len();
    let _ = net.hand(DEVICE, from, datagram);
    net.run(65_000);
    let sent = net.sent[since..].iter().filter(|sent| sent.to == from);
    sent.map(|sent| sent.octets.len()).collect()
}

/// The first message of a commissioner, and a Pake1 that follows it.
fn pase(net: &mut Net) -> (Vec<u8>, Vec<u8>) {
    net.on_send(|_| Fate::Lost);
    net.dial_pase(SENDER, DEVICE, PASSCODE);
    net.pump();
    let request = net.sent.last().unwrap().octets.clone();
    net.run(65_000);
    let point = matter_session::crypto::spake2p::M;
    let payload = [&[0x15, 0x30, 1, 65][..], point.as_bytes(), &[0x18]].concat();
    let pake1 = Raw::like(&request, PAKE1, &payload).octets();
    (request, pake1)
}

fn window(iterations: u32, salt: &[u8]) -> CommissioningWindow {
    let pbkdf = PbkdfParameters::new(iterations, salt).unwrap();
    let passcode = Passcode::new(PASSCODE).unwrap();
    let verifier = Verifier::generate(&BACKEND, &passcode, &pbkdf).unwrap();
    CommissioningWindow::new(verifier, pbkdf)
}

#[test]
fn a_pbkdf_request_from_a_forged_address_is_answered_five_times_with_177_bytes_for_67() {
    let mut net = members::<Heap>(4);
    let passcode = Passcode::new(PASSCODE).unwrap();
    net.call(DEVICE, |m, cx| m.window().open_for(cx, &passcode, None)).unwrap();
    // Its random, a session id, a passcode id, and that it wants the parameters; nothing else.
    let payload = [&[0x15, 0x30, 1, 32][..], &[9; 32], &[0x24, 2, 7, 0x24, 3, 0, 0x28, 4, 0x18]];
    let request = Raw::new(PBKDF_REQUEST, &payload.concat()).octets();
    assert_eq!(request.len(), 67);
    assert_eq!(replies(&mut net, host(5), &request), [177; 5]);
}

/// Everything that a device can declare, as long as it can be.
#[test]
fn an_answer_to_a_pbkdf_request_has_at_most_192_bytes() {
    let config = Config::default();
    let longest = config.parameters.with_intervals(3_600_000, 3_600_000, 65_535);
    let longest =
        longest.with_tcp(Transports::TCP_SERVER, u32::MAX).with_max_paths_per_invoke(u16::MAX);
    let longest = longest.with_revisions(u16::MAX, u16::MAX, u32::MAX);
    let nodes = vec![(udp(1), Config::default()), (udp(2), config.with_parameters(longest))];
    let mut net = joined::<Heap>(nodes);
    net.call(DEVICE, |m, cx| m.window().open(cx, window(100_000, &[7; 32]))).unwrap();
    let (request, _) = pase(&mut net);
    let sent = replies(&mut net, host(5), &request);
    assert_eq!(sent.len(), 5);
    assert!(sent.iter().all(|len| (178..=192).contains(len)), "{sent:?}");
}

#[test]
fn a_pake1_from_a_forged_address_is_answered_five_times_with_131_bytes_for_92() {
    let mut net = members::<Heap>(4);
    net.open_window(DEVICE);
    let (request, pake1) = pase(&mut net);
    let mut counted = pake1.clone();
    let counter = u32::from_le_bytes(request[4..8].try_into().unwrap()).wrapping_add(1);
    counted[4..8].copy_from_slice(&counter.to_le_bytes());
    assert_eq!(counted.len(), 92);
    let _ = net.hand(DEVICE, host(5), &request);
    net.pump();
    assert_eq!(replies(&mut net, host(5), &counted), [131; 5]);
}

/// A Sigma1 of a genuine initiator without all that it may leave out.
fn shortest(sigma1: &[u8]) -> Vec<u8> {
    let (opcode, payload) = parts(sigma1).unwrap();
    assert_eq!(opcode, SIGMA1);
    let find = |tag, len: u8, size| {
        let at = payload.windows(3).position(|window| window == [0x30, tag, len]).unwrap();
        payload[at..at + 3 + size].to_vec()
    };
    let (random, destination, key) = (find(1, 32, 32), find(3, 32, 32), find(4, 65, 65));
    let session = [0x24, 2, 7];
    let payload = [&[0x15][..], &random, &session, &destination, &key, &[0x18]].concat();
    Raw::new(SIGMA1, &payload).octets()
}

#[test]
fn a_sigma1_from_a_forged_address_is_answered_five_times_with_at_most_7_5_times_its_length() {
    let mut net = members::<Heap>(4);
    let sigma1 = record(&mut net, 2);
    let least = shortest(&sigma1[0]);
    assert_eq!(least.len(), 165);
    let noc = net.nodes[DEVICE].manager.fabrics().get(index(1)).unwrap().noc().len();
    for datagram in [least, sigma1[1].clone()] {
        let sent = replies(&mut net, host(5), &datagram);
        assert_eq!(sent.len(), 5);
        assert!(sent.iter().all(|len| *len <= 1232 && *len * 10 <= 165 * 75), "{sent:?}");
        // With one certificate of 260 bytes: 3.3 times.
        assert!(sent.iter().all(|len| (*len - noc + 260) * 10 <= 165 * 33), "{sent:?} {noc}");
    }
}

#[test]
fn a_wrong_message_in_a_handshake_is_answered_five_times_with_34_bytes_for_22() {
    let mut net = members::<Heap>(4);
    let sigma1 = record(&mut net, 1).remove(0);
    net.on_send(|_| Fate::Lost);
    net.hand(DEVICE, host(5), &sigma1).unwrap();
    net.pump();
    let counter = u32::from_le_bytes(sigma1[4..8].try_into().unwrap()).wrapping_add(1);
    let wrong = Raw { counter, ..Raw::like(&sigma1, SIGMA2, &[]) }.octets();
    assert_eq!(wrong.len(), 22);
    assert_eq!(replies(&mut net, host(5), &wrong), [34; 5]);
}

#[test]
fn any_other_unsecured_message_gets_one_answer_of_at_most_36_bytes() {
    for busy in [false, true] {
        let mut net = members::<Heap>(4);
        net.node(DEVICE).manager.handshakes().set_busy(busy.then_some(Duration::from_secs(1)));
        let mut most = 0;
        for opcode in 0..=255 {
            for protocol in [0, 1, 4] {
                let raw = Raw { node: 77 + u64::from(opcode), protocol, ..Raw::new(opcode, &[]) };
                let sent = replies(&mut net, host(opcode.into()), &raw.octets());
                assert!(sent.len() <= 1, "{opcode:x}: {sent:?}");
                most = most.max(sent.first().copied().unwrap_or_default());
            }
        }
        assert_eq!(most, if busy { 36 } else { 34 });
    }
}

#[test]
fn a_recorded_group_message_is_answered_once_with_54_bytes_for_40() {
    let mut net = home::<Heap>(ASK, &Config::default());
    let member = Holder::of(&mut net, 1, HOME);
    let recorded = member.tell(1000, 50, 1, &[]);
    assert_eq!(recorded.len(), 40);
    assert_eq!(replies(&mut net, udp(ATTACKER), &recorded), [54]);
}
