//! What a cryptographic operation fails with.

use thiserror::Error;

/// A cryptographic operation did not yield a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CryptoError {
    /// A message integrity code, signature or confirmation value does not verify.
    #[error("authentication failed")]
    Unauthentic,
    /// A public key is not a point of P-256, or an operation ended in the point at infinity.
    #[error("invalid elliptic curve point")]
    InvalidPoint,
    /// A private key or scalar is zero or not below the group order.
    #[error("invalid private key")]
    InvalidScalar,
    /// An input is longer than the primitive takes.
    #[error("input too long")]
    TooLong,
    /// The backend (an accelerator, say) failed.
    #[error("crypto backend failed")]
    Backend,
}
