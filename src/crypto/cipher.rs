//! The AEAD part of a backend.

use super::aead::Aead;
use super::batch::{OpenJob, SealJob};
use super::error::CryptoError;
use super::nonce::{MIC_LEN, OpenNonce, SealNonce};
use super::secret::Secret;

/// Length of an AES-128 key in bytes.
pub const KEY_LEN: usize = 16;

/// The AEAD part of a [`Crypto`](super::Crypto) backend: makes AES-128-CCM keys.
///
/// [Core, "Data Confidentiality and Integrity"]. One type and two methods are required: the key
/// handle with [`Aead::seal`] and [`Aead::open`], and [`aead`](Self::aead), which makes it.
///
/// This backend uses an AES accelerator, and
/// [`CompactRustCrypto`](super::CompactRustCrypto) for everything else:
///
#[cfg_attr(feature = "rustcrypto", doc = "```")]
#[cfg_attr(not(feature = "rustcrypto"), doc = "```ignore")]
/// use matter_session::crypto::*;
///
/// # /// Stands for the driver of the accelerator.
/// # #[derive(Debug)] struct Engine;
/// # impl Engine {
/// #     fn key(&self, k: &Secret<16>) -> AesCcmKey { CompactRustCrypto.aead(k) }
/// #     fn seal(&self, k: &Secret<16>, n: SealNonce, aad: &[u8], data: &mut [u8])
/// #         -> Option<[u8; 16]> {
/// #         self.key(k).seal(n, aad, data).ok()
/// #     }
/// #     fn open(&self, k: &Secret<16>, n: OpenNonce, aad: &[u8], data: &mut [u8], mic: &[u8; 16])
/// #         -> Option<bool> {
/// #         Some(self.key(k).open(n, aad, data, mic).is_ok())
/// #     }
/// # }
/// # static ENGINE: Engine = Engine;
/// /// The accelerator as the AEAD part of a backend.
/// #[derive(Clone, Copy, Debug, Default)]
/// struct HwAes;
///
/// /// The key handle keeps the key: the engine has fewer key slots than the node has sessions.
/// struct HwKey(Secret<KEY_LEN>);
///
/// impl Cipher for HwAes {
///     type Aead = HwKey;
///
///     fn aead(&self, key: &Secret<KEY_LEN>) -> HwKey {
///         HwKey(key.clone())
///     }
/// }
///
/// impl Aead for HwKey {
///     fn seal(&self, nonce: SealNonce, aad: &[u8], in_out: &mut [u8])
///     -> Result<[u8; MIC_LEN], CryptoError> {
///         ENGINE.seal(&self.0, nonce, aad, in_out).ok_or(CryptoError::Backend)
///     }
///
///     fn open(&self, nonce: OpenNonce, aad: &[u8], in_out: &mut [u8], mic: &[u8; MIC_LEN])
///     -> Result<(), CryptoError> {
///         let authentic = ENGINE.open(&self.0, nonce, aad, in_out, mic);
///         authentic.ok_or(CryptoError::Backend)?.then_some(()).ok_or(CryptoError::Unauthentic)
///     }
/// }
///
/// type Backend = Suite<HwAes, CompactRustCrypto>;
///
/// check::run(&Backend::default())?;
/// # Ok::<(), check::CheckError>(())
/// ```
pub trait Cipher {
    /// A ready AES-128-CCM key; wiped on drop.
    type Aead: Aead;

    /// Prepares an AES-128-CCM key for a session.
    ///
    /// This cannot fail, because a session lives longer than any key slot and there are more
    /// sessions than slots: a backend whose keys must be loaded keeps the key in the handle, loads
    /// it when the handle is used, and reports a failure there.
    fn aead(&self, key: &Secret<KEY_LEN>) -> Self::Aead;

    /// Seals one text under a key that is used once, for handshakes and Check-In messages.
    ///
    /// The default makes a key handle and drops it. Messages of sessions do not use this.
    ///
    /// # Errors
    /// As for [`Aead::seal`].
    fn seal_once(
        &self,
        key: &Secret<KEY_LEN>,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        self.aead(key).seal(nonce, aad, in_out)
    }

    /// Opens one text under a key that is used once. See [`seal_once`](Self::seal_once).
    ///
    /// # Errors
    /// As for [`Aead::open`].
    fn open_once(
        &self,
        key: &Secret<KEY_LEN>,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.aead(key).open(nonce, aad, in_out, mic)
    }

    /// Seals a batch of messages under many keys. Backends may interleave them.
    ///
    /// A failure is reported in the result of each job.
    fn seal_batch(&self, jobs: &mut [SealJob<'_, Self::Aead>]) {
        for job in jobs {
            job.run();
        }
    }

    /// Opens a batch of messages under many keys. Backends may interleave them.
    ///
    /// A failure is reported in the result of each job.
    fn open_batch(&self, jobs: &mut [OpenJob<'_, Self::Aead>]) {
        for job in jobs {
            job.run();
        }
    }
}
