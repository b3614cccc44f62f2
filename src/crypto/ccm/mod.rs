//! AES-128-CCM as Matter has it: nonces of 13 bytes, integrity codes of 16.
//! [Core, "Authenticated Encryption with Associated Data"; NIST SP 800-38C; RFC 3610]

pub(super) mod batch;
mod kernel;

use aes::Aes128Enc;
use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit,
};
use subtle::ConstantTimeEq;

use self::kernel::{AadBlocks, Direction, State, WIDE, is_bitsliced};
use super::{
    Aead, CryptoError, KEY_LEN, MIC_LEN, NONCE_LEN, OpenNonce, PrivacyNonce, SealNonce, Secret,
};

/// Associated data of more bytes would have its length encoded otherwise; headers never have.
const MAX_AAD: u16 = 0xFEFF;

/// An AES-128-CCM key schedule, wiped on drop.
pub struct AesCcm(Aes128Enc);

impl From<&Secret<KEY_LEN>> for AesCcm {
    fn from(key: &Secret<KEY_LEN>) -> Self {
        Self(Aes128Enc::new(key.as_bytes().into()))
    }
}

impl core::fmt::Debug for AesCcm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("AesCcm(..)")
    }
}

impl Aead for AesCcm {
    fn seal(
        &self,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        self.crypt(nonce.as_bytes(), aad, in_out, Direction::Seal)
    }

    fn open(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        let expected = self.crypt(nonce.as_bytes(), aad, in_out, Direction::Open)?;
        verify(&expected, mic, in_out)
    }

    fn open_by_trial(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        let expected = self.crypt(nonce.as_bytes(), aad, in_out, Direction::Open)?;
        if is_same(&expected, mic) {
            return Ok(());
        }
        // The same key stream once more.
        self.crypt(nonce.as_bytes(), aad, in_out, Direction::Seal)?;
        Err(CryptoError::Unauthentic)
    }

    fn apply_privacy(&self, nonce: PrivacyNonce, in_out: &mut [u8]) -> Result<(), CryptoError> {
        let (_, text_len) = lengths(&[], in_out)?;
        self.0.encrypt_with_backend(KeyStream { nonce, text: in_out, text_len });
        Ok(())
    }
}

impl AesCcm {
    /// Encrypts or decrypts in place; the integrity code as it should be.
    fn crypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
        direction: Direction,
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        let (aad_len, text_len) = lengths(aad, text)?;
        let mut tag = [0; MIC_LEN];
        self.0.encrypt_with_backend(Message {
            nonce,
            aad,
            aad_len,
            text,
            text_len,
            direction,
            tag: &mut tag,
        });
        Ok(tag)
    }
}

/// An AES-128-CCM key, expanded at each use, wiped on drop.
#[derive(Debug)]
pub struct AesCcmKey(Secret<KEY_LEN>);

impl From<&Secret<KEY_LEN>> for AesCcmKey {
    fn from(key: &Secret<KEY_LEN>) -> Self {
        Self(key.clone())
    }
}

impl Aead for AesCcmKey {
    fn seal(
        &self,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        AesCcm::from(&self.0).seal(nonce, aad, in_out)
    }

    fn open(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        AesCcm::from(&self.0).open(nonce, aad, in_out, mic)
    }

    fn open_by_trial(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        AesCcm::from(&self.0).open_by_trial(nonce, aad, in_out, mic)
    }

    fn apply_privacy(&self, nonce: PrivacyNonce, in_out: &mut [u8]) -> Result<(), CryptoError> {
        AesCcm::from(&self.0).apply_privacy(nonce, in_out)
    }
}

/// Returns the lengths of associated data and text, if they can be encoded in two bytes each.
#[inline(always)]
pub(super) fn lengths(aad: &[u8], text: &[u8]) -> Result<(u16, u16), CryptoError> {
    match (u16::try_from(aad.len()), u16::try_from(text.len())) {
        (Ok(aad), Ok(text)) if aad <= MAX_AAD => Ok((aad, text)),
        _ => Err(CryptoError::TooLong),
    }
}

/// Compares integrity codes in constant time.
#[inline(always)]
fn is_same(expected: &[u8; MIC_LEN], mic: &[u8; MIC_LEN]) -> bool {
    // One comparison, where slices would be compared byte by byte.
    u128::from_ne_bytes(*expected).ct_eq(&u128::from_ne_bytes(*mic)).into()
}

/// Text that is not authentic is released to nobody.
#[inline(always)]
fn verify(
    expected: &[u8; MIC_LEN],
    mic: &[u8; MIC_LEN],
    text: &mut [u8],
) -> Result<(), CryptoError> {
    if is_same(expected, mic) {
        return Ok(());
    }
    text.fill(0);
    Err(CryptoError::Unauthentic)
}

/// The key stream alone.
struct KeyStream<'a> {
    nonce: PrivacyNonce,
    text: &'a mut [u8],
    text_len: u16,
}

impl BlockSizeUser for KeyStream<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for KeyStream<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut state = State::new(self.nonce.as_bytes(), self.text_len, Direction::Seal);
        for part in self.text.chunks_mut(32) {
            state.stream_two(backend, part);
        }
    }
}

/// A message by itself, in the function compiled for the instructions at hand.
struct Message<'a> {
    nonce: &'a [u8; NONCE_LEN],
    aad: &'a [u8],
    aad_len: u16,
    text: &'a mut [u8],
    text_len: u16,
    direction: Direction,
    tag: &'a mut [u8; MIC_LEN],
}

impl BlockSizeUser for Message<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Message<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut state = State::new(self.nonce, self.text_len, self.direction);
        state.begin(backend, self.aad_len);
        for block in AadBlocks::new(self.aad, self.aad_len) {
            state.associate(backend, block);
        }
        if is_bitsliced::<B>() && !WIDE {
            // A microcontroller: one loop is less code, and what it adds is little beside this AES.
            for part in self.text.chunks_mut(16) {
                state.tail(backend, part);
            }
        } else {
            let (blocks, tail) = self.text.as_chunks_mut();
            for block in blocks {
                state.block(backend, block);
            }
            if !tail.is_empty() {
                state.tail(backend, tail);
            }
        }
        *self.tag = state.tag();
    }
}
