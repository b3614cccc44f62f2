//! Handshakes that the application gives up at any step, and values that it drops: nothing stays.

use matter_session::crypto::{Passcode, SignError};
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{Config, HandshakeHandle};

use crate::lab::{Party, case, members};
use crate::net::{Authority, PASSCODE, index, udp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pase,
    Case,
    Resumed,
}

/// How it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The initiator cancels.
    Cancel,
    /// The initiator or the responder loses the connection.
    Disconnect(usize),
    /// The fabric goes, or the commissioning window closes.
    Withdraw(usize),
    /// Neither calls again: the application just stops polling, and time passes.
    Forget,
}

const HOWS: [How; 6] = [
    How::Cancel,
    How::Disconnect(0),
    How::Disconnect(1),
    How::Withdraw(0),
    How::Withdraw(1),
    How::Forget,
];

/// A controller and a device, in the middle of a handshake: after so many datagrams.
struct Midway {
    parties: [Party; 2],
    authority: Authority,
    handshake: HandshakeHandle,
    /// What was alive before: keys of sessions.
    keys: [usize; 2],
}

fn midway(kind: Kind, datagrams: usize, signs: bool) -> Midway {
    let (mut a, mut b) = members(Config::default(), Config::default(), false);
    let mut authority = Authority::new(1, false);
    // The same authority again, from where it stood.
    authority.admit(100);
    authority.admit(200);
    if kind == Kind::Resumed {
        case(&mut a, &mut b);
    }
    for party in [&mut a, &mut b] {
        party.wait(20_000);
        party.take();
        party.events.clear();
        party.signs = signs;
    }
    let keys = [a.crypto.alive().1, b.crypto.alive().1];
    let handshake = if kind == Kind::Pase {
        let passcode = Passcode::new(PASSCODE).unwrap();
        b.call(|m, cx| m.window().open_for(cx, &passcode, None)).unwrap();
        a.call(|m, cx| m.connect_pase(cx, udp(2), passcode)).unwrap()
    } else {
        a.dial(b.address, 200)
    };
    for n in 0..datagrams {
        let (from, to) = if n % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        for (_, octets) in from.take() {
            let _ = to.hand(from.address, &octets);
        }
    }
    Midway { parties: [a, b], authority, handshake, keys }
}

/// How many datagrams each kind takes until both ends have their session.
fn length(kind: Kind) -> usize {
    match kind {
        Kind::Pase => 5,
        Kind::Case => 3,
        Kind::Resumed => 2,
    }
}

#[test]
fn a_handshake_that_is_given_up_at_any_step_leaves_no_slot_no_id_and_no_key() {
    for kind in [Kind::Pase, Kind::Case, Kind::Resumed] {
        for how in HOWS {
            for signs in [true, false] {
                for datagrams in 0..=length(kind) {
                    let what = format!("{kind:?}, {how:?} after {datagrams}, signs: {signs}");
                    given_up(kind, how, signs, datagrams, &what);
                }
            }
        }
    }
}

