//! The same inputs for `CortexM4Crypto` and for `CompactRustCrypto`, which computes with `p256`.

use matter_session::crypto::spake2p::{G, M, N};
use matter_session::crypto::{
    CompactRustCrypto, CortexM4Crypto, CryptoError, Curve, Hashing, OperationalKey, PublicKey,
    Secret, Sha256, Signature, SignedBytes, SigningKey, Spake2p,
};

use crate::order::{ORDER, near, negate};

const ROUNDS: u8 = 12;

/// Bytes without a pattern, the same in each run.
fn bytes(purpose: u8, n: u8) -> [u8; 32] {
    let mut hash = CompactRustCrypto.sha256();
    hash.update(&[purpose, n]);
    hash.finish()
}

/// Edges of the group's order, and scalars without a pattern.
fn every_scalar(purpose: u8) -> impl Iterator<Item = [u8; 32]> {
    let edges = (-3..=3).flat_map(|by| [near(&[0; 32], by), near(&ORDER, by)]);
    edges.chain([[0xFF; 32], [0x80; 32]]).chain((0..ROUNDS).map(move |n| bytes(purpose, n)))
}

fn same<const N: usize>(
    one: Result<Secret<N>, CryptoError>,
    other: Result<Secret<N>, CryptoError>,
) -> Option<()> {
    (one == other).then_some(())
}

/// Products with the base and with other points, key pairs and agreements.
pub fn scalars() -> Option<usize> {
    let mut cases = 0;
    let own = CompactRustCrypto.spake_l(&Secret::new(bytes(1, 0))).ok()?;
    for scalar in every_scalar(2) {
        let scalar = Secret::new(scalar);
        let [one, other] = [CortexM4Crypto.spake_l(&scalar), CompactRustCrypto.spake_l(&scalar)];
        if one != other {
            return None;
        }
        for point in [&G, &M, &own] {
            let product = CortexM4Crypto.point_mul(&scalar, point.as_bytes());
            same(product, CompactRustCrypto.point_mul(&scalar, point.as_bytes()))?;
            cases += 1;
        }
        cases += 1;
    }
    for bit in 0..=u8::MAX {
        let mut beside = *own.as_bytes();
        beside[usize::from(1 + bit / 4)] ^= 1 << (bit % 8);
        let scalar = Secret::new(bytes(3, 0));
        let product = CortexM4Crypto.point_mul(&scalar, &beside);
        same(product, CompactRustCrypto.point_mul(&scalar, &beside))?;
        cases += 1;
    }
    Some(cases)
}

/// What PASE computes.
pub fn sums() -> Option<usize> {
    for n in 0..ROUNDS {
        let [w0, w1, x, y] = [4, 5, 6, 7].map(|purpose| Secret::new(bytes(purpose, n)));
        let l = CortexM4Crypto.spake_l(&w1).ok()?;
        let share = CortexM4Crypto.spake_prover_share(&x, &w0).ok()?;
        if CompactRustCrypto.spake_prover_share(&x, &w0) != Ok(share) {
            return None;
        }
        let (answer, verifier) = CortexM4Crypto.spake_verifier(&y, &w0, &l, &share).ok()?;
        let prover = CompactRustCrypto.spake_prover_finish(&x, &w0, &w1, &answer).ok()?;
        if prover.z != verifier.z || prover.v != verifier.v {
            return None;
        }
    }
    Some(ROUNDS.into())
}

/// Verdicts about signatures that are right, altered, and at the edges, and about keys.
pub fn signatures() -> Option<usize> {
    let mut cases = 0;
    let mut check = |key: &PublicKey, message: &[u8; 32], signature: [u8; 64]| {
        let signature = Signature::new(signature);
        let verdict = CortexM4Crypto.verify(key, message, &signature);
        cases += 1;
        (verdict == CompactRustCrypto.verify(key, message, &signature)).then_some(verdict.is_ok())
    };
    for n in 0..ROUNDS {
        let mut key = SigningKey::from_bytes(&Secret::new(bytes(8, n))).ok()?;
        let message = bytes(9, n);
        let signature = *key.sign_digest(&digest(&message)?).ok()?.as_bytes();
        let public = key.public_key();
        check(&public, &message, signature)?.then_some(())?;
        let (r, s) = (signature.first_chunk::<32>()?, signature.last_chunk::<32>()?);
        check(&public, &message, join(r, &negate(s)))?.then_some(())?;
        let bit = usize::from(bytes(10, n)[0]);
        let mut altered = signature;
        altered[bit / 4] ^= 1 << (bit % 8);
        check(&public, &message, altered)?;
        check(&N, &message, signature)?;
    }
    let mut key = SigningKey::from_bytes(&Secret::new(bytes(8, 0))).ok()?;
    let (public, message) = (key.public_key(), bytes(9, 0));
    let signature = *key.sign_digest(&digest(&message)?).ok()?.as_bytes();
    let (r, s) = (signature.first_chunk::<32>()?, signature.last_chunk::<32>()?);
    for edge in every_scalar(11) {
        check(&public, &message, join(r, &edge))?;
        check(&public, &message, join(&edge, s))?;
        check(&public, &message, join(&edge, &edge))?;
    }
    for bit in 0..=u8::MAX {
        let mut beside = *public.as_bytes();
        beside[usize::from(1 + bit / 4)] ^= 1 << (bit % 8);
        check(&PublicKey::new(&beside).ok()?, &message, signature)?;
    }
    Some(cases)
}

fn digest(message: &[u8; 32]) -> Option<[u8; 32]> {
    (message as &dyn SignedBytes).digest(CompactRustCrypto.sha256()).ok()
}

fn join(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s);
    signature
}
