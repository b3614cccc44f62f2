//! The key block of a secure session.
//!
//! ```text
//! HKDF-SHA256(secret, salt, info) -> I2R key (16) || R2I key (16) || attestation challenge (16)
//! ```

use crate::crypto::{Crypto, CryptoError, KEY_LEN, Secret};

/// The 48 bytes of a session's keys, between the handshake and the session.
/// [Core, "Session Keys"]
#[derive(Debug)]
#[doc(alias = "I2RKey")]
#[doc(alias = "R2IKey")]
pub struct SessionKeys(Secret<48>);

impl SessionKeys {
    /// Derives the keys.
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    pub(crate) fn derive<C: Crypto>(
        crypto: &C,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
    ) -> Result<Self, CryptoError> {
        let mut block = Secret::zero();
        crypto.hkdf(secret, salt, info, block.as_mut_bytes())?;
        Ok(Self(block))
    }

    /// Known keys, for [`hazmat`](super::hazmat).
    pub(super) fn from_bytes(block: &[u8; 48]) -> Self {
        Self(Secret::from(block))
    }

    /// Returns what the initiator encrypts with.
    pub(crate) fn i2r(&self) -> Secret<KEY_LEN> {
        self.part(0)
    }

    /// Returns what the responder encrypts with.
    pub(crate) fn r2i(&self) -> Secret<KEY_LEN> {
        self.part(1)
    }

    pub(crate) fn attestation_challenge(&self) -> Secret<16> {
        self.part(2)
    }

    fn part(&self, index: usize) -> Secret<16> {
        let mut part = Secret::zero();
        let (chunks, _) = self.0.as_bytes().as_chunks();
        if let Some(chunk) = chunks.get(index) {
            *part.as_mut_bytes() = *chunk;
        }
        part
    }
}

#[cfg(all(test, feature = "rustcrypto"))]
#[allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "tests have std and panic")]
mod tests {
    use std::vec::Vec;
    use std::{env, fs, println};

    use serde_json::Value;

    use super::*;
    use crate::crypto::RustCrypto;

    fn hex(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        let octet = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(octet).collect()
    }

    fn check(secret: &Value, salt: &Value, info: &[u8], parts: [&Value; 3]) {
        let keys = SessionKeys::derive(&RustCrypto, &hex(secret), &hex(salt), info).unwrap();
        let derived = [keys.i2r(), keys.r2i(), keys.attestation_challenge()];
        for (derived, expected) in derived.iter().zip(parts) {
            assert_eq!(derived.as_bytes()[..], hex(expected)[..]);
        }
        assert_eq!(std::format!("{keys:?}"), "SessionKeys(Secret(..))");
    }

    #[test]
    fn matterjs_session_keys() {
        let all: Value = serde_json::from_str(VECTORS).unwrap();
        let vectors = all["sessionKeys"].as_array().unwrap();
        assert_eq!(vectors.len(), 3);
        for v in vectors {
            let info = v["info"].as_str().unwrap().as_bytes();
            check(
                &v["inputKey"],
                &v["salt"],
                info,
                [&v["i2r"], &v["r2i"], &v["attestationChallenge"]],
            );
        }
    }

    #[test]
    fn chip_session_keys() {
        let Ok(path) = env::var("MATTER_CHIP_VECTORS") else {
            println!("skipped: MATTER_CHIP_VECTORS is not set");
            return;
        };
        let text = fs::read_to_string(path).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        for v in all["session_key_derivation"]["derive_session_keys"].as_array().unwrap() {
            let parts = [&v["i2r_key"], &v["r2i_key"], &v["attestation_challenge"]];
            check(&v["secret"], &v["salt"], &hex(&v["info"]), parts);
        }
    }

    const VECTORS: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/matterjs.json"));
}
