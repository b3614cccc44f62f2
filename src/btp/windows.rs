//! Sequence numbers, the windows of both sides, acknowledgements and their timers.

use super::packet::Packet;
use super::{BTP_ACK_TIMEOUT, BTP_SEND_ACK_TIMEOUT, BtpError, after};
use crate::time::Instant;

/// With so many free places or fewer in its own window, a node acknowledges at once.
const LOW: u8 = 2;

/// With a window of so many packets or fewer, every packet leaves few places free. If each were
/// acknowledged at once, so would be the acknowledgement, without end.
const SMALL: u8 = LOW + 1;

/// The packets that both sides of an open session have in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// How many packets each side may have in flight.
    size: u8,
    /// The number of the next packet that this node sends.
    next: u8,
    /// How many of the newest packets sent were not acknowledged.
    in_flight: u8,
    /// How many packets without a segment were sent behind the last one with a segment.
    behind_message: u8,
    /// When the session ends unless one of them is acknowledged.
    ack_deadline: Option<Instant>,
    /// The number of the next packet of the peer.
    expected: u8,
    /// How many of the newest packets received this node has not acknowledged.
    owed: u16,
    /// When they are acknowledged at the latest.
    send_ack_deadline: Option<Instant>,
    /// They are to be acknowledged as soon as a packet can be sent.
    ack_is_due: bool,
}

impl Windows {
    /// A client that has received the response: packet 0 of the server.
    pub(super) fn of_client(size: u8, now: Instant) -> Self {
        Self {
            size,
            next: 0,
            in_flight: 0,
            behind_message: 0,
            ack_deadline: None,
            expected: 1,
            owed: 1,
            send_ack_deadline: Some(after(now, BTP_SEND_ACK_TIMEOUT)),
            ack_is_due: false,
        }
    }

    /// A server that has sent its response, packet 0.
    pub(super) fn of_server(size: u8, now: Instant) -> Self {
        Self {
            size,
            next: 1,
            in_flight: 1,
            behind_message: 1,
            ack_deadline: Some(after(now, BTP_ACK_TIMEOUT)),
            expected: 0,
            owed: 0,
            send_ack_deadline: None,
            ack_is_due: false,
        }
    }

    pub(super) const fn size(&self) -> u8 {
        self.size
    }

    /// Returns true if the peer has acknowledged all segments.
    pub(super) const fn is_settled(&self) -> bool {
        self.in_flight <= self.behind_message
    }

    /// Counts a packet of the peer, and what it acknowledges.
    pub(super) fn receive(&mut self, packet: &Packet<'_>, now: Instant) -> Result<(), BtpError> {
        if let Some(number) = packet.ack {
            // How many packets were sent after that one.
            let left = self.next.wrapping_sub(1).wrapping_sub(number);
            if left >= self.in_flight {
                return Err(BtpError::Acknowledgement { number });
            }
            self.in_flight = left;
            self.ack_deadline = (left != 0).then(|| after(now, BTP_ACK_TIMEOUT));
        }
        if packet.sequence != self.expected {
            let (expected, received) = (self.expected, packet.sequence);
            return Err(BtpError::Sequence { expected, received });
        }
        // One more than the window: connectedhomeip miscounts by one when its numbers wrap.
        let size = u16::from(self.size);
        if self.owed > size {
            return Err(BtpError::WindowExceeded { size: self.size });
        }
        self.expected = self.expected.wrapping_add(1);
        self.owed = self.owed.saturating_add(1);
        self.send_ack_deadline.get_or_insert(after(now, BTP_SEND_ACK_TIMEOUT));
        let is_low = size.saturating_sub(self.owed) <= LOW.into();
        self.ack_is_due |= is_low && (packet.segment.is_some() || self.size > SMALL);
        Ok(())
    }

    /// Returns true if a packet may be sent now, with a segment if there is one.
    pub(super) const fn may_send(&self, has_segment: bool) -> bool {
        let free = self.size.saturating_sub(self.in_flight);
        if has_segment {
            // The last place is kept for an acknowledgement. Otherwise both windows could be full,
            // and neither side could open the other's.
            free > 1 || (free == 1 && self.owed != 0)
        } else {
            free != 0 && self.ack_is_due
        }
    }

    /// Counts a packet that is sent. Returns its number, and the number that it acknowledges.
    pub(super) fn send(&mut self, has_segment: bool, now: Instant) -> (u8, Option<u8>) {
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.in_flight = self.in_flight.saturating_add(1);
        self.behind_message = if has_segment { 0 } else { self.behind_message.saturating_add(1) };
        self.ack_deadline.get_or_insert(after(now, BTP_ACK_TIMEOUT));
        let ack = (self.owed != 0).then(|| self.expected.wrapping_sub(1));
        self.owed = 0;
        self.send_ack_deadline = None;
        self.ack_is_due = false;
        (number, ack)
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.ack_deadline.into_iter().chain(self.send_ack_deadline).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), BtpError> {
        if self.ack_deadline.is_some_and(|deadline| deadline <= now) {
            return Err(BtpError::AckTimeout);
        }
        if self.send_ack_deadline.is_some_and(|deadline| deadline <= now) {
            self.send_ack_deadline = None;
            self.ack_is_due = true;
        }
        Ok(())
    }
}
