//! An attacker has one of the addresses at which a handshake is tried, and gets its first message.
//! The peer at another address must win wherever the protocol can tell the two apart.

use matter_session::crypto::Passcode;
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Dropped, Event, Fixed, Heap, PeerAddress, Storage};

use crate::net::{Authority, Fate, Net, PASSCODE, index, udp};
use crate::raw::{
    ACK, PBKDF_REQUEST, PBKDF_RESPONSE, REPORT, SIGMA1, SIGMA2, SIGMA2_RESUME, SIGMA3, node_of,
    parts,
};

type Arrays =
    Fixed<Sessions<4>, Exchanges<8>, Handshakes<2>, Fabrics<2>, Records<2>, MessageBytes<3000>>;

const ATTACKER: u16 = 9;
const HONEST: u16 = 20;

/// Node 0 and a device of one fabric, which is at the honest address.
fn members<S: Storage>() -> Net<S> {
    let config = || Config::default().with_less_than_specified();
    let mut net = Net::stored(vec![(udp(1), config()), (udp(HONEST), config())]);
    let mut authority = Authority::new(1, true);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    net
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Case,
    Pase,
}

/// Begins a handshake. Returns its first message.
fn connect<S: Storage>(net: &mut Net<S>, kind: Kind, to: &[PeerAddress]) -> Vec<u8> {
    let since = net.sent.len();
    match kind {
        Kind::Case => {
            let peer = Peer::new(index(1), NodeId::new(200));
            net.call(0, |m, cx| m.connect_case(cx, to, peer)).unwrap();
        }
        Kind::Pase => {
            net.open_window(1);
            let passcode = Passcode::new(PASSCODE).unwrap();
            net.call(0, |m, cx| m.connect_pase(cx, to, passcode)).unwrap();
        }
    }
    net.pump();
    net.sent[since].octets.clone()
}

/// An answer to a first message, whoever sends it.
fn answer(first: &[u8], counter: u32, flags: u8, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![1, 0, 0, 0];
    octets.extend(counter.to_le_bytes());
    octets.extend(node_of(first).to_le_bytes());
    octets.extend([flags | 2, opcode]);
    octets.extend(&first[18..20]);
    octets.extend([0, 0]);
    octets.extend(&first[4..8]);
    octets.extend(payload);
    octets
}

const BUSY: [u8; 10] = [8, 0, 0, 0, 0, 0, 4, 0, 0xFF, 0xFF];
const NO_SHARED_ROOTS: [u8; 8] = [1, 0, 0, 0, 0, 0, 1, 0];
const SUCCESS: [u8; 8] = [0; 8];

/// What an attacker without any key can answer.
fn inventions() -> Vec<(u8, Vec<u8>)> {
    let mut answers = vec![(ACK, Vec::new())];
    for report in [&BUSY[..], &NO_SHARED_ROOTS, &SUCCESS, &[1]] {
        answers.push((REPORT, report.to_vec()));
    }
    for opcode in [SIGMA1, SIGMA2, SIGMA3, SIGMA2_RESUME, PBKDF_REQUEST, PBKDF_RESPONSE, 0x23, 0x50]
    {
        for payload in [&[][..], &[0x15, 0x18], &[0xFF; 300]] {
            answers.push((opcode, payload.to_vec()));
        }
    }
    answers
}

/// The honest peer wins, and the attacker gets no second message.
fn assert_won<S: Storage>(net: &mut Net<S>, what: &str) {
    net.run(20_000);
    let session = net.node(0).try_established().unwrap_or_else(|| panic!("{what}"));
    assert!(net.node(1).try_established().is_some(), "{what}");
    let session = net.nodes[0].manager.session(session).unwrap();
    assert_eq!(session.peer_address(), udp(HONEST), "{what}");
    assert!(net.node(0).failures().is_empty(), "{what}");
    let to_attacker = net.sent.iter().filter(|sent| sent.to == udp(ATTACKER)).count();
    assert_eq!(to_attacker, 1, "{what}");
    net.assert_clean();
}

