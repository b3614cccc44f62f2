//! The client's side: its registrations, and whose message a Check-In is.

use core::borrow::BorrowMut;

use thiserror::Error;

use super::{COUNTER_LEN, MAX_TEXT, RegistrationError};
use crate::bytes::debug_lengths;
use crate::crypto::{CheckInKey, Crypto, CryptoError, KEY_LEN, MIC_LEN, NONCE_LEN, Secret};
use crate::fabric::CompressedFabricId;
use crate::ids::{FabricIndex, NodeId, Peer};

/// A client's registration with one ICD. A Check-In message that its key opens is from that ICD.
///
/// Delete it with its fabric. Keep the newest copy only: an older one accepts messages again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The fabric.
    pub fabric: FabricIndex,
    /// The identifier of the fabric for all nodes. An index alone is not enough: after this node
    /// has left the fabric, another one can get its index.
    pub compressed_fabric: CompressedFabricId,
    /// The ICD.
    pub peer: NodeId,
    key: CheckInKey,
    start: u32,
    last_offset: u32,
}

impl Registration {
    /// Length of the encoded form in bytes.
    pub const ENCODED_LEN: usize = 1 + 1 + 8 + 8 + KEY_LEN + 4 + 4;
    const VERSION: u8 = 1;

    /// Makes a new registration, or one whose key was refreshed: with a random key that was never
    /// registered before, and the counter that the ICD has named in its answer.
    #[must_use]
    pub const fn new(
        fabric: FabricIndex,
        compressed_fabric: CompressedFabricId,
        peer: NodeId,
        key: Secret<KEY_LEN>,
        start_counter: u32,
    ) -> Self {
        let key = CheckInKey::new(key);
        Self { fabric, compressed_fabric, peer, key, start: start_counter, last_offset: 0 }
    }

    /// Returns the counter that the ICD named on registration.
    #[must_use]
    pub const fn start_counter(&self) -> u32 {
        self.start
    }

    /// Returns the largest counter of a Check-In message that was accepted, as its distance from
    /// [`start_counter`](Self::start_counter).
    #[must_use]
    pub const fn last_offset(&self) -> u32 {
        self.last_offset
    }

    /// Returns the registration as versioned bytes, to be stored. They are secret.
    ///
    /// ```text
    /// version 1 | fabric index | compressed fabric id (8) | node id LE (8) | key (16)
    /// | start counter LE (4) | last offset LE (4)
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Secret<{ Self::ENCODED_LEN }> {
        let mut bytes = Secret::zero();
        let parts: [&[u8]; 6] = [
            &[Self::VERSION, self.fabric.get()],
            self.compressed_fabric.as_bytes(),
            &self.peer.get().to_le_bytes(),
            self.key.as_bytes(),
            &self.start.to_le_bytes(),
            &self.last_offset.to_le_bytes(),
        ];
        let octets = parts.into_iter().flatten();
        bytes.as_mut_bytes().iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Reads the encoded form.
    ///
    /// # Errors
    /// [`RegistrationError`] for another length or version, and for values that no registration
    /// has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RegistrationError> {
        Self::read(bytes).ok_or(RegistrationError)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[version, fabric], rest) = bytes.split_first_chunk()?;
        let (compressed_fabric, rest) = rest.split_first_chunk()?;
        let (peer, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (start, rest) = rest.split_first_chunk()?;
        let (last_offset, rest) = rest.split_first_chunk()?;
        let peer = NodeId::new(u64::from_le_bytes(*peer));
        let is_one = version == Self::VERSION && rest.is_empty() && peer.is_operational();
        let registration = Self {
            fabric: FabricIndex::new(fabric)?,
            compressed_fabric: CompressedFabricId::from_bytes(*compressed_fabric),
            peer,
            key: CheckInKey::new(Secret::from(key)),
            start: u32::from_le_bytes(*start),
            last_offset: u32::from_le_bytes(*last_offset),
        };
        is_one.then_some(registration)
    }
}

/// A Check-In message that is authentic and new.
#[non_exhaustive]
pub struct CheckedIn<'p, R> {
    /// The registration whose key opened it, with the new counter: store it again.
    pub registration: R,
    /// The counter of the message.
    pub counter: u32,
    /// The key has served for half of all counters: register again with a new one, now that the ICD
    /// is awake. [Core, "Check-In Counter"]
    pub refresh_key: bool,
    /// What the ICD says, in the payload.
    pub application_data: &'p mut [u8],
}

