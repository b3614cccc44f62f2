//! Hashing what is encoded, while it is encoded.

use super::{HASH_LEN, Sha256};
use crate::bytes::{Overflow, Sink};

/// A [`Sink`] that hashes what is put into it, so that nothing needs to be buffered to be hashed.
#[derive(Clone, Debug)]
pub struct HashSink<H>(H);

impl<H: Sha256> HashSink<H> {
    /// Goes on hashing with `hash`.
    pub const fn new(hash: H) -> Self {
        Self(hash)
    }

    /// Returns the digest of all that was put.
    pub fn finish(self) -> [u8; HASH_LEN] {
        self.0.finish()
    }
}

impl<H: Sha256> Sink for HashSink<H> {
    /// Never overflows.
    fn put(&mut self, octets: &[u8]) -> Result<(), Overflow> {
        self.0.update(octets);
        Ok(())
    }
}
