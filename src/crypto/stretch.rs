//! From a passcode to two scalars, in calls of bounded length.

use super::{Crypto, CryptoError, HASH_LEN, Passcode, PbkdfParameters, Secret};

/// The most iterations of PBKDF2 in one call. On a Cortex-M4 they take less than a multiplication
/// on the curve.
const SLICE: u32 = 512;
/// The length of `w0s || w1s`.
const LEN: usize = 80;

/// PBKDF2 of a passcode, a slice at a time.
pub(crate) struct Stretch {
    passcode: Passcode,
    parameters: PbkdfParameters,
    stretched: Secret<LEN>,
    /// The number of the block that is computed, from 1.
    block: u8,
    /// How many iterations of it are left; all of them before the first.
    left: u32,
    last: Secret<HASH_LEN>,
    sum: Secret<HASH_LEN>,
}

impl Stretch {
    pub(crate) const fn new(passcode: Passcode, parameters: PbkdfParameters) -> Self {
        Self {
            left: parameters.iterations(),
            passcode,
            parameters,
            stretched: Secret::zero(),
            block: 1,
            last: Secret::zero(),
            sum: Secret::zero(),
        }
    }

    pub(super) const fn parameters(&self) -> &PbkdfParameters {
        &self.parameters
    }

    /// Computes a slice. Returns the prover's two scalars `(w0, w1)` after the last.
    ///
    /// # Errors
    /// [`CryptoError::InvalidScalar`] if one of them is zero, which does not happen by chance;
    /// [`CryptoError::Backend`].
    #[inline(never)]
    pub(crate) fn step<C: Crypto>(
        &mut self,
        crypto: &C,
    ) -> Result<Option<(Secret<32>, Secret<32>)>, CryptoError> {
        let Self { passcode, parameters, stretched, block, left, last, sum } = self;
        let password = Secret::new(passcode.expose().to_le_bytes());
        let mut rounds = SLICE.min(*left);
        *left = left.saturating_sub(rounds);
        if *left == parameters.iterations().saturating_sub(rounds) {
            let number = u32::from(*block).to_be_bytes();
            let first = crypto.hmac(password.as_bytes(), &[parameters.salt(), &number])?;
            let first = Secret::new(first);
            last.as_mut_bytes().copy_from_slice(first.as_bytes());
            sum.as_mut_bytes().copy_from_slice(first.as_bytes());
            rounds = rounds.saturating_sub(1);
        }
        crypto.pbkdf2_rounds(password.as_bytes(), rounds, last, sum)?;
        if *left > 0 {
            return Ok(None);
        }
        let done = usize::from(block.saturating_sub(1)).saturating_mul(HASH_LEN);
        let place = stretched.as_mut_bytes().iter_mut().skip(done);
        for (to, from) in place.zip(sum.as_bytes()) {
            *to = *from;
        }
        *block = block.saturating_add(1);
        *left = parameters.iterations();
        if usize::from(block.saturating_sub(1)).saturating_mul(HASH_LEN) < LEN {
            return Ok(None);
        }
        reduce(crypto, stretched).map(Some)
    }
}

/// Does the same in one call, by the whole PBKDF2 of the backend.
pub(super) fn in_one_call<C: Crypto>(
    crypto: &C,
    passcode: &Passcode,
    parameters: &PbkdfParameters,
) -> Result<(Secret<32>, Secret<32>), CryptoError> {
    let password = Secret::new(passcode.expose().to_le_bytes());
    let mut stretched = Secret::zero();
    let (salt, iterations) = (parameters.salt(), parameters.iterations());
    crypto.pbkdf2(password.as_bytes(), salt, iterations, stretched.as_mut_bytes())?;
    reduce(crypto, &stretched)
}

fn reduce<C: Crypto>(
    crypto: &C,
    stretched: &Secret<LEN>,
) -> Result<(Secret<32>, Secret<32>), CryptoError> {
    let reduce = |half: &[u8]| {
        let half = half.try_into().map_err(|_| CryptoError::Backend)?;
        crypto.spake_reduce(half)
    };
    let (w0s, w1s) = stretched.as_bytes().split_at(LEN / 2);
    Ok((reduce(w0s)?, reduce(w1s)?))
}
