//! Keys that many nodes of a fabric share.

use super::CompressedFabricId;
use crate::crypto::{Crypto, CryptoError, KEY_LEN, Secret};

/// A group key, as an administrator installs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKey {
    /// The epoch key; the operational key is derived from it.
    EpochKey(Secret<KEY_LEN>),
    /// The operational key itself, if only that was stored.
    OperationalKey(Secret<KEY_LEN>),
}

impl GroupKey {
    /// Returns the operational key on a fabric: what is to be stored, as the epoch key is not
    /// needed again. [Core, "Operational Group Key Derivation"]
    ///
    /// # Errors
    /// [`CryptoError`] if the backend fails.
    pub fn operational<C: Crypto>(
        &self,
        crypto: &C,
        fabric: CompressedFabricId,
    ) -> Result<Secret<KEY_LEN>, CryptoError> {
        let mut key = Secret::zero();
        self.derive(crypto, fabric, &mut key)?;
        Ok(key)
    }

    /// Writes the operational key on a fabric to its place, so that no copy is left elsewhere.
    pub(crate) fn derive<C: Crypto>(
        &self,
        crypto: &C,
        fabric: CompressedFabricId,
        to: &mut Secret<KEY_LEN>,
    ) -> Result<(), CryptoError> {
        let to = to.as_mut_bytes();
        match self {
            Self::OperationalKey(key) => *to = *key.as_bytes(),
            Self::EpochKey(epoch) => {
                crypto.hkdf(epoch.as_bytes(), fabric.as_bytes(), b"GroupKey v1.0", to)?;
            }
        }
        Ok(())
    }
}

/// When a group key begins to be used for sending, in microseconds since 2000-01-01T00:00:00Z.
/// Receivers accept it at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EpochStart(u64);

impl EpochStart {
    /// Never: the key is neither sent with nor accepted.
    pub const DISABLED: Self = Self(u64::MAX);

    /// Makes the time this number of microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the number of microseconds after the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns true if the key has begun at this calendar time, in seconds after the epoch.
    pub(crate) const fn is_past(self, wall: u32) -> bool {
        // Not by a division: on microcontrollers one of 64 bits takes 900 bytes of flash.
        self.0 < (wall as u64 + 1) * 1_000_000
    }
}

/// A group key and when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEpoch {
    /// The key.
    pub key: GroupKey,
    /// Its start.
    pub start: EpochStart,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_begins_in_the_second_of_its_start() {
        for start in [0, 1, 999_999, 1_000_000, 1_000_001, 1_999_999, u64::MAX] {
            for wall in [0, 1, 2, u32::MAX] {
                let begun = EpochStart::from_micros(start).is_past(wall);
                assert_eq!(begun, start / 1_000_000 <= u64::from(wall), "{start} at {wall}");
            }
        }
    }
}
