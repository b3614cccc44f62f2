//! What one backend refuses, the other refuses for the same reason; what one computes, the other
//! does, too.

use matter_session::crypto::{
    CompactRustCrypto, CryptoError, Curve, Hashing, KeyPair, OperationalKey, PublicKey, RustCrypto,
    Secret, Signature, SignedBytes, SigningKey,
};
use proptest::prelude::*;

use matter_session_testing::net::Dice;

const MESSAGE: [u8; 32] = [0x3C; 32];
/// The order of the group, and the prime that coordinates are below.
const ORDER: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6,
    0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
];
const PRIME: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
];

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Dice::new(seed)).unwrap()
}

/// A signature over the message.
fn sign(key: &mut SigningKey) -> [u8; 64] {
    let digest = (&MESSAGE as &dyn SignedBytes).digest(RustCrypto.sha256()).unwrap();
    *key.sign_digest(&digest).unwrap().as_bytes()
}

/// The common verdict on a signature.
#[track_caller]
fn verify(key: &PublicKey, signature: [u8; 64]) -> Result<(), CryptoError> {
    let signature = Signature::new(signature);
    let verdicts = (
        RustCrypto.verify(key, &MESSAGE, &signature),
        CompactRustCrypto.verify(key, &MESSAGE, &signature),
    );
    assert_eq!(verdicts.0, verdicts.1, "{key:?} {:02x?}", signature.as_bytes());
    verdicts.0
}

/// The common secret with a peer.
#[track_caller]
fn agree(seed: u64, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
    let own = RustCrypto.ephemeral(&mut Dice::new(seed)).unwrap();
    let portable = CompactRustCrypto.ephemeral(&mut Dice::new(seed)).unwrap();
    assert_eq!(own.public(), portable.public());
    let secret = own.agree(peer);
    assert_eq!(secret, portable.agree(peer));
    secret
}

fn pair(first: [u8; 32], second: [u8; 32]) -> [u8; 64] {
    [first, second].concat().try_into().unwrap()
}

fn halves(octets: &[u8]) -> [[u8; 32]; 2] {
    [octets[..32].try_into().unwrap(), octets[32..].try_into().unwrap()]
}

fn small(value: u8) -> [u8; 32] {
    core::array::from_fn(|at| if at == 31 { value } else { 0 })
}

fn point(x: [u8; 32], y: [u8; 32]) -> PublicKey {
    PublicKey::new(&[&[4], &x[..], &y].concat()).unwrap()
}

/// `modulus - value`, for a value below it.
fn negated(modulus: [u8; 32], value: [u8; 32]) -> [u8; 32] {
    let (mut difference, mut borrow) = ([0; 32], false);
    for at in (0..32).rev() {
        let (octet, first) = modulus[at].overflowing_sub(value[at]);
        let (octet, second) = octet.overflowing_sub(u8::from(borrow));
        (difference[at], borrow) = (octet, first || second);
    }
    difference
}

#[test]
fn signatures_are_verified_by_both_in_either_form() {
    for seed in 0..20 {
        let mut own = key(seed);
        let signature = sign(&mut own);
        assert_eq!(verify(&own.public_key(), signature), Ok(()));
        // `n - s` is as good as `s`: the specification demands neither.
        let [r, s] = halves(&signature);
        assert_eq!(verify(&own.public_key(), pair(r, negated(ORDER, s))), Ok(()));
        let other = key(seed + 100).public_key();
        assert_eq!(verify(&other, signature), Err(CryptoError::Unauthentic));
    }
}

#[test]
fn halves_of_signatures_outside_the_order_are_refused() {
    let mut key = key(2);
    let [r, s] = halves(&sign(&mut key));
    let mut next = ORDER;
    next[31] += 1;
    for wrong in [[0; 32], ORDER, next, PRIME, [0xFF; 32]] {
        for signature in [pair(wrong, s), pair(r, wrong), pair(wrong, wrong)] {
            assert_eq!(verify(&key.public_key(), signature), Err(CryptoError::Unauthentic));
        }
    }
}

