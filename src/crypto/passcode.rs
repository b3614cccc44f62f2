//! Passcodes and PBKDF parameters.
//!
//! [Core, "Passcode-Authenticated Session Establishment (PASE)"]

use core::fmt;

use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::CryptoError;

/// The value must not be a passcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("not a valid passcode: it must be 1 to 99999998 and none of the trivial ones")]
pub struct PasscodeError;

/// The eight-digit setup passcode of a device. It is wiped on drop and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Passcode(u32);

impl Passcode {
    const MAX: u32 = 99_999_998;

    /// Checks a passcode.
    ///
    /// # Errors
    /// [`PasscodeError`] outside `1..=99999998` and for the values that the specification
    /// forbids: eight equal digits, 12345678 and 87654321.
    pub const fn new(value: u32) -> Result<Self, PasscodeError> {
        let trivial =
            value.is_multiple_of(11_111_111) || value == 12_345_678 || value == 87_654_321;
        if trivial || value > Self::MAX { Err(PasscodeError) } else { Ok(Self(value)) }
    }

    /// Draws a passcode. All valid ones are equally likely.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] if the source of randomness is broken.
    pub fn random(rng: &mut dyn CryptoRng) -> Result<Self, CryptoError> {
        /// Three of four draws succeed.
        const MAX_DRAWS: usize = 64;
        (0..MAX_DRAWS).find_map(|_| Self::new(rng.next_u32() >> 5).ok()).ok_or(CryptoError::Backend)
    }

    /// Returns the value, to be printed on a label. It is secret.
    #[must_use]
    pub const fn expose(&self) -> u32 {
        self.0
    }
}

impl Drop for Passcode {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Passcode {}

impl fmt::Debug for Passcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passcode(..)")
    }
}

/// PBKDF parameters outside the limits of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PbkdfError {
    /// Fewer than 1,000 or more than 100,000 iterations.
    #[error("PBKDF iterations must be 1000 to 100000")]
    Iterations,
    /// A salt shorter than 16 or longer than 32 bytes.
    #[error("PBKDF salt must be 16 to 32 bytes")]
    Salt,
    /// Not the stored form of parameters.
    #[error("not PBKDF parameters of a known version")]
    Encoding,
}

/// Iterations and salt of PBKDF2 for a passcode, always within the limits of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PbkdfParameters {
    iterations: u32,
    salt: [u8; Self::MAX_SALT_LEN],
    salt_len: u8,
}

impl PbkdfParameters {
    /// Minimum number of iterations.
    pub const MIN_ITERATIONS: u32 = 1_000;
    /// Maximum number of iterations.
    pub const MAX_ITERATIONS: u32 = 100_000;
    /// Minimum length of the salt in bytes.
    pub const MIN_SALT_LEN: usize = 16;
    /// Maximum length of the salt in bytes.
    pub const MAX_SALT_LEN: usize = 32;

    /// Checks parameters: `iterations` in `1000..=100000`, `salt` of 16 to 32 bytes.
    ///
    /// # Errors
    /// [`PbkdfError`] outside these limits.
    pub fn new(iterations: u32, salt: &[u8]) -> Result<Self, PbkdfError> {
        if !(Self::MIN_ITERATIONS..=Self::MAX_ITERATIONS).contains(&iterations) {
            return Err(PbkdfError::Iterations);
        }
        if salt.len() < Self::MIN_SALT_LEN {
            return Err(PbkdfError::Salt);
        }
        let mut own = [0; Self::MAX_SALT_LEN];
        own.get_mut(..salt.len()).ok_or(PbkdfError::Salt)?.copy_from_slice(salt);
        let salt_len = u8::try_from(salt.len()).map_err(|_| PbkdfError::Salt)?;
        Ok(Self { iterations, salt: own, salt_len })
    }

    /// Makes parameters with this number of iterations and a random salt of 32 bytes.
    ///
    /// # Errors
    /// [`PbkdfError::Iterations`] outside `1000..=100000`.
    pub fn random(iterations: u32, rng: &mut dyn CryptoRng) -> Result<Self, PbkdfError> {
        let mut salt = [0; Self::MAX_SALT_LEN];
        rng.fill_bytes(&mut salt);
        Self::new(iterations, &salt)
    }

    /// Length of the stored form in bytes.
    pub const ENCODED_LEN: usize = 1 + 4 + 1 + Self::MAX_SALT_LEN;
    const VERSION: u8 = 1;

