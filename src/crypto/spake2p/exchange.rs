//! The two sides of an exchange, a multiplication at a time. Secrets are wiped while they wait.

use rand_core::CryptoRng;

use super::{Blind, SpakeSecrets};
use crate::crypto::{Crypto, CryptoError, PUBLIC_KEY_LEN, PublicKey, Secret, Verifier};

type Point = Secret<PUBLIC_KEY_LEN>;

/// The verifier's side.
pub(crate) struct Responding {
    y: Secret<32>,
    x_share: PublicKey,
    y_share: Point,
    z: Point,
    next: Response,
}

/// What the verifier computes next.
#[derive(Clone, Copy)]
enum Response {
    /// First, as it refuses a share that is no point.
    Unblind,
    Z,
    Base,
    Share,
    V,
}

impl Responding {
    /// Draws `y`.
    pub(crate) fn new<C: Crypto>(
        crypto: &C,
        rng: &mut dyn CryptoRng,
        x_share: PublicKey,
    ) -> Result<Self, CryptoError> {
        let y = crypto.random_scalar(rng)?;
        let next = Response::Unblind;
        Ok(Self { y, x_share, y_share: Secret::zero(), z: Secret::zero(), next })
    }

    /// Multiplies once. Returns the secrets after the last time; then the
    /// [shares](Self::shares) are known.
    #[inline(never)]
    pub(crate) fn step<C: Crypto>(
        &mut self,
        crypto: &C,
        verifier: &Verifier,
    ) -> Result<Option<SpakeSecrets>, CryptoError> {
        let Self { y, x_share, y_share, z, next } = self;
        #[cfg(feature = "std")]
        if let Some(prepared) = verifier.prepared_part() {
            *next = match next {
                Response::Unblind | Response::Z => {
                    put(z, prepared.z(y, x_share)?.as_bytes());
                    Response::Share
                }
                Response::Base | Response::Share => {
                    put(y_share, prepared.share(y)?.as_bytes());
                    Response::V
                }
                Response::V => {
                    return Ok(Some(SpakeSecrets { z: z.clone(), v: prepared.v(y)? }));
                }
            };
            return Ok(None);
        }
        let w0 = &verifier.w0;
        *next = match next {
            Response::Unblind => {
                put(z, crypto.spake_unblind(w0, Blind::M, x_share)?.as_bytes());
                Response::Z
            }
            Response::Z => {
                let product = crypto.point_mul(y, z.as_bytes())?;
                put(z, product.as_bytes());
                Response::Base
            }
            Response::Base => {
                put(y_share, crypto.spake_l(y)?.as_bytes());
                Response::Share
            }
            Response::Share => {
                let share = crypto.spake_blind(w0, Blind::N, y_share.as_bytes())?;
                put(y_share, share.as_bytes());
                Response::V
            }
            Response::V => {
                let v = crypto.point_mul(y, verifier.l().as_bytes())?;
                return Ok(Some(SpakeSecrets { z: z.clone(), v }));
            }
        };
        Ok(None)
    }

    /// Returns the shares `X` and `Y`.
    pub(crate) fn shares(&self) -> (&PublicKey, PublicKey) {
        (&self.x_share, PublicKey::checked(self.y_share.as_bytes()))
    }
}

/// The prover's side until its share is sent.
pub(crate) struct Sharing {
    pub(crate) w0: Secret<32>,
    pub(crate) w1: Secret<32>,
    pub(crate) x: Secret<32>,
    x_share: Point,
    has_base: bool,
}

impl Sharing {
    /// Draws `x`.
    pub(crate) fn new<C: Crypto>(
        crypto: &C,
        rng: &mut dyn CryptoRng,
        (w0, w1): (Secret<32>, Secret<32>),
    ) -> Result<Self, CryptoError> {
        let x = crypto.random_scalar(rng)?;
        Ok(Self { w0, w1, x, x_share: Secret::zero(), has_base: false })
    }

    /// Multiplies once. Returns the share `X` after the second time.
    #[inline(never)]
    pub(crate) fn step<C: Crypto>(&mut self, crypto: &C) -> Result<Option<PublicKey>, CryptoError> {
        let Self { w0, x, x_share, has_base, .. } = self;
        if !*has_base {
            put(x_share, crypto.spake_l(x)?.as_bytes());
            *has_base = true;
            return Ok(None);
        }
        let share = crypto.spake_blind(w0, Blind::M, x_share.as_bytes())?;
        Ok(Some(PublicKey::checked(share.as_bytes())))
    }
}

/// The prover's side once it has the verifier's share.
pub(crate) struct Proving {
    pub(crate) y_share: PublicKey,
    unblinded: Point,
    z: Point,
    next: Proof,
}

/// What the prover computes next.
#[derive(Clone, Copy)]
enum Proof {
    Unblind,
    Z,
    V,
}

impl Proving {
    pub(crate) const fn new(y_share: PublicKey) -> Self {
        Self { y_share, unblinded: Secret::zero(), z: Secret::zero(), next: Proof::Unblind }
    }

    /// Multiplies once. Returns the secrets after the third time.
    #[inline(never)]
    pub(crate) fn step<C: Crypto>(
        &mut self,
        crypto: &C,
        x: &Secret<32>,
        w0: &Secret<32>,
        w1: &Secret<32>,
    ) -> Result<Option<SpakeSecrets>, CryptoError> {
        let Self { y_share, unblinded, z, next } = self;
        *next = match next {
            Proof::Unblind => {
                put(unblinded, crypto.spake_unblind(w0, Blind::N, y_share)?.as_bytes());
                Proof::Z
            }
            Proof::Z => {
                put(z, crypto.point_mul(x, unblinded.as_bytes())?.as_bytes());
                Proof::V
            }
            Proof::V => {
                let v = crypto.point_mul(w1, unblinded.as_bytes())?;
                return Ok(Some(SpakeSecrets { z: z.clone(), v }));
            }
        };
        Ok(None)
    }
}

/// Copies a point to its place: a move would leave one where it was.
fn put(place: &mut Point, point: &[u8; PUBLIC_KEY_LEN]) {
    place.as_mut_bytes().copy_from_slice(point);
}
