//! The layout of a message being sent.

use core::ops::Range;

use super::protocol;
use super::{Destination, EncodeError, MessageHeader, ProtocolHeader};
use super::{MAX_MESSAGE_HEADER, MAX_PROTOCOL_HEADER};
use crate::bytes::debug_lengths;
use crate::ids::MessageCounter;

/// Bytes in front of the payload that [`MessageBuf`] keeps for the headers.
pub const HEADROOM: usize = MAX_MESSAGE_HEADER + MAX_PROTOCOL_HEADER;
/// Bytes behind the payload that [`MessageBuf`] keeps for the message integrity code.
pub const TAILROOM: usize = 16;

/// A caller's buffer, laid out for a message.
///
/// ```text
/// | headroom (36) | payload ...                     | unused | tailroom (16) |
///        <- headers are written backwards       MIC ->
/// ```
/// The caller writes the payload into its final place, or has it copied there once; encoding then
/// puts the headers directly in front of it, so the datagram is contiguous wherever the payload
/// ends. The buffer needs [`HEADROOM`] + payload + [`TAILROOM`] bytes.
pub struct MessageBuf<'b> {
    bytes: &'b mut [u8],
    start: usize,
    end: usize,
}

debug_lengths!(MessageBuf[]['_]: start, end; bytes);

impl<'b> MessageBuf<'b> {
    /// Lays out `buf` with an empty payload.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`] below [`HEADROOM`] + [`TAILROOM`] bytes.
    #[inline]
    pub const fn new(buf: &'b mut [u8]) -> Result<Self, EncodeError> {
        let needed = HEADROOM + TAILROOM;
        if buf.len() < needed {
            return Err(EncodeError::BufferTooSmall { needed });
        }
        Ok(Self { bytes: buf, start: HEADROOM, end: HEADROOM })
    }

    /// Lays out `buf` and copies `payload` into its place.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`] unless headroom, payload and tailroom fit.
    #[inline]
    pub fn with_payload(buf: &'b mut [u8], payload: &[u8]) -> Result<Self, EncodeError> {
        let needed = payload.len().saturating_add(HEADROOM + TAILROOM);
        let too_small = EncodeError::BufferTooSmall { needed };
        let mut this = Self::new(buf).map_err(|_| too_small)?;
        this.payload_mut().get_mut(..payload.len()).ok_or(too_small)?.copy_from_slice(payload);
        this.set_payload_len(payload.len())?;
        Ok(this)
    }

    /// Returns the room for the payload: write from its start, then
    /// [`set_payload_len`](Self::set_payload_len).
    #[must_use]
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let end = self.bytes.len().saturating_sub(TAILROOM);
        self.bytes.get_mut(HEADROOM..end).unwrap_or_default()
    }

    /// Returns the maximum length of the payload in bytes.
    #[must_use]
    #[inline]
    pub const fn payload_capacity(&self) -> usize {
        self.bytes.len().saturating_sub(HEADROOM + TAILROOM)
    }

    /// Returns the payload's length in bytes.
    #[must_use]
    #[inline]
    pub const fn payload_len(&self) -> usize {
        self.end.saturating_sub(HEADROOM)
    }

    /// Says how many bytes of [`payload_mut`](Self::payload_mut) are the payload.
    ///
    /// # Errors
    /// [`EncodeError::PayloadTooLong`] above [`payload_capacity`](Self::payload_capacity).
    #[inline]
    pub const fn set_payload_len(&mut self, len: usize) -> Result<(), EncodeError> {
        if len > self.payload_capacity() {
            return Err(EncodeError::PayloadTooLong);
        }
        self.end = HEADROOM.saturating_add(len);
        Ok(())
    }

    /// Writes both headers and ends the message without encryption.
    ///
    /// # Errors
    /// None occur: the headroom takes every header.
    #[inline]
    pub fn into_plain(
        mut self,
        header: &MessageHeader,
        protocol: &ProtocolHeader,
    ) -> Result<Encoded<'b>, EncodeError> {
        self.write_headers(header, protocol)?;
        let range = self.start..self.end;
        Ok(Encoded { counter: header.counter, bytes: self.bytes, range })
    }

    /// Writes both headers and lets `seal` encrypt in place and write the message integrity code.
    #[inline]
    pub(crate) fn into_sealed(
        mut self,
        header: &MessageHeader,
        protocol: &ProtocolHeader,
        seal: impl FnOnce(Parts<'_>) -> Result<(), EncodeError>,
    ) -> Result<Encoded<'b>, EncodeError> {
        let layout = self.lay_out(header, protocol)?;
        let missing = EncodeError::BufferTooSmall { needed: HEADROOM + TAILROOM };
        seal(layout.split(self.bytes).ok_or(missing)?)?;
        Ok(Encoded { counter: header.counter, bytes: self.bytes, range: layout.datagram() })
    }

    /// Writes both headers; says where in the buffer the message stands that is to be sealed.
    #[inline]
    pub(crate) fn lay_out(
        &mut self,
        header: &MessageHeader,
        protocol: &ProtocolHeader,
    ) -> Result<Layout, EncodeError> {
        let header_len = self.write_headers(header, protocol)?;
        Ok(Layout { start: self.start, header_len, end: self.end })
    }

    /// Writes a protocol header in front of what has been written.
    #[inline]
    fn prepend_protocol(&mut self, header: &ProtocolHeader) -> Result<(), EncodeError> {
        let mut flags = 0;
        if header.initiator {
            flags |= protocol::INITIATOR;
        }
        if header.needs_ack {
            flags |= protocol::RELIABLE;
        }
        if let Some(counter) = header.ack {
            flags |= protocol::ACK;
            self.prepend(counter.get().to_le_bytes())?;
        }
        self.prepend(header.protocol.id.to_le_bytes())?;
        if header.protocol.vendor.get() != 0 {
            flags |= protocol::VENDOR;
            self.prepend(header.protocol.vendor.get().to_le_bytes())?;
        }
        let [e0, e1] = header.exchange.get().to_le_bytes();
        self.prepend([flags, header.opcode, e0, e1])
    }

    /// Puts `bytes` in front of what has been written.
    #[inline]
    pub(super) fn prepend<const N: usize>(&mut self, bytes: [u8; N]) -> Result<(), EncodeError> {
        let missing = EncodeError::BufferTooSmall { needed: HEADROOM + TAILROOM };
        let room = self.bytes.get_mut(..self.start).ok_or(missing)?;
        *room.last_chunk_mut().ok_or(missing)? = bytes;
        self.start = self.start.saturating_sub(N);
        Ok(())
    }

    /// Returns the length of the message header.
    #[inline]
    fn write_headers(
        &mut self,
        header: &MessageHeader,
        protocol: &ProtocolHeader,
    ) -> Result<usize, EncodeError> {
        self.prepend_protocol(protocol)?;
        let body = self.start;
        match header.destination {
            Destination::None => {}
            Destination::Node(node) => self.prepend(node.get().to_le_bytes())?,
            Destination::Group(group) => self.prepend(group.get().to_le_bytes())?,
        }
        if let Some(source) = header.source {
            self.prepend(source.get().to_le_bytes())?;
        }
        self.prepend(header.fixed_part())?;
        Ok(body.saturating_sub(self.start))
    }
}

