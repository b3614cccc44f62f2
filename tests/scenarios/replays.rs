//! A recorded Sigma1 of a genuine node, repeated a thousand times; and what each kind of first
//! message costs.

use core::time::Duration;

use matter_session::crypto::Passcode;
use matter_session::manager::{Config, Dropped, Event};

use crate::counting::Work;
use crate::lab::{Party, case, converse, members, wait};
use crate::net::{PASSCODE, udp};
use crate::raw::{ACK, PBKDF_RESPONSE, REPORT, SIGMA2, SIGMA2_RESUME, disguised, parts};

/// A device with a full table of sessions, two slots for handshakes, and a Sigma1 that it has
/// answered once.
fn recorded(resumes: bool) -> (Party, Party, Vec<u8>) {
    let device = Config::default()
        .with_sessions(2)
        .with_less_than_specified()
        .with_handshakes(2, Duration::from_millis(500))
        .with_records(2, Duration::from_secs(1_000_000));
    let (mut a, mut b) = members(Config::default(), device, true);
    case(&mut a, &mut b);
    if !resumes {
        a.call(|m, cx| m.records_mut().forget_all(cx));
    }
    a.dial(b.address, 200);
    let first = a.take();
    b.hand(a.address, &first[0].1).unwrap();
    converse(&mut a, &mut b);
    wait(&mut a, &mut b, 300);
    assert_eq!(b.manager.sessions().len(), 2);
    (a, b, first[0].1.clone())
}

fn opcode(octets: &[u8]) -> u8 {
    parts(octets).unwrap().0
}

/// What a device does and sends for a replay that it takes for a new handshake: the full one, as
/// the record has got a new id meanwhile. One signature comes on top, by the application.
const ACCEPTED: Work = Work { hmac: 1, hkdf: 1, aead: 1, ephemeral: 1, ecdh: 1, ..Work::NONE };

#[test]
fn a_thousand_replays_cost_a_bounded_amount_of_work_and_nobody_a_record_or_session() {
    for resumes in [false, true] {
        let (_, mut b, sigma1) = recorded(resumes);
        let before = (b.sessions(), b.records());
        b.wait(20_000);
        b.take();
        b.events.clear();
        b.crypto.take();
        let (mut served, mut copies) = (0, 0);
        for n in 0..1000 {
            // Every tenth of a second from another address, as another node every other time.
            let octets = if n % 2 == 0 { disguised(&sigma1, n) } else { sigma1.clone() };
            let handed = b.hand(udp(1000 + n as u16), &octets);
            let sent = b.take();
            let work = b.crypto.take();
            if handed == Err(Dropped::HandshakeCopy) {
                copies += 1;
                assert_eq!((work, sent.len()), (Work::NONE, 0), "{n}");
            } else {
                served += 1;
                assert_eq!((handed, work, sent.len()), (Ok(()), ACCEPTED, 1), "{n}");
                assert_eq!(opcode(&sent[0].1), SIGMA2);
                assert!(sent[0].1.len() <= 1232);
            }
            assert!(b.manager.handshakes().len() <= 2);
            assert_eq!(b.manager.sessions().iter().count(), 2, "{n}");
            b.wait(100);
            // Repetitions of Sigma2, which cost nothing.
            assert!(b.take().iter().all(|(_, octets)| opcode(octets) == SIGMA2));
            assert_eq!(b.crypto.take(), Work::NONE);
        }
        assert_eq!(served + copies, 1000);
        // One slot, held for the time that five transmissions take, and for ten seconds after it.
        assert!((6..=10).contains(&served), "{served}");
        assert_eq!(b.records(), before.1, "resumes: {resumes}");
        let told = |event: &Event<u32>| matches!(event, Event::HandshakeFailed { .. });
        assert!(b.events.iter().all(told), "no session closes, no record changes");
        b.wait(200_000);
        b.take();
        assert_eq!(b.sessions(), before.0);
        assert_eq!(b.manager.handshakes().len(), 0);
        assert_eq!(b.crypto.alive().0, 0, "no ephemeral key is left");
    }
}

/// As before, but each of the recorded messages has another random.
#[test]
fn a_thousand_recorded_sigma1_cost_a_bounded_amount_of_work() {
    let (mut a, mut b, _) = recorded(false);
    a.call(|m, cx| m.records_mut().forget_all(cx));
    let sigma1: Vec<_> = (0..20)
        .map(|_| {
            let handshake = a.dial(b.address, 200);
            let sigma1 = a.take().remove(0).1;
            assert!(a.manager.handshakes().cancel(handshake));
            // The report of that gets lost, too.
            a.take();
            sigma1
        })
        .collect();
    b.wait(20_000);
    b.take();
    b.crypto.take();
    let (mut free, mut taken, mut busy, mut copies) = (0, 0, 0, 0);
    for n in 0..1000 {
        let handed =
            b.hand(udp(1000 + n as u16), &disguised(&sigma1[n as usize % sigma1.len()], n));
        let sent = b.take();
        let kinds: Vec<_> = sent.iter().map(|(_, octets)| opcode(octets)).collect();
        match (b.crypto.take(), &kinds[..]) {
            (ACCEPTED, [SIGMA2]) => free += 1,
            // One key more for each key of a fabric, and a report to the peer that loses its slot.
            (Work { hmac: 2, .. }, [SIGMA2, REPORT] | [REPORT, SIGMA2]) => taken += 1,
            (Work::NONE, [REPORT]) => busy += 1,
            (Work::NONE, []) if handed == Err(Dropped::HandshakeCopy) => copies += 1,
            (work, kinds) => panic!("{n}: {work:?} {kinds:x?}"),
        }
        assert!(sent.iter().all(|(_, octets)| octets.len() <= 36 || opcode(octets) == SIGMA2));
        b.wait(100);
        b.take();
        b.crypto.take();
    }
    // Two slots for 400 ms each.
    assert!(free <= 10 && (400..=500).contains(&taken), "{free} {taken} {busy} {copies}");
    assert!(busy > 400, "{free} {taken} {busy} {copies}");
}

