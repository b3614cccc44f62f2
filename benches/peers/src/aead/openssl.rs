//! OpenSSL's `EVP_aes_128_ccm`: one context for each key, which gets nonce and tag anew.

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;

use super::{AAD, Messages, nonce};
use crate::harness::Contestant;

pub fn contestant<'a>(messages: &Messages, open: bool) -> Contestant<'a> {
    let key = move |key: &[u8; 16]| context(key, open).expect("OpenSSL has AES-128-CCM");
    if open {
        messages.singly("openssl", open, key, |context, n, text, tag| {
            opened(context, &nonce(n), text, tag).expect("opens");
        })
    } else {
        messages.singly("openssl", open, key, |context, n, text, tag| {
            let sealed = sealed(context, &nonce(n), text).expect("seals");
            assert_eq!(sealed, *tag);
        })
    }
}

fn context(key: &[u8; 16], open: bool) -> Result<CipherCtx, ErrorStack> {
    let (mut context, cipher) = (CipherCtx::new()?, Cipher::aes_128_ccm());
    if open {
        context.decrypt_init(Some(cipher), None, None)?;
        context.set_iv_length(13)?;
        context.set_tag_length(16)?;
        context.decrypt_init(None, Some(key), None)?;
    } else {
        context.encrypt_init(Some(cipher), None, None)?;
        context.set_iv_length(13)?;
        context.set_tag_length(16)?;
        context.encrypt_init(None, Some(key), None)?;
    }
    Ok(context)
}

fn sealed(context: &mut CipherCtx, nonce: &[u8], text: &mut [u8]) -> Result<[u8; 16], ErrorStack> {
    let mut tag = [0; 16];
    context.encrypt_init(None, None, Some(nonce))?;
    context.set_data_len(text.len())?;
    context.cipher_update(&AAD, None)?;
    context.cipher_update_inplace(text, text.len())?;
    context.tag(&mut tag)?;
    Ok(tag)
}

fn opened(
    context: &mut CipherCtx,
    nonce: &[u8],
    text: &mut [u8],
    tag: &[u8],
) -> Result<(), ErrorStack> {
    context.decrypt_init(None, None, Some(nonce))?;
    context.set_tag(tag)?;
    context.set_data_len(text.len())?;
    context.cipher_update(&AAD, None)?;
    // Checks the code, too.
    context.cipher_update_inplace(text, text.len())?;
    Ok(())
}
