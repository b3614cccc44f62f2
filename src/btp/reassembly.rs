//! Messages from their segments.

use super::BtpError;
use super::packet::Segment;

/// The message that arrives, in a buffer of the caller.
pub(super) struct Reassembly<R> {
    buffer: R,
    /// The length that the beginning named; nothing between messages.
    len: Option<u16>,
    /// How many bytes have arrived.
    received: usize,
}

crate::bytes::debug_lengths!(Reassembly[R][R]: len, received; );

impl<R: AsMut<[u8]>> Reassembly<R> {
    pub(super) const fn new(buffer: R) -> Self {
        Self { buffer, len: None, received: 0 }
    }

    /// Adds a segment. Returns true if it is the last one of its message.
    pub(super) fn receive(&mut self, segment: &Segment<'_>) -> Result<bool, BtpError> {
        let buffer = self.buffer.as_mut();
        let (len, received) = match (segment.begins, self.len) {
            (Some(len), None) => (len, 0),
            (None, Some(len)) => (len, self.received),
            _ => return Err(BtpError::Segment),
        };
        let all = usize::from(len);
        if all > buffer.len() {
            return Err(BtpError::MessageTooLarge { len, max: buffer.len() });
        }
        let end = received.saturating_add(segment.payload.len());
        if end > all || (segment.ends && end != all) {
            return Err(BtpError::Length { len });
        }
        let to = buffer.get_mut(received..end).unwrap_or_default();
        to.iter_mut().zip(segment.payload).for_each(|(to, from)| *to = *from);
        self.received = end;
        self.len = if segment.ends { None } else { Some(len) };
        Ok(segment.ends)
    }

    /// The message whose last segment has arrived.
    pub(super) fn message(&mut self) -> &mut [u8] {
        self.buffer.as_mut().get_mut(..self.received).unwrap_or_default()
    }
}