#[test]
fn a_replay_from_the_same_address_and_node_is_acknowledged_at_the_most() {
    for resumes in [false, true] {
        let (a, mut b, sigma1) = recorded(resumes);
        let before = (b.sessions(), b.records());
        b.crypto.take();
        for n in 0..1000 {
            b.hand(a.address, &sigma1).unwrap();
            let sent = b.take();
            assert_eq!(sent.len(), 1, "{n}");
            assert_eq!(opcode(&sent[0].1), ACK);
            assert!(sent[0].1.len() <= 36);
        }
        assert_eq!(b.crypto.take(), Work::NONE);
        assert_eq!((b.sessions(), b.records()), before);
    }
}

/// The record has not changed meanwhile: the genuine Sigma1 never got through. A record that was
/// granted serves for a minute, so the genuine node gets a full handshake later.
#[test]
fn a_replayed_resumption_is_answered_once_at_a_time_and_the_genuine_node_gets_a_session() {
    let (mut a, mut b, _) = recorded(true);
    wait(&mut a, &mut b, 20_000);
    a.events.clear();
    let handshake = a.dial(b.address, 200);
    let sigma1 = a.take()[0].1.clone();
    assert!(a.manager.handshakes().cancel(handshake));
    a.take();
    let before = (b.sessions(), b.records());
    b.crypto.take();
    let (mut resumptions, mut copies) = (0, 0);
    for n in 0..590 {
        let handed = b.hand(udp(1000 + n as u16), &disguised(&sigma1, n));
        let sent = b.take();
        let work = b.crypto.take();
        if handed == Err(Dropped::HandshakeCopy) {
            copies += 1;
            assert_eq!((work, sent.len()), (Work::NONE, 0), "{n}");
        } else {
            // No arithmetic on the curve: two keys, two integrity codes.
            resumptions += 1;
            assert_eq!(opcode(&sent[0].1), SIGMA2_RESUME);
            assert_eq!(work, Work { hmac: 1, hkdf: 2, aead: 2, ..Work::NONE }, "{n}");
            assert!(sent.len() == 1 && sent[0].1.len() <= 120, "{}", sent[0].1.len());
        }
        b.wait(100);
        b.take();
        b.crypto.take();
    }
    assert!((4..=6).contains(&resumptions) && copies > 500, "{resumptions} {copies}");
    assert_eq!(b.records(), before.1);
    assert_eq!(b.manager.sessions().len(), 2);
    b.wait(100_000);
    b.take();
    assert_eq!(b.sessions(), before.0);
    a.now = b.now;
    a.take();
    a.dial(b.address, 200);
    converse(&mut a, &mut b);
    let full = |event: &Event<u32>| matches!(event, Event::Established { resumed: false, .. });
    assert!(a.events.iter().any(full) && b.events.iter().any(full));
}

/// The whole of a handshake, on the side that is dialled.
#[test]
fn what_a_genuine_handshake_costs_a_device() {
    let (mut a, mut b) = members(Config::default(), Config::default(), true);
    let kinds = [
        // Two certificates and a signature.
        Work { hmac: 1, hkdf: 3, aead: 4, ephemeral: 1, ecdh: 1, verify: 3, ..Work::NONE },
        Work { hmac: 1, hkdf: 3, aead: 4, ..Work::NONE },
    ];
    for (kind, expected) in kinds.into_iter().enumerate() {
        b.crypto.take();
        case(&mut a, &mut b);
        assert_eq!(b.manager.sessions().len(), kind + 1);
        assert_eq!(b.crypto.take(), expected, "resumed: {}", kind == 1);
    }
}

#[test]
fn what_a_pbkdf_param_request_costs_a_device() {
    let (mut a, mut b) = members(Config::default(), Config::default(), false);
    let request = |a: &mut Party| {
        let passcode = Passcode::new(PASSCODE).unwrap();
        let to = udp(2);
        let handshake = a.call(|m, cx| m.connect_pase(cx, to, passcode)).unwrap();
        let request = a.take().remove(0).1;
        assert!(a.manager.handshakes().cancel(handshake));
        a.take();
        request
    };
    let mut answered = |b: &mut Party| {
        let request = request(&mut a);
        b.crypto.take();
        b.hand(udp(1), &request).unwrap();
        assert_eq!(b.crypto.take(), Work::NONE);
        let sent = b.take();
        assert_eq!(sent.len(), 1);
        (request.len(), opcode(&sent[0].1), sent[0].1.len())
    };
    // No window, an open one, and one that serves somebody.
    let (_, opcode, len) = answered(&mut b);
    assert!(opcode == REPORT && len <= 36);
    let passcode = Passcode::new(PASSCODE).unwrap();
    b.call(|m, cx| m.window().open_for(cx, &passcode, None)).unwrap();
    let (received, opcode, sent) = answered(&mut b);
    assert!(opcode == PBKDF_RESPONSE && sent <= 2 * received, "{sent} for {received}");
    let (_, opcode, len) = answered(&mut b);
    assert!(opcode == REPORT && len <= 36);
}