fn given_up(kind: Kind, how: How, signs: bool, datagrams: usize, what: &str) {
    let Midway { mut parties, mut authority, handshake, keys } = midway(kind, datagrams, signs);
    let addresses = parties.each_ref().map(|party| party.address);
    match how {
        How::Cancel => {
            let running = parties[0].manager.handshakes().len() == 1;
            assert_eq!(parties[0].manager.handshakes().cancel(handshake), running, "{what}");
            // Whatever is called for it afterwards means nothing.
            assert!(!parties[0].manager.handshakes().cancel(handshake), "{what}");
            let parameters = Config::default().parameters;
            assert!(
                !parties[0]
                    .call(|m, cx| m.handshakes().expect_timing(cx, handshake, parameters).is_ok())
            );
        }
        How::Disconnect(n) => {
            let peer = addresses[1 - n];
            parties[n].call(|manager, cx| manager.connections().handle_disconnect(cx, peer));
        }
        How::Withdraw(1) if kind == Kind::Pase => {
            parties[1].manager.window().close();
        }
        How::Withdraw(n) => {
            assert!(parties[n].call(|manager, cx| manager.fabrics_mut().remove(cx, index(1))));
        }
        How::Forget => {}
    }
    if how != How::Forget {
        let ended = usize::from(how == How::Disconnect(1) || how == How::Withdraw(1));
        if !(kind == Kind::Pase && how == How::Withdraw(0)) {
            assert_eq!(parties[ended].manager.handshakes().len(), 0, "{what}: at once");
            assert_eq!(parties[ended].crypto.alive().0, 0, "{what}: no ephemeral key");
        }
    }
    // A signature that was asked for comes too late or never, a datagram not at all.
    for party in &mut parties {
        party.take();
        let mut requests = core::mem::take(&mut party.requests);
        if let Some(request) = requests.pop() {
            let running = party.manager.handshakes().len() == 1;
            let answered = party
                .call(|m, cx| m.complete_signature(cx, request.complete(Err(SignError))).is_ok());
            assert_eq!(answered, running, "{what}");
        }
        drop(requests);
        for _ in 0..3 {
            party.wait(70_000);
            party.take();
        }
    }
    for (n, party) in parties.iter_mut().enumerate() {
        assert_eq!(party.manager.handshakes().len(), 0, "{what}: {n}");
        let state = format!("{:?}", party.manager);
        for table in ["handshakes: 0", "deadlines: 0", "ready: 0", "events: 0"] {
            assert!(state.contains(table), "{what}: {n}: {state}");
        }
        // Two keys of each session, and no other.
        let (ephemerals, alive) = party.crypto.alive();
        assert_eq!(ephemerals, 0, "{what}: {n}");
        assert_eq!(alive, 2 * party.manager.sessions().len(), "{what}: {n}");
        assert!(alive <= keys[n] + 2, "{what}: {n}");
    }
    again(parties, &mut authority, how, what);
}

/// Both are as good as new.
fn again(parties: [Party; 2], authority: &mut Authority, how: How, what: &str) {
    let [mut a, mut b] = parties;
    for party in [&mut a, &mut b] {
        party.signs = true;
        party.events.clear();
    }
    b.now = a.now;
    if matches!(how, How::Withdraw(_)) {
        for (party, node) in [(&mut a, 100), (&mut b, 200)] {
            if party.manager.fabrics().is_empty() {
                party.join(authority, node);
            }
        }
    }
    let before = b.manager.sessions().len();
    a.call(|m, cx| m.connect_case(cx, udp(2), Peer::new(index(1), NodeId::new(200)))).unwrap();
    crate::lab::converse(&mut a, &mut b);
    assert_eq!(b.manager.sessions().len(), before + 1, "{what}");
}

/// One slot: it would be noticed if any were held.
#[test]
fn requests_and_signatures_that_are_dropped_hold_no_slot_beyond_a_minute() {
    for signs_first in [false, true] {
        let config = Config::default().with_handshakes(1, core::time::Duration::from_millis(1));
        let (mut a, mut b) = members(config.clone(), config, false);
        for round in 0..5 {
            b.signs = false;
            a.dial(b.address, 200);
            let sigma1 = a.take().remove(0).1;
            b.hand(a.address, &sigma1).unwrap();
            b.take();
            let request = b.requests.remove(0);
            if signs_first {
                // Signed, and the signature dropped.
                drop(request.complete(Err(SignError)));
            } else {
                drop(request);
            }
            for party in [&mut a, &mut b] {
                party.wait(60_000);
                party.take();
                party.wait(1);
                party.take();
                assert_eq!(party.manager.handshakes().len(), 0, "{round}");
                assert_eq!(party.crypto.alive(), (0, 0), "{round}");
            }
        }
        b.signs = true;
        for party in [&mut a, &mut b] {
            party.wait(100_000);
            party.take();
        }
        case(&mut a, &mut b);
        assert_eq!(b.manager.sessions().len(), 1);
    }
}

/// More often than there are ids: each is free again.
#[test]
fn seventy_thousand_cancelled_handshakes_leave_every_id_free() {
    let config = Config::default().with_handshakes(1, core::time::Duration::from_millis(1));
    let (mut a, _) = members(config.clone(), config, false);
    for n in 0..70_000 {
        let passcode = Passcode::new(PASSCODE).unwrap();
        let handshake = a.call(|m, cx| m.connect_pase(cx, udp(2), passcode));
        assert!(a.manager.handshakes().cancel(handshake.unwrap()), "{n}");
    }
    assert!(a.take().is_empty());
    assert_eq!(a.manager.handshakes().len(), 0);
}
