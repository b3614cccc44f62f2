//! Known answers for authors of backends.
//!
//! [`run`] asks a backend for the result of every primitive and compares it with published test
//! vectors. It also offers what a backend must refuse: altered integrity codes and signatures,
//! points off the curve, scalars out of range. The first wrong answer is returned as an error that
//! names the primitive and the case.
//!
//! Run it in the tests of a backend, and once on each new hardware. It needs no allocator. On a
//! Cortex-M4, `CompactRustCrypto` takes 270 million instructions for it, which is about three
//! seconds, and 6.4 kB of stack. A firmware that does not call it does not contain it.
//!
#![cfg_attr(feature = "rustcrypto", doc = "```")]
#![cfg_attr(not(feature = "rustcrypto"), doc = "```ignore")]
//! use matter_session::crypto::{RustCrypto, check};
//!
//! check::run(&RustCrypto)?;
//! # Ok::<(), check::CheckError>(())
//! ```

mod cipher;
mod curve;
mod hashing;
mod spake2p;
mod vectors;

use core::fmt;

use thiserror::Error;

pub use self::cipher::cipher;
pub use self::curve::curve;
pub use self::hashing::hashing;
pub use self::spake2p::spake2p;
use super::{Crypto, CryptoError};

/// Checks all four parts of a backend.
///
/// # Errors
/// [`CheckError`] for the first wrong answer.
pub fn run<C: Crypto + ?Sized>(crypto: &C) -> Result<(), CheckError> {
    hashing(crypto)?;
    cipher(crypto)?;
    curve(crypto)?;
    spake2p(crypto)
}

/// A backend gave a wrong answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the crypto backend gives a wrong answer for {primitive}, case `{case}`")]
#[non_exhaustive]
pub struct CheckError {
    /// The primitive that was checked.
    pub primitive: Primitive,
    /// The case of the primitive.
    pub case: &'static str,
    /// The error that the backend returned where it should have succeeded or failed otherwise.
    #[source]
    pub cause: Option<CryptoError>,
}

/// A primitive of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Primitive {
    /// [`Hashing::sha256`](super::Hashing::sha256).
    Sha256,
    /// [`Hashing::hmac`](super::Hashing::hmac).
    Hmac,
    /// [`Hashing::hkdf`](super::Hashing::hkdf).
    Hkdf,
    /// [`Hashing::pbkdf2_rounds`](super::Hashing::pbkdf2_rounds), and
    /// [`Hashing::pbkdf2`](super::Hashing::pbkdf2).
    Pbkdf2,
    /// [`Aead::seal`](super::Aead::seal).
    Seal,
    /// [`Aead::open`](super::Aead::open).
    Open,
    /// [`Aead::open_by_trial`](super::Aead::open_by_trial).
    OpenByTrial,
    /// [`Aead::apply_privacy`](super::Aead::apply_privacy).
    Privacy,
    /// [`Cipher::seal_once`](super::Cipher::seal_once).
    SealOnce,
    /// [`Cipher::open_once`](super::Cipher::open_once).
    OpenOnce,
    /// [`Cipher::seal_batch`](super::Cipher::seal_batch).
    SealBatch,
    /// [`Cipher::open_batch`](super::Cipher::open_batch).
    OpenBatch,
    /// [`Curve::ephemeral`](super::Curve::ephemeral) and [`KeyPair`](super::KeyPair).
    Agreement,
    /// [`Curve::verify`](super::Curve::verify).
    Ecdsa,
    /// [`Spake2p::point_mul`](super::Spake2p::point_mul).
    PointMul,
    /// [`Spake2p::point_add`](super::Spake2p::point_add).
    PointAdd,
    /// [`Spake2p::random_scalar`](super::Spake2p::random_scalar).
    RandomScalar,
    /// [`Spake2p::spake_reduce`](super::Spake2p::spake_reduce).
    SpakeReduce,
    /// [`Spake2p::spake_l`](super::Spake2p::spake_l).
    SpakeL,
    /// [`Spake2p::spake_blind`](super::Spake2p::spake_blind).
    SpakeBlind,
    /// [`Spake2p::spake_unblind`](super::Spake2p::spake_unblind).
    SpakeUnblind,
    /// `Spake2p::spake_prepare` (feature `std`).
    SpakePrepare,
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Hmac => "HMAC",
            Self::Hkdf => "HKDF",
            Self::Pbkdf2 => "PBKDF2",
            Self::Seal => "sealing with AES-CCM",
            Self::Open => "opening with AES-CCM",
            Self::OpenByTrial => "opening with AES-CCM by trial",
            Self::Privacy => "the key stream of privacy",
            Self::SealOnce => "sealing once with AES-CCM",
            Self::OpenOnce => "opening once with AES-CCM",
            Self::SealBatch => "sealing a batch",
            Self::OpenBatch => "opening a batch",
            Self::Agreement => "key agreement",
            Self::Ecdsa => "verification with ECDSA",
            Self::PointMul => "multiplication of a point",
            Self::PointAdd => "addition of points",
            Self::RandomScalar => "random scalars",
            Self::SpakeReduce => "reduction modulo the group order",
            Self::SpakeL => "registration with SPAKE2+",
            Self::SpakeBlind => "blinding with SPAKE2+",
            Self::SpakeUnblind => "unblinding with SPAKE2+",
            Self::SpakePrepare => "the prepared verifier of SPAKE2+",
        })
    }
}

impl Primitive {
    /// The answer must be this one.
    fn gives<T: PartialEq>(
        self,
        case: &'static str,
        answer: Result<T, CryptoError>,
        expected: &T,
    ) -> Result<(), CheckError> {
        match answer {
            Ok(answer) if answer == *expected => Ok(()),
            Ok(_) => Err(CheckError { primitive: self, case, cause: None }),
            Err(error) => Err(CheckError { primitive: self, case, cause: Some(error) }),
        }
    }

    /// The answer must be this error.
    fn refuses<T>(
        self,
        case: &'static str,
        answer: Result<T, CryptoError>,
        expected: CryptoError,
    ) -> Result<(), CheckError> {
        match answer {
            Err(error) if error == expected => Ok(()),
            Ok(_) => Err(CheckError { primitive: self, case, cause: None }),
            Err(error) => Err(CheckError { primitive: self, case, cause: Some(error) }),
        }
    }

    /// There must be an answer, whatever it is.
    fn works<T>(self, case: &'static str, answer: Result<T, CryptoError>) -> Result<T, CheckError> {
        answer.map_err(|error| CheckError { primitive: self, case, cause: Some(error) })
    }

    /// This must hold.
    fn holds(self, case: &'static str, right: bool) -> Result<(), CheckError> {
        if right { Ok(()) } else { Err(CheckError { primitive: self, case, cause: None }) }
    }
}
