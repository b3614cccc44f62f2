//! A crypto backend that records what is sealed, for all nodes and all their lives.

use core::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use matter_session::crypto::{
    Aead, Cipher, CryptoError, KEY_LEN, MIC_LEN, NONCE_LEN, OpenNonce, PrivacyNonce, SealNonce,
    Secret, Suite,
};

use crate::toy::{Toy, ToyAead};

/// The toy backend, watched.
pub type Backend = Suite<Recorder, Toy>;

/// What was sealed under each key and nonce.
#[derive(Debug, Default)]
pub struct Seals {
    messages: HashMap<([u8; KEY_LEN], [u8; NONCE_LEN]), Vec<u8>>,
    /// Whether a nonce was used for two messages.
    pub repeats: bool,
}

/// An AEAD whose keys record what they seal.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Rc<RefCell<Seals>>);

pub struct RecordedKey {
    inner: ToyAead<false>,
    key: [u8; KEY_LEN],
    seals: Rc<RefCell<Seals>>,
}

/// A backend that records into `seals`.
pub fn backend(seals: &Rc<RefCell<Seals>>) -> Backend {
    Suite::of(Toy).with_cipher(Recorder(Rc::clone(seals)))
}

impl Cipher for Recorder {
    type Aead = RecordedKey;

    fn aead(&self, key: &Secret<KEY_LEN>) -> RecordedKey {
        let inner = Toy::<false>.aead(key);
        RecordedKey { inner, key: *key.as_bytes(), seals: Rc::clone(&self.0) }
    }
}

impl Aead for RecordedKey {
    fn seal(
        &self,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        let message = [aad, in_out].concat();
        let mut seals = self.seals.borrow_mut();
        let before = seals.messages.insert((self.key, *nonce.as_bytes()), message.clone());
        seals.repeats |= before.is_some_and(|before| before != message);
        self.inner.seal(nonce, aad, in_out)
    }

    fn open(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.inner.open(nonce, aad, in_out, mic)
    }

    fn open_by_trial(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.inner.open_by_trial(nonce, aad, in_out, mic)
    }

    fn apply_privacy(&self, nonce: PrivacyNonce, in_out: &mut [u8]) -> Result<(), CryptoError> {
        self.inner.apply_privacy(nonce, in_out)
    }
}
