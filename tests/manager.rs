//! Two managers in one process: the whole life of a session.
#![cfg(all(feature = "rustcrypto", feature = "alloc"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use matter_session::crypto::{Passcode, PbkdfParameters, RustCrypto, Verifier};
use matter_session::handshake::Context;
use matter_session::ids::ProtocolId;
use matter_session::manager::*;
use matter_session::time::Instant;

fn address(port: u16) -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], port).into())
}

/// Carries datagrams to and fro until both are silent; returns what was delivered to either.
fn carry(
    a: &mut HeapSessionManager,
    b: &mut HeapSessionManager,
    now: u64,
) -> Vec<(char, u8, Vec<u8>)> {
    let mut delivered = Vec::new();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let mut buf = [0; 64];
    loop {
        let mut idle = true;
        let mut cx = Context::new(Instant::from_millis(now), &mut rng);
        for to_b in [true, false] {
            let (from, to, port) = if to_b { (&mut *a, &mut *b, 1) } else { (&mut *b, &mut *a, 2) };
            while let Some(t) = from.poll_transmit(cx.now, &mut buf) {
                idle = false;
                let mut datagram = t.datagram.to_vec();
                match to.handle_datagram(&mut cx, address(port), &mut datagram) {
                    Ok(Received::Message(m)) => {
                        delivered.push((if to_b { 'b' } else { 'a' }, m.opcode, m.payload.to_vec()))
                    }
                    Ok(_) => {}
                    Err(e) => println!("dropped {e}"),
                }
            }
        }
        if idle {
            return delivered;
        }
    }
}

#[test]
fn pase_then_a_message() {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let mut a = HeapSessionManager::<()>::new(Config::default(), RustCrypto, &mut rng);
    let mut b = HeapSessionManager::<()>::new(Config::default(), RustCrypto, &mut rng);
    let pbkdf = PbkdfParameters::random(1000, &mut rng).unwrap();
    let passcode = Passcode::new(20202021).unwrap();
    let verifier = Verifier::generate(&RustCrypto, &passcode, &pbkdf).unwrap();
    b.open_commissioning_window(
        Instant::ZERO,
        CommissioningWindow { verifier, pbkdf, duration: None },
    )
    .unwrap();
    let mut cx = Context::new(Instant::ZERO, &mut rng);
    a.connect_pase(&mut cx, address(2), passcode).unwrap();
    carry(&mut a, &mut b, 0);
    let Some(Event::Established { session, .. }) = a.poll_event() else { panic!("a") };
    let Some(Event::Established { session: theirs, .. }) = b.poll_event() else { panic!("b") };
    assert_eq!(
        a.session(session).unwrap().session().attestation_challenge(),
        b.session(theirs).unwrap().session().attestation_challenge()
    );
    let exchange = a.open_exchange(Instant::ZERO, session).unwrap();
    a.send(&mut cx, exchange, ProtocolId::INTERACTION_MODEL, 2, b"hello").unwrap();
    assert_eq!(carry(&mut a, &mut b, 0), [('b', 2, b"hello".to_vec())]);
    println!("{:?}", (a.poll_timeout(), b.poll_timeout()));
    cx.now = Instant::from_millis(300);
    b.handle_timeout(&mut cx);
    carry(&mut a, &mut b, 300);
    assert!(matches!(a.poll_event(), Some(Event::Acknowledged { exchange: e }) if e == exchange));
    a.close(&mut cx, session);
    carry(&mut a, &mut b, 300);
    assert!(matches!(b.poll_event(), Some(Event::Closed { reason: CloseReason::Peer, .. })));
}