fn the_peer_wins_over_inventions<S: Storage>() {
    for kind in [Kind::Case, Kind::Pase] {
        for (opcode, payload) in inventions() {
            let mut net = members::<S>();
            let first = connect(&mut net, kind, &[udp(ATTACKER), udp(HONEST)]);
            let invented = answer(&first, 0xFFFF_FFF0, 4, opcode, &payload);
            net.hand(0, udp(ATTACKER), &invented).unwrap();
            assert_won(&mut net, &format!("opcode {opcode:x}, {} octets", payload.len()));
        }
    }
}

#[test]
fn the_peer_wins_over_an_attacker_that_invents_answers_on_the_heap() {
    the_peer_wins_over_inventions::<Heap>();
}

#[test]
fn the_peer_wins_over_an_attacker_that_invents_answers_in_arrays() {
    the_peer_wins_over_inventions::<Arrays>();
}

/// The refusal of an address says nothing about the peer that has answered since.
#[test]
fn a_handshake_that_fails_later_is_told_of_with_its_own_address_and_reason() {
    let mut net = members::<Heap>();
    net.on_send(|sent| match sent.handshake_opcode() {
        Some(SIGMA3) => Fate::Lost,
        _ => Fate::Arrives,
    });
    let first = connect(&mut net, Kind::Case, &[udp(ATTACKER), udp(HONEST)]);
    let busy = answer(&first, 7, 4, REPORT, &BUSY);
    net.hand(0, udp(ATTACKER), &busy).unwrap();
    net.run(70_000);
    let told = net.nodes[0].events.iter().find_map(|event| match event {
        Event::HandshakeFailed { address, error, .. } => Some((*address, *error)),
        _ => None,
    });
    assert_eq!(told, Some((udp(HONEST), HandshakeError::TimedOut)));
}

#[test]
fn the_peer_wins_over_an_attacker_that_is_asked_later_and_answers_earlier() {
    for kind in [Kind::Case, Kind::Pase] {
        let mut net = members::<Heap>();
        net.on_send(|sent| if sent.from == udp(HONEST) { Fate::Late(600) } else { Fate::Arrives });
        let first = connect(&mut net, kind, &[udp(HONEST), udp(ATTACKER)]);
        net.run(300);
        for (n, (opcode, payload)) in inventions().into_iter().enumerate() {
            let invented = answer(&first, 1000 + n as u32, 4, opcode, &payload);
            let _ = net.hand(0, udp(ATTACKER), &invented);
        }
        assert_won(&mut net, "all of them");
    }
}

#[test]
fn the_peer_wins_over_answers_from_addresses_that_nobody_asked() {
    let mut net = members::<Heap>();
    net.on_send(|sent| if sent.from == udp(HONEST) { Fate::Late(600) } else { Fate::Arrives });
    let first = connect(&mut net, Kind::Case, &[udp(HONEST), udp(ATTACKER)]);
    net.run(300);
    for n in 0..1000 {
        let invented = answer(&first, n, 4, SIGMA2, &[0x15, 0x18]);
        let _ = net.hand(0, udp(1000 + n as u16), &invented);
    }
    let dropped = net.node(0).manager.statistics().dropped(Dropped::UnknownHandshake);
    assert_eq!(dropped, 996, "four are tried");
    assert_won(&mut net, "answers from elsewhere");
}

#[test]
fn the_peer_wins_over_altered_copies_of_its_own_answer() {
    // The random, the key, the encrypted part: what Sigma2 authenticates. Not the session id and
    // the parameters, which the responder finds out at Sigma3.
    for place in [10, 30, 45, 80, 105, 130, 200, 300, 400] {
        let mut net = members::<Heap>();
        net.on_send(|sent| if sent.from == udp(HONEST) { Fate::Lost } else { Fate::Arrives });
        let first = connect(&mut net, Kind::Case, &[udp(HONEST), udp(ATTACKER)]);
        net.run(300);
        assert_eq!(parts(&first).unwrap().0, SIGMA1);
        let is_sigma2 = |sent: &&crate::net::Datagram| sent.handshake_opcode() == Some(SIGMA2);
        let sigma2 = net.sent.iter().find(is_sigma2).unwrap().octets.clone();
        let mut altered = sigma2.clone();
        let at = sigma2.len() - parts(&sigma2).unwrap().1.len() + place;
        altered[at] ^= 1;
        net.hand(0, udp(ATTACKER), &altered).unwrap();
        net.on_send(|_| Fate::Arrives);
        net.hand(0, udp(HONEST), &sigma2).unwrap();
        assert_won(&mut net, &format!("octet {place}"));
    }
}

