//! Messages to be sent, in the order of their sending.

use super::BtpSendError;
use crate::bytes::write_parts;

/// Length in bytes of a message's length. It stands in front of the message in the queue as on the
/// wire.
const PREFIX_LEN: usize = 2;

/// Messages, each after its length, in a buffer of the caller. The first message stays until all
/// of it was sent.
pub(super) struct Queue<T> {
    buffer: T,
    /// How many bytes are in use.
    end: usize,
    /// How many bytes of the first message were sent, with its length.
    sent: usize,
}

crate::bytes::debug_lengths!(Queue[T][T]: end, sent; );

/// What [`Queue::take`] took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) len: usize,
    pub(super) begins: bool,
    pub(super) ends: bool,
}

impl<T: AsMut<[u8]>> Queue<T> {
    pub(super) const fn new(buffer: T) -> Self {
        Self { buffer, end: 0, sent: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Checks that there is room for a message of `len` bytes.
    pub(super) fn check(&mut self, len: usize) -> Result<(), BtpSendError> {
        let room = self.buffer.as_mut().len();
        let max = room.saturating_sub(PREFIX_LEN).min(u16::MAX.into());
        if len > max {
            return Err(BtpSendError::TooLarge { max });
        }
        if room.saturating_sub(self.end) < len.saturating_add(PREFIX_LEN) {
            return Err(BtpSendError::Full);
        }
        Ok(())
    }

    pub(super) fn push(&mut self, message: &[u8]) -> Result<(), BtpSendError> {
        self.check(message.len())?;
        let Ok(len) = u16::try_from(message.len()) else { return Err(BtpSendError::Full) };
        let free = self.buffer.as_mut().get_mut(self.end..).unwrap_or_default();
        write_parts(free, &[&len.to_le_bytes(), message]);
        self.end = self.end.saturating_add(message.len()).saturating_add(PREFIX_LEN);
        Ok(())
    }

    /// Moves the next bytes of the first message to `to`, as many as fit.
    pub(super) fn take(&mut self, to: &mut [u8]) -> Part {
        let used = self.buffer.as_mut().get_mut(..self.end).unwrap_or_default();
        let total = match used.first_chunk::<PREFIX_LEN>() {
            Some(len) => usize::from(u16::from_le_bytes(*len)).saturating_add(PREFIX_LEN),
            None => 0,
        };
        let rest = used.get(self.sent..total).unwrap_or_default();
        let part = rest.get(..to.len()).unwrap_or(rest);
        write_parts(to, &[part]);
        let (len, begins) = (part.len(), self.sent == 0);
        let ends = len == rest.len();
        self.sent = self.sent.saturating_add(len);
        if ends {
            let total = total.min(used.len());
            used.copy_within(total.., 0);
            self.end = self.end.saturating_sub(total);
            self.sent = 0;
        }
        Part { len, begins, ends }
    }
}
