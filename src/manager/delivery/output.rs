//! What an exchange or handshake sends next.

use core::ops::Range;

/// What an exchange or handshake sends next.
pub(in crate::manager) enum Output {
    /// An acknowledgement, encoded in this range of the scratch buffer.
    Ack(Range<usize>),
    /// The message in flight.
    InFlight {
        /// Whether it was sent before.
        repeated: bool,
    },
}
