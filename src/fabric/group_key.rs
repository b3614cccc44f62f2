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
        match self {
            Self::OperationalKey(key) => Ok(key.clone()),
            Self::EpochKey(epoch) => {
                let mut key = Secret::zero();
                let info = b"GroupKey v1.0";
                crypto.hkdf(epoch.as_bytes(), fabric.as_bytes(), info, key.as_mut_bytes())?;
                Ok(key)
            }
        }
    }
}
