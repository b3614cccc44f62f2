//! Whatever is wrong with a Sigma3, the peer is told so at once; and what a device remembers of
//! the certificates in it.

use matter_session::handshake::HandshakeError;
use matter_session::manager::{Config, Event};

use crate::counting::Work;
use crate::lab::{Party, converse, members, wait};
use crate::net::{Authority, Fate, Net, compute, index, udp};
use crate::raw::{SIGMA3, is_invalid_parameter, parts};

const INITIATOR: usize = 0;
const DEVICE: usize = 1;

/// A device that awaits a Sigma3, and the one that it shall not get.
fn awaiting() -> (Net, Vec<u8>) {
    let mut net = Net::pair();
    let mut authority = Authority::new(1, true);
    authority.join(&mut net, INITIATOR, 100);
    authority.join(&mut net, DEVICE, 200);
    net.on_send(|d| if d.handshake_opcode() == Some(SIGMA3) { Fate::Lost } else { Fate::Arrives });
    net.dial_case(INITIATOR, DEVICE, 1, 200);
    net.pump();
    let sigma3 = net.sent.last().unwrap().octets.clone();
    assert_eq!(parts(&sigma3).unwrap().0, SIGMA3);
    assert_eq!(net.nodes[DEVICE].manager.handshakes().len(), 1);
    (net, sigma3)
}

/// The device ends the handshake and says so, on the exchange of the handshake, reliably.
fn assert_refused(net: &mut Net, what: &str) -> HandshakeError {
    let since = net.sent.len();
    net.pump();
    let answers = net.sent_by(DEVICE, since);
    assert_eq!(answers.len(), 1, "{what}");
    assert!(is_invalid_parameter(&answers[0].octets), "{what}: {:x?}", answers[0].octets);
    assert_eq!(answers[0].octets[16] & 4, 4, "{what}: asks for an acknowledgement");
    assert_eq!(net.nodes[DEVICE].manager.handshakes().len(), 0, "{what}");
    assert_eq!(net.nodes[DEVICE].manager.sessions().len(), 0, "{what}");
    assert_eq!(net.nodes[DEVICE].manager.records().len(), 0, "{what}");
    let failures = net.nodes[DEVICE].failures();
    assert_eq!(failures.len(), 1, "{what}");
    net.run(2000);
    assert!(net.node(INITIATOR).try_established().is_none());
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
    failures[0]
}

#[test]
fn a_sigma3_that_cannot_be_read_or_decrypted_is_answered_with_invalid_parameter() {
    let (_, sigma3) = awaiting();
    let header = sigma3.len() - parts(&sigma3).unwrap().1.len();
    let payload = sigma3[header..].to_vec();
    let flip = |at: usize| {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        changed
    };
    // The encrypted part as long as it may not be: 1,011 octets.
    let mut long = vec![0x15, 0x31, 1, 0xF3, 3];
    long.resize(5 + 1011, 7);
    long.push(0x18);
    let cases: [(&str, Vec<u8>); 11] = [
        ("nothing", Vec::new()),
        ("one octet", vec![0x15]),
        ("an empty structure", vec![0x15, 0x18]),
        ("no structure", vec![0x04, 1]),
        ("another tag", flip(2)),
        ("cut in the middle", payload[..payload.len() / 2].to_vec()),
        ("without its end", payload[..payload.len() - 1].to_vec()),
        ("too little to decrypt", vec![0x15, 0x30, 1, 2, 7, 7, 0x18]),
        ("too much to decrypt", long),
        ("an octet of the certificates", flip(40)),
        ("an octet of the integrity code", flip(payload.len() - 2)),
    ];
    for (what, payload) in cases {
        let (mut net, sigma3) = awaiting();
        let octets = [&sigma3[..header], &payload[..]].concat();
        net.hand(DEVICE, udp(1), &octets).unwrap();
        let error = assert_refused(&mut net, what);
        let known = matches!(error, HandshakeError::Malformed(_) | HandshakeError::Undecryptable);
        assert!(known, "{what}: {error:?}");
    }
}

#[test]
fn a_sigma3_with_the_signature_of_another_key_is_answered_with_invalid_parameter() {
    let mut net = Net::pair();
    let mut authority = Authority::new(1, true);
    authority.join(&mut net, INITIATOR, 100);
    authority.join(&mut net, DEVICE, 200);
    let other = authority.admit(100).key;
    net.node(INITIATOR).keys.insert(index(1), other);
    let since = net.sent.len();
    net.on_send(|d| {
        if d.from == udp(2) && d.octets.len() < 40 { Fate::Late(10) } else { Fate::Arrives }
    });
    net.dial_case(INITIATOR, DEVICE, 1, 200);
    net.pump();
    let answers = net.sent_by(DEVICE, since);
    assert_eq!(answers.len(), 2, "Sigma2 and a report");
    assert!(is_invalid_parameter(&answers[1].octets));
    assert_eq!(net.nodes[DEVICE].failures(), [HandshakeError::WrongSignature]);
    assert_eq!(net.nodes[DEVICE].manager.sessions().len(), 0);
    net.assert_clean();
}

#[test]
fn a_sigma3_of_a_stranger_to_the_policy_is_answered_with_invalid_parameter() {
    use matter_session::context::Services;
    use matter_session::context::{PeerIdentity, PeerPolicy, Rejected};
    struct Nobody;
    impl PeerPolicy for Nobody {
        fn authorize(&self, _: &PeerIdentity<'_>) -> Result<(), Rejected> {
            Err(Rejected)
        }
    }
    let (mut net, sigma3) = awaiting();
    let now = net.instant();
    let node = &mut net.nodes[DEVICE];
    let mut services = Services::new(&mut node.rng).with_policy(&Nobody);
    let mut cx = services.at(now);
    let mut octets = sigma3;
    let received = node.manager.handle_datagram(&mut cx, udp(1), &mut octets);
    assert_eq!(received.dropped(), None);
    compute(&mut node.manager, &mut cx);
    assert_eq!(assert_refused(&mut net, "policy"), HandshakeError::Rejected);
}

/// A CASE of two nodes that know each other's authority.
fn work_of_case(a: &mut Party, b: &mut Party) -> Work {
    a.call(|m, cx| m.records_mut().forget_all(cx));
    b.call(|m, cx| m.records_mut().forget_all(cx));
    b.crypto.take();
    b.events.clear();
    a.dial(b.address, 200);
    converse(a, b);
    wait(a, b, 300);
    let established = |event: &Event<u32>| matches!(event, Event::Established { .. });
    assert!(b.events.iter().any(established));
    b.crypto.take()
}

#[test]
fn certificates_that_were_verified_before_are_not_verified_again_if_so_configured() {
    for remembers in [false, true] {
        let config = Config::default();
        let config = if remembers { config.with_remembered_certificates() } else { config };
        let (mut a, mut b) = members(Config::default(), config, true);
        let verified: Vec<_> = (0..3).map(|_| work_of_case(&mut a, &mut b).verify).collect();
        // The intermediate, the operational certificate, and the signature of Sigma3.
        assert_eq!(verified, if remembers { [3, 1, 1] } else { [3; 3] });
        // Those under another root are other ones.
        let mut stranger = Party::new(udp(3), Config::default(), 3);
        let mut other = Authority::seeded(77, 1, true);
        stranger.join(&mut other, 100);
        b.join(&mut other, 200);
        assert_eq!(work_of_case(&mut stranger, &mut b).verify, 3);
    }
}
