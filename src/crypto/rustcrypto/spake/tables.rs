//! With memory for tables: 25 kB each of multiples of `M` and `N`, computed when they are first
//! needed, and 6 kB for each verifier that is prepared.

use std::sync::LazyLock;

use super::super::multiples::Multiples;
use super::{
    Blind, CryptoError, Engine, PUBLIC_KEY_LEN, ProjectivePoint, PublicKey, Secret, Zeroizing,
    blinding, decode, decoded, encode, point_mul, registration, scalar,
};
use crate::crypto::SpakeVerifier;

/// For points that are always the same: least time.
pub(super) type Fixed = Multiples<32>;

static M: LazyLock<Result<Fixed, CryptoError>> = LazyLock::new(|| fixed(Blind::M));
static N: LazyLock<Result<Fixed, CryptoError>> = LazyLock::new(|| fixed(Blind::N));

fn fixed(blind: Blind) -> Result<Fixed, CryptoError> {
    decoded(blind).map(Multiples::new)
}

pub(super) fn of(blind: Blind) -> Result<&'static Fixed, CryptoError> {
    let table = match blind {
        Blind::M => &*M,
        Blind::N => &*N,
    };
    table.as_ref().map_err(|error| *error)
}

/// What all handshakes with one verifier have in common.
pub(in super::super) struct Prepared {
    engine: Option<Engine>,
    w0_m: Zeroizing<ProjectivePoint>,
    w0_n: Zeroizing<ProjectivePoint>,
    /// Made once for few handshakes: less memory, and less time for making it.
    l: Multiples<8>,
}

impl Prepared {
    pub(in super::super) fn new(
        engine: Option<Engine>,
        w0: &Secret<32>,
        l: &PublicKey,
    ) -> Result<Self, CryptoError> {
        let w0 = scalar(w0)?;
        Ok(Self {
            engine,
            w0_m: Zeroizing::new(blinding(&w0, Blind::M)?),
            w0_n: Zeroizing::new(blinding(&w0, Blind::N)?),
            l: Multiples::new(decode(l)?.to_projective()),
        })
    }
}

impl SpakeVerifier for Prepared {
    fn z(
        &self,
        y: &Secret<32>,
        x_share: &PublicKey,
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        let unblinded = secret(decode(x_share)?.to_projective() - *self.w0_m)?;
        point_mul(self.engine, y, unblinded.as_bytes())
    }

    fn share(&self, y: &Secret<32>) -> Result<PublicKey, CryptoError> {
        let own = decode(&registration(self.engine, y)?)?.to_projective();
        encode(&(own + *self.w0_n).to_affine())
    }

    fn v(&self, y: &Secret<32>) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        secret(self.l.mul(&*scalar(y)?))
    }
}

fn secret(point: ProjectivePoint) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
    let point = Zeroizing::new(point);
    Ok(Secret::from(encode(&point.to_affine())?.as_bytes()))
}
