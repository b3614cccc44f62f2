//! The key schedule of CASE and its one-time keys.

use super::messages::{MAX_ENCRYPTED3_LEN, RANDOM_LEN, Sigma3, TbeData};
use crate::bytes::{Buffer, Counter, Sink};
use crate::crypto::{
    Crypto, CryptoError, HASH_LEN, KEY_LEN, MIC_LEN, NONCE_LEN, OneTimeKey, PUBLIC_KEY_LEN,
    PublicKey, Secret, Sha256,
};
use crate::handshake::{HandshakeError, SEKEYS_INFO};
use crate::session::ResumptionId;
use crate::session::SessionKeys;
use crate::tlv::{Tag, Writer};

/// HKDF info of S1RK, the key of the MIC in Sigma1.
#[doc(alias = "KDFSR1_KEY_INFO")]
pub const S1RK_INFO: &[u8] = b"Sigma1_Resume";
/// HKDF info of S2RK, the key of the MIC in Sigma2Resume.
#[doc(alias = "KDFSR2_KEY_INFO")]
pub const S2RK_INFO: &[u8] = b"Sigma2_Resume";
/// HKDF info of S2K, the key of TBEData2.
#[doc(alias = "KDFSR2_INFO")]
pub const S2K_INFO: &[u8] = b"Sigma2";
/// HKDF info of S3K, the key of TBEData3.
#[doc(alias = "KDFSR3_INFO")]
pub const S3K_INFO: &[u8] = b"Sigma3";
/// HKDF info of the session keys of a resumed session: `RSEKeys_Info`.
pub const RSEKEYS_INFO: &[u8] = b"SessionResumptionKeys";
/// Nonce of TBEData2.
pub const TBE_DATA2_NONCE: &[u8; NONCE_LEN] = b"NCASE_Sigma2N";
/// Nonce of TBEData3.
pub const TBE_DATA3_NONCE: &[u8; NONCE_LEN] = b"NCASE_Sigma3N";
/// Nonce of the MIC in Sigma1.
pub const RESUME1_MIC_NONCE: &[u8; NONCE_LEN] = b"NCASE_SigmaS1";
/// Nonce of the MIC in Sigma2Resume.
pub const RESUME2_MIC_NONCE: &[u8; NONCE_LEN] = b"NCASE_SigmaS2";

/// S2K from the transcript up to Sigma1.
pub(super) fn s2k<C: Crypto>(
    crypto: &C,
    shared: &Secret<32>,
    ipk: &Secret<KEY_LEN>,
    responder_random: &[u8; RANDOM_LEN],
    responder_key: &PublicKey,
    sigma1: &C::Sha256,
) -> Result<OneTimeKey, CryptoError> {
    let mut salt = Salt::new();
    salt.push(ipk.as_bytes());
    salt.push(responder_random);
    salt.push(responder_key.as_bytes());
    salt.push(&so_far(sigma1));
    OneTimeKey::derive(crypto, shared.as_bytes(), salt.as_bytes(), S2K_INFO)
}

/// S3K from the transcript up to Sigma2.
pub(super) fn s3k<C: Crypto>(
    crypto: &C,
    shared: &Secret<32>,
    ipk: &Secret<KEY_LEN>,
    transcript: &C::Sha256,
) -> Result<OneTimeKey, CryptoError> {
    let salt = ipk_and_hash(ipk, so_far(transcript));
    OneTimeKey::derive(crypto, shared.as_bytes(), salt.as_bytes(), S3K_INFO)
}

/// Returns the session keys from the whole transcript.
pub(super) fn session_keys<C: Crypto>(
    crypto: &C,
    shared: &Secret<32>,
    ipk: &Secret<KEY_LEN>,
    transcript: &C::Sha256,
) -> Result<SessionKeys, CryptoError> {
    let salt = ipk_and_hash(ipk, so_far(transcript));
    SessionKeys::derive(crypto, shared.as_bytes(), salt.as_bytes(), SEKEYS_INFO)
}

/// The session keys of a resumption. `id` is the one that Sigma1 named, not the new one.
pub(super) fn resumed_session_keys<C: Crypto>(
    crypto: &C,
    shared: &Secret<32>,
    initiator_random: &[u8; RANDOM_LEN],
    id: &ResumptionId,
) -> Result<SessionKeys, CryptoError> {
    let salt = random_and_id(initiator_random, id);
    SessionKeys::derive(crypto, shared.as_bytes(), salt.as_bytes(), RSEKEYS_INFO)
}

/// Which of the two resumption MICs.
#[derive(Clone, Copy, Debug)]
pub(super) enum ResumeMic {
    /// The initiator's, in Sigma1, over the id it wants to resume.
    Sigma1,
    /// The responder's, in Sigma2Resume, over the new id.
    Sigma2,
}

impl ResumeMic {
    const fn labels(self) -> (&'static [u8], &'static [u8; NONCE_LEN]) {
        match self {
            Self::Sigma1 => (S1RK_INFO, RESUME1_MIC_NONCE),
            Self::Sigma2 => (S2RK_INFO, RESUME2_MIC_NONCE),
        }
    }

