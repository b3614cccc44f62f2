//! AWS-LC's `EVP_aead_aes_128_ccm_matter`. It has no safe interface.

use core::ptr::null_mut;

use aws_lc_sys::{
    EVP_AEAD_CTX, EVP_AEAD_CTX_free, EVP_AEAD_CTX_new, EVP_AEAD_CTX_open_gather,
    EVP_AEAD_CTX_seal_scatter, EVP_aead_aes_128_ccm_matter,
};

use super::{AAD, Messages, nonce};
use crate::harness::Contestant;

/// A key, ready; freed on drop.
struct Key(*mut EVP_AEAD_CTX);

impl Key {
    fn new(key: &[u8; 16]) -> Self {
        // SAFETY: the algorithm is a constant, and the key is as long as is said.
        let context =
            unsafe { EVP_AEAD_CTX_new(EVP_aead_aes_128_ccm_matter(), key.as_ptr(), key.len(), 16) };
        assert!(!context.is_null(), "AWS-LC has AES-128-CCM");
        Self(context)
    }

    fn seal(&mut self, nonce: &[u8; 13], text: &mut [u8]) -> [u8; 16] {
        let (mut tag, mut tag_len) = ([0; 16], 0);
        let at = text.as_mut_ptr();
        // SAFETY: the context lives, and every length is that of what is pointed to; text is
        // encrypted in place, which is allowed.
        let sealed = unsafe {
            EVP_AEAD_CTX_seal_scatter(
                self.0,
                at,
                tag.as_mut_ptr(),
                &mut tag_len,
                tag.len(),
                nonce.as_ptr(),
                nonce.len(),
                at,
                text.len(),
                null_mut(),
                0,
                AAD.as_ptr(),
                AAD.len(),
            )
        };
        assert_eq!((sealed, tag_len), (1, 16), "seals");
        tag
    }

    fn open(&mut self, nonce: &[u8; 13], text: &mut [u8], tag: &[u8; 16]) {
        let at = text.as_mut_ptr();
        // SAFETY: as in `seal`.
        let opened = unsafe {
            EVP_AEAD_CTX_open_gather(
                self.0,
                at,
                nonce.as_ptr(),
                nonce.len(),
                at,
                text.len(),
                tag.as_ptr(),
                tag.len(),
                AAD.as_ptr(),
                AAD.len(),
            )
        };
        assert_eq!(opened, 1, "opens");
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the context was made in `new` and is freed once.
        unsafe { EVP_AEAD_CTX_free(self.0) }
    }
}

pub fn contestant<'a>(messages: &Messages, open: bool) -> Contestant<'a> {
    if open {
        messages
            .singly("aws-lc", open, Key::new, |key, n, text, tag| key.open(&nonce(n), text, tag))
    } else {
        messages.singly("aws-lc", open, Key::new, |key, n, text, tag| {
            assert_eq!(key.seal(&nonce(n), text), *tag);
        })
    }
}
