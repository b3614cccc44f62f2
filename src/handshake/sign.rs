//! Signatures by the operational key, as a step that the caller completes.

use subtle::ConstantTimeEq;

use crate::crypto::{HASH_LEN, OperationalKey, SIGNATURE_LEN, SignError, Signature};
use crate::ids::FabricIndex;

/// A request for a signature. Complete it at once, or much later from another thread.
///
/// It can be answered once, and only the handshake that made it accepts the answer.
#[must_use = "the handshake waits until the request is completed"]
#[derive(Debug)]
pub struct SignRequest {
    digest: [u8; HASH_LEN],
    fabric: FabricIndex,
}

impl SignRequest {
    pub(crate) const fn new(digest: [u8; HASH_LEN], fabric: FabricIndex) -> Self {
        Self { digest, fabric }
    }

    /// Returns the SHA-256 digest to be signed with ECDSA on P-256.
    #[must_use]
    pub const fn digest(&self) -> &[u8; HASH_LEN] {
        &self.digest
    }

    /// Returns the fabric whose operational key must sign.
    #[must_use]
    pub const fn fabric(&self) -> FabricIndex {
        self.fabric
    }

    /// Returns true if this is the request for `digest`. The digest covers fresh keys of both sides,
    /// so no two handshakes share one.
    pub(crate) fn asks_for(&self, digest: &[u8; HASH_LEN]) -> bool {
        self.digest.ct_eq(digest).into()
    }

    /// Completes the request with the result of signing elsewhere.
    pub const fn complete(self, result: Result<Signature, SignError>) -> Signed {
        Signed { digest: self.digest, result }
    }

    /// Signs at once.
    pub fn sign_with(self, key: &mut (impl OperationalKey + ?Sized)) -> Signed {
        let result = key.sign_digest(&self.digest);
        self.complete(result)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for SignRequest {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "SignRequest(fabric {})", self.fabric);
    }
}

/// A completed [`SignRequest`].
#[must_use = "hand it to the handshake that asked for it"]
#[derive(Debug)]
pub struct Signed {
    digest: [u8; HASH_LEN],
    result: Result<Signature, SignError>,
}

impl Signed {
    /// Returns true if this answers the request for `digest`. The digest covers fresh keys of both
    /// sides, so no two handshakes share one.
    pub(crate) fn answers(&self, digest: &[u8; HASH_LEN]) -> bool {
        self.digest.ct_eq(digest).into()
    }

    pub(crate) fn signature(&self) -> Result<&[u8; SIGNATURE_LEN], SignError> {
        self.result.as_ref().map(Signature::as_bytes).map_err(|error| *error)
    }
}
