//! SHA-256, HMAC, HKDF, PBKDF2.

use super::{CheckError, Primitive, vectors as v};
use crate::crypto::{HASH_LEN, Hashing, Secret, Sha256};

/// Checks the hashing part of a backend.
///
/// # Errors
/// [`CheckError`] for the first wrong answer.
pub fn hashing<B: Hashing + ?Sized>(backend: &B) -> Result<(), CheckError> {
    sha256(backend)?;
    hmac(backend)?;
    hkdf(backend)?;
    pbkdf2(backend)
}

#[inline(never)]
fn sha256<B: Hashing + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let mut hash = backend.sha256();
    hash.update(b"abc");
    Primitive::Sha256.holds("one block", hash.finish() == v::SHA_ABC)?;
    // A transcript is read while it grows.
    let mut hash = backend.sha256();
    let (abc, rest) = v::SHA_LONG_TEXT.split_at(3);
    hash.update(abc);
    let so_far = hash.clone();
    hash.update(&[]);
    hash.update(rest);
    Primitive::Sha256.holds("two blocks in parts", hash.finish() == v::SHA_LONG)?;
    Primitive::Sha256.holds("a clone", so_far.finish() == v::SHA_ABC)
}

#[inline(never)]
fn hmac<B: Hashing + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let parts: [&[u8]; 3] = [b"what do ya want ", b"", b"for nothing?"];
    Primitive::Hmac.gives("short key", backend.hmac(b"Jefe", &parts), &v::HMAC_JEFE)?;
    let parts: [&[u8]; 1] = [b"Test Using Larger Than Block-Size Key - Hash Key First"];
    Primitive::Hmac.gives("long key", backend.hmac(&[0xAA; 131], &parts), &v::HMAC_LONG_KEY)
}

#[inline(never)]
fn hkdf<B: Hashing + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let salt: [u8; 13] = core::array::from_fn(|n| n.to_le_bytes()[0]);
    let info: [u8; 10] = core::array::from_fn(|n| 0xF0 | n.to_le_bytes()[0]);
    let mut out = [0; 42];
    let done = backend.hkdf(&[0x0B; 22], &salt, &info, &mut out);
    Primitive::Hkdf.gives("salt and info", done.map(|()| out), &v::HKDF_1)?;
    let done = backend.hkdf(&[0x0B; 22], &[], &[], &mut out);
    Primitive::Hkdf.gives("no salt and no info", done.map(|()| out), &v::HKDF_3)
}

#[inline(never)]
fn pbkdf2<B: Hashing + ?Sized>(backend: &B) -> Result<(), CheckError> {
    let mut out = [0; 64];
    let done = backend.pbkdf2(b"passwd", b"salt", 1, &mut out);
    Primitive::Pbkdf2.gives("one iteration", done.map(|()| out), &v::PBKDF2_1)?;
    let mut out = [0; 80];
    let done = backend.pbkdf2(&20_202_021_u32.to_le_bytes(), b"SPAKE2P Key Salt", 3, &mut out);
    Primitive::Pbkdf2.gives("a passcode", done.map(|()| out), &v::PBKDF2_3)?;
    // The same in two parts.
    let password = 20_202_021_u32.to_le_bytes();
    let first = backend.hmac(&password, &[b"SPAKE2P Key Salt", &[0, 0, 0, 1]]);
    let done = first.and_then(|first| {
        let (mut last, mut sum) = (Secret::new(first), Secret::new(first));
        backend.pbkdf2_rounds(&password, 1, &mut last, &mut sum)?;
        backend.pbkdf2_rounds(&password, 1, &mut last, &mut sum)?;
        Ok(*sum.as_bytes())
    });
    let block = v::PBKDF2_3.first_chunk::<HASH_LEN>();
    Primitive::Pbkdf2.holds("in parts", done.ok().as_ref() == block)
}
