//! What an exchange keeps about a response that is waited for.

use core::num::NonZeroU32;

use crate::time::Instant;

/// A response that is waited for. Times are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    /// When the response is overdue: set as soon as the request has arrived.
    pub(super) due: Instant,
    /// The interval at which the peer listened when the request was sent.
    pub(super) interval: NonZeroU32,
    /// The time of the peer's work.
    pub(super) processing: u32,
}
