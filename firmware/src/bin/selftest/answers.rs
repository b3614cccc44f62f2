//! Known answers: each step compares with published ones, or with what matter.js computed.

use firmware::tables::Suite;
use matter_session::crypto::{
    Curve, HASH_LEN, Hashing, KeyPair, PublicKey, Secret, SignedBytes, Spake2p, check,
};
use matter_session::fabric::{FabricBuf, FabricCredentials, Ipk};
use matter_session::ids::FabricIndex;

use crate::meter::Meter;
use crate::vectors as v;

/// What measuring itself takes.
pub fn nothing(meter: &mut Meter) -> Option<()> {
    meter.run(|| core::hint::black_box(Some(())))
}

/// Every primitive of the backend, on this processor.
pub fn backend(meter: &mut Meter) -> Option<()> {
    meter.run(|| check::run(&Suite)).ok()
}

/// The keys of a session.
pub fn hkdf(meter: &mut Meter) -> Option<()> {
    let mut keys = [0; 48];
    let info = b"SessionKeys";
    meter.run(|| Suite.hkdf(&v::KEYS_SECRET, &v::KEYS_SALT, info, &mut keys)).ok()?;
    (keys == v::KEYS_OKM).then_some(())
}

/// SPAKE2+ of the verifier, whose secrets the prover must share.
pub fn spake(meter: &mut Meter) -> Option<()> {
    let [w0, w1, x, y] = [v::SPAKE_W0, v::SPAKE_W1, v::SPAKE_X, v::SPAKE_Y].map(Secret::new);
    let l = Suite.spake_l(&w1).ok()?;
    let share = Suite.spake_prover_share(&x, &w0).ok()?;
    let (answer, verifier) = meter.run(|| Suite.spake_verifier(&y, &w0, &l, &share)).ok()?;
    let prover = Suite.spake_prover_finish(&x, &w0, &w1, &answer).ok()?;
    let points = [(l, v::SPAKE_L), (share, v::SPAKE_SHARE_X), (answer, v::SPAKE_SHARE_Y)];
    let right = points.iter().all(|(point, expected)| point.as_bytes() == expected);
    (right && prover.z == verifier.z && prover.v == verifier.v).then_some(())
}

/// A chain of three certificates; with one octet changed it must be refused.
pub fn certificates(meter: &mut Meter) -> Option<()> {
    let mut damaged = v::CASE_RESPONDER_NOC;
    // In the signature, which comes last.
    let at = damaged.len() - 8;
    *damaged.get_mut(at)? ^= 1;
    let node = responder_fabric(meter, &v::CASE_RESPONDER_NOC)?.view().node_id().get();
    let refused = responder_fabric(&mut Meter::new(), &damaged).is_none();
    (refused && node == v::CASE_RESPONDER_NODE).then_some(())
}

fn responder_fabric(meter: &mut Meter, noc: &[u8]) -> Option<FabricBuf> {
    let ipks = [Ipk::EpochKey(Secret::new(v::CASE_IPK))];
    let (root, icac) = (&v::CASE_ROOT[..], Some(&v::CASE_RESPONDER_ICAC[..]));
    let credentials = FabricCredentials { root, icac, noc, ipks: &ipks };
    let index = FabricIndex::new(1)?;
    meter.run(|| FabricBuf::new(&Suite, index, &credentials)).ok()
}

/// What is signed here.
const MESSAGE: [u8; 32] = [0x5A; 32];

fn digest() -> Option<[u8; HASH_LEN]> {
    (&MESSAGE as &dyn SignedBytes).digest(Suite.sha256()).ok()
}

/// One signature. It must be refused over other bytes.
pub fn verification(meter: &mut Meter) -> Option<()> {
    use matter_session::crypto::{OperationalKey, SigningKey};

    let mut key = SigningKey::from_bytes(&Secret::new(v::CASE_RESPONDER_KEY)).ok()?;
    let signature = key.sign_digest(&digest()?).ok()?;
    let public = key.public_key();
    let other = Suite.verify(&public, &[0xA5; 32], &signature);
    let verified = meter.run(|| Suite.verify(&public, &MESSAGE, &signature));
    (verified.is_ok() && other.is_err()).then_some(())
}

/// What no CASE responder can do without: a key pair, a key agreement, a signature, and the
/// verification of two certificates and one signature.
pub fn case_operations(meter: &mut Meter) -> Option<()> {
    use matter_session::crypto::{OperationalKey, SigningKey};

    use crate::script::Script;

    let digest = digest()?;
    let mut key = SigningKey::from_bytes(&Secret::new(v::CASE_RESPONDER_KEY)).ok()?;
    let (public, peer) = (key.public_key(), PublicKey::new(&v::SPAKE_SHARE_X).ok()?);
    let mut rng = Script::new(&[&v::CASE_RESPONDER_EPHEMERAL]);
    let own = meter.run(|| Suite.ephemeral(&mut rng)).ok()?;
    meter.run(|| own.agree(&peer)).ok()?;
    let signature = meter.run(|| key.sign_digest(&digest)).ok()?;
    (0..3).try_for_each(|_| meter.run(|| Suite.verify(&public, &MESSAGE, &signature)).ok())
}
