//! From a passcode to a verifier, in calls of bounded length.

use core::fmt;

use super::{Crypto, CryptoError, HASH_LEN, Passcode, PbkdfParameters, Secret, Verifier};

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
        let reduce = |half: &[u8]| {
            let half = half.try_into().map_err(|_| CryptoError::Backend)?;
            crypto.spake_reduce(half)
        };
        let (w0s, w1s) = stretched.as_bytes().split_at(LEN / 2);
        Ok(Some((reduce(w0s)?, reduce(w1s)?)))
    }
}

/// A verifier that is computed from a passcode in many short calls: none takes longer than an
/// operation on the curve.
///
/// ```
/// use matter_session::crypto::{Crypto, Passcode, PbkdfParameters, VerifierDraft};
/// use matter_session::{CommissioningWindow, Context, SessionManager, Storage};
///
/// /// One turn of a firmware's loop. `draft` is there while the window is to be opened.
/// fn turn<C: Crypto, S: Storage>(
///     node: &mut SessionManager<C, S>,
///     cx: &mut Context<'_>,
///     crypto: &C,
///     draft: &mut Option<VerifierDraft>,
/// ) {
///     if let Some(Ok(Some(verifier))) = draft.as_mut().map(|draft| draft.step(crypto)) {
///         let pbkdf = draft.take().map(|draft| *draft.parameters());
///         let window = pbkdf.map(|pbkdf| CommissioningWindow::new(verifier, pbkdf));
///         let _ = window.map(|window| node.window().open(cx, window));
///     }
///     // ... and the rest of the turn.
/// }
/// ```
pub struct VerifierDraft {
    stretch: Stretch,
    scalars: Option<(Secret<32>, Secret<32>)>,
}

impl VerifierDraft {
    /// Begins with nothing computed.
    #[must_use]
    pub const fn new(passcode: Passcode, parameters: PbkdfParameters) -> Self {
        Self { stretch: Stretch::new(passcode, parameters), scalars: None }
    }

    /// Returns the parameters, which belong to the verifier.
    #[must_use]
    pub const fn parameters(&self) -> &PbkdfParameters {
        &self.stretch.parameters
    }

    /// Computes the next part: 512 iterations of PBKDF2 at most, or at the end the multiplication of
    /// a point. Returns the verifier once it is complete: after 7 calls with 1,000 iterations.
    ///
    /// # Errors
    /// [`CryptoError`] if the backend fails.
    pub fn step<C: Crypto>(&mut self, crypto: &C) -> Result<Option<Verifier>, CryptoError> {
        match &self.scalars {
            Some((w0, w1)) => Ok(Some(Verifier::new(w0.clone(), crypto.spake_l(w1)?))),
            None => {
                self.scalars = self.stretch.step(crypto)?;
                Ok(None)
            }
        }
    }
}

impl fmt::Debug for VerifierDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifierDraft(..)")
    }
}