#[test]
fn keys_are_no_scalars_outside_the_order() {
    let mut last = ORDER;
    last[31] -= 1;
    for scalar in [small(1), last] {
        let scalar = Secret::new(scalar);
        assert_eq!(SigningKey::from_bytes(&scalar).unwrap().to_bytes(), scalar);
    }
    let mut next = ORDER;
    next[31] += 1;
    for wrong in [[0; 32], ORDER, next, PRIME, [0xFF; 32]].map(Secret::new) {
        assert_eq!(SigningKey::from_bytes(&wrong).err(), Some(CryptoError::InvalidScalar));
    }
}

#[test]
fn what_is_no_point_is_refused_wherever_it_is_used() {
    let mut key = key(3);
    let signature = sign(&mut key);
    let [x, y] = halves(&key.public_key().as_bytes()[1..]);
    let mut off = y;
    off[31] ^= 1;
    let wrong = [(x, off), (y, x), ([0; 32], [0; 32]), ([0xFF; 32], [0xFF; 32]), (PRIME, y)];
    for (x, y) in wrong {
        assert_eq!(verify(&point(x, y), signature), Err(CryptoError::InvalidPoint));
        assert_eq!(agree(4, &point(x, y)), Err(CryptoError::InvalidPoint));
    }
    // The opposite point is one, too: with the same secret, and another key for signatures.
    let opposite = point(x, negated(PRIME, y));
    assert_eq!(agree(4, &opposite), agree(4, &key.public_key()));
    assert_eq!(verify(&opposite, signature), Err(CryptoError::Unauthentic));
}

/// What a peer may make of the two halves of a signature or of a point.
#[derive(Clone, Copy, Debug)]
enum Change {
    Flip(usize),
    Replace(usize, [u8; 32]),
    Negate(usize, [u8; 32]),
    Swap,
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let modulus = || prop_oneof![Just(ORDER), Just(PRIME)];
        let small = any::<u8>().prop_map(small);
        let half = prop_oneof![modulus(), small, any::<[u8; 32]>()];
        prop_oneof![
            (0..512_usize).prop_map(Self::Flip),
            (0..2_usize, half).prop_map(|(at, half)| Self::Replace(at, half)),
            (0..2_usize, modulus()).prop_map(|(at, modulus)| Self::Negate(at, modulus)),
            Just(Self::Swap),
        ]
    }

    fn apply(self, halves: &mut [[u8; 32]; 2]) {
        match self {
            Self::Flip(bit) => halves[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8),
            Self::Replace(at, half) => halves[at] = half,
            Self::Negate(at, modulus) => halves[at] = negated(modulus, halves[at]),
            Self::Swap => halves.reverse(),
        }
    }
}

proptest! {
    #[test]
    fn verdicts_on_altered_signatures_and_keys_agree(
        seed in 0..1000_u64,
        of_signature in proptest::collection::vec(Change::any(), 0..3),
        of_key in proptest::collection::vec(Change::any(), 0..2),
    ) {
        let mut key = key(seed);
        let mut signature = halves(&sign(&mut key));
        let mut public = halves(&key.public_key().as_bytes()[1..]);
        of_signature.iter().for_each(|change| change.apply(&mut signature));
        of_key.iter().for_each(|change| change.apply(&mut public));
        let public = point(public[0], public[1]);
        let verdict = verify(&public, pair(signature[0], signature[1]));
        // Both ask first whether there is a point at all.
        let no_point = verdict == Err(CryptoError::InvalidPoint);
        prop_assert_eq!(agree(seed + 1, &public).is_err(), no_point);
        if of_signature.is_empty() && of_key.is_empty() {
            prop_assert_eq!(verdict, Ok(()));
        }
    }
}
