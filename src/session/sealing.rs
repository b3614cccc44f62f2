//! Messages that are laid out in their buffers and not sealed yet.

use core::ops::Range;

use crate::crypto::{CryptoError, SealNonce};
use crate::ids::{LocalSessionId, MessageCounter};
use crate::wire::{EncodeError, Layout};

/// A message that is laid out in its buffer and waits to be sealed. Its counter is spent, whatever
/// becomes of it.
#[derive(Debug)]
pub(crate) struct Unsealed {
    pub(super) session: LocalSessionId,
    pub(super) counter: MessageCounter,
    /// Taken by sealing.
    pub(super) nonce: Option<SealNonce>,
    pub(super) layout: Layout,
    pub(super) outcome: Result<(), CryptoError>,
}

impl Unsealed {
    pub(super) const fn new(
        session: LocalSessionId,
        counter: MessageCounter,
        nonce: SealNonce,
        layout: Layout,
    ) -> Self {
        let outcome = Err(CryptoError::Backend);
        Self { session, counter, nonce: Some(nonce), layout, outcome }
    }

    /// Returns the counter of the message.
    pub(crate) const fn counter(&self) -> MessageCounter {
        self.counter
    }

    /// Returns where in its buffer the sealed datagram stands, and the counter of the message.
    pub(crate) fn finish(self) -> Result<(Range<usize>, MessageCounter), EncodeError> {
        self.outcome?;
        Ok((self.layout.datagram(), self.counter))
    }
}

impl From<CryptoError> for EncodeError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::TooLong => Self::PayloadTooLong,
            _ => Self::Crypto,
        }
    }
}
