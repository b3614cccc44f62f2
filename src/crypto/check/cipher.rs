//! AES-128-CCM.

use super::{CheckError, Primitive, vectors as v};
use crate::crypto::{
    Aead, Cipher, CryptoError, MIC_LEN, NONCE_LEN, OpenJob, OpenNonce, PrivacyNonce, SealJob,
    SealNonce, Secret,
};
use crate::ids::GroupSessionId;

/// Checks the AEAD part of a backend.
///
/// # Errors
/// [`CheckError`] for the first wrong answer.
pub fn cipher<B: Cipher + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let key = backend.aead(&Secret::new(v::CCM_KEY));
    seal(&key)?;
    open(&key)?;
    open_by_trial(&key)?;
    privacy(&backend.aead(&Secret::new(v::PRIVACY_KEY)))?;
    once(backend)?;
    let short = backend.aead(&Secret::new(v::SHORT_KEY));
    seal_batch(backend, &key, &short)?;
    open_batch(backend, &key, &short)
}

#[inline(never)]
fn seal<K: Aead>(key: &K) -> Result<(), CheckError> {
    let mut text = v::CCM_TEXT;
    let mic = key.seal(SealNonce::fixed(&v::CCM_NONCE), &v::CCM_AAD, &mut text);
    Primitive::Seal.gives("integrity code", mic, &v::CCM_MIC)?;
    Primitive::Seal.holds("text", text == v::CCM_SEALED)
}

/// What differs from the message that was sealed.
const FORGERIES: [(&str, Forgery); 5] = [
    ("first byte of the integrity code altered", |_, _, _, mic| mic[0] ^= 0x80),
    ("last byte of the integrity code altered", |_, _, _, mic| mic[MIC_LEN - 1] ^= 1),
    ("text altered", |_, _, text, _| text[0] ^= 1),
    ("associated data altered", |_, aad, _, _| aad[0] ^= 1),
    ("nonce altered", |nonce, _, _, _| nonce[NONCE_LEN - 1] ^= 1),
];

type Forgery = fn(&mut [u8; NONCE_LEN], &mut [u8; 8], &mut [u8; 70], &mut [u8; MIC_LEN]);

#[inline(never)]
fn open<K: Aead>(key: &K) -> Result<(), CheckError> {
    let mut text = v::CCM_SEALED;
    let opened = key.open(OpenNonce::fixed(&v::CCM_NONCE), &v::CCM_AAD, &mut text, &v::CCM_MIC);
    Primitive::Open.gives("a message", opened.map(|()| text), &v::CCM_TEXT)?;
    for (case, forge) in FORGERIES {
        let (mut nonce, mut aad) = (v::CCM_NONCE, v::CCM_AAD);
        let (mut text, mut mic) = (v::CCM_SEALED, v::CCM_MIC);
        forge(&mut nonce, &mut aad, &mut text, &mut mic);
        let opened = key.open(OpenNonce::fixed(&nonce), &aad, &mut text, &mic);
        Primitive::Open.refuses(case, opened, CryptoError::Unauthentic)?;
    }
    Ok(())
}

#[inline(never)]
fn open_by_trial<K: Aead>(key: &K) -> Result<(), CheckError> {
    let mut text = v::CCM_SEALED;
    let nonce = OpenNonce::fixed(&v::CCM_NONCE);
    let opened = key.open_by_trial(nonce, &v::CCM_AAD, &mut text, &[0; MIC_LEN]);
    Primitive::OpenByTrial.refuses("a forgery", opened, CryptoError::Unauthentic)?;
    Primitive::OpenByTrial.holds("text of a forgery restored", text == v::CCM_SEALED)?;
    let opened = key.open_by_trial(nonce, &v::CCM_AAD, &mut text, &v::CCM_MIC);
    Primitive::OpenByTrial.gives("a message", opened.map(|()| text), &v::CCM_TEXT)
}

#[inline(never)]
fn privacy<K: Aead>(key: &K) -> Result<(), CheckError> {
    let nonce = PrivacyNonce::new(GroupSessionId::new(v::PRIVACY_SESSION), &v::SHORT_MIC);
    let mut header = v::PRIVACY_CLEAR;
    let done = key.apply_privacy(nonce, &mut header);
    Primitive::Privacy.gives("obfuscation", done.map(|()| header), &v::PRIVACY_HIDDEN)?;
    let done = key.apply_privacy(nonce, &mut header);
    Primitive::Privacy.gives("undone", done.map(|()| header), &v::PRIVACY_CLEAR)
}

