//! Messages that are sealed at once.

use core::ops::Range;

use super::{SecureSession, TOGETHER};
use crate::crypto::{Crypto, CryptoError, SealJob, SealNonce};
use crate::ids::{LocalSessionId, MessageCounter};
use crate::wire::{EncodeError, Layout, Parts};

/// A message that is laid out in its buffer and waits to be sealed. Its counter is spent, whatever
/// becomes of it.
#[derive(Debug)]
pub(crate) struct Unsealed {
    session: LocalSessionId,
    counter: MessageCounter,
    /// Taken by sealing.
    nonce: Option<SealNonce>,
    layout: Layout,
    outcome: Result<(), CryptoError>,
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

    /// Where in its buffer the sealed datagram stands, and the counter of the message.
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

/// Seals up to [`TOGETHER`] messages, each in its buffer and under the key of the session that laid
/// it out. A session with another id is refused: what is a fresh nonce here may be spent there.
#[inline(never)]
pub(crate) fn seal_together<'m, C: Crypto + 'm>(
    crypto: &C,
    messages: impl Iterator<Item = (&'m SecureSession<C>, &'m mut Unsealed, &'m mut [u8])>,
) {
    let mut jobs = messages.filter_map(|(session, message, octets)| {
        let Unsealed { session: own, nonce, layout, outcome, .. } = message;
        let Parts { aad, body, mic } = layout.split(octets)?;
        let nonce = nonce.take_if(|_| *own == session.local_session_id())?;
        Some((SealJob::new(session.seal_key(), nonce, aad, body), (mic, outcome)))
    });
    let Some(first) = jobs.next() else { return };
    let key = first.0.key();
    let mut jobs = core::iter::once(first).chain(jobs);
    let mut places: [_; TOGETHER] = [const { None }; TOGETHER];
    let mut count: usize = 0;
    let mut jobs = places.each_mut().map(|place| match jobs.next() {
        Some((job, result)) => {
            *place = Some(result);
            count = count.saturating_add(1);
            job
        }
        None => SealJob::vacant(key),
    });
    crypto.seal_batch(jobs.get_mut(..count).unwrap_or_default());
    for ((mic, outcome), job) in places.into_iter().flatten().zip(&jobs) {
        *outcome = job.result().map(|code| *mic = code);
    }
}