/// Where in its buffer a message stands that is to be sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    start: usize,
    header_len: usize,
    end: usize,
}

/// What sealing works on.
pub(crate) struct Parts<'b> {
    /// The message header.
    pub(crate) aad: &'b mut [u8],
    pub(crate) body: &'b mut [u8],
    pub(crate) mic: &'b mut [u8; TAILROOM],
}

impl Layout {
    /// Returns the message in its buffer; `None` in one that is too short to be its buffer.
    #[inline]
    pub(crate) fn split(self, bytes: &mut [u8]) -> Option<Parts<'_>> {
        let message = bytes.get_mut(self.start..)?;
        let (aad, rest) = message.split_at_mut_checked(self.header_len)?;
        let body_len = self.end.saturating_sub(self.start).saturating_sub(self.header_len);
        let (body, tail) = rest.split_at_mut_checked(body_len)?;
        Some(Parts { aad, body, mic: tail.first_chunk_mut()? })
    }

    /// Returns where the datagram stands, once it is sealed.
    #[inline]
    pub(crate) const fn datagram(self) -> Range<usize> {
        self.start..self.end.saturating_add(TAILROOM)
    }
}

/// A datagram ready to be sent, within the buffer that [`MessageBuf`] was given.
pub struct Encoded<'b> {
    counter: MessageCounter,
    bytes: &'b [u8],
    range: Range<usize>,
}

debug_lengths!(Encoded[]['_]: counter, range; bytes);

impl<'b> Encoded<'b> {
    /// Returns the datagram.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &'b [u8] {
        self.bytes.get(self.range.clone()).unwrap_or_default()
    }

    /// Returns where in the buffer the datagram lies.
    #[must_use]
    #[inline]
    pub const fn range(&self) -> Range<usize> {
        self.range.start..self.range.end
    }

    /// Returns the message counter, by which the peer acknowledges it.
    #[must_use]
    #[inline]
    pub const fn counter(&self) -> MessageCounter {
        self.counter
    }
}
