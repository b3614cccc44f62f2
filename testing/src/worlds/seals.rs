//! A crypto backend that records what is sealed, for all nodes and all their lives.

use core::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use matter_session::crypto::{Cipher, KEY_LEN, NONCE_LEN, Secret, Suite};

use crate::observed::{Observed, Observer};
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

/// Records what one key seals.
pub struct Record {
    key: [u8; KEY_LEN],
    seals: Rc<RefCell<Seals>>,
}

/// A backend that records into `seals`.
pub fn backend(seals: &Rc<RefCell<Seals>>) -> Backend {
    Suite::of(Toy).with_cipher(Recorder(Rc::clone(seals)))
}

impl Cipher for Recorder {
    type Aead = Observed<ToyAead<false>, Record>;

    fn aead(&self, key: &Secret<KEY_LEN>) -> Self::Aead {
        let inner = Toy::<false>.aead(key);
        let observer = Record { key: *key.as_bytes(), seals: Rc::clone(&self.0) };
        Observed { inner, observer }
    }
}

impl Observer for Record {
    fn seals(&self, nonce: [u8; NONCE_LEN], aad: &[u8], text: &[u8]) {
        let message = [aad, text].concat();
        let mut seals = self.seals.borrow_mut();
        let before = seals.messages.insert((self.key, nonce), message.clone());
        seals.repeats |= before.is_some_and(|before| before != message);
    }
}
