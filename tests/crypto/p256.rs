//! P-256 against the vectors of Wycheproof, and the two ways to compute it beside each other.

use matter_session::bytes::{Overflow, Sink};
use matter_session::crypto::spake2p::{G, M, N};
use matter_session::crypto::{
    CompactRustCrypto, CryptoError, Curve, Hashing, KeyPair, OperationalKey, PublicKey, RustCrypto,
    Secret, Signature, SignedBytes, SigningKey, Spake2p,
};
use matter_session_testing::rng::Dice;
use matter_session_testing::vectors::wycheproof_p256;
use matter_session_testing::{BACKEND, Script, hex, list};
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::{FieldBytes, ProjectivePoint, Scalar};
use serde_json::Value;

/// The order of the group.
const ORDER: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6,
    0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
];

fn is_valid(vector: &Value) -> bool {
    match vector["result"].as_str().unwrap() {
        "valid" => true,
        "invalid" => false,
        // A compressed point, which Matter does not use.
        "acceptable" => {
            assert_eq!(hex(&vector["public"])[0], 3);
            false
        }
        other => panic!("{other}"),
    }
}

#[test]
fn wycheproof_ecdsa() {
    let mut verified = 0;
    for v in list(&wycheproof_p256()["ecdsa"], 262) {
        let key = PublicKey::new(&hex(&v["key"])).unwrap();
        let verdict = <[u8; 64]>::try_from(hex(&v["signature"])).is_ok_and(|signature| {
            verified += 1;
            let message = hex(&v["message"]);
            BACKEND.verify(&key, &message.as_slice(), &Signature::new(signature)).is_ok()
        });
        assert_eq!(verdict, is_valid(v), "{v}");
    }
    assert_eq!(verified, 241);
}

#[test]
fn wycheproof_ecdh() {
    let mut agreed = 0;
    for v in list(&wycheproof_p256()["ecdh"], 355) {
        let private = hex(&v["private"]);
        // Some begin with zeros, or lack them.
        let mut padded = [[0; 32].as_slice(), &private].concat();
        padded.drain(..private.len());
        let own = BACKEND.ephemeral(&mut Script::new(&[&padded])).unwrap();
        let shared = PublicKey::new(&hex(&v["public"])).and_then(|peer| own.agree(&peer));
        match shared {
            Ok(shared) => {
                assert!(is_valid(v), "{v}");
                assert_eq!(shared.as_bytes()[..], hex(&v["shared"]), "{v}");
                agreed += 1;
            }
            Err(_) => assert!(!is_valid(v), "{v}"),
        }
    }
    assert_eq!(agreed, 330);
}

fn scalar(bytes: [u8; 32]) -> Secret<32> {
    Secret::new(bytes)
}

fn small(value: u8) -> [u8; 32] {
    core::array::from_fn(|at| if at == 31 { value } else { 0 })
}

/// `n - value`, for a small value.
fn below_order(value: u8) -> [u8; 32] {
    let mut bytes = ORDER;
    bytes[31] -= value;
    bytes
}

#[test]
fn products_of_points_are_those_of_the_portable_backend() {
    let mut rng = Dice::new(7);
    let drawn: Vec<_> =
        (0..40).map(|_| *RustCrypto.random_scalar(&mut rng).unwrap().as_bytes()).collect();
    let ends = [1, 2, 3, 15, 16, 17].map(small);
    let top = [1, 2, 3, 16].map(below_order);
    for by in ends.into_iter().chain(top).chain(drawn) {
        let other = RustCrypto.spake_l(&scalar(by)).unwrap();
        assert_eq!(CompactRustCrypto.spake_l(&scalar(by)).unwrap(), other, "{by:02x?}");
        for point in [&G, &M, &N, &other] {
            let product = RustCrypto.point_mul(&scalar(by), point.as_bytes()).unwrap();
            let portable = CompactRustCrypto.point_mul(&scalar(by), point.as_bytes()).unwrap();
            assert!(product == portable, "{by:02x?} * {point:?}");
        }
    }
}

/// `2^bit + by`, or the order less that; none if it is no scalar.
fn near_power(bit: usize, by: i16, negated: bool) -> Option<[u8; 32]> {
    let mut number = [0; 32];
    number[31 - bit / 8] = 1 << (bit % 8);
    let mut carry = by;
    for byte in number.iter_mut().rev() {
        let next = i16::from(*byte) + carry;
        carry = next.div_euclid(256);
        *byte = u8::try_from(next.rem_euclid(256)).unwrap();
    }
    if number == [0; 32] || number >= ORDER {
        return None;
    }
    if negated {
        let mut borrow = 0;
        for (byte, order) in number.iter_mut().zip(ORDER).rev() {
            let next = i16::from(order) - i16::from(*byte) - borrow;
            borrow = i16::from(next < 0);
            *byte = u8::try_from(next.rem_euclid(256)).unwrap();
        }
    }
    Some(number)
}

