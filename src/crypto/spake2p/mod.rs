//! SPAKE2+ as Matter uses it: P-256, SHA-256, HKDF, HMAC, empty identities.
//!
//! ```text
//! prover  X = x*G + w0*M ───────▶            Z = x*(Y - w0*N) = y*(X - w0*M)
//!         ◀─────── Y = y*G + w0*N   verifier V = w1*(Y - w0*N) = y*L,  L = w1*G
//!
//! Ka || Ke = SHA-256(TT)            KcA || KcB = HKDF(Ka, "ConfirmationKeys")
//! cA = HMAC(KcA, Y)                 cB = HMAC(KcB, X)
//! ```
//! This is the flavour of draft-bar-cfrg-spake2plus-01, not that of RFC 9383: the transcript
//! and the confirmation differ. [Core, "Password-Authenticated Key Exchange (PAKE)"]

mod exchange;
mod part;
mod scalar;

use subtle::ConstantTimeEq;

pub(crate) use self::exchange::{Proving, Responding, Sharing};
#[cfg(feature = "std")]
pub use self::part::SpakeVerifier;
pub use self::part::{Blind, Spake2p, SpakeSecrets};
use super::{Crypto, CryptoError, HASH_LEN, KEY_LEN, PublicKey, Secret, Sha256};

/// The generator `G` of P-256.
pub const G: PublicKey = PublicKey::checked(&[
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
    0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51,
    0xf5,
]);

/// The point `M` of P-256, RFC 9383 section 4.
pub const M: PublicKey = PublicKey::checked(&[
    0x04, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55, 0xba, 0x9d, 0xd7, 0x24, 0x25, 0x79, 0xf2,
    0x99, 0x3b, 0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf, 0xd4, 0x97, 0x33, 0x3d, 0x8f, 0xa1,
    0x2f, 0x5f, 0xf3, 0x55, 0x16, 0x3e, 0x43, 0xce, 0x22, 0x4e, 0x0b, 0x0e, 0x65, 0xff, 0x02, 0xac,
    0x8e, 0x5c, 0x7b, 0xe0, 0x94, 0x19, 0xc7, 0x85, 0xe0, 0xca, 0x54, 0x7d, 0x55, 0xa1, 0x2e, 0x2d,
    0x20,
]);

/// The point `N` of P-256, RFC 9383 section 4.
pub const N: PublicKey = PublicKey::checked(&[
    0x04, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37, 0xb0, 0x4d, 0x99, 0x7f, 0x38, 0xc3, 0x77,
    0x07, 0x19, 0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b, 0x4f, 0x98, 0xba, 0xa1, 0x29, 0x2b,
    0x49, 0x07, 0xd6, 0x0a, 0xa6, 0xbf, 0xad, 0xe4, 0x50, 0x08, 0xa6, 0x36, 0x33, 0x7f, 0x51, 0x68,
    0xc6, 0x4d, 0x9b, 0xd3, 0x60, 0x34, 0x80, 0x8c, 0xd5, 0x64, 0x49, 0x0b, 0x1e, 0x65, 0x6e, 0xdb,
    0xe7,
]);

/// What both sides know once the shares are exchanged: the session secret and the confirmations.
#[derive(Debug)]
pub struct Confirmation {
    /// `Ke`, from which the session keys are derived.
    pub ke: Secret<KEY_LEN>,
    /// `cA`, which the prover sends and the verifier expects.
    pub ca: Secret<HASH_LEN>,
    /// `cB`, which the verifier sends and the prover expects.
    pub cb: Secret<HASH_LEN>,
}

impl Confirmation {
    /// Hashes the transcript and derives keys and confirmations. In PASE, `context` is a SHA-256
    /// digest.
    ///
    /// # Errors
    /// [`CryptoError`] if the backend fails.
    pub fn derive<C: Crypto>(
        crypto: &C,
        context: &[u8],
        x_share: &PublicKey,
        y_share: &PublicKey,
        secrets: &SpakeSecrets,
        w0: &Secret<HASH_LEN>,
    ) -> Result<Self, CryptoError> {
        let transcript: [&[u8]; 10] = [
            context,
            &[], // identity of the prover
            &[], // identity of the verifier
            M.as_bytes(),
            N.as_bytes(),
            x_share.as_bytes(),
            y_share.as_bytes(),
            secrets.z.as_bytes(),
            secrets.v.as_bytes(),
            w0.as_bytes(),
        ];
        let mut hash = crypto.sha256();
        for part in transcript {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let keys = Secret::new(hash.finish());
        let (ka, ke) = halves(&keys);
        let mut confirmation_keys = Secret::<32>::zero();
        crypto.hkdf(ka, &[], b"ConfirmationKeys", confirmation_keys.as_mut_bytes())?;
        let (kca, kcb) = halves(&confirmation_keys);
        Ok(Self {
            ke: Secret::from(ke),
            ca: Secret::new(crypto.hmac(kca, &[y_share.as_bytes()])?),
            cb: Secret::new(crypto.hmac(kcb, &[x_share.as_bytes()])?),
        })
    }

    /// Compares a received confirmation with the expected one, in constant time.
    ///
    /// # Errors
    /// [`CryptoError::Unauthentic`]: the two passcodes differ.
    pub fn check(
        expected: &Secret<HASH_LEN>,
        received: &[u8; HASH_LEN],
    ) -> Result<(), CryptoError> {
        if expected.as_bytes().ct_eq(received).into() {
            Ok(())
        } else {
            Err(CryptoError::Unauthentic)
        }
    }
}

/// The two 16-byte halves.
fn halves(bytes: &Secret<32>) -> (&[u8; KEY_LEN], &[u8; KEY_LEN]) {
    match bytes.as_bytes().as_chunks() {
        ([first, second], []) => (first, second),
        _ => (&[0; KEY_LEN], &[0; KEY_LEN]),
    }
}
