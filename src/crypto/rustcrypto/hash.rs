//! SHA-256.

use sha2::Digest;

use crate::crypto::{HASH_LEN, Sha256};

/// SHA-256; its state is wiped on drop.
#[derive(Clone, Debug, Default)]
pub struct Sha256State(sha2::Sha256);

impl Sha256 for Sha256State {
    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.0, data);
    }

    fn finish(self) -> [u8; HASH_LEN] {
        self.0.finalize().into()
    }
}