/// The engine reads scalars in windows of some bits: each of their borders is met.
#[test]
fn products_near_each_power_of_two_are_those_of_the_portable_backend() {
    let every = if cfg!(debug_assertions) { 5 } else { 1 };
    for bit in (0..256).step_by(every) {
        for (by, negated) in (-2..=2).flat_map(|by| [(by, false), (by, true)]) {
            let Some(by) = near_power(bit, by, negated) else { continue };
            let ours = RustCrypto.point_mul(&scalar(by), M.as_bytes());
            let portable = CompactRustCrypto.point_mul(&scalar(by), M.as_bytes());
            assert!(ours == portable, "{by:02x?}");
            assert_eq!(RustCrypto.spake_l(&scalar(by)), CompactRustCrypto.spake_l(&scalar(by)));
        }
    }
}

#[test]
fn scalars_and_points_that_are_none_are_refused_by_both_backends() {
    let mut next = ORDER;
    next[31] += 1;
    for wrong in [[0; 32], ORDER, next, [0xFF; 32]].map(scalar) {
        for backend in [&RustCrypto as &dyn Spake2p, &CompactRustCrypto] {
            assert_eq!(backend.spake_l(&wrong).err(), Some(CryptoError::InvalidScalar));
            let product = backend.point_mul(&wrong, G.as_bytes());
            assert_eq!(product.err(), Some(CryptoError::InvalidScalar));
        }
    }
    let mut off = *G.as_bytes();
    off[64] ^= 1;
    let mut large = [0xFF; 65];
    large[0] = 4;
    let mut compressed = *G.as_bytes();
    compressed[0] = 3;
    let mut zero = [0; 65];
    zero[0] = 4;
    for wrong in [off, large, compressed, zero, [0; 65]] {
        for backend in [&RustCrypto as &dyn Spake2p, &CompactRustCrypto] {
            let product = backend.point_mul(&scalar(small(5)), &wrong);
            assert_eq!(product.err(), Some(CryptoError::InvalidPoint));
        }
    }
}

/// A message of two parts.
struct Parts<'a>(&'a [u8], &'a [u8]);

impl SignedBytes for Parts<'_> {
    fn write(&self, sink: &mut dyn Sink) -> Result<(), Overflow> {
        sink.put(self.0)?;
        sink.put(self.1)
    }
}

/// There is nothing to be signed.
struct Nothing;

impl SignedBytes for Nothing {
    fn write(&self, _: &mut dyn Sink) -> Result<(), Overflow> {
        Err(Overflow)
    }
}

#[test]
fn signed_bytes_of_any_length_and_in_any_parts_are_verified() {
    let mut key = SigningKey::from_bytes(&scalar([0x42; 32])).unwrap();
    let public = key.public_key();
    for len in [0, 1, 55, 56, 64, 1000, 2047, 2048, 2049, 10_000] {
        let message = vec![0xA5; len];
        let digest = (&message.as_slice() as &dyn SignedBytes).digest(BACKEND.sha256()).unwrap();
        let signature = key.sign_digest(&digest).unwrap();
        for cut in [0, len / 3, len] {
            let (first, second) = message.split_at(cut);
            assert_eq!(BACKEND.verify(&public, &Parts(first, second), &signature), Ok(()));
        }
        let longer = Parts(&message, b".");
        let refused = BACKEND.verify(&public, &longer, &signature);
        assert_eq!(refused, Err(CryptoError::Unauthentic), "{len}");
    }
}

#[test]
fn what_cannot_be_written_does_not_verify() {
    let mut key = SigningKey::from_bytes(&scalar([0x42; 32])).unwrap();
    let digest = (b"" as &dyn SignedBytes).digest(BACKEND.sha256()).unwrap();
    let signature = key.sign_digest(&digest).unwrap();
    assert_eq!(BACKEND.verify(&key.public_key(), b"", &signature), Ok(()));
    let refused = BACKEND.verify(&key.public_key(), &Nothing, &signature);
    assert_eq!(refused, Err(CryptoError::Unauthentic));
}

/// Signatures whose two summands of the verification are the same point, or opposite ones.
#[test]
fn signatures_whose_sum_is_a_doubling_or_nothing_have_one_verdict() {
    let message = b"any";
    let digest = (message as &dyn SignedBytes).digest(BACKEND.sha256()).unwrap();
    let z = Scalar::reduce(&FieldBytes::from(digest));
    for t in 1..40_u64 {
        let t = Scalar::from(t);
        // u1 = t, and the key is such that u2 * key = t * G: the sum is 2t * G.
        let sum = (ProjectivePoint::GENERATOR * (t + t)).to_affine();
        let r = Scalar::reduce(&sum.x());
        let s = z * t.invert().unwrap();
        let key = ProjectivePoint::GENERATOR * (z * r.invert().unwrap());
        for (key, verdict) in [(key, Ok(())), (-key, Err(CryptoError::Unauthentic))] {
            let key = key.to_affine();
            let octets = [&[4][..], &key.x(), &key.y()].concat();
            let key = PublicKey::new(&octets).unwrap();
            let halves = [r.to_bytes(), s.to_bytes()].concat();
            let signature = Signature::new(halves.try_into().unwrap());
            assert_eq!(RustCrypto.verify(&key, message, &signature), verdict);
            assert_eq!(CompactRustCrypto.verify(&key, message, &signature), verdict);
        }
    }
}
