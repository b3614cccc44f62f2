//! With memory for tables: 25 kB each of multiples of `M` and `N`, computed when they are first
//! needed, and 6 kB for each verifier that is prepared.

use std::sync::LazyLock;

use p256::elliptic_curve::Group;

use super::super::multiples::Multiples;
use super::{
    Blind, CryptoError, ProjectivePoint, PublicKey, Secret, SpakeSecrets, Zeroizing, blinding,
    decode, scalar, verifier_outcome,
};
use crate::crypto::SpakeVerifier;

/// For points that are always the same: least time.
pub(super) type Fixed = Multiples<32>;

static M: LazyLock<Result<Fixed, CryptoError>> = LazyLock::new(|| fixed(Blind::M));
static N: LazyLock<Result<Fixed, CryptoError>> = LazyLock::new(|| fixed(Blind::N));

fn fixed(blind: Blind) -> Result<Fixed, CryptoError> {
    blind.point().map(Multiples::new)
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
    fn respond(
        &self,
        y: &Secret<32>,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
        let y = scalar(y)?;
        let unblinded = Zeroizing::new(decode(x_share)?.to_projective() - *self.w0_m);
        let share = ProjectivePoint::mul_by_generator(&y) + *self.w0_n;
        verifier_outcome([share, *unblinded * *y, self.l.mul(&y)])
    }
}
