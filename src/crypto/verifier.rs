//! The verifier that a device keeps, and how it is computed from a passcode.
//!
//! [Core, "Passcode-Authenticated Session Establishment (PASE)"]

#[cfg(feature = "std")]
use alloc::sync::Arc;
use core::fmt;

use subtle::ConstantTimeEq;

#[cfg(feature = "std")]
use super::SpakeVerifier;
use super::stretch::{self, Stretch};
use super::{
    Crypto, CryptoError, HASH_LEN, PUBLIC_KEY_LEN, Passcode, PbkdfParameters, PublicKey, Secret,
};

/// The data that a device stores instead of the passcode: `w0` and `L`, 97 bytes.
///
/// It does not reveal the passcode. But an attacker who has it can try passcodes offline, and can
/// impersonate the device: keep it secret.
#[derive(Clone)]
pub struct Verifier {
    pub(crate) w0: Secret<HASH_LEN>,
    l: SecretPoint,
    /// Follows from the two above.
    #[cfg(feature = "std")]
    prepared: Option<Arc<dyn SpakeVerifier>>,
}

impl Verifier {
    /// Length of the stored form in bytes: `w0` (32) and `L` (65, uncompressed).
    pub const LEN: usize = HASH_LEN + PUBLIC_KEY_LEN;

    /// Computes the verifier of a passcode in one call: one PBKDF2 run and one point multiplication.
    /// On a Cortex-M4 at 64 MHz this takes half a second with the fewest iterations, and 50 seconds
    /// with the most. [`VerifierDraft`] computes it in many short calls.
    ///
    /// # Errors
    /// [`CryptoError`] if the backend fails.
    pub fn generate<C: Crypto>(
        crypto: &C,
        passcode: &Passcode,
        parameters: &PbkdfParameters,
    ) -> Result<Self, CryptoError> {
        let (w0, w1) = stretch::in_one_call(crypto, passcode, parameters)?;
        Ok(Self::new(w0, crypto.spake_l(&w1)?))
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] if `L` does not have the form of an uncompressed point. Every
    /// handshake checks that it is on the curve.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, CryptoError> {
        let (w0, l) = bytes.split_first_chunk::<HASH_LEN>().ok_or(CryptoError::InvalidPoint)?;
        Ok(Self::new(Secret::from(w0), PublicKey::new(l)?))
    }

    const fn new(w0: Secret<HASH_LEN>, l: PublicKey) -> Self {
        Self {
            w0,
            l: SecretPoint(l),
            #[cfg(feature = "std")]
            prepared: None,
        }
    }

    /// Computes ahead what all handshakes with this verifier have in common, and returns the
    /// verifier with the result. Use it if a device answers more than one handshake, or has time
    /// before the first.
    ///
    /// With `RustCrypto` this takes as long as a plain handshake, and 6 kB, which clones
    /// share. Each handshake then takes three fifths of the time. Other backends may compute
    /// nothing ahead. The stored form and comparisons are the same as without it.
    ///
    /// ```
    /// use matter_session::crypto::{Passcode, PbkdfParameters, RustCrypto, Verifier};
    ///
    /// let parameters = PbkdfParameters::new(1000, &[7; 32])?;
    /// let verifier = Verifier::generate(&RustCrypto, &Passcode::new(20202021)?, &parameters)?;
    /// let prepared = verifier.clone().prepared(&RustCrypto)?;
    /// assert_eq!(prepared, verifier);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [Core, "Password-Authenticated Key Exchange (PAKE)"]
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`] when `L` does not lie on the curve,
    /// [`CryptoError::InvalidScalar`] when `w0` is no scalar.
    #[cfg(feature = "std")]
    pub fn prepared<C: Crypto>(self, crypto: &C) -> Result<Self, CryptoError> {
        let prepared = crypto.spake_prepare(&self.w0, &self.l.0)?;
        Ok(Self { prepared, ..self })
    }

    /// Returns what was computed ahead.
    #[cfg(feature = "std")]
    pub(super) fn prepared_part(&self) -> Option<&dyn SpakeVerifier> {
        self.prepared.as_deref()
    }

    pub(super) const fn l(&self) -> &PublicKey {
        &self.l.0
    }

    /// Returns the stored form, `w0 || L`.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<{ Self::LEN }> {
        let mut bytes = Secret::zero();
        let (w0, l) = bytes.as_mut_bytes().split_at_mut(HASH_LEN);
        w0.copy_from_slice(self.w0.as_bytes());
        l.copy_from_slice(self.l.0.as_bytes());
        bytes
    }
}

/// `L` tells passcodes apart as `w0` does, so it is wiped on drop like a [`Secret`]. It is a public
/// key by its form alone.
#[derive(Clone)]
struct SecretPoint(PublicKey);

impl Drop for SecretPoint {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

/// In constant time: both parts are compared to their ends, whatever differs.
impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        let same = self.w0.as_bytes().ct_eq(other.w0.as_bytes());
        (same & self.l.0.as_bytes().ct_eq(other.l.0.as_bytes())).into()
    }
}

impl Eq for Verifier {}

impl fmt::Debug for Verifier {
    /// Prints nothing of `L` either: a few of its bytes are enough to tell passcodes apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
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
        self.stretch.parameters()
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