    pub(super) fn make<C: Crypto>(
        self,
        crypto: &C,
        shared: &Secret<32>,
        initiator_random: &[u8; RANDOM_LEN],
        id: &ResumptionId,
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        let (info, nonce) = self.labels();
        let salt = random_and_id(initiator_random, id);
        OneTimeKey::derive(crypto, shared.as_bytes(), salt.as_bytes(), info)?.seal(
            crypto,
            nonce,
            &mut [],
        )
    }

    pub(super) fn verify<C: Crypto>(
        self,
        crypto: &C,
        shared: &Secret<32>,
        initiator_random: &[u8; RANDOM_LEN],
        id: &ResumptionId,
        mic: &[u8; MIC_LEN],
    ) -> Result<ResumptionVerified, CryptoError> {
        let (info, nonce) = self.labels();
        let salt = random_and_id(initiator_random, id);
        OneTimeKey::derive(crypto, shared.as_bytes(), salt.as_bytes(), info)?
            .open(crypto, nonce, &mut [], mic)
            .map(|()| ResumptionVerified(()))
    }
}

/// Proof that the peer holds the resumption record.
#[derive(Debug)]
pub(super) struct ResumptionVerified(());

/// Decrypts the encrypted part of Sigma2 or Sigma3 in place and returns the plaintext.
pub(crate) fn open_tbe<'m, C: Crypto>(
    crypto: &C,
    key: OneTimeKey,
    nonce: &[u8; NONCE_LEN],
    encrypted: &'m mut [u8],
) -> Result<&'m [u8], HandshakeError> {
    let (ciphertext, mic) =
        encrypted.split_last_chunk_mut::<MIC_LEN>().ok_or(HandshakeError::Undecryptable)?;
    key.open(crypto, nonce, ciphertext, mic).map_err(|_| HandshakeError::Undecryptable)?;
    Ok(ciphertext)
}

/// Returns true if a Sigma3 was encrypted with this key. Not inlined: the copy leaves the stack
/// before certificates are verified.
#[inline(never)]
pub(super) fn opens_sigma3<C: Crypto>(crypto: &C, key: OneTimeKey, payload: &[u8]) -> bool {
    let opens = || {
        let encrypted = payload.get(Sigma3::parse(payload).ok()?.encrypted)?;
        // Wiped when it is dropped: it is decrypted here.
        let mut copy = Secret::<MAX_ENCRYPTED3_LEN>::zero();
        let copy = copy.as_mut_bytes().get_mut(..encrypted.len())?;
        copy.copy_from_slice(encrypted);
        open_tbe(crypto, key, TBE_DATA3_NONCE, copy).ok().map(|_| ())
    };
    opens().is_some()
}

/// Writes `tbe` encrypted, as the octet string `tag` of the message that `writer` writes.
pub(super) fn write_tbe<C: Crypto>(
    crypto: &C,
    writer: &mut Writer<Buffer<'_>>,
    tag: Tag,
    tbe: &TbeData<'_>,
    key: OneTimeKey,
    nonce: &[u8; NONCE_LEN],
) -> Result<(), HandshakeError> {
    let mut measure = Writer::new(Counter::default());
    tbe.write(&mut measure)?;
    let len = measure.into_sink().len();
    writer.bytes_header(tag, len.saturating_add(MIC_LEN))?;
    let start = writer.sink().len();
    tbe.write(writer)?;
    let plaintext = writer.sink().written_mut().get_mut(start..).unwrap_or_default();
    let mic = key.seal(crypto, nonce, plaintext)?;
    Ok(writer.sink().put(&mic)?)
}

/// The hash over the transcript so far.
fn so_far<H: Sha256>(transcript: &H) -> [u8; HASH_LEN] {
    transcript.clone().finish()
}

fn ipk_and_hash(ipk: &Secret<KEY_LEN>, hash: [u8; HASH_LEN]) -> Salt {
    let mut salt = Salt::new();
    salt.push(ipk.as_bytes());
    salt.push(&hash);
    salt
}

fn random_and_id(random: &[u8; RANDOM_LEN], id: &ResumptionId) -> Salt {
    let mut salt = Salt::new();
    salt.push(random);
    salt.push(id.as_bytes());
    salt
}

/// An HKDF salt put together from its parts; wiped, as most hold the IPK.
struct Salt {
    octets: Secret<{ Self::MAX_LEN }>,
    len: usize,
}

impl Salt {
    /// That of S2K is the longest.
    const MAX_LEN: usize = KEY_LEN + RANDOM_LEN + PUBLIC_KEY_LEN + HASH_LEN;

    const fn new() -> Self {
        Self { octets: Secret::zero(), len: 0 }
    }

    fn push(&mut self, part: &[u8]) {
        let free = self.octets.as_mut_bytes().get_mut(self.len..).unwrap_or_default();
        debug_assert!(part.len() <= free.len(), "salts are sized for their parts");
        for (to, from) in free.iter_mut().zip(part) {
            *to = *from;
        }
        self.len = self.len.saturating_add(part.len());
    }

    fn as_bytes(&self) -> &[u8] {
        self.octets.as_bytes().get(..self.len).unwrap_or_default()
    }
}
