//! Copies of a Sigma1 that is being answered, initiators that begin again and again, and requests
//! for signatures that nobody waits for any more.

use matter_session::crypto::OperationalKey;
use matter_session::handshake::HandshakeError;
use matter_session::manager::{Dropped, Heap, PeerAddress};

use super::{DEVICE, HONEST, host, members, record, running};
use crate::net::{Net, index, udp};
use crate::raw::{SIGMA2, disguised, parts};

/// The session id in the last Sigma2 that the device sent.
fn offered(net: &Net) -> u16 {
    let sigma2 = net.sent.iter().rev().find(|sent| sent.handshake_opcode() == Some(SIGMA2));
    // Behind the headers: a structure, 32 random bytes under tag 1, the id under tag 2.
    let payload = parts(&sigma2.unwrap().octets).unwrap().1;
    match payload[36] {
        0x24 => payload[38].into(),
        _ => u16::from_le_bytes([payload[38], payload[39]]),
    }
}

#[test]
fn a_copy_of_a_sigma1_that_is_answered_begins_nothing_from_wherever_it_comes() {
    let mut net = members::<Heap>(16);
    net.node(DEVICE).signs = false;
    let sigma1 = record(&mut net, 1).remove(0);
    net.hand(DEVICE, host(1), &sigma1).unwrap();
    net.pump();
    assert_eq!((running(&mut net), net.node(DEVICE).requests.len()), (1, 1));
    let before = net.nodes[DEVICE].facts();
    let since = net.sent.len();
    for n in 0..1000 {
        let from = match n % 4 {
            0 => host(1),
            1 => host(1000 + n),
            2 => PeerAddress::Tcp(n as u32),
            _ => PeerAddress::Link(n as u32),
        };
        // Other node ids, exchanges, counters; and parameters that nothing protects.
        let copy = disguised(&sigma1, n);
        assert_eq!(net.hand(DEVICE, from, &copy), Err(Dropped::HandshakeCopy), "{n}");
        // The same node on another exchange, with the next counter.
        let mut next = sigma1.clone();
        next[4] = next[4].wrapping_add(1);
        next[18] ^= 1;
        assert_eq!(net.hand(DEVICE, host(1), &next), Err(Dropped::HandshakeCopy), "{n}");
    }
    net.pump();
    assert_eq!(net.nodes[DEVICE].facts(), before);
    assert_eq!(net.sent.len(), since, "no answer");
    assert!(net.node(DEVICE).requests.len() == 1 && net.nodes[DEVICE].failures().is_empty());
    let dropped = net.node(DEVICE).manager.statistics().dropped(Dropped::HandshakeCopy);
    assert_eq!(dropped, 2000);
}

#[test]
fn copies_move_no_session_id_on() {
    let mut net = members::<Heap>(16);
    let sigma1 = record(&mut net, 3);
    net.hand(DEVICE, host(1), &sigma1[0]).unwrap();
    net.pump();
    let first = offered(&net);
    for n in 0..500 {
        let _ = net.hand(DEVICE, host(1000 + n), &disguised(&sigma1[0], n));
        net.pump();
    }
    net.hand(DEVICE, host(2), &disguised(&sigma1[1], 7)).unwrap();
    net.pump();
    assert_eq!(offered(&net), first.wrapping_add(1));
}

/// A Sigma1 as if the same initiator had begun another handshake.
fn again(first: &[u8], other: &[u8], n: u8) -> Vec<u8> {
    let mut octets = other.to_vec();
    octets[4..16].copy_from_slice(&first[4..16]);
    octets[4] = octets[4].wrapping_add(n);
    octets[18] = first[18] ^ n;
    octets
}

