//! What an exchange or handshake sends next.

use core::ops::Range;

use crate::manager::handle::PeerAddress;

/// What an exchange or handshake sends next.
pub(in crate::manager) enum Output {
    /// An acknowledgement, encoded at `range` of the scratch buffer.
    Ack { to: PeerAddress, range: Range<usize> },
    /// The message in flight.
    InFlight,
}
