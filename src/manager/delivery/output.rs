//! The output of an exchange or handshake.

use core::ops::Range;

use crate::manager::handle::PeerAddress;

/// The next datagram of an exchange or handshake.
pub(in crate::manager) enum Output {
    /// An acknowledgement, which is at `range` of the scratch buffer.
    Ack { to: PeerAddress, range: Range<usize> },
    /// The message in flight.
    InFlight,
}
