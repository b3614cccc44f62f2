//! The ICD's side: its counter, the keys that clients have registered, the messages.

use rand_core::CryptoRng;
use thiserror::Error;

use super::{COUNTER_LEN, MAX_APPLICATION_DATA, MIN_PAYLOAD, RegistrationError};
use crate::bytes::debug_lengths;
use crate::crypto::{
    CheckInKey, Crypto, CryptoError, FreshCounter, KEY_LEN, MIC_LEN, NONCE_LEN, PersistedCounter,
    Secret, StoreFirst, low,
};
use crate::ids::{ExchangeId, ProtocolId};
use crate::session::{EphemeralNodeId, UnsecuredCounter};
use crate::wire::secure_channel::Opcode;
use crate::wire::{
    EncodeError, Encoded, HEADROOM, MessageBuf, MessageHeader, ProtocolHeader, SessionRoute,
    TAILROOM,
};

/// The counter of an ICD's Check-In messages: one for all clients, persisted, and wrapping.
/// [Core, "Check-In Counter"]
///
/// How it is stored, [`PersistedCounter`] says, and what the store promises.
#[derive(Debug)]
pub struct IcdCounter(PersistedCounter);

impl IcdCounter {
    /// Starts at a random value in `1..=2^28`, on an ICD that has never stored a bound. Store the
    /// first [`bound_to_store`](Self::bound_to_store) before a client registers: otherwise the
    /// counter starts elsewhere after power loss.
    ///
    /// `block` is the number of Check-Ins between two writes; 0 counts as 1.
    pub fn random(block: u32, rng: &mut dyn CryptoRng) -> Self {
        Self(PersistedCounter::random(block, rng))
    }

    /// Continues at the bound that was stored last.
    #[must_use]
    pub const fn restored(bound: u64, block: u32) -> Self {
        Self(PersistedCounter::restored(bound, block))
    }

    /// Returns the value that was used last: the attribute ICDCounter, which a client gets when it
    /// registers.
    #[must_use]
    pub const fn value(&self) -> u32 {
        low(self.0.position()).wrapping_sub(1)
    }

    /// Registers the key of a client that registers now, or that refreshes its key. Store the
    /// result, in place of the client's former one.
    ///
    /// `registered` are all keys that this ICD has, of this client and of others, also those that
    /// are used up. A key that is among them keeps its range of counters: if it began another, it
    /// would seal different messages under one nonce. So forget the key of a client only when that
    /// client has another, or unregisters.
    ///
    /// # Errors
    /// [`KeyUsedUp`] if the key is registered and has no counters left: the client has to draw
    /// another.
    pub fn register<'k>(
        &self,
        key: Secret<KEY_LEN>,
        registered: impl IntoIterator<Item = &'k RegisteredKey>,
    ) -> Result<RegisteredKey, KeyUsedUp> {
        let position = self.0.position();
        let same = registered.into_iter().filter(|registered| registered.is(&key));
        match same.min_by_key(|registered| registered.since) {
            None => Ok(RegisteredKey { key: CheckInKey::new(key), since: position }),
            Some(known) if known.serves(position) => Ok(known.clone()),
            Some(_) => Err(KeyUsedUp),
        }
    }

    /// Returns a new Check-In with the next counter. Send it as one message to each client, all
    /// with the same application data: the active mode threshold in ms, 2 bytes little-endian.
    ///
    /// # Errors
    /// [`StoreFirst`], once for each block: store its bound, call [`stored`](Self::stored), and
    /// call this again.
    pub const fn check_in<'a>(
        &mut self,
        application_data: &'a [u8],
    ) -> Result<CheckIn<'a>, StoreFirst> {
        let position = self.0.position();
        match self.0.take() {
            Ok(counter) => Ok(CheckIn { counter, position, application_data }),
            Err(first) => Err(first),
        }
    }

    /// Returns the bound to store next, as soon as half of the block is used.
    #[must_use]
    pub const fn bound_to_store(&self) -> Option<u64> {
        self.0.bound_to_store()
    }

    /// Confirms that this bound is stored.
    pub const fn stored(&mut self, bound: u64) {
        self.0.stored(bound);
    }

    /// Skips half of all values, 2^31 - 1: clients detect that they must refresh their keys.
    /// A test event of the ICD management cluster.
    ///
    /// [`bound_to_store`](Self::bound_to_store) asks for a bound at once. Store it before another
    /// client registers: until then a restart undoes this.
    pub const fn invalidate_half(&mut self) {
        self.0.skip(0x7FFF_FFFF);
    }

    /// Skips 2^32 - 1 values: no key that has been used works any more
    /// ([`SealError::KeyUsedUp`]), and its client has to register again. A test event of the ICD
    /// management cluster, stored like [`invalidate_half`](Self::invalidate_half).
    pub const fn invalidate_all(&mut self) {
        self.0.skip(u32::MAX);
    }
}

/// The key of one client. The ICD keeps it with the rest of the registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredKey {
    key: CheckInKey,
    /// The position of the counter on registration: the key serves for the 2^32 values from there.
    since: u64,
}

impl RegisteredKey {
    /// Length of the encoded form in bytes.
    pub const ENCODED_LEN: usize = 1 + KEY_LEN + 8;
    const VERSION: u8 = 1;

    /// Returns true if this is the key.
    #[must_use]
    pub fn is(&self, key: &Secret<KEY_LEN>) -> bool {
        self.key.is(key)
    }

    /// Returns true if the key may seal under the counter in this position. It may not for a
    /// position from before it was registered.
    const fn serves(&self, position: u64) -> bool {
        position.wrapping_sub(self.since) <= u32::MAX as u64
    }