debug_lengths!(CheckedIn[R: core::fmt::Debug]['_, R]: registration, counter, refresh_key; application_data);

impl<R> CheckedIn<'_, R> {
    /// Returns how long the ICD stays awake after a message, in ms; `None` if it does not say so.
    #[must_use]
    pub fn active_mode_threshold_ms(&self) -> Option<u16> {
        self.application_data.first_chunk().map(|octets| u16::from_le_bytes(*octets))
    }
}

/// A Check-In message was dropped. No registration has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CheckInError {
    /// The payload is shorter than [`MIN_PAYLOAD`](super::MIN_PAYLOAD).
    #[error("Check-In message too short")]
    TooShort,
    /// The payload is longer than [`MAX_PAYLOAD`](super::MAX_PAYLOAD).
    #[error("Check-In message too long")]
    TooLong,
    /// No key opens it.
    #[error("Check-In message of nobody that is known")]
    Unauthentic,
    /// A key opens it, but its nonce is not that of its counter.
    #[error("Check-In message with the nonce of another counter")]
    WrongNonce,
    /// It was accepted before, or a later one was; or the counter of the ICD has jumped back, or
    /// ahead by nearly all of its range. If it is not a copy, the client cannot tell its messages
    /// from old ones any more: register with this ICD again, with a new key.
    #[error("Check-In message of {peer:?} that is not new")]
    Duplicate {
        /// The ICD whose registration it belongs to.
        peer: Peer,
        /// The counter of the message.
        counter: u32,
    },
    /// The crypto backend failed.
    #[error("crypto backend failed")]
    Crypto,
}

/// Finds the sender of a Check-In message. Decrypts the message in place, and remembers its counter
/// in the registration, which is returned with it.
///
/// `registrations` are borrowed (for example `&mut` of a slice) or owned (read from a store one by
/// one). They are tried in their order: if the sender's address suggests one, put it first. Each
/// costs the schedule of an AES key and the decryption of at most
/// [`MAX_APPLICATION_DATA`](super::MAX_APPLICATION_DATA) + 4 bytes; the one that fits costs an HMAC
/// as well. Anybody can make a node do all of this with one datagram.
///
/// # Errors
/// [`CheckInError`]; neither the payload nor any registration has changed then.
pub fn open<'p, C: Crypto, R: BorrowMut<Registration>>(
    crypto: &C,
    registrations: impl IntoIterator<Item = R>,
    payload: &'p mut [u8],
) -> Result<CheckedIn<'p, R>, CheckInError> {
    let (nonce, rest) =
        payload.split_first_chunk_mut::<NONCE_LEN>().ok_or(CheckInError::TooShort)?;
    let (text, mic) = rest.split_last_chunk_mut::<MIC_LEN>().ok_or(CheckInError::TooShort)?;
    let mut copy = [0; MAX_TEXT];
    let copy = copy.get_mut(..text.len()).ok_or(CheckInError::TooLong)?;
    if text.len() < COUNTER_LEN {
        return Err(CheckInError::TooShort);
    }
    for mut candidate in registrations {
        let registration = candidate.borrow_mut();
        copy.copy_from_slice(text);
        match registration.key.open(crypto, nonce, copy, mic) {
            Ok(()) => {}
            Err(CryptoError::Unauthentic) => continue,
            Err(_) => return Err(CheckInError::Crypto),
        }
        let (counter, _) = copy.split_first_chunk().ok_or(CheckInError::TooShort)?;
        let counter = u32::from_le_bytes(*counter);
        let is_nonce_of_it = registration.key.is_nonce_of(crypto, nonce, counter);
        if !is_nonce_of_it.map_err(|_| CheckInError::Crypto)? {
            return Err(CheckInError::WrongNonce);
        }
        let offset = counter.wrapping_sub(registration.start);
        if offset <= registration.last_offset {
            let peer = Peer::new(registration.fabric, registration.peer);
            return Err(CheckInError::Duplicate { peer, counter });
        }
        registration.last_offset = offset;
        text.copy_from_slice(copy);
        let application_data = text.get_mut(COUNTER_LEN..).unwrap_or_default();
        let refresh_key = offset >= REFRESH;
        return Ok(CheckedIn { registration: candidate, counter, refresh_key, application_data });
    }
    Err(CheckInError::Unauthentic)
}

/// From this distance to the start counter on a key is to be refreshed.
const REFRESH: u32 = 1 << 31;
