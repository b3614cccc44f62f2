//! Check-In messages: one manager sends them, another hands them on, and no more comes of them.

use matter_session::check_in::{
    self, IcdCounter, MAX_DATAGRAM_BUFFER, RegisteredKey, Registration, SealError,
};
use matter_session::crypto::{RustCrypto, Secret};
use matter_session::fabric::CompressedFabricId;
use matter_session::ids::NodeId;
use matter_session::manager::{Received, Transmit};
use matter_session::wire::EncodeError;

use crate::net::{Fate, Net, index, udp};

const THRESHOLD: [u8; 2] = 300_u16.to_le_bytes();

/// An ICD's counter, and a client's registration on both sides.
fn icd(net: &mut Net) -> (IcdCounter, RegisteredKey, Registration) {
    let mut counter = IcdCounter::random(10, &mut net.node(0).rng);
    counter.stored(counter.bound_to_store().unwrap());
    let key = || Secret::new([9; 16]);
    let (compressed, value) = (CompressedFabricId::from_bytes([7; 8]), counter.value());
    let client = Registration::new(index(1), compressed, NodeId::new(100), key(), value);
    let registered = counter.register(key(), &[]).unwrap();
    (counter, registered, client)
}

/// The next Check-In message of node 0.
fn check_in(net: &mut Net, counter: &mut IcdCounter, key: &RegisteredKey) -> Vec<u8> {
    let check_in = counter.check_in(&THRESHOLD).unwrap();
    let mut buf = [0; MAX_DATAGRAM_BUFFER];
    net.call(0, |m, cx| {
        let Transmit { to, datagram, .. } =
            m.send_check_in(cx, udp(2), &check_in, key, &mut buf).unwrap();
        assert_eq!(to, udp(2));
        datagram.to_vec()
    })
}

/// What node 1 hands on of a message that is a Check-In.
fn handed_on(net: &mut Net, octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    net.call(1, |m, cx| match m.handle_datagram(cx, udp(1), &mut octets) {
        Received::CheckIn { payload, .. } => payload.to_vec(),
        other => panic!("not a Check-In: {other:?}"),
    })
}

#[test]
fn a_client_opens_what_an_icd_sends() {
    let mut net = Net::pair();
    let (mut counter, key, client) = icd(&mut net);
    let mut registrations = [client];
    let mut exchanges = Vec::new();
    for _ in 0..3 {
        let sent = check_in(&mut net, &mut counter, &key);
        exchanges.push(sent[18..20].to_vec());
        let mut payload = handed_on(&mut net, &sent);
        let heard = check_in::open(&RustCrypto, &mut registrations, &mut payload).unwrap();
        assert_eq!(heard.active_mode_threshold_ms(), Some(300));
        // Come twice it is handed on twice: the registration tells.
        let mut payload = handed_on(&mut net, &sent);
        assert!(check_in::open(&RustCrypto, &mut registrations, &mut payload).is_err());
    }
    exchanges.dedup();
    assert_eq!(exchanges.len(), 3, "each on an exchange of its own");
    assert_eq!(net.sent.len(), 0);

    let short = counter.check_in(&THRESHOLD).unwrap();
    let needed = MAX_DATAGRAM_BUFFER - check_in::MAX_PAYLOAD + short.payload_len();
    let mut buf = vec![0; needed - 1];
    let refused = net.call(0, |m, cx| {
        let sent = m.send_check_in(cx, udp(2), &short, &key, &mut buf);
        sent.map(|transmit| transmit.datagram.len())
    });
    let too_small = EncodeError::BufferTooSmall { needed };
    assert_eq!(refused, Err(SealError::Encode(too_small)));
}

#[test]
fn a_flood_of_check_ins_that_ask_for_acknowledgements_leaves_no_trace() {
    let (mut net, _, session) = Net::with_case();
    let (mut counter, key, _) = icd(&mut net);
    let mut octets = check_in(&mut net, &mut counter, &key);
    octets[16] |= 4;
    net.run(10_000);
    let (facts, since) = (net.node(1).facts(), net.sent.len());
    let due = net.node(1).manager.poll_timeout();
    for n in 0..2000_u32 {
        octets[4..8].copy_from_slice(&n.to_le_bytes());
        octets[8..12].copy_from_slice(&n.to_be_bytes());
        octets[18..20].copy_from_slice(&(n as u16).to_le_bytes());
        let payload = handed_on(&mut net, &octets);
        assert_eq!(payload, octets[22..]);
    }
    net.run(10_000);
    assert_eq!(net.node(1).facts(), facts);
    assert_eq!(net.node(1).manager.poll_timeout(), due);
    assert_eq!(net.sent.len(), since, "nobody is answered");
    assert_eq!(net.node(1).manager.statistics().dropped_in_all(), 0);
    let exchange = net.say(1, session, 2);
    net.run(1000);
    assert!(net.node(1).acknowledged(exchange));
}

/// One that stands where a message of a handshake would is not taken for it.
#[test]
fn a_check_in_in_the_guise_of_an_initiator_does_not_end_its_handshake() {
    let mut net = Net::members();
    net.on_send(
        |d| if d.handshake_opcode() == Some(0x31) { Fate::Late(50) } else { Fate::Arrives },
    );
    net.dial_case(0, 1, 1, 200);
    net.pump();
    let mut octets = net.sent[0].octets.clone();
    octets[17] = 0x50;
    octets[4] ^= 1;
    handed_on(&mut net, &octets);
    net.run(1000);
    net.node(0).established();
    net.node(1).established();
    net.assert_clean();
}

/// What a responder sends is none, and neither is what comes encrypted.
#[test]
fn only_an_initiator_checks_in_and_only_unsecured() {
    let mut net = Net::pair();
    let (mut counter, key, _) = icd(&mut net);
    let sent = check_in(&mut net, &mut counter, &key);
    let mut answers = sent.clone();
    answers[0] = 1; // its node id is the destination's
    assert!(net.hand(1, udp(1), &answers).is_err());
    let mut not_first = sent.clone();
    not_first[16] &= !1;
    assert!(net.hand(1, udp(1), &not_first).is_err());
    let mut secure = sent;
    secure[1] = 1;
    assert!(net.hand(1, udp(1), &secure).is_err());
    assert_eq!(net.sent.len(), 0);
}