    /// Returns the key as versioned bytes, to be stored. They are secret.
    ///
    /// ```text
    /// version 1 | key (16) | position of the counter on registration LE (8)
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Secret<{ Self::ENCODED_LEN }> {
        let mut bytes = Secret::zero();
        let parts = [&[Self::VERSION][..], self.key.as_bytes(), &self.since.to_le_bytes()];
        let octets = parts.into_iter().flatten();
        bytes.as_mut_bytes().iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Reads the encoded form.
    ///
    /// # Errors
    /// [`RegistrationError`] for another length or version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RegistrationError> {
        let (&[Self::VERSION], rest) = bytes.split_first_chunk().ok_or(RegistrationError)? else {
            return Err(RegistrationError);
        };
        let (key, since) = rest.split_first_chunk().ok_or(RegistrationError)?;
        let since = since.try_into().map_err(|_| RegistrationError)?;
        Ok(Self { key: CheckInKey::new(Secret::from(key)), since: u64::from_le_bytes(since) })
    }
}

/// One Check-In: a counter that was not used before, and the application data. Under one key it
/// always seals the same text.
pub struct CheckIn<'a> {
    counter: FreshCounter,
    position: u64,
    application_data: &'a [u8],
}

debug_lengths!(CheckIn[]['_]: counter; application_data);

/// A key was not registered: it has served for all values of the counter, or these were skipped.
/// Its client has to draw another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("all counters of this key are used up; its client has to draw another")]
pub struct KeyUsedUp;

/// A Check-In message was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SealError {
    /// The key has served for all values of the counter, or these were passed over: its client has
    /// to register again.
    #[error("all counters of this key are used up; its client has to register again")]
    KeyUsedUp,
    /// The message was not encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl CheckIn<'_> {
    /// Returns the counter.
    #[must_use]
    pub const fn counter(&self) -> u32 {
        self.counter.value().get()
    }

    /// Returns the length of the payload in bytes.
    #[must_use]
    pub const fn payload_len(&self) -> usize {
        self.application_data.len().saturating_add(MIN_PAYLOAD)
    }

    /// Writes the payload for one client to the start of `out`, and returns its length in bytes.
    ///
    /// # Errors
    /// [`SealError`]; [`EncodeError::PayloadTooLong`] above
    /// [`MAX_APPLICATION_DATA`], [`EncodeError::BufferTooSmall`] below
    /// [`payload_len`](Self::payload_len).
    pub fn write_payload<C: Crypto>(
        &self,
        crypto: &C,
        key: &RegisteredKey,
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let needed = self.payload_len();
        if self.application_data.len() > MAX_APPLICATION_DATA {
            return Err(EncodeError::PayloadTooLong.into());
        }
        if !key.serves(self.position) {
            return Err(SealError::KeyUsedUp);
        }
        let parts = out.get_mut(..needed).and_then(|payload| {
            let (nonce, rest) = payload.split_first_chunk_mut::<NONCE_LEN>()?;
            let (text, mic) = rest.split_last_chunk_mut::<MIC_LEN>()?;
            Some((nonce, text, mic))
        });
        let (nonce, text, mic) = parts.ok_or(EncodeError::BufferTooSmall { needed })?;
        if let Some((counter, data)) = text.split_first_chunk_mut::<COUNTER_LEN>() {
            *counter = self.counter().to_le_bytes();
            data.copy_from_slice(self.application_data);
        }
        let sealed = key.key.seal(crypto, &self.counter, text);
        (*nonce, *mic) = sealed.map_err(|error| match error {
            CryptoError::TooLong => EncodeError::PayloadTooLong,
            _ => EncodeError::Crypto,
        })?;
        Ok(needed)
    }

    /// Returns the whole message for one client: unsecured, on the new exchange `exchange`, from a
    /// node id that was drawn for it. Send it to the operational address of the client. A node with
    /// a manager calls [`SessionManager::send_check_in`](crate::SessionManager::send_check_in),
    /// which also makes the log record of the message.
    ///
    /// `buf` has [`HEADROOM`] + [`payload_len`](Self::payload_len) + [`TAILROOM`] bytes at least.
    ///
    /// # Errors
    /// As for [`write_payload`](Self::write_payload).
    pub fn encode<'b, C: Crypto>(
        &self,
        crypto: &C,
        key: &RegisteredKey,
        exchange: ExchangeId,
        counter: &mut UnsecuredCounter,
        rng: &mut dyn CryptoRng,
        buf: &'b mut [u8],
    ) -> Result<Encoded<'b>, SealError> {
        let needed = self.payload_len().saturating_add(HEADROOM + TAILROOM);
        if buf.len() < needed {
            return Err(EncodeError::BufferTooSmall { needed }.into());
        }
        let mut msg = MessageBuf::new(buf)?;
        let len = self.write_payload(crypto, key, msg.payload_mut())?;
        msg.set_payload_len(len)?;
        let mut header = MessageHeader::new(SessionRoute::Unsecured, counter.take());
        let source = EphemeralNodeId::random(rng).map_err(|_| EncodeError::Crypto)?;
        header.source = Some(source.node());
        Ok(msg.into_plain(&header, &protocol_header(exchange))?)
    }
}

/// The protocol header of a Check-In message.
pub(crate) const fn protocol_header(exchange: ExchangeId) -> ProtocolHeader {
    ProtocolHeader {
        exchange,
        protocol: ProtocolId::SECURE_CHANNEL,
        opcode: Opcode::ICD_CHECK_IN.0,
        initiator: true,
        needs_ack: false,
        ack: None,
    }
}
