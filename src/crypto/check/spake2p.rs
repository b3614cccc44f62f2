//! Points, scalars and the steps of SPAKE2+.

use super::curve::{Constant, OFF_CURVE};
use super::{CheckError, Primitive, vectors as v};
use crate::crypto::spake2p::{G, N};
use crate::crypto::{Blind, CryptoError, PublicKey, Secret, Spake2p};
#[cfg(feature = "std")]
use crate::crypto::{PUBLIC_KEY_LEN, SpakeSecrets};

/// Checks the SPAKE2+ part of a backend.
///
/// # Errors
/// [`CheckError`] for the first wrong answer.
pub fn spake2p<B: Spake2p + ?Sized>(backend: &B) -> Result<(), CheckError> {
    points(backend)?;
    scalars(backend)?;
    shares(backend)?;
    secrets(backend)?;
    #[cfg(feature = "std")]
    prepared(backend)?;
    Ok(())
}

#[inline(never)]
fn points<B: Spake2p + ?Sized>(backend: &B) -> Result<(), CheckError> {
    use CryptoError::{InvalidPoint, InvalidScalar};
    let (mul, add) = (Primitive::PointMul, Primitive::PointAdd);
    let (g, two_g) = (G.as_bytes(), Secret::new(v::TWO_G));
    mul.gives("twice the generator", backend.point_mul(&small(2), g), &two_g)?;
    let product = backend.point_mul(&Secret::new(v::ECDH_PRIVATE), &v::ECDH_PEER);
    let product = mul.works("a known product", product)?;
    let [_, coordinates @ ..] = product.as_bytes();
    mul.holds("a known product", coordinates.first_chunk() == Some(&v::ECDH_SHARED))?;
    mul.refuses("zero", backend.point_mul(&small(0), g), InvalidScalar)?;
    mul.refuses("the order", backend.point_mul(&Secret::new(v::ORDER), g), InvalidScalar)?;

    add.gives("twice the generator", backend.point_add(g, g), &two_g)?;
    let sum = backend.point_mul(&small(3), g);
    add.gives("two points", backend.point_add(g, &v::TWO_G), &mul.works("thrice", sum)?)?;
    let mut last = v::ORDER;
    last[31] ^= 1;
    let negative = mul.works("the order less one", backend.point_mul(&Secret::new(last), g))?;
    add.refuses("opposite points", backend.point_add(g, negative.as_bytes()), InvalidPoint)?;
    for (case, point) in OFF_CURVE {
        let point = point();
        mul.refuses(case, backend.point_mul(&small(2), point.as_bytes()), InvalidPoint)?;
        add.refuses(case, backend.point_add(g, point.as_bytes()), InvalidPoint)?;
        add.refuses(case, backend.point_add(point.as_bytes(), g), InvalidPoint)?;
    }
    Ok(())
}

#[inline(never)]
fn scalars<B: Spake2p + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let drawn = backend.random_scalar(&mut Constant(&v::ECDH_PRIVATE));
    let drawn = Primitive::RandomScalar.works("a draw", drawn)?;
    let point = backend.point_mul(&drawn, G.as_bytes());
    Primitive::RandomScalar.works("in range", point)?;

    let (w0s, w1s) = v::SPAKE_WS.split_at(40);
    for (wide, reduced) in [(w0s, &v::SPAKE_W0), (w1s, &v::SPAKE_W1)] {
        let answer = reduce(backend, wide);
        Primitive::SpakeReduce.gives("of a passcode", answer, &Secret::from(reduced))?;
    }
    let mut wide = [0; 40];
    let refused = reduce(backend, &wide);
    Primitive::SpakeReduce.refuses("zero", refused, CryptoError::InvalidScalar)?;
    if let Some(low) = wide.last_chunk_mut() {
        *low = v::ORDER;
    }
    let refused = reduce(backend, &wide);
    Primitive::SpakeReduce.refuses("the order", refused, CryptoError::InvalidScalar)
}

fn reduce<B: Spake2p + ?Sized>(backend: &B, wide: &[u8]) -> Result<Secret<32>, CryptoError> {
    backend.spake_reduce(wide.first_chunk().ok_or(CryptoError::TooLong)?)
}