#[inline(never)]
fn once<B: Cipher + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let key = Secret::new(v::ONCE_KEY);
    let nonce = b"NCASE_Sigma2N";
    let mut text = v::ONCE_TEXT;
    let mic = backend.seal_once(&key, SealNonce::fixed(nonce), &[], &mut text);
    Primitive::SealOnce.gives("integrity code", mic, &v::ONCE_MIC)?;
    Primitive::SealOnce.holds("text", text == v::ONCE_SEALED)?;
    let mic = backend.seal_once(&key, SealNonce::fixed(b"NCASE_SigmaS1"), &[], &mut []);
    Primitive::SealOnce.gives("no text", mic, &v::EMPTY_MIC)?;

    let nonce = OpenNonce::fixed(nonce);
    let opened = backend.open_once(&key, nonce, &[], &mut text, &v::ONCE_MIC);
    Primitive::OpenOnce.gives("a text", opened.map(|()| text), &v::ONCE_TEXT)?;
    let mut text = v::ONCE_SEALED;
    let opened = backend.open_once(&key, nonce, &[], &mut text, &[0; MIC_LEN]);
    Primitive::OpenOnce.refuses("a forgery", opened, CryptoError::Unauthentic)?;
    let nonce = OpenNonce::fixed(b"NCASE_SigmaS1");
    let opened = backend.open_once(&key, nonce, &[], &mut [], &v::ONCE_MIC);
    Primitive::OpenOnce.refuses("a forgery without text", opened, CryptoError::Unauthentic)
}

#[inline(never)]
fn seal_batch<B: Cipher + ?Sized>(
    backend: &B,
    long: &B::Aead,
    short: &B::Aead,
) -> Result<(), CheckError> {
    let (mut first, mut second, mut third) = (v::CCM_TEXT, v::SHORT_TEXT, v::CCM_TEXT);
    let nonce = SealNonce::fixed;
    let mut jobs = [
        SealJob::new(long, nonce(&v::CCM_NONCE), &v::CCM_AAD, &mut first),
        SealJob::new(short, nonce(&v::SHORT_NONCE), &v::SHORT_AAD, &mut second),
        SealJob::new(long, nonce(&v::CCM_NONCE), &v::CCM_AAD, &mut third),
    ];
    backend.seal_batch(&mut jobs);
    for (job, mic) in jobs.iter().zip([&v::CCM_MIC, &v::SHORT_MIC, &v::CCM_MIC]) {
        Primitive::SealBatch.gives("integrity codes", job.result(), mic)?;
    }
    let right = first == v::CCM_SEALED && second == v::SHORT_SEALED && third == v::CCM_SEALED;
    Primitive::SealBatch.holds("texts", right)
}

#[inline(never)]
fn open_batch<B: Cipher + ?Sized>(
    backend: &B,
    long: &B::Aead,
    short: &B::Aead,
) -> Result<(), CheckError> {
    let (mut first, mut second, mut third) = (v::CCM_SEALED, v::SHORT_SEALED, v::CCM_SEALED);
    let nonce = OpenNonce::fixed;
    let mut jobs = [
        OpenJob::new(long, nonce(&v::CCM_NONCE), &v::CCM_AAD, &mut first, &v::CCM_MIC),
        OpenJob::new(short, nonce(&v::SHORT_NONCE), &v::SHORT_AAD, &mut second, &v::SHORT_MIC),
        OpenJob::new(long, nonce(&v::CCM_NONCE), &v::CCM_AAD, &mut third, &v::SHORT_MIC),
    ];
    backend.open_batch(&mut jobs);
    let [one, two, forged] = jobs.each_ref().map(OpenJob::result);
    Primitive::OpenBatch.gives("a message", one.map(|()| first), &v::CCM_TEXT)?;
    Primitive::OpenBatch.gives("a short message", two.map(|()| second), &v::SHORT_TEXT)?;
    Primitive::OpenBatch.refuses("a forgery among others", forged, CryptoError::Unauthentic)
}
