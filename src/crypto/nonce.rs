//! AEAD nonces and the counters that make them.
//!
//! ```text
//! nonce (13 bytes) = security flags (1) || message counter LE (4) || source node id LE (8)
//! ```
//! A [`SealNonce`] is made from a [`FreshCounter`], which only [`TxCounter::take`] and
//! [`PersistedCounter::take`](super::PersistedCounter::take) return. Sealing consumes it, so one
//! key never seals twice under one nonce. [Core, "Message Security"]

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use rand_core::CryptoRng;
use thiserror::Error;

use crate::ids::{GroupSessionId, MessageCounter, NodeId};

/// Length of a nonce in bytes.
pub const NONCE_LEN: usize = 13;
/// Length of a message integrity code in bytes.
pub const MIC_LEN: usize = 16;

fn layout(security_flags: u8, counter: MessageCounter, node: NodeId) -> [u8; NONCE_LEN] {
    let [c0, c1, c2, c3] = counter.get().to_le_bytes();
    let [n0, n1, n2, n3, n4, n5, n6, n7] = node.get().to_le_bytes();
    [security_flags, c0, c1, c2, c3, n0, n1, n2, n3, n4, n5, n6, n7]
}

/// A nonce for sealing. It cannot be cloned, or made outside the crate.
#[derive(Debug)]
pub struct SealNonce([u8; NONCE_LEN]);

impl SealNonce {
    pub(crate) fn new(security_flags: u8, counter: FreshCounter, source: NodeId) -> Self {
        Self(layout(security_flags, counter.0, source))
    }

    /// Makes a nonce that its callers answer for: [`OneTimeKey`](super::OneTimeKey) uses a
    /// handshake's key once, [`CheckInKey`](super::CheckInKey) computes the nonce from a fresh
    /// counter.
    pub(super) const fn fixed(label: &[u8; NONCE_LEN]) -> Self {
        Self(*label)
    }

    /// Makes a nonce of the caller's choice, for tests with recorded ciphertexts.
    #[cfg(any(test, feature = "_test-util"))]
    #[must_use]
    pub const fn dangerous_from_bytes(bytes: &[u8; NONCE_LEN]) -> Self {
        Self(*bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }
}

/// A nonce for opening a received message.
#[derive(Clone, Copy, Debug)]
pub struct OpenNonce([u8; NONCE_LEN]);

impl OpenNonce {
    /// Makes the nonce of a message with these header fields, from this source.
    #[must_use]
    pub fn new(security_flags: u8, counter: MessageCounter, source: NodeId) -> Self {
        Self(layout(security_flags, counter, source))
    }

    pub(super) const fn fixed(label: &[u8; NONCE_LEN]) -> Self {
        Self(*label)
    }

    /// Makes a nonce of the caller's choice, for tests with recorded ciphertexts.
    #[cfg(any(test, feature = "_test-util"))]
    #[must_use]
    pub const fn dangerous_from_bytes(bytes: &[u8; NONCE_LEN]) -> Self {
        Self(*bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }
}

/// The nonce that obfuscates the header of one group message.
///
/// ```text
/// session id BE (2) || bytes 5 to 15 of the integrity code (11)
/// ```
/// [Core, "Privacy Nonce"]
#[derive(Clone, Copy, Debug)]
pub struct PrivacyNonce([u8; NONCE_LEN]);

impl PrivacyNonce {
    /// Makes the nonce of a message of this session that ends with this integrity code.
    #[must_use]
    pub const fn new(session: GroupSessionId, mic: &[u8; MIC_LEN]) -> Self {
        let [s0, s1] = session.get().to_be_bytes();
        let [_, _, _, _, _, a, b, c, d, e, f, g, h, i, j, k] = *mic;
        Self([s0, s1, a, b, c, d, e, f, g, h, i, j, k])
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }

    /// Converts the nonce for a backend whose only key stream is that of sealing. It may be used
    /// twice: obfuscating and reading are the same operation, and privacy keys serve for nothing
    /// else.
    pub(super) const fn sealing(self) -> SealNonce {
        SealNonce(self.0)
    }
}

/// The sending counter of a secure session has reached its end: establish a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("the session's message counter is exhausted; establish a new session")]
pub struct CounterExhausted;

/// A counter value that was not used before. It cannot be cloned.
#[derive(Debug)]
pub struct FreshCounter(pub(super) MessageCounter);

impl FreshCounter {
    /// Returns the value, to be written into the message header.
    #[must_use]
    pub const fn value(&self) -> MessageCounter {
        self.0
    }
}

/// The sending counter of one secure session. It starts at random, counts up, and ends.
///
/// It cannot be cloned, has no setter, and returns no value twice.
/// [Core, "Secure Session Message Counters"]
#[derive(Debug)]
pub struct TxCounter {
    next: u32,
}

impl TxCounter {
    /// Starts at a random value in `1..=2^28`.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self { next: random_start(rng) }
    }

    /// Starts at a given value, for `session::hazmat`.
    pub(crate) const fn at(next: u32) -> Self {
        Self { next }
    }

    /// Starts at a given value, for tests of recorded traffic and of exhaustion.
    #[cfg(any(test, feature = "_test-util"))]
    #[must_use]
    pub const fn starting_at(next: u32) -> Self {
        Self { next }
    }

    /// Returns the next value.
    ///
    /// # Errors
    /// [`CounterExhausted`] once `0xFFFF_FFFF` is reached; that value is never used.
    pub const fn take(&mut self) -> Result<FreshCounter, CounterExhausted> {
        match self.next.checked_add(1) {
            Some(after) => {
                let value = MessageCounter::new(self.next);
                self.next = after;
                Ok(FreshCounter(value))
            }
            None => Err(CounterExhausted),
        }
    }

    /// Returns the number of messages that can still be sent.
    #[must_use]
    pub const fn remaining(&self) -> u32 {
        u32::MAX.saturating_sub(self.next)
    }
}

/// Returns the start of any message counter: 28 random bits plus 1. [Core, "Message Counters"]
pub(crate) fn random_start(rng: &mut dyn CryptoRng) -> u32 {
    (rng.next_u32() & 0x0FFF_FFFF).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_hard_at_the_end() {
        let mut counter = TxCounter::starting_at(u32::MAX - 2);
        assert_eq!(counter.remaining(), 2);
        assert_eq!(counter.take().unwrap().value().get(), u32::MAX - 2);
        assert_eq!(counter.take().unwrap().value().get(), u32::MAX - 1);
        assert_eq!(counter.take().unwrap_err(), CounterExhausted);
        assert_eq!(counter.take().unwrap_err(), CounterExhausted);
    }

    #[test]
    fn nonce_layout_is_flags_counter_node() {
        let mut counter = TxCounter::starting_at(0x0102_0304);
        let nonce = SealNonce::new(0x81, counter.take().unwrap(), NodeId::new(0x1122));
        assert_eq!(nonce.as_bytes(), &[0x81, 4, 3, 2, 1, 0x22, 0x11, 0, 0, 0, 0, 0, 0]);
    }
}
