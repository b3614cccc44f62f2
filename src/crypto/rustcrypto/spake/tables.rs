//! With memory for tables: 25 kB each of multiples of `M` and `N`, computed when they are first
//! needed, and 6 kB for each verifier that is prepared.

use std::sync::LazyLock;

use p256::elliptic_curve::Group;

use super::super::multiples::Multiples;
use super::{
    Blind, CryptoError, PUBLIC_KEY_LEN, ProjectivePoint, PublicKey, Secret, Zeroizing, blinding,
    decode, decoded, encode, scalar,
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
    w0_m: Zeroizing<ProjectivePoint>,
    w0_n: Zeroizing<ProjectivePoint>,
    /// Made once for few handshakes: less memory, and less time for making it.
    l: Multiples<8>,
}

impl Prepared {
    pub(in super::super) fn new(w0: &Secret<32>, l: &PublicKey) -> Result<Self, CryptoError> {
        let w0 = scalar(w0)?;
        Ok(Self {
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
        let y = scalar(y)?;
        let unblinded = Zeroizing::new(decode(x_share)?.to_projective() - *self.w0_m);
        secret(*unblinded * *y)
    }

    fn share(&self, y: &Secret<32>) -> Result<PublicKey, CryptoError> {
        let y = scalar(y)?;
        encode(&(ProjectivePoint::mul_by_generator(&y) + *self.w0_n).to_affine())
    }

    fn v(&self, y: &Secret<32>) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        secret(self.l.mul(&*scalar(y)?))
    }
}

fn secret(point: ProjectivePoint) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
    let point = Zeroizing::new(point);
    Ok(Secret::from(encode(&point.to_affine())?.as_bytes()))
}
