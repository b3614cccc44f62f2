//! Cryptography: the [`Crypto`] backend in its four parts, and the types that keep its use safe.
//!
//! Matter has one suite (AES-128-CCM, SHA-256, P-256), so the backend is a static generic and
//! nothing is negotiated. `RustCrypto` is the default backend, `CompactRustCrypto` the same for
//! nodes with little memory.
//!
//! ```text
//! part       required                     by default
//! Cipher     aead, Aead::{seal, open}     trials, privacy, single uses, batches
//! Hashing    sha256                       hmac, hkdf, pbkdf2_rounds
//! Curve      ephemeral, verify, KeyPair   (nothing)
//! Spake2p    point_mul, point_add         scalars, and the steps of the protocol
//! ```
//! A firmware with an accelerator implements the part that the accelerator serves, and takes the
//! others from another backend with [`Suite`]. [`check::run`] compares a backend with known
//! answers. [`Cipher`] and [`Curve`] have an example each.

mod aead;
mod batch;
#[cfg(feature = "rustcrypto")]
mod ccm;
pub mod check;
mod check_in;
mod cipher;
mod curve;
mod error;
mod forward;
mod hash;
mod hash_sink;
mod keys;
mod nonce;
mod once;
mod passcode;
mod persisted;
#[cfg(feature = "rustcrypto")]
mod rustcrypto;
mod secret;
mod signed;
pub mod spake2p;
mod stretch;
mod suite;
mod verifier;

pub use self::aead::{Aead, TRIAL_LEN};
pub use self::batch::{OpenJob, SealJob};
#[cfg(feature = "rustcrypto")]
pub use self::ccm::{AesCcm, AesCcmKey};
pub(crate) use self::check_in::CheckInKey;
pub use self::cipher::{Cipher, KEY_LEN};
pub use self::curve::{Curve, KeyPair};
pub use self::error::CryptoError;
pub use self::hash::{HASH_LEN, Hashing, Sha256};
pub use self::hash_sink::HashSink;
pub use self::keys::{
    OperationalKey, PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, SignError, Signature,
};
pub(crate) use self::nonce::random_start;
pub use self::nonce::{
    CounterExhausted, FreshCounter, MIC_LEN, NONCE_LEN, OpenNonce, PrivacyNonce, SealNonce,
    TxCounter,
};
pub(crate) use self::once::OneTimeKey;
pub use self::passcode::{Passcode, PasscodeError, PbkdfError, PbkdfParameters};
pub(crate) use self::persisted::low;
pub use self::persisted::{PersistedCounter, StoreFirst};
#[cfg(feature = "rustcrypto")]
pub use self::rustcrypto::{CompactRustCrypto, EphemeralKey, RustCrypto, Sha256State, SigningKey};
pub use self::secret::Secret;
pub use self::signed::SignedBytes;
#[cfg(feature = "std")]
pub use self::spake2p::SpakeVerifier;
pub use self::spake2p::{Blind, Spake2p, SpakeSecrets};
pub(crate) use self::stretch::Stretch;
pub use self::suite::Suite;
pub use self::verifier::{Verifier, VerifierDraft};

/// A crypto backend: the primitives of Matter's one cipher suite.
///
/// It is the sum of its four parts, and every type that has the four is a backend: there is
/// nothing to implement here. [`Suite`] makes a backend of parts from different types, and a
/// reference to a backend is a backend. Methods take keys by reference and hold nothing between
/// calls.
///
/// Every method whose computation may be done by an accelerator with key slots can fail with
/// [`CryptoError::Backend`]. [`Cipher::aead`] and SHA-256 cannot; they say why.
///
/// [Core, "Cryptographic Primitives"]
pub trait Crypto: Cipher + Hashing + Curve + Spake2p {}

impl<T: Cipher + Hashing + Curve + Spake2p + ?Sized> Crypto for T {}
