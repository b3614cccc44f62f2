//! `crypto::check`: every backend of this crate passes, and each primitive that is falsified is
//! named.
#![cfg(feature = "rustcrypto")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::std_instead_of_alloc,
    unreachable_pub,
    reason = "a test that panics has failed"
)]

#[path = "crypto/falsified.rs"]
mod falsified;

use falsified::{Fault, Lies};
use matter_session::crypto::check::{self, Primitive};
use matter_session::crypto::{
    CompactRustCrypto, CryptoError, Hashing, PUBLIC_KEY_LEN, RustCrypto, Secret, Sha256State,
    Spake2p, Suite,
};

const PRIMITIVES: [Primitive; 21] = [
    Primitive::Sha256,
    Primitive::Hmac,
    Primitive::Hkdf,
    Primitive::Pbkdf2,
    Primitive::Seal,
    Primitive::Open,
    Primitive::OpenByTrial,
    Primitive::Privacy,
    Primitive::SealOnce,
    Primitive::OpenOnce,
    Primitive::SealBatch,
    Primitive::OpenBatch,
    Primitive::Agreement,
    Primitive::Ecdsa,
    Primitive::PointMul,
    Primitive::PointAdd,
    Primitive::RandomScalar,
    Primitive::SpakeReduce,
    Primitive::SpakeL,
    Primitive::SpakeBlind,
    Primitive::SpakeUnblind,
];

#[test]
fn the_backends_pass() {
    check::run(&RustCrypto).unwrap();
    check::run(&CompactRustCrypto).unwrap();
    check::run(&&RustCrypto).unwrap();
    check::run(&Suite::of(RustCrypto).with_curve(CompactRustCrypto)).unwrap();
}

/// What the traits compute by default passes, too, and does what the backend does.
#[test]
fn the_defaults_pass() {
    let backend = Suite::of(CompactRustCrypto).with_hashing(Plain).with_spake2p(Plain);
    check::run(&backend).unwrap();
    for len in [0, 1, 63, 64, 65, 200] {
        let key = vec![0xA5; len];
        let parts: [&[u8]; 2] = [&key, b"more"];
        assert_eq!(Plain.hmac(&key, &parts), RustCrypto.hmac(&key, &parts));
        let mut outs = [vec![0; len * 3], vec![0; len * 3]];
        let [ours, theirs] = &mut outs;
        Plain.hkdf(&key, b"salt", b"info", ours).unwrap();
        RustCrypto.hkdf(&key, b"salt", b"info", theirs).unwrap();
        assert_eq!(ours, theirs);
        Plain.pbkdf2(&key, b"salt", 7, ours).unwrap();
        RustCrypto.pbkdf2(&key, b"salt", 7, theirs).unwrap();
        assert_eq!(ours, theirs);
    }
    for (len, result) in [(8160, Ok(())), (8161, Err(CryptoError::TooLong))] {
        assert_eq!(Plain.hkdf(&[1], &[], &[], &mut vec![0; len]), result);
        assert_eq!(RustCrypto.hkdf(&[1], &[], &[], &mut vec![0; len]), result);
    }
    let mut wide = [0xFF; 40];
    for round in 0..200_u8 {
        assert_eq!(Plain.spake_reduce(&wide), RustCrypto.spake_reduce(&wide));
        wide = core::array::from_fn(|n| wide[n].wrapping_mul(167).wrapping_add(round ^ n as u8));
    }
}

/// Only what is required: all else is computed by default.
#[derive(Clone, Copy)]
struct Plain;

impl Hashing for Plain {
    type Sha256 = Sha256State;

    fn sha256(&self) -> Sha256State {
        RustCrypto.sha256()
    }
}

impl Spake2p for Plain {
    fn point_mul(
        &self,
        scalar: &Secret<32>,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        RustCrypto.point_mul(scalar, point)
    }

    fn point_add(
        &self,
        a: &[u8; PUBLIC_KEY_LEN],
        b: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        RustCrypto.point_add(a, b)
    }
}

#[test]
fn a_primitive_with_wrong_results_is_named() {
    check::run(&Lies(None)).unwrap();
    for primitive in PRIMITIVES {
        let failed = check::run(&Lies(Some((Fault::Wrong, primitive)))).unwrap_err();
        assert_eq!(failed.primitive, primitive, "{failed}");
    }
}

#[test]
fn a_primitive_that_fails_is_named_with_its_error() {
    for primitive in PRIMITIVES {
        // It has no way to fail.
        if primitive == Primitive::Sha256 {
            continue;
        }
        let failed = check::run(&Lies(Some((Fault::Fails, primitive)))).unwrap_err();
        assert_eq!(failed.primitive, primitive, "{failed}");
        assert_eq!(failed.cause, Some(CryptoError::Backend), "{failed}");
    }
}

/// Results of a batch are those of its jobs: no backend can make them up.
#[test]
fn a_primitive_that_refuses_nothing_is_named() {
    let refusing = [
        Primitive::Open,
        Primitive::OpenByTrial,
        Primitive::OpenOnce,
        Primitive::Agreement,
        Primitive::Ecdsa,
        Primitive::PointMul,
        Primitive::PointAdd,
        Primitive::SpakeReduce,
        Primitive::SpakeBlind,
        Primitive::SpakeUnblind,
    ];
    for primitive in refusing {
        let failed = check::run(&Lies(Some((Fault::Gullible, primitive)))).unwrap_err();
        assert_eq!(failed.primitive, primitive, "{failed}");
        assert_eq!(failed.cause, None, "{failed}");
    }
}

/// A backend takes each of its parts from the place that the suite names.
#[test]
fn a_suite_takes_each_part_from_its_place() {
    let lies = |primitive| Lies(Some((Fault::Wrong, primitive)));
    let honest = Suite::of(RustCrypto);
    let named = |result: Result<(), check::CheckError>| result.unwrap_err().primitive;
    let seal = honest.with_cipher(lies(Primitive::Seal));
    assert_eq!(named(check::run(&seal)), Primitive::Seal);
    let hmac = honest.with_hashing(lies(Primitive::Hmac));
    assert_eq!(named(check::run(&hmac)), Primitive::Hmac);
    let ecdsa = honest.with_curve(lies(Primitive::Ecdsa));
    assert_eq!(named(check::run(&ecdsa)), Primitive::Ecdsa);
    let spake = honest.with_spake2p(lies(Primitive::SpakeL));
    assert_eq!(named(check::run(&spake)), Primitive::SpakeL);
    assert_eq!(size_of_val(&honest), 0);
}

#[cfg(feature = "std")]
#[test]
fn a_prepared_verifier_is_checked() {
    let lies = Lies(Some((Fault::Wrong, Primitive::SpakePrepare)));
    assert_eq!(check::run(&lies).unwrap_err().primitive, Primitive::SpakePrepare);
}

#[test]
fn the_error_says_what_failed() {
    use core::error::Error;

    let failed = check::run(&Lies(Some((Fault::Fails, Primitive::Hmac)))).unwrap_err();
    let text = "the crypto backend gives a wrong answer for HMAC, case `short key`";
    assert_eq!(failed.to_string(), text);
    assert_eq!(failed.source().unwrap().to_string(), "crypto backend failed");
}