#[test]
fn an_initiator_supersedes_its_handshake_once_a_second_at_most() {
    let mut net = members::<Heap>(16);
    let sigma1 = record(&mut net, 41);
    net.hand(DEVICE, udp(1), &sigma1[0]).unwrap();
    net.pump();
    for n in 1..=40 {
        net.run(100);
        net.hand(DEVICE, udp(1), &again(&sigma1[0], &sigma1[n as usize], n)).unwrap();
        net.pump();
        assert_eq!(running(&mut net), 1);
    }
    let superseded =
        net.nodes[DEVICE].failures().iter().filter(|e| **e == HandshakeError::Superseded).count();
    assert!((3..=4).contains(&superseded), "{superseded}");
}

#[test]
fn a_handshake_that_waits_for_a_signature_is_not_superseded() {
    let mut net = members::<Heap>(16);
    net.node(DEVICE).signs = false;
    let sigma1 = record(&mut net, 3);
    net.hand(DEVICE, udp(1), &sigma1[0]).unwrap();
    net.pump();
    for n in 1..=2 {
        net.run(2000);
        net.hand(DEVICE, udp(1), &again(&sigma1[0], &sigma1[n as usize], n)).unwrap();
        net.pump();
    }
    assert!(net.nodes[DEVICE].failures().is_empty());
    assert_eq!(net.node(DEVICE).requests.len(), 1);
    // The signature is still of use.
    let request = net.node(DEVICE).requests.remove(0);
    let key: &mut dyn OperationalKey = net.node(DEVICE).keys.get_mut(&index(1)).unwrap();
    let signed = request.sign_with(key);
    assert!(net.call(DEVICE, |m, cx| m.complete_signature(cx, signed).is_ok()));
    // Once it has been sent, another handshake may take its place.
    net.run(1100);
    net.hand(DEVICE, udp(1), &again(&sigma1[0], &sigma1[2], 9)).unwrap();
    net.pump();
    assert_eq!(net.nodes[DEVICE].failures(), [HandshakeError::Superseded]);
}

#[test]
fn a_malformed_sigma1_supersedes_nothing() {
    let mut net = members::<Heap>(16);
    let sigma1 = record(&mut net, 2);
    net.hand(DEVICE, udp(1), &sigma1[0]).unwrap();
    net.run(1500);
    let mut broken = again(&sigma1[0], &sigma1[1], 1);
    broken.truncate(100);
    let _ = net.hand(DEVICE, udp(1), &broken);
    net.pump();
    assert!(net.nodes[DEVICE].failures().is_empty());
    assert_eq!(running(&mut net), 1);
}

#[test]
fn an_application_can_ask_which_signatures_are_still_awaited() {
    let mut net = members::<Heap>(2);
    net.node(DEVICE).signs = false;
    net.node(HONEST).signs = false;
    let sigma1 = record(&mut net, 2);
    for n in 0..2 {
        net.hand(DEVICE, host(n), &disguised(&sigma1[n as usize], n)).unwrap();
    }
    // No slot is lost while the application may work on a signature.
    net.run(4000);
    net.dial_case(HONEST, DEVICE, 1, 200);
    net.pump();
    let requests = core::mem::take(&mut net.node(DEVICE).requests);
    let awaited: Vec<_> = requests
        .iter()
        .map(|request| net.node(DEVICE).manager.handshakes().is_awaited(request))
        .collect();
    assert_eq!(awaited, [false, true, true]);
    // Nor after it has been completed, nor by another node, nor when the handshake is over.
    let [_, old, honest] = requests.try_into().unwrap();
    let digest = *honest.digest();
    let key: &mut dyn OperationalKey = net.node(DEVICE).keys.get_mut(&index(1)).unwrap();
    let signed = honest.sign_with(key);
    assert!(net.call(DEVICE, |m, cx| m.complete_signature(cx, signed).is_ok()));
    net.pump();
    assert!(!net.node(HONEST).manager.handshakes().is_awaited(&old));
    let own = net.node(HONEST).requests.remove(0);
    assert_ne!(*own.digest(), digest);
    assert!(net.node(HONEST).manager.handshakes().is_awaited(&own));
    net.run(61_000);
    assert!(!net.node(HONEST).manager.handshakes().is_awaited(&own));
    assert!(!net.node(DEVICE).manager.handshakes().is_awaited(&old));
}
