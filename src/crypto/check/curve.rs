//! P-256: key agreement and ECDSA.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

use super::{CheckError, Primitive, vectors as v};
use crate::crypto::spake2p::G;
use crate::crypto::{
    CryptoError, Curve, KeyPair, PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, Secret, Signature,
};

/// Checks the P-256 part of a backend.
///
/// A backend that draws its key pairs from a generator of its own is checked with whatever it
/// draws; one that draws them from the caller's must compute a known one, too.
///
/// # Errors
/// [`CheckError`] for the first wrong answer.
pub fn curve<B: Curve + ?Sized>(backend: &B) -> Result<(), CheckError> {
    agreement(backend)?;
    refused_peers(backend)?;
    ecdsa(backend)?;
    refused_signatures(backend)
}

#[inline(never)]
fn agreement<B: Curve + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let own = draw(backend)?;
    let public = own.public();
    // The private key is the one that the generator yielded, if the public key says so.
    if public.as_bytes() == &v::ECDH_PUBLIC {
        let shared = own.agree(&PublicKey::checked(&v::ECDH_PEER));
        Primitive::Agreement.gives("a known secret", shared, &Secret::new(v::ECDH_SHARED))?;
    }
    // The peer's private key is 1: the secret is in our own public key.
    let own = draw(backend)?;
    let public = own.public();
    let shared = Primitive::Agreement.works("the generator", own.agree(&G))?;
    let [_, coordinates @ ..] = public.as_bytes();
    let right = coordinates.first_chunk() == Some(shared.as_bytes());
    Primitive::Agreement.holds("the generator", right)?;
    // Two pairs of this backend.
    let (one, other) = (draw(backend)?, draw(backend)?);
    let publics = (one.public(), other.public());
    let secret = Primitive::Agreement.works("two pairs", one.agree(&publics.1))?;
    Primitive::Agreement.gives("two pairs", other.agree(&publics.0), &secret)
}

#[inline(never)]
fn refused_peers<B: Curve + ?Sized>(backend: &B) -> Result<(), CheckError> {
    for (case, point) in OFF_CURVE {
        let refused = draw(backend)?.agree(&point());
        Primitive::Agreement.refuses(case, refused, CryptoError::InvalidPoint)?;
    }
    Ok(())
}

fn draw<B: Curve + ?Sized>(backend: &B) -> Result<B::Ephemeral, CheckError> {
    Primitive::Agreement.works("a key pair", backend.ephemeral(&mut Constant(&v::ECDH_PRIVATE)))
}

#[inline(never)]
fn ecdsa<B: Curve + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let verified = verify(backend, &v::ECDSA_KEY, &v::ECDSA_MESSAGE, &v::ECDSA_SIGNATURE);
    Primitive::Ecdsa.works("a signature", verified)
}

#[inline(never)]
fn refused_signatures<B: Curve + ?Sized>(backend: &B) -> Result<(), CheckError> {
    for (case, forge) in FORGERIES {
        let (mut message, mut signature) = (v::ECDSA_MESSAGE, v::ECDSA_SIGNATURE);
        forge(&mut message, &mut signature);
        let refused = verify(backend, &v::ECDSA_KEY, &message, &signature);
        Primitive::Ecdsa.refuses(case, refused, CryptoError::Unauthentic)?;
    }
    let refused = verify(backend, &v::ECDH_PUBLIC, &v::ECDSA_MESSAGE, &v::ECDSA_SIGNATURE);
    Primitive::Ecdsa.refuses("another key", refused, CryptoError::Unauthentic)?;
    for (case, point) in OFF_CURVE {
        let key = point();
        let refused = verify(backend, key.as_bytes(), &v::ECDSA_MESSAGE, &v::ECDSA_SIGNATURE);
        Primitive::Ecdsa.refuses(case, refused, CryptoError::InvalidPoint)?;
    }
    Ok(())
}

fn verify<B: Curve + ?Sized>(
    backend: &B,
    key: &[u8; PUBLIC_KEY_LEN],
    message: &Message,
    signature: &[u8; SIGNATURE_LEN],
) -> Result<(), CryptoError> {
    backend.verify(&PublicKey::checked(key), message, &Signature::new(*signature))
}

type Message = [u8; v::ECDSA_MESSAGE.len()];
type Forgery = fn(&mut Message, &mut [u8; SIGNATURE_LEN]);

/// What differs from the signature that was made.
const FORGERIES: [(&str, Forgery); 6] = [
    ("message altered", |message, _| message[0] ^= 1),
    ("r altered", |_, signature| signature[31] ^= 1),
    ("s altered", |_, signature| signature[63] ^= 1),
    ("r zero", |_, signature| signature.iter_mut().take(32).for_each(|byte| *byte = 0)),
    ("s zero", |_, signature| signature.iter_mut().skip(32).for_each(|byte| *byte = 0)),
    ("r and s too large", |_, signature| *signature = [0xFF; SIGNATURE_LEN]),
];

/// A case and the point that it offers.
type Offer = (&'static str, fn() -> PublicKey);

/// What is no point of the curve.
pub(super) const OFF_CURVE: [Offer; 3] = [
    ("a point beside the curve", || {
        let mut point = *G.as_bytes();
        point[PUBLIC_KEY_LEN - 1] ^= 1;
        PublicKey::checked(&point)
    }),
    ("coordinates that are zero", || filled(0)),
    ("coordinates above the prime", || filled(0xFF)),
];

fn filled(byte: u8) -> PublicKey {
    let mut point = [byte; PUBLIC_KEY_LEN];
    point[0] = 0x04;
    PublicKey::checked(&point)
}

/// A "generator" that yields the same 32 bytes with every call.
pub(super) struct Constant<'a>(pub(super) &'a [u8; 32]);

impl TryRng for Constant<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.first_chunk().copied().map_or(0, u32::from_be_bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.first_chunk().copied().map_or(0, u64::from_be_bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for (to, from) in bytes.iter_mut().zip(self.0.iter().cycle()) {
            *to = *from;
        }
        Ok(())
    }
}

impl TryCryptoRng for Constant<'_> {}
