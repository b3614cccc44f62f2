//! Wycheproof's vectors of P-256 with SHA-256.

use matter_session::crypto::{CortexM4Crypto, Curve, KeyPair, PublicKey, Secret, Signature};

use crate::script::Script;

/// A signature, and whether it must verify.
struct Verification {
    key: [u8; 65],
    message: &'static [u8],
    signature: [u8; 64],
    is_valid: bool,
}

/// A key agreement: the secret, or none if the peer's key must be refused.
struct Agreement {
    private: [u8; 32],
    peer: [u8; 65],
    shared: Option<[u8; 32]>,
}

include!(concat!(env!("OUT_DIR"), "/wycheproof.rs"));

pub fn signatures() -> Option<usize> {
    for case in VERIFICATIONS {
        let key = PublicKey::new(&case.key).ok()?;
        let verdict = CortexM4Crypto.verify(&key, &case.message, &Signature::new(case.signature));
        if verdict.is_ok() != case.is_valid {
            return None;
        }
    }
    Some(VERIFICATIONS.len())
}

pub fn agreements() -> Option<usize> {
    for case in AGREEMENTS {
        let (parts, peer) = ([&case.private[..]], PublicKey::new(&case.peer).ok()?);
        let own = CortexM4Crypto.ephemeral(&mut Script::new(&parts)).ok()?;
        if own.agree(&peer).ok() != case.shared.map(Secret::new) {
            return None;
        }
    }
    Some(AGREEMENTS.len())
}
