//! Calls with secrets take as many instructions, whichever secrets these are. Two branches of the same
//! length would not show here: `.ci/constant-time` looks at the jumps, but of another processor.

use firmware::tables::Suite;
use matter_session::crypto::{
    Curve, KeyPair, OperationalKey, PublicKey, Secret, SigningKey, Spake2p,
};

use crate::meter::{INSTRUCTIONS_PER_TICK, Meter};
use crate::script::Script;
use crate::vectors as v;

/// Scalars with few bits, with many, with long runs of equal ones, and without a pattern.
const SCALARS: [[u8; 32]; 6] =
    [few_bits(0, 0x80), few_bits(31, 1), [0x7F; 32], [0xAA; 32], v::SPAKE_X, v::SPAKE_Y];

const fn few_bits(at: usize, octet: u8) -> [u8; 32] {
    let mut scalar = [0; 32];
    scalar[at] = octet;
    scalar
}

/// A key agreement, by the private key.
pub fn agreement(meter: &mut Meter) -> Option<()> {
    let peer = PublicKey::new(&v::SPAKE_SHARE_X).ok()?;
    even(meter, |meter, scalar| {
        let parts: [&[u8]; 1] = [scalar];
        let own = meter.run(|| Suite.ephemeral(&mut Script::new(&parts))).ok()?;
        meter.run(|| own.agree(&peer)).ok().map(|_| ())
    })
}

/// SPAKE2+ of the verifier, by what comes from the passcode and by its random scalar.
pub fn spake(meter: &mut Meter) -> Option<()> {
    let l = Suite.spake_l(&Secret::new(v::SPAKE_W1)).ok()?;
    let share = PublicKey::new(&v::SPAKE_SHARE_X).ok()?;
    even(meter, |meter, scalar| {
        let [mut w0, y] = [*scalar; 2];
        w0.reverse();
        let [w0, y] = [w0, y].map(Secret::new);
        meter.run(|| Suite.spake_verifier(&y, &w0, &l, &share)).ok().map(|_| ())
    })
}

/// A signature, by the private key.
pub fn signature(meter: &mut Meter) -> Option<()> {
    even(meter, |meter, scalar| {
        let mut key = SigningKey::from_bytes(&Secret::new(*scalar)).ok()?;
        meter.run(|| key.sign_digest(&[0x5A; 32])).ok().map(|_| ())
    })
}

fn even(
    meter: &mut Meter,
    mut call: impl FnMut(&mut Meter, &[u8; 32]) -> Option<()>,
) -> Option<()> {
    let (mut least, mut most) = (u64::MAX, 0);
    for scalar in &SCALARS {
        *meter = Meter::new();
        call(meter, scalar)?;
        least = least.min(meter.instructions);
        most = most.max(meter.instructions);
    }
    // Each of two calls may be measured a tick too long.
    (most - least <= 2 * INSTRUCTIONS_PER_TICK).then_some(())
}