    /// Returns the parameters as versioned bytes, to be stored beside a [`Verifier`](super::Verifier). They are
    /// not secret: everybody who begins PASE gets them.
    ///
    /// ```text
    /// version 1 | iterations LE (4) | length of the salt | salt, zeros behind (32)
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::ENCODED_LEN] {
        let iterations = self.iterations.to_le_bytes();
        let parts: [&[u8]; 4] = [&[Self::VERSION], &iterations, &[self.salt_len], &self.salt];
        let mut bytes = [0; Self::ENCODED_LEN];
        for (to, from) in bytes.iter_mut().zip(parts.iter().copied().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`PbkdfError::Encoding`] for another version or length; the others outside the limits.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PbkdfError> {
        let ([version], rest) = bytes.split_first_chunk().ok_or(PbkdfError::Encoding)?;
        let (iterations, rest) = rest.split_first_chunk().ok_or(PbkdfError::Encoding)?;
        let ([salt_len], salt) = rest.split_first_chunk().ok_or(PbkdfError::Encoding)?;
        if *version != Self::VERSION || salt.len() != Self::MAX_SALT_LEN {
            return Err(PbkdfError::Encoding);
        }
        let (salt, zeros) =
            salt.split_at_checked((*salt_len).into()).ok_or(PbkdfError::Encoding)?;
        if zeros.iter().any(|octet| *octet != 0) {
            return Err(PbkdfError::Encoding);
        }
        Self::new(u32::from_le_bytes(*iterations), salt)
    }

    /// Returns the number of iterations.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Returns the salt.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        self.salt.get(..usize::from(self.salt_len)).unwrap_or(&self.salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forbidden_passcodes_are_refused() {
        let forbidden = [0, 11_111_111, 88_888_888, 99_999_999, 12_345_678, 87_654_321, u32::MAX];
        for value in forbidden {
            assert_eq!(Passcode::new(value), Err(PasscodeError), "{value}");
        }
        for value in [1, 20_202_021, 99_999_998] {
            assert_eq!(std::format!("{:?}", Passcode::new(value).unwrap()), "Passcode(..)");
        }
    }

    #[test]
    fn random_passcodes_are_valid_and_a_stuck_source_is_an_error() {
        use core::convert::Infallible;
        use rand_core::{TryCryptoRng, TryRng};

        struct Stuck(u32);
        impl TryRng for Stuck {
            type Error = Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Infallible> {
                Ok(self.0)
            }
            fn try_next_u64(&mut self) -> Result<u64, Infallible> {
                Ok(self.0.into())
            }
            fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
                octets.fill(0);
                Ok(())
            }
        }
        impl TryCryptoRng for Stuck {}
        assert_eq!(Passcode::random(&mut Stuck(20_202_021 << 5)).unwrap().expose(), 20_202_021);
        assert_eq!(Passcode::random(&mut Stuck(0)), Err(CryptoError::Backend));
    }

    #[test]
    fn parameters_outside_their_limits_are_refused() {
        assert_eq!(PbkdfParameters::new(999, &[0; 16]), Err(PbkdfError::Iterations));
        assert_eq!(PbkdfParameters::new(100_001, &[0; 16]), Err(PbkdfError::Iterations));
        assert_eq!(PbkdfParameters::new(1000, &[0; 15]), Err(PbkdfError::Salt));
        assert_eq!(PbkdfParameters::new(1000, &[0; 33]), Err(PbkdfError::Salt));
        let parameters = PbkdfParameters::new(100_000, &[7; 17]).unwrap();
        assert_eq!(parameters.salt(), [7; 17]);
    }

    #[test]
    fn parameters_survive_their_encoding() {
        for (salt, iterations) in (16..=32).map(|len| &[7; 32][..len]).zip(1000..) {
            let parameters = PbkdfParameters::new(iterations, salt).unwrap();
            assert_eq!(PbkdfParameters::from_bytes(&parameters.to_bytes()), Ok(parameters));
        }
    }

    /// Damage of salt and iterations yields other parameters; of anything else, none.
    #[test]
    fn damaged_parameters_are_refused_or_other_ones() {
        let bytes = PbkdfParameters::new(1000, &[7; 16]).unwrap().to_bytes();
        for at in 0..bytes.len() {
            for value in 0..=255 {
                let mut other = bytes;
                other[at] = value;
                match PbkdfParameters::from_bytes(&other) {
                    Ok(read) => assert_eq!(read.to_bytes(), other),
                    Err(error) => assert_ne!(value, bytes[at], "{error}"),
                }
            }
            assert_eq!(PbkdfParameters::from_bytes(&bytes[..at]), Err(PbkdfError::Encoding));
        }
        assert_eq!(PbkdfParameters::from_bytes(&[1; 39]), Err(PbkdfError::Encoding));
    }
}