#[test]
fn the_peer_wins_over_altered_answers_to_a_resumption() {
    for place in [5, 20, 30] {
        let mut net = members::<Heap>();
        connect(&mut net, Kind::Case, &[udp(HONEST)]);
        net.run(5_000);
        for n in 0..2 {
            net.node(n).events.clear();
        }
        net.on_send(|sent| if sent.from == udp(HONEST) { Fate::Lost } else { Fate::Arrives });
        connect(&mut net, Kind::Case, &[udp(HONEST), udp(ATTACKER)]);
        net.run(300);
        let is_answer =
            |sent: &&crate::net::Datagram| sent.handshake_opcode() == Some(SIGMA2_RESUME);
        let resume = net.sent.iter().find(is_answer).unwrap().octets.clone();
        let mut altered = resume.clone();
        let at = resume.len() - parts(&resume).unwrap().1.len() + place;
        altered[at] ^= 1;
        net.hand(0, udp(ATTACKER), &altered).unwrap();
        net.on_send(|_| Fate::Arrives);
        net.hand(0, udp(HONEST), &resume).unwrap();
        assert_won(&mut net, &format!("octet {place}"));
    }
}

#[test]
fn only_refusals_fail_the_handshake_with_the_last_of_them() {
    let mut net = members::<Heap>();
    let first = connect(&mut net, Kind::Case, &[udp(8), udp(ATTACKER)]);
    let busy = answer(&first, 1, 0, REPORT, &BUSY);
    net.hand(0, udp(8), &busy).unwrap();
    net.pump();
    assert!(net.node(0).failures().is_empty());
    let none = answer(&first, 2, 0, REPORT, &NO_SHARED_ROOTS);
    net.hand(0, udp(ATTACKER), &none).unwrap();
    net.pump();
    let refused = HandshakeError::Refused(Refusal::NoSharedTrustRoots);
    assert_eq!(net.node(0).failures(), [refused]);
    net.assert_clean();
}

/// Runs a handshake until the peer has won, and returns its first message. The peer answers nothing
/// more until `release`.
fn won<S: Storage>(kind: Kind) -> (Net<S>, Vec<u8>) {
    let mut net = members::<S>();
    let mut answers = 0;
    net.on_send(move |sent| {
        answers += usize::from(sent.from == udp(HONEST));
        match sent.from == udp(HONEST) && answers > 1 {
            true => Fate::Late(400),
            false => Fate::Arrives,
        }
    });
    let first = connect(&mut net, kind, &[udp(ATTACKER), udp(HONEST)]);
    net.run(300);
    assert!(net.node(0).try_established().is_none());
    (net, first)
}

fn the_peer_that_has_won_wins_over_later_inventions<S: Storage>() {
    for kind in [Kind::Case, Kind::Pase] {
        for (opcode, payload) in inventions() {
            let (mut net, first) = won::<S>(kind);
            for from in [udp(ATTACKER), udp(77)] {
                let invented = answer(&first, 0xFFFF_FFF0, 4, opcode, &payload);
                let _ = net.hand(0, from, &invented);
            }
            assert_won(&mut net, &format!("opcode {opcode:x}, {} octets", payload.len()));
        }
    }
}

#[test]
fn the_peer_that_has_answered_wins_over_an_attacker_that_answers_later_on_the_heap() {
    the_peer_that_has_won_wins_over_later_inventions::<Heap>();
}

#[test]
fn the_peer_that_has_answered_wins_over_an_attacker_that_answers_later_in_arrays() {
    the_peer_that_has_won_wins_over_later_inventions::<Arrays>();
}
