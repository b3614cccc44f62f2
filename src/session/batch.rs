//! Many messages at once, each under the key of its own session.

use super::opening::Unopened;
use super::sealing::Unsealed;
use super::{SecureSession, TOGETHER};
use crate::crypto::{Crypto, OpenJob, SealJob};
use crate::wire::Parts;

/// Opens up to [`TOGETHER`] messages, each under the key of the session beside it. One message, or
/// one that stands beside another session, stays as it is: it is opened when it is decoded.
#[inline(never)]
pub(crate) fn open_together<'m, 'b: 'm, C: Crypto + 'm>(
    crypto: &C,
    messages: impl Iterator<Item = (&'m SecureSession<C>, &'m mut Unopened<'b>)>,
) {
    let mut messages = messages.filter(|(session, message)| {
        session.local_session_id() == message.session && message.outcome.is_none()
    });
    let (Some(first), Some(second)) = (messages.next(), messages.next()) else { return };
    let key = first.0.open_key();
    let mut messages = [first, second].into_iter().chain(messages);
    let mut outcomes: [_; TOGETHER] = [const { None }; TOGETHER];
    let mut count: usize = 0;
    let mut jobs = outcomes.each_mut().map(|place| match messages.next() {
        Some((session, Unopened { nonce, aad, text, mic, outcome, .. })) => {
            *place = Some(outcome);
            count = count.saturating_add(1);
            OpenJob::new(session.open_key(), *nonce, aad, text, mic)
        }
        None => OpenJob::vacant(key),
    });
    crypto.open_batch(jobs.get_mut(..count).unwrap_or_default());
    let results = jobs.map(|job| job.result());
    for (outcome, result) in outcomes.into_iter().flatten().zip(results) {
        *outcome = Some(result);
    }
}

/// Seals up to [`TOGETHER`] messages, each in its buffer and under the key of the session that laid
/// it out. A session with another id is refused: what is a fresh nonce here may be spent there.
#[inline(never)]
pub(crate) fn seal_together<'m, C: Crypto + 'm>(
    crypto: &C,
    messages: impl Iterator<Item = (&'m SecureSession<C>, &'m mut Unsealed, &'m mut [u8])>,
) {
    let mut jobs = messages.filter_map(|(session, message, bytes)| {
        let Unsealed { session: own, nonce, layout, outcome, .. } = message;
        let Parts { aad, body, mic } = layout.split(bytes)?;
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
