//! The SPAKE2+ part of a backend.

#[cfg(feature = "std")]
use alloc::sync::Arc;
#[cfg(feature = "std")]
use core::panic::{RefUnwindSafe, UnwindSafe};

use rand_core::CryptoRng;

use super::{G, M, N, scalar};
use crate::crypto::{CryptoError, PUBLIC_KEY_LEN, PublicKey, Secret};

/// The SPAKE2+ part of a [`Crypto`](crate::crypto::Crypto) backend.
///
/// [Core, "Password-Authenticated Key Exchange (PAKE)"]. Two operations on points are required, and
/// the others are computed from them. A backend that computes one of those faster overrides it. Each
/// multiplies a point once at most: the state machines call one of them in a step, so that no call
/// takes long.
///
/// All scalars are secret: operations take the same time for each of them. Every point that comes
/// from a peer must be refused unless it lies on the curve and is not the identity.
pub trait Spake2p {
    /// Multiplies a point (`04 || x || y`) with a scalar, in constant time.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if `point` does not lie on the curve,
    /// [`CryptoError::InvalidScalar`] unless `scalar` is in `1..n`, [`CryptoError::Backend`].
    fn point_mul(
        &self,
        scalar: &Secret<32>,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError>;

    /// Adds two points (`04 || x || y`), which may be the same.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if one of them does not lie on the curve or the sum is the
    /// identity, [`CryptoError::Backend`].
    fn point_add(
        &self,
        a: &[u8; PUBLIC_KEY_LEN],
        b: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError>;

    /// Draws a secret scalar in `1..n`.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] when `rng` yields no valid scalar in many draws, which means that
    /// it is broken.
    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        scalar::draw(rng)
    }

    /// Reduces a 40-byte big-endian integer modulo the group order.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`] when the result is zero; [`CryptoError::Backend`].
    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        scalar::reduce(wide)
    }

    /// Registration: computes `L = w1 * G`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`], [`CryptoError::Backend`].
    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        Ok(PublicKey::checked(self.point_mul(w1, G.as_bytes())?.as_bytes()))
    }

    /// Blinds a point: computes `point + w0*M` or `point + w0*N`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if `point` is none or the sum is the identity;
    /// [`CryptoError::InvalidScalar`], [`CryptoError::Backend`].
    fn spake_blind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        let blinding = self.point_mul(w0, blind.point().as_bytes())?;
        self.point_add(point, blinding.as_bytes())
    }

    /// Takes the blinding off the peer's share: computes `share - w0*M` or `share - w0*N`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if the share is no point or the difference is the identity;
    /// [`CryptoError::InvalidScalar`], [`CryptoError::Backend`].
    fn spake_unblind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        share: &PublicKey,
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        let blinding = self.point_mul(w0, scalar::negate(blind.point()).as_bytes())?;
        self.point_add(share.as_bytes(), blinding.as_bytes())
    }

    /// Prover, first step, in one call: computes the share `X = x*G + w0*M`. The crate does not call
    /// this and the two below, which multiply several times: they are for tests of backends.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`], [`CryptoError::InvalidPoint`], [`CryptoError::Backend`].
    fn spake_prover_share(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
    ) -> Result<PublicKey, CryptoError> {
        share(self, x, w0, Blind::M)
    }

    /// Prover, second step, in one call: computes the secrets from the verifier's share `Y`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if the share is no point or a secret is the identity;
    /// [`CryptoError::InvalidScalar`], [`CryptoError::Backend`].
    fn spake_prover_finish(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
        w1: &Secret<32>,
        y_share: &PublicKey,
    ) -> Result<SpakeSecrets, CryptoError> {
        let unblinded = self.spake_unblind(w0, Blind::N, y_share)?;
        Ok(SpakeSecrets {
            z: self.point_mul(x, unblinded.as_bytes())?,
            v: self.point_mul(w1, unblinded.as_bytes())?,
        })
    }

    /// Verifier, in one call: computes the share `Y = y*G + w0*N`, and the secrets from the prover's
    /// share `X`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if a share or `l` is no point or a secret is the identity;
    /// [`CryptoError::InvalidScalar`], [`CryptoError::Backend`].
    fn spake_verifier(
        &self,
        y: &Secret<32>,
        w0: &Secret<32>,
        l: &PublicKey,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
        let unblinded = self.spake_unblind(w0, Blind::M, x_share)?;
        let z = self.point_mul(y, unblinded.as_bytes())?;
        let v = self.point_mul(y, l.as_bytes())?;
        Ok((share(self, y, w0, Blind::N)?, SpakeSecrets { z, v }))
    }

    /// Verifier: computes what all handshakes with `w0` and `l` have in common, for
    /// [`Verifier::prepared`](crate::crypto::Verifier::prepared). `None`, the default, if the
    /// backend computes nothing ahead.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if `l` is no point, [`CryptoError::InvalidScalar`],
    /// [`CryptoError::Backend`].
    #[cfg(feature = "std")]
    fn spake_prepare(
        &self,
        w0: &Secret<32>,
        l: &PublicKey,
    ) -> Result<Option<Arc<dyn SpakeVerifier>>, CryptoError> {
        let _ = (w0, l);
        Ok(None)
    }
}