#[inline(never)]
fn shares<B: Spake2p + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let [w0, w1, x, y] = [v::SPAKE_W0, v::SPAKE_W1, v::SPAKE_X, v::SPAKE_Y].map(Secret::new);
    Primitive::SpakeL.gives("L", backend.spake_l(&w1), &PublicKey::checked(&v::SPAKE_L))?;
    let primitive = Primitive::SpakeBlind;
    for (case, own, blind, share) in
        [("X", x, Blind::M, v::SPAKE_SHARE_X), ("Y", y, Blind::N, v::SPAKE_SHARE_Y)]
    {
        let plain = Primitive::SpakeL.works("a share", backend.spake_l(&own))?;
        let answer = backend.spake_blind(&w0, blind, plain.as_bytes());
        primitive.gives(case, answer, &Secret::new(share))?;
    }
    for (case, point) in OFF_CURVE {
        let refused = backend.spake_blind(&w0, Blind::M, point().as_bytes());
        primitive.refuses(case, refused, CryptoError::InvalidPoint)?;
    }
    Ok(())
}

#[inline(never)]
fn secrets<B: Spake2p + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let primitive = Primitive::SpakeUnblind;
    let [w0, w1, x, y] = [v::SPAKE_W0, v::SPAKE_W1, v::SPAKE_X, v::SPAKE_Y].map(Secret::new);
    let [x_share, y_share] = [v::SPAKE_SHARE_X, v::SPAKE_SHARE_Y];
    for (case, blind, share, own) in [("X", Blind::M, &x_share, &y), ("Y", Blind::N, &y_share, &x)]
    {
        let unblinded = backend.spake_unblind(&w0, blind, &PublicKey::checked(share));
        let unblinded = primitive.works(case, unblinded)?;
        let z = backend.point_mul(own, unblinded.as_bytes());
        primitive.gives(case, z, &Secret::new(v::SPAKE_Z))?;
        if blind == Blind::N {
            let v = backend.point_mul(&w1, unblinded.as_bytes());
            primitive.gives("V", v, &Secret::new(v::SPAKE_V))?;
        }
    }
    for (case, point) in OFF_CURVE {
        let refused = backend.spake_unblind(&w0, Blind::N, &point());
        primitive.refuses(case, refused, CryptoError::InvalidPoint)?;
    }
    // Without its blinding this share is the identity.
    let blinding = primitive.works("a share", backend.point_mul(&w0, N.as_bytes()))?;
    let blinding = PublicKey::checked(blinding.as_bytes());
    let refused = backend.spake_unblind(&w0, Blind::N, &blinding);
    primitive.refuses("the identity", refused, CryptoError::InvalidPoint)
}

#[cfg(feature = "std")]
fn prepared<B: Spake2p + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let primitive = Primitive::SpakePrepare;
    let [w0, y] = [v::SPAKE_W0, v::SPAKE_Y].map(Secret::new);
    let prepared = backend.spake_prepare(&w0, &PublicKey::checked(&v::SPAKE_L));
    let Some(prepared) = primitive.works("a verifier", prepared)? else { return Ok(()) };
    let answer = prepared.respond(&y, &PublicKey::checked(&v::SPAKE_SHARE_X));
    let (own, secrets) = primitive.works("a handshake", answer)?;
    primitive.holds("Y", own.as_bytes() == &v::SPAKE_SHARE_Y)?;
    primitive.holds("secrets", pair(secrets) == known())?;
    for (case, point) in OFF_CURVE {
        let refused = prepared.respond(&y, &point());
        primitive.refuses(case, refused, CryptoError::InvalidPoint)?;
    }
    Ok(())
}

/// `Z` and `V`, to be compared.
#[cfg(feature = "std")]
type Pair = (Secret<PUBLIC_KEY_LEN>, Secret<PUBLIC_KEY_LEN>);

#[cfg(feature = "std")]
fn pair(secrets: SpakeSecrets) -> Pair {
    (secrets.z, secrets.v)
}

#[cfg(feature = "std")]
fn known() -> Pair {
    (Secret::new(v::SPAKE_Z), Secret::new(v::SPAKE_V))
}

fn small(value: u8) -> Secret<32> {
    let mut scalar = Secret::zero();
    if let Some(low) = scalar.as_mut_bytes().last_mut() {
        *low = value;
    }
    scalar
}
