//! The hashing part of a backend: SHA-256, and what is computed from it.

use super::{CryptoError, Secret};

/// Length of a SHA-256 digest in bytes.
pub const HASH_LEN: usize = 32;
/// Length of a block of SHA-256 in bytes.
const BLOCK_LEN: usize = 64;
/// The longest output of HKDF in bytes.
pub(super) const MAX_HKDF_LEN: usize = 255 * HASH_LEN;

/// The hashing part of a [`Crypto`](super::Crypto) backend: SHA-256, HMAC, HKDF and PBKDF2.
///
/// [Core, "Cryptographic Hash Function (Hash)"; "Password-Based Key Derivation Function (PBKDF)"].
/// SHA-256 is required. The others are computed from it, unless the backend has a faster way.
///
/// SHA-256 itself cannot fail: handshakes hash their transcripts while they write messages, and a
/// backend whose accelerator fails can compute the same digest in software.
pub trait Hashing {
    /// An incremental SHA-256; its state is wiped on drop.
    type Sha256: Sha256;

    /// Begins a SHA-256.
    fn sha256(&self) -> Self::Sha256;

    /// Computes HMAC-SHA256 over the concatenation of `parts`.
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; HASH_LEN], CryptoError> {
        Ok(HmacKey::new(self, key).compute(parts))
    }

    /// Computes HKDF-SHA256, extract and expand. [RFC 5869]
    ///
    /// The default takes the HMAC of this backend.
    ///
    /// # Errors
    /// [`CryptoError::TooLong`] when `out` exceeds 255 blocks; [`CryptoError::Backend`].
    fn hkdf(
        &self,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        if out.len() > MAX_HKDF_LEN {
            return Err(CryptoError::TooLong);
        }
        let key = Secret::new(self.hmac(salt, &[secret])?);
        let mut block = Secret::<HASH_LEN>::zero();
        for (number, part) in (1..=u8::MAX).zip(out.chunks_mut(HASH_LEN)) {
            let previous: &[u8] = if number == 1 { &[] } else { block.as_bytes() };
            block = Secret::new(self.hmac(key.as_bytes(), &[previous, info, &[number]])?);
            copy(part, block.as_bytes());
        }
        Ok(())
    }

    /// Computes iterations of PBKDF2-HMAC-SHA256: this many times, `last` becomes its HMAC under
    /// the password, and is added to `sum` by exclusive or. [RFC 8018]
    ///
    /// The crate asks for 512 of them at most, so that no call takes long: see
    /// [`pbkdf2`](Self::pbkdf2) for the whole. The default hashes the password once and takes
    /// SHA-256, not the HMAC, of this backend.
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    fn pbkdf2_rounds(
        &self,
        password: &[u8],
        rounds: u32,
        last: &mut Secret<HASH_LEN>,
        sum: &mut Secret<HASH_LEN>,
    ) -> Result<(), CryptoError> {
        let key = HmacKey::new(self, password);
        let mut next = Secret::zero();
        for _ in 0..rounds {
            *next.as_mut_bytes() = key.compute(&[last.as_bytes()]);
            *last.as_mut_bytes() = *next.as_bytes();
            for (sum, last) in sum.as_mut_bytes().iter_mut().zip(next.as_bytes()) {
                *sum ^= last;
            }
        }
        Ok(())
    }

    /// Computes PBKDF2-HMAC-SHA256 in one call, which can be long. [RFC 8018]
    ///
    /// [`Verifier::generate`](super::Verifier::generate) calls it. The default is made of the HMAC
    /// and the [rounds](Self::pbkdf2_rounds) of this backend.
    ///
    /// # Errors
    /// [`CryptoError::Backend`].
    fn pbkdf2(
        &self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        for (number, part) in (1_u32..).zip(out.chunks_mut(HASH_LEN)) {
            let mut last = Secret::new(self.hmac(password, &[salt, &number.to_be_bytes()])?);
            let mut sum = last.clone();
            self.pbkdf2_rounds(password, iterations.saturating_sub(1), &mut last, &mut sum)?;
            copy(part, sum.as_bytes());
        }
        Ok(())
    }
}

/// An incremental SHA-256, cloned to read the transcript so far.
pub trait Sha256: Clone {
    /// Appends to the hashed message.
    fn update(&mut self, data: &[u8]);

    /// Returns the digest of all that was appended.
    fn finish(self) -> [u8; HASH_LEN];
}

/// A key of HMAC: both hashes, each with its padded key hashed.
struct HmacKey<H> {
    inner: H,
    outer: H,
}

impl<H: Sha256> HmacKey<H> {
    fn new<B: Hashing<Sha256 = H> + ?Sized>(backend: &B, key: &[u8]) -> Self {
        let mut block = Secret::<BLOCK_LEN>::zero();
        if key.len() > BLOCK_LEN {
            let mut hash = backend.sha256();
            hash.update(key);
            copy(block.as_mut_bytes(), Secret::new(hash.finish()).as_bytes());
        } else {
            copy(block.as_mut_bytes(), key);
        }
        let mut padded = |pad: u8| {
            block.as_mut_bytes().iter_mut().for_each(|byte| *byte ^= pad);
            let mut hash = backend.sha256();
            hash.update(block.as_bytes());
            hash
        };
        let inner = padded(0x36);
        // Takes the first padding off and puts the second on.
        let outer = padded(0x36 ^ 0x5C);
        Self { inner, outer }
    }

    fn compute(&self, parts: &[&[u8]]) -> [u8; HASH_LEN] {
        let (mut inner, mut outer) = (self.inner.clone(), self.outer.clone());
        for part in parts {
            inner.update(part);
        }
        outer.update(&inner.finish());
        outer.finish()
    }
}

/// Copies as many bytes as both have.
fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