/// The two secret points at the end of a SPAKE2+ exchange, uncompressed.
#[derive(Debug)]
pub struct SpakeSecrets {
    /// `Z = x * (Y - w0*N) = y * (X - w0*M)`.
    pub z: Secret<PUBLIC_KEY_LEN>,
    /// `V = w1 * (Y - w0*N) = y * L`.
    pub v: Secret<PUBLIC_KEY_LEN>,
}

/// Computes `own*G + w0*blind`.
fn share<S: Spake2p + ?Sized>(
    backend: &S,
    own: &Secret<32>,
    w0: &Secret<32>,
    blind: Blind,
) -> Result<PublicKey, CryptoError> {
    let plain = backend.spake_l(own)?;
    let share = backend.spake_blind(w0, blind, plain.as_bytes())?;
    Ok(PublicKey::checked(share.as_bytes()))
}

/// What blinds a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// The prover's: [`M`].
    M,
    /// The verifier's: [`N`].
    N,
}

impl Blind {
    /// Returns the point.
    #[must_use]
    pub const fn point(self) -> &'static PublicKey {
        match self {
            Self::M => &M,
            Self::N => &N,
        }
    }
}

/// A verifier of SPAKE2+ for which a backend has computed ahead what does not depend on the prover.
///
/// [`Spake2p::spake_prepare`] makes it. It holds secrets, and wipes them on drop. Each method is one
/// multiplication.
#[cfg(feature = "std")]
pub trait SpakeVerifier: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// Computes `Z = y * (X - w0*M)` from the prover's share `X`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if the share is no point or `Z` is the identity;
    /// [`CryptoError::InvalidScalar`], [`CryptoError::Backend`].
    fn z(&self, y: &Secret<32>, x_share: &PublicKey)
    -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError>;

    /// Computes the verifier's share `Y = y*G + w0*N`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`], [`CryptoError::InvalidPoint`], [`CryptoError::Backend`].
    fn share(&self, y: &Secret<32>) -> Result<PublicKey, CryptoError>;

    /// Computes `V = y*L`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`], [`CryptoError::InvalidPoint`], [`CryptoError::Backend`].
    fn v(&self, y: &Secret<32>) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError>;

    /// Computes what [`Spake2p::spake_verifier`] computes, for the verifier that was prepared.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if the share is no point or a secret is the identity;
    /// [`CryptoError::InvalidScalar`], [`CryptoError::Backend`].
    fn respond(
        &self,
        y: &Secret<32>,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
        let secrets = SpakeSecrets { z: self.z(y, x_share)?, v: self.v(y)? };
        Ok((self.share(y)?, secrets))
    }
}
